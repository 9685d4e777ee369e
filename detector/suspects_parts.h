/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/map.h"
#include "detector/suspects.h"

/* What the two files of the ranking share; no other includes this. */

struct suspect {
	json_t *delivery; /* owned: the first one to this process */
	struct ledger *ledger;
	int64_t first_us, last_us;
	int64_t count;
	int64_t offset_us; /* AWS's clock minus the machine's at that time */
	json_t *reasons;   /* owned */
	int64_t points, grade_points;
	bool was_delivered; /* at least once the whole answer went out */
	bool is_before;     /* it comes into question */
};

struct ranking {
	struct suspect *suspects;
	size_t count, capacity;
	struct map by_process;
	struct map seen; /* deliveries, where several ledgers may hold the same one */
	bool may_repeat;
	struct ledger *ledger; /* being read */
	const struct tracked *tracked;
	int64_t first_delivery_us;
};

/* Gives each suspect its reasons and points, and says whether it comes into question. */
void suspects_weigh(struct ranking *ranking, const json_t *finding);

#define SUSPECTS_BEFORE "received the key before its first use"

/* Of a delivery: did the process pass traffic on for others? */
bool suspects_is_relay(const json_t *delivery);

/* A time in an object; 0 where there is none. */
int64_t suspects_time(const json_t *object, const char *path);
