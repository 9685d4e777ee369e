/* SPDX-License-Identifier: Apache-2.0 */

/* A Bloom filter in blocks of one cache line lets one in a thousand of all other ids through; the ledgers tell those,
 * by an index, and a table of fixed size remembers the last answers, yes and no. So ten million keys cost 32 MiB and
 * the reading of their ids. A place in the filter is the end of a hash: it is made as large as the ledgers' files may
 * need, and folded when it is known how many keys there are. */
#include "detector/tracked_keys.h"

#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "detector/map.h"
#include "detector/pages.h"
#include "store/ledger_lookup.h"

#define KEY_SHORTEST 16

/* ---- the filter */

#define BLOCK_WORDS 8 /* 512 bits */
#define BLOCK_BITS 512
#define PROBES 6
#define BITS_EACH 16
#define BLOCKS_LEAST ((uint64_t)1 << 6)
#define BLOCKS_MOST ((uint64_t)1 << 19) /* 32 MiB */
#define FILE_BYTES_EACH 256             /* a key takes more of a ledger's file */

struct filter {
	uint64_t (*blocks)[BLOCK_WORDS];
	uint64_t mask;
};

MUST_USE static int filter_make(struct filter *filter, uint64_t expected, struct error *err)
{
	uint64_t count = BLOCKS_LEAST;
	while (count < BLOCKS_MOST && count * BLOCK_BITS < expected * BITS_EACH)
		count *= 2;
	filter->blocks = calloc((size_t)count, sizeof(*filter->blocks));
	filter->mask = count - 1;
	return filter->blocks != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for the ledger's keys");
}

/* The block by the end of the hash, bits in it by its beginning, stirred once more. */
static uint64_t bits_of(uint64_t hash)
{
	return hash * UINT64_C(0x9e3779b97f4a7c15) >> 10;
}

static void filter_add(struct filter *filter, uint64_t hash)
{
	uint64_t *block = filter->blocks[hash & filter->mask], bits = bits_of(hash);
	for (int i = 0; i < PROBES; i++, bits >>= 9)
		block[bits % BLOCK_BITS / 64] |= UINT64_C(1) << bits % 64;
}

static bool filter_holds(const struct filter *filter, uint64_t hash)
{
	const uint64_t *block = filter->blocks[hash & filter->mask];
	uint64_t bits = bits_of(hash);
	for (int i = 0; i < PROBES; i++, bits >>= 9)
		if ((block[bits % BLOCK_BITS / 64] >> bits % 64 & 1) == 0)
			return false;
	return true;
}

static void filter_fit(struct filter *filter, uint64_t count)
{
	uint64_t blocks = filter->mask + 1;
	while (blocks / 2 >= BLOCKS_LEAST && blocks / 2 * BLOCK_BITS >= count * BITS_EACH) {
		blocks /= 2;
		const uint64_t *upper = filter->blocks[blocks];
		uint64_t *lower = filter->blocks[0];
		for (uint64_t i = 0; i < blocks * BLOCK_WORDS; i++)
			if (upper[i] != 0)
				lower[i] |= upper[i];
	}
	void *smaller = realloc(filter->blocks, (size_t)blocks * sizeof(*filter->blocks));
	filter->blocks = smaller != NULL ? smaller : filter->blocks;
	filter->mask = blocks - 1;
}

/* ---- answers that are remembered */

#define ANSWERS 16384 /* 9 MiB */

struct answer {
	bool is_there, is_known;
	struct tracked_room room; /* its id is there, known or not */
};

struct tracked_keys {
	struct ledger **ledgers; /* borrowed */
	struct ledger_lookup **lookups;
	size_t ledger_count;
	struct filter filter;
	struct sieve *sieve; /* while ids are read */
	size_t count;
	bool are_odd;
	pthread_mutex_t lock; /* of all below, and of the lookups */
	struct answer *answers;
	struct error failure;
};

/* Texts into the room, one behind the other. */
static const char *put_text(struct tracked_room *room, size_t *used, const char *text)
{
	size_t length = text != NULL ? strlen(text) + 1 : 0;
	if (length <= 1 || length > sizeof(room->texts) - *used)
		return "";
	char *copy = memcpy(room->texts + *used, text, length);
	*used += length;
	return copy;
}

