/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"
#include "proxy/token.h"

/* The keys of the tokens, in the state folder: `token.key` (32 bytes) makes and checks them; `token.key.previous`,
 * where there is one, still checks those that were made before the key was changed, until the last of these has ended.
 * It holds 32 bytes and a line "BOOT-ID SECONDS": in which boot, and up to which second of it, its tokens may end. Both
 * files 0600. Safe from any thread. */
struct keyring;

#define KEYRING_NOW "token.key"
#define KEYRING_PREVIOUS "token.key.previous"

/* `boot_id`: of the present boot; a previous key of another boot is no key. Makes token.key if there is none. */
MUST_USE int keyring_read(const char *folder, const char *boot_id, struct token_keys *ret, struct error *err);

MUST_USE int keyring_new(const struct token_keys *keys, struct keyring **ret, struct error *err);
void keyring_free(struct keyring *keyring);

/* Others from now on. */
void keyring_replace(struct keyring *keyring, const struct token_keys *keys);

/* A copy, to be wiped with token_keys_done. */
struct token_keys keyring_keys(struct keyring *keyring);

/* A new token.key; the present one becomes the previous one, and the one before is forgotten. Whole or not at all,
 * whatever interrupts it. There must be one (the daemon makes it when it first starts). Files get the owner of the
 * folder. A running daemon reads them on its next reload. */
MUST_USE int keyring_rotate(const char *folder, const char *boot_id, int64_t now_seconds, struct error *err);
