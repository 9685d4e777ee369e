/* SPDX-License-Identifier: Apache-2.0 */

/* A group's id is also its file's handle, so its members are found without a walk through the hierarchy. */
#include "proxy/witness/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

#define HANDLE_OF_KERNFS 0xfe /* FILEID_KERNFS, linux/exportfs.h */
#define MEMBERS_BYTES 65536   /* read of cgroup.procs: more than 8,000 numbers */

/* The mount of the unified hierarchy's own root: a part of it (in a container) does not do. Lines of mountinfo: 4 is
 * the root within the file system, 5 the mount point, and behind a lone hyphen stands the type. */
int groups_open(void)
{
	char line[4096], root[1024], point[1024];
	CLEANUP_FILE FILE *mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts != NULL && fgets(line, sizeof(line), mounts) != NULL) {
		const char *type = strstr(line, " - ");
		if (type == NULL || !text_starts(type, " - cgroup2 ") ||
		    sscanf(line, "%*d %*d %*s %1023s %1023s", root, point) != 2 || strcmp(root, "/") != 0)
			continue;
		return open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	errno = ENOENT;
	return -1;
}

static int open_group(int root, uint64_t id)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof(id)];
	} of = {.handle = {.handle_bytes = sizeof(id), .handle_type = HANDLE_OF_KERNFS}};
	memcpy(of.handle.f_handle, &id, sizeof(id));
	return open_by_handle_at(root, &of.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

size_t groups_members(int root, uint64_t id, uint32_t *pids, size_t most)
{
	size_t count = 0, length = 0;
	CLEANUP_FD int group = root >= 0 && id != 0 ? open_group(root, id) : -1;
	CLEANUP_FD int file = group >= 0 ? openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC) : -1;
	CLEANUP_FREE char *text = file >= 0 ? malloc(MEMBERS_BYTES + 1) : NULL;
	for (ssize_t got = 1; text != NULL && got > 0 && length < MEMBERS_BYTES; length += (size_t)got) {
		got = read(file, text + length, MEMBERS_BYTES - length);
		if (got < 0)
			return 0;
	}
	if (text == NULL)
		return 0;
	text[length] = '\0';
	/* 0 is a process of a pid namespace that we do not see. */
	for (char *at = text, *end; count < most && *at != '\0'; at = end + (*end == '\n')) {
		unsigned long pid = strtoul(at, &end, 10);
		if (end == at)
			break;
		if (pid != 0)
			pids[count++] = (uint32_t)pid;
	}
	return count;
}
