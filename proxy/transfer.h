/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/connection.h"
#include "proxy/response.h"

/* One request and its answer, over a connection that serves no other, waiting until a deadline at most. */

/* Called, in the same thread and perhaps more than once, when something has been waited for for TRANSFER_WHILE_MS. */
typedef void transfer_wait(void *context);
#define TRANSFER_WHILE_MS 10

struct transfer {
	int fd;              /* connected, or about to be; non-blocking */
	const char *request; /* its bytes, whole */
	size_t request_bytes;
	bool is_head;
	int64_t deadline_ms;    /* of clock_monotonic_ms(), for all of it */
	transfer_wait *on_wait; /* NULL: nobody wants to know */
	void *wait_context;
};

/* A.B.C.D:PORT or [A::B]:PORT; ERROR_INPUT. */
MUST_USE int transfer_parse_address(const char *text, struct sockaddr_storage *ret, struct error *err);

/* Any whole answer is a success. ERROR_TIMEOUT when there was none in time; else ERROR_SYSTEM, ERROR_INPUT (malformed)
 * or ERROR_LIMIT. */
MUST_USE int transfer_run(const struct transfer *transfer, struct response *ret, struct error *err);
