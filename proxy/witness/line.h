/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "store/entry.h"
#include "store/model.h"

/* Between proxy and witness: fixed-size queries over a socketpair, one line for each of the proxy's workers and one
 * witness thread behind each, so that a slow query holds up nobody else's. The proxy's side of it.
 *
 * A line takes LOOK when a connection is accepted; the answer says whose socket it is, and may be taken when the
 * proxy has got on with the request. While the request is under way, the witness looks for the process. WHO, just
 * before an answer that holds a credential leaves, looks again and gives the whole attribution. SOCKETS are upstream's,
 * marked, some at a time. */

/* An end of a connection; IPv4 in the v4-mapped form never: family says which. */
struct endpoint {
	uint16_t family; /* AF_INET or AF_INET6 */
	uint16_t port;   /* host order */
	uint8_t address[16];
};

void endpoint_from_sockaddr(const struct sockaddr_storage *from, struct endpoint *ret);
/* The address alone; returns `to`. */
char *endpoint_text(const struct endpoint *endpoint, char to[static ADDRESS_TEXT_BYTES]);
/* Packets of our own network namespace are redirected to the loopback addresses, those of others are not. */
bool endpoint_is_loopback(const struct endpoint *endpoint);

/* Services whose connections are brought to the proxy: the instance metadata service, and the agents of container hosts
 * that hand out credentials of tasks and of pods. */
enum service { SERVICE_NONE, SERVICE_IMDS, SERVICE_ECS, SERVICE_EKS };

/* Whose address and port this is. Facts: the EC2 user guide; amazon-ecs-agent; eks-pod-identity-agent. */
enum service endpoint_service(const struct endpoint *endpoint);

/* What is known of a client's socket. */
struct sighting {
	bool has_tuple; /* conntrack knew the connection: `client` and `destination` are the client's own view */
	struct endpoint client;      /* true source; without conntrack, the accepted peer */
	struct endpoint destination; /* where it was going */
	bool is_local;               /* its socket lies in our network namespace */
	bool is_found;               /* sock_diag found it in exactly one namespace */
	bool is_ambiguous;           /* in more than one */
	uint32_t uid;                /* of the socket's maker; meaningful only if inode != 0 */
	uint32_t inode;              /* 0: the client has closed */
	uint64_t cookie;
	uint64_t cgroup_id;   /* 0: the kernel does not say */
	uint64_t netns;       /* inode of the namespace, 0: unknown */
	bool is_probe;        /* the witness's own, to try its backends: close it, and count it as nothing */
	uint32_t pid;         /* a holder found so far, 0: none; only in the answer to FIRST */
	uint64_t start_ticks; /* of that holder */
};

#define LINE_METHOD_BYTES 24

/* The whole attribution, for the ledger and for rules. The witness's texts go into rows as they are: they are checked
 * to be canonical, and are not made into trees on the way. */
struct attribution {
	enum grade grade;
	char method[LINE_METHOD_BYTES]; /* as in the text */
	struct entry_actors actors; /* its texts are of `bytes`; attribution is NULL if the witness did not answer */
	char *bytes;                /* owned */
};
/* All of it as a tree, for whoever looks into it: {"attribution":…, "process":…|null, "holders":[…]}. The caller owns
 * it. */
MUST_USE int attribution_tree(const struct attribution *attribution, json_t **ret, struct error *err);
bool attribution_is_named(const struct attribution *attribution);
void attribution_done(struct attribution *attribution);
#define CLEANUP_ATTRIBUTION CLEANUP(attribution_done)

/* ---- the proxy's side */

struct line;

/* `main_fd` is the socket to the witness's main thread. One thread uses a line. */
MUST_USE int line_open(int main_fd, struct line **ret, struct error *err);
void line_close(struct line *line);

/* No answer is due on it, or was missed: anything can be asked that is not about a client. */
bool line_is_whole(const struct line *line);

/* Asks about an accepted connection, and does not wait: from now on the witness looks at its socket. */
MUST_USE int line_ask(struct line *line, const struct endpoint *peer, const struct endpoint *local, struct error *err);

/* Takes the answer to that, before anything else is asked. */
MUST_USE int line_look(struct line *line, struct sighting *ret, struct error *err);

/* The process found since (for tokens bound to a process): fills pid and start_ticks. */
MUST_USE int line_first(struct line *line, struct sighting *ret, struct error *err);

/* Looks again, at everything. */
MUST_USE int line_who(struct line *line, struct attribution *ret, struct error *err);

/* Waits, without a deadline, for the digest of an executable that a row lacks: {exe, exe_file, exe_sha256}, owned by
 * the caller. A line that is once asked for digests is asked for nothing else. */
MUST_USE int line_digest(struct line *line, json_t **ret, struct error *err);
/* From another thread: ends the wait in line_digest, for good. */
void line_interrupt(struct line *line);

/* Fresh upstream sockets: stream, unconnected, non-blocking, marked so that the redirect lets them through. One at
 * least; the caller owns them. *ret_marks: the caller may as well make some itself, since what it connects to a
 * metadata service is marked on the way. That may end at any time, so each has to be looked at. */
#define LINE_SOCKETS_MAX 8
MUST_USE int line_sockets(struct line *line, int family, int ret[static LINE_SOCKETS_MAX], int *ret_count,
                          bool *ret_marks, struct error *err);

/* What the witness looks with, as an object for status; the caller owns it. */
MUST_USE int line_status(struct line *line, json_t **ret, struct error *err);

/* ---- what goes over the line; shared with the witness */

enum query_kind { QUERY_LOOK = 1, QUERY_FIRST, QUERY_WHO, QUERY_SOCKETS, QUERY_DIGESTS, QUERY_STATUS };

#define LINE_MAGIC 0x4b543031u /* "KT01" */

struct query {
	uint32_t magic;
	uint32_t kind;
	struct endpoint peer, local; /* of LOOK; of SOCKETS: local.family */
};

#define LINE_DOCUMENT_BYTES (160 << 10) /* at most, of the JSON behind an answer */

#define LINE_NOBODY UINT32_MAX

struct answer {
	uint32_t magic;
	uint32_t grade;          /* of WHO */
	uint32_t sockets;        /* of SOCKETS: so many descriptors come along */
	uint32_t marks;          /* of SOCKETS: 1: what the proxy connects is marked */
	uint32_t document_bytes; /* of WHO, DIGESTS and STATUS: JSON behind this struct */
	/* Of WHO, whose document is several texts, each with a NUL at its end: attribution, holders, and the process
	 * unless it is one of these. */
	uint32_t holders;
	uint32_t process; /* which one it is, counted from the first holder; LINE_NOBODY: none */
	char method[LINE_METHOD_BYTES];
	struct sighting sighting;
};
