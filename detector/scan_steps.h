/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "detector/scan.h"

/* From the bits of single bytes to strings, brackets and blocks of interest: the same steps for every processor.
 * Included by the forms alone, so that each compiles them with its own instructions. */

#define INLINE static inline __attribute__((always_inline))

#define NOINLINE __attribute__((noinline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

#define GROUP 4 /* blocks that are looked at together */
#define SEARCH (INT64_MIN / 2)
#define GROUP_BYTES ((size_t)GROUP * SCAN_BLOCK_BYTES)

/* Where each of the bytes stands that the scan looks for. */
struct raw {
	uint64_t quote, open, close, comma, hint; /* comma: of scan_outline only, hint: of scan_function only */
	bool has_odd;                             /* there may be backslashes or line feeds: look_odd */
};

struct pass;

/* What a form does its own way. */
struct steps {
	void (*look)(const char *at, struct raw *ret);
	/* At a whole group, but for has_odd: true if any block has, or is to be looked at one by one for another
	 * reason. */
	bool (*look_group)(const char *at, struct raw ret[static GROUP]);
	void (*look_outline)(const char *at, struct raw *ret);
	/* Bit i becomes the parity of the bits up to i. */
	uint64_t (*parity)(uint64_t bits);
	/* Of the brackets of a group: how far down from where they began do they come (a number of at most 0, and never
	 * more than that), and where do they end? SEARCH, and nothing else, if that is for others to tell. */
	int64_t (*lowest)(const struct raw raw[static GROUP], int64_t *ret_rise);
	/* pass_groups and pass_blocks, each a function of its own: registers are few. */
	void (*groups)(struct pass *pass);
	void (*search)(struct pass *pass, const struct raw raw[static GROUP]);
	void (*blocks)(struct pass *pass);
};

/* ---- from bytes to strings and brackets */

/* That of `<`, as some services write it, cannot. */
static bool escape_may_hide(const char *at)
{
	if (at[1] != 'u' || at[2] != '0' || at[3] != '0')
		return false;
	const char hex[3] = {at[4], at[5], '\0'};
	char *end;
	long code = strtol(hex, &end, 16);
	return *end == '\0' && code > 0 && (isalnum((int)code) || strchr("-:/_", (int)code) != NULL);
}

/* Backslashes and line feeds, which most blocks have none of. */
struct odd {
	uint64_t backslash, newline;
};

static struct odd look_odd(const char *bytes)
{
	struct odd odd = {0};
	for (unsigned i = 0; i < SCAN_BLOCK_BYTES; i++) {
		odd.backslash |= (uint64_t)(bytes[i] == '\\') << i;
		odd.newline |= (uint64_t)(bytes[i] == '\n') << i;
	}
	return odd;
}

struct escapes {
	uint64_t escaped; /* bits of the bytes that are */
	uint64_t carry;   /* 1: the next byte is, too */
	bool may_hide;
};

/* `valid`: the bytes of the block that there are. */
static struct escapes take_backslashes(const char *bytes, uint64_t backslashes, uint64_t valid, uint64_t carry)
{
	struct escapes escapes = {.escaped = carry};
	for (uint64_t bits = backslashes; bits != 0; bits &= bits - 1) {
		int i = __builtin_ctzll(bits);
		/* Also behind an escaped backslash: the record may be a string of JSON in the record. */
		escapes.may_hide = escapes.may_hide || escape_may_hide(bytes + i);
		if ((escapes.escaped >> i & 1) == 0 && i < SCAN_BLOCK_BYTES - 1)
			escapes.escaped |= UINT64_C(2) << i;
	}
	escapes.carry = (backslashes & ~escapes.escaped & (valid ^ valid >> 1)) != 0;
	return escapes;
}

/* struct scan_state while the scan runs: all bits or none, so that no step has to branch. */
struct flow {
	uint64_t in_string, escaped, at_line;
};

