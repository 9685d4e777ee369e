/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Texts and a number for each: for keys and instances by the million, and for texts that are to be kept once. */
struct map_entry {
	const char *text; /* NUL-terminated, owned by the map, never moves; NULL in a free slot */
	uint32_t tag;     /* of its hash: most others are told apart by it */
	uint32_t value;
};

struct map {
	struct map_entry *slots;
	size_t capacity, count;
	char *piece; /* where texts are put; pieces form a list */
	size_t piece_used, piece_size;
};

#define MAP_NONE UINT32_MAX

/* The value of a text, or MAP_NONE. */
uint32_t map_find(const struct map *map, const char *text, size_t length);

/* Adds a text with `value` unless it is there; gives its entry's text and value. `ret` may be NULL. */
MUST_USE int map_add(struct map *map, const char *text, size_t length, uint32_t value, struct map_entry *ret,
                     struct error *err);

/* Keeps a text once: *text becomes the map's own copy, "" stays. */
MUST_USE int map_keep(struct map *map, const char **text, struct error *err);

/* Changes the value of a text that is there. */
void map_set(struct map *map, const char *text, size_t length, uint32_t value);

void map_done(struct map *map);

/* A good 64-bit hash, the same on every machine and in every version: findings.db holds some. */
uint64_t map_hash(const char *bytes, size_t length);

/* Another one, a few times as fast, that holds in this process alone. */
uint64_t map_quick(const char *bytes, size_t length);
