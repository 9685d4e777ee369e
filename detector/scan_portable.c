/* SPDX-License-Identifier: Apache-2.0 */

/* The scan for any processor: eight words of eight bytes are a block. */
#include <endian.h>

#include "detector/scan_forms.h"
#include "detector/scan_steps.h"

#define EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))
#define LOW_BITS EACH(0x7f)

INLINE uint64_t load(const char *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* 0x80 in each byte of `word` that equals `byte`, 0 in the others: exact, no carries between bytes. */
INLINE uint64_t equal(uint64_t word, char byte)
{
	uint64_t differs = word ^ EACH(byte);
	return ~(((differs & LOW_BITS) + LOW_BITS) | differs | LOW_BITS);
}

/* The 0x80 bits of eight bytes as eight bits. */
INLINE uint64_t gather(uint64_t marks)
{
	return (marks >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

INLINE uint64_t find_hints(uint64_t word, uint64_t next)
{
	uint64_t name = equal(word, 't') | equal(word, 'k') | equal(word, 'd') | equal(word, '{');
	return (equal(word, 'I') & equal(next, 'A')) | (equal(word, 'i') & equal(next, '-')) |
	       (name & (equal(next, 'N') | equal(next, 'A')));
}

INLINE void look_portable(const char *bytes, struct raw *ret)
{
	uint64_t odd = 0;
	*ret = (struct raw){0};
	for (unsigned i = 0; i < SCAN_BLOCK_BYTES; i += 8) {
		uint64_t word = load(bytes + i);
		uint64_t curly = word | EACH(0x20); /* [ and ] become { and } */
		ret->quote |= gather(equal(word, '"')) << i;
		ret->open |= gather(equal(curly, '{')) << i;
		ret->close |= gather(equal(curly, '}')) << i;
		ret->hint |= gather(find_hints(word, load(bytes + i + 1))) << i;
		ret->comma |= gather(equal(word, ',')) << i;
		odd |= equal(word, '\\') | equal(word, '\n');
	}
	ret->has_odd = odd != 0;
}

INLINE uint64_t parity_portable(uint64_t bits)
{
	for (unsigned shift = 1; shift < SCAN_BLOCK_BYTES; shift *= 2)
		bits ^= bits << shift;
	return bits;
}

INLINE bool look_group_portable(const char *at, struct raw ret[static GROUP])
{
	bool has_odd = false;
	UNROLL
	for (size_t i = 0; i < GROUP; i++) {
		look_portable(at + i * SCAN_BLOCK_BYTES, &ret[i]);
		has_odd = has_odd || ret[i].has_odd;
	}
	return has_odd;
}

static void groups(struct pass *pass);
static void search(struct pass *pass, const struct raw raw[static GROUP]);
static void blocks(struct pass *pass);

static const struct steps steps = {
	look_portable, look_group_portable, look_portable, parity_portable, lowest_bound, groups, search, blocks};

static NOINLINE void groups(struct pass *pass)
{
	pass_groups(pass, &steps);
}

static NOINLINE void search(struct pass *pass, const struct raw raw[static GROUP])
{
	search_group(pass, raw);
}

static NOINLINE void blocks(struct pass *pass)
{
	pass_blocks(pass, &steps);
}

static size_t pass(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                   struct scan_hints *hints, struct scan_block *ret)
{
	return scan(bytes, length, state, aim, hints, ret, &steps);
}

static bool find_outline(const char *bytes, size_t at, size_t length, struct scan_outline *ret)
{
	return outline(bytes, at, length, ret, &steps);
}

const struct scan_form scan_portable = {pass, find_outline};
