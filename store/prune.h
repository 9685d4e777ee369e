/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/appender.h"

/* Forgetting the oldest rows. Always a whole prefix of the chain, in small steps: one transaction appends a row of kind
 * `prune` that says what goes (docs/ledger.md), takes the rows out, and notes in `meta` where the chain begins now, so
 * that it can be checked after every step and every crash. */

#define PRUNE_STEP_ROWS 100 /* in one transaction: some ten milliseconds, while a client may wait up to 500 */

enum prune_reason { PRUNE_AGE, PRUNE_SIZE, PRUNE_OPERATOR, PRUNE_REASON_COUNT };
extern const char *const prune_reason_names[PRUNE_REASON_COUNT];

struct prune_order {
	enum prune_reason reason;
	int64_t before_us; /* rows before this time; those behind a younger one stay. 0: whatever their age */
	int64_t now_us;
};

/* What one step did. */
struct prune_step {
	int rows;        /* 0: there is nothing to prune */
	int64_t through; /* number of the last one */
	int processes;   /* that no row names any more */
};

/* The next step; the newest row always stays. */
MUST_USE int prune_step(struct appender *appender, const struct prune_order *order, struct prune_step *ret,
                        struct error *err);

/* Bytes of the database that hold something; without the WAL. */
MUST_USE int prune_used_bytes(struct appender *appender, int64_t *ret, struct error *err);

/* Gives some free pages back to the file system; *ret_more: there are more. */
MUST_USE int prune_shrink(struct appender *appender, bool *ret_more, struct error *err);
