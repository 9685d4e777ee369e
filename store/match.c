/* SPDX-License-Identifier: Apache-2.0 */

/* Two rows of each key are compared: a key id never has another secret, but host.key may have been changed between its
 * first delivery and its last. The keys are walked by the index on them, so this takes time in proportion to the keys,
 * not to the deliveries. */
#include "store/match.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
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

static const char two_rows_a_key[] =
	"WITH RECURSIVE k(id) AS (SELECT min(access_key_id) FROM record WHERE access_key_id IS NOT NULL UNION ALL"
	" SELECT (SELECT min(access_key_id) FROM record WHERE access_key_id>k.id) FROM k WHERE k.id IS NOT NULL)"
	" SELECT k.id, json_extract(r.body,'$.fingerprint.secret'), json_extract(r.body,'$.fingerprint.token'),"
	" json_extract(r.body,'$.fingerprint.whole'), json_extract(r.body,'$.fingerprint.key') FROM k JOIN record r"
	" ON r.seq IN ((SELECT seq FROM record WHERE access_key_id=k.id AND kind='delivery' ORDER BY at LIMIT 1),"
	" (SELECT seq FROM record WHERE access_key_id=k.id AND kind='delivery' ORDER BY at DESC LIMIT 1))";

/* Of many machines: by the keys' own table and its indices; ?2 and ?3 are lists, of a digest under each key. The
 * digests are keyed, so that a comparison that takes longer for some of them tells nothing of a secret. */
static const char keys_that_match[] =
	"SELECT access_key_id, secret, token, whole, NULL FROM key WHERE access_key_id=?1 UNION"
	" SELECT access_key_id, secret, token, whole, NULL FROM key WHERE secret IN (SELECT value FROM json_each(?2)) "
	"UNION"
	" SELECT access_key_id, secret, token, whole, NULL FROM key WHERE token IN (SELECT value FROM json_each(?3)) "
	"ORDER BY 1";

/* Keys with fingerprints under a key that is not in the list ?1. */
static const char keys_unknown[] =
	"SELECT count(*) FROM key k WHERE coalesce((SELECT json_extract(r.body,'$.fingerprint.key') FROM record r WHERE"
	" r.access_key_id=k.access_key_id AND r.origin=k.origin AND r.kind='delivery' LIMIT 1),'') NOT IN"
	" (SELECT value FROM json_each(?1) UNION SELECT '')";

int match_order(const void *a, const void *b)
{
	const struct fingerprint *one = a, *two = b;
	return strcmp(one->key, two->key);
}

static bool is_equal(sqlite3_stmt *row, int column, bool is_known, const uint8_t wanted[static DIGEST_BYTES])
{
	uint8_t stored[DIGEST_BYTES];
	const char *hex = (const char *)sqlite3_column_text(row, column);
	return is_known && hex != NULL && digest_from_hex(hex, stored) && secret_equal(stored, wanted, DIGEST_BYTES);
}

/* By one fingerprint. */
static enum match_how compare_one(sqlite3_stmt *row, const struct match_wanted *wanted,
                                  const struct fingerprint *fingerprint)
{
	bool secret = is_equal(row, 1, wanted->has_secret, fingerprint->secret);
	bool token = is_equal(row, 2, wanted->has_token, fingerprint->token);
	bool whole = is_equal(row, 3, wanted->has_secret && wanted->has_token, fingerprint->whole);
	if (whole)
		return MATCH_ALL;
	if (secret && token)
		return MATCH_SECRET_AND_TOKEN;
	return secret ? MATCH_SECRET : token ? MATCH_TOKEN : MATCH_NONE;
}

/* Rows of before keys had names are compared under every key. *ret_unknown: the row's is not there. */
static enum match_how compare(sqlite3_stmt *row, const struct match_wanted *wanted, bool *ret_unknown)
{
	const char *name = (const char *)sqlite3_column_text(row, 4);
	struct fingerprint named = {0};
	enum match_how best = MATCH_NONE;
	*ret_unknown = false;
	if (name != NULL) {
		(void)text_copy(named.key, sizeof(named.key), name);
		const struct fingerprint *found =
			wanted->count == 0
				? NULL
				: bsearch(&named, wanted->fingerprints, wanted->count, sizeof(named), match_order);
		*ret_unknown = found == NULL;
		return found != NULL ? compare_one(row, wanted, found) : MATCH_NONE;
	}
	for (size_t i = 0; i < wanted->count; i++) {
		enum match_how how = compare_one(row, wanted, &wanted->fingerprints[i]);
		best = how > best ? how : best;
	}
	return best;
}

/* A key whose rows are being looked at. */
struct looked_at {
	char key[KEY_ID_BYTES];
	enum match_how how;
	bool is_compared, is_unknown; /* a row of it could be, or could not */
};

/* All of them. */
struct walked {
	bool is_found; /* by more than its id */
	int64_t unknown;
};

