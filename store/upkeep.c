/* SPDX-License-Identifier: Apache-2.0 */

/* Decides what is due. Each step is a transaction of its own, so nothing is left half done when the daemon ends. */
#include "store/upkeep.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"

#define LOOK_AGAIN_MS 60000
#define PAUSE_FACTOR 5

/* One step. *ret_did: something was done, and there may be more. */
MUST_USE static int step(struct upkeep *upkeep, struct appender *appender, const struct upkeep_limits *limits,
                         bool *ret_did, struct error *err)
{
	int64_t now_us = clock_now_us(), used = 0;
	struct prune_order order = {.reason = PRUNE_AGE, .before_us = now_us - limits->retain_us, .now_us = now_us};
	struct prune_step done = {0};
	if (limits->retain_us != 0 && prune_step(appender, &order, &done, err) < 0)
		return -1;
	if (done.rows == 0 && limits->retain_bytes != 0 && prune_used_bytes(appender, &used, err) < 0)
		return -1;
	if (done.rows == 0 && used > limits->retain_bytes) {
		order = (struct prune_order){.reason = PRUNE_SIZE, .now_us = now_us};
		if (prune_step(appender, &order, &done, err) < 0)
			return -1;
	}
	upkeep->rows += done.rows;
	*ret_did = done.rows > 0;
	return *ret_did ? 0 : prune_shrink(appender, ret_did, err);
}

void upkeep_run(struct upkeep *upkeep, struct appender *appender, const struct upkeep_limits *limits)
{
	struct error problem = {0};
	int64_t began_ms = clock_monotonic_ms();
	bool did = false;
	if (began_ms < upkeep->next_ms)
		return;
	if (step(upkeep, appender, limits, &did, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "not_pruned", "reason=\"%s\"", problem.text);
		did = false;
	}
	int64_t now_ms = clock_monotonic_ms(), pause_ms = (now_ms - began_ms) * PAUSE_FACTOR;
	upkeep->is_busy = did;
	upkeep->next_ms = now_ms + (!did ? LOOK_AGAIN_MS : pause_ms > UPKEEP_PAUSE_MS ? pause_ms : UPKEEP_PAUSE_MS);
	if (!did && upkeep->rows > 0) {
		log_line(LOG_LEVEL_NOTICE, "pruned", "rows=%" PRId64, upkeep->rows);
		upkeep->rows = 0;
	}
}
