/* SPDX-License-Identifier: Apache-2.0 */

/* Open addressing over texts that lie in large pieces of memory, so that a million keys cost a million times a few
 * dozen bytes. Key ids come from the ledger, which is ours: the hash need not withstand an attacker. */
#include "detector/map.h"

#include <endian.h>
#include <string.h>

#define FIRST_CAPACITY 64
#define PIECE_BYTES ((size_t)64 << 10)

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 32) * UINT64_C(0xd6e8feb86659fd93);
	value = (value ^ value >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return value ^ value >> 32;
}

uint64_t map_hash(const char *bytes, size_t length)
{
	uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) ^ length;
	while (length > 0) {
		uint64_t word = 0;
		size_t part = length < sizeof(word) ? length : sizeof(word);
		memcpy(&word, bytes, part);
		hash = mix(hash ^ le64toh(word));
		bytes += part;
		length -= part;
	}
	return hash;
}

/* Both halves of the product. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	return word;
}

uint64_t map_quick(const char *bytes, size_t length)
{
	const char *end = length > 0 ? bytes + length : bytes; /* of nothing there may be no bytes */
	uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) ^ length, first = 0, second = 0;
	for (; end - bytes > 16; bytes += 16)
		hash = fold(word_at(bytes) ^ UINT64_C(0xa0761d6478bd642f), word_at(bytes + 8) ^ hash);
	if (length >= 16) { /* what there is of them has been taken already */
		first = word_at(end - 16);
		second = word_at(end - 8);
	} else if (length >= 8) {
		first = word_at(bytes);
		second = word_at(end - 8);
	} else if (length > 0) {
		memcpy(&first, bytes, length);
	}
	hash = fold(first ^ UINT64_C(0xe7037ed1a0b428db), second ^ hash);
	return fold(hash ^ UINT64_C(0x8ebc6af09c88c6e3), UINT64_C(0x589965cc75374cc3));
}

static bool is_same(const struct map_entry *slot, uint32_t tag, const char *text, size_t length)
{
	return slot->tag == tag && strncmp(slot->text, text, length) == 0 && slot->text[length] == '\0';
}

/* The text's slot, or the free one that it would go into. */
static struct map_entry *slot_of(const struct map *map, uint64_t hash, const char *text, size_t length)
{
	size_t i = (size_t)hash & (map->capacity - 1);
	while (map->slots[i].text != NULL && !is_same(&map->slots[i], (uint32_t)(hash >> 32), text, length))
		i = (i + 1) & (map->capacity - 1);
	return &map->slots[i];
}

uint32_t map_find(const struct map *map, const char *text, size_t length)
{
	if (map->count == 0)
		return MAP_NONE;
	const struct map_entry *slot = slot_of(map, map_quick(text, length), text, length);
	return slot->text != NULL ? slot->value : MAP_NONE;
}

static struct map_entry *slot_for(const struct map *map, const char *text)
{
	size_t length = strlen(text);
	return slot_of(map, map_quick(text, length), text, length);
}

MUST_USE static int grow(struct map *map, struct error *err)
{
	struct map old = *map;
	map->capacity = old.capacity > 0 ? old.capacity * 2 : FIRST_CAPACITY;
	map->slots = calloc(map->capacity, sizeof(*map->slots));
	if (map->slots == NULL) {
		*map = old;
		return error_set(err, ERROR_MEMORY, "no memory for %zu texts", old.count);
	}
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i].text != NULL)
			*slot_for(map, old.slots[i].text) = old.slots[i];
	free(old.slots);
	return 0;
}

/* A copy in the current piece, or in a new one, which begins with the address of the piece before it. */
static char *keep(struct map *map, const char *text, size_t length)
{
	if (map->piece == NULL || map->piece_size - map->piece_used < length + 1) {
		size_t size = sizeof(char *) + length + 1;
		size = size < PIECE_BYTES ? PIECE_BYTES : size;
		char *piece = malloc(size);
		if (piece == NULL)
			return NULL;
		memcpy(piece, &map->piece, sizeof(map->piece));
		map->piece = piece;
		map->piece_size = size;
		map->piece_used = sizeof(map->piece);
	}
	char *copy = map->piece + map->piece_used;
	memcpy(copy, text, length);
	copy[length] = '\0';
	map->piece_used += length + 1;
	return copy;
}

int map_add(struct map *map, const char *text, size_t length, uint32_t value, struct map_entry *ret, struct error *err)
{
	if (map->count * 2 >= map->capacity && grow(map, err) < 0)
		return -1;
	uint64_t hash = map_quick(text, length);
	struct map_entry *slot = slot_of(map, hash, text, length);
	if (slot->text == NULL) {
		char *copy = keep(map, text, length);
		if (copy == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for a text");
		*slot = (struct map_entry){.text = copy, .tag = (uint32_t)(hash >> 32), .value = value};
		map->count++;
	}
	if (ret != NULL)
		*ret = *slot;
	return 0;
}

int map_keep(struct map *map, const char **text, struct error *err)
{
	struct map_entry entry = {.text = ""};
	if (**text != '\0' && map_add(map, *text, strlen(*text), 0, &entry, err) < 0)
		return -1;
	*text = entry.text;
	return 0;
}

void map_set(struct map *map, const char *text, size_t length, uint32_t value)
{
	if (map->count > 0)
		slot_of(map, map_quick(text, length), text, length)->value = value;
}

void map_done(struct map *map)
{
	while (map->piece != NULL) {
		char *before;
		memcpy(&before, map->piece, sizeof(before));
		free(map->piece);
		map->piece = before;
	}
	free(map->slots);
	*map = (struct map){0};
}
