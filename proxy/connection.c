/* SPDX-License-Identifier: Apache-2.0 */

/* The metadata service closes after each answer, so each request has a connection of its own, and there is nothing to
 * pool. What can be saved is waiting: for the handshake, and for the end. */
#include "proxy/connection.h"

#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"

socklen_t connection_address_bytes(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Notes the local port, which connect(2) has chosen. */
MUST_USE static int note_port(struct connection *connection, struct error *err)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} local;
	socklen_t size = sizeof(local);
	if (getsockname(connection->fd, (struct sockaddr *)&local.any, &size) < 0)
		return error_errno(err, "connection");
	connection->port = ntohs(local.any.ss_family == AF_INET6 ? local.ipv6.sin6_port : local.ipv4.sin_port);
	(void)atomic_fetch_add(&connection->ports->in_use[connection->port], 1);
	return 0;
}

int connection_begin(struct connection *connection, const struct sockaddr_storage *address,
                     struct connection_ports *ports, connection_connect *connect, void *context, struct error *err)
{
	connection_done(connection);
	CLEANUP_FD int fd = connect(context, address, err);
	if (fd < 0)
		return -1;
	struct connection begun = {.fd = fd, .address = *address, .ports = ports, .begun_ms = clock_monotonic_ms()};
	if (note_port(&begun, err) < 0)
		return -1;
	*connection = begun;
	(void)steal_fd(&fd);
	return 0;
}

bool connection_is_fresh(const struct connection *connection, const struct sockaddr_storage *address, int64_t now_ms)
{
	return connection->fd >= 0 && !connection->is_used && now_ms - connection->begun_ms < CONNECTION_FRESH_MS &&
	       memcmp(&connection->address, address, sizeof(*address)) == 0;
}

void connection_done(struct connection *connection)
{
	if (connection->fd < 0)
		return;
	(void)atomic_fetch_sub(&connection->ports->in_use[connection->port], 1);
	(void)close(connection->fd);
	connection->fd = -1;
}
