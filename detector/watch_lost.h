/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/checkpoint.h"

/* Files that a watcher could not read, and when each is to be tried again: later each time, an hour at most. A file may
 * be one that is still being written, so who calls may speak of it only when it has failed again. Times are
 * milliseconds of one clock that never goes back. Bounded: of very many, the oldest is forgotten, and then tried sooner
 * than it should be. One thread. */

#define WATCH_LOST_MAX 4096
#define WATCH_LOST_WAIT_MAX_MS INT64_C(3600000)

struct watch_lost_file {
	struct checkpoint_id id;
	unsigned failures;
	int64_t due_ms;
};

struct watch_lost {
	struct watch_lost_file *files; /* owned */
	size_t count;
	int64_t interval_ms; /* the first wait */
};

MUST_USE int watch_lost_init(struct watch_lost *lost, int64_t interval_ms, struct error *err);
void watch_lost_done(struct watch_lost *lost);

/* It could not be read. Returns how often that has been so by now. */
unsigned watch_lost_add(struct watch_lost *lost, const struct checkpoint_id *id, int64_t now_ms);
/* It was read. */
void watch_lost_remove(struct watch_lost *lost, const struct checkpoint_id *id);

/* How often it could not be read; 0: it never failed, or was read since. */
unsigned watch_lost_failures(const struct watch_lost *lost, const struct checkpoint_id *id);
/* Is it too early to try it again? */
bool watch_lost_waits(const struct watch_lost *lost, const struct checkpoint_id *id, int64_t now_ms);
/* Is one of them to be tried again? */
bool watch_lost_has_due(const struct watch_lost *lost, int64_t now_ms);