/* What stands behind an odd number of quotes. */
INLINE uint64_t find_strings(const char *bytes, const struct raw *raw, uint64_t backslashes, uint64_t valid,
                             struct flow *flow, bool *ret_may_hide, const struct steps *steps)
{
	uint64_t quotes = raw->quote & valid;
	*ret_may_hide = false;
	if (((backslashes & valid) | flow->escaped) != 0) {
		struct escapes escapes = take_backslashes(bytes, backslashes & valid, valid, flow->escaped);
		*ret_may_hide = escapes.may_hide;
		flow->escaped = escapes.carry;
		quotes &= ~escapes.escaped;
	}
	uint64_t strings = steps->parity(quotes) ^ flow->in_string;
	flow->in_string = -(strings >> (SCAN_BLOCK_BYTES - 1));
	return strings;
}

INLINE struct scan_block understand(const char *bytes, const struct raw *raw, uint64_t valid, struct flow *flow,
                                    const struct steps *steps)
{
	struct scan_block block = {.hint = raw->hint & valid};
	struct odd odd = {0};
	if (raw->has_odd)
		odd = look_odd(bytes);
	uint64_t strings = find_strings(bytes, raw, odd.backslash, valid, flow, &block.may_hide, steps);
	block.open = raw->open & ~strings & valid;
	block.close = raw->close & ~strings & valid;
	block.broken = odd.newline & strings & valid;
	block.line_opens = block.open & (odd.newline << 1 | flow->at_line);
	flow->at_line = (odd.newline & (valid ^ valid >> 1)) != 0;
	block.opens = (uint8_t)__builtin_popcountll(block.open);
	block.closes = (uint8_t)__builtin_popcountll(block.close);
	return block;
}

/* Do the block's brackets ever leave no more than `floor` open? */
INLINE bool comes_down(const struct scan_block *block, int64_t depth, int64_t floor)
{
	for (uint64_t bits = block->open | block->close; bits != 0; bits &= bits - 1) {
		depth += (block->open & bits & -bits) != 0 ? 1 : -1;
		if (depth <= floor)
			return true;
	}
	return false;
}

/* As if all closing brackets of a group came first. */
INLINE int64_t lowest_bound(const struct raw raw[static GROUP], int64_t *ret_rise)
{
	int64_t opens = 0, closes = 0;
	UNROLL
	for (size_t i = 0; i < GROUP; i++) {
		opens += __builtin_popcountll(raw[i].open);
		closes += __builtin_popcountll(raw[i].close);
	}
	*ret_rise = opens - closes;
	return -closes;
}

/* Without a branch, which could not be foretold. */
INLINE void note_hints(uint64_t hints, size_t at, struct scan_hints *to)
{
	to->at[to->count] = (uint32_t)at;
	to->bits[to->count] = hints;
	to->count += hints != 0;
}

/* One call of the scan. */
struct pass {
	const char *bytes;
	size_t length, at;
	struct flow flow;
	int64_t depth;
	const struct scan_aim *aim;
	struct scan_hints *hints;
	struct scan_block *ret;
	bool is_found; /* *ret is, at `at` */
};

/* Looks at a group's blocks, if at least one may be of interest by its brackets, or since there are many hints. */
INLINE void search_group(struct pass *pass, const struct raw raw[static GROUP])
{
	for (size_t i = 0; i < GROUP; i++, pass->at += SCAN_BLOCK_BYTES) {
		struct scan_block block = {
			.open = raw[i].open,
			.close = raw[i].close,
			.hint = raw[i].hint,
			.opens = (uint8_t)__builtin_popcountll(raw[i].open),
			.closes = (uint8_t)__builtin_popcountll(raw[i].close),
		};
		bool is_low = pass->depth - block.closes <= pass->aim->floor;
		pass->is_found = pass->hints->count >= SCAN_HINTS ||
		                 (is_low && comes_down(&block, pass->depth, pass->aim->floor));
		pass->flow.in_string = raw[i].quote;
		if (pass->is_found) {
			*pass->ret = block;
			return;
		}
		note_hints(block.hint, pass->at, pass->hints);
		pass->depth += block.opens - block.closes;
	}
}

