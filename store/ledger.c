/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the ledger: rows come out as the JSON objects of docs/ledger.md. */
#include "store/ledger.h"

#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/text.h"
#include "store/ledger_handle.h"
#include "store/store.h"

/* ---- rows as objects */

typedef int make_object(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err);

MUST_USE static int visit_rows(struct ledger *ledger, const struct lent_statement *rows, make_object *make,
                               ledger_visit *visit, void *context, struct error *err)
{
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && (code = sqlite3_step(rows->sql)) == SQLITE_ROW) {
		CLEANUP_JSON json_t *object = json_object();
		result = make(ledger, rows->sql, object, err);
		if (result == 0)
			result = visit(context, object, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(ledger->db, ledger->path, err);
	return result;
}

/* Fills an object from the columns of a row by their names. */
static void put_columns(sqlite3_stmt *row, json_t *object)
{
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		const char *name = sqlite3_column_name(row, i);
		if (name[0] == '_')
			continue; /* for the maker's own use */
		if (sqlite3_column_type(row, i) == SQLITE_INTEGER)
			json_put_int(object, name, sqlite3_column_int64(row, i));
		else
			json_put_text(object, name, (const char *)sqlite3_column_text(row, i));
	}
}

MUST_USE static int read_body(sqlite3_stmt *row, int column, json_t **ret, struct error *err)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	if (json_read(text != NULL ? text : "", (size_t)sqlite3_column_bytes(row, column), ret, err) < 0)
		return error_prefix(err, "ledger: a row's body");
	return 0;
}

/* A digest of its executable that came after the process was stored. */
static void put_late_digest(struct ledger *ledger, int64_t origin, json_t *process)
{
	const char *file = json_text_at(process, "exe_file");
	if (file == NULL || json_text_at(process, "exe_sha256") != NULL)
		return;
	(void)sqlite3_bind_text(ledger->digest_of_exe, 1, file, -1, SQLITE_STATIC);
	if (ledger->is_merged)
		(void)sqlite3_bind_int64(ledger->digest_of_exe, 2, origin);
	if (sqlite3_step(ledger->digest_of_exe) == SQLITE_ROW)
		json_put_text(process, "exe_sha256", (const char *)sqlite3_column_text(ledger->digest_of_exe, 0));
	(void)sqlite3_reset(ledger->digest_of_exe);
}

/* Of the process itself and of its ancestors. */
static void put_late_digests(struct ledger *ledger, int64_t origin, json_t *process)
{
	const json_t *ancestors = json_at(process, "ancestors");
	put_late_digest(ledger, origin, process);
	for (size_t i = 0; i < json_array_size(ancestors); i++)
		put_late_digest(ledger, origin, json_array_get(ancestors, i));
}

/* The process behind a digest; null when it is not in the ledger. */
static json_t *actor_of(struct ledger *ledger, int64_t origin, const json_t *name)
{
	uint8_t digest[DIGEST_BYTES];
	json_t *actor = NULL;
	struct error ignored;
	if (!json_is_string(name) || !digest_from_hex(json_string_value(name), digest))
		return json_null();
	(void)sqlite3_bind_blob(ledger->actor_by_digest, 1, digest, DIGEST_BYTES, SQLITE_STATIC);
	if (ledger->is_merged)
		(void)sqlite3_bind_int64(ledger->actor_by_digest, 2, origin);
	if (sqlite3_step(ledger->actor_by_digest) != SQLITE_ROW ||
	    read_body(ledger->actor_by_digest, 0, &actor, &ignored) < 0)
		actor = json_null();
	else
		put_late_digests(ledger, origin, actor);
	(void)sqlite3_reset(ledger->actor_by_digest);
	return actor;
}

/* Columns: 0 seq, 1 id, 2 at, 3 outcome now, 4 reason now, 5 body; in merged ledgers 6 origin, 7 the ledger's id; there
 * seq is the number in the machine's own ledger. */
