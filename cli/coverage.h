/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/table.h"
#include "store/coverage.h"
#include "store/ledger.h"

/* Did the ledger see all that was asked while a key was good? */

/* The object of ledger_coverage() for the time asked for, or (from_us 0) from the key's issue (else its first delivery)
 * to its end (else now), of the instance that it was issued to; with `access_key_id`, and of a merged ledger `machines`
 * and `uncovered[]`, the other machines that were not covered all of that time: one of them may have had the key, too.
 * *ret is NULL for a key that the ledger does not know, if no time is asked for. New reference. */
MUST_USE int coverage_of_key(struct ledger *ledger, const char *key, int64_t from_us, int64_t until_us, int64_t now_us,
                             json_t **ret, struct error *err);

/* A gap as "FROM to UNTIL, REASON (in plain words)", escaped, with `what` in front of it (cli/prose.h). */
MUST_USE int coverage_gap_text(const json_t *gap, const char *what, const struct table_look *look, struct error *err);

/* One line a gap, and one for other machines; nothing when there is none. */
MUST_USE int coverage_text(const json_t *coverage, const struct table_look *look, struct error *err);
