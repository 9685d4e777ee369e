/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the ledger. Rows come out as the JSON objects of docs/ledger.md; what is asked for becomes conditions of
 * one SQL statement, so that SQLite's indices do the work. */
#include "store/ledger.h"

#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/digest.h"
#include "store/ledger_handle.h"
#include "store/snapshot.h"
#include "store/store.h"

struct ledger {
	sqlite3 *db;
	char *path;
	struct snapshot *snapshot; /* the private copy being read, or NULL */
	sqlite3_stmt *actor_by_digest, *digest_of_exe;
};

int ledger_open(const char *path, struct ledger **ret, struct error *err)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	if (ledger == NULL || (ledger->path = strdup(path)) == NULL) {
		free(ledger);
		return error_set(err, ERROR_MEMORY, "no memory for a ledger");
	}
	struct error problem = {0};
	int result = store_open_read(path, &ledger_schema, &ledger->db, &problem);
	if (result < 0)
		(void)error_set(err, problem.code, "%s", problem.text);
	if (result < 0 && problem.code == ERROR_SYSTEM && snapshot_make(path, &ledger->snapshot, err) == 0)
		result = store_open_read(snapshot_path(ledger->snapshot), &ledger_schema, &ledger->db, err);
	if (result == 0 && (sqlite3_prepare_v2(ledger->db, "SELECT body FROM actor WHERE digest=?1", -1,
	                                       &ledger->actor_by_digest, NULL) != SQLITE_OK ||
	                    sqlite3_prepare_v2(ledger->db,
	                                       "SELECT json_extract(body,'$.exe_sha256') FROM record WHERE"
	                                       " kind='executable' AND json_extract(body,'$.exe_file')=?1 LIMIT 1",
	                                       -1, &ledger->digest_of_exe, NULL) != SQLITE_OK))
		result = store_error(ledger->db, path, err);
	if (result < 0) {
		ledger_close(ledger);
		return -1;
	}
	*ret = ledger;
	return 0;
}

void ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	(void)sqlite3_finalize(ledger->actor_by_digest);
	(void)sqlite3_finalize(ledger->digest_of_exe);
	store_close(ledger->db);
	snapshot_free(ledger->snapshot);
	free(ledger->path);
	free(ledger);
}

sqlite3 *ledger_database(struct ledger *ledger)
{
	return ledger->db;
}

const char *ledger_path(const struct ledger *ledger)
{
	return ledger->path;
}

/* ---- what is asked for */

struct condition {
	const char *sql; /* with one `?` */
	const char *text;
	int64_t number;
	bool is_number;
};

#define CONDITIONS_MAX 20

/* Texts with wildcards become GLOB, others equality (which an index can serve). `[` is no wildcard here. */
static const char *text_condition(const char *equal, const char *glob, const char *text)
{
	return strpbrk(text, "*?") != NULL && strchr(text, '[') == NULL ? glob : equal;
}

static size_t conditions_of(const struct ledger_filter *filter, struct condition conditions[static CONDITIONS_MAX])
{
	const struct {
		const char *equal, *glob, *text;
	} texts[] = {
		{"access_key_id = ?", "access_key_id GLOB ?", filter->access_key_id},
		{"role = ?", "role GLOB ?", filter->role},
		{"exe = ?", "exe GLOB ?", filter->exe},
		{"exe_sha256 = ?", "exe_sha256 GLOB ?", filter->sha256},
		{"unit = ?", "unit GLOB ?", filter->unit},
		{"container_id = ?", "container_id GLOB ?", filter->container},
		{"user = ?", "user GLOB ?", filter->user},
		{"path = ?", "path GLOB ?", filter->path},
		{"instance_id = ?", "instance_id GLOB ?", filter->instance_id},
		{"grade = ?", "grade GLOB ?", filter->grade},
		{"outcome = ?", "outcome GLOB ?", filter->outcome},
		{"source = ?", "source GLOB ?", filter->source},
	};
	const struct {
		const char *sql;
		bool wanted;
		int64_t number;
	} numbers[] = {
		{"at_us >= ?", filter->since_us != 0, filter->since_us},
		{"at_us < ?", filter->until_us != 0, filter->until_us},
		{"seq > ?", filter->after_seq != 0, filter->after_seq},
		{"uid = ?", filter->has_uid, filter->uid},
		{"pid = ?", filter->has_pid, filter->pid},
	};
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i].text != NULL)
			conditions[count++] =
				(struct condition){.sql = text_condition(texts[i].equal, texts[i].glob, texts[i].text),
			                           .text = texts[i].text};
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		if (numbers[i].wanted)
			conditions[count++] = (struct condition){
				.sql = numbers[i].sql, .number = numbers[i].number, .is_number = true};
	return count;
}

