/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Which have been seen already: 64-bit digests in bounded memory. Two that have one digest are taken for one: once in
 * some million runs of a million. {0} is an empty one. Safe from any thread. */
#define SEEN_PARTS 64

struct seen_part {
	pthread_mutex_t lock;
	size_t count;
};

struct seen {
	struct seen_part parts[SEEN_PARTS];
	uint64_t *slots; /* part by part; 0: free */
	size_t capacity; /* slots of each part */
	size_t max;      /* held about so many, it is full; 0: SEEN_MAX */
	bool is_full;    /* counts may now be too high */
};

/* True the first time. Beyond SEEN_MAX events, or without memory, always true for events that are not held. */
bool seen_first(struct seen *seen, uint64_t hash);
/* Will be asked of soon: its place in memory is fetched meanwhile. */
void seen_expect(const struct seen *seen, uint64_t hash);
/* Is it held? */
bool seen_holds(const struct seen *seen, uint64_t hash);
void seen_done(struct seen *seen);

#define SEEN_MAX ((size_t)4 << 20) /* 64 MiB */
