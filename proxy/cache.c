/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of what may be kept, and the few answers that are. Whatever the table does not name is never kept: what
 * rotates, announces, or can be changed from outside while the instance runs. */
#include "proxy/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/head_line.h"

/* Behind the version; `*` stands for a MAC address. Not here, since they change: addresses that can be taken away or
 * added, security groups, volumes, tags, keys, names (a VPC's DHCP options are part of them), an interface's place. */
static const char *const kept[] = {
	"dynamic/instance-identity/document",
	"dynamic/instance-identity/dsa2048",
	"dynamic/instance-identity/pkcs7",
	"dynamic/instance-identity/rsa2048",
	"dynamic/instance-identity/signature",
	"meta-data/ami-id",
	"meta-data/ami-launch-index",
	"meta-data/ami-manifest-path",
	"meta-data/ancestor-ami-ids",
	"meta-data/instance-id",
	"meta-data/instance-life-cycle",
	"meta-data/instance-type",
	"meta-data/kernel-id",
	"meta-data/local-ipv4",
	"meta-data/mac",
	"meta-data/network/interfaces/macs/*/interface-id",
	"meta-data/network/interfaces/macs/*/mac",
	"meta-data/network/interfaces/macs/*/owner-id",
	"meta-data/network/interfaces/macs/*/subnet-id",
	"meta-data/network/interfaces/macs/*/subnet-ipv4-cidr-block",
	"meta-data/network/interfaces/macs/*/vpc-id",
	"meta-data/network/interfaces/macs/*/vpc-ipv4-cidr-block",
	"meta-data/placement/availability-zone",
	"meta-data/placement/availability-zone-id",
	"meta-data/placement/group-id",
	"meta-data/placement/group-name",
	"meta-data/placement/host-id",
	"meta-data/placement/partition-number",
	"meta-data/placement/region",
	"meta-data/ramdisk-id",
	"meta-data/reservation-id",
	"meta-data/services/domain",
	"meta-data/services/partition",
	"meta-data/system",
};

struct entry {
	char key[CACHE_KEY_BYTES]; /* "": free */
	struct response answer;
	int64_t asked_ms, answered_ms;
};

struct cache {
	atomic_ullong hits;
	pthread_mutex_t mutex; /* guards what follows; held for moments only */
	int64_t keep_ms;
	int64_t forgotten_ms; /* what was asked for until then is not kept */
	size_t bytes;
	struct entry entries[CACHE_ENTRIES];
};

/* ---- what may be kept */

static bool is_match(const char *pattern, const char *path)
{
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '*') {
			if (*path++ != *pattern)
				return false;
			continue;
		}
		size_t length = strspn(path, "0123456789abcdefABCDEF:");
		if (length == 0)
			return false;
		path += length;
	}
	return *path == '\0';
}

bool cache_knows(const char *target)
{
	const char *path = target[0] == '/' ? strchr(target + 1, '/') : NULL;
	for (size_t i = 0; path != NULL && i < ARRAY_LENGTH(kept); i++)
		if (is_match(kept[i], path + 1))
			return true;
	return false;
}

bool cache_takes(const struct response *answer)
{
	const struct buffer *body = &answer->body;
	if (answer->status != 200 || answer->head.length + body->length > CACHE_ENTRY_BYTES)
		return false;
	if (body->length == 0)
		return true;
	/* Not where strcasestr would not see it: behind a NUL, or escaped. */
	return memchr(body->bytes, '\0', body->length) == NULL && strcasestr(body->bytes, "AccessKeyId") == NULL &&
	       strstr(body->bytes, "\\u") == NULL;
}

/* ---- what is kept; all with the mutex held */

static size_t bytes_of(const struct response *answer)
{
	return answer->head.length + answer->body.length;
}

static void drop(struct cache *cache, struct entry *entry)
{
	if (entry->key[0] == '\0')
		return;
	cache->bytes -= bytes_of(&entry->answer);
	buffer_wipe_done(&entry->answer.head);
	response_done(&entry->answer);
	entry->key[0] = '\0';
}

static void drop_all(struct cache *cache)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		drop(cache, &cache->entries[i]);
}

