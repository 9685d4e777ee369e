/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"

/* The keys of fingerprints: one is in use, `host.key` of the state folder, and those before it are kept beside it,
 * since fingerprints that were made with them can be compared with nothing else. */

#define HOST_KEY "host.key"
#define HOST_KEY_KEPT "host.key.kept-" /* and a time */

struct host_keys {
	struct secret_key *keys; /* owned; wiped by host_keys_done */
	size_t count;
};
void host_keys_done(struct host_keys *keys);
#define CLEANUP_HOST_KEYS CLEANUP(host_keys_done)

/* The key of that file; or, of a folder, of each file in it that is as long as a key. ERROR_MISSING, ERROR_INPUT. */
MUST_USE int host_keys_add(struct host_keys *keys, const char *path, struct error *err);

/* Of a state folder: the one in use, and those kept. None that can be read is no error. */
MUST_USE int host_keys_add_state(struct host_keys *keys, const char *folder, struct error *err);

/* Makes a new host.key, and keeps the one before. After a crash in between, the one before is in use, and kept too. */
MUST_USE int host_keys_rotate(const char *folder, int64_t now_us, struct error *err);
