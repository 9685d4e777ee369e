/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "proxy/witness/digests.h"
#include "proxy/witness/ebpf.h"
#include "proxy/witness/identity.h"
#include "proxy/witness/refusals.h"

/* One line's far end: a thread that answers queries about one connection at a time. */
struct looker;
struct probe;

struct looker_options {
	pthread_rwlock_t lock; /* held for writing while reader and proc_scan change, for reading during a query */
	struct identity_reader *reader;
	struct digests *digests; /* shared; NULL: no executable gets one */
	struct ebpf *ebpf;       /* NULL: off */
	const char *ebpf_reason; /* why it is off */
	struct probe *probe;     /* NULL: there is nothing to test */
	int64_t backlog_until_ms;
	bool is_root, proc_scan;
	uint16_t port; /* of the proxy */
	int groups;    /* of groups_open(); -1: none */
	unsigned lines_max;
	struct refusals refusals; /* counted by all lines */
};

/* Takes the descriptor over only on success; the options are shared and stay the caller's. NULL: too many lines, or no
 * memory. */
struct looker *looker_new(int fd, struct looker_options *options);
void looker_free(struct looker *looker);

/* The thread: returns when the proxy closes the line; frees the looker. */
void *looker_run(void *looker);
