/* SPDX-License-Identifier: Apache-2.0 */

/* Copies are made in a folder of mode 0700 below TMPDIR, and removed with it. */
#include "store/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define FOLDER_BYTES (PATH_MAX - 16)

struct snapshot {
	char folder[FOLDER_BYTES];
	char path[PATH_MAX];
};

static const char *const parts[] = {"", "-wal"};

MUST_USE static int copy_file(const char *from, const char *to, struct error *err)
{
	CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return error_errno(err, "%s", from);
	CLEANUP_FD int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return error_errno(err, "%s", to);
	for (;;) {
		ssize_t copied = sendfile(out, in, NULL, 1 << 20);
		if (copied == 0)
			return 0;
		if (copied < 0 && errno != EINTR)
			return error_errno(err, "cannot copy %s", from);
	}
}

int snapshot_new(struct snapshot **ret, struct error *err)
{
	const char *base = getenv("TMPDIR");
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (snapshot == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a private copy");
	(void)snprintf(snapshot->folder, sizeof(snapshot->folder), "%s/keytrail-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(snapshot->folder) == NULL) {
		(void)error_errno(err, "cannot make a folder for a copy, %s", snapshot->folder);
		free(snapshot);
		return -1;
	}
	(void)snprintf(snapshot->path, sizeof(snapshot->path), "%s/ledger.db", snapshot->folder);
	*ret = snapshot;
	return 0;
}

int snapshot_make(const char *path, struct snapshot **ret, struct error *err)
{
	struct snapshot *snapshot;
	if (snapshot_new(&snapshot, err) < 0)
		return error_prefix(err, "%s", path);
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		char from[PATH_MAX], to[PATH_MAX + 8];
		(void)snprintf(from, sizeof(from), "%s%s", path, parts[i]);
		(void)snprintf(to, sizeof(to), "%s%s", snapshot->path, parts[i]);
		struct error problem = {0};
		if (copy_file(from, to, &problem) < 0 && (i == 0 || problem.code != ERROR_MISSING)) {
			snapshot_free(snapshot);
			return error_set(err, problem.code, "%s", problem.text);
		}
	}
	*ret = snapshot;
	return 0;
}

const char *snapshot_path(const struct snapshot *snapshot)
{
	return snapshot->path;
}

void snapshot_free(struct snapshot *snapshot)
{
	static const char *const made[] = {"", "-wal", "-shm", "-journal"};
	if (snapshot == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(made); i++) {
		char path[PATH_MAX + 8];
		(void)snprintf(path, sizeof(path), "%s%s", snapshot->path, made[i]);
		(void)unlink(path);
	}
	(void)rmdir(snapshot->folder);
	free(snapshot);
}
