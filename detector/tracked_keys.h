/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "detector/sieve.h"
#include "store/ledger.h"

/* The keys that ledgers handed out, however many: in memory is only what tells nearly all others apart; what a ledger
 * knows of a key is asked of it when the key is met. Once sealed, safe from any thread. */
struct tracked_keys;

struct tracked_key {
	const char *id;
	const char *home_account; /* the identity document's at delivery */
	const char *role, *instance_id, *region;
	int64_t expires_at_us, first_delivered_us; /* 0: unknown */
};

/* A key with its texts: for whoever asks. Texts that do not fit (no machine of ours writes such) are "". */
#define TRACKED_TEXT_BYTES 480
struct tracked_room {
	struct tracked_key key;
	char texts[TRACKED_TEXT_BYTES];
};

MUST_USE int tracked_keys_new(struct tracked_keys **ret, struct error *err);
/* NULL is fine. */
void tracked_keys_free(struct tracked_keys *keys);

/* Keeps a ledger to ask; borrowed, it must stay open. */
MUST_USE int tracked_keys_add(struct tracked_keys *keys, struct ledger *ledger, struct error *err);

/* Reads the ids of all keys, once; also into `sieve`, which is made, unless it is NULL. */
MUST_USE int tracked_keys_seal(struct tracked_keys *keys, struct sieve *sieve, struct error *err);

/* How many there are, those that several ledgers know counted several times; is one among them that does not look like
 * one (then every record must be parsed)? */
size_t tracked_keys_count(const struct tracked_keys *keys);
bool tracked_keys_are_odd(const struct tracked_keys *keys);

/* One look into memory: false, and no ledger handed it out. */
bool tracked_keys_may_hold(const struct tracked_keys *keys, const char *id, size_t length);

/* What the first ledger that handed it out knows of it; NULL: none did, or no ledger could be asked, which
 * tracked_keys_check tells. */
const struct tracked_key *tracked_keys_find(struct tracked_keys *keys, const char *id, struct tracked_room *room);

/* -1 once a ledger could not be asked: what was found since may be wrong. */
MUST_USE int tracked_keys_check(struct tracked_keys *keys, struct error *err);

/* Each key once, ledger by ledger, the oldest first. Takes as long as reading all of them. */
typedef int tracked_keys_visit(void *context, const struct tracked_key *key, struct error *err);
MUST_USE int tracked_keys_each(struct tracked_keys *keys, tracked_keys_visit *visit, void *context, struct error *err);

/* Each instance that keys were handed out on, as ledger_lookup_instances: by what is known of such a key. */
MUST_USE int tracked_keys_instances(struct tracked_keys *keys, bool (*is_wanted)(void *context, const char *instance),
                                    tracked_keys_visit *visit, void *context, struct error *err);
