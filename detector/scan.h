/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands where in 64 bytes of JSON, one bit a byte, lowest bit first: what the walk over records decides by. */
struct scan_block {
	uint64_t open, close;  /* { or [, } or ], outside of strings */
	uint64_t hint;         /* where a pair begins that what triage looks for has: IA of a key id, i- of an instance
	                          id, tN of eventName, kA of NetworkActivity; and tA, kN, dN, dA, {N, {A */
	uint64_t broken;       /* line feeds within strings: no JSON from there on */
	uint64_t line_opens;   /* of `open`, those directly behind a line feed */
	uint8_t opens, closes; /* bits set */
	bool may_hide;         /* an escape here may spell out a byte of what `hint` looks for */
};

/* Between blocks. Starts as {0} outside of a string. */
struct scan_state {
	bool in_string;
	bool is_escaped; /* the next byte is, by a backslash before it */
	bool at_line;    /* the next byte is the first of a line */
	int64_t depth;   /* open brackets */
};

/* Which blocks are of interest. All are that are broken or may hide something. */
struct scan_aim {
	bool every;
	int64_t floor; /* those after a bracket of which no more than so many are open; a count, or below 0 none */
	bool lines;    /* those with a line that begins with an opening bracket */
};

#define SCAN_HINTS 32

/* Blocks with hints that were passed over, to be looked at together. */
struct scan_hints {
	uint32_t at[SCAN_HINTS + 4]; /* where the block begins, from the start of the text */
	uint64_t bits[SCAN_HINTS + 4];
	size_t count; /* of blocks; when it has come to SCAN_HINTS the next one is of interest */
};

#define SCAN_BLOCK_BYTES 64
#define SCAN_PADDING 128 /* bytes behind the last that are read too; what they hold does not matter */

/* Passes over blocks of no interest, counting their brackets in state->depth and gathering their hints. Returns how
 * many bytes that were; *ret is the block behind them, if there is one: `state` then stands behind it, but for the
 * depth, which is that before it. At most 4 GiB at a time. */
typedef size_t scan_function(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                             struct scan_hints *hints, struct scan_block *ret);

#define SCAN_MEMBERS 48

/* Where the members of an object end: at a comma, the last at the closing brace. */
struct scan_outline {
	uint32_t end[SCAN_MEMBERS];
	uint32_t quotes[SCAN_MEMBERS]; /* before that, from where the looking began */
	size_t count;
};

/* Of the object that begins with the first byte, and ends within `length`. It is looked at from `at` on: from its
 * beginning, or from the end of one of its members. False: it has more members from there on, or a backslash or a line
 * feed, or is not whole. */
typedef bool scan_outline_function(const char *bytes, size_t at, size_t length, struct scan_outline *ret);

struct scan_form {
	scan_function *pass;
	scan_outline_function *outline;
};

/* The fastest that this processor runs. */
const struct scan_form *scan_best(void);

/* All forms, slowest first; NULL ends them. One that the processor does not run is a slower one instead. For tests. */
const struct scan_form *scan_form(size_t i);
