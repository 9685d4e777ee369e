/* SPDX-License-Identifier: Apache-2.0 */

/* As store/import_connect.c notes it row by row, but from all rows of a machine at once: whatever the order in which
 * they came, both are the same. */
#include "store/merged_recheck.h"

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "store/coverage.h"
#include "store/ledger_handle.h"
#include "store/merged_coverage.h"
#include "store/store.h"

enum recheck_sql { RECHECK_ORIGINS, RECHECK_ROWS, RECHECK_GAPS, RECHECK_HOLE, RECHECK_CARRIED, RECHECK_COUNT };

static const char *const sqls[RECHECK_COUNT] = {
	[RECHECK_ORIGINS] = "SELECT id, ledger_id, covered_from, covered_until, is_ended FROM origin ORDER BY id",
	[RECHECK_ROWS] =
		"SELECT origin_seq, at, body FROM record WHERE origin=?1 AND kind='coverage' AND kind " MERGED_RARE
		" AND origin_seq IS NOT NULL ORDER BY origin_seq",
	[RECHECK_GAPS] = "SELECT seq, from_us, until_us, reason FROM gap WHERE origin=?1 ORDER BY seq",
	[RECHECK_HOLE] = "SELECT NOT EXISTS(SELECT 1 FROM segment WHERE origin=?1 AND first<=?2 AND last>=?3)",
	[RECHECK_CARRIED] = MERGED_CARRIED_SQL,
};

/* What needs no order: each gives the ledger of what is wrong. */
#define NAMED                                                                                                          \
	"(SELECT DISTINCT json_extract(body, CASE kind WHEN 'delivery' THEN '$.host.instance_id' WHEN 'prune' THEN"    \
	" '$.placement.instance_id' ELSE '$.instance_id' END) AS instance_id, origin FROM record"                      \
	" WHERE kind IN ('delivery','instance','placement','prune'))"
#define BEGINS                                                                                                         \
	"(SELECT p.seq FROM record p JOIN segment s ON s.origin=o.id AND s.first=(SELECT min(first) FROM segment"      \
	" WHERE origin=o.id) WHERE p.origin=o.id AND p.kind='prune' AND p.kind " MERGED_RARE                           \
	" AND json_extract(p.body,'$.through')=s.first-1"                                                              \
	" AND json_extract(p.body,'$.chain')=coalesce(lower(hex(s.before)),''))"

static const struct {
	const char *sql, *what;
} checks[] = {
	{"SELECT o.ledger_id FROM origin_instance i LEFT JOIN origin o ON o.id=i.origin WHERE (i.instance_id, i.origin)"
         " NOT IN (SELECT instance_id, origin FROM " NAMED " WHERE instance_id IS NOT NULL) LIMIT 1",
         "table `origin_instance` names an instance that its rows do not"},
	{"SELECT o.ledger_id FROM " NAMED
         " n LEFT JOIN origin o ON o.id=n.origin WHERE typeof(n.instance_id)='text' AND"
         " (n.instance_id, n.origin) NOT IN (SELECT instance_id, origin FROM origin_instance) LIMIT 1",
         "table `origin_instance` lacks an instance that its rows name"},
	{"SELECT ledger_id FROM origin o WHERE CASE WHEN instance_id IS NULL THEN EXISTS(SELECT 1 FROM origin_instance "
         "i"
         " WHERE i.origin=o.id) ELSE (instance_id, id) NOT IN (SELECT instance_id, origin FROM origin_instance) END"
         " LIMIT 1",
         "table `origin` says that it is of another instance than its rows"},
	{"SELECT ledger_id FROM origin o WHERE CASE WHEN pruned_by IS NULL THEN EXISTS " BEGINS
         " ELSE pruned_by NOT IN " BEGINS " END LIMIT 1",
         "table `origin` does not say where its rows begin"},
};

struct recheck {
	struct ledger *ledger;
	struct audit *audit;
	struct error *err;
	sqlite3_stmt *statements[RECHECK_COUNT];
	int64_t origin;
	const char *ledger_id;
};

MUST_USE static int failed(struct recheck *recheck)
{
	return store_error(recheck->ledger->db, recheck->ledger->path, recheck->err);
}

/* Always 0: a fault is a result. */
static int found(struct recheck *recheck, const char *ledger_id, int64_t seq, const char *what)
{
	struct audit *audit = recheck->audit;
	ledger_id = ledger_id != NULL ? ledger_id : "?";
	audit->fault = AUDIT_TABLE_CHANGED;
	audit->seq = seq;
	(void)text_copy(audit->id, sizeof(audit->id), ledger_id);
	(void)snprintf(audit->detail, sizeof(audit->detail), "ledger %.64s: %s", ledger_id, what);
	return 0;
}

/* ---- coverage */

MUST_USE static int find_hole(struct recheck *recheck, const struct merged_row *a, struct merged_row *b)
{
	sqlite3_stmt *hole = recheck->statements[RECHECK_HOLE];
	(void)sqlite3_bind_int64(hole, 1, recheck->origin);
	(void)sqlite3_bind_int64(hole, 2, a->seq);
	(void)sqlite3_bind_int64(hole, 3, b->seq);
	int code = sqlite3_step(hole);
	b->row.behind_hole = code == SQLITE_ROW && sqlite3_column_int(hole, 0) != 0;
	(void)sqlite3_reset(hole);
	return code == SQLITE_ROW ? 0 : failed(recheck);
}

static bool is_gap(sqlite3_stmt *stored, int64_t seq, const struct coverage_gap *gap)
{
	const char *reason = (const char *)sqlite3_column_text(stored, 3);
	return sqlite3_column_int64(stored, 0) == seq && sqlite3_column_int64(stored, 1) == gap->from_us &&
	       sqlite3_column_int64(stored, 2) == gap->until_us && reason != NULL &&
	       strcmp(reason, coverage_reason_names[gap->reason]) == 0;
}

