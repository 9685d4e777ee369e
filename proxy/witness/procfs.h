/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* From a socket's inode to the processes that hold it. Reads /proc/PID/fd, so it needs CAP_SYS_PTRACE and
 * CAP_DAC_READ_SEARCH for other users' processes. Safe from any thread. */

#define HOLDERS_MAX 16 /* kept; more are counted */

struct holder {
	uint32_t pid;         /* thread group */
	uint64_t start_ticks; /* since boot: pid and this name one process */
	int fd;               /* the descriptor in that process */
	bool is_relay;        /* it also holds a tun device: it may pass on other hosts' traffic */
};

struct holders {
	struct holder items[HOLDERS_MAX]; /* in order of pids */
	size_t count;                     /* found, may be above HOLDERS_MAX */
	bool is_complete;                 /* every process was looked at */
	uint32_t looked_at;               /* how many processes were */
};

struct holder_search {
	uint32_t inode;
	uint32_t uid;       /* of the socket: such processes are looked at before others, */
	uint64_t cgroup_id; /* and before them those of its control group; 0: not known */
	int groups;         /* of groups_open(); -1: none */
	bool stop_at_first;
	int64_t deadline_ms; /* monotonic */
};

void procfs_find(const struct holder_search *search, struct holders *ret);

/* Does this very process still hold this very socket at that descriptor? */
bool procfs_still_holds(const struct holder *holder, uint32_t inode);

/* Start time of a process in clock ticks since boot; false: there is none. */
bool procfs_start(uint32_t pid, uint64_t *ret_ticks);

/* Nanoseconds since boot in the same unit. */
uint64_t procfs_ticks(uint64_t boot_ns);
