/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/proxy.h"

/* Accepts connections and has them served, up to [listen] max_connections at a time, with a fair share for each network
 * namespace and each user (seats.h). */
struct workers;

#define WORKERS_SOCKETS_MAX 8

/* Addresses of the proxy's own sockets. Redirected packets of this network namespace arrive on the loopback addresses,
 * those of containers on addresses that the redirect puts on `lo` (no route_localnet, no wildcard). */
#define LISTEN_CONTAINER_IPV4 "169.254.77.77"
#define LISTEN_CONTAINER_IPV6 "fd6b:6579:7472:6c::77"

/* Sockets that the service manager opened for us and keeps open while we restart, so that no request is refused
 * (sd_listen_fds(3)). Gives how many there are, or -1 when they are no listening TCP sockets. Forgets the environment
 * that told of them. */
MUST_USE int workers_inherit(int sockets[static WORKERS_SOCKETS_MAX], struct error *err);

/* Binds the four addresses (those of IPv6 only where there is IPv6) to `port`. */
MUST_USE int workers_bind(int64_t port, int sockets[static WORKERS_SOCKETS_MAX], int *ret_count, struct error *err);

/* Starts serving; takes the sockets over. */
MUST_USE int workers_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct workers **ret,
                           struct error *err);

/* Does anybody wait for the next connection, or has one been taken since *seen was filled by the last call? Else every
 * worker has been busy with one connection for all that time, or there is none left. */
bool workers_are_alive(struct workers *workers, uint64_t *seen);

/* Accepts no more, waits for requests under way (WORKERS_DRAIN_MS at most), frees. False: some were cut off, and what
 * they use must not be freed. */
#define WORKERS_DRAIN_MS 5000
bool workers_stop(struct workers *workers);
