/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/prune.h"

/* What the writer's thread does between batches, in steps so small that a client who comes meanwhile waits for one of
 * them at most: forgetting rows that are too old or too many, giving pages back. */

struct upkeep_limits {
	int64_t retain_us;    /* 0: rows stay, however old */
	int64_t retain_bytes; /* 0: however many */
};

struct upkeep {
	int64_t next_ms; /* monotonic: when to look again */
	bool is_busy;    /* there is more to do, soon */
	int64_t rows;    /* pruned since it became busy */
};

#define UPKEEP_PAUSE_MS 20 /* at least, between two steps; five times as long as the step took, if that is more */

/* Does the next step if it is time for it. Failing is logged, and tried again a minute later. */
void upkeep_run(struct upkeep *upkeep, struct appender *appender, const struct upkeep_limits *limits);
