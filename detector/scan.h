/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands where in 64 bytes of JSON, one bit a byte, lowest bit first: what the walk over records decides by. */
struct scan_block {
	uint64_t open, close;  /* { or [, } or ], outside of strings */
	uint64_t hint;         /* where an access key id (A?IA), an instance session (:i- or /i-), the tail of eventName
	                          (tNa) or of NetworkActivity (kAc) may begin */
	uint64_t broken;       /* line feeds within strings: no JSON from there on */
	uint8_t opens, closes; /* bits set */
	bool may_hide;         /* an escape here may spell out a byte of what `hint` looks for */
};

/* Between blocks. Starts as {0} outside of a string. */
struct scan_state {
	bool in_string;
	bool is_escaped; /* the next byte is, by a backslash before it */
};

#define SCAN_BLOCK_BYTES 64
#define SCAN_PADDING 128 /* bytes behind the last that are read too; what they hold does not matter */

/* Fills one block for each 64 bytes begun. */
typedef void scan_function(const char *bytes, size_t length, struct scan_state *state, struct scan_block *ret);

/* The fastest that this processor runs; scan_portable is for all others and for the tests. */
scan_function *scan_best(void);
void scan_portable(const char *bytes, size_t length, struct scan_state *state, struct scan_block *ret);