/* `head` WHERE what the filter says, then `tail`. */
MUST_USE static int prepare(struct ledger *ledger, const char *head, const struct ledger_filter *filter,
                            const char *tail, sqlite3_stmt **ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer sql = {0};
	struct condition conditions[CONDITIONS_MAX];
	size_t count = conditions_of(filter, conditions);
	if (buffer_printf(&sql, err, "%s WHERE 1", head) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (buffer_printf(&sql, err, " AND %s", conditions[i].sql) < 0)
			return -1;
	if (filter->credentials_only &&
	    buffer_printf(&sql, err, " AND access_key_id IS NOT NULL AND outcome<>'refused'") < 0)
		return -1;
	if (buffer_printf(&sql, err, " %s", tail) < 0)
		return -1;

	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(ledger->db, sql.bytes, -1, &statement, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	for (size_t i = 0; i < count; i++)
		if (conditions[i].is_number)
			(void)sqlite3_bind_int64(statement, (int)i + 1, conditions[i].number);
		else
			(void)sqlite3_bind_text(statement, (int)i + 1, conditions[i].text, -1, SQLITE_TRANSIENT);
	*ret = statement;
	return 0;
}

/* ---- rows as objects */

typedef int make_object(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err);

MUST_USE static int visit_rows(struct ledger *ledger, sqlite3_stmt *rows, make_object *make, ledger_visit *visit,
                               void *context, struct error *err)
{
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		CLEANUP_JSON json_t *object = json_object();
		result = make(ledger, rows, object, err);
		if (result == 0)
			result = visit(context, object, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(ledger->db, ledger->path, err);
	(void)sqlite3_finalize(rows);
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
static void put_late_digest(struct ledger *ledger, json_t *process)
{
	const char *file = json_text_at(process, "exe_file");
	if (file == NULL || json_text_at(process, "exe_sha256") != NULL)
		return;
	(void)sqlite3_bind_text(ledger->digest_of_exe, 1, file, -1, SQLITE_STATIC);
	if (sqlite3_step(ledger->digest_of_exe) == SQLITE_ROW)
		json_put_text(process, "exe_sha256", (const char *)sqlite3_column_text(ledger->digest_of_exe, 0));
	(void)sqlite3_reset(ledger->digest_of_exe);
}

/* Of the process itself and of its ancestors. */
static void put_late_digests(struct ledger *ledger, json_t *process)
{
	const json_t *ancestors = json_at(process, "ancestors");
	put_late_digest(ledger, process);
	for (size_t i = 0; i < json_array_size(ancestors); i++)
		put_late_digest(ledger, json_array_get(ancestors, i));
}

/* The process behind a digest; null when it is not in the ledger. */
static json_t *actor_of(struct ledger *ledger, const json_t *name)
{
	uint8_t digest[DIGEST_BYTES];
	json_t *actor = NULL;
	struct error ignored;
	if (!json_is_string(name) || !digest_from_hex(json_string_value(name), digest))
		return json_null();
	(void)sqlite3_bind_blob(ledger->actor_by_digest, 1, digest, DIGEST_BYTES, SQLITE_STATIC);
	if (sqlite3_step(ledger->actor_by_digest) != SQLITE_ROW ||
	    read_body(ledger->actor_by_digest, 0, &actor, &ignored) < 0)
		actor = json_null();
	else
		put_late_digests(ledger, actor);
	(void)sqlite3_reset(ledger->actor_by_digest);
	return actor;
}

/* Columns: 0 seq, 1 id, 2 at, 3 outcome now, 4 reason now, 5 body. */
static int make_delivery(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	CLEANUP_JSON json_t *body = NULL;
	if (read_body(row, 5, &body, err) < 0 || json_object_update(object, body) < 0)
		return -1;
	json_put_text(object, "kind", "delivery");
	json_put_int(object, "seq", sqlite3_column_int64(row, 0));
	json_put_text(object, "id", (const char *)sqlite3_column_text(row, 1));
	json_put_time(object, "delivered_at", sqlite3_column_int64(row, 2));
	json_put_text(object, "outcome", (const char *)sqlite3_column_text(row, 3));
	json_put_text(object, "reason", (const char *)sqlite3_column_text(row, 4));

	json_put(object, "process", actor_of(ledger, json_object_get(body, "process")));
	const json_t *names = json_object_get(body, "holders");
	json_t *holders = json_array();
	for (size_t i = 0; i < json_array_size(names); i++)
		(void)json_array_append_new(holders, actor_of(ledger, json_array_get(names, i)));
	json_put(object, "holders", holders);
	return 0;
}

int ledger_deliveries(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                      struct error *err)
{
	sqlite3_stmt *rows;
	if (prepare(ledger, "SELECT seq, id, at_us, outcome, reason, body FROM v_deliveries", filter,
	            filter->oldest_first ? "ORDER BY seq" : "ORDER BY seq DESC", &rows, err) < 0)
		return -1;
	return visit_rows(ledger, rows, make_delivery, visit, context, err);
}

static int make_columns(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	(void)ledger;
	(void)err;
	put_columns(row, object);
	return 0;
}

int ledger_keys(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                struct error *err)
{
	sqlite3_stmt *rows;
	struct ledger_filter wanted = *filter;
	wanted.credentials_only = true;
	if (prepare(ledger,
	            "SELECT access_key_id, account_id, role, source, instance_id, host_account_id, region,"
	            " json_extract(body,'$.updated_at') AS updated_at, max(expires_at) AS expires_at,"
	            " min(delivered_at) AS first_delivered_at, max(delivered_at) AS last_delivered_at,"
	            " count(*) AS deliveries, count(DISTINCT actor) AS processes FROM v_deliveries",
	            &wanted,
	            filter->oldest_first ? "GROUP BY access_key_id ORDER BY max(seq)"
	                                 : "GROUP BY access_key_id ORDER BY max(seq) DESC",
	            &rows, err) < 0)
		return -1;
	return visit_rows(ledger, rows, make_columns, visit, context, err);
}

/* Columns: 0 actor's body, 1 keys as a JSON array, then named ones. */
static int make_process(struct ledger *ledger, sqlite3_stmt *row, json_t *object, struct error *err)
{
	CLEANUP_JSON json_t *actor = NULL;
	json_t *keys = NULL;
	if (read_body(row, 0, &actor, err) < 0 || read_body(row, 1, &keys, err) < 0)
		return -1;
	(void)json_object_update(object, actor);
	put_late_digests(ledger, object);
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
	sqlite3_stmt *rows;
	wanted.credentials_only = true;
	if (buffer_printf(&head, err,
	                  "SELECT (SELECT a.body FROM actor a WHERE a.id=actor) AS _body,"
	                  " json_group_array(DISTINCT access_key_id) AS _keys, count(*) AS deliveries,"
	                  " min(delivered_at) AS first_seen, max(delivered_at) AS last_seen, max(CASE grade") < 0)
		return -1;
	for (int i = 0; i < GRADE_COUNT; i++)
		if (buffer_printf(&head, err, " WHEN '%s' THEN %d", grade_names[i], i) < 0)
			return -1;
	if (buffer_printf(&head, err, " ELSE 0 END) AS grade FROM v_deliveries") < 0 ||
	    prepare(ledger, head.bytes, &wanted,
	            filter->oldest_first ? "AND actor IS NOT NULL GROUP BY actor ORDER BY max(seq)"
	                                 : "AND actor IS NOT NULL GROUP BY actor ORDER BY max(seq) DESC",
	            &rows, err) < 0)
		return -1;
	return visit_rows(ledger, rows, make_process, visit, context, err);
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

int ledger_placements(struct ledger *ledger, ledger_visit *visit, void *context, struct error *err)
{
	sqlite3_stmt *rows;
	/* Each is true until the next one of the same instance. */
	const char *sql =
		"SELECT at, lead(at) OVER (PARTITION BY json_extract(body,'$.instance_id') ORDER BY seq), body"
		" FROM (SELECT seq, at, body FROM record WHERE kind='placement' UNION ALL"
		" SELECT 0, 0, json_extract(r.body,'$.placement') FROM meta m JOIN record r ON r.seq=m.value"
		" WHERE m.name='pruned_by' AND json_extract(r.body,'$.placement') IS NOT NULL) ORDER BY seq";
	if (sqlite3_prepare_v2(ledger->db, sql, -1, &rows, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	return visit_rows(ledger, rows, make_placement, visit, context, err);
}

int ledger_summary(struct ledger *ledger, json_t **ret, struct error *err)
{
	sqlite3_stmt *row = NULL;
	const char *sql = "SELECT (SELECT value FROM meta WHERE name='ledger_id') AS ledger_id, count(*) AS rows,"
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
