/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/body.h"
#include "proxy/exchange.h"
#include "proxy/screen.h"

/* One connection with its request, from accept to close. Its worker's, until it is parked. */

/* Bytes looked at as a request. */
struct look {
	enum screen_verdict verdict;
	const char *reason;
	bool expects_continue;
	size_t head_bytes;
	bool has_extra;
};

#define REQUEST_BYTES (SCREEN_HEAD_BYTES + BODY_BYTES_MAX)

struct visit {
	struct parked parked; /* first */
	struct proxy *proxy;
	struct seats *seats;
	struct exchange *exchange;
	struct client client;

	char bytes[REQUEST_BYTES]; /* of the request, and a little of what may follow it */
	size_t length;
	struct look seen; /* in them */
	struct request request;
	bool is_begun, is_served; /* the exchange */
};

/* For any number of connections, one after the other. NULL: no memory. */
struct visit *visit_new(struct proxy *proxy);
void visit_free(struct visit *visit);

/* What became of the wait for a request. NONE: the client has closed before its request was complete, or it was a mere
 * probe. */
enum arrival { ARRIVAL_WHOLE, ARRIVAL_PART, ARRIVAL_NONE };

/* Takes what is there; the first bytes are waited for, `wait_ms` at most. */
enum arrival visit_take(struct visit *visit, int wait_ms);

/* Waits until the whole request is there; false: nothing to serve came in time. */
bool visit_read(struct visit *visit);

/* Is it one that has a meaning? */
bool visit_is_good(const struct visit *visit);

/* Behind the last byte of the answer: takes what more there is to come, which nobody reads. */
bool visit_is_to_be_drained(const struct visit *visit);
void visit_drain(struct visit *visit);

/* Of connections that were not served to make room, or no longer. They sent no request that could be recorded; they are
 * counted, and a line a second at most says so. */
void visit_count_crowd(struct visit *visit, const char *reason);

/* Wipes it, gives the seat back and closes. */
void visit_end(struct visit *visit);
