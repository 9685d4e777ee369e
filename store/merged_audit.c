/* SPDX-License-Identifier: Apache-2.0 */

/* A merged ledger anew: each machine's chain, from the link that its rows came in with; the processes behind the rows;
 * and the tables that queries go by, which nothing but the rows may fill. Rows that were never imported are no fault,
 * and counted. */
#include "store/merged_audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"
#include "store/audit_tables.h"
#include "store/chain.h"
#include "store/ledger_handle.h"
#include "store/merged_recheck.h"
#include "store/store.h"

struct walk {
	struct ledger *ledger;
	struct audit *audit;
	struct error *err;
	int64_t origin, expected;   /* the number that comes next; 0: any */
	int64_t last;               /* of the segment */
	uint8_t link[DIGEST_BYTES]; /* of the last good row */
	bool has_link;
};

static int found(struct walk *walk, enum audit_fault fault, int64_t seq, const char *id, const char *format, ...)
	PRINTF_LIKE(5, 6);

/* Notes what is wrong. Always 0: a fault is a result. */
static int found(struct walk *walk, enum audit_fault fault, int64_t seq, const char *id, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(walk->audit->detail, sizeof(walk->audit->detail), format, arguments);
	va_end(arguments);
	walk->audit->fault = fault;
	walk->audit->seq = seq;
	(void)text_copy(walk->audit->id, sizeof(walk->audit->id), id);
	return 0;
}

static const char *text_at(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	return text != NULL ? text : "";
}

/* ---- the chains */

/* Each row beside the segment that it begins, if it does. */
static const char rows_sql[] = "SELECT r.origin, r.origin_seq, r.at, r.id, r.kind, r.subject, r.access_key_id, r.body, "
			       "r.chain, s.last, s.before,"
			       " o.ledger_id FROM record r JOIN origin o ON o.id=r.origin"
			       " LEFT JOIN segment s ON s.origin=r.origin AND s.first=r.origin_seq"
			       " WHERE r.origin_seq IS NOT NULL ORDER BY r.origin, r.origin_seq";

/* A segment begins: with the genesis, the link in front of it, or whatever its first row says. */
MUST_USE static int begin_segment(struct walk *walk, sqlite3_stmt *row)
{
	walk->origin = sqlite3_column_int64(row, 0);
	walk->expected = sqlite3_column_int64(row, 1);
	walk->last = sqlite3_column_int64(row, 9);
	walk->has_link = sqlite3_column_bytes(row, 10) == DIGEST_BYTES;
	if (walk->expected == 1) {
		walk->has_link = true;
		return chain_genesis(text_at(row, 11), walk->link, walk->err);
	}
	if (walk->has_link)
		memcpy(walk->link, sqlite3_column_blob(row, 10), DIGEST_BYTES);
	return 0;
}

MUST_USE static int check_row(struct walk *walk, sqlite3_stmt *row)
{
	uint8_t computed[DIGEST_BYTES];
	const char *ledger_id = text_at(row, 11);
	const struct chain_row as = {
		.seq = sqlite3_column_int64(row, 1),
		.at_us = sqlite3_column_int64(row, 2),
		.id = text_at(row, 3),
		.kind = text_at(row, 4),
		.subject = (const char *)sqlite3_column_text(row, 5),
		.access_key_id = (const char *)sqlite3_column_text(row, 6),
		.body = text_at(row, 7),
	};
	bool has_own = sqlite3_column_bytes(row, 8) == DIGEST_BYTES;
	bool goes_on = walk->origin == sqlite3_column_int64(row, 0) && walk->expected <= walk->last;
	if (goes_on && as.seq != walk->expected)
		return found(walk, AUDIT_MISSING, as.seq, as.id,
		             "ledger %s: row(s) %" PRId64 " to %" PRId64 " were taken out", ledger_id, walk->expected,
		             as.seq - 1);
	if (!goes_on && sqlite3_column_type(row, 9) == SQLITE_NULL)
		return found(walk, AUDIT_INSERTED, as.seq, as.id, "ledger %s: row %" PRId64 " was put in", ledger_id,
		             as.seq);
	if (!goes_on && begin_segment(walk, row) < 0)
		return -1;
	if (walk->has_link && chain_next(walk->link, &as, computed, walk->err) < 0)
		return -1;
	if (!has_own || (walk->has_link && memcmp(computed, sqlite3_column_blob(row, 8), DIGEST_BYTES) != 0))
		return found(walk, AUDIT_CHANGED, as.seq, as.id, "ledger %s: row %" PRId64 " or its link was changed",
		             ledger_id, as.seq);
	memcpy(walk->link, sqlite3_column_blob(row, 8), DIGEST_BYTES);
	walk->has_link = true;
	walk->expected++;
	walk->audit->rows++;
	return 0;
}

