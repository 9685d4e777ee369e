/* SPDX-License-Identifier: Apache-2.0 */

/* The file is the kernel's word, its path may be the process's: in a mount namespace of its own anybody can show any
 * path. So a path is believed when the machine's own namespace has the same file there. */
#include "proxy/witness/exe.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

static const char deleted_mark[] = " (deleted)"; /* of the kernel, behind the path */

static uint64_t device_of(const struct statx *status)
{
	return makedev(status->stx_dev_major, status->stx_dev_minor);
}

uint64_t exe_memfd_device(void)
{
	struct statx status;
	CLEANUP_FD int fd = memfd_create("keytrail", MFD_CLOEXEC);
	return fd >= 0 && machine_statx(fd, "", &status) ? device_of(&status) : 0;
}

/* Takes the kernel's mark off, unless a file of that very name is what runs. */
static bool take_mark(int root, struct exe *exe)
{
	size_t length = strlen(exe->path), mark = strlen(deleted_mark);
	if (length <= mark || strcmp(exe->path + length - mark, deleted_mark) != 0)
		return false;
	/* Another name of the same file may be left, so the number of its links decides in one direction only. */
	if (exe->status.stx_nlink != 0 && root >= 0 && machine_shows(root, exe->path, &exe->status))
		return false;
	exe->path[length - mark] = '\0';
	return true;
}

bool exe_read(const struct machine *machine, int folder, bool is_elsewhere, uint64_t memfd_device, struct exe *ret)
{
	*ret = (struct exe){.fd = openat(folder, "exe", O_PATH | O_CLOEXEC)};
	if (ret->fd < 0 || !machine_statx(ret->fd, "", &ret->status)) {
		exe_done(ret);
		return false;
	}
	ssize_t length = readlinkat(folder, "exe", ret->path, sizeof(ret->path) - 1);
	ret->path[length > 0 ? length : 0] = '\0';
	(void)digests_file(&ret->status, ret->file);
	ret->is_memfd = memfd_device != 0 && device_of(&ret->status) == memfd_device;

	CLEANUP_FD int own_root = is_elsewhere ? openat(folder, "root", O_PATH | O_CLOEXEC) : -1;
	ret->is_deleted = take_mark(is_elsewhere ? own_root : machine->root, ret);
	ret->is_foreign = is_elsewhere && !ret->is_memfd && !machine_shows(machine->root, ret->path, &ret->status);
	return true;
}

/* By the link alone, as two calls; digests_is_same_file() has all that changes with the content. */
bool exe_is_same(int folder, const struct exe *before)
{
	struct statx status;
	char path[PATH_MAX];
	if (!machine_statx(folder, "exe", &status))
		return before->file[0] == '\0';
	ssize_t length = readlinkat(folder, "exe", path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	size_t common = strlen(before->path);
	return before->file[0] != '\0' && digests_is_same_file(&status, &before->status) &&
	       status.stx_nlink == before->status.stx_nlink && strncmp(path, before->path, common) == 0 &&
	       strcmp(path + common, before->is_deleted ? deleted_mark : "") == 0;
}

void exe_done(struct exe *exe)
{
	if (exe->fd >= 0)
		(void)close(exe->fd);
	exe->fd = -1;
}
