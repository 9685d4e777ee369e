/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/exchange.h"

/* Accepts connections and reads one request from each. Workers are threads that take turns at accepting: one waits, and
 * when it has a connection another takes its place, up to [listen] max_connections of them. */
struct listener;

#define LISTENER_SOCKETS_MAX 8

/* Addresses of the proxy's own sockets. Redirected packets of this network namespace arrive on the loopback addresses,
 * those of containers on addresses that the redirect puts on `lo` (no route_localnet, no wildcard). */
#define LISTEN_CONTAINER_IPV4 "169.254.77.77"
#define LISTEN_CONTAINER_IPV6 "fd6b:6579:7472:6c::77"

/* Binds the four addresses (those of IPv6 only where there is IPv6) to `port`. */
MUST_USE int listener_bind(int64_t port, int sockets[static LISTENER_SOCKETS_MAX], int *ret_count, struct error *err);

/* Starts serving; takes the sockets over. */
MUST_USE int listener_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct listener **ret,
                            struct error *err);

/* Accepts no more, and waits for requests under way (LISTENER_DRAIN_MS at most). False: some were cut off, and the
 * listener's memory must not be freed. */
#define LISTENER_DRAIN_MS 5000
bool listener_stop(struct listener *listener);
