/* SPDX-License-Identifier: Apache-2.0 */

/* A merged ledger keeps its keys in a table. A machine's own has only rows: of the thousands of one key the oldest and
 * the newest say all that `ledger_keys` would say, since a key has one owner and one end. */
#include "store/ledger_lookup.h"

#include <string.h>

#include "common/clock.h"
#include "store/ledger_handle.h"
#include "store/store.h"

#define LOOKUP_TEXTS 4

enum lookup_sql { LOOKUP_KEY, LOOKUP_IDS, LOOKUP_INSTANCES, LOOKUP_INSTANCE, LOOKUP_COUNT };

/* Columns: 0 role, 1 instance, 2 its account, 3 region, 4 expires_at, 5 first delivered, in microseconds. */
#define OF_DELIVERY                                                                                                    \
	"json_extract(r.body,'$.role'), json_extract(r.body,'$.host.instance_id'),"                                    \
	" json_extract(r.body,'$.host.account_id'), json_extract(r.body,'$.host.region')"
#define GIVEN(key)                                                                                                     \
	"FROM record r WHERE r.access_key_id=" key " AND +r.kind='delivery'"                                           \
	" AND json_extract(r.body,'$.outcome') IS NOT 'refused'"

/* Each text that the index on keys holds, one step an id: it has as many entries as there are rows. */
#define EACH_ID(columns)                                                                                               \
	"WITH RECURSIVE each(id) AS (SELECT min(access_key_id) FROM record WHERE access_key_id IS NOT NULL UNION ALL"  \
	" SELECT (SELECT min(access_key_id) FROM record WHERE access_key_id>each.id) FROM each WHERE each.id IS NOT"   \
	" NULL) SELECT " columns " FROM each WHERE id IS NOT NULL"

static const char *const own_sqls[LOOKUP_COUNT] = {
	/* The oldest row, then the newest. */
	[LOOKUP_KEY] = "SELECT * FROM (SELECT " OF_DELIVERY ", json_extract(r.body,'$.expires_at'), r.at " GIVEN(
		"?1") " ORDER BY r.at LIMIT 1) UNION ALL"
		      " SELECT * FROM (SELECT " OF_DELIVERY
		      ", json_extract(r.body,'$.expires_at'), r.at " GIVEN("?1") " ORDER BY r.at DESC, r.seq LIMIT 1)",
	[LOOKUP_IDS] = EACH_ID("id"),
	[LOOKUP_INSTANCES] = EACH_ID("id, (SELECT json_extract(r.body,'$.host.instance_id') " GIVEN(
		"each.id") " ORDER BY r.at DESC LIMIT 1)"),
};

static const char *const merged_sqls[LOOKUP_COUNT] = {
	/* As `ledger_keys` asks, so that of several machines with one key the same one counts. */
	[LOOKUP_KEY] = "SELECT role, instance_id, host_account_id, region, max(expires_at), min(first_at), max(last_at)"
		       " FROM key WHERE access_key_id=?1 AND deliveries>0 GROUP BY access_key_id",
	[LOOKUP_IDS] = "SELECT access_key_id FROM key WHERE deliveries>0",
	[LOOKUP_INSTANCES] = "SELECT DISTINCT instance_id, instance_id FROM origin_instance",
	/* By a machine's rows in their order: one of the first is such a delivery. */
	[LOOKUP_INSTANCE] = "SELECT " OF_DELIVERY ", NULL, NULL FROM origin_instance i CROSS JOIN record r ON"
			    " r.origin=i.origin WHERE i.instance_id=?1 AND +r.kind='delivery' AND +r.given=1"
			    " AND json_extract(r.body,'$.host.instance_id')=?1 ORDER BY r.origin_seq LIMIT 1",
};

struct ledger_lookup {
	sqlite3 *db;
	char *path;
	bool is_merged;
	sqlite3_stmt *statements[LOOKUP_COUNT];
	char *texts[LOOKUP_TEXTS]; /* lent: a statement that waits would keep the writer's WAL from being begun anew */
};

int ledger_lookup_open(struct ledger *ledger, struct ledger_lookup **ret, struct error *err)
{
	struct ledger_lookup *lookup = calloc(1, sizeof(*lookup));
	const char *const *sqls = ledger->is_merged ? merged_sqls : own_sqls;
	if (lookup == NULL || (lookup->path = strdup(ledger->path)) == NULL) {
		ledger_lookup_close(lookup);
		return error_set(err, ERROR_MEMORY, "no memory for a ledger");
	}
	lookup->is_merged = ledger->is_merged;
	int result = store_open_read(sqlite3_db_filename(ledger->db, "main"),
	                             ledger->is_merged ? &merged_schema : &ledger_schema, &lookup->db, err);
	for (int i = 0; result == 0 && i < LOOKUP_COUNT; i++)
		if (sqls[i] != NULL &&
		    sqlite3_prepare_v2(lookup->db, sqls[i], -1, &lookup->statements[i], NULL) != SQLITE_OK)
			result = store_error(lookup->db, lookup->path, err);
	if (result < 0) {
		ledger_lookup_close(lookup);
		return -1;
	}
	*ret = lookup;
	return 0;
}

