/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/writer.h"

/* Where exchanges wait for the disk. Their rows are on their way, their workers serve somebody else meanwhile, and one
 * thread goes on with each when the writer has told what became of its rows, or patience is over. It waits for nobody:
 * whoever has to wait for a client gets a thread of its own. All functions may be called from any thread. */
struct parking;

/* Part of what is parked. */
struct parked {
	struct writer_wait wait; /* first; for its rows */
	int fd;                  /* of the client: shut down where there is no thread to wait for it */
	/* Goes on; wait.problem and wait.is_durable say what became of the rows. False: it would have to wait for its
	 * client, and is to be called again, from a thread where it may. True: it is over, and *parked is gone. */
	bool (*resume)(struct parked *parked, bool may_wait);

	struct parking *parking; /* this and what follows is the parking's own */
	int64_t until_ms;
	struct parked *next, **link; /* link: NULL when it waits no more */
};

/* `patience_ms`: for a disk that does not answer. */
MUST_USE int parking_open(struct writer *writer, int64_t patience_ms, struct parking **ret, struct error *err);

/* Of one that is all zero, but for `fd` and `resume`. To be called before its rows are queued, which is the last that
 * its thread may do with it: from then on it may be resumed, and gone, at any time. Sets wait.done. */
void parking_enter(struct parking *parking, struct parked *parked);

/* Has its thread taken one since the last call, or none to take? For one caller. */
bool parking_is_alive(struct parking *parking);

/* Waits until all are over, or for `until_ms` of clock_monotonic_ms(), and ends the thread: who enters from then on is
 * not answered. False: some are left, and what they use must not be freed. Once. */
bool parking_stop(struct parking *parking, int64_t until_ms);

/* With nobody in it and nobody to enter. Stops it, if that was not done. NULL is fine. */
void parking_free(struct parking *parking);
