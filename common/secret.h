/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Bytes that must never reach a log, the ledger or a core dump. Small, in place, wiped by secret_done. */
#define SECRET_MAX_BYTES 4096 /* a session token is below 3 KB; keys are 32 */
#define SECRET_MAC_BYTES 32

struct secret {
	uint8_t bytes[SECRET_MAX_BYTES];
	size_t length;
};

/* A key of 32 bytes. */
#define SECRET_KEY_BYTES 32
struct secret_key {
	uint8_t bytes[SECRET_KEY_BYTES];
};

MUST_USE int secret_set(struct secret *secret, const void *bytes, size_t length, struct error *err);
void secret_done(struct secret *secret);
void secret_key_done(struct secret_key *key);
#define CLEANUP_SECRET CLEANUP(secret_done)
#define CLEANUP_KEY CLEANUP(secret_key_done)

MUST_USE int secret_random(void *bytes, size_t length, struct error *err);

/* HMAC-SHA256 over several pieces, each preceded by its length so that pieces cannot run into one another. */
struct secret_piece {
	const void *bytes;
	size_t length;
};
MUST_USE int secret_mac(const struct secret_key *key, const struct secret_piece *pieces, size_t count,
                        uint8_t ret[static SECRET_MAC_BYTES], struct error *err);

/* HMAC-SHA256 of RFC 2104 over bytes as they are, for protocols of others. `ret` may be the key itself. */
MUST_USE int secret_hmac(const void *key, size_t key_length, const void *bytes, size_t length,
                         uint8_t ret[static SECRET_MAC_BYTES], struct error *err);

/* Takes the same time whatever differs. */
bool secret_equal(const void *a, const void *b, size_t length);

/* Reads the key in `path` (exactly 32 bytes, mode 0600); makes it if the file does not exist. Another size is an
 * error: a cut key file must not silently become a new identity. */
MUST_USE int secret_key_open(const char *path, struct secret_key *ret, struct error *err);
/* The same, but one that does not exist is ERROR_MISSING. */
MUST_USE int secret_key_read(const char *path, struct secret_key *ret, struct error *err);

/* malloc and free for libraries through whose hands secrets go (JSON trees, HTTP buffers): freed memory is wiped. */
void *secret_malloc(size_t size);
void *secret_calloc(size_t count, size_t size);
void *secret_realloc(void *pointer, size_t size);
char *secret_strdup(const char *text);
void secret_free(void *pointer);
