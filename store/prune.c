/* SPDX-License-Identifier: Apache-2.0 */

/* One step of forgetting. What later rows and readers still need of the rows that go is carried over: where the
 * instance was, what was covered, and digests of executables that came late. */
#include "store/prune.h"

#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "store/prune_sql.h"
#include "store/store.h"

#define SHRINK_PAGES 64 /* of 4 KB, in one transaction */
#define PATIENCE_US (24 * 3600 * CLOCK_SECOND_US)

const char *const prune_reason_names[PRUNE_REASON_COUNT] = {
	[PRUNE_AGE] = "age",
	[PRUNE_SIZE] = "size",
	[PRUNE_OPERATOR] = "operator",
};

struct pruning {
	struct appender *appender;
	sqlite3 *db;
	const struct prune_order *order;
	struct prune_step *step;
};

MUST_USE static int start(const struct pruning *pruning, enum sql which, int64_t number, sqlite3_stmt **ret,
                          struct error *err)
{
	if (sqlite3_prepare_v2(pruning->db, sqls[which], -1, ret, NULL) != SQLITE_OK)
		return store_error(pruning->db, "ledger", err);
	if (sqlite3_bind_parameter_count(*ret) > 0)
		(void)sqlite3_bind_int64(*ret, 1, number);
	return 0;
}

MUST_USE static int finish(const struct pruning *pruning, sqlite3_stmt *statement, int code, struct error *err)
{
	int result = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : store_error(pruning->db, "ledger", err);
	(void)sqlite3_finalize(statement);
	return result;
}

MUST_USE static int run(const struct pruning *pruning, enum sql which, int64_t number, struct error *err)
{
	sqlite3_stmt *statement;
	if (start(pruning, which, number, &statement, err) < 0)
		return -1;
	return finish(pruning, statement, sqlite3_step(statement), err);
}

/* ---- what goes */

/* The prefix of rows that are old enough. A few of them wait for more, a day at most: each step costs a row. */
MUST_USE static int find_prefix(struct pruning *pruning, struct error *err)
{
	const struct prune_order *order = pruning->order;
	sqlite3_stmt *rows;
	int64_t oldest_us = 0;
	int code, count = 0;
	if (start(pruning, SQL_PREFIX, PRUNE_STEP_ROWS, &rows, err) < 0)
		return -1;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		int64_t at_us = sqlite3_column_int64(rows, 1);
		if (order->before_us != 0 && at_us >= order->before_us)
			break;
		oldest_us = count++ == 0 || at_us < oldest_us ? at_us : oldest_us;
		pruning->step->through = sqlite3_column_int64(rows, 0);
	}
	bool waits =
		order->reason == PRUNE_AGE && count < PRUNE_STEP_ROWS && oldest_us > order->before_us - PATIENCE_US;
	pruning->step->rows = waits ? 0 : count;
	return finish(pruning, rows, code, err);
}

/* ---- what is carried over */

/* The first row's body, with its time; else what the pruning before had carried. New reference. */
MUST_USE static int in_force(const struct pruning *pruning, enum sql which, const json_t *carried, json_t **ret,
                             struct error *err)
{
	sqlite3_stmt *row;
	json_t *body = NULL;
	int result = 0;
	if (start(pruning, which, pruning->step->through, &row, err) < 0)
		return -1;
	int code = sqlite3_step(row);
	const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 1) : NULL;
	if (text != NULL && (result = json_read(text, strlen(text), &body, err)) == 0)
		json_put_time(body, "at", sqlite3_column_int64(row, 0));
	else if (carried != NULL)
		body = json_deep_copy(carried);
	if (finish(pruning, row, code, err) < 0 || result < 0) {
		json_decref(body);
		return -1;
	}
	*ret = body;
	return 0;
}

MUST_USE static int read_carried(const struct pruning *pruning, json_t **ret, struct error *err)
{
	sqlite3_stmt *row;
	int result = 0;
	if (start(pruning, SQL_CARRIED, 0, &row, err) < 0)
		return -1;
	int code = sqlite3_step(row);
	const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : NULL;
	if (text != NULL)
		result = json_read(text, strlen(text), ret, err);
	return finish(pruning, row, code, err) < 0 ? -1 : result;
}

MUST_USE static int append(const struct pruning *pruning, const char *kind, const json_t *body, struct error *err)
{
	struct packed packed;
	struct entry entry = {.kind = kind, .at_us = pruning->order->now_us, .body = body};
	if (entry_id_make(entry.id, err) < 0 || packed_make(&entry, &packed, err) < 0)
		return -1;
	int result = appender_insert(pruning->appender, &packed, err);
	packed_done(&packed);
	return result;
}

MUST_USE static int carry_executables(const struct pruning *pruning, struct error *err)
{
	CLEANUP_JSON json_t *bodies = json_array();
	sqlite3_stmt *rows;
	int code;
	if (start(pruning, SQL_EXECUTABLES, pruning->step->through, &rows, err) < 0)
		return -1;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		json_t *body = NULL;
		const char *text = (const char *)sqlite3_column_text(rows, 0);
		if (text != NULL && json_read(text, strlen(text), &body, err) == 0)
			(void)json_array_append_new(bodies, body);
	}
	int result = finish(pruning, rows, code, err);
	for (size_t i = 0; result == 0 && i < json_array_size(bodies); i++)
		result = append(pruning, "executable", json_array_get(bodies, i), err);
	return result;
}

/* ---- the step */

