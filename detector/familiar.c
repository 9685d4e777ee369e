/* SPDX-License-Identifier: Apache-2.0 */

/* A table of hashes over what is known, which lies in one large piece of memory, each with its texts behind it, but for
 * the caller's, which is there once for all places that it called from. The hash looks at a part of the texts only,
 * which are long and differ in many places; it decides nothing, the comparison does. Whoever makes records whose hashes
 * collide gets them parsed. A second table finds a caller by a few bytes of its text, the one met last. */
#include "detector/familiar.h"

#include <string.h>

#include "detector/pages.h"

#define BYTES_EACH 512 /* of texts, about */
#define PROBES 8
#define FIRST sizeof(int64_t) /* nothing is known at 0 */
#define CALLERS 16384         /* found by a few bytes */

struct known {
	uint64_t hash;
	int64_t from_us, until_us;
	uint32_t caller; /* where it is */
	uint32_t lengths[GLANCE_DECIDING];
	int what;     /* the caller's number */
	char texts[]; /* one behind the other, without the identity */
};

struct caller {
	uint64_t hash; /* as it goes on with the other texts */
	uint32_t length;
	char identity[];
};

struct slot {
	uint32_t tag;   /* upper half of the hash */
	uint32_t start; /* of what is known; 0: free, so that memory that nobody wrote to is */
};

struct familiar {
	struct slot *slots;
	size_t mask;
	struct slot *callers; /* CALLERS of them */
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
		familiar->callers = pages_new(CALLERS * sizeof(*familiar->callers));
		familiar->all = pages_new(bytes);
	}
	if (familiar == NULL || familiar->slots == NULL || familiar->callers == NULL || familiar->all == NULL) {
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
	pages_free(familiar->callers, CALLERS * sizeof(*familiar->callers));
	pages_free(familiar->all, familiar->capacity);
	free(familiar);
}