/* Leaves in each block only the brackets outside of strings, and as `quote` whether the block behind begins in one. */
INLINE uint64_t take_strings(struct raw raw[static GROUP], uint64_t in_string, const struct steps *steps)
{
	UNROLL
	for (size_t i = 0; i < GROUP; i++) {
		uint64_t strings = steps->parity(raw[i].quote) ^ in_string;
		in_string = -(strings >> (SCAN_BLOCK_BYTES - 1));
		raw[i].open &= ~strings;
		raw[i].close &= ~strings;
		raw[i].quote = in_string;
	}
	return in_string;
}

/* Passes over whole groups without backslashes and line feeds, where only brackets and the number of hints can be of
 * interest, up to the first other one or to a block of interest. What changes is kept out of memory. */
INLINE void pass_groups(struct pass *pass, const struct steps *steps)
{
	const char *const bytes = pass->bytes;
	const int64_t floor = pass->aim->floor;
	const size_t last = pass->length - GROUP_BYTES;
	struct scan_hints *const hints = pass->hints;
	size_t at = pass->at, count = hints->count;
	uint64_t in_string = pass->flow.in_string;
	int64_t depth = pass->depth;
	while (at <= last) {
		struct raw raw[GROUP];
		int64_t rise;
		if (steps->look_group(bytes + at, raw))
			break;
		uint64_t behind = take_strings(raw, in_string, steps);
		if (depth + steps->lowest(raw, &rise) <= floor || count > SCAN_HINTS - GROUP) {
			hints->count = count;
			pass->at = at;
			pass->depth = depth;
			struct raw kept[GROUP];
			UNROLL
			for (size_t i = 0; i < GROUP; i++)
				kept[i] = raw[i];
			steps->search(pass, kept);
			if (pass->is_found)
				return;
			at = pass->at;
			count = hints->count;
			in_string = pass->flow.in_string;
			depth = pass->depth;
			continue;
		}
		UNROLL
		for (size_t i = 0; i < GROUP; i++) {
			hints->at[count] = (uint32_t)(at + i * SCAN_BLOCK_BYTES);
			hints->bits[count] = raw[i].hint;
			count += raw[i].hint != 0;
		}
		in_string = behind;
		depth += rise;
		at += GROUP_BYTES;
	}
	hints->count = count;
	pass->at = at;
	pass->flow.in_string = in_string;
	pass->depth = depth;
}

/* The same block by block, whatever they hold, for about one group. */
INLINE void pass_blocks(struct pass *pass, const struct steps *steps)
{
	const uint64_t every = pass->aim->every ? 1 : 0, lines = pass->aim->lines ? UINT64_MAX : 0;
	const int64_t floor = pass->aim->floor;
	for (size_t i = 0; i < GROUP && pass->at < pass->length; i++, pass->at += SCAN_BLOCK_BYTES) {
		const char *bytes = pass->bytes + pass->at;
		size_t left = pass->length - pass->at;
		struct raw raw;
		steps->look(bytes, &raw);
		struct scan_block block =
			understand(bytes, &raw, left < SCAN_BLOCK_BYTES ? (UINT64_C(1) << left) - 1 : UINT64_MAX,
		                   &pass->flow, steps);
		uint64_t odd = every | block.broken | (block.line_opens & lines) | block.may_hide;
		if (odd != 0 || (pass->depth - block.closes <= floor && comes_down(&block, pass->depth, floor)) ||
		    pass->hints->count >= SCAN_HINTS) {
			*pass->ret = block;
			pass->is_found = true;
			return;
		}
		note_hints(block.hint, pass->at, pass->hints);
		pass->depth += block.opens - block.closes;
	}
}