MUST_USE static int read_link(const struct pruning *pruning, char hex[static DIGEST_HEX_BYTES], struct error *err)
{
	sqlite3_stmt *row;
	int result = 0;
	if (start(pruning, SQL_LINK, pruning->step->through, &row, err) < 0)
		return -1;
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW && sqlite3_column_bytes(row, 0) == DIGEST_BYTES)
		(void)digest_hex(sqlite3_column_blob(row, 0), DIGEST_BYTES, hex);
	else
		result = error_set(err, ERROR_INPUT, "ledger: a row to be pruned has no link");
	return finish(pruning, row, code, err) < 0 ? -1 : result;
}

MUST_USE static int append_prune(const struct pruning *pruning, const char *link, struct error *err)
{
	CLEANUP_JSON json_t *carried = NULL;
	CLEANUP_JSON json_t *body = json_object();
	json_t *placement, *coverage;
	if (read_carried(pruning, &carried, err) < 0 ||
	    in_force(pruning, SQL_PLACEMENT, json_at(carried, "placement"), &placement, err) < 0)
		return -1;
	json_put(body, "placement", placement);
	if (in_force(pruning, SQL_COVERAGE, json_at(carried, "coverage"), &coverage, err) < 0)
		return -1;
	json_put(body, "coverage", coverage);
	json_put_int(body, "through", pruning->step->through);
	json_put_text(body, "chain", link);
	json_put_text(body, "reason", prune_reason_names[pruning->order->reason]);
	return append(pruning, "prune", body, err);
}

MUST_USE static int note(const struct pruning *pruning, const char *link, struct error *err)
{
	sqlite3_stmt *statement;
	if (start(pruning, SQL_NOTE, pruning->step->through, &statement, err) < 0)
		return -1;
	(void)sqlite3_bind_text(statement, 2, link, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, appender_seq(pruning->appender));
	return finish(pruning, statement, sqlite3_step(statement), err);
}

/* Processes that only rows of the prefix name. */
MUST_USE static int collect_actors(const struct pruning *pruning, struct buffer *ids, struct error *err)
{
	sqlite3_stmt *rows;
	int code, result = 0;
	if (start(pruning, SQL_ACTORS, pruning->step->through, &rows, err) < 0)
		return -1;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(rows, 0);
		result = buffer_append(ids, &id, sizeof(id), err);
	}
	return finish(pruning, rows, result == 0 ? code : SQLITE_DONE, err) < 0 ? -1 : result;
}

MUST_USE static int drop_actors(const struct pruning *pruning, const struct buffer *ids, struct error *err)
{
	for (size_t at = 0; at < ids->length; at += sizeof(int64_t)) {
		int64_t id;
		memcpy(&id, ids->bytes + at, sizeof(id));
		if (run(pruning, SQL_DROP_ACTOR, id, err) < 0)
			return -1;
		pruning->step->processes += sqlite3_changes(pruning->db);
	}
	return 0;
}

MUST_USE static int forget(struct pruning *pruning, struct error *err)
{
	CLEANUP_BUFFER struct buffer ids = {0};
	char link[DIGEST_HEX_BYTES];
	int64_t through = pruning->step->through;
	if (read_link(pruning, link, err) < 0 || carry_executables(pruning, err) < 0 ||
	    append_prune(pruning, link, err) < 0 || note(pruning, link, err) < 0 ||
	    collect_actors(pruning, &ids, err) < 0 || run(pruning, SQL_DROP_HOLDERS, through, err) < 0 ||
	    run(pruning, SQL_DROP_ROWS, through, err) < 0)
		return -1;
	return drop_actors(pruning, &ids, err);
}

int prune_step(struct appender *appender, const struct prune_order *order, struct prune_step *ret, struct error *err)
{
	struct prune_step step = {0};
	struct pruning pruning = {
		.appender = appender, .db = appender_database(appender), .order = order, .step = &step};
	if (appender_begin(appender, err) < 0)
		return -1;
	int result = find_prefix(&pruning, err);
	if (result == 0 && step.rows > 0)
		result = forget(&pruning, err);
	if (result == 0 && step.rows > 0)
		result = appender_commit(appender, err);
	if (result < 0 || step.rows == 0)
		appender_rollback(appender);
	if (result == 0)
		*ret = step;
	return result;
}

/* ---- pages */

int prune_used_bytes(struct appender *appender, int64_t *ret, struct error *err)
{
	sqlite3 *db = appender_database(appender);
	int64_t pages, unused, size;
	if (store_integer(db, "PRAGMA page_count", &pages, err) < 0 ||
	    store_integer(db, "PRAGMA freelist_count", &unused, err) < 0 ||
	    store_integer(db, "PRAGMA page_size", &size, err) < 0)
		return -1;
	*ret = (pages - unused) * size;
	return 0;
}

int prune_shrink(struct appender *appender, bool *ret_more, struct error *err)
{
	sqlite3 *db = appender_database(appender);
	int64_t unused = 0, mode = 0;
	*ret_more = false;
	if (store_integer(db, "PRAGMA auto_vacuum", &mode, err) < 0 ||
	    store_integer(db, "PRAGMA freelist_count", &unused, err) < 0)
		return -1;
	if (mode != 2 || unused <= SHRINK_PAGES) /* an older file keeps its free pages, and uses them again */
		return 0;
	char pragma[64];
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA incremental_vacuum(%d)", SHRINK_PAGES);
	if (store_exec(db, pragma, err) < 0)
		return -1;
	*ret_more = unused > 2 * SHRINK_PAGES;
	return 0;
}
