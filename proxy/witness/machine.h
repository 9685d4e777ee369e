/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/error.h"

/* The machine as its first process sees it, whatever namespaces we were started in: a hardened unit has a mount
 * namespace of its own. Read once; afterwards safe from any thread. */
struct machine {
	int root;                                                /* O_PATH: "/" in the machine's own mount namespace */
	uint64_t mount_namespace, user_namespace, pid_namespace; /* inodes */
};

/* Where pid 1 cannot be looked at, a thread of the kernel stands in, then we ourselves. */
MUST_USE int machine_open(struct machine *ret, struct error *err);
void machine_close(struct machine *machine);

/* Inode of a process's namespace ("mnt", "user", ...); 0: unknown. `folder`: its folder in /proc. */
uint64_t machine_namespace(int folder, const char *name);

/* What the kernel says in /proc/PID/stat (proc(5)). */
struct machine_stat {
	uint32_t parent, session; /* pids; session: of its leader, who made it by setsid(2) */
	uint32_t flags;           /* PF_* of the kernel */
	uint64_t start_ticks;     /* since boot */
	bool is_ended;            /* a zombie: waits to be collected */
};
bool machine_stat(int folder, struct machine_stat *ret);

/* What a path names below `root` as far as the kernel has it in memory (so nothing is asked of disks, networks or
 * FUSE). O_PATH; -1: nothing, or not in memory. */
int machine_lookup(int root, const char *path);

/* Does that path lead to that file (device and inode) below `root`? */
bool machine_shows(int root, const char *path, const struct statx *file);

/* statx(2) without asking a remote file system; false: not there. */
bool machine_statx(int folder, const char *name, struct statx *ret);
