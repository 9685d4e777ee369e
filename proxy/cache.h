/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/response.h"

/* Answers of the metadata service kept for a moment, against its throttling: of paths that hold no secret and stay the
 * same while the instance runs, and of no others. "Now" is a parameter: clock_monotonic_ms(). All functions may be
 * called from any thread. */
struct cache;

#define CACHE_ENTRIES 64         /* the table has some 35 paths, asked for under one or two versions */
#define CACHE_ENTRY_BYTES 16384  /* head and body; the longest of these, pkcs7, is below 2 KB */
#define CACHE_KEY_BYTES 256      /* of an endpoint and a target; the longest of these is below 100 */
#define CACHE_BYTES (256 * 1024) /* of all that is kept */

/* Keeps nothing until cache_keep_for says for how long. */
MUST_USE int cache_new(struct cache **ret, struct error *err);
/* Wipes what is kept. */
void cache_free(struct cache *cache);

/* Is the answer to GET of this canonical target, below any version and without a query, one that may be kept? Pure.
 * Facts: "Instance metadata categories" of the EC2 user guide. */
bool cache_knows(const char *target);

/* May this answer be kept? Only 200, small, and with no word of an AccessKeyId in it, whatever its path. Pure. */
bool cache_takes(const struct response *answer);

/* From now on answers are kept for so long; 0: not at all. Forgets all there is, and what was asked for before. */
void cache_keep_for(struct cache *cache, int64_t keep_ms, int64_t now_ms);

/* Forgets all there is, and what was asked for before. */
void cache_forget(struct cache *cache, int64_t now_ms);

/* A copy of what was kept under `key`, with its Date moved on by the time that it lay here; *ret is then as upstream
 * would have given it. False: nothing is kept. */
bool cache_get(struct cache *cache, const char *key, int64_t now_ms, struct response *ret);

/* Keeps a copy of an answer that cache_takes, counted from when it was asked for. Without room the oldest go. */
void cache_put(struct cache *cache, const char *key, int64_t asked_ms, int64_t now_ms, const struct response *answer);

/* How many answers cache_get has given. */
uint64_t cache_hits(const struct cache *cache);
