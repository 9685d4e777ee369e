/* SPDX-License-Identifier: Apache-2.0 */

/* Walks the chain, and where it breaks finds out what was done there. The links need no key: whoever can write the
 * file can also compute them anew, and only an anchor shows that (docs/threat-model.md). What is told apart here is
 * what somebody does who does not know or care. */
#include "store/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"
#include "store/audit_tables.h"
#include "store/chain.h"
#include "store/ledger_handle.h"
#include "store/merged_audit.h"
#include "store/store.h"

#define SHIFT_MAX 100000 /* rows that may be missing at one place with those behind them renumbered, and be counted */

const char *const audit_fault_names[AUDIT_FAULT_COUNT] = {
	[AUDIT_WHOLE] = "whole",
	[AUDIT_CHANGED] = "changed",
	[AUDIT_MISSING] = "missing",
	[AUDIT_INSERTED] = "inserted",
	[AUDIT_REORDERED] = "reordered",
	[AUDIT_PROCESS_CHANGED] = "process-changed",
	[AUDIT_PROCESS_MISSING] = "process-missing",
	[AUDIT_SCHEMA_CHANGED] = "schema-changed",
	[AUDIT_TABLE_CHANGED] = "table-changed",
	[AUDIT_REWRITTEN] = "rewritten",
};

#define COLUMNS "SELECT seq, at, id, kind, subject, access_key_id, body, chain FROM record "
enum sql { SQL_WALK, SQL_AT, SQL_BEFORE, SQL_AFTER, SQL_COUNT };
static const char *const sqls[SQL_COUNT] = {
	[SQL_WALK] = COLUMNS "ORDER BY seq",
	[SQL_AT] = COLUMNS "WHERE seq=?1",
	[SQL_BEFORE] = COLUMNS "WHERE seq<?1 ORDER BY seq DESC LIMIT 1",
	[SQL_AFTER] = COLUMNS "WHERE seq>?1 ORDER BY seq LIMIT 1",
};

struct walk {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	struct audit *audit;
	struct error *err;
	uint8_t link[DIGEST_BYTES]; /* of the last good row */
	int64_t expected;           /* the number that comes next */
};

/* A row as it lies there; texts are lent until its statement steps on. */
struct stored {
	struct chain_row row;
	uint8_t link[DIGEST_BYTES];
	bool has_link;
};

