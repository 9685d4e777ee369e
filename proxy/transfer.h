/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <sys/socket.h>

#include "proxy/response.h"

/* One request and its answer, on a connection of its own, blocking, until a deadline. */

/* Gives a fresh, unconnected, blocking stream socket that the redirect lets through; -1: none to be had. */
typedef int transfer_socket(void *context, int family, struct error *err);

/* Local ports of the requests that are under way. */
struct transfer_ports {
	atomic_uchar under_way[65536]; /* how many */
};

struct transfer {
	const struct sockaddr_storage *address;
	const char *request; /* its bytes, whole */
	size_t request_bytes;
	bool is_head;
	int64_t deadline_ms; /* of clock_monotonic_ms(), for all of it */
	transfer_socket *socket;
	void *socket_context;
	struct transfer_ports *ports; /* has our port from before the first byte is sent until all is over */
};

/* A.B.C.D:PORT or [A::B]:PORT; ERROR_INPUT. */
MUST_USE int transfer_parse_address(const char *text, struct sockaddr_storage *ret, struct error *err);

/* Any whole answer is a success. ERROR_TIMEOUT when there was none in time; else ERROR_SYSTEM, ERROR_INPUT (malformed)
 * or ERROR_LIMIT. */
MUST_USE int transfer_run(const struct transfer *transfer, struct response *ret, struct error *err);
