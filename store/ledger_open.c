/* SPDX-License-Identifier: Apache-2.0 */

/* Opening whatever can be read as a ledger: a machine's own, where it lies or as a private copy; a merged one; and the
 * lines of JSON that log shippers carried away, through a private merged ledger. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/import.h"
#include "store/ledger_handle.h"
#include "store/store.h"

/* [merged] */
static const char *const actor_sqls[] = {
	"SELECT body FROM actor WHERE digest=?1",
	"SELECT body FROM actor WHERE digest=?1 AND origin=?2",
};
static const char *const exe_sqls[] = {
	"SELECT json_extract(body,'$.exe_sha256') FROM record WHERE kind='executable'"
	" AND json_extract(body,'$.exe_file')=?1 LIMIT 1",
	"SELECT json_extract(body,'$.exe_sha256') FROM record WHERE kind='executable'"
	" AND json_extract(body,'$.exe_file')=?1 AND +origin=?2 LIMIT 1",
};

enum look { LOOKS_OTHER, LOOKS_LINES, LOOKS_PACKED, LOOKS_FOLDER };

/* What is it, by its first bytes? A pipe can be read once only, and nothing but lines comes through one. */
static enum look look_at(const char *path)
{
	char head[512];
	struct stat status;
	if (stat(path, &status) < 0)
		return LOOKS_OTHER;
	if (S_ISDIR(status.st_mode) || S_ISFIFO(status.st_mode))
		return S_ISDIR(status.st_mode) ? LOOKS_FOLDER : LOOKS_LINES;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, head, sizeof(head)) : -1;
	if (got > 2 && memcmp(head, "\x1f\x8b", 2) == 0)
		return LOOKS_PACKED;
	for (ssize_t i = 0; i < got; i++)
		if (strchr(" \t\r\n", head[i]) == NULL)
			return head[i] == '{' ? LOOKS_LINES : LOOKS_OTHER;
	return LOOKS_OTHER;
}

/* Is it no database at all? */
static bool has_other_head(const char *path)
{
	static const char magic[] = "SQLite format 3";
	char head[sizeof(magic)];
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, head, sizeof(head)) : -1;
	return got > 0 && (got < (ssize_t)sizeof(head) || memcmp(head, magic, sizeof(head)) != 0);
}

MUST_USE static int load_lines(const char *path, const char *to, struct error *err)
{
	struct importer *importer = NULL;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", path);
	int result = importer_open(to, &importer, err);
	if (result == 0)
		result = importer_take_loose(importer, path, fd, err);
	importer_close(importer);
	return result < 0 ? error_prefix(err, "%s", path) : 0;
}

MUST_USE static int open_lines(const char *path, struct ledger *ledger, struct error *err)
{
	if (snapshot_new(&ledger->snapshot, err) < 0 || load_lines(path, snapshot_path(ledger->snapshot), err) < 0)
		return -1;
	ledger->is_merged = ledger->is_loose = true;
	return store_open_read(snapshot_path(ledger->snapshot), &merged_schema, &ledger->db, err);
}

MUST_USE static int open_database(const char *path, struct ledger *ledger, struct error *err)
{
	struct error problem = {0}, merged = {0};
	if (store_open_read(path, &ledger_schema, &ledger->db, &problem) == 0)
		return 0;
	if (problem.code == ERROR_INPUT && store_open_read(path, &merged_schema, &ledger->db, &merged) == 0) {
		ledger->is_merged = true;
		return 0;
	}
	if (merged.code == ERROR_NEWER)
		problem = merged;
	(void)error_set(err, problem.code, "%s%s", problem.text,
	                has_other_head(path) ? ": neither a ledger of keytrail nor lines of JSON" : "");
	if (problem.code != ERROR_SYSTEM || snapshot_make(path, &ledger->snapshot, err) < 0)
		return -1;
	if (store_open_read(snapshot_path(ledger->snapshot), &ledger_schema, &ledger->db, err) == 0)
		return 0;
	ledger->is_merged = store_open_read(snapshot_path(ledger->snapshot), &merged_schema, &ledger->db, NULL) == 0;
	return ledger->is_merged ? 0 : -1;
}

MUST_USE static int prepare_lookups(struct ledger *ledger, struct error *err)
{
	int which = ledger->is_merged ? 1 : 0;
	if (sqlite3_prepare_v2(ledger->db, actor_sqls[which], -1, &ledger->actor_by_digest, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(ledger->db, exe_sqls[which], -1, &ledger->digest_of_exe, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	return 0;
}

MUST_USE static int open_as(enum look look, struct ledger *ledger, struct error *err)
{
	switch (look) {
	case LOOKS_LINES:
		return open_lines(ledger->path, ledger, err);
	case LOOKS_PACKED:
		return error_set(err, ERROR_INPUT,
		                 "%.200s: packed with gzip, expected what is in it: --ledger <(zcat FILE)",
		                 ledger->path);
	case LOOKS_FOLDER:
		return error_set(err, ERROR_INPUT, "%.200s: a folder, expected a file, such as ledger.db in it",
		                 ledger->path);
	case LOOKS_OTHER:
		break;
	}
	return open_database(ledger->path, ledger, err);
}

int ledger_open(const char *path, struct ledger **ret, struct error *err)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	if (ledger == NULL || (ledger->path = strdup(path)) == NULL) {
		free(ledger);
		return error_set(err, ERROR_MEMORY, "no memory for a ledger");
	}
	int result = open_as(look_at(path), ledger, err);
	if (result == 0)
		result = prepare_lookups(ledger, err);
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
	statements_done(&ledger->lent);
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

bool ledger_is_merged(const struct ledger *ledger)
{
	return ledger->is_merged;
}
