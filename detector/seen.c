/* SPDX-License-Identifier: Apache-2.0 */

/* Sets of digests by open addressing, at most half full, each with a lock of its own, so that many threads seldom wait
 * for each other. Two events with one digest would be counted as one: once in some million runs of a million events. */
#include "detector/seen.h"

#define FIRST_CAPACITY 128

/* A set that is full stops growing while half of it is free. */
static uint64_t *slot_of(const struct seen_part *part, uint64_t hash)
{
	size_t i = (size_t)(hash >> 7) & (part->capacity - 1);
	while (part->slots[i] != 0 && part->slots[i] != hash)
		i = (i + 1) & (part->capacity - 1);
	return &part->slots[i];
}

static bool grow(struct seen_part *part, size_t max)
{
	/* By four, since each entry moves each time. */
	size_t capacity = part->capacity > 0 ? part->capacity * 4 : FIRST_CAPACITY, most = max * 2 / SEEN_PARTS;
	if (capacity > most)
		capacity = most;
	uint64_t *slots = capacity > part->capacity ? calloc(capacity, sizeof(*slots)) : NULL;
	if (slots == NULL)
		return false;
	uint64_t *old = part->slots;
	size_t old_capacity = part->capacity;
	part->slots = slots;
	part->capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++)
		if (old[i] != 0)
			*slot_of(part, old[i]) = old[i];
	free(old);
	return true;
}

/* The lowest bits choose the part, the next ones the slot. Its lock changes also when the set does not. */
static struct seen_part *part_of(const struct seen *seen, uint64_t *hash)
{
	*hash = *hash != 0 ? *hash : 1;
	struct seen_part *part = &((struct seen *)(uintptr_t)seen)->parts[*hash % SEEN_PARTS];
	(void)pthread_mutex_lock(&part->lock);
	return part;
}

void seen_expect(const struct seen *seen, uint64_t hash)
{
	hash = hash != 0 ? hash : 1;
	const struct seen_part *part = &seen->parts[hash % SEEN_PARTS];
	const uint64_t *slots = __atomic_load_n(&part->slots, __ATOMIC_RELAXED);
	size_t capacity = __atomic_load_n(&part->capacity, __ATOMIC_RELAXED);
	if (capacity > 0)
		__builtin_prefetch(&slots[(size_t)(hash >> 7) & (capacity - 1)]);
}

bool seen_first(struct seen *seen, uint64_t hash)
{
	struct seen_part *part = part_of(seen, &hash);
	bool has_room = part->count * 2 < part->capacity || grow(part, seen->max > 0 ? seen->max : SEEN_MAX),
	     is_first = true;
	if (part->capacity > 0) {
		uint64_t *slot = slot_of(part, hash);
		is_first = *slot != hash;
		if (is_first && has_room) {
			*slot = hash;
			part->count++;
		}
	}
	if (is_first && !has_room)
		__atomic_store_n(&seen->is_full, true, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&part->lock);
	return is_first;
}

bool seen_holds(const struct seen *seen, uint64_t hash)
{
	struct seen_part *part = part_of(seen, &hash);
	bool holds = part->capacity > 0 && *slot_of(part, hash) == hash;
	(void)pthread_mutex_unlock(&part->lock);
	return holds;
}

void seen_done(struct seen *seen)
{
	for (size_t i = 0; i < SEEN_PARTS; i++)
		free(seen->parts[i].slots);
	*seen = (struct seen){.max = seen->max};
}
