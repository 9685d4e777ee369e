/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>

#include "proxy/witness/digests.h"
#include "proxy/witness/machine.h"

/* A process's executable, as the kernel has it: the file itself, and the path that it was found under. */
struct exe {
	int fd;              /* O_PATH: the file, deleted or not, also when the process ends; -1: unknown */
	struct statx status; /* of it */
	char path[PATH_MAX]; /* without the kernel's mark for deleted files; "": unknown (or longer than PATH_MAX) */
	bool is_deleted;     /* no longer at its path: removed, or replaced by another file */
	bool is_memfd;       /* never had one: memfd_create(2) */
	bool is_foreign;     /* the machine's own mount namespace does not show that file at that path */
	char file[DIGESTS_FILE_BYTES]; /* names its content, see digests_file() */
};

/* `folder` is the process's in /proc; `is_elsewhere`: not in the machine's mount namespace; `memfd_device`:
 * exe_memfd_device(). False: it has none that we may see (zombies, threads of the kernel). */
bool exe_read(const struct machine *machine, int folder, bool is_elsewhere, uint64_t memfd_device, struct exe *ret);
/* Closes the descriptor; what was read stays. */
void exe_done(struct exe *exe);
#define CLEANUP_EXE CLEANUP(exe_done)

/* Is it, for a process in the machine's own mount namespace, still that file under that path? False also for one that
 * was unknown and is not any more. */
bool exe_is_same(int folder, const struct exe *before);

/* The device that all files of memfd_create(2) lie on; 0: unknown. */
uint64_t exe_memfd_device(void);
