/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/inflate.h"

/* What a handle of inflate.h holds: a space for what is packed and one for what is not, and its part of the budget. */
struct inflate_memory {
	struct inflate_space packed, space;
	struct inflate_budget *budget, own;
	size_t keep;
	size_t taken;    /* out of the budget: what both spaces have above the least, and */
	size_t reserved; /* what they may still grow by */
};

#define INFLATE_PIECE_BYTES ((size_t)256 << 10) /* read before it is known what the file is */

/* `budget` NULL: one of its own. False without memory; inflate_memory_done is due all the same. */
MUST_USE bool inflate_memory_init(struct inflate_memory *memory, struct inflate_budget *budget, size_t keep);
void inflate_memory_done(struct inflate_memory *memory);

/* Takes so much in advance, if it may be had; waits for it unless more is held than may be kept. */
void inflate_memory_reserve(struct inflate_memory *memory, size_t bytes);

/* Both spaces to what every file needs, and nothing reserved; false without memory. What they held is gone. */
MUST_USE bool inflate_memory_shrink(struct inflate_memory *memory);

/* Behind a file: as much as may be kept stays. False without memory. */
MUST_USE bool inflate_memory_settle(struct inflate_memory *memory);
