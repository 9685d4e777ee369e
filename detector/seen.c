/* SPDX-License-Identifier: Apache-2.0 */

/* A set of digests by open addressing, at most half full. Two events with one digest would be counted as one: once in
 * some million runs of a million events. */
#include "detector/seen.h"

#define FIRST_CAPACITY 1024

static uint64_t *slot_of(const struct seen *seen, uint64_t hash)
{
	size_t i = (size_t)(hash >> 7) & (seen->capacity - 1);
	while (seen->slots[i] != 0 && seen->slots[i] != hash)
		i = (i + 1) & (seen->capacity - 1);
	return &seen->slots[i];
}

static bool grow(struct seen *seen)
{
	struct seen old = *seen;
	seen->capacity = old.capacity > 0 ? old.capacity * 2 : FIRST_CAPACITY;
	size_t max = seen->max > 0 ? seen->max : SEEN_MAX;
	seen->slots = seen->capacity <= max * 2 ? calloc(seen->capacity, sizeof(*seen->slots)) : NULL;
	if (seen->slots == NULL) {
		*seen = old;
		seen->is_full = true;
		return false;
	}
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i] != 0)
			*slot_of(seen, old.slots[i]) = old.slots[i];
	free(old.slots);
	return true;
}

bool seen_first(struct seen *seen, uint64_t hash)
{
	hash = hash != 0 ? hash : 1;
	bool has_room = seen->count * 2 < seen->capacity || grow(seen);
	if (seen->capacity == 0)
		return true;
	uint64_t *slot = slot_of(seen, hash);
	if (*slot == hash)
		return false;
	if (has_room) {
		*slot = hash;
		seen->count++;
	}
	return true;
}

bool seen_holds(const struct seen *seen, uint64_t hash)
{
	hash = hash != 0 ? hash : 1;
	return seen->capacity > 0 && *slot_of(seen, hash) == hash;
}

void seen_done(struct seen *seen)
{
	free(seen->slots);
	*seen = (struct seen){.max = seen->max};
}
