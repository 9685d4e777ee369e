/* SPDX-License-Identifier: Apache-2.0 */

/* A watcher's memory. A file is noted only when its findings are stored and said, so that a watcher that is killed
 * reads it again, which changes nothing. */
#include "store/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "store/store.h"

enum statement { HAS_READ, HAS_SAID, READ, SAID, REMEMBER, COUNT, RECENT, FORGET, TOGETHER, STATEMENT_COUNT };

static const char *const statements[STATEMENT_COUNT] = {
	[HAS_READ] = "SELECT 1 FROM file WHERE id=?1",
	[HAS_SAID] = "SELECT 1 FROM said WHERE finding=?1 AND digest=?2",
	[READ] = "INSERT OR IGNORE INTO file(id) VALUES(?1)",
	[REMEMBER] = "INSERT OR REPLACE INTO recent(id, name, at, is_apart) VALUES(?1, ?2, ?3, 1)",
	[COUNT] = "SELECT total(is_apart), count(*) FROM recent",
	[RECENT] = "SELECT id, name FROM recent WHERE at >= ?1 ORDER BY at DESC, name LIMIT ?2",
	[FORGET] = "DELETE FROM recent WHERE at < ?1",
	[TOGETHER] = "UPDATE recent SET is_apart=0 WHERE is_apart",
	[SAID] = "INSERT OR REPLACE INTO said(finding, digest) VALUES(?1, ?2)",
};

static const char *const migrations[] = {
	"CREATE TABLE file(id BLOB PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE said(finding TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE recent(id BLOB PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL, is_apart INTEGER NOT NULL)"
	" WITHOUT ROWID;",

};

static const struct schema schema = {
	.what = "checkpoint",
	.application_id = 0x4b544350, /* "KTCP" */
	.migrations = migrations,
	.count = (int)ARRAY_LENGTH(migrations),
};

struct checkpoint {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	int lock;
	bool is_gathering;
};

