/* SPDX-License-Identifier: Apache-2.0 */

/* Folders, brought to disk. */
#include "common/folder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

int folder_put(const char *folder, const char *name, mode_t mode, const void *bytes, size_t length, struct error *err)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	struct stat owner;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
	    snprintf(temporary, sizeof(temporary), "%s/%s.new", folder, name) >= (int)sizeof(temporary))
		return error_set(err, ERROR_LIMIT, "%.80s: path too long", folder);
	(void)unlink(temporary);
	CLEANUP_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || stat(folder, &owner) < 0 || (geteuid() == 0 && fchown(fd, owner.st_uid, owner.st_gid) < 0) ||
	    write(fd, bytes, length) != (ssize_t)length || fsync(fd) < 0 || rename(temporary, path) < 0)
		return error_errno(err, "%s", path);
	return folder_sync(folder, err);
}
