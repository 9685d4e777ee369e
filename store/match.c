/* SPDX-License-Identifier: Apache-2.0 */

/* One row of each key is compared: a key id never has another secret. The keys are walked by the index on them, so this
 * takes time in proportion to the keys, not to the deliveries. */
#include "store/match.h"

#include <string.h>

#include "common/secret.h"
#include "common/text.h"
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

/* Of many machines: by the keys' own table and its indices. The digests are keyed, so that a comparison that takes
 * longer for some of them tells nothing of a secret. */
static const char keys_that_match[] = "SELECT access_key_id, secret, token, whole FROM key WHERE access_key_id=?1 UNION"
				      " SELECT access_key_id, secret, token, whole FROM key WHERE secret=?2 UNION"
				      " SELECT access_key_id, secret, token, whole FROM key WHERE token=?3 ORDER BY 1";

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

MUST_USE static int prepare_merged(struct ledger *ledger, const struct match_wanted *wanted, sqlite3_stmt **ret,
                                   struct error *err)
{
	char hex[DIGEST_HEX_BYTES];
	if (sqlite3_prepare_v2(ledger->db, keys_that_match, -1, ret, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	(void)sqlite3_bind_text(*ret, 1, wanted->access_key_id, -1, SQLITE_TRANSIENT);
	if (wanted->has_secret)
		(void)sqlite3_bind_text(*ret, 2, digest_hex(wanted->fingerprint.secret, DIGEST_BYTES, hex), -1,
		                        SQLITE_TRANSIENT);
	if (wanted->has_token)
		(void)sqlite3_bind_text(*ret, 3, digest_hex(wanted->fingerprint.token, DIGEST_BYTES, hex), -1,
		                        SQLITE_TRANSIENT);
	return 0;
}

/* A key id whose rows have several fingerprints (of several machines) is told once, by the best of them. */
int ledger_match(struct ledger *ledger, const struct match_wanted *wanted, match_visit *visit, void *context,
                 struct error *err)
{
	sqlite3_stmt *rows = NULL;
	enum match_how best = MATCH_NONE;
	char key[KEY_ID_BYTES] = "";
	int code, result = 0;
	if (ledger->is_merged && prepare_merged(ledger, wanted, &rows, err) < 0)
		return -1;
	if (!ledger->is_merged && sqlite3_prepare_v2(ledger->db, one_row_a_key, -1, &rows, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(rows, 0);
		enum match_how how = compare(rows, id, wanted);
		if (strcmp(id, key) != 0 && best != MATCH_NONE)
			result = visit(context, key, best, err);
		if (strcmp(id, key) != 0)
			best = MATCH_NONE;
		best = how > best ? how : best;
		(void)text_copy(key, sizeof(key), id);
	}
	if (result == 0 && code == SQLITE_DONE && best != MATCH_NONE)
		result = visit(context, key, best, err);
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(ledger->db, ledger->path, err);
	(void)sqlite3_finalize(rows);
	return result;
}
