/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Which events have been counted already: 64-bit digests in bounded memory, for the numbers of the summary alone (what
 * findings count, their database keeps exactly). */
struct seen {
	uint64_t *slots; /* 0: free */
	size_t capacity, count;
	bool is_full; /* counts may now be too high */
};

/* True the first time. Beyond SEEN_MAX events, or without memory, always true for events that are not held. */
bool seen_first(struct seen *seen, uint64_t hash);
/* Is it held? */
bool seen_holds(const struct seen *seen, uint64_t hash);
void seen_done(struct seen *seen);

#define SEEN_MAX ((size_t)4 << 20) /* 64 MiB */
