/* SPDX-License-Identifier: Apache-2.0 */

/* One row of each key is compared: a key id never has another secret. The keys are walked by the index on them, so this
 * takes time in proportion to the keys, not to the deliveries. */
#include "store/match.h"

#include <string.h>

#include "common/secret.h"
#include "store/ledger_handle.h"
#include "store/store.h"

const char *const match_names[MATCH_COUNT] = {
	[MATCH_NONE] = "none",
	[MATCH_KEY_ID] = "key-id",
	[MATCH_TOKEN] = "token",
	[MATCH_SECRET] = "secret",
	[MATCH_SECRET_AND_TOKEN] = "secret+token",
	[MATCH_ALL] = "all",
};

static const char one_row_a_key[] =
	"WITH RECURSIVE k(id) AS (SELECT min(access_key_id) FROM record WHERE access_key_id IS NOT NULL UNION ALL"
	" SELECT (SELECT min(access_key_id) FROM record WHERE access_key_id>k.id) FROM k WHERE k.id IS NOT NULL)"
	" SELECT k.id, json_extract(r.body,'$.fingerprint.secret'), json_extract(r.body,'$.fingerprint.token'),"
	" json_extract(r.body,'$.fingerprint.whole') FROM k JOIN record r ON r.seq="
	"(SELECT seq FROM record WHERE access_key_id=k.id AND kind='delivery' ORDER BY at LIMIT 1)";

static bool is_equal(sqlite3_stmt *row, int column, bool is_known, const uint8_t wanted[static DIGEST_BYTES])
{
	uint8_t stored[DIGEST_BYTES];
	const char *hex = (const char *)sqlite3_column_text(row, column);
	return is_known && hex != NULL && digest_from_hex(hex, stored) && secret_equal(stored, wanted, DIGEST_BYTES);
}

static enum match_how compare(sqlite3_stmt *row, const char *key, const struct match_wanted *wanted)
{
	bool secret = is_equal(row, 1, wanted->has_secret, wanted->fingerprint.secret);
	bool token = is_equal(row, 2, wanted->has_token, wanted->fingerprint.token);
	bool whole = is_equal(row, 3, wanted->has_secret && wanted->has_token, wanted->fingerprint.whole);
	if (whole)
		return MATCH_ALL;
	if (secret && token)
		return MATCH_SECRET_AND_TOKEN;
	if (secret || token)
		return secret ? MATCH_SECRET : MATCH_TOKEN;
	return strcmp(key, wanted->access_key_id) == 0 ? MATCH_KEY_ID : MATCH_NONE;
}

int ledger_match(struct ledger *ledger, const struct match_wanted *wanted, match_visit *visit, void *context,
                 struct error *err)
{
	sqlite3 *db = ledger_database(ledger);
	sqlite3_stmt *rows;
	int code = SQLITE_DONE, result = 0;
	if (sqlite3_prepare_v2(db, one_row_a_key, -1, &rows, NULL) != SQLITE_OK)
		return store_error(db, ledger_path(ledger), err);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(rows, 0);
		enum match_how how = compare(rows, key, wanted);
		if (how != MATCH_NONE)
			result = visit(context, key, how, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(db, ledger_path(ledger), err);
	(void)sqlite3_finalize(rows);
	return result;
}