void familiar_clear(struct familiar *familiar)
{
	memset(familiar->slots, 0, (familiar->mask + 1) * sizeof(*familiar->slots));
	memset(familiar->callers, 0, CALLERS * sizeof(*familiar->callers));
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

/* Of the other texts, behind the caller's. */
static uint64_t hash_rest(uint64_t hash, const struct glance *glance)
{
	for (size_t i = GLANCE_IDENTITY + 1; i < GLANCE_DECIDING; i++)
		hash = hash_text(hash, &glance->fields[i]);
	return hash;
}

/* ---- callers */

/* In the role session of an instance: its id. */
#define FEW_AT 58
#define FEW_BYTES 16

static struct slot *caller_slot(const struct familiar *familiar, const char *identity, uint32_t *ret_tag)
{
	uint64_t first = word_at(identity + FEW_AT), second = word_at(identity + FEW_AT + 8);
	uint64_t hash = ((first * FACTOR) ^ second) * FACTOR;
	hash ^= hash >> 32;
	*ret_tag = (uint32_t)(hash >> 16);
	return &familiar->callers[hash % CALLERS];
}

static const struct caller *caller_at(const struct familiar *familiar, uint32_t start)
{
	return (const void *)(familiar->all + start);
}

static bool is_caller(const struct caller *caller, const struct glance_text *identity)
{
	return caller->length == identity->length && memcmp(caller->identity, identity->text, identity->length) == 0;
}

bool familiar_caller(const struct familiar *familiar, const char *bytes, size_t length, struct familiar_caller *ret)
{
	uint32_t tag;
	if (length < FEW_AT + FEW_BYTES)
		return false;
	const struct slot *slot = caller_slot(familiar, bytes, &tag);
	if (slot->start == 0 || slot->tag != tag)
		return false;
	const struct caller *caller = caller_at(familiar, slot->start);
	if (caller->length > length || memcmp(caller->identity, bytes, caller->length) != 0)
		return false;
	*ret = (struct familiar_caller){caller->length, caller->hash, slot->start};
	return true;
}

/* It will be found by a few bytes from now on, unless there are none, or a line feed among all of them. */
static void note_caller(struct familiar *familiar, uint32_t start)
{
	const struct caller *caller = caller_at(familiar, start);
	uint32_t tag;
	if (caller->length < FEW_AT + FEW_BYTES || memchr(caller->identity, '\n', caller->length) != NULL)
		return;
	struct slot *slot = caller_slot(familiar, caller->identity, &tag);
	*slot = (struct slot){tag, start};
}

/* ---- uses */

/* Absent is not empty: an empty text is one byte longer. */
static uint32_t length_of(const struct glance_text *text)
{
	return text->text != NULL ? (uint32_t)text->length + 1 : 0;
}

/* But for the caller. */
static bool is_same(const struct known *known, const struct glance *glance)
{
	const char *at = known->texts;
	for (size_t i = GLANCE_IDENTITY + 1; i < GLANCE_DECIDING; i++) {
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

/* `caller`: where it is; 0: to be compared. */
static const struct known *find(const struct familiar *familiar, uint64_t hash, uint32_t caller,
                                const struct glance *glance)
{
	for (size_t i = 0; i < PROBES; i++) {
		const struct slot *slot = &familiar->slots[(hash + i) & familiar->mask];
		if (slot->start == 0)
			return NULL;
		if (slot->tag != hash >> 32)
			continue;
		const struct known *known = (const void *)(familiar->all + slot->start);
		if (known->hash == hash && holds_at(known, glance->at_us) && is_same(known, glance) &&
		    (known->caller == caller ||
		     is_caller(caller_at(familiar, known->caller), &glance->fields[GLANCE_IDENTITY])))
			return known;
	}
	return NULL;
}

int familiar_find_by(const struct familiar *familiar, const struct familiar_caller *caller, const struct glance *glance)
{
	const struct known *known = find(familiar, hash_rest(caller->hash, glance), caller->start, glance);
	return known != NULL ? known->what : -1;
}

static const struct known *find_text(const struct familiar *familiar, const struct glance *glance)
{
	return find(familiar, hash_rest(hash_text(0, &glance->fields[GLANCE_IDENTITY]), glance), 0, glance);
}

int familiar_find(struct familiar *familiar, const struct glance *glance)
{
	const struct known *known = find_text(familiar, glance);
	if (known == NULL)
		return -1;
	note_caller(familiar, known->caller);
	return known->what;
}

int familiar_take(const struct familiar *from, const struct glance *glance, struct familiar *to)
{
	const struct known *known = find_text(from, glance);
	if (known == NULL)
		return -1;
	familiar_add(to, glance, known->what, known->from_us, known->until_us);
	return known->what;
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

/* So much of the memory, which there must be. */
static void *take(struct familiar *familiar, size_t length, uint32_t *ret_start)
{
	*ret_start = (uint32_t)familiar->used;
	familiar->used += length;
	return familiar->all + *ret_start;
}

static size_t whole_words(size_t length)
{
	return (length + sizeof(int64_t) - 1) / sizeof(int64_t) * sizeof(int64_t);
}

static uint32_t add_caller(struct familiar *familiar, const struct glance_text *identity)
{
	uint32_t start;
	struct familiar_caller found;
	if (familiar_caller(familiar, identity->text, identity->length, &found) && found.length == identity->length)
		return found.start;
	struct caller *caller = take(familiar, whole_words(sizeof(*caller) + identity->length), &start);
	caller->hash = hash_text(0, identity);
	caller->length = (uint32_t)identity->length;
	memcpy(caller->identity, identity->text, identity->length);
	note_caller(familiar, start);
	return start;
}

void familiar_add(struct familiar *familiar, const struct glance *glance, int what, int64_t from_us, int64_t until_us)
{
	const struct glance_text *identity = &glance->fields[GLANCE_IDENTITY];
	size_t length = sizeof(struct known);
	uint32_t start;
	uint64_t hash = hash_rest(hash_text(0, identity), glance);
	for (size_t i = GLANCE_IDENTITY + 1; i < GLANCE_DECIDING; i++)
		length += glance->fields[i].length;
	size_t most = whole_words(length) + whole_words(sizeof(struct caller) + identity->length);
	if (from_us >= until_us || most > familiar->capacity / 4 || most > UINT32_MAX / 2)
		return;
	struct slot *slot = slot_for(familiar, hash);
	if (slot == NULL || most > familiar->capacity - familiar->used) {
		familiar_clear(familiar);
		slot = slot_for(familiar, hash);
	}
	uint32_t caller = add_caller(familiar, identity);
	struct known *known = take(familiar, whole_words(length), &start);
	*slot = (struct slot){(uint32_t)(hash >> 32), start};
	*known = (struct known){.hash = hash, .from_us = from_us, .until_us = until_us, .caller = caller, .what = what};
	char *to = known->texts;
	for (size_t i = GLANCE_IDENTITY + 1; i < GLANCE_DECIDING; i++) {
		const struct glance_text *text = &glance->fields[i];
		known->lengths[i] = length_of(text);
		if (text->text != NULL)
			memcpy(to, text->text, text->length);
		to += text->length;
	}
}
