/* SPDX-License-Identifier: Apache-2.0 */

/* The memory of one handle, and the budget that all of them share. */
#include "detector/inflate_memory.h"

#include <string.h>

void inflate_budget_init(struct inflate_budget *budget)
{
	*budget = (struct inflate_budget){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
	                                  INFLATE_NEED_BYTES + INFLATE_KEPT_BYTES};
}

static bool take(struct inflate_memory *memory, size_t bytes)
{
	struct inflate_budget *budget = memory->budget;
	if (bytes > INFLATE_NEED_BYTES)
		return false;
	(void)pthread_mutex_lock(&budget->lock);
	while (memory->taken <= memory->keep && budget->left < bytes)
		(void)pthread_cond_wait(&budget->freed, &budget->lock);
	bool is_there = budget->left >= bytes;
	if (is_there)
		budget->left -= bytes;
	(void)pthread_mutex_unlock(&budget->lock);
	if (is_there) {
		memory->taken += bytes;
		memory->reserved += bytes;
	}
	return is_there;
}

static void give_back(struct inflate_memory *memory, size_t bytes)
{
	struct inflate_budget *budget = memory->budget;
	(void)pthread_mutex_lock(&budget->lock);
	budget->left += bytes;
	(void)pthread_cond_broadcast(&budget->freed);
	(void)pthread_mutex_unlock(&budget->lock);
	memory->taken -= bytes;
}

void inflate_memory_reserve(struct inflate_memory *memory, size_t bytes)
{
	if (bytes > 0)
		(void)take(memory, bytes);
}

static void space_free(struct inflate_space *space)
{
	free(space->area);
	space->bytes = space->area = NULL;
	space->capacity = 0;
}

bool inflate_memory_shrink(struct inflate_memory *memory)
{
	inflate_memory_done(memory);
	memory->packed.owner = memory->space.owner = NULL;
	bool is_there = inflate_space_grow(&memory->packed, INFLATE_PIECE_BYTES) &&
	                inflate_space_grow(&memory->space, INFLATE_WINDOW_BYTES);
	memory->packed.owner = memory->space.owner = memory;
	memory->reserved = 0;
	give_back(memory, memory->taken);
	return is_there;
}

bool inflate_memory_settle(struct inflate_memory *memory)
{
	if (memory->taken - memory->reserved > memory->keep)
		return inflate_memory_shrink(memory);
	size_t unused = memory->reserved;
	memory->reserved = 0;
	give_back(memory, unused);
	return true;
}

bool inflate_memory_init(struct inflate_memory *memory, struct inflate_budget *budget, size_t keep)
{
	*memory = (struct inflate_memory){.keep = keep};
	inflate_budget_init(&memory->own);
	memory->budget = budget != NULL ? budget : &memory->own;
	return inflate_memory_shrink(memory);
}

void inflate_memory_done(struct inflate_memory *memory)
{
	space_free(&memory->packed);
	space_free(&memory->space);
}

bool inflate_space_grow(struct inflate_space *space, size_t capacity)
{
	struct inflate_memory *owner = space->owner;
	if (capacity <= space->capacity)
		return true;
	size_t more = capacity - space->capacity;
	if (owner != NULL && owner->reserved < more && !take(owner, more - owner->reserved))
		return false;
	char *area = realloc(space->area, INFLATE_ALIGNMENT + capacity + INFLATE_PADDING);
	if (area == NULL)
		return false;
	size_t before = INFLATE_ALIGNMENT - (uintptr_t)area % INFLATE_ALIGNMENT;
	char *grown = area + before;
	if (space->capacity > 0 && before != space->before)
		memmove(grown, area + space->before, space->capacity);
	space->area = area;
	space->before = before;
	if (owner != NULL)
		owner->reserved -= more;
	memset(grown + capacity, 0, INFLATE_PADDING);
	space->bytes = grown;
	space->capacity = capacity;
	return true;
}
