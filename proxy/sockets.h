/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "proxy/witness/line.h"

/* The proxy's listening sockets: inherited, or its own. */

#define SOCKETS_MAX 8

/* Addresses of the proxy's own sockets. Redirected packets of this network namespace arrive on the loopback addresses,
 * those of containers on addresses that the redirect puts on `lo` (no route_localnet, no wildcard). */
#define LISTEN_CONTAINER_IPV4 "169.254.77.77"
#define LISTEN_CONTAINER_IPV6 "fd6b:6579:7472:6c::77"

/* Sockets that the service manager opened for us and keeps open while we restart, so that no request is refused
 * (sd_listen_fds(3)). Gives how many there are, or -1 when they are no listening TCP sockets. Forgets the environment
 * that told of them. */
MUST_USE int sockets_inherit(int sockets[static SOCKETS_MAX], struct error *err);

/* Binds the four addresses (those of IPv6 only where there is IPv6) to `port`. */
MUST_USE int sockets_bind(int64_t port, int sockets[static SOCKETS_MAX], int *ret_count, struct error *err);

/* Of a connection accepted from one of these, to `local`: was it made by this network namespace itself? With
 * `route_localnet` a rule of somebody's can bring others to a loopback address, but not over the loopback interface.
 * When in doubt: no. */
bool sockets_came_over_loopback(int fd, const struct endpoint *local);
