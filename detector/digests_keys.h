/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

/* The public keys with which CloudTrail's digests are signed: from a file, or asked for as they are needed, which is
 * remembered, also what is not to be had. One thread. */
struct digests_keys;
struct aws;

/* `path`: what `aws cloudtrail list-public-keys` printed, or an array of such; NULL: CloudTrail is asked, by `aws`,
 * borrowed. ERROR_USAGE without either. */
MUST_USE int digests_keys_open(const char *path, struct aws *aws, struct digests_keys **ret, struct error *err);
void digests_keys_close(struct digests_keys *keys);

enum digests_signature {
	DIGESTS_SIGNATURE_GOOD,
	DIGESTS_SIGNATURE_BAD,
	DIGESTS_SIGNATURE_NO_KEY, /* signed with a key that is not among CloudTrail's */
};

/* What was signed, and with which key: each region has keys of its own. */
struct digests_signed {
	const char *bytes;
	size_t length;
	const char *fingerprint, *region;
	int64_t end_us; /* of the digest: keys are asked for around this time */
};

/* `signature` in hexadecimal. -1 when CloudTrail could not be asked. */
MUST_USE int digests_keys_verify(struct digests_keys *keys, const struct digests_signed *what, const char *signature,
                                 enum digests_signature *ret, struct error *err);

static inline void cleanup_digests_keys(struct digests_keys **keys)
{
	digests_keys_close(*keys);
}
#define CLEANUP_DIGESTS_KEYS CLEANUP(cleanup_digests_keys)
