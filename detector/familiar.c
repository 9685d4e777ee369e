/* SPDX-License-Identifier: Apache-2.0 */

/* A table of hashes over what is known, which lies in one large piece of memory, each with its texts behind it. The
 * hash looks at a part of the texts only, which are long and differ in many places; it decides nothing, the comparison
 * does. Whoever makes records whose hashes collide gets them parsed. */
#include "detector/familiar.h"

#include <string.h>

#include "detector/pages.h"

#define BYTES_EACH 512 /* of texts, about */
#define PROBES 8
#define FIRST sizeof(int64_t) /* nothing is known at 0 */

struct known {
	uint64_t hash;
	int64_t from_us, until_us;
	uint32_t lengths[GLANCE_DECIDING];
	int what;     /* the caller's number */
	char texts[]; /* one behind the other */
};

struct slot {
	uint32_t tag;   /* upper half of the hash */
	uint32_t start; /* of what is known; 0: free, so that memory that nobody wrote to is */
};

struct familiar {
	struct slot *slots;
	size_t mask;
	char *all;
	size_t capacity, used;
};

int familiar_new(size_t bytes, struct familiar **ret, struct error *err)
{
	struct familiar *familiar = calloc(1, sizeof(*familiar));
	size_t slots = 64;
	while (slots < bytes / BYTES_EACH * 2)
		slots *= 2;
	if (familiar != NULL) {
		familiar->mask = slots - 1;
		familiar->capacity = bytes;
		familiar->used = FIRST;
		familiar->slots = pages_new(slots * sizeof(*familiar->slots));
		familiar->all = pages_new(bytes);
	}
	if (familiar == NULL || familiar->slots == NULL || familiar->all == NULL) {
		familiar_free(familiar);
		return error_set(err, ERROR_MEMORY, "no memory for what is familiar");
	}
	*ret = familiar;
	return 0;
}

void familiar_free(struct familiar *familiar)
{
	if (familiar == NULL)
		return;
	pages_free(familiar->slots, (familiar->mask + 1) * sizeof(*familiar->slots));
	pages_free(familiar->all, familiar->capacity);
	free(familiar);
}

void familiar_clear(struct familiar *familiar)
{
	memset(familiar->slots, 0, (familiar->mask + 1) * sizeof(*familiar->slots));
	familiar->used = FIRST;
}

static uint64_t word_at(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	return word;
}

#define STEP 16
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Eight bytes of each sixteen: ids are longer than the gaps. */
static uint64_t hash_text(uint64_t hash, const struct glance_text *text)
{
	uint64_t other = text->length;
	size_t i = 0;
	for (; i + STEP + 8 <= text->length; i += 2 * STEP) {
		hash = (hash ^ word_at(text->text + i)) * FACTOR;
		other = (other ^ word_at(text->text + i + STEP)) * FACTOR;
	}
	if (text->length >= 8)
		hash ^= word_at(text->text + text->length - 8);
	else
		for (i = 0; i < text->length; i++)
			hash = (hash ^ (uint8_t)text->text[i]) * FACTOR;
	hash = (hash ^ other) * FACTOR;
	return hash ^ hash >> 32;
}

static uint64_t hash_of(const struct glance *glance)
{
	uint64_t hash = 0;
	for (size_t i = 0; i < GLANCE_DECIDING; i++)
		hash = hash_text(hash, &glance->fields[i]);
	return hash;
}

/* Absent is not empty: an empty text is one byte longer. */
static uint32_t length_of(const struct glance_text *text)
{
	return text->text != NULL ? (uint32_t)text->length + 1 : 0;
}

static bool is_same(const struct known *known, const struct glance *glance)
{
	const char *at = known->texts;
	for (size_t i = 0; i < GLANCE_DECIDING; i++) {
		const struct glance_text *text = &glance->fields[i];
		if (known->lengths[i] != length_of(text) ||
		    (text->text != NULL && memcmp(at, text->text, text->length) != 0))
			return false;
		at += text->length;
	}
	return true;
}

static bool holds_at(const struct known *known, int64_t at_us)
{
	return at_us >= known->from_us && at_us < known->until_us;
}

int familiar_find(const struct familiar *familiar, const struct glance *glance)
{
	uint64_t hash = hash_of(glance);
	for (size_t i = 0; i < PROBES; i++) {
		const struct slot *slot = &familiar->slots[(hash + i) & familiar->mask];
		if (slot->start == 0)
			return -1;
		if (slot->tag != hash >> 32)
			continue;
		const struct known *known = (const void *)(familiar->all + slot->start);
		if (known->hash == hash && holds_at(known, glance->at_us) && is_same(known, glance))
			return known->what;
	}
	return -1;
}

/* A free slot; there may be others that know the same of another time. */
static struct slot *slot_for(struct familiar *familiar, uint64_t hash)
{
	for (size_t i = 0; i < PROBES; i++) {
		struct slot *slot = &familiar->slots[(hash + i) & familiar->mask];
		if (slot->start == 0)
			return slot;
	}
	return NULL;
}

void familiar_add(struct familiar *familiar, const struct glance *glance, int what, int64_t from_us, int64_t until_us)
{
	size_t length = sizeof(struct known);
	uint64_t hash = hash_of(glance);
	for (size_t i = 0; i < GLANCE_DECIDING; i++)
		length += glance->fields[i].length;
	length = (length + sizeof(int64_t) - 1) / sizeof(int64_t) * sizeof(int64_t);
	if (length > familiar->capacity / 4 || length > UINT32_MAX / 2)
		return;
	struct slot *slot = slot_for(familiar, hash);
	if (slot == NULL || length > familiar->capacity - familiar->used) {
		familiar_clear(familiar);
		slot = slot_for(familiar, hash);
	}
	struct known *known = (void *)(familiar->all + familiar->used);
	*slot = (struct slot){(uint32_t)(hash >> 32), (uint32_t)familiar->used};
	*known = (struct known){.hash = hash, .from_us = from_us, .until_us = until_us, .what = what};
	char *to = known->texts;
	for (size_t i = 0; i < GLANCE_DECIDING; i++) {
		const struct glance_text *text = &glance->fields[i];
		known->lengths[i] = length_of(text);
		if (text->text != NULL)
			memcpy(to, text->text, text->length);
		to += text->length;
	}
	familiar->used += length;
}
