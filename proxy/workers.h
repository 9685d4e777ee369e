/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/proxy.h"
#include "proxy/sockets.h"

/* Accepts connections and has them served, up to [listen] max_connections at a time, with a fair share for each network
 * namespace and each user (seats.h). */
struct workers;

/* Beyond max_connections, so that newcomers can be looked at when all seats are taken. */
#define WORKERS_EXTRA 4

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
