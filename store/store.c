/* SPDX-License-Identifier: Apache-2.0 */

/* Opening, checking and migrating databases. A file that is not ours, or newer than we are, is refused untouched. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"

#define BUSY_TIMEOUT_MS 250 /* below the 500 ms that the strictest client waits for a token */

const char *store_text(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	return text != NULL ? text : "";
}

int store_error(sqlite3 *db, const char *what, struct error *err)
{
	int code = sqlite3_errcode(db) & 0xff;
	enum error_code ours = code == SQLITE_CORRUPT  ? ERROR_DAMAGED
	                       : code == SQLITE_NOTADB ? ERROR_INPUT
	                                               : ERROR_SYSTEM;
	return error_set(err, ours, "%s: %s", what, sqlite3_errmsg(db));
}

int store_exec(sqlite3 *db, const char *sql, struct error *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(db, "database", err);
	return 0;
}

int store_integer(sqlite3 *db, const char *sql, int64_t *ret, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
		result = store_error(db, "database", err);
	else
		*ret = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return result;
}

/* 0: empty file; 1: ours. */
MUST_USE static int check_kind(sqlite3 *db, const struct schema *schema, int64_t *ret_version, struct error *err)
{
	int64_t application, tables;
	if (store_integer(db, "PRAGMA application_id", &application, err) < 0 ||
	    store_integer(db, "PRAGMA user_version", ret_version, err) < 0 ||
	    store_integer(db, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
		return -1;
	if (application == 0 && tables == 0)
		return 0;
	if (application != schema->application_id)
		return error_set(err, ERROR_INPUT, "not a %s of keytrail", schema->what);
	if (*ret_version > schema->count)
		return error_set(err, ERROR_NEWER,
		                 "a %s of schema version %lld; this program (" KEYTRAIL_VERSION
		                 ") knows versions up to %d",
		                 schema->what, (long long)*ret_version, schema->count);
	return 1;
}

/* An older database as it was, beside it: `PATH.version-N`. Whole or not there. */
MUST_USE static int keep_copy(sqlite3 *db, int64_t version, struct error *err)
{
	const char *path = sqlite3_db_filename(db, "main");
	CLEANUP_FREE char *copy = NULL;
	CLEANUP_FREE char *fresh = NULL;
	if (path == NULL || path[0] == '\0')
		return 0;
	if (asprintf(&copy, "%s.version-%lld", path, (long long)version) < 0)
		copy = NULL;
	if (copy == NULL || asprintf(&fresh, "%s.new", copy) < 0)
		return error_set(err, ERROR_MEMORY, "no memory for a copy");
	sqlite3_stmt *statement = NULL;
	(void)unlink(fresh); /* of an attempt that was cut short */
	int result = 0;
	if (sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(statement, 1, fresh, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_DONE)
		result = store_error(db, "a copy of the older database", err);
	(void)sqlite3_finalize(statement);
	if (result == 0 && (chmod(fresh, 0640) < 0 || rename(fresh, copy) < 0))
		result = error_errno(err, "%s", copy);
	return result;
}

MUST_USE static int migrate(sqlite3 *db, const struct schema *schema, struct error *err)
{
	int64_t version;
	if (store_exec(db, "BEGIN IMMEDIATE", err) < 0 || check_kind(db, schema, &version, err) < 0)
		return -1;
	char pragma[96];
	for (; version < schema->count; version++) {
		(void)snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
		               schema->application_id, (long long)version + 1);
		if (store_exec(db, schema->migrations[version], err) < 0 || store_exec(db, pragma, err) < 0)
			return -1;
	}
	return store_exec(db, "COMMIT", err);
}

MUST_USE static int prepare_write(sqlite3 *db, const struct schema *schema, struct error *err)
{
	int64_t version;
	int keep = 1;
	int kind = check_kind(db, schema, &version, err);
	if (kind < 0)
		return -1;
	/* What is cut short here is begun anew as an empty file, so it is synced once, when it is whole. */
	bool is_synced_late = kind == 0 && schema->is_synced_late;
	if (is_synced_late && store_exec(db, "PRAGMA synchronous = OFF", err) < 0)
		return -1;
	/* A new file gives pages back in small steps; that is settled before its first table. */
	if (kind == 0 && store_exec(db, "PRAGMA auto_vacuum = INCREMENTAL", err) < 0)
		return -1;
	if (store_exec(db, "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON", err) < 0 ||
	    (!is_synced_late && store_exec(db, "PRAGMA synchronous = FULL", err) < 0))
		return -1;
	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	if (version >= schema->count)
		return 0;
	if ((kind == 1 && keep_copy(db, version, err) < 0) || migrate(db, schema, err) < 0)
		return -1;
	return is_synced_late ? store_exec(db, "PRAGMA synchronous = FULL; PRAGMA wal_checkpoint", err) : 0;
}

int store_open_write(const char *path, const struct schema *schema, sqlite3 **ret, struct error *err)
{
	sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	if (path[0] == '/') {
		/* Made by us, so that its mode does not depend on the umask of whoever starts us. */
		CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd < 0 && errno == ELOOP)
			return error_set(err, ERROR_INPUT, "%s: is a symbolic link: expected the file itself", path);
		if (fd < 0)
			return error_errno(err, "%s", path);
	}
	int result = 0;
	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
		result = store_error(db, "cannot open", err);
	if (result == 0) {
		(void)sqlite3_extended_result_codes(db, 1);
		(void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
		result = prepare_write(db, schema, err);
	}
	if (result < 0) {
		store_close(db);
		return error_prefix(err, "%s", path);
	}
	*ret = db;
	return 0;
}

/* Everything but tables that hold rows is a program of whoever wrote the file. */
static const char programs_sql[] = "SELECT count(*) FROM sqlite_schema WHERE (type='view' AND name NOT GLOB 'v_*')"
				   " OR (type='table' AND coalesce(rootpage,0)=0)";

/* Our views, under the same names: those of a connection come before those of its file. */
MUST_USE static int put_views(sqlite3 *db, const char *views, struct error *err)
{
	static const char create[] = "CREATE VIEW ";
	CLEANUP_BUFFER struct buffer sql = {0};
	for (const char *at = views; at != NULL; at = strstr(at, create)) {
		at += strlen(create);
		const char *end = strstr(at, create);
		if (buffer_printf(&sql, err, "CREATE TEMP VIEW %.*s",
		                  (int)(end != NULL ? end - at : (ptrdiff_t)strlen(at)), at) < 0)
			return -1;
	}
	return sql.length > 0 ? store_exec(db, sql.bytes, err) : 0;
}

MUST_USE static int distrust(sqlite3 *db, const struct schema *schema, struct error *err)
{
	int64_t programs = 0;
	if (schema->views !=
	    NULL) /* else its own are asked, and SQLite's functions on JSON are for trusted ones only */
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, STORE_VALUE_MAX);
	if (store_exec(db, "PRAGMA cell_size_check = ON", err) < 0 ||
	    store_integer(db, programs_sql, &programs, err) < 0)
		return -1;
	if (programs > 0)
		return error_set(err, ERROR_INPUT, "a %s with views or programs in place of its tables", schema->what);
	return put_views(db, schema->views, err);
}

int store_open_read(const char *path, const struct schema *schema, sqlite3 **ret, struct error *err)
{
	sqlite3 *db = NULL;
	int64_t version;
	int result = 0, kind = 0;
	struct stat status;
	if (stat(path, &status) < 0)
		return error_errno(err, "%s", path);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		result = store_error(db, "cannot open", err);
	if (result == 0) {
		(void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
		kind = check_kind(db, schema, &version, err);
		result = kind < 0 ? -1 : 0;
	}
	if (result == 0 && kind == 0)
		result = error_set(err, ERROR_INPUT, "an empty file, not a %s of keytrail", schema->what);
	if (result == 0)
		result = distrust(db, schema, err);
	if (result < 0) {
		store_close(db);
		return error_prefix(err, "%s", path);
	}
	*ret = db;
	return 0;
}

void store_close(sqlite3 *db)
{
	(void)sqlite3_close_v2(db);
}
