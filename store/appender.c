/* SPDX-License-Identifier: Apache-2.0 */

/* Inserts of the ledger. Each transaction starts from the chain's head on disk: memory never runs
 * ahead of it. */
#include "store/appender.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "store/backfill.h"
#include "store/chain.h"
#include "store/intact.h"
#include "store/store.h"

#define CHECKPOINT_FRAMES 1000   /* of 4 KB: the WAL stays near 4 MB */
#define BACKLOG_FRAMES 8000      /* 32 MB: moving more than that takes longer than a client waits */
#define WAL_BYTES (16 << 20)     /* a file that grew beyond, while a reader held it, is cut back */
#define WAL_CUT_BYTES (32 << 20) /* by so much at a time: a client may wait for it */

enum sql { SQL_ACTOR_FIND, SQL_ACTOR_ADD, SQL_KNOWN, SQL_ADD, SQL_HOLDER, SQL_COUNT };
static const char *const sqls[SQL_COUNT] = {
	[SQL_ACTOR_FIND] = "SELECT id FROM actor WHERE digest=?1",
	[SQL_ACTOR_ADD] = "INSERT INTO actor(digest,body) VALUES(?1,?2)",
	[SQL_KNOWN] = "SELECT 1 FROM record WHERE id=?1",
	[SQL_ADD] = ("INSERT INTO record(seq,id,at,kind,subject,access_key_id,actor,body,chain) "
                     "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)"),
	[SQL_HOLDER] = "INSERT INTO holder(record,actor) VALUES(?1,?2)",
};

struct appender {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	struct appender_listener listener; /* its functions may be NULL */
	char ledger_id[LINE_LEDGER_BYTES];
	int64_t seq; /* of the newest row */
	uint8_t head[DIGEST_BYTES];
	int frames; /* in the WAL */
	int moved;  /* of these, into the database */
	struct backfill *backfill;
	int checkpoint_at; /* how many there are to be before the next checkpoint */
	struct intact intact;
};

static int on_commit(void *context, sqlite3 *db, const char *name, int frames)
{
	(void)db;
	(void)name;
	struct appender *appender = context;
	if (frames < appender->frames) { /* it has begun anew */
		appender->checkpoint_at = CHECKPOINT_FRAMES;
		appender->moved = 0;
	}
	appender->frames = frames;
	return SQLITE_OK;
}

/* Where the chain stands on disk. */
MUST_USE static int read_head(struct appender *appender, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = 0;
	const char *sql = "SELECT seq, chain, NULL FROM record WHERE seq=(SELECT max(seq) FROM record)"
			  " UNION ALL SELECT 0, NULL, value FROM meta WHERE name='ledger_id' ORDER BY 1 DESC LIMIT 1";
	if (sqlite3_prepare_v2(appender->db, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW) {
		result = store_error(appender->db, "ledger", err);
	} else if (sqlite3_column_int64(statement, 0) == 0) {
		appender->seq = 0;
		result = chain_genesis((const char *)sqlite3_column_text(statement, 2), appender->head, err);
	} else if (sqlite3_column_bytes(statement, 1) != DIGEST_BYTES) {
		result = error_set(err, ERROR_INPUT, "ledger: the newest row has no chain value");
	} else {
		appender->seq = sqlite3_column_int64(statement, 0);
		memcpy(appender->head, sqlite3_column_blob(statement, 1), DIGEST_BYTES);
	}
	(void)sqlite3_finalize(statement);
	return result;
}

MUST_USE static int read_ledger_id(struct appender *appender, struct error *err)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(appender->db, "SELECT value FROM meta WHERE name='ledger_id'", -1, &row, NULL) !=
	            SQLITE_OK ||
	    sqlite3_step(row) != SQLITE_ROW)
		result = store_error(appender->db, "ledger", err);
	else if (sqlite3_column_type(row, 0) == SQLITE_TEXT)
		(void)text_copy(appender->ledger_id, sizeof(appender->ledger_id),
		                (const char *)sqlite3_column_text(row, 0));
	(void)sqlite3_finalize(row);
	return result;
}

