/* SPDX-License-Identifier: Apache-2.0 */

/* Namespaces and files by what the kernel knows of them. A process chooses its paths, so a look-up must not be able to
 * wait for whatever stands behind one. */
#include "proxy/witness/machine.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#define PF_KTHREAD 0x00200000u /* include/linux/sched.h; field 9 of /proc/PID/stat */

bool machine_statx(int folder, const char *name, struct statx *ret)
{
	int flags = AT_STATX_DONT_SYNC | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
	return statx(folder, name, flags, STATX_BASIC_STATS, ret) == 0;
}

uint64_t machine_namespace(int folder, const char *name)
{
	/* "mnt:[4026531841]": to follow the link would have the kernel look the namespace's file up, or make it. */
	char path[32], link[64];
	(void)snprintf(path, sizeof(path), "ns/%s", name);
	ssize_t length = readlinkat(folder, path, link, sizeof(link) - 1);
	link[length > 0 ? length : 0] = '\0';
	const char *number = strchr(link, '[');
	return number != NULL ? strtoull(number + 1, NULL, 10) : 0;
}

int machine_lookup(int root, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED};
	return path[0] == '/' ? (int)syscall(SYS_openat2, root, path, &how, sizeof(how)) : -1;
}

bool machine_shows(int root, const char *path, const struct statx *file)
{
	struct statx there;
	CLEANUP_FD int fd = machine_lookup(root, path);
	return fd >= 0 && machine_statx(fd, "", &there) && there.stx_ino == file->stx_ino &&
	       there.stx_dev_major == file->stx_dev_major && there.stx_dev_minor == file->stx_dev_minor;
}

bool machine_stat(int folder, struct machine_stat *ret)
{
	char text[1024], state;
	unsigned long long start;
	CLEANUP_FD int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	text[got > 0 ? got : 0] = '\0';
	/* The name may hold anything, so fields are counted behind the last parenthesis. */
	const char *at = strrchr(text, ')');
	struct machine_stat stat = {0};
	if (at == NULL || sscanf(at, ") %c %u %*d %u %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
	                         &state, &stat.parent, &stat.session, &stat.flags, &start) != 5)
		return false;
	stat.start_ticks = start;
	stat.is_ended = state == 'Z' || state == 'X';
	*ret = stat;
	return true;
}

/* A thread of the kernel lives in the machine's first namespaces, as does pid 1. In a container, pid 2 is anybody. */
static bool is_kernel_thread(int folder)
{
	struct machine_stat stat;
	return machine_stat(folder, &stat) && (stat.flags & PF_KTHREAD) != 0;
}

/* False: this process cannot be looked at. */
static bool take_view(int folder, struct machine *ret)
{
	CLEANUP_FD int root = openat(folder, "root", O_PATH | O_CLOEXEC);
	struct machine view = {.root = root,
	                       .mount_namespace = machine_namespace(folder, "mnt"),
	                       .user_namespace = machine_namespace(folder, "user"),
	                       .pid_namespace = machine_namespace(folder, "pid")};
	if (root < 0 || view.mount_namespace == 0 || view.user_namespace == 0 || view.pid_namespace == 0)
		return false;
	*ret = view;
	(void)steal_fd(&root);
	return true;
}

int machine_open(struct machine *ret, struct error *err)
{
	CLEANUP_FD int first = open("/proc/1", O_PATH | O_CLOEXEC);
	CLEANUP_FD int second = open("/proc/2", O_PATH | O_CLOEXEC);
	CLEANUP_FD int own = open("/proc/self", O_PATH | O_CLOEXEC);
	if ((first >= 0 && take_view(first, ret)) ||
	    (second >= 0 && is_kernel_thread(second) && take_view(second, ret)) || (own >= 0 && take_view(own, ret)))
		return 0;
	return error_errno(err, "cannot see the machine's namespaces in /proc");
}

void machine_close(struct machine *machine)
{
	if (machine->mount_namespace != 0)
		(void)close(machine->root);
	*machine = (struct machine){0};
}
