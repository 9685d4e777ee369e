/* SPDX-License-Identifier: Apache-2.0 */

/* Sets of digests by open addressing, at most three quarters full, each with a lock of its own, so that many threads
 * seldom wait for each other. They lie in one table, and grow together: that the kernel zeroes a larger one than is
 * needed would cost more than to look at a slot more now and then. Two events with one digest would be counted as one:
 * once in some million runs of a million events. */
#include "detector/seen.h"

#include "detector/pages.h"

#define FIRST_CAPACITY 128

/* The lowest bits choose the part, the next ones the slot. A set that is full stops growing while a quarter of it is
 * free. */
static uint64_t *slot_in(uint64_t *slots, size_t capacity, uint64_t hash)
{
	uint64_t *part = slots + hash % SEEN_PARTS * capacity;
	size_t i = (size_t)(hash >> 7) & (capacity - 1);
	while (part[i] != 0 && part[i] != hash)
		i = (i + 1) & (capacity - 1);
	return &part[i];
}

static size_t bytes_of(size_t capacity)
{
	return capacity * SEEN_PARTS * sizeof(uint64_t);
}

static void lock_all(struct seen *seen)
{
	for (size_t i = 0; i < SEEN_PARTS; i++)
		(void)pthread_mutex_lock(&seen->parts[i].lock);
}

static void unlock_all(struct seen *seen)
{
	for (size_t i = 0; i < SEEN_PARTS; i++)
		(void)pthread_mutex_unlock(&seen->parts[i].lock);
}

static size_t most_of(const struct seen *seen)
{
	return (seen->max > 0 ? seen->max : SEEN_MAX) * 2 / SEEN_PARTS;
}

static bool has_room_in(size_t count, size_t capacity)
{
	return count < capacity / 4 * 3;
}

/* All parts at once, unless that has just been done: from `than` each. */
static void grow(struct seen *seen, size_t than)
{
	size_t capacity = than > 0 ? than * 2 : FIRST_CAPACITY, most = most_of(seen);
	capacity = capacity < most ? capacity : most;
	lock_all(seen);
	uint64_t *slots = seen->capacity == than ? pages_new(bytes_of(capacity)) : NULL;
	if (slots != NULL) {
		for (size_t i = 0; i < than * SEEN_PARTS; i++)
			if (seen->slots[i] != 0)
				*slot_in(slots, capacity, seen->slots[i]) = seen->slots[i];
		pages_free(seen->slots, bytes_of(than));
		__atomic_store_n(&seen->slots, slots, __ATOMIC_RELAXED);
		__atomic_store_n(&seen->capacity, capacity, __ATOMIC_RELAXED);
	}
	unlock_all(seen);
}

/* Its lock changes also when the set does not. */
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
	const uint64_t *slots = __atomic_load_n(&seen->slots, __ATOMIC_RELAXED);
	size_t capacity = __atomic_load_n(&seen->capacity, __ATOMIC_RELAXED);
	if (capacity > 0)
		__builtin_prefetch(slots + hash % SEEN_PARTS * capacity + ((size_t)(hash >> 7) & (capacity - 1)));
}

bool seen_first(struct seen *seen, uint64_t hash)
{
	struct seen_part *part = part_of(seen, &hash);
	bool has_room = has_room_in(part->count, seen->capacity), is_first = true;
	size_t capacity = seen->capacity;
	if (!has_room && capacity < most_of(seen)) {
		(void)pthread_mutex_unlock(&part->lock);
		grow(seen, capacity);
		(void)pthread_mutex_lock(&part->lock);
		has_room = has_room_in(part->count, seen->capacity);
	}
	if (seen->capacity > 0) {
		uint64_t *slot = slot_in(seen->slots, seen->capacity, hash);
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
	bool holds = seen->capacity > 0 && *slot_in(seen->slots, seen->capacity, hash) == hash;
	(void)pthread_mutex_unlock(&part->lock);
	return holds;
}

void seen_done(struct seen *seen)
{
	pages_free(seen->slots, bytes_of(seen->capacity));
	*seen = (struct seen){.max = seen->max};
}
