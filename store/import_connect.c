/* SPDX-License-Identifier: Apache-2.0 */

/* After rows came in: which runs of rows have no gap between them, and what of the time was covered. Coverage is judged
 * for each row against the one before it, so that only what lies next to the new rows has to be judged again. */
#include <string.h>

#include "store/coverage.h"
#include "store/import_parts.h"
#include "store/merged_coverage.h"
#include "store/store.h"

struct connecting {
	struct importer *importer;
	int64_t origin;
	struct error *err;
};

static void bind3(const struct connecting *c, enum import_sql which, int64_t second, int64_t third)
{
	sqlite3_stmt *statement = c->importer->statements[which];
	(void)sqlite3_bind_int64(statement, 1, c->origin);
	(void)sqlite3_bind_int64(statement, 2, second);
	if (sqlite3_bind_parameter_count(statement) > 2)
		(void)sqlite3_bind_int64(statement, 3, third);
}

MUST_USE static int run3(const struct connecting *c, enum import_sql which, int64_t second, int64_t third, int64_t *ret)
{
	bind3(c, which, second, third);
	return import_run(c->importer, which, ret, c->err);
}

/* ---- segments */

MUST_USE static int join_segments(const struct connecting *c, int64_t first, int64_t last, const uint8_t *before)
{
	sqlite3_stmt *join = c->importer->statements[IMPORT_SEGMENT_JOIN];
	sqlite3_stmt *add = c->importer->statements[IMPORT_SEGMENT_ADD];
	int64_t from = first, to = last;
	uint8_t link[DIGEST_BYTES];
	bool has_link = before != NULL;
	if (before != NULL)
		memcpy(link, before, sizeof(link));
	bind3(c, IMPORT_SEGMENT_JOIN, first, last);
	int code = sqlite3_step(join);
	if (code == SQLITE_ROW && sqlite3_column_type(join, 0) == SQLITE_INTEGER) {
		int64_t other_from = sqlite3_column_int64(join, 0), other_to = sqlite3_column_int64(join, 1);
		bool has_other = sqlite3_column_bytes(join, 2) == DIGEST_BYTES;
		if (other_from < from || (other_from == from && !has_link)) {
			has_link = has_other;
			if (has_other)
				memcpy(link, sqlite3_column_blob(join, 2), sizeof(link));
		}
		from = other_from < from ? other_from : from;
		to = other_to > to ? other_to : to;
	}
	(void)sqlite3_reset(join);
	if (code != SQLITE_ROW)
		return store_error(c->importer->db, c->importer->path, c->err);
	if (run3(c, IMPORT_SEGMENT_DROP, first, last, NULL) < 0)
		return -1;
	if (has_link)
		(void)sqlite3_bind_blob(add, 4, link, DIGEST_BYTES, SQLITE_STATIC);
	return run3(c, IMPORT_SEGMENT_ADD, from, to, NULL);
}

/* ---- coverage */

MUST_USE static int put_gap(const struct connecting *c, const struct merged_row *a, struct merged_row *b)
{
	sqlite3_stmt *add = c->importer->statements[IMPORT_GAP_ADD];
	struct coverage_gap gap;
	int64_t has_hole = 0;
	if (run3(c, IMPORT_GAP_DROP, b->seq, 0, NULL) < 0 || run3(c, IMPORT_HAS_HOLE, a->seq, b->seq, &has_hole) < 0)
		return -1;
	b->row.behind_hole = has_hole != 0;
	if (!coverage_between(&a->row, &b->row, &gap))
		return 0;
	(void)sqlite3_bind_int64(add, 4, gap.until_us);
	(void)sqlite3_bind_text(add, 5, coverage_reason_names[gap.reason], -1, SQLITE_STATIC);
	return run3(c, IMPORT_GAP_ADD, b->seq, gap.from_us, NULL);
}

/* One row by a statement that gives at most one. 1, 0 or -1. */
MUST_USE static int get_row(const struct connecting *c, enum import_sql which, struct merged_row *ret)
{
	sqlite3_stmt *statement = c->importer->statements[which];
	(void)sqlite3_bind_int64(statement, 1, c->origin);
	int code = sqlite3_step(statement);
	int result = code == SQLITE_ROW ? 1 : 0;
	if (result == 1)
		*ret = merged_row_read(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(c->importer->db, c->importer->path, c->err);
	(void)sqlite3_reset(statement);
	return result;
}

MUST_USE static int judge_neighbours(const struct connecting *c, int64_t first, int64_t last)
{
	sqlite3_stmt *rows = c->importer->statements[IMPORT_COVERAGE_ROWS];
	struct merged_row previous = {0}, row;
	bool has_previous = false;
	int code, result = 0;
	bind3(c, IMPORT_COVERAGE_ROWS, first, last);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		row = merged_row_read(rows);
		if (has_previous)
			result = put_gap(c, &previous, &row);
		previous = row;
		has_previous = true;
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(c->importer->db, c->importer->path, c->err);
	(void)sqlite3_reset(rows);
	return result;
}

/* Where coverage begins and ends: with what a pruning carried over, or with its first row. */
MUST_USE static int note_ends(const struct connecting *c)
{
	sqlite3_stmt *note = c->importer->statements[IMPORT_COVERED];
	struct merged_row carried, first, last;
	int has_carried = get_row(c, IMPORT_CARRIED, &carried), has_first = get_row(c, IMPORT_COVERED_FIRST, &first);
	int has_last = get_row(c, IMPORT_COVERED_LAST, &last);
	if (has_carried < 0 || has_first < 0 || has_last < 0)
		return -1;
	if (has_first == 0 || has_last == 0)
		return 0;
	if (has_carried == 1 && put_gap(c, &carried, &first) < 0)
		return -1;
	if (has_carried == 0 && run3(c, IMPORT_GAP_DROP, first.seq, 0, NULL) < 0)
		return -1;
	(void)sqlite3_bind_int(note, 4, last.row.event == COVERAGE_STOP ? 1 : 0);
	return run3(c, IMPORT_COVERED, has_carried == 1 ? carried.row.at_us : first.row.at_us, last.row.at_us, NULL);
}

int import_connect(struct importer *importer, int64_t origin, int64_t first, int64_t last, const uint8_t *before,
                   struct error *err)
{
	const struct connecting c = {importer, origin, err};
	int64_t begin = 0;
	if (join_segments(&c, first, last, before) < 0)
		return -1;
	(void)sqlite3_bind_int64(importer->statements[IMPORT_FIRST], 1, origin);
	if (import_run(importer, IMPORT_FIRST, &begin, err) < 0 || run3(&c, IMPORT_PRUNED_BY, begin, 0, NULL) < 0 ||
	    judge_neighbours(&c, first, last) < 0)
		return -1;
	return note_ends(&c);
}
