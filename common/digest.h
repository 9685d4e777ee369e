/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* SHA-256, of data that is no secret. */
#define DIGEST_BYTES 32
#define DIGEST_HEX_BYTES 65 /* and its NUL */

struct digest; /* a digest in the making; one thread at a time */

MUST_USE int digest_of(const void *bytes, size_t length, uint8_t ret[static DIGEST_BYTES], struct error *err);

MUST_USE int digest_new(struct digest **ret, struct error *err);
MUST_USE int digest_add(struct digest *digest, const void *bytes, size_t length, struct error *err);
/* Gives the result and makes the digest ready for new data. */
MUST_USE int digest_take(struct digest *digest, uint8_t ret[static DIGEST_BYTES], struct error *err);
void digest_free(struct digest *digest);

/* Any bytes as lower-case hexadecimal; `to` has room for 2 * length + 1. Returns `to`. */
char *digest_hex(const uint8_t *bytes, size_t length, char *to);

/* RSA public keys, for what others have signed with SHA256withRSA (PKCS #1 v1.5). */
struct digest_key;
/* From the base64 of a DER-encoded RSAPublicKey. */
MUST_USE int digest_key_read(const char *base64, struct digest_key **ret, struct error *err);
void digest_key_free(struct digest_key *key);
bool digest_key_verifies(const struct digest_key *key, const void *bytes, size_t length, const uint8_t *signature,
                         size_t signature_length);

/* A digest from its 64 hexadecimal digits, of either case; false, and *ret as it was, for any other text. */
MUST_USE bool digest_from_hex(const char *hex, uint8_t ret[static DIGEST_BYTES]);