/* The lock is held by a descriptor of its own, that is closed last: closing it would give up SQLite's locks as well. */
MUST_USE static int take_lock(struct checkpoint *checkpoint, const char *path, struct error *err)
{
	checkpoint->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (checkpoint->lock < 0)
		return error_errno(err, "%s", path);
	(void)fchmod(checkpoint->lock, 0640);
	if (flock(checkpoint->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? error_set(err, ERROR_USAGE, "%s: another watcher has it", path)
	                            : error_errno(err, "%s", path);
}

int checkpoint_open(const char *path, struct checkpoint **ret, struct error *err)
{
	struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
	if (checkpoint == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a checkpoint");
	checkpoint->lock = -1;
	int result = take_lock(checkpoint, path, err);
	if (result == 0)
		result = store_open_write(path, &schema, &checkpoint->db, err);
	for (int i = 0; i < STATEMENT_COUNT && result == 0; i++)
		if (sqlite3_prepare_v3(checkpoint->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
		                       &checkpoint->statements[i], NULL) != SQLITE_OK)
			result = store_error(checkpoint->db, path, err);
	if (result < 0) {
		checkpoint_close(checkpoint);
		return -1;
	}
	*ret = checkpoint;
	return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	if (checkpoint == NULL)
		return;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(checkpoint->statements[i]);
	store_close(checkpoint->db);
	if (checkpoint->lock >= 0)
		(void)close(checkpoint->lock);
	free(checkpoint);
}

int checkpoint_id_of(const char *name, const char *version, struct checkpoint_id *ret, struct error *err)
{
	struct digest *digest;
	uint8_t full[DIGEST_BYTES];
	if (digest_new(&digest, err) < 0)
		return -1;
	int result = digest_add(digest, name, strlen(name) + 1, err);
	if (result == 0)
		result = digest_add(digest, version, strlen(version), err);
	if (result == 0)
		result = digest_take(digest, full, err);
	digest_free(digest);
	if (result == 0)
		memcpy(ret->bytes, full, sizeof(ret->bytes));
	return result;
}

/* Runs to its end; `ret_row`, which may be NULL: was there a row? */
MUST_USE static int step(struct checkpoint *checkpoint, enum statement which, bool *ret_row, struct error *err)
{
	sqlite3_stmt *statement = checkpoint->statements[which];
	int code = sqlite3_step(statement), result = 0;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(checkpoint->db, "checkpoint", err);
	if (ret_row != NULL)
		*ret_row = code == SQLITE_ROW;
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return result;
}

MUST_USE static int gather(struct checkpoint *checkpoint, struct error *err)
{
	if (checkpoint->is_gathering)
		return 0;
	checkpoint->is_gathering = true;
	return store_exec(checkpoint->db, "BEGIN IMMEDIATE", err);
}

static void bind_id(struct checkpoint *checkpoint, enum statement which, const struct checkpoint_id *id)
{
	(void)sqlite3_bind_blob(checkpoint->statements[which], 1, id->bytes, sizeof(id->bytes), SQLITE_STATIC);
}

static void bind_said(struct checkpoint *checkpoint, enum statement which, const char *finding, const uint8_t *digest)
{
	(void)sqlite3_bind_text(checkpoint->statements[which], 1, finding, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(checkpoint->statements[which], 2, digest, DIGEST_BYTES, SQLITE_STATIC);
}

int checkpoint_has_read(struct checkpoint *checkpoint, const struct checkpoint_id *id, bool *ret, struct error *err)
{
	bind_id(checkpoint, HAS_READ, id);
	return step(checkpoint, HAS_READ, ret, err);
}

int checkpoint_has_said(struct checkpoint *checkpoint, const char *finding, const uint8_t digest[static DIGEST_BYTES],
                        bool *ret, struct error *err)
{
	bind_said(checkpoint, HAS_SAID, finding, digest);
	return step(checkpoint, HAS_SAID, ret, err);
}

int checkpoint_read(struct checkpoint *checkpoint, const struct checkpoint_id *id, struct error *err)
{
	if (gather(checkpoint, err) < 0)
		return -1;
	bind_id(checkpoint, READ, id);
	return step(checkpoint, READ, NULL, err);
}

int checkpoint_said(struct checkpoint *checkpoint, const char *finding, const uint8_t digest[static DIGEST_BYTES],
                    struct error *err)
{
	if (gather(checkpoint, err) < 0)
		return -1;
	bind_said(checkpoint, SAID, finding, digest);
	return step(checkpoint, SAID, NULL, err);
}

int checkpoint_commit(struct checkpoint *checkpoint, struct error *err)
{
	if (!checkpoint->is_gathering)
		return 0;
	checkpoint->is_gathering = false;
	if (store_exec(checkpoint->db, "COMMIT", err) == 0)
		return 0;
	(void)sqlite3_exec(checkpoint->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int checkpoint_remember(struct checkpoint *checkpoint, const struct checkpoint_id *id, const char *name, int64_t at_us,
                        struct error *err)
{
	sqlite3_stmt *statement = checkpoint->statements[REMEMBER];
	if (gather(checkpoint, err) < 0)
		return -1;
	bind_id(checkpoint, REMEMBER, id);
	(void)sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, at_us);
	return step(checkpoint, REMEMBER, NULL, err);
}

int checkpoint_count(struct checkpoint *checkpoint, int64_t *ret_apart, int64_t *ret_all, struct error *err)
{
	sqlite3_stmt *statement = checkpoint->statements[COUNT];
	int result = 0;
	if (sqlite3_step(statement) != SQLITE_ROW)
		result = store_error(checkpoint->db, "checkpoint", err);
	*ret_apart = result == 0 ? sqlite3_column_int64(statement, 0) : 0;
	*ret_all = result == 0 ? sqlite3_column_int64(statement, 1) : 0;
	(void)sqlite3_reset(statement);
	return result;
}

int checkpoint_recent(struct checkpoint *checkpoint, int64_t since_us, int64_t limit,
                      int (*visit)(void *context, const struct checkpoint_id *id, const char *name, struct error *err),
                      void *context, struct error *err)
{
	sqlite3_stmt *statement = checkpoint->statements[RECENT];
	int code = SQLITE_DONE, result = 0;
	(void)sqlite3_bind_int64(statement, 1, since_us);
	(void)sqlite3_bind_int64(statement, 2, limit);
	while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct checkpoint_id id = {0};
		const void *bytes = sqlite3_column_blob(statement, 0);
		const char *name = (const char *)sqlite3_column_text(statement, 1);
		if (bytes == NULL || name == NULL || sqlite3_column_bytes(statement, 0) != (int)sizeof(id.bytes))
			continue;
		memcpy(id.bytes, bytes, sizeof(id.bytes));
		result = visit(context, &id, name, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(checkpoint->db, "checkpoint", err);
	(void)sqlite3_reset(statement);
	return result;
}

int checkpoint_together(struct checkpoint *checkpoint, int64_t since_us, struct error *err)
{
	if (gather(checkpoint, err) < 0)
		return -1;
	(void)sqlite3_bind_int64(checkpoint->statements[FORGET], 1, since_us);
	if (step(checkpoint, FORGET, NULL, err) < 0)
		return -1;
	return step(checkpoint, TOGETHER, NULL, err);
}
