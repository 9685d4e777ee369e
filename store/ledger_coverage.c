/* SPDX-License-Identifier: Apache-2.0 */

/* Coverage out of a ledger: the rows around the time asked for, and what a pruning carried over for those before. */
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "store/coverage.h"
#include "store/ledger.h"
#include "store/ledger_handle.h"
#include "store/merged_coverage.h"
#include "store/store.h"

/* All pairs of neighbours, in the order of the chain, that touch the time asked for: by their numbers, from the first
 * row behind its beginning to the last one before its end, and one more at each side. What was in force at the cut of
 * the newest pruning stands in its row; rows of that time are gone, so it counts from the first row that is there. */
static const char rows_sql[] =
	"WITH own(seq, at) AS MATERIALIZED (SELECT seq, at FROM record WHERE kind='coverage')"
	" SELECT at, body, seq FROM record WHERE kind='coverage'"
	" AND seq>=coalesce((SELECT max(seq) FROM own WHERE seq<coalesce("
	"(SELECT min(seq) FROM own WHERE at>=?1),9223372036854775807)),0)"
	" AND seq<=coalesce((SELECT min(seq) FROM own WHERE seq>coalesce("
	"(SELECT max(seq) FROM own WHERE at<=?2),0)),9223372036854775807)"
	" UNION ALL SELECT (SELECT at FROM record ORDER BY seq LIMIT 1), json_extract(r.body,'$.coverage'), -1"
	" FROM meta m JOIN record r ON r.seq=m.value"
	" WHERE m.name='pruned_by' AND json_extract(r.body,'$.coverage') IS NOT NULL ORDER BY 3";

/* Whose ledger is it? */
static const char instance_sql[] =
	"SELECT 1 FROM record WHERE kind IN ('instance','placement') AND json_extract(body,'$.instance_id')=?1"
	" UNION ALL SELECT 1 FROM meta m JOIN record r ON r.seq=m.value WHERE m.name='pruned_by'"
	" AND json_extract(r.body,'$.placement.instance_id')=?1 LIMIT 1";

/* Times in which the daemon could not be started any more. */
static const char given_up_sql[] = "SELECT body FROM record WHERE kind='gap' AND at>=?1 ORDER BY seq";
static const char merged_given_up_sql[] =
	"SELECT r.body FROM origin_instance i CROSS JOIN record r ON r.origin=i.origin WHERE i.instance_id=?2"
	" AND r.kind='gap' AND r.kind " MERGED_RARE " AND +r.at>=?1 ORDER BY r.seq";

/* ---- rows */

