/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What stands where in 64 bytes, one bit a byte, lowest bit first: what the walk over records decides by. Neither
 * strings nor escapes are considered here. */
struct scan_block {
	uint64_t quote, backslash, open, close, newline; /* open is { or [, close is } or ] */
	uint64_t hint; /* where an access key id (A?IA) or an instance session (:i- or /i-) may begin */
};

#define SCAN_BLOCK_BYTES 64
#define SCAN_PADDING 4 /* bytes behind the last block that are read too */

/* Fills `count` blocks from count * 64 bytes. */
typedef void scan_function(const char *bytes, size_t count, struct scan_block *ret);

/* The fastest that this processor runs; scan_portable is for all others and for the tests. */
scan_function *scan_best(void);
void scan_portable(const char *bytes, size_t count, struct scan_block *ret);
