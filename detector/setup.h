/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/detect.h"
#include "detector/inventory.h"
#include "detector/ranges.h"
#include "detector/triage.h"
#include "store/findings.h"

/* What a run needs before the first record: everything is opened here, and closed here. */
struct setup {
	struct ledger **ledgers;
	size_t ledger_count;
	struct tracked tracked;
	struct triage triage;
	struct inventory *inventory;
	struct ranges *ranges;
	struct findings *findings;
	bool without_ledger;
	bool has_odd_key; /* a key id that does not look like one: every record must be parsed */
	int64_t now_us;   /* which suppressions are in force */
};

/* Notes in *summary what the user should know: the date of the ranges, where findings go. */
MUST_USE int setup_open(const struct detect_options *options, struct setup *ret, struct detect_summary *summary,
                        struct error *err);
void setup_close(struct setup *setup);
