/* SPDX-License-Identifier: Apache-2.0 */

/* Reading coverage of many machines: what import_connect.c left in table `gap`, so that no row has to be looked at. */
#include "store/merged_coverage.h"

#include <string.h>

#include "store/coverage.h"
#include "store/model.h"
#include "store/store.h"

static const char origins_of_instance[] =
	"SELECT o.id, o.covered_from, o.covered_until, o.is_ended FROM origin_instance i JOIN origin o ON o.id=i.origin"
	" WHERE i.instance_id=?1";
static const char only_origin[] =
	"SELECT id, covered_from, covered_until, is_ended FROM origin WHERE (SELECT count(*) FROM origin)=1";
static const char gaps_of_origin[] =
	"SELECT from_us, until_us, reason FROM gap WHERE origin=?1 AND until_us>?2 AND from_us<?3 ORDER BY seq";

/* Machines that may have a gap; those with an instance by that, since a newer ledger of it may cover the time. */
static const char candidates[] =
	"SELECT DISTINCT instance_id, CASE WHEN instance_id IS NULL THEN ledger_id END, CASE WHEN instance_id IS NULL "
	"THEN id"
	" END FROM origin o WHERE covered_from IS NULL OR covered_from>?1 OR covered_until<?2 OR EXISTS"
	"(SELECT 1 FROM gap g WHERE g.origin=o.id AND g.until_us>?1 AND g.from_us<?2) ORDER BY 1, 2";
static const char machines[] = "SELECT (SELECT count(DISTINCT instance_id) FROM origin)+(SELECT count(*) FROM origin "
			       "WHERE instance_id IS NULL)";
static const char one_origin[] = "SELECT id, covered_from, covered_until, is_ended FROM origin WHERE id=?1";

struct merged_row merged_row_read(sqlite3_stmt *from)
{
	return (struct merged_row){
		.seq = sqlite3_column_int64(from, 0),
		.row = coverage_from_text((const char *)sqlite3_column_text(from, 2), sqlite3_column_int64(from, 1))};
}

struct reading {
	struct ledger *ledger;
	sqlite3_stmt *gaps;
	int64_t from_us, until_us;
	struct error *err;
};

MUST_USE static int prepare(struct ledger *ledger, const char *sql, sqlite3_stmt **ret, struct error *err)
{
	return sqlite3_prepare_v2(ledger->db, sql, -1, ret, NULL) == SQLITE_OK
	               ? 0
	               : store_error(ledger->db, ledger->path, err);
}

/* Room for one more gap, which coverage_add() then puts in or merges. */
MUST_USE static int add(const struct reading *reading, struct buffer *to, struct coverage_gap gap)
{
	size_t count = to->length / sizeof(gap);
	const struct coverage_gap room = {0};
	if (buffer_append(to, &room, sizeof(room), reading->err) < 0)
		return -1;
	coverage_add((struct coverage_gap *)(void *)to->bytes, &count, gap, reading->from_us, reading->until_us);
	to->length = count * sizeof(gap);
	return 0;
}

