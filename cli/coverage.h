/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/table.h"
#include "store/ledger.h"

/* Did the ledger see all that was asked while a key was good? */

/* The object of ledger_coverage() for the time from the key's issue (else its first delivery) to its end (else now),
 * with `access_key_id`; *ret is NULL for a key that the ledger does not know. New reference. */
MUST_USE int coverage_of_key(struct ledger *ledger, const char *key, int64_t now_us, json_t **ret, struct error *err);

/* One line a gap; nothing when there is none. */
MUST_USE int coverage_text(const json_t *coverage, const struct table_look *look, struct error *err);
