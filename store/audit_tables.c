/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of a ledger that no link covers by itself. */
#include "store/audit_tables.h"

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "store/chain.h"
#include "store/store.h"

/* ---- tables and views */

/* Everything that a database defines, as one text. */
#define SCHEMA_TEXT                                                                                                    \
	"SELECT coalesce(group_concat(type||' '||name||' '||coalesce(sql,''),x'0a'),'') FROM"                          \
	" (SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name)"

MUST_USE static int schema_text(sqlite3 *db, char **ret, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = -1;
	if (sqlite3_prepare_v2(db, SCHEMA_TEXT, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		(void)store_error(db, "ledger", err);
	else if ((*ret = strdup((const char *)sqlite3_column_text(statement, 0))) == NULL)
		(void)error_set(err, ERROR_MEMORY, "no memory for a schema");
	else
		result = 0;
	(void)sqlite3_finalize(statement);
	return result;
}

/* A database of that version, made by this program. */
MUST_USE static int expected_schema(const struct schema *schema, int64_t version, char **ret, struct error *err)
{
	struct schema older = *schema;
	sqlite3 *model = NULL;
	older.count = (int)version;
	int result = store_open_write(":memory:", &older, &model, err);
	if (result == 0)
		result = schema_text(model, ret, err);
	store_close(model);
	return result;
}

int audit_schema(sqlite3 *db, const struct schema *schema, struct audit *audit, struct error *err)
{
	CLEANUP_FREE char *actual = NULL;
	CLEANUP_FREE char *expected = NULL;
	int64_t version;
	if (store_integer(db, "PRAGMA user_version", &version, err) < 0 || schema_text(db, &actual, err) < 0 ||
	    expected_schema(schema, version, &expected, err) < 0)
		return -1;
	if (actual != NULL && expected != NULL && strcmp(actual, expected) == 0)
		return 0;
	audit->fault = AUDIT_SCHEMA_CHANGED;
	(void)text_copy(audit->detail, sizeof(audit->detail),
	                "tables, indices or views are not those that keytraild makes");
	return 0;
}

/* ---- processes */

int audit_digests(sqlite3 *db, struct audit *audit, struct error *err)
{
	sqlite3_stmt *actors = NULL;
	uint8_t digest[DIGEST_BYTES];
	int code, result = 0;
	if (sqlite3_prepare_v2(db, "SELECT id, digest, body FROM actor ORDER BY id", -1, &actors, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	while ((code = sqlite3_step(actors)) == SQLITE_ROW && audit->fault == AUDIT_WHOLE) {
		const void *body = sqlite3_column_text(actors, 2);
		result = digest_of(body, (size_t)sqlite3_column_bytes(actors, 2), digest, err);
		if (result < 0)
			break;
		if (sqlite3_column_bytes(actors, 1) == DIGEST_BYTES &&
		    memcmp(sqlite3_column_blob(actors, 1), digest, DIGEST_BYTES) == 0)
			continue;
		audit->fault = AUDIT_PROCESS_CHANGED;
		(void)snprintf(audit->detail, sizeof(audit->detail),
		               "process %lld of table actor is not what its digest says",
		               sqlite3_column_int64(actors, 0));
	}
	if (result == 0 && code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(db, "ledger", err);
	(void)sqlite3_finalize(actors);
	return result;
}

/* Rows whose processes are not those of their bodies, the first one of each kind of fault. */
static const struct process_check {
	enum audit_fault fault;
	const char *sql; /* seq, id */
	const char *what;
	int64_t since; /* the version of the schema that has what is looked at */
} checks[] = {
	{AUDIT_PROCESS_MISSING,
         "SELECT seq, id FROM record WHERE json_extract(body,'$.process') IS NOT NULL AND"
         " json_extract(body,'$.process') NOT IN (SELECT lower(hex(digest)) FROM actor) ORDER BY seq LIMIT 1",
         "the process that it was written with is not there", 0},
	{AUDIT_PROCESS_MISSING,
         "SELECT r.seq, r.id FROM record r, json_each(r.body,'$.holders') h WHERE"
         " h.value NOT IN (SELECT lower(hex(digest)) FROM actor) ORDER BY r.seq LIMIT 1",
         "a holder that it was written with is not there", 0},
	{AUDIT_PROCESS_CHANGED,
         "SELECT r.seq, r.id FROM record r LEFT JOIN actor a ON a.id=r.actor WHERE"
         " coalesce(lower(hex(a.digest)),'')<>coalesce(json_extract(r.body,'$.process'),'') ORDER BY r.seq LIMIT 1",
         "it points to another process than it was written with", 0},
	{AUDIT_PROCESS_CHANGED,
         "SELECT r.seq, r.id FROM record r WHERE r.seq IN (" AUDIT_HOLDERS ") ORDER BY r.seq LIMIT 1",
         "table `holder` names other processes than it was written with", 3},
};

MUST_USE static int run_check(sqlite3 *db, const struct process_check *check, struct audit *audit, struct error *err)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(db, check->sql, -1, &row, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		audit->fault = check->fault;
		audit->seq = sqlite3_column_int64(row, 0);
		(void)text_copy(audit->id, sizeof(audit->id), (const char *)sqlite3_column_text(row, 1));
		(void)snprintf(audit->detail, sizeof(audit->detail), "row %" PRId64 ": %s", audit->seq, check->what);
	} else if (code != SQLITE_DONE) {
		result = store_error(db, "ledger", err);
	}
	(void)sqlite3_finalize(row);
	return result;
}

int audit_processes(sqlite3 *db, struct audit *audit, struct error *err)
{
	int64_t version = 0;
	int result = store_integer(db, "PRAGMA user_version", &version, err);
	if (result == 0)
		result = audit_digests(db, audit, err);
	for (size_t i = 0; result == 0 && audit->fault == AUDIT_WHOLE && i < ARRAY_LENGTH(checks); i++)
		if (checks[i].since <= version)
			result = run_check(db, &checks[i], audit, err);
	return result;
}

/* ---- where the chain begins */

/* Pruning leaves two rows in `meta`, and one of its own in the chain that says the same. */
MUST_USE static int read_pruned(sqlite3 *db, struct anchor *start, bool *ret_said, struct error *err)
{
	static const char sql[] =
		"SELECT CAST(s.value AS INTEGER), c.value, json_extract(r.body,'$.through')=s.value"
		" AND json_extract(r.body,'$.chain')=c.value FROM meta s JOIN meta c ON c.name='pruned_chain'"
		" LEFT JOIN meta b ON b.name='pruned_by' LEFT JOIN record r ON r.seq=b.value AND r.kind='prune'"
		" WHERE s.name='pruned_seq'";
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		const char *hex = (const char *)sqlite3_column_text(row, 1);
		start->seq = sqlite3_column_int64(row, 0);
		if (hex == NULL || start->seq < 1 || !digest_from_hex(hex, start->chain))
			result = error_set(err, ERROR_INPUT, "ledger: what it says of pruned rows makes no sense");
		*ret_said = sqlite3_column_int(row, 2) != 0;
	} else if (code != SQLITE_DONE) {
		result = store_error(db, "ledger", err);
	}
	(void)sqlite3_finalize(row);
	return result;
}

int audit_start(sqlite3 *db, struct anchor *ret, bool *ret_said, struct error *err)
{
	bool said = true;
	sqlite3_stmt *row = NULL;
	struct anchor start = {0};
	int result = 0;
	if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name='ledger_id'", -1, &row, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW && sqlite3_column_type(row, 0) == SQLITE_TEXT &&
	    text_copy(start.ledger_id, sizeof(start.ledger_id), (const char *)sqlite3_column_text(row, 0)))
		result = chain_genesis(start.ledger_id, start.chain, err);
	else
		result = error_set(err, ERROR_INPUT, "ledger: it has no id");
	(void)sqlite3_finalize(row);
	if (result == 0)
		result = read_pruned(db, &start, &said, err);
	if (result == 0)
		*ret = start;
	if (result == 0 && ret_said != NULL)
		*ret_said = said;
	return result;
}