MUST_USE static int walk_rows(struct walk *walk)
{
	sqlite3_stmt *rows = NULL;
	int code, result = 0;
	if (sqlite3_prepare_v2(walk->ledger->db, rows_sql, -1, &rows, NULL) != SQLITE_OK)
		return store_error(walk->ledger->db, walk->ledger->path, walk->err);
	while (result == 0 && walk->audit->fault == AUDIT_WHOLE && (code = sqlite3_step(rows)) == SQLITE_ROW)
		result = check_row(walk, rows);
	if (result == 0 && walk->audit->fault == AUDIT_WHOLE && code != SQLITE_DONE)
		result = store_error(walk->ledger->db, walk->ledger->path, walk->err);
	(void)sqlite3_finalize(rows);
	return result;
}

/* ---- what only follows from rows */

/* As the importer takes it: what is no text is nothing. */
#define AND_IS(path, column)                                                                                           \
	" AND CASE json_type(r.body,'$." path "') WHEN 'text' THEN json_extract(r.body,'$." path "') END IS k." column

/* Each gives a row for what is wrong: number, id, ledger. */
static const struct check {
	enum audit_fault fault;
	const char *sql, *what;
	int64_t since; /* the version that has what it looks at; 0: each */
} checks[] = {
	{AUDIT_MISSING,
         "SELECT s.last, '', o.ledger_id FROM segment s JOIN origin o ON o.id=s.origin WHERE NOT EXISTS"
         "(SELECT 1 FROM record r WHERE r.origin=s.origin AND r.origin_seq=s.last) LIMIT 1",
         "the rows up to this one were taken out", 0},
	{AUDIT_PROCESS_MISSING,
         "SELECT r.origin_seq, r.id, o.ledger_id FROM record r JOIN origin o ON o.id=r.origin WHERE r.actor IS NULL"
         " AND json_extract(r.body,'$.process') IS NOT NULL LIMIT 1",
         "the process that it was written with is not there", 0},
	{AUDIT_PROCESS_CHANGED,
         "SELECT r.origin_seq, r.id, o.ledger_id FROM record r JOIN origin o ON o.id=r.origin LEFT JOIN actor a ON"
         " a.id=r.actor WHERE r.actor IS NOT NULL AND (a.origin IS NOT r.origin OR"
         " lower(hex(a.digest)) IS NOT json_extract(r.body,'$.process')) LIMIT 1",
         "it points to another process than it was written with", 0},
	{AUDIT_PROCESS_MISSING,
         "SELECT r.origin_seq, r.id, o.ledger_id FROM record r JOIN origin o ON o.id=r.origin, "
         "json_each(r.body,'$.holders') h"
         " WHERE r.kind='delivery' AND h.value IS NOT NULL AND (r.origin, h.value) NOT IN"
         " (SELECT origin, lower(hex(digest)) FROM actor) LIMIT 1",
         "a holder that it was written with is not there", 0},
	{AUDIT_TABLE_CHANGED,
         "SELECT r.origin_seq, r.id, o.ledger_id FROM record r JOIN origin o ON o.id=r.origin"
         " WHERE r.seq IN (" AUDIT_HOLDERS ") ORDER BY r.seq LIMIT 1",
         "table `holder` is not what the row says", 2},
	{AUDIT_TABLE_CHANGED,
         "SELECT r.origin_seq, r.id, o.ledger_id FROM record r JOIN origin o ON o.id=r.origin WHERE r.given IS NOT"
         " (r.kind='delivery' AND r.access_key_id IS NOT NULL AND json_extract(r.body,'$.outcome') IS NOT 'refused') "
         "LIMIT 1",
         "column `given` is not what the row says", 0},
	{AUDIT_TABLE_CHANGED,
         "SELECT 0, access_key_id, '' FROM (SELECT access_key_id, origin, sum(given), min(CASE given WHEN 1 THEN at "
         "END),"
         " max(CASE given WHEN 1 THEN at END) FROM record WHERE kind='delivery' AND access_key_id IS NOT NULL GROUP BY "
         "1, 2"
         " EXCEPT SELECT access_key_id, origin, deliveries, first_at, last_at FROM key) LIMIT 1",
         "table `key` is not what the rows say", 0},
	{AUDIT_TABLE_CHANGED,
         "SELECT 0, access_key_id, '' FROM key k WHERE NOT EXISTS(SELECT 1 FROM record r WHERE"
         " r.access_key_id=k.access_key_id AND r.origin=k.origin AND r.kind='delivery'" AND_IS(
		 "fingerprint.secret", "secret") AND_IS("fingerprint.token", "token")
                 AND_IS("fingerprint.whole", "whole") AND_IS("host.instance_id", "instance_id")
                         AND_IS("host.account_id", "host_account_id") AND_IS("role", "role") ") LIMIT 1",
         "table `key` is not what the rows say", 0},
};