static int make_delivery(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	CLEANUP_JSON json_t *body = NULL;
	int64_t origin = ledger->is_merged ? sqlite3_column_int64(row, 6) : 0;
	if (read_body(row, 5, &body, err) < 0 || json_object_update(object, body) < 0)
		return -1;
	json_put_text(object, "kind", "delivery");
	if (ledger->is_merged)
		json_put_text(object, "ledger_id", (const char *)sqlite3_column_text(row, 7));
	json_put(object, "seq",
	         sqlite3_column_type(row, 0) == SQLITE_NULL ? NULL : json_integer(sqlite3_column_int64(row, 0)));
	json_put_text(object, "id", (const char *)sqlite3_column_text(row, 1));
	json_put_time(object, "delivered_at", sqlite3_column_int64(row, 2));
	json_put_text(object, "outcome", (const char *)sqlite3_column_text(row, 3));
	json_put_text(object, "reason", (const char *)sqlite3_column_text(row, 4));

	json_put(object, "process", actor_of(ledger, origin, json_object_get(body, "process")));
	const json_t *names = json_object_get(body, "holders");
	json_t *holders = json_array();
	for (size_t i = 0; i < json_array_size(names); i++)
		(void)json_array_append_new(holders, actor_of(ledger, origin, json_array_get(names, i)));
	json_put(object, "holders", holders);
	return 0;
}

/* In the order of the chain; of many machines in that of time, but when following what comes in. */
static const char *order_of(const struct ledger *ledger, const struct ledger_filter *filter)
{
	if (!ledger->is_merged || filter->after_seq != 0)
		return filter->oldest_first ? "ORDER BY seq" : "ORDER BY seq DESC";
	return filter->oldest_first ? "ORDER BY at_us, seq" : "ORDER BY at_us DESC, seq DESC";
}

int ledger_deliveries(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                      struct error *err)
{
	CLEANUP_LENT struct lent_statement rows = {0};
	const char *head = ledger->is_merged ? "SELECT origin_seq, id, at_us, outcome, reason, body, origin, ledger_id"
	                                     : "SELECT seq, id, at_us, outcome, reason, body";
	if (ledger_prepare(ledger, head, filter, order_of(ledger, filter), &rows, err) < 0)
		return -1;
	return visit_rows(ledger, &rows, make_delivery, visit, context, err);
}

static int make_columns(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	(void)ledger;
	(void)err;
	put_columns(row, object);
	return 0;
}

#define KEY_TIMES                                                                                                      \
	" max(expires_at) AS expires_at, min(delivered_at) AS first_delivered_at,"                                     \
	" max(delivered_at) AS last_delivered_at, count(DISTINCT seq) AS deliveries, count(DISTINCT actor) AS "        \
	"processes"
#define KEY_COLUMNS                                                                                                    \
	"access_key_id, account_id, role, source, instance_id, host_account_id, region, body, expires_at, "            \
	"delivered_at, actor, seq, at_us"

/* Of all keys: a merged ledger has them in a table, so that ten million rows need not be looked at. */
static const char all_keys[] =
	"SELECT access_key_id, account_id, role, source, instance_id, host_account_id, region, updated_at,"
	" max(expires_at) AS expires_at,"
	" strftime('%Y-%m-%dT%H:%M:%S',min(first_at)/1000000,'unixepoch')||printf('.%06dZ',min(first_at)%1000000)"
	" AS first_delivered_at,"
	" strftime('%Y-%m-%dT%H:%M:%S',max(last_at)/1000000,'unixepoch')||printf('.%06dZ',max(last_at)%1000000)"
	" AS last_delivered_at, sum(deliveries) AS deliveries, (SELECT count(DISTINCT r.actor) FROM record r"
	" WHERE r.access_key_id=key.access_key_id AND r.given=1)";
static const char all_keys_held[] =
	"+(SELECT count(DISTINCT h.actor) FROM record r JOIN holder h ON h.record=r.seq WHERE"
	" r.access_key_id=key.access_key_id AND r.given=1 AND h.actor NOT IN (SELECT f.actor FROM record f WHERE"
	" f.access_key_id=key.access_key_id AND f.given=1 AND f.actor IS NOT NULL))";
