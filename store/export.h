/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/audit.h"
#include "store/ledger.h"

/* A ledger as lines of JSON (docs/ledger.md): a head, each row, an end; of a merged ledger that for each run of rows.
 * What is written can be checked without the ledger. The daemon may write on meanwhile. */

struct export_result {
	int64_t rows, sections;
	struct anchor head; /* where the next export goes on; of a merged ledger unset */
	int64_t forgotten;  /* rows behind the cursor that were pruned before they could be exported */
	bool is_another;    /* the cursor was of another ledger: this one is exported from its beginning */
};

/* Rows behind `since` (NULL, and in merged ledgers: all). ERROR_INPUT: the ledger does not hold the cursor's row, or
 * another one in its place.
 */
MUST_USE int ledger_export(struct ledger *ledger, const struct anchor *since, FILE *to, struct export_result *ret,
                           struct error *err);