INLINE size_t scan(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                   struct scan_hints *hints, struct scan_block *ret, const struct steps *steps)
{
	struct pass pass = {
		.bytes = bytes,
		.length = length,
		.flow = {state->in_string ? UINT64_MAX : 0, state->is_escaped, state->at_line},
		.depth = state->depth,
		.aim = aim,
		.hints = hints,
		.ret = ret,
	};
	while (pass.at < length && !pass.is_found) {
		if (!aim->every && length - pass.at >= GROUP_BYTES && (pass.flow.escaped | pass.flow.at_line) == 0)
			steps->groups(&pass);
		if (!pass.is_found)
			steps->blocks(&pass);
	}
	*state = (struct scan_state){pass.flow.in_string != 0, pass.flow.escaped != 0, pass.flow.at_line != 0,
	                             pass.depth};
	return pass.at < length ? pass.at : length;
}

/* ---- the outline of one object */

/* The commas among these bits become ends of members. `counted`: quotes before the block. */
INLINE bool note_commas(uint64_t commas, const struct raw *raw, size_t at, uint32_t counted, struct scan_outline *to)
{
	for (; commas != 0; commas &= commas - 1) {
		if (to->count == SCAN_MEMBERS - 1)
			return false;
		to->quotes[to->count] = counted + (uint32_t)__builtin_popcountll(raw->quote & ((commas & -commas) - 1));
		to->end[to->count++] = (uint32_t)at + (uint32_t)__builtin_ctzll(commas);
	}
	return true;
}

/* Of a block's bytes those that there are, up to the first that is odd. */
INLINE uint64_t plain_bytes(const char *at, size_t left, bool has_odd)
{
	uint64_t valid = left < SCAN_BLOCK_BYTES ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
	if (!has_odd)
		return valid;
	struct odd odd = look_odd(at);
	uint64_t bits = odd.backslash | odd.newline;
	return bits != 0 ? valid & ((bits & -bits) - 1) : valid;
}

/* Begins where a line of the cache does, if something stands before `from`. What is odd beyond the object's end does
 * not matter. */
INLINE bool outline(const char *bytes, size_t from, size_t length, struct scan_outline *ret, const struct steps *steps)
{
	size_t before = from >= SCAN_BLOCK_BYTES ? (uintptr_t)(bytes + from) % SCAN_BLOCK_BYTES : 0;
	uint64_t skipped = (UINT64_C(1) << before) - 1, in_string = 0;
	uint32_t quotes = 0;
	int64_t depth = from > 0 ? 1 : 0;
	ret->count = 0;
	for (size_t at = from - before; at < length; at += SCAN_BLOCK_BYTES, skipped = 0) {
		struct raw raw;
		steps->look_outline(bytes + at, &raw);
		uint64_t valid = plain_bytes(bytes + at, length - at, raw.has_odd);
		raw.quote &= valid & ~skipped;
		uint64_t strings = steps->parity(raw.quote) ^ in_string, rest = ~strings & valid & ~skipped;
		in_string = -(strings >> (SCAN_BLOCK_BYTES - 1));
		for (uint64_t bits = (raw.open | raw.close) & rest; bits != 0; bits &= bits - 1) {
			uint64_t bit = bits & -bits, up_to = bit | (bit - 1);
			if (depth == 1 && !note_commas(raw.comma & rest & up_to, &raw, at, quotes, ret))
				return false;
			depth += (raw.open & bit) != 0 ? 1 : -1;
			if (depth == 0)
				return note_commas(bit, &raw, at, quotes, ret);
			rest &= ~up_to;
		}
		if (valid != UINT64_MAX || (depth == 1 && !note_commas(raw.comma & rest, &raw, at, quotes, ret)))
			return false;
		quotes += (uint32_t)__builtin_popcountll(raw.quote);
	}
	return false;
}