static const char all_keys_end[] =
	" AS processes FROM key WHERE deliveries>0 GROUP BY access_key_id ORDER BY max(last_at)";

int ledger_keys(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                struct error *err)
{
	CLEANUP_BUFFER struct buffer tail = {0};
	struct ledger_filter wanted = *filter;
	CLEANUP_LENT struct lent_statement rows = {0};
	wanted.credentials_only = true;
	if (ledger->is_merged && ledger_asks_for_all(filter)) {
		if (buffer_printf(&tail, err, "%s%s%s%s", all_keys, ledger_has_holders(ledger) ? all_keys_held : "",
		                  all_keys_end, filter->oldest_first ? "" : " DESC") < 0)
			return -1;
		if (statements_lend(&ledger->lent, ledger->db, tail.bytes, ledger->path, &rows, err) < 0)
			return -1;
		return visit_rows(ledger, &rows, make_columns, visit, context, err);
	}
	if (buffer_printf(&tail, err, "GROUP BY access_key_id ORDER BY max(%s)%s", ledger->is_merged ? "at_us" : "seq",
	                  filter->oldest_first ? "" : " DESC") < 0 ||
	    ledger_prepare_each(ledger,
	                        "SELECT access_key_id, account_id, role, source, instance_id, host_account_id, region,"
	                        " json_extract(body,'$.updated_at') AS updated_at," KEY_TIMES,
	                        KEY_COLUMNS, &wanted, tail.bytes, &rows, err) < 0)
		return -1;
	return visit_rows(ledger, &rows, make_columns, visit, context, err);
}

/* Columns: 0 actor's body, 1 keys as a JSON array, 2 origin (merged ledgers), then named ones. */
static int make_process(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	CLEANUP_JSON json_t *actor = NULL;
	json_t *keys = NULL;
	if (read_body(row, 0, &actor, err) < 0 || read_body(row, 1, &keys, err) < 0)
		return -1;
	(void)json_object_update(object, actor);
	put_late_digests(ledger, sqlite3_column_int64(row, 2), object);
	put_columns(row, object);
	json_put(object, "keys", keys);
	int64_t rank = 0;
	(void)json_int_at(object, "grade", &rank);
	json_put_text(object, "grade", grade_names[rank >= 0 && rank < GRADE_COUNT ? rank : 0]);
	return 0;
}

int ledger_processes(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                     struct error *err)
{
	CLEANUP_BUFFER struct buffer head = {0};
	struct ledger_filter wanted = *filter;
	CLEANUP_LENT struct lent_statement rows = {0};
	wanted.credentials_only = true;
	if (buffer_printf(&head, err,
	                  "SELECT (SELECT a.body FROM actor a WHERE a.id=actor) AS _body,"
	                  " json_group_array(DISTINCT access_key_id) AS _keys, %s AS _origin, count(*) AS deliveries,"
	                  " min(delivered_at) AS first_seen, max(delivered_at) AS last_seen, max(CASE grade",
	                  ledger->is_merged ? "origin" : "0") < 0)
		return -1;
	for (int i = 0; i < GRADE_COUNT; i++)
		if (buffer_printf(&head, err, " WHEN '%s' THEN %d", grade_names[i], i) < 0)
			return -1;
	if (buffer_printf(&head, err, " ELSE 0 END) AS grade") < 0 ||
	    ledger_prepare_each(ledger, head.bytes,
	                        ledger->is_merged ? "actor, access_key_id, delivered_at, grade, seq, origin"
	                                          : "actor, access_key_id, delivered_at, grade, seq",
	                        &wanted,
	                        filter->oldest_first ? "WHERE actor IS NOT NULL GROUP BY actor ORDER BY max(seq)"
	                                             : "WHERE actor IS NOT NULL GROUP BY actor ORDER BY max(seq) DESC",
	                        &rows, err) < 0)
		return -1;
	return visit_rows(ledger, &rows, make_process, visit, context, err);
}