static void put_key(struct tracked_room *room, const struct tracked_key *key)
{
	size_t used = 0;
	*room = (struct tracked_room){
		.key = {.expires_at_us = key->expires_at_us, .first_delivered_us = key->first_delivered_us}};
	room->key.id = put_text(room, &used, key->id);
	room->key.home_account = put_text(room, &used, key->home_account);
	room->key.instance_id = put_text(room, &used, key->instance_id);
	room->key.region = put_text(room, &used, key->region);
	room->key.role = put_text(room, &used, key->role);
}

static struct tracked_key key_of(const char *id, const struct ledger_key *key)
{
	return (struct tracked_key){.id = id,
	                            .home_account = key->host_account_id,
	                            .role = key->role,
	                            .instance_id = key->instance_id,
	                            .region = key->region,
	                            .expires_at_us = key->expires_at_us,
	                            .first_delivered_us = key->first_delivered_us};
}

/* ---- making */

int tracked_keys_new(struct tracked_keys **ret, struct error *err)
{
	struct tracked_keys *keys = calloc(1, sizeof(*keys));
	if (keys == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the ledger's keys");
	(void)pthread_mutex_init(&keys->lock, NULL);
	*ret = keys;
	return 0;
}

void tracked_keys_free(struct tracked_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->ledger_count; i++)
		ledger_lookup_close(keys->lookups[i]);
	free(keys->lookups);
	free(keys->ledgers);
	free(keys->filter.blocks);
	pages_free(keys->answers, ANSWERS * sizeof(*keys->answers));
	(void)pthread_mutex_destroy(&keys->lock);
	free(keys);
}

