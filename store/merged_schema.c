/* SPDX-License-Identifier: Apache-2.0 */

/* One ledger out of many machines' exports: its tables. It is made by `ledger import`, never by the daemon. */
#include "store/schema_sql.h"
#include "store/store.h"

#include "store/merged_sql.h"

static const char *const migrations[] = {
	MERGED_META MERGED_ORIGIN MERGED_SEGMENT MERGED_IMPORT MERGED_ACTOR MERGED_RECORD MERGED_KEY MERGED_GAP
		MERGED_VIEW_DELIVERIES VIEW_KEYS VIEW_PROCESSES MERGED_PROPORTIONS,
	TABLE_HOLDER MERGED_FILL_HOLDER,
};

const char merged_held_sql[] = MERGED_HELD_DELIVERIES;

const struct schema merged_schema = {
	.what = "merged ledger",
	.application_id = 0x4b54524d, /* "KTRM" */
	.migrations = migrations,
	.count = (int)ARRAY_LENGTH(migrations),
	.views = MERGED_VIEW_DELIVERIES VIEW_KEYS VIEW_PROCESSES,
};
