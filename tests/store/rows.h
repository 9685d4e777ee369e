/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rows for the tests of the ledger, and a look at what lies on disk that goes past the code under test. */
#include <sqlite3.h>

#include "common/buffer.h"
#include "store/chain.h"
#include "store/writer.h"
#include "tests/common/unit.h"

struct row {
	const char *id, *key, *role, *source, *outcome, *reason, *grade, *path, *instance;
	int64_t at_us, pid, uid;
	const char *user, *exe, *unit, *container;
};

#define ROWS_START INT64_C(1700000000000000) /* 2023-11-14T22:13:20Z */

static inline json_t *rows_process(const struct row *row)
{
	json_t *process = json_object();
	json_put_int(process, "pid", row->pid);
	json_put_text(process, "started_at", "2023-11-14T22:00:00.000000Z");
	json_put_int(process, "uid", row->uid);
	json_put_text(process, "user", row->user);
	json_put_text(process, "exe", row->exe);
	json_put_text(process, "exe_sha256", NULL);
	json_put(process, "cmdline", json_pack("[s]", "x"));
	json_put_text(process, "unit", row->unit);
	json_put_text(process, "container_id", row->container);
	json_put_text(process, "pod_uid", NULL);
	return process;
}

/* The body of a delivery; pid 0: no process is known. */
static inline json_t *rows_body(const struct row *row)
{
	json_t *body = json_object(), *holders = json_array();
	json_put_text(body, "access_key_id", row->key);
	json_put_text(body, "account_id", "123456789012");
	json_put_text(body, "role", row->role);
	json_put_text(body, "source", row->source != NULL ? row->source : "imds");
	json_put_text(body, "path", row->path);
	json_put_text(body, "updated_at", "2023-11-14T22:00:00.000000Z");
	json_put_text(body, "expires_at", "2023-11-15T04:00:00.000000Z");
	json_put_text(body, "outcome", row->outcome != NULL ? row->outcome : "recorded");
	json_put_text(body, "reason", row->reason);
	json_put(body, "client", json_pack("{s:s,s:i,s:i}", "address", "192.0.2.1", "port", 1234, "netns", 7));
	json_put(body, "attribution",
	         json_pack("{s:s,s:s,s:[]}", "grade", row->grade != NULL ? row->grade : "none", "method", "test",
	                   "evidence"));
	if (row->pid != 0)
		(void)json_array_append_new(holders, rows_process(row));
	json_put(body, "process", row->pid != 0 ? rows_process(row) : NULL);
	json_put(body, "holders", holders);
	json_put_text(body, "user_agent", "agent/1");
	json_put(body, "host",
	         json_pack("{s:s*,s:s,s:s}", "instance_id", row->instance, "account_id", "123456789012", "region",
	                   "eu-west-1"));
	return body;
}

static inline int rows_append(struct writer *writer, const struct row *row, struct error *err)
{
	CLEANUP_JSON json_t *body = rows_body(row);
	struct entry entry = {.kind = "delivery", .access_key_id = row->key, .at_us = row->at_us, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%s", row->id);
	return writer_append(writer, &entry, err);
}

/* A delivery of which only its id matters. */
static inline int rows_append_numbered(struct writer *writer, unsigned number, struct error *err)
{
	char id[ENTRY_ID_BYTES];
	(void)snprintf(id, sizeof(id), "%016x", number);
	const struct row row = {.id = id,
	                        .key = "ASIAY34FZKBOKMUTVV7A",
	                        .role = "r",
	                        .at_us = ROWS_START + number,
	                        .pid = 100 + number % 7,
	                        .exe = "/usr/bin/x"};
	return rows_append(writer, &row, err);
}

static inline int rows_append_outcome(struct writer *writer, const char *id, const char *subject, const char *outcome,
                                      const char *reason, struct error *err)
{
	CLEANUP_JSON json_t *body = json_object();
	struct entry entry = {.kind = "outcome", .subject = subject, .at_us = ROWS_START + 1000, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	json_put_text(body, "outcome", outcome);
	json_put_text(body, "reason", reason);
	return writer_append(writer, &entry, err);
}

/* Nobody waits for it. */
static inline void rows_append_later(struct writer *writer, unsigned number)
{
	CLEANUP_JSON json_t *body = json_pack("{s:s}", "outcome", "delivered");
	struct entry entry = {.kind = "outcome", .subject = "1", .at_us = ROWS_START + number, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "outcome-%08x", number);
	writer_append_later(writer, &entry);
}

/* Nobody else can write to the ledger until it is closed. */
static inline sqlite3 *rows_lock(const char *path)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

/* ---- what lies on disk */

static inline const char *rows_column(sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

/* How many rows there are, -1 when their numbers have gaps or their chain does not hold. Their ids, each with a comma
 * behind it, go into `ret_ids` when it is not NULL. */
static inline int rows_verify(const char *path, struct buffer *ret_ids)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *rows = NULL;
	uint8_t link[DIGEST_BYTES], next[DIGEST_BYTES];
	int count = 0;
	bool good =
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name='ledger_id'", -1, &rows, NULL) == SQLITE_OK &&
		sqlite3_step(rows) == SQLITE_ROW && chain_genesis(rows_column(rows, 0), link, NULL) == 0;
	(void)sqlite3_finalize(rows);
	rows = NULL;
	good = good && sqlite3_prepare_v2(db,
	                                  "SELECT seq, at, id, kind, subject, access_key_id, body, chain FROM record"
	                                  " ORDER BY seq",
	                                  -1, &rows, NULL) == SQLITE_OK;
	while (good && sqlite3_step(rows) == SQLITE_ROW) {
		const struct chain_row row = {.seq = sqlite3_column_int64(rows, 0),
		                              .at_us = sqlite3_column_int64(rows, 1),
		                              .id = rows_column(rows, 2),
		                              .kind = rows_column(rows, 3),
		                              .subject = rows_column(rows, 4),
		                              .access_key_id = rows_column(rows, 5),
		                              .body = rows_column(rows, 6)};
		good = row.seq == ++count && chain_next(link, &row, next, NULL) == 0 &&
		       sqlite3_column_bytes(rows, 7) == DIGEST_BYTES &&
		       memcmp(sqlite3_column_blob(rows, 7), next, DIGEST_BYTES) == 0;
		memcpy(link, next, sizeof(link));
		if (ret_ids != NULL)
			good = good && buffer_printf(ret_ids, NULL, "%s,", row.id) == 0;
	}
	(void)sqlite3_finalize(rows);
	(void)sqlite3_close(db);
	return good ? count : -1;
}

/* One number by a query of the test's own; -1: there is none. */
static inline int64_t rows_number(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *row = NULL;
	int64_t number = -1;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
		number = sqlite3_column_int64(row, 0);
	(void)sqlite3_finalize(row);
	(void)sqlite3_close(db);
	return number;
}

/* Runs statements on a database, as somebody else's program would. */
static inline bool rows_exec(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	bool good = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
	(void)sqlite3_close(db);
	return good;
}