MUST_USE static int add_row(sqlite3_stmt *from, struct buffer *rows, struct error *err)
{
	CLEANUP_JSON json_t *body = NULL;
	struct coverage_row row;
	const char *text = (const char *)sqlite3_column_text(from, 1);
	if (text == NULL || json_read(text, strlen(text), &body, err) < 0)
		return error_prefix(err, "ledger: a row of kind coverage");
	if (coverage_from_body(body, sqlite3_column_int64(from, 0), &row, err) < 0)
		return -1;
	return buffer_append(rows, &row, sizeof(row), err);
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

MUST_USE static int is_of_instance(sqlite3 *db, const char *instance_id, bool *ret, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(db, instance_sql, -1, &statement, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	(void)sqlite3_bind_text(statement, 1, instance_id, -1, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(db, "ledger", err);
	(void)sqlite3_finalize(statement);
	*ret = code == SQLITE_ROW;
	return result;
}

/* ---- gaps, a `struct coverage_gap` each */

MUST_USE static int gaps_of(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us,
                            struct buffer *to, struct error *err)
{
	if (ledger->is_merged)
		return merged_gaps(ledger, instance_id, from_us, until_us, to, err);
	CLEANUP_BUFFER struct buffer rows = {0};
	sqlite3 *db = ledger_database(ledger);
	bool is_its = true;
	if ((instance_id != NULL && is_of_instance(db, instance_id, &is_its, err) < 0) ||
	    (is_its && read_rows(db, from_us, until_us, &rows, err) < 0))
		return -1;
	size_t count = rows.length / sizeof(struct coverage_row);
	CLEANUP_FREE struct coverage_gap *gaps = calloc(count + 1, sizeof(*gaps));
	if (gaps == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for coverage");
	const struct coverage_row *row = (const struct coverage_row *)(const void *)rows.bytes;
	size_t found = coverage_gaps(row, count, from_us, until_us, gaps);
	return found > 0 ? buffer_append(to, gaps, found * sizeof(*gaps), err) : 0;
}

static size_t gap_count(const struct buffer *gaps)
{
	return gaps->length / sizeof(struct coverage_gap);
}

int ledger_covered(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us, bool *ret,
                   struct error *err)
{
	CLEANUP_BUFFER struct buffer gaps = {0};
	if (gaps_of(ledger, instance_id, from_us, until_us, &gaps, err) < 0)
		return -1;
	*ret = gap_count(&gaps) == 0;
	return 0;
}

/* ---- as JSON */

static bool is_down(const struct coverage_gap *gap)
{
	return gap->reason == COVERAGE_DAEMON_DOWN || gap->reason == COVERAGE_DAEMON_DIED;
}

/* Of the rows of kind `gap`, the one that falls into this gap. New reference; null: there is none. */
static json_t *given_up_in(const json_t *rows, const struct coverage_gap *gap)
{
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		const char *began = json_text_at(row, "began_at"), *ended = json_text_at(row, "ended_at");
		int64_t from_us = 0, until_us = 0;
		if (began != NULL && ended != NULL && clock_parse(began, &from_us) && clock_parse(ended, &until_us) &&
		    from_us < gap->until_us && until_us >= gap->from_us)
			return json_incref(row);
	}
	return json_null();
}

static json_t *gap_to_object(const struct coverage_gap *gap, const json_t *given_up)
{
	json_t *object = json_object();
	json_put_time(object, "from", gap->from_us);
	json_put_time(object, "until", gap->until_us);
	json_put_text(object, "reason", coverage_reason_names[gap->reason]);
	json_put(object, "given_up", is_down(gap) ? given_up_in(given_up, gap) : NULL);
	return object;
}

MUST_USE static int read_given_up(struct ledger *ledger, const char *instance_id, int64_t from_us, json_t *to,
                                  struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int code, result = 0;
	if (sqlite3_prepare_v2(ledger->db, ledger->is_merged ? merged_given_up_sql : given_up_sql, -1, &statement,
	                       NULL) != SQLITE_OK)
		return store_error(ledger->db, "ledger", err);
	(void)sqlite3_bind_int64(statement, 1, from_us);
	if (ledger->is_merged)
		(void)sqlite3_bind_text(statement, 2, instance_id, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);
		json_t *body = NULL;
		if (text != NULL && json_read(text, strlen(text), &body, NULL) == 0)
			(void)json_array_append_new(to, body);
	}
	if (code != SQLITE_DONE)
		result = store_error(ledger->db, "ledger", err);
	(void)sqlite3_finalize(statement);
	return result;
}

MUST_USE static int to_object(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us,
                              const struct buffer *gaps, json_t **ret, struct error *err)
{
	CLEANUP_JSON json_t *given_up = json_array();
	const struct coverage_gap *gap = (const struct coverage_gap *)(const void *)gaps->bytes;
	bool any_down = false;
	for (size_t i = 0; i < gap_count(gaps); i++)
		any_down = any_down || is_down(&gap[i]);
	if (any_down && read_given_up(ledger, instance_id, from_us, given_up, err) < 0)
		return -1;
	json_t *object = json_object(), *list = json_array();
	for (size_t i = 0; i < gap_count(gaps); i++)
		(void)json_array_append_new(list, gap_to_object(&gap[i], given_up));
	json_put_text(object, "kind", "coverage");
	json_put_text(object, "instance_id", instance_id);
	json_put_time(object, "from", from_us);
	json_put_time(object, "until", until_us);
	json_put_bool(object, "complete", gaps->length == 0);
	json_put(object, "gaps", list);
	*ret = object;
	return 0;
}

int ledger_coverage_of(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us, json_t **ret,
                       struct error *err)
{
	CLEANUP_BUFFER struct buffer gaps = {0};
	if (gaps_of(ledger, instance_id, from_us, until_us, &gaps, err) < 0)
		return -1;
	return to_object(ledger, instance_id, from_us, until_us, &gaps, ret, err);
}

struct uncovered {
	struct ledger *ledger;
	int64_t from_us, until_us;
	ledger_visit *visit;
	void *context;
};

static int show_uncovered(void *context, const char *instance_id, const char *ledger_id, const struct buffer *gaps,
                          struct error *err)
{
	const struct uncovered *uncovered = context;
	CLEANUP_JSON json_t *object = NULL;
	if (to_object(uncovered->ledger, instance_id, uncovered->from_us, uncovered->until_us, gaps, &object, err) < 0)
		return -1;
	json_put_text(object, "ledger_id", ledger_id);
	return uncovered->visit(uncovered->context, object, err);
}

int ledger_uncovered(struct ledger *ledger, int64_t from_us, int64_t until_us, int64_t *ret_machines,
                     ledger_visit *visit, void *context, struct error *err)
{
	struct uncovered uncovered = {ledger, from_us, until_us, visit, context};
	CLEANUP_JSON json_t *object = NULL;
	bool complete = false;
	if (ledger->is_merged)
		return merged_uncovered(ledger, from_us, until_us, ret_machines, show_uncovered, &uncovered, err);
	*ret_machines = 1;
	if (ledger_coverage(ledger, from_us, until_us, &object, err) < 0)
		return -1;
	(void)json_bool_at(object, "complete", &complete);
	return complete ? 0 : visit(context, object, err);
}

int ledger_coverage(struct ledger *ledger, int64_t from_us, int64_t until_us, json_t **ret, struct error *err)
{
	return ledger_coverage_of(ledger, NULL, from_us, until_us, ret, err);
}
