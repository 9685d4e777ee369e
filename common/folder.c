/* SPDX-License-Identifier: Apache-2.0 */

/* Folders, brought to disk. */
#include "common/folder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int folder_sync(const char *path, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? error_errno(err, "%s", path) : 0;
}

int folder_sync_of(const char *file, struct error *err)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(file, '/');
	int length = slash != NULL ? (int)(slash - file + 1) : 2;
	if (snprintf(folder, sizeof(folder), "%.*s", length, slash != NULL ? file : "./") >= (int)sizeof(folder))
		return error_set(err, ERROR_LIMIT, "%.80s: path too long", file);
	return folder_sync(folder, err);
}
