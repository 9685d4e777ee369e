/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/witness/line.h"

/* Who has how many of the proxy's connections, so that nobody can take them all: not a user, not a container. There are
 * `limit` seats. A group is a network namespace or, where that is not known, an address; a holder is a user in a group.
 * A holder that has a quarter of all seats gets another in exchange for one of its own that has waited for its client
 * (SEAT_PATIENCE_MS); where a group has half of them, its largest holder gives one. When none is left, the largest
 * holder of the largest group gives one, or, where that is the newcomer's own group, of that group: without patience,
 * if the newcomer has less than the largest. If there is nothing to give, a newcomer that has less is let in above the
 * limit, and others are refused. Connections that are being served are never ended. All functions may be called from
 * any thread. */
struct seats;
struct seat;

/* Beyond `limit` there is room for `extra` newcomers that are being looked at. */
MUST_USE int seats_new(int limit, int extra, struct seats **ret, struct error *err);
void seats_free(struct seats *seats);

struct seat_holder {
	uint8_t group[20]; /* opaque, for comparing */
	int64_t uid;       /* -1: not known */
};
struct seat_holder seat_holder_of(const struct sighting *sighting, bool is_local);

/* A place to be looked at from, for the connection `fd`, which stays the caller's; it waits for its client from now
 * on. NULL: limit and extra are used up. */
struct seat *seats_take(struct seats *seats, int fd, int64_t now_ms);

/* False: refused. Another connection may have been ended (shutdown(2)) for this one. */
bool seats_admit(struct seats *seats, struct seat *seat, const struct seat_holder *holder, int64_t now_ms);

/* Without its holder being known, but that it is of our own network namespace: only while half of the seats are free
 * and fewer than an eighth taken like this, so that nobody's share can depend on it. */
bool seats_admit_unknown(struct seats *seats, struct seat *seat);

/* So many seats from now on, at most what it was made with. Those who have most give back what is too many, as far as
 * they wait for their clients. */
void seats_limit(struct seats *seats, int limit, int64_t now_ms);

/* Before and after the proxy itself works on it. */
void seat_waits(struct seat *seat, int64_t now_ms);
void seat_works(struct seat *seat);
/* It waits for the disk, and no worker with it. */
void seat_parks(struct seat *seat);

/* Gives it back before the descriptor is closed. True: it was ended for somebody else. */
bool seats_leave(struct seats *seats, struct seat *seat);

/* True once a second at most: a line may be logged about who got no seat. */
bool seats_may_complain(struct seats *seats, int64_t now_ms);

/* How many have waited for their client for SEAT_SLOW_MS, or have been here for SEAT_LONG_MS. */
#define SEAT_SLOW_MS 20
#define SEAT_LONG_MS 250
#define SEAT_PATIENCE_MS 50
int seats_stuck(struct seats *seats, int64_t now_ms);