static void drop_old(struct cache *cache, int64_t now_ms)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		if (now_ms - cache->entries[i].asked_ms >= cache->keep_ms)
			drop(cache, &cache->entries[i]);
}

/* `key` "" finds a free one. */
static struct entry *find(struct cache *cache, const char *key)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		if (strcmp(cache->entries[i].key, key) == 0)
			return &cache->entries[i];
	return NULL;
}

static void drop_oldest(struct cache *cache)
{
	struct entry *oldest = NULL;
	for (size_t i = 0; i < CACHE_ENTRIES; i++) {
		struct entry *entry = &cache->entries[i];
		if (entry->key[0] != '\0' && (oldest == NULL || entry->asked_ms < oldest->asked_ms))
			oldest = entry;
	}
	if (oldest != NULL)
		drop(cache, oldest);
}

/* Upstream's Date as it would be `passed_ms` later: the form has a fixed length. */
static void move_date(struct response *answer, int64_t passed_ms)
{
	struct head_line date;
	char later[CLOCK_HTTP_BYTES];
	if (answer->date_us == 0)
		return;
	answer->date_us += passed_ms * 1000;
	(void)clock_format_http(answer->date_us, later);
	if (head_line_find(answer->head.bytes, answer->head.length, "Date", &date) && date.length == strlen(later))
		memcpy(answer->head.bytes + (date.bytes - answer->head.bytes), later, date.length);
}

/* ---- for upstream.c */

bool cache_get(struct cache *cache, const char *key, int64_t now_ms, struct response *ret)
{
	bool is_hit = false;
	(void)pthread_mutex_lock(&cache->mutex);
	drop_old(cache, now_ms);
	const struct entry *entry = find(cache, key);
	if (entry != NULL && key[0] != '\0' && response_copy(&entry->answer, ret, NULL) == 0) {
		move_date(ret, now_ms - entry->answered_ms);
		is_hit = true;
	}
	(void)pthread_mutex_unlock(&cache->mutex);
	if (is_hit)
		(void)atomic_fetch_add_explicit(&cache->hits, 1, memory_order_relaxed);
	return is_hit;
}

void cache_put(struct cache *cache, const char *key, int64_t asked_ms, int64_t now_ms, const struct response *answer)
{
	CLEANUP_RESPONSE struct response copied = {0};
	if (key[0] == '\0' || strlen(key) >= CACHE_KEY_BYTES || !cache_takes(answer) ||
	    response_copy(answer, &copied, NULL) < 0)
		return;
	(void)pthread_mutex_lock(&cache->mutex);
	drop_old(cache, now_ms);
	if (now_ms - asked_ms < cache->keep_ms && asked_ms > cache->forgotten_ms) {
		struct entry *entry = find(cache, key);
		if (entry != NULL)
			drop(cache, entry);
		while (cache->bytes + bytes_of(&copied) > CACHE_BYTES || find(cache, "") == NULL)
			drop_oldest(cache);
		entry = find(cache, "");
		(void)text_copy(entry->key, sizeof(entry->key), key);
		entry->answer = copied;
		entry->asked_ms = asked_ms;
		entry->answered_ms = now_ms;
		cache->bytes += bytes_of(&copied);
		copied = (struct response){0};
	}
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_forget(struct cache *cache, int64_t now_ms)
{
	(void)pthread_mutex_lock(&cache->mutex);
	drop_all(cache);
	cache->forgotten_ms = now_ms;
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_keep_for(struct cache *cache, int64_t keep_ms, int64_t now_ms)
{
	(void)pthread_mutex_lock(&cache->mutex);
	drop_all(cache);
	cache->keep_ms = keep_ms;
	cache->forgotten_ms = now_ms;
	(void)pthread_mutex_unlock(&cache->mutex);
}

uint64_t cache_hits(const struct cache *cache)
{
	return atomic_load_explicit(&cache->hits, memory_order_relaxed);
}

int cache_new(struct cache **ret, struct error *err)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a cache");
	(void)pthread_mutex_init(&cache->mutex, NULL);
	*ret = cache;
	return 0;
}

void cache_free(struct cache *cache)
{
	if (cache == NULL)
		return;
	drop_all(cache);
	(void)pthread_mutex_destroy(&cache->mutex);
	free(cache);
}
