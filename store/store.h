/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* SQLite as this project uses it: one kind of error, schemas that only move forward, files that a group may read.
 * Only store/ includes this header. A connection belongs to one thread. */

/* A database's schema: migrations[i] brings version i to i + 1 (PRAGMA user_version). */
struct schema {
	const char *what;       /* "ledger", "findings": for messages */
	int32_t application_id; /* PRAGMA application_id: is this file one of ours? */
	const char *const *migrations;
	int count;
	bool is_synced_late; /* a new file is synced once, when it is whole: for what holds nothing of worth before */
	const char *views;   /* of its latest version; NULL: it has none */
};
extern const struct schema ledger_schema;
extern const struct schema merged_schema; /* many machines in one: store/import.h */
extern const struct schema findings_schema;

/* v_deliveries once more for each further holder of a socket, with that one as the process. A query, of ledgers that
 * have table `holder` (version 3; merged ones: 2). */
extern const char ledger_held_sql[], merged_held_sql[];

/* Opens for writing: makes the file (0640) and its tables, migrates an older one (which
 * stays beside it as `PATH.version-N`), keeps the WAL on close so that
 * readers need no write access. synchronous=FULL. `path` ":memory:" is allowed. ERROR_NEWER for a newer schema. */
MUST_USE int store_open_write(const char *path, const struct schema *schema, sqlite3 **ret, struct error *err);

/* Opens for reading only; never makes or changes a file. It may come from a machine that somebody else had root on: its
 * views are passed over for our own (what the file says of them only `ledger verify` looks at), a table that is none is
 * ERROR_INPUT, and no value of more than STORE_VALUE_MAX bytes is read. */
#define STORE_VALUE_MAX (64 << 20)
MUST_USE int store_open_read(const char *path, const struct schema *schema, sqlite3 **ret, struct error *err);

/* NULL is fine. */
void store_close(sqlite3 *db);

MUST_USE int store_exec(sqlite3 *db, const char *sql, struct error *err);
MUST_USE int store_integer(sqlite3 *db, const char *sql, int64_t *ret, struct error *err);

/* A column as a text, "" for NULL; lent until the statement moves on. */
const char *store_text(sqlite3_stmt *row, int column);

/* Turns SQLite's current error of `db` into ours; always returns -1. */
int store_error(sqlite3 *db, const char *what, struct error *err);
