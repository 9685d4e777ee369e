/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/buffer.h"
#include "common/json.h"

/* One digest taken apart, and how it follows the one before. Pure: names, hashes and texts in, verdicts out; nothing is
 * believed here, since whether its signature holds is asked elsewhere (digests_keys). Source of the form: "Custom
 * implementations of CloudTrail log file integrity validation" in CloudTrail's user guide. */

struct digests_digest {
	json_t *json; /* owned; what follows is borrowed of it */
	int64_t start_us, end_us;
	const char *fingerprint;                                    /* of the key that signed it */
	const char *before_object, *before_hash, *before_signature; /* what it says of the one before; NULL: nothing */
	struct buffer text;                                         /* owned: what is signed */
};

/* `name`: of the file in which it lies; `hash`: of what is inside, in hexadecimal. ERROR_INPUT when it is no digest, or
 * that of another time or place. */
MUST_USE int digests_digest_read(const struct buffer *inside, const char *name, const char *hash,
                                 struct digests_digest *ret, struct error *err);
void digests_digest_done(struct digests_digest *digest);

/* A log file that it names. Borrowed; NULL where not said. */
struct digests_log {
	const char *object, *hash;
};
/* The index-th of them; false: there are no more. */
bool digests_digest_log(const struct digests_digest *digest, size_t index, struct digests_log *ret);

/* Are both names of files of one chain: the same account, region and trail? */
bool digests_chain_is_same(const char *first, const char *second);

/* The digest before, as it was found. */
struct digests_before {
	const char *name, *hash;
	int64_t end_us;
};

struct digests_step {
	bool is_next;                      /* it is the one that `now` speaks of */
	bool is_changed;                   /* and is not any more what `now` says that it was */
	bool is_stray;                     /* `now` does not follow it, although no time is missing between them */
	int64_t gap_from_us, gap_until_us; /* of which no digest speaks; 0, 0: no such time */
};

/* `before` NULL: `now` is the first of its chain; then a gap begins at `since_us`, unless that is 0: no bound. */
struct digests_step digests_chain_step(const struct digests_before *before, const struct digests_digest *now,
                                       int64_t since_us);