MUST_USE static int finish(const struct looked_at *seen, const struct match_wanted *wanted, match_visit *visit,
                           void *context, int64_t *unknown, struct error *err)
{
	enum match_how how = seen->how;
	if (seen->key[0] == '\0')
		return 0;
	if (how == MATCH_NONE && strcmp(seen->key, wanted->access_key_id) == 0)
		how = MATCH_KEY_ID;
	*unknown += !seen->is_compared && seen->is_unknown && (wanted->has_secret || wanted->has_token);
	return how == MATCH_NONE ? 0 : visit(context, seen->key, how, err);
}

/* What the lists of merged ledgers hold. */
enum part { PART_KEY, PART_SECRET, PART_TOKEN };

MUST_USE static int bind_list(sqlite3_stmt *statement, int number, const struct match_wanted *wanted, enum part part,
                              struct error *err)
{
	CLEANUP_BUFFER struct buffer list = {0};
	char hex[DIGEST_HEX_BYTES];
	int result = buffer_printf(&list, err, "[");
	for (size_t i = 0; result == 0 && i < wanted->count; i++) {
		const struct fingerprint *one = &wanted->fingerprints[i];
		const char *text = part == PART_KEY ? one->key
		                                    : digest_hex(part == PART_SECRET ? one->secret : one->token,
		                                                 DIGEST_BYTES, hex);
		result = buffer_printf(&list, err, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	if (result == 0)
		result = buffer_printf(&list, err, "]");
	if (result == 0)
		(void)sqlite3_bind_text(statement, number, list.bytes, (int)list.length, SQLITE_TRANSIENT);
	return result;
}

MUST_USE static int prepare(struct ledger *ledger, const struct match_wanted *wanted, sqlite3_stmt **ret,
                            struct error *err)
{
	const char *sql = ledger->is_merged ? keys_that_match : two_rows_a_key;
	if (sqlite3_prepare_v2(ledger->db, sql, -1, ret, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	if (!ledger->is_merged)
		return 0;
	(void)sqlite3_bind_text(*ret, 1, wanted->access_key_id, -1, SQLITE_TRANSIENT);
	if (wanted->has_secret && bind_list(*ret, 2, wanted, PART_SECRET, err) < 0)
		return -1;
	return wanted->has_token ? bind_list(*ret, 3, wanted, PART_TOKEN, err) : 0;
}

/* Of a merged ledger in which nothing was found by secret or token: how many could not be compared. */
MUST_USE static int count_unknown(struct ledger *ledger, const struct match_wanted *wanted, int64_t *ret,
                                  struct error *err)
{
	sqlite3_stmt *row = NULL;
	int result = sqlite3_prepare_v2(ledger->db, keys_unknown, -1, &row, NULL) != SQLITE_OK
	                     ? store_error(ledger->db, ledger->path, err)
	                     : bind_list(row, 1, wanted, PART_KEY, err);
	if (result == 0 && sqlite3_step(row) != SQLITE_ROW)
		result = store_error(ledger->db, ledger->path, err);
	if (result == 0)
		*ret = sqlite3_column_int64(row, 0);
	(void)sqlite3_finalize(row);
	return result;
}

/* Each row, and each key once all of its rows are seen: it is told once, by the best of them. */
MUST_USE static int walk(struct ledger *ledger, sqlite3_stmt *rows, const struct match_wanted *wanted,
                         match_visit *visit, void *context, struct walked *ret, struct error *err)
{
	struct looked_at seen = {0};
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(rows, 0);
		bool is_unknown;
		if (strcmp(key, seen.key) != 0) {
			result = finish(&seen, wanted, visit, context, &ret->unknown, err);
			seen = (struct looked_at){0};
			(void)text_copy(seen.key, sizeof(seen.key), key);
		}
		enum match_how how = compare(rows, wanted, &is_unknown);
		seen.how = how > seen.how ? how : seen.how;
		seen.is_unknown |= is_unknown;
		seen.is_compared |= !is_unknown;
		ret->is_found |= how > MATCH_KEY_ID;
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(ledger->db, ledger->path, err);
	return result == 0 ? finish(&seen, wanted, visit, context, &ret->unknown, err) : -1;
}

int ledger_match(struct ledger *ledger, const struct match_wanted *wanted, match_visit *visit, void *context,
                 int64_t *ret_unknown, struct error *err)
{
	sqlite3_stmt *rows = NULL;
	struct walked walked = {0};
	int result = prepare(ledger, wanted, &rows, err);
	if (result == 0)
		result = walk(ledger, rows, wanted, visit, context, &walked, err);
	(void)sqlite3_finalize(rows);
	if (result == 0 && ledger->is_merged && !walked.is_found && (wanted->has_secret || wanted->has_token))
		result = count_unknown(ledger, wanted, &walked.unknown, err);
	*ret_unknown = walked.unknown;
	return result;
}