int appender_open(const char *path, struct appender **ret, struct error *err)
{
	struct appender *appender = calloc(1, sizeof(*appender));
	if (appender == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the ledger");
	int result = store_open_write(path, &ledger_schema, &appender->db, err);
	for (int i = 0; result == 0 && i < SQL_COUNT; i++)
		if (sqlite3_prepare_v3(appender->db, sqls[i], -1, SQLITE_PREPARE_PERSISTENT, &appender->statements[i],
		                       NULL) != SQLITE_OK)
			result = store_error(appender->db, path, err);
	if (result == 0)
		result = read_ledger_id(appender, err);
	if (result == 0)
		result = read_head(appender, err);
	if (result < 0) {
		appender_close(appender);
		return -1;
	}
	/* Also switches SQLite's own checkpoints off, which would run while a client waits for COMMIT. */
	(void)sqlite3_wal_hook(appender->db, on_commit, appender);
	appender->checkpoint_at = CHECKPOINT_FRAMES;
	appender->backfill = backfill_new(path);
	intact_note(appender->db, &appender->intact);
	*ret = appender;
	return 0;
}

void appender_close(struct appender *appender)
{
	if (appender == NULL)
		return;
	backfill_free(appender->backfill);
	for (int i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize(appender->statements[i]);
	store_close(appender->db);
	free(appender);
}

void appender_abandon(struct appender *appender, bool is_damaged)
{
	/* What lies in a WAL that was deleted alone still reaches the database from here. Out of an overwritten one, or
	 * into an overwritten database, nothing must be copied. */
	if (is_damaged)
		(void)sqlite3_db_config(appender->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	else
		(void)sqlite3_wal_checkpoint_v2(appender->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	appender_close(appender);
}

int appender_begin(struct appender *appender, struct error *err)
{
	if (store_exec(appender->db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	return read_head(appender, err);
}

/* Runs a statement that gives at most one row; ret_id 0: no row. */
MUST_USE static int run_once(struct appender *appender, enum sql index, int64_t *ret_id, struct error *err)
{
	sqlite3_stmt *statement = appender->statements[index];
	int code = sqlite3_step(statement), result = 0;
	if (code == SQLITE_ROW)
		*ret_id = sqlite3_column_int64(statement, 0);
	else if (code == SQLITE_DONE)
		*ret_id = 0;
	else
		result = store_error(appender->db, "ledger", err);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return result;
}

MUST_USE static int insert_actor(struct appender *appender, const struct packed_actor *actor, int64_t *ret_id,
                                 struct error *err)
{
	int64_t none;
	(void)sqlite3_bind_blob(appender->statements[SQL_ACTOR_FIND], 1, actor->digest, DIGEST_BYTES, SQLITE_STATIC);
	if (run_once(appender, SQL_ACTOR_FIND, ret_id, err) < 0)
		return -1;
	if (*ret_id != 0)
		return 0;
	(void)sqlite3_bind_blob(appender->statements[SQL_ACTOR_ADD], 1, actor->digest, DIGEST_BYTES, SQLITE_STATIC);
	(void)sqlite3_bind_text(appender->statements[SQL_ACTOR_ADD], 2, actor->body, -1, SQLITE_STATIC);
	if (run_once(appender, SQL_ACTOR_ADD, &none, err) < 0)
		return -1;
	*ret_id = sqlite3_last_insert_rowid(appender->db);
	return 0;
}

MUST_USE static int insert_record(struct appender *appender, const struct packed *packed, int64_t actor,
                                  struct error *err)
{
	sqlite3_stmt *add = appender->statements[SQL_ADD];
	uint8_t link[DIGEST_BYTES];
	int64_t none;
	const struct chain_row row = {
		.seq = appender->seq + 1,
		.at_us = packed->at_us,
		.id = packed->id,
		.kind = packed->kind,
		.subject = packed->subject,
		.access_key_id = packed->access_key_id,
		.body = packed->body,
	};
	if (chain_next(appender->head, &row, link, err) < 0)
		return -1;
	(void)sqlite3_bind_int64(add, 1, row.seq);
	(void)sqlite3_bind_text(add, 2, row.id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(add, 3, row.at_us);
	(void)sqlite3_bind_text(add, 4, row.kind, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(add, 5, row.subject, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(add, 6, row.access_key_id, -1, SQLITE_STATIC);
	if (actor != 0)
		(void)sqlite3_bind_int64(add, 7, actor);
	(void)sqlite3_bind_text(add, 8, row.body, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(add, 9, link, DIGEST_BYTES, SQLITE_STATIC);
	if (run_once(appender, SQL_ADD, &none, err) < 0)
		return -1;
	appender->seq = row.seq;
	memcpy(appender->head, link, DIGEST_BYTES);
	const struct line_place place = {.ledger_id = appender->ledger_id, .link = link};
	if (appender->listener.row != NULL)
		appender->listener.row(appender->listener.context, packed, row.seq, &place);
	return 0;
}

/* Of the row just inserted. */
MUST_USE static int insert_holder(struct appender *appender, int64_t actor, struct error *err)
{
	int64_t none;
	(void)sqlite3_bind_int64(appender->statements[SQL_HOLDER], 1, appender->seq);
	(void)sqlite3_bind_int64(appender->statements[SQL_HOLDER], 2, actor);
	return run_once(appender, SQL_HOLDER, &none, err);
}

int appender_insert(struct appender *appender, const struct packed *packed, struct error *err)
{
	int64_t known, process = 0, ids[ENTRY_ACTORS_MAX];
	(void)sqlite3_bind_text(appender->statements[SQL_KNOWN], 1, packed->id, -1, SQLITE_STATIC);
	if (run_once(appender, SQL_KNOWN, &known, err) < 0)
		return -1;
	if (known != 0)
		return 0;
	for (size_t i = 0; i < packed->actor_count; i++) {
		if (insert_actor(appender, &packed->actors[i], &ids[i], err) < 0)
			return -1;
		if (i == 0 && packed->has_process)
			process = ids[0];
	}
	if (insert_record(appender, packed, process, err) < 0)
		return -1;
	for (size_t i = packed->has_process ? 1 : 0; i < packed->actor_count; i++)
		if (insert_holder(appender, ids[i], err) < 0)
			return -1;
	return 0;
}

static void tell_end(struct appender *appender, bool committed)
{
	if (appender->listener.end != NULL)
		appender->listener.end(appender->listener.context, committed);
}

int appender_commit(struct appender *appender, struct error *err)
{
	if (store_exec(appender->db, "COMMIT", err) < 0 ||
	    intact_check(appender->db, &appender->intact, appender->frames > 0, err) < 0)
		return -1;
	tell_end(appender, true);
	return 0;
}

void appender_rollback(struct appender *appender)
{
	struct error ignored;
	if (sqlite3_get_autocommit(appender->db) == 0)
		(void)store_exec(appender->db, "ROLLBACK", &ignored);
	tell_end(appender, false);
}

void appender_listen(struct appender *appender, const struct appender_listener *listener)
{
	appender->listener = *listener;
}

sqlite3 *appender_database(struct appender *appender)
{
	return appender->db;
}

int64_t appender_seq(const struct appender *appender)
{
	return appender->seq;
}

/* The next time that the WAL begins anew, some of a large file is given back. */
static void cut_back(struct appender *appender)
{
	sqlite3_file *wal = NULL;
	sqlite3_int64 size = 0;
	char pragma[64];
	struct error ignored;
	if (sqlite3_file_control(appender->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK ||
	    wal == NULL || wal->pMethods == NULL || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK ||
	    size <= WAL_BYTES)
		return;
	size = size - WAL_CUT_BYTES > WAL_BYTES ? size - WAL_CUT_BYTES : WAL_BYTES;
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA journal_size_limit = %lld", (long long)size);
	(void)store_exec(appender->db, pragma, &ignored);
}

void appender_checkpoint(struct appender *appender)
{
	int frames = 0, moved = 0;
	if (backfill_is_under_way(appender->backfill, &appender->moved) || appender->frames < appender->checkpoint_at)
		return;
	if (appender->frames - appender->moved > BACKLOG_FRAMES && backfill_begin(appender->backfill)) {
		appender->checkpoint_at = appender->frames + CHECKPOINT_FRAMES;
		return;
	}
	int code = sqlite3_wal_checkpoint_v2(appender->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	bool is_all = code == SQLITE_OK && frames == moved;
	appender->moved = code == SQLITE_OK && moved > 0 ? moved : appender->moved;
	if (is_all)
		cut_back(appender);
	/* Held up by a reader, it is not tried after each commit. */
	appender->checkpoint_at = is_all ? CHECKPOINT_FRAMES : appender->frames + CHECKPOINT_FRAMES;
}
