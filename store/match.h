/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/ledger.h"

/* Which keys of the ledger does a leaked credential belong to? Compared by fingerprints in constant time; what leaked
 * is never stored. */

enum match_how {
	MATCH_NONE,
	MATCH_KEY_ID,           /* the key id alone: secret and token were not given, or are not what was handed out */
	MATCH_TOKEN,            /* only the token */
	MATCH_SECRET,           /* only the secret */
	MATCH_SECRET_AND_TOKEN, /* both, under another key id or none */
	MATCH_ALL,              /* key id, secret and token together */
	MATCH_COUNT,
};
extern const char *const match_names[MATCH_COUNT]; /* "none", "key-id", "token", "secret", "secret+token", "all" */

struct match_wanted {
	const char *access_key_id; /* "": not known */
	bool has_secret, has_token;
	const struct fingerprint *fingerprints; /* under each key there is, in the order of match_order */
	size_t count;
};

/* For qsort: by the keys that fingerprints were made with. */
int match_order(const void *a, const void *b);

typedef int match_visit(void *context, const char *access_key_id, enum match_how how, struct error *err);

/* Each key of the ledger that matches in any way, in the order of their ids. *ret_unknown: how many keys of the ledger
 * have fingerprints under a key that is not among `fingerprints`, and could not be compared. */
MUST_USE int ledger_match(struct ledger *ledger, const struct match_wanted *wanted, match_visit *visit, void *context,
                          int64_t *ret_unknown, struct error *err);