static int found(struct walk *walk, enum audit_fault fault, const struct stored *row, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* Notes what is wrong with a row. Always 0: a fault is a result. */
static int found(struct walk *walk, enum audit_fault fault, const struct stored *row, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(walk->audit->detail, sizeof(walk->audit->detail), format, arguments);
	va_end(arguments);
	walk->audit->fault = fault;
	walk->audit->seq = row->row.seq;
	(void)text_copy(walk->audit->id, sizeof(walk->audit->id), row->row.id);
	return 0;
}

static const char *text_or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static void read_row(sqlite3_stmt *from, struct stored *ret)
{
	*ret = (struct stored){
		.row = {.seq = sqlite3_column_int64(from, 0),
	                .at_us = sqlite3_column_int64(from, 1),
	                .id = text_or_empty((const char *)sqlite3_column_text(from, 2)),
	                .kind = text_or_empty((const char *)sqlite3_column_text(from, 3)),
	                .subject = (const char *)sqlite3_column_text(from, 4),
	                .access_key_id = (const char *)sqlite3_column_text(from, 5),
	                .body = text_or_empty((const char *)sqlite3_column_text(from, 6))},
		.has_link =
			sqlite3_column_type(from, 7) == SQLITE_BLOB && sqlite3_column_bytes(from, 7) == DIGEST_BYTES,
	};
	if (ret->has_link)
		memcpy(ret->link, sqlite3_column_blob(from, 7), DIGEST_BYTES);
}

/* 1: there is such a row, 0: there is none, -1: error. */
MUST_USE static int get_row(struct walk *walk, enum sql which, int64_t seq, struct stored *ret)
{
	sqlite3_stmt *statement = walk->statements[which];
	(void)sqlite3_reset(statement);
	(void)sqlite3_bind_int64(statement, 1, seq);
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return code == SQLITE_DONE ? 0 : store_error(walk->db, "ledger", walk->err);
	read_row(statement, ret);
	return 1;
}

/* Would this row, as number `seq` behind `before`, have the link `link`? Running out of memory counts as no. */
static bool fits(const uint8_t before[static DIGEST_BYTES], const struct stored *row, int64_t seq,
                 const uint8_t link[static DIGEST_BYTES])
{
	uint8_t computed[DIGEST_BYTES];
	struct chain_row as = row->row;
	as.seq = seq;
	return chain_next(before, &as, computed, NULL) == 0 && memcmp(computed, link, DIGEST_BYTES) == 0;
}

static bool is_good(const struct walk *walk, const struct stored *row)
{
	return row->has_link && row->row.seq == walk->expected && fits(walk->link, row, row->row.seq, row->link);
}

/* ---- where the chain breaks */

/* The row that belongs here, wherever it lies: with its own link, or with the link that was left here. 1, 0 or -1. */
MUST_USE static int find_true_row(struct walk *walk, const struct stored *bad, int64_t *ret_seq)
{
	sqlite3_stmt *all;
	int code, result = 0;
	if (sqlite3_prepare_v2(walk->db, sqls[SQL_WALK], -1, &all, NULL) != SQLITE_OK)
		return store_error(walk->db, "ledger", walk->err);
	while (result == 0 && (code = sqlite3_step(all)) == SQLITE_ROW) {
		struct stored row;
		read_row(all, &row);
		if (row.row.seq < walk->expected || row.row.seq == bad->row.seq)
			continue;
		bool here = (row.has_link && fits(walk->link, &row, walk->expected, row.link)) ||
		            (bad->has_link && fits(walk->link, &row, walk->expected, bad->link));
		if (here) {
			*ret_seq = row.row.seq;
			result = 1;
		}
	}
	(void)sqlite3_finalize(all);
	return result;
}

/* Did the bad row stand where the true row stands now? Then the two were exchanged. */
MUST_USE static int was_exchanged(struct walk *walk, const struct stored *bad, int64_t true_seq)
{
	struct stored there = {0}, before = {0};
	uint8_t link[DIGEST_BYTES];
	int has_there = get_row(walk, SQL_AT, true_seq, &there);
	if (has_there <= 0)
		return has_there;
	memcpy(link, there.link, sizeof(link));
	if (bad->has_link && (fits(link, bad, true_seq, bad->link) || fits(bad->link, bad, true_seq, link)))
		return 1; /* neighbours: what was before it is the row that stands there now, or the link left here */
	int has_before = get_row(walk, SQL_BEFORE, true_seq, &before);
	if (has_before <= 0)
		return has_before;
	return (bad->has_link && fits(before.link, bad, true_seq, bad->link)) || fits(before.link, bad, true_seq, link);
}

MUST_USE static int explain_elsewhere(struct walk *walk, const struct stored *bad, int64_t true_seq)
{
	struct stored there = {0}, after = {0};
	uint8_t link[DIGEST_BYTES];
	int64_t shift = true_seq - walk->expected;
	int exchanged = was_exchanged(walk, bad, true_seq);
	if (exchanged < 0)
		return -1;
	if (exchanged == 1)
		return found(walk, AUDIT_REORDERED, bad, "row %" PRId64 " and row %" PRId64 " have changed places",
		             walk->expected, true_seq);
	if (get_row(walk, SQL_AT, true_seq, &there) < 0)
		return -1;
	memcpy(link, there.link, sizeof(link));
	int has_after = get_row(walk, SQL_AFTER, true_seq, &after);
	if (has_after < 0)
		return -1;
	bool is_next = bad->has_link && fits(link, bad, walk->expected + 1, bad->link);
	bool goes_on =
		has_after == 0 || (after.row.seq == true_seq + 1 && fits(link, &after, walk->expected + 1, after.link));
	if (goes_on && !is_next && bad->row.seq == walk->expected)
		return found(walk, AUDIT_INSERTED, bad,
		             "%" PRId64 " row(s) were put in here; what was row %" PRId64 " is row %" PRId64 " now",
		             shift, walk->expected, true_seq);
	return found(walk, AUDIT_REORDERED, bad, "what was row %" PRId64 " is row %" PRId64 " now", walk->expected,
	             true_seq);
}

/* How many rows in front of the bad one were taken out, with those behind it renumbered? 0: it was not so. */
static int64_t count_taken_out(const struct walk *walk, const struct stored *bad, const struct stored *after)
{
	for (int64_t shift = 1; bad->has_link && shift <= SHIFT_MAX; shift++)
		if (fits(bad->link, after, walk->expected + 1 + shift, after->link))
			return shift;
	return 0;
}

MUST_USE static int explain_here(struct walk *walk, const struct stored *bad)
{
	struct stored after = {0};
	uint8_t computed[DIGEST_BYTES];
	int has_after = get_row(walk, SQL_AFTER, bad->row.seq, &after);
	if (has_after < 0)
		return -1;
	if (has_after == 1 && after.has_link && bad->has_link && fits(bad->link, &after, after.row.seq, after.link))
		return found(walk, AUDIT_CHANGED, bad, "the content of row %" PRId64 " was changed", bad->row.seq);
	if (has_after == 1 && after.has_link && chain_next(walk->link, &bad->row, computed, NULL) == 0 &&
	    fits(computed, &after, after.row.seq, after.link))
		return found(walk, AUDIT_CHANGED, bad, "the link of row %" PRId64 " was changed", bad->row.seq);
	int64_t taken_out = has_after == 1 && after.has_link ? count_taken_out(walk, bad, &after) : 0;
	if (taken_out > 0)
		return found(walk, AUDIT_MISSING, bad,
		             "%" PRId64 " row(s) in front of row %" PRId64 " were taken out, those behind renumbered",
		             taken_out, bad->row.seq);
	return found(walk, AUDIT_CHANGED, bad, "row %" PRId64 " was changed%s", bad->row.seq,
	             has_after == 1 ? ", and so was the one behind it" : "");
}

/* The first row that is not good. */
MUST_USE static int explain(struct walk *walk, const struct stored *bad)
{
	int64_t true_seq = 0;
	if (bad->row.seq < walk->expected)
		return found(walk, AUDIT_INSERTED, bad, "row %" PRId64 " was put in front of the first, %" PRId64,
		             bad->row.seq, walk->expected);
	int is_elsewhere = find_true_row(walk, bad, &true_seq);
	if (is_elsewhere < 0)
		return -1;
	if (is_elsewhere == 1)
		return explain_elsewhere(walk, bad, true_seq);
	if (bad->row.seq > walk->expected)
		return found(walk, AUDIT_MISSING, bad, "row(s) %" PRId64 " to %" PRId64 " were taken out",
		             walk->expected, bad->row.seq - 1);
	return explain_here(walk, bad);
}

/* ---- the walk */

/* Where the chain begins: with the ledger's id, or behind what was pruned. */
MUST_USE static int begin(struct walk *walk)
{
	struct audit *audit = walk->audit;
	struct anchor start;
	bool said;
	if (audit_start(walk->db, &start, &said, walk->err) < 0)
		return -1;
	audit->pruned_until = start.seq;
	audit->head = start;
	walk->expected = start.seq + 1;
	memcpy(walk->link, start.chain, DIGEST_BYTES);
	if (!said) {
		audit->fault = AUDIT_MISSING;
		(void)snprintf(audit->detail, sizeof(audit->detail),
		               "rows up to %" PRId64 " are gone, and no row of kind prune says so", start.seq);
	}
	return 0;
}

MUST_USE static int walk_rows(struct walk *walk)
{
	sqlite3_stmt *rows = walk->statements[SQL_WALK];
	int code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		struct stored row;
		read_row(rows, &row);
		if (!is_good(walk, &row))
			return explain(walk, &row);
		memcpy(walk->link, row.link, DIGEST_BYTES);
		walk->expected++;
		walk->audit->rows++;
		walk->audit->head.seq = row.row.seq;
		walk->audit->head.at_us = row.row.at_us;
		memcpy(walk->audit->head.chain, row.link, DIGEST_BYTES);
	}
	return code == SQLITE_DONE ? 0 : store_error(walk->db, "ledger", walk->err);
}