int tracked_keys_add(struct tracked_keys *keys, struct ledger *ledger, struct error *err)
{
	size_t count = keys->ledger_count + 1;
	void *ledgers = reallocarray(keys->ledgers, count, sizeof(*keys->ledgers));
	keys->ledgers = ledgers != NULL ? ledgers : keys->ledgers;
	void *lookups = reallocarray(keys->lookups, count, sizeof(*keys->lookups));
	keys->lookups = lookups != NULL ? lookups : keys->lookups;
	if (ledgers == NULL || lookups == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a ledger");
	keys->ledgers[keys->ledger_count] = ledger;
	if (ledger_lookup_open(ledger, &keys->lookups[keys->ledger_count], err) < 0)
		return -1;
	keys->ledger_count = count;
	return 0;
}

static bool looks_like_key(const char *id)
{
	return strlen(id) >= KEY_SHORTEST && id[0] == 'A' && id[2] == 'I' && id[3] == 'A' &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(id);
}

static int take_id(void *context, const char *id, struct error *err)
{
	struct tracked_keys *keys = context;
	(void)err;
	filter_add(&keys->filter, map_quick(id, strlen(id)));
	if (keys->sieve != NULL)
		sieve_add_key(keys->sieve, id);
	keys->are_odd = keys->are_odd || !looks_like_key(id);
	keys->count++;
	return 0;
}

int tracked_keys_seal(struct tracked_keys *keys, struct sieve *sieve, struct error *err)
{
	uint64_t expected = 0;
	for (size_t i = 0; i < keys->ledger_count; i++)
		expected += ledger_lookup_bytes(keys->lookups[i]) / FILE_BYTES_EACH;
	keys->answers = pages_new(ANSWERS * sizeof(*keys->answers));
	if (keys->answers == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the ledger's keys");
	if (filter_make(&keys->filter, expected, err) < 0 ||
	    (sieve != NULL && sieve_make(sieve, (size_t)expected, err) < 0))
		return -1;
	keys->sieve = sieve;
	for (size_t i = 0; i < keys->ledger_count; i++)
		if (ledger_lookup_ids(keys->lookups[i], take_id, keys, err) < 0)
			return -1;
	keys->sieve = NULL;
	filter_fit(&keys->filter, keys->count);
	if (sieve != NULL)
		sieve_fit(sieve, keys->count);
	return 0;
}

/* ---- asking */

size_t tracked_keys_count(const struct tracked_keys *keys)
{
	return keys->count;
}

bool tracked_keys_are_odd(const struct tracked_keys *keys)
{
	return keys->are_odd;
}

bool tracked_keys_may_hold(const struct tracked_keys *keys, const char *id, size_t length)
{
	return keys->count > 0 && filter_holds(&keys->filter, map_quick(id, length));
}

/* Of the first `count` ledgers. */
MUST_USE static int ask(struct tracked_keys *keys, size_t count, const char *id, struct tracked_room *room,
                        bool *ret_known, struct error *err)
{
	struct ledger_key found = {0};
	*ret_known = false;
	for (size_t i = 0; i < count && !*ret_known; i++)
		if (ledger_lookup_key(keys->lookups[i], id, &found, ret_known, err) < 0)
			return -1;
	const struct tracked_key key = key_of(id, &found);
	put_key(room, &key);
	return 0;
}

const struct tracked_key *tracked_keys_find(struct tracked_keys *keys, const char *id, struct tracked_room *room)
{
	size_t length = strlen(id);
	uint64_t hash = map_quick(id, length);
	bool is_known = false;
	if (length == 0 || keys->count == 0 || !filter_holds(&keys->filter, hash))
		return NULL;
	(void)pthread_mutex_lock(&keys->lock);
	struct answer *answer = &keys->answers[(hash >> 32) % ANSWERS];
	if (!answer->is_there || strcmp(answer->room.key.id, id) != 0) {
		struct error problem = {0};
		answer->is_there = ask(keys, keys->ledger_count, id, &answer->room, &answer->is_known, &problem) == 0;
		if (!answer->is_there && keys->failure.code == ERROR_NONE)
			keys->failure = problem;
	}
	is_known = answer->is_there && answer->is_known;
	if (is_known)
		put_key(room, &answer->room.key);
	(void)pthread_mutex_unlock(&keys->lock);
	return is_known ? &room->key : NULL;
}

int tracked_keys_check(struct tracked_keys *keys, struct error *err)
{
	(void)pthread_mutex_lock(&keys->lock);
	struct error failure = keys->failure;
	(void)pthread_mutex_unlock(&keys->lock);
	return failure.code != ERROR_NONE ? error_set(err, failure.code, "%s", failure.text) : 0;
}

/* ---- all of them */

struct each {
	struct tracked_keys *keys;
	size_t ledger; /* being read */
	bool (*is_wanted)(void *context, const char *instance);
	tracked_keys_visit *visit;
	void *context;
};

static int64_t time_at(const json_t *object, const char *path)
{
	int64_t time_us = 0;
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, &time_us) ? time_us : 0;
}

static const char *text_at(const json_t *object, const char *path)
{
	const char *text = json_text_at(object, path);
	return text != NULL ? text : "";
}

static int visit_key(void *context, const json_t *object, struct error *err)
{
	const struct each *each = context;
	struct tracked_room room;
	bool is_known = false;
	const struct tracked_key key = {.id = text_at(object, "access_key_id"),
	                                .home_account = text_at(object, "host_account_id"),
	                                .role = text_at(object, "role"),
	                                .instance_id = text_at(object, "instance_id"),
	                                .region = text_at(object, "region"),
	                                .expires_at_us = time_at(object, "expires_at"),
	                                .first_delivered_us = time_at(object, "first_delivered_at")};
	if (ask(each->keys, each->ledger, key.id, &room, &is_known, err) < 0)
		return -1;
	return is_known ? 0 : each->visit(each->context, &key, err);
}

int tracked_keys_each(struct tracked_keys *keys, tracked_keys_visit *visit, void *context, struct error *err)
{
	struct each each = {.keys = keys, .visit = visit, .context = context};
	const struct ledger_filter filter = {.oldest_first = true};
	for (; each.ledger < keys->ledger_count; each.ledger++)
		if (ledger_keys(keys->ledgers[each.ledger], &filter, visit_key, &each, err) < 0)
			return -1;
	return 0;
}

static bool wants_instance(void *context, const char *instance)
{
	const struct each *each = context;
	return each->is_wanted(each->context, instance);
}

static int visit_instance(void *context, const struct ledger_key *by, struct error *err)
{
	const struct each *each = context;
	struct tracked_room room;
	const struct tracked_key key = key_of("", by);
	put_key(&room, &key);
	return each->visit(each->context, &room.key, err);
}

int tracked_keys_instances(struct tracked_keys *keys, bool (*is_wanted)(void *context, const char *instance),
                           tracked_keys_visit *visit, void *context, struct error *err)
{
	struct each each = {.keys = keys, .is_wanted = is_wanted, .visit = visit, .context = context};
	const struct ledger_lookup_visitor visitor = {wants_instance, visit_instance, &each};
	for (size_t i = 0; i < keys->ledger_count; i++)
		if (ledger_lookup_instances(keys->lookups[i], &visitor, err) < 0)
			return -1;
	return 0;
}
