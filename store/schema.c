/* SPDX-License-Identifier: Apache-2.0 */

/* The ledger's tables. They only ever grow: a row is a fact as it was inserted, later facts are rows of their own
 * (`subject` names what they are about), and `chain` binds each row to all before it. What `body` holds, and the
 * views, which are an interface, stand in docs/ledger.md. */
#include "store/store.h"

#include "store/schema_sql.h"

static const char *const migrations[] = {
	TABLE_META TABLE_ACTOR TABLE_RECORD,
	DROP_VIEWS INDEX_EXE_FILE VIEW_DELIVERIES VIEW_KEYS VIEW_PROCESSES,
	TABLE_HOLDER FILL_HOLDER,
};

const char ledger_held_sql[] = HELD_DELIVERIES;

const struct schema ledger_schema = {
	.what = "ledger",
	.application_id = 0x4b54524c, /* "KTRL" */
	.migrations = migrations,
	.count = (int)ARRAY_LENGTH(migrations),
	.views = VIEW_DELIVERIES VIEW_KEYS VIEW_PROCESSES,
};
