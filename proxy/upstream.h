/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/response.h"
#include "proxy/transfer.h"

/* The proxy as a client of the metadata service. Each request is built anew from a method, a canonical target and our
 * own token; nothing a client wrote goes upstream but what struct upstream_request names. One token is shared by all,
 * fetched when first needed (once for all who wait), renewed before it ends, and once more when upstream says 401. All
 * functions may be called from any thread. */
struct upstream;

/* Who is asked. */
enum upstream_endpoint {
	ENDPOINT_IMDS_IPV4,
	ENDPOINT_IMDS_IPV6,
	ENDPOINT_ECS,
	ENDPOINT_EKS_IPV4,
	ENDPOINT_EKS_IPV6,
	ENDPOINT_COUNT,
};

struct upstream_options {
	const char *addresses[ENDPOINT_COUNT]; /* "169.254.169.254:80", "[fd00:ec2::254]:80": where to connect */
	int64_t timeout_ms;                    /* for one request, connection and token included */
	int64_t cache_ms;                      /* how long answers that cache.h knows are kept; 0: not at all */
};

MUST_USE int upstream_open(const struct upstream_options *options, struct upstream **ret, struct error *err);
/* From the next request on; all of it or, with ERROR_INPUT, nothing. */
MUST_USE int upstream_change(struct upstream *upstream, const struct upstream_options *options, struct error *err);
void upstream_close(struct upstream *upstream);

struct upstream_request {
	enum upstream_endpoint endpoint;
	const char *method;        /* GET, HEAD, ... */
	const char *target;        /* origin form, canonical */
	const char *host;          /* NULL: the endpoint's own */
	const char *authorization; /* NULL: none */
	bool without_token;        /* an IMDSv1 request that is passed through; agents know no tokens anyway */
	bool may_join;             /* one answer may serve all who ask for the same at this moment */
	bool may_keep;             /* an answer of a moment ago will do, where cache.h knows the target */
	connection_connect *connect;
	void *connect_context;
	struct connection *connection; /* one that was begun, or CONNECTION_NONE: taken, renewed if need be, and left to
	                                  the caller to end; NULL: none, and what is needed is ended at once */
	transfer_wait *on_wait;        /* also told when a token must be waited for */
	void *wait_context;
};

/* Begins to connect in request->connection, since by all that is known the request will be made in a moment: nothing is
 * sent but packets of TCP. Not where the answer may come from elsewhere. Never fails; what goes wrong is met again. */
void upstream_foresee(struct upstream *upstream, const struct upstream_request *request);

/* ERROR_TIMEOUT, ERROR_SYSTEM, ERROR_INPUT or ERROR_LIMIT when there was no whole answer. Any status is an answer; when
 * upstream refuses us a token, that refusal is the answer. */
MUST_USE int upstream_fetch(struct upstream *upstream, const struct upstream_request *request, struct response *ret,
                            struct error *err);

/* How many answers were given that had been kept. */
uint64_t upstream_kept_answers(const struct upstream *upstream);

/* Makes sure that we hold a token and gives the head of the answer that brought it, as the model for ours (copied into
 * *ret_head). A refusal by upstream is its status in *ret_status (else 200). */
MUST_USE int upstream_model(struct upstream *upstream, const struct upstream_request *how, struct buffer *ret_head,
                            int *ret_status, struct error *err);

/* Is this the local port of a request of ours that is under way? Then a client that comes from it is ourselves: the
 * redirect has caught our own request, and serving it would go on for ever. True from before the first byte is sent. */
bool upstream_is_own_port(const struct upstream *upstream, uint16_t port);

/* For `status`: did the last request get an answer, and if not, why. */
bool upstream_is_reachable(struct upstream *upstream, char *reason, size_t size);