/* Columns: 0 from, 1 until (null: still true), 2 body. */
static int make_placement(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	(void)ledger;
	CLEANUP_JSON json_t *body = NULL;
	if (read_body(row, 2, &body, err) < 0 || json_object_update(object, body) < 0)
		return -1;
	int64_t from_us = sqlite3_column_int64(row, 0);
	const char *carried = json_text_at(body, "at"); /* by a pruning: its row was the last one before the cut */
	(void)(carried != NULL && clock_parse(carried, &from_us));
	(void)json_object_del(object, "at");
	json_put_time(object, "from", from_us);
	json_put_time(object, "until", sqlite3_column_int64(row, 1));
	return 0;
}

/* Each is true until the next one of the same instance. */
static const char own_placements[] =
	"SELECT at, lead(at) OVER (PARTITION BY json_extract(body,'$.instance_id') ORDER BY seq), body"
	" FROM (SELECT seq, at, body FROM record WHERE kind='placement' UNION ALL"
	" SELECT 0, 0, json_extract(r.body,'$.placement') FROM meta m JOIN record r ON r.seq=m.value"
	" WHERE m.name='pruned_by' AND json_extract(r.body,'$.placement') IS NOT NULL) ORDER BY seq";

/* The same machine by machine: what one says of an instance is not ended by what another says. */
static const char merged_placements[] =
	"SELECT at, lead(at) OVER (PARTITION BY origin, json_extract(body,'$.instance_id') ORDER BY number), body"
	" FROM (SELECT origin, origin_seq AS number, at, body FROM record WHERE kind='placement' UNION ALL"
	" SELECT o.id, 0, 0, json_extract(r.body,'$.placement') FROM origin o JOIN record r ON r.seq=o.pruned_by"
	" WHERE json_extract(r.body,'$.placement') IS NOT NULL) ORDER BY origin, number";

int ledger_placements(struct ledger *ledger, ledger_visit *visit, void *context, struct error *err)
{
	CLEANUP_LENT struct lent_statement rows = {0};
	const char *sql = ledger->is_merged ? merged_placements : own_placements;
	if (statements_lend(&ledger->lent, ledger->db, sql, ledger->path, &rows, err) < 0)
		return -1;
	return visit_rows(ledger, &rows, make_placement, visit, context, err);
}

int ledger_summary(struct ledger *ledger, json_t **ret, struct error *err)
{
	sqlite3_stmt *row = NULL;
	const char *sql =
		ledger->is_merged
			? "SELECT (SELECT value FROM meta WHERE name='merged_id') AS ledger_id,"
			  " coalesce((SELECT sum(last-first+1) FROM segment),0) AS rows,"
			  " (SELECT min(first_at) FROM key) AS _first, (SELECT max(last_at) FROM key) AS _last,"
			  " (SELECT count(*) FROM origin) AS ledgers"
			: "SELECT (SELECT value FROM meta WHERE name='ledger_id') AS ledger_id, count(*) AS rows,"
			  " min(at) AS _first, max(at) AS _last FROM record";
	int64_t version;
	if (store_integer(ledger->db, "PRAGMA user_version", &version, err) < 0)
		return -1;
	if (sqlite3_prepare_v2(ledger->db, sql, -1, &row, NULL) != SQLITE_OK || sqlite3_step(row) != SQLITE_ROW) {
		(void)sqlite3_finalize(row);
		return store_error(ledger->db, ledger->path, err);
	}
	json_t *object = json_object();
	put_columns(row, object);
	json_put_int(object, "schema_version", version);
	json_put_time(object, "first_at", sqlite3_column_int64(row, 2));
	json_put_time(object, "last_at", sqlite3_column_int64(row, 3));
	json_put_text(object, "path", ledger->path);
	(void)sqlite3_finalize(row);
	*ret = object;
	return 0;
}

int ledger_last_seq(struct ledger *ledger, int64_t *ret, struct error *err)
{
	return store_integer(ledger->db, "SELECT coalesce(max(seq),0) FROM record", ret, err);
}