MUST_USE static int walk_run(struct walk *walk)
{
	for (int i = 0; i < SQL_COUNT; i++)
		if (sqlite3_prepare_v2(walk->db, sqls[i], -1, &walk->statements[i], NULL) != SQLITE_OK)
			return store_error(walk->db, "ledger", walk->err);
	if (begin(walk) < 0)
		return -1;
	return walk->audit->fault == AUDIT_WHOLE ? walk_rows(walk) : 0;
}

MUST_USE static int audit_own(struct walk *walk)
{
	int result = audit_schema(walk->db, &ledger_schema, walk->audit, walk->err);
	if (result == 0 && walk->audit->fault == AUDIT_WHOLE)
		result = walk_run(walk);
	for (int i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize(walk->statements[i]);
	if (result == 0 && walk->audit->fault == AUDIT_WHOLE)
		result = audit_processes(walk->db, walk->audit, walk->err);
	return result;
}

int audit_ledger(struct ledger *ledger, struct audit *ret, struct error *err)
{
	struct audit audit = {0};
	struct error ignored;
	struct walk walk = {.db = ledger_database(ledger), .audit = &audit, .err = err};
	if (store_exec(walk.db, "BEGIN", err) < 0)
		return -1;
	int result = ledger->is_merged ? merged_audit(ledger, &audit, err) : audit_own(&walk);
	(void)store_exec(walk.db, "ROLLBACK", &ignored);
	if (result == 0)
		*ret = audit;
	return result;
}
