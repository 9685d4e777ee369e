/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/error.h"

/* One connection to upstream, for one request: it may be begun before it is known that there will be one, and is ended
 * when nobody waits any more. It belongs to one thread. */

/* Gives a fresh, non-blocking stream socket that begins to connect to an address, and that the redirect lets through;
 * -1: none to be had. Does not wait for the connection. */
typedef int connection_connect(void *context, const struct sockaddr_storage *address, struct error *err);

/* How large the address is by its family. */
socklen_t connection_address_bytes(const struct sockaddr_storage *address);

/* Local ports of the connections that there are. */
struct connection_ports {
	atomic_uchar in_use[65536]; /* how many */
};

struct connection {
	int fd; /* -1: none */
	struct sockaddr_storage address;
	struct connection_ports *ports; /* has our port from before a byte can be sent to the end */
	uint16_t port;
	int64_t begun_ms; /* of clock_monotonic_ms() */
	bool is_used;     /* a request was sent */
};
#define CONNECTION_NONE ((struct connection){.fd = -1})

/* Ends what there was, and begins to connect: does not wait, so that most errors come with the first byte sent. */
MUST_USE int connection_begin(struct connection *connection, const struct sockaddr_storage *address,
                              struct connection_ports *ports, connection_connect *connect, void *context,
                              struct error *err);

/* Is this one unused, to that address, and young enough that upstream cannot have lost patience with it? */
#define CONNECTION_FRESH_MS 250
bool connection_is_fresh(const struct connection *connection, const struct sockaddr_storage *address, int64_t now_ms);

void connection_done(struct connection *connection);
#define CLEANUP_CONNECTION CLEANUP(connection_done)