MUST_USE static int run_check(struct walk *walk, const struct check *check)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(walk->ledger->db, check->sql, -1, &row, NULL) != SQLITE_OK)
		return store_error(walk->ledger->db, walk->ledger->path, walk->err);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		result = found(walk, check->fault, sqlite3_column_int64(row, 0), text_at(row, 1),
		               "ledger %s: row %lld: %s", text_at(row, 2), sqlite3_column_int64(row, 0), check->what);
	else if (code != SQLITE_DONE)
		result = store_error(walk->ledger->db, walk->ledger->path, walk->err);
	(void)sqlite3_finalize(row);
	return result;
}

/* Rows that are known not to be there, but for those that their machine had forgotten. */
static const char unimported_sql[] = "SELECT coalesce(sum(gap),0) FROM (SELECT s.first-1-coalesce(lag(s.last) OVER "
				     "(PARTITION BY s.origin ORDER BY s.first),"
				     " CASE WHEN o.pruned_by IS NOT NULL THEN s.first-1 ELSE 0 END) AS gap FROM "
				     "segment s JOIN origin o ON o.id=s.origin)";

int merged_audit(struct ledger *ledger, struct audit *audit, struct error *err)
{
	struct walk walk = {.ledger = ledger, .audit = audit, .err = err, .last = -1};
	int64_t version = 0;
	int result = store_integer(ledger->db, "PRAGMA user_version", &version, err);
	if (result == 0 && !ledger->is_loose)
		result = audit_schema(ledger->db, &merged_schema, audit, err);
	if (result == 0 && audit->fault == AUDIT_WHOLE)
		result = walk_rows(&walk);
	if (result == 0 && audit->fault == AUDIT_WHOLE)
		result = audit_digests(ledger->db, audit, err);
	for (size_t i = 0; result == 0 && audit->fault == AUDIT_WHOLE && i < ARRAY_LENGTH(checks); i++)
		if (checks[i].since <= version)
			result = run_check(&walk, &checks[i]);
	if (result == 0 && audit->fault == AUDIT_WHOLE)
		result = merged_recheck(ledger, audit, err);
	return result < 0 ? -1 : store_integer(ledger->db, unimported_sql, &audit->unimported, err);
}

/* ---- anchors */

int merged_audit_anchor(struct ledger *ledger, const struct anchor *anchor, struct audit *audit, struct error *err)
{
	struct walk walk = {.ledger = ledger, .audit = audit, .err = err};
	sqlite3_stmt *row = NULL;
	int result = 0;
	const char *sql =
		"SELECT o.id, r.chain, r.id, (SELECT max(last) FROM segment WHERE origin=o.id) FROM origin o LEFT JOIN"
		" record r ON r.origin=o.id AND r.origin_seq=?2 WHERE o.ledger_id=?1";
	if (sqlite3_prepare_v2(ledger->db, sql, -1, &row, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	(void)sqlite3_bind_text(row, 1, anchor->ledger_id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(row, 2, anchor->seq);
	int code = sqlite3_step(row);
	bool has_link = code == SQLITE_ROW && sqlite3_column_bytes(row, 1) == DIGEST_BYTES;
	if (code == SQLITE_DONE)
		result = error_set(err, ERROR_INPUT, "the anchor is of ledger %s, of which nothing was imported",
		                   anchor->ledger_id);
	else if (code != SQLITE_ROW)
		result = store_error(ledger->db, ledger->path, err);
	else if (audit->fault == AUDIT_WHOLE && has_link &&
	         memcmp(sqlite3_column_blob(row, 1), anchor->chain, DIGEST_BYTES) != 0)
		result =
			found(&walk, AUDIT_REWRITTEN, anchor->seq, text_at(row, 2),
		              "ledger %s: row %" PRId64 " of the anchor has another link: rows up to it were rewritten",
		              anchor->ledger_id, anchor->seq);
	else if (!has_link)
		audit->unimported++; /* the anchor's row is not here: it proves nothing, and that is told */
	(void)sqlite3_finalize(row);
	return result;
}
