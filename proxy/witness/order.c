/* SPDX-License-Identifier: Apache-2.0 */

/* A look through all processes may run out of time: then what it has found counts, so whoever it is for comes first. */
#include "proxy/witness/order.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

enum part { PART_NAMED, PART_LIKELY, PART_OTHER, PART_COUNT };

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return left < right ? -1 : left > right ? 1 : 0;
}

void order_pids(uint32_t *pids, size_t count, const uint32_t *named, size_t named_count,
                bool (*is_likely)(const void *context, uint32_t pid), const void *context)
{
	CLEANUP_FREE uint32_t *sorted = calloc(named_count + 1, sizeof(*sorted));
	CLEANUP_FREE uint32_t *before = calloc(count + 1, sizeof(*before));
	CLEANUP_FREE uint8_t *parts = calloc(count + 1, sizeof(*parts));
	size_t at = 0;
	if (sorted == NULL || before == NULL || parts == NULL)
		return; /* as they were: slower, and no less right */
	if (named_count > 0)
		memcpy(sorted, named, named_count * sizeof(*named));
	qsort(sorted, named_count, sizeof(*sorted), by_number);
	if (count > 0)
		memcpy(before, pids, count * sizeof(*pids));
	for (size_t i = 0; i < count; i++) {
		bool is_named = bsearch(&before[i], sorted, named_count, sizeof(*sorted), by_number) != NULL;
		parts[i] = is_named ? PART_NAMED : is_likely(context, before[i]) ? PART_LIKELY : PART_OTHER;
	}
	for (int part = 0; part < PART_COUNT; part++)
		for (size_t i = 0; i < count; i++)
			if (parts[i] == part)
				pids[at++] = before[i];
}
