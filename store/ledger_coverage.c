/* SPDX-License-Identifier: Apache-2.0 */

/* Coverage out of a ledger: the rows around the time asked for, and what a pruning carried over for those before. */
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "store/coverage.h"
#include "store/ledger.h"
#include "store/ledger_handle.h"
#include "store/store.h"

/* From the last row before the time to the first one behind it. What was in force at the cut of the newest pruning
 * stands in its row, and in the chain before all others. */
static const char rows_sql[] =
	"SELECT at, body, 0 FROM record WHERE kind='coverage'"
	" AND at>=coalesce((SELECT max(at) FROM record WHERE kind='coverage' AND at<=?1),0)"
	" AND at<=coalesce((SELECT min(at) FROM record WHERE kind='coverage' AND at>=?2),9223372036854775807)"
	" UNION ALL SELECT 0, json_extract(r.body,'$.coverage'), -1 FROM meta m JOIN record r ON r.seq=m.value"
	" WHERE m.name='pruned_by' AND json_extract(r.body,'$.coverage') IS NOT NULL"
	" ORDER BY 3, 1";

MUST_USE static int add_row(sqlite3_stmt *from, struct buffer *rows, struct error *err)
{
	CLEANUP_JSON json_t *body = NULL;
	struct coverage_row row;
	const char *text = (const char *)sqlite3_column_text(from, 1);
	int64_t at_us = sqlite3_column_int64(from, 0);
	if (text == NULL || json_read(text, strlen(text), &body, err) < 0)
		return error_prefix(err, "ledger: a row of kind coverage");
	const char *at = json_text_at(body, "at");
	if (at_us == 0 && (at == NULL || !clock_parse(at, &at_us)))
		return error_set(err, ERROR_INPUT, "ledger: a row of kind prune makes no sense");
	if (coverage_from_body(body, at_us, &row, err) < 0)
		return -1;
	return buffer_append(rows, &row, sizeof(row), err);
}

static json_t *gap_to_object(const struct coverage_gap *gap)
{
	json_t *object = json_object();
	json_put_time(object, "from", gap->from_us);
	json_put_time(object, "until", gap->until_us);
	json_put_text(object, "reason", coverage_reason_names[gap->reason]);
	return object;
}

MUST_USE static int read_rows(sqlite3 *db, int64_t from_us, int64_t until_us, struct buffer *rows, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int code, result = 0;
	if (sqlite3_prepare_v2(db, rows_sql, -1, &statement, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	(void)sqlite3_bind_int64(statement, 1, from_us);
	(void)sqlite3_bind_int64(statement, 2, until_us);
	while (result == 0 && (code = sqlite3_step(statement)) != SQLITE_DONE)
		result = code == SQLITE_ROW ? add_row(statement, rows, err) : store_error(db, "ledger", err);
	(void)sqlite3_finalize(statement);
	return result;
}

int ledger_coverage(struct ledger *ledger, int64_t from_us, int64_t until_us, json_t **ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer rows = {0};
	if (read_rows(ledger_database(ledger), from_us, until_us, &rows, err) < 0)
		return -1;
	size_t count = rows.length / sizeof(struct coverage_row);
	CLEANUP_FREE struct coverage_gap *gaps = calloc(count + 1, sizeof(*gaps));
	if (gaps == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for coverage");
	size_t found =
		coverage_gaps((const struct coverage_row *)(const void *)rows.bytes, count, from_us, until_us, gaps);
	json_t *object = json_object(), *list = json_array();
	for (size_t i = 0; i < found; i++)
		(void)json_array_append_new(list, gap_to_object(&gaps[i]));
	json_put_text(object, "kind", "coverage");
	json_put_time(object, "from", from_us);
	json_put_time(object, "until", until_us);
	json_put_bool(object, "complete", found == 0);
	json_put(object, "gaps", list);
	*ret = object;
	return 0;
}
