/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "detector/map.h"
#include "store/ledger.h"

/* Did a ledger see all that was asked on an instance, for all of a time? Asked of the ledgers once for each instance,
 * which is rare; safe from any thread as long as nobody else uses the ledgers meanwhile. */
struct covered {
	struct ledger *const *ledgers; /* borrowed */
	size_t ledger_count;
	pthread_mutex_t lock;
	struct map known; /* instance -> index in spans of its list */
	struct span *spans;
	size_t count, capacity;
};

/* A time without a gap, as one ledger says. */
struct span {
	int64_t from_us, until_us;
	uint32_t next; /* of the same instance */
};

void covered_init(struct covered *covered, struct ledger *const *ledgers, size_t count);
void covered_done(struct covered *covered);

/* Times by the machine's clock. One ledger alone must cover all of it. */
MUST_USE int covered_ask(struct covered *covered, const char *instance, int64_t from_us, int64_t until_us, bool *ret,
                         struct error *err);
