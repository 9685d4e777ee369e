/* SPDX-License-Identifier: Apache-2.0 */

/* What was released of the ledger's schema stays as it is: `keytrail ledger verify` holds every ledger to it. */
#include <sqlite3.h>

#include "common/digest.h"
#include "store/store.h"
#include "tests/common/unit.h"

static const struct {
	const char *name;
	const char *digest; /* of every statement that sqlite_schema has */
} versions[] = {
	{"version 1", "dffa8e55b8ad730fd35e522986ac0f52be7ef55534e2e2beb0467efaa99c9aa2"},
	{"version 2", "599c5a5032fb31b05c7b9aa7409e4558253d7d135534eb0607fdf03191234298"},
	{"version 3", "44d0ad95aa55dea207f85a444aca3d2106403b0f798d6786090c7654ee9b06f7"},
};

#define TEXT                                                                                                           \
	"SELECT group_concat(type||'|'||name||'|'||coalesce(sql,''),x'0a')||x'0a' FROM"                                \
	" (SELECT * FROM sqlite_schema ORDER BY type, name)"

static void keeps_what_was_released(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		struct schema schema = ledger_schema;
		sqlite3 *db = NULL;
		sqlite3_stmt *row = NULL;
		uint8_t digest[DIGEST_BYTES];
		char hex[DIGEST_HEX_BYTES];
		schema.count = (int)i + 1;
		CHECK_NUMBER(versions[i].name, store_open_write(":memory:", &schema, &db, NULL), 0);
		CHECK_NUMBER(versions[i].name, sqlite3_prepare_v2(db, TEXT, -1, &row, NULL), SQLITE_OK);
		CHECK_NUMBER(versions[i].name, sqlite3_step(row), SQLITE_ROW);
		const char *text = (const char *)sqlite3_column_text(row, 0);
		CHECK_NUMBER(versions[i].name, digest_of(text, strlen(text), digest, NULL), 0);
		CHECK_TEXT(versions[i].name, digest_hex(digest, DIGEST_BYTES, hex), versions[i].digest);
		(void)sqlite3_finalize(row);
		store_close(db);
	}
}

static void pins_every_version(void **state)
{
	(void)state;
	assert_int_equal(ledger_schema.count, ARRAY_LENGTH(versions));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_was_released),
		cmocka_unit_test(pins_every_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