MUST_USE static int add_stored(const struct reading *reading, int64_t origin, struct buffer *to)
{
	int code, result = 0;
	(void)sqlite3_bind_int64(reading->gaps, 1, origin);
	(void)sqlite3_bind_int64(reading->gaps, 2, reading->from_us);
	(void)sqlite3_bind_int64(reading->gaps, 3, reading->until_us);
	while (result == 0 && (code = sqlite3_step(reading->gaps)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(reading->gaps, 2);
		int reason = name_index(coverage_reason_names, COVERAGE_REASON_COUNT, name != NULL ? name : "");
		const struct coverage_gap gap = {sqlite3_column_int64(reading->gaps, 0),
		                                 sqlite3_column_int64(reading->gaps, 1),
		                                 reason >= 0 ? (enum coverage_reason)reason : COVERAGE_ROWS_MISSING};
		result = add(reading, to, gap);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(reading->ledger->db, reading->ledger->path, reading->err);
	(void)sqlite3_reset(reading->gaps);
	return result;
}

/* All gaps of one machine's ledger. Columns: 0 origin, 1 covered from, 2 until, 3 has it ended. */
MUST_USE static int gaps_of_row(const struct reading *reading, sqlite3_stmt *row, struct buffer *to)
{
	bool has_any = sqlite3_column_type(row, 1) != SQLITE_NULL;
	int64_t from_us = has_any ? sqlite3_column_int64(row, 1) : INT64_MAX;
	enum coverage_reason last = sqlite3_column_int(row, 3) != 0 ? COVERAGE_DAEMON_DOWN : COVERAGE_NOT_YET_KNOWN;
	if (add(reading, to, (struct coverage_gap){INT64_MIN, from_us, COVERAGE_NOT_KEPT}) < 0 ||
	    add_stored(reading, sqlite3_column_int64(row, 0), to) < 0)
		return -1;
	return has_any ? add(reading, to, (struct coverage_gap){sqlite3_column_int64(row, 2), INT64_MAX, last}) : 0;
}

/* What neither this ledger nor those before it cover. */
MUST_USE static int narrow(const struct reading *reading, struct buffer *all, struct buffer *one)
{
	size_t size = sizeof(struct coverage_gap), room = all->length + one->length;
	CLEANUP_FREE struct coverage_gap *common = calloc(room / size + 1, size);
	if (common == NULL)
		return error_set(reading->err, ERROR_MEMORY, "no memory for coverage");
	size_t count = coverage_common((struct coverage_gap *)(void *)all->bytes, all->length / size,
	                               (struct coverage_gap *)(void *)one->bytes, one->length / size, common);
	buffer_clear(all);
	return count > 0 ? buffer_append(all, common, count * size, reading->err) : 0;
}

/* Of all ledgers that a statement lists. */
MUST_USE static int gaps_of_rows(const struct reading *reading, sqlite3_stmt *rows, struct buffer *to)
{
	CLEANUP_BUFFER struct buffer one = {0};
	int code, result = 0, count = 0;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		buffer_clear(&one);
		result = gaps_of_row(reading, rows, count == 0 ? to : &one);
		if (result == 0 && count++ > 0)
			result = narrow(reading, to, &one);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(reading->ledger->db, reading->ledger->path, reading->err);
	(void)sqlite3_reset(rows);
	return result < 0 || count > 0
	               ? result
	               : add(reading, to, (struct coverage_gap){INT64_MIN, INT64_MAX, COVERAGE_NOT_KEPT});
}

int merged_gaps(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us, struct buffer *to,
                struct error *err)
{
	struct reading reading = {.ledger = ledger, .from_us = from_us, .until_us = until_us, .err = err};
	sqlite3_stmt *rows = NULL;
	int result = prepare(ledger, instance_id != NULL ? origins_of_instance : only_origin, &rows, err);
	if (result == 0)
		result = prepare(ledger, gaps_of_origin, &reading.gaps, err);
	if (result == 0 && instance_id != NULL)
		(void)sqlite3_bind_text(rows, 1, instance_id, -1, SQLITE_STATIC);
	if (result == 0)
		result = gaps_of_rows(&reading, rows, to);
	(void)sqlite3_finalize(rows);
	(void)sqlite3_finalize(reading.gaps);
	return result;
}

/* ---- all machines */

struct machine_lists {
	sqlite3_stmt *candidates, *by_instance, *by_origin;
};

MUST_USE static int visit_machine(const struct reading *reading, const struct machine_lists *lists, merged_visit *visit,
                                  void *context)
{
	CLEANUP_BUFFER struct buffer gaps = {0};
	const char *instance = (const char *)sqlite3_column_text(lists->candidates, 0);
	const char *ledger_id = (const char *)sqlite3_column_text(lists->candidates, 1);
	sqlite3_stmt *rows = instance != NULL ? lists->by_instance : lists->by_origin;
	if (instance != NULL)
		(void)sqlite3_bind_text(rows, 1, instance, -1, SQLITE_TRANSIENT);
	else
		(void)sqlite3_bind_int64(rows, 1, sqlite3_column_int64(lists->candidates, 2));
	if (gaps_of_rows(reading, rows, &gaps) < 0)
		return -1;
	return gaps.length > 0 ? visit(context, instance, ledger_id, &gaps, reading->err) : 0;
}

MUST_USE static int visit_all(const struct reading *reading, const struct machine_lists *lists, merged_visit *visit,
                              void *context)
{
	int code, result = 0;
	(void)sqlite3_bind_int64(lists->candidates, 1, reading->from_us);
	(void)sqlite3_bind_int64(lists->candidates, 2, reading->until_us);
	while (result == 0 && (code = sqlite3_step(lists->candidates)) == SQLITE_ROW)
		result = visit_machine(reading, lists, visit, context);
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(reading->ledger->db, reading->ledger->path, reading->err);
	return result;
}

int merged_uncovered(struct ledger *ledger, int64_t from_us, int64_t until_us, int64_t *ret_machines,
                     merged_visit *visit, void *context, struct error *err)
{
	struct reading reading = {.ledger = ledger, .from_us = from_us, .until_us = until_us, .err = err};
	struct machine_lists lists = {0};
	int result = store_integer(ledger->db, machines, ret_machines, err);
	if (result == 0)
		result = prepare(ledger, candidates, &lists.candidates, err);
	if (result == 0)
		result = prepare(ledger, origins_of_instance, &lists.by_instance, err);
	if (result == 0)
		result = prepare(ledger, one_origin, &lists.by_origin, err);
	if (result == 0)
		result = prepare(ledger, gaps_of_origin, &reading.gaps, err);
	if (result == 0)
		result = visit_all(&reading, &lists, visit, context);
	(void)sqlite3_finalize(lists.candidates);
	(void)sqlite3_finalize(lists.by_instance);
	(void)sqlite3_finalize(lists.by_origin);
	(void)sqlite3_finalize(reading.gaps);
	return result;
}