/* Between two rows: the next gap that is stored, if there is to be one. */
MUST_USE static int check_between(struct recheck *recheck, const struct merged_row *a, struct merged_row *b)
{
	sqlite3_stmt *stored = recheck->statements[RECHECK_GAPS];
	struct coverage_gap gap;
	if (find_hole(recheck, a, b) < 0)
		return -1;
	if (!coverage_between(&a->row, &b->row, &gap))
		return 0;
	int code = sqlite3_step(stored);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return failed(recheck);
	if (code == SQLITE_ROW && is_gap(stored, b->seq, &gap))
		return 0;
	return found(recheck, recheck->ledger_id, b->seq, "table `gap` is not what its rows say");
}

/* Over all rows; *ret_first becomes what coverage begins with, *ret_last what it ends with. 1: there are any. */
MUST_USE static int check_gaps(struct recheck *recheck, struct merged_row *ret_first, struct merged_row *ret_last)
{
	sqlite3_stmt *rows = recheck->statements[RECHECK_ROWS], *carried = recheck->statements[RECHECK_CARRIED];
	bool has_any = false, has_rows = false;
	int result = 0, code = sqlite3_step(carried);
	if (code == SQLITE_ROW) {
		*ret_first = *ret_last = merged_row_read(carried);
		has_any = true;
	}
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return failed(recheck);
	while (result == 0 && recheck->audit->fault == AUDIT_WHOLE && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		struct merged_row row = merged_row_read(rows);
		if (has_any)
			result = check_between(recheck, ret_last, &row);
		else
			*ret_first = row;
		*ret_last = row;
		has_any = has_rows = true;
	}
	if (result == 0 && code != SQLITE_ROW && code != SQLITE_DONE)
		result = failed(recheck);
	return result < 0 ? -1 : has_rows;
}

/* Of one machine. `row`: 0 id, 1 ledger, 2 covered from, 3 until, 4 has it ended. */
MUST_USE static int check_origin(struct recheck *recheck, sqlite3_stmt *row)
{
	struct merged_row first = {0}, last = {0};
	int has_any = check_gaps(recheck, &first, &last);
	if (has_any < 0 || recheck->audit->fault != AUDIT_WHOLE)
		return has_any < 0 ? -1 : 0;
	int code = sqlite3_step(recheck->statements[RECHECK_GAPS]);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return failed(recheck);
	if (code == SQLITE_ROW)
		return found(recheck, recheck->ledger_id, sqlite3_column_int64(recheck->statements[RECHECK_GAPS], 0),
		             "table `gap` has one that does not follow from its rows");
	bool is_same = has_any == 0 ? sqlite3_column_type(row, 2) == SQLITE_NULL
	                            : sqlite3_column_type(row, 2) == SQLITE_INTEGER &&
	                                      sqlite3_column_int64(row, 2) == first.row.at_us &&
	                                      sqlite3_column_type(row, 3) == SQLITE_INTEGER &&
	                                      sqlite3_column_int64(row, 3) == last.row.at_us &&
	                                      (sqlite3_column_int64(row, 4) != 0) == (last.row.event == COVERAGE_STOP);
	return is_same ? 0
	               : found(recheck, recheck->ledger_id, 0,
	                       "table `origin` says that other times are covered than its rows");
}

MUST_USE static int check_origins(struct recheck *recheck)
{
	sqlite3_stmt *origins = recheck->statements[RECHECK_ORIGINS];
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && recheck->audit->fault == AUDIT_WHOLE && (code = sqlite3_step(origins)) == SQLITE_ROW) {
		recheck->origin = sqlite3_column_int64(origins, 0);
		recheck->ledger_id = (const char *)sqlite3_column_text(origins, 1);
		static const enum recheck_sql of_origin[] = {RECHECK_ROWS, RECHECK_GAPS, RECHECK_CARRIED};
		for (size_t i = 0; i < ARRAY_LENGTH(of_origin); i++) {
			(void)sqlite3_reset(recheck->statements[of_origin[i]]);
			(void)sqlite3_bind_int64(recheck->statements[of_origin[i]], 1, recheck->origin);
		}
		result = check_origin(recheck, origins);
	}
	return result == 0 && code != SQLITE_ROW && code != SQLITE_DONE ? failed(recheck) : result;
}

/* ---- the rest */

MUST_USE static int run_check(struct recheck *recheck, const char *sql, const char *what)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(recheck->ledger->db, sql, -1, &row, NULL) != SQLITE_OK)
		return failed(recheck);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		result = found(recheck, (const char *)sqlite3_column_text(row, 0), 0, what);
	else if (code != SQLITE_DONE)
		result = failed(recheck);
	(void)sqlite3_finalize(row);
	return result;
}

int merged_recheck(struct ledger *ledger, struct audit *audit, struct error *err)
{
	struct recheck recheck = {.ledger = ledger, .audit = audit, .err = err};
	int result = 0;
	for (int i = 0; result == 0 && i < RECHECK_COUNT; i++)
		if (sqlite3_prepare_v2(ledger->db, sqls[i], -1, &recheck.statements[i], NULL) != SQLITE_OK)
			result = failed(&recheck);
	if (result == 0)
		result = check_origins(&recheck);
	for (int i = 0; i < RECHECK_COUNT; i++)
		(void)sqlite3_finalize(recheck.statements[i]);
	for (size_t i = 0; result == 0 && audit->fault == AUDIT_WHOLE && i < ARRAY_LENGTH(checks); i++)
		result = run_check(&recheck, checks[i].sql, checks[i].what);
	return result;
}
