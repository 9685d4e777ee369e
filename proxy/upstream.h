/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"

/* The proxy as a client of the metadata service. Each request is built anew from a method, a canonical target and our
 * own token; nothing a client wrote goes upstream. One token is shared by all, fetched when first needed, renewed
 * before it ends, and once more when upstream says 401. All functions may be called from any thread. */
struct upstream;

struct upstream_options {
	const char *ipv4, *ipv6; /* "169.254.169.254:80", "[fd00:ec2::254]:80": where to connect */
	int64_t timeout_ms;      /* for one request, connection included */
};

MUST_USE int upstream_open(const struct upstream_options *options, struct upstream **ret, struct error *err);
/* From the next request on. */
void upstream_change(struct upstream *upstream, const struct upstream_options *options);
void upstream_close(struct upstream *upstream);

/* Gives a fresh, unconnected stream socket that the redirect lets through; -1: none to be had. */
typedef int upstream_socket(void *context, int family, struct error *err);

struct upstream_request {
	const char *method; /* GET, HEAD, ... */
	const char *target; /* origin form, canonical */
	bool ipv6;
	bool without_token; /* an IMDSv1 request that is passed through */
	upstream_socket *socket;
	void *socket_context;
};

#define UPSTREAM_BODY_BYTES (1 << 20) /* user data is at most 16 KB, credentials 4 KB */

struct upstream_answer {
	int status;
	struct buffer head; /* raw, from the status line to the empty line */
	struct buffer body; /* wiped by upstream_answer_done */
	int64_t date_us;    /* the Date header, 0 if none */
};
void upstream_answer_done(struct upstream_answer *answer);
#define CLEANUP_ANSWER CLEANUP(upstream_answer_done)

/* ERROR_TIMEOUT or ERROR_SYSTEM when there was no complete answer. Any status is an answer; when upstream refuses us a
 * token, that refusal is the answer. */
MUST_USE int upstream_fetch(struct upstream *upstream, const struct upstream_request *request,
                            struct upstream_answer *ret, struct error *err);

/* Makes sure that we hold a token and gives the head of the answer that brought it, as the model for ours (copied into
 * *ret_head). A refusal by upstream is its status in *ret_status (else 200). */
MUST_USE int upstream_model(struct upstream *upstream, const struct upstream_request *how, struct buffer *ret_head,
                            int *ret_status, struct error *err);

/* Is this the local port of a request of ours that is under way? Then a client that comes from it is ourselves: the
 * redirect has caught our own request, and serving it would go on for ever. True from before the first byte is sent. */
bool upstream_is_own_port(const struct upstream *upstream, uint16_t port);

/* For `status`: did the last request get an answer, and if not, why. */
bool upstream_is_reachable(struct upstream *upstream, char *reason, size_t size);