void ledger_lookup_close(struct ledger_lookup *lookup)
{
	if (lookup == NULL)
		return;
	for (int i = 0; i < LOOKUP_COUNT; i++)
		(void)sqlite3_finalize(lookup->statements[i]);
	for (int i = 0; i < LOOKUP_TEXTS; i++)
		free(lookup->texts[i]);
	store_close(lookup->db);
	free(lookup->path);
	free(lookup);
}

uint64_t ledger_lookup_bytes(const struct ledger_lookup *lookup)
{
	int64_t pages = 0, size = 0;
	struct error ignored;
	if (store_integer(lookup->db, "PRAGMA page_count", &pages, &ignored) < 0 ||
	    store_integer(lookup->db, "PRAGMA page_size", &size, &ignored) < 0 || pages < 0 || size < 0)
		return 0;
	return (uint64_t)pages * (uint64_t)size;
}

/* ---- one key */

static int64_t time_of(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	int64_t time_us = 0;
	return text != NULL && clock_parse(text, &time_us) ? time_us : 0;
}

MUST_USE static int check(struct ledger_lookup *lookup, int code, struct error *err)
{
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : store_error(lookup->db, lookup->path, err);
}

MUST_USE static int keep(struct ledger_lookup *lookup, sqlite3_stmt *row, int column, const char **ret,
                         struct error *err)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	free(lookup->texts[column]);
	*ret = lookup->texts[column] = text != NULL ? strdup(text) : NULL;
	return text != NULL && *ret == NULL ? error_set(err, ERROR_MEMORY, "no memory for a key") : 0;
}

MUST_USE static int take_row(struct ledger_lookup *lookup, sqlite3_stmt *row, struct ledger_key *key, struct error *err)
{
	const char **const texts[LOOKUP_TEXTS] = {&key->role, &key->instance_id, &key->host_account_id, &key->region};
	int64_t expires_us = time_of(row, 4), first_us = sqlite3_column_int64(row, 5);
	for (int i = 0; i < LOOKUP_TEXTS; i++)
		if (keep(lookup, row, i, texts[i], err) < 0)
			return -1;
	key->expires_at_us = expires_us > key->expires_at_us ? expires_us : key->expires_at_us;
	key->first_delivered_us = key->first_delivered_us == 0 ? first_us : key->first_delivered_us;
	return 0;
}

/* One key by its statement: the last row says it all but for when the first delivery was. */
MUST_USE static int read_key(struct ledger_lookup *lookup, enum lookup_sql which, const char *id,
                             struct ledger_key *ret, bool *ret_known, struct error *err)
{
	sqlite3_stmt *rows = lookup->statements[which];
	int code, result = 0;
	*ret = (struct ledger_key){0};
	*ret_known = false;
	(void)sqlite3_bind_text(rows, 1, id, -1, SQLITE_TRANSIENT);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		result = take_row(lookup, rows, ret, err);
		*ret_known = true;
	}
	if (result == 0)
		result = check(lookup, code, err);
	(void)sqlite3_reset(rows);
	return result;
}

int ledger_lookup_key(struct ledger_lookup *lookup, const char *id, struct ledger_key *ret, bool *ret_known,
                      struct error *err)
{
	return read_key(lookup, LOOKUP_KEY, id, ret, ret_known, err);
}

/* ---- all of them */

int ledger_lookup_ids(struct ledger_lookup *lookup, ledger_lookup_visit_id *visit, void *context, struct error *err)
{
	sqlite3_stmt *rows = lookup->statements[LOOKUP_IDS];
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(rows, 0);
		if (id != NULL && *id != '\0')
			result = visit(context, id, err);
	}
	if (result == 0)
		result = check(lookup, code, err);
	(void)sqlite3_reset(rows);
	return result;
}

/* `row`: a key of a machine's own ledger and its instance, or twice an instance. */
MUST_USE static int visit_instance(struct ledger_lookup *lookup, sqlite3_stmt *row,
                                   const struct ledger_lookup_visitor *visitor, struct error *err)
{
	const char *id = (const char *)sqlite3_column_text(row, 0);
	const char *instance = (const char *)sqlite3_column_text(row, 1);
	struct ledger_key key;
	bool is_known;
	if (id == NULL || instance == NULL || *instance == '\0' || !visitor->is_wanted(visitor->context, instance))
		return 0;
	if (read_key(lookup, lookup->is_merged ? LOOKUP_INSTANCE : LOOKUP_KEY, id, &key, &is_known, err) < 0)
		return -1;
	return is_known && key.instance_id != NULL ? visitor->instance(visitor->context, &key, err) : 0;
}

int ledger_lookup_instances(struct ledger_lookup *lookup, const struct ledger_lookup_visitor *visitor,
                            struct error *err)
{
	sqlite3_stmt *rows = lookup->statements[LOOKUP_INSTANCES];
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW)
		result = visit_instance(lookup, rows, visitor, err);
	if (result == 0)
		result = check(lookup, code, err);
	(void)sqlite3_reset(rows);
	return result;
}
