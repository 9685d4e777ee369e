/* SPDX-License-Identifier: Apache-2.0 */

/* 64 bytes at a time: eight words of eight bytes in the portable form, two AVX2 registers where the processor has
 * them; what follows from the bits is the same code, compiled for each. A test holds both against a byte-by-byte one.
 */
#include "detector/scan.h"

#include <ctype.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

struct raw {
	uint64_t quote, backslash, open, close, newline, hint;
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

/* Bits of the bytes that are escaped. `valid`: the bytes of the block that there are. */
static uint64_t take_backslashes(const char *bytes, uint64_t backslashes, uint64_t valid, struct scan_state *state,
                                 bool *may_hide)
{
	uint64_t last = valid ^ valid >> 1;
	uint64_t escaped = state->is_escaped ? 1 : 0;
	for (uint64_t bits = backslashes; bits != 0; bits &= bits - 1) {
		int i = __builtin_ctzll(bits);
		/* Also behind an escaped backslash: the record may be a string of JSON in the record. */
		*may_hide = *may_hide || escape_may_hide(bytes + i);
		if ((escaped >> i & 1) == 0 && i < SCAN_BLOCK_BYTES - 1)
			escaped |= UINT64_C(2) << i;
	}
	state->is_escaped = (backslashes & ~escaped & last) != 0;
	return escaped;
}

INLINE void understand(const char *bytes, const struct raw *raw, uint64_t valid, struct scan_state *state,
                       struct scan_block *ret)
{
	uint64_t quotes = raw->quote & valid;
	ret->may_hide = false;
	if ((raw->backslash & valid) != 0 || state->is_escaped)
		quotes &= ~take_backslashes(bytes, raw->backslash & valid, valid, state, &ret->may_hide);

	/* Bit i becomes the parity of the quotes up to i: is byte i inside a string? */
	for (unsigned shift = 1; shift < SCAN_BLOCK_BYTES; shift *= 2)
		quotes ^= quotes << shift;
	uint64_t strings = quotes ^ -(uint64_t)state->in_string;
	state->in_string = strings >> (SCAN_BLOCK_BYTES - 1) != 0;

	uint64_t outside = valid & ~strings;
	ret->open = raw->open & outside;
	ret->close = raw->close & outside;
	ret->hint = raw->hint & valid;
	ret->broken = raw->newline & strings & valid;
	ret->opens = (uint8_t)__builtin_popcountll(ret->open);
	ret->closes = (uint8_t)__builtin_popcountll(ret->close);
}

typedef void look_function(const char *at, struct raw *ret);

INLINE void scan(const char *bytes, size_t length, struct scan_state *state, struct scan_block *ret,
                 look_function *look)
{
	for (; length > 0; ret++, bytes += SCAN_BLOCK_BYTES) {
		size_t part = length < SCAN_BLOCK_BYTES ? length : SCAN_BLOCK_BYTES;
		struct raw raw;
		look(bytes, &raw);
		uint64_t valid = length < SCAN_BLOCK_BYTES ? (UINT64_C(1) << length) - 1 : UINT64_MAX;
		understand(bytes, &raw, valid, state, ret);
		length -= part;
	}
}

/* ---- portable */

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

INLINE uint64_t find_hints(const char *at, uint64_t word)
{
	uint64_t second = load(at + 1), third = load(at + 2), fourth = load(at + 3);
	uint64_t key = equal(word, 'A') & equal(third, 'I') & equal(fourth, 'A');
	uint64_t session = (equal(word, ':') | equal(word, '/')) & equal(second, 'i') & equal(third, '-');
	uint64_t name = equal(word, 't') & equal(second, 'N') & equal(third, 'a');
	uint64_t network = equal(word, 'k') & equal(second, 'A') & equal(third, 'c');
	return key | session | name | network;
}

INLINE void look_portable(const char *bytes, struct raw *ret)
{
	*ret = (struct raw){0};
	for (unsigned i = 0; i < SCAN_BLOCK_BYTES; i += 8) {
		uint64_t word = load(bytes + i);
		uint64_t curly = word | EACH(0x20); /* [ and ] become { and } */
		ret->quote |= gather(equal(word, '"')) << i;
		ret->backslash |= gather(equal(word, '\\')) << i;
		ret->open |= gather(equal(curly, '{')) << i;
		ret->close |= gather(equal(curly, '}')) << i;
		ret->newline |= gather(equal(word, '\n')) << i;
		ret->hint |= gather(find_hints(bytes + i, word)) << i;
	}
}

void scan_portable(const char *bytes, size_t length, struct scan_state *state, struct scan_block *ret)
{
	scan(bytes, length, state, ret, look_portable);
}

/* ---- AVX2 */

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt,bmi")))

AVX2 INLINE __m256i load_avx2(const char *at)
{
	return _mm256_loadu_si256((const __m256i_u *)(const void *)at);
}

AVX2 INLINE __m256i equal_avx2(__m256i bytes, char byte)
{
	return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte));
}

AVX2 INLINE uint64_t gather_avx2(__m256i marks)
{
	return (uint32_t)_mm256_movemask_epi8(marks);
}

AVX2 INLINE struct raw look_half(const char *at)
{
	__m256i first = load_avx2(at), second = load_avx2(at + 1), third = load_avx2(at + 2);
	__m256i curly = _mm256_or_si256(first, _mm256_set1_epi8(0x20));
	__m256i key = _mm256_and_si256(_mm256_and_si256(equal_avx2(first, 'A'), equal_avx2(third, 'I')),
	                               equal_avx2(load_avx2(at + 3), 'A'));
	__m256i mark = _mm256_or_si256(equal_avx2(first, ':'), equal_avx2(first, '/'));
	__m256i session = _mm256_and_si256(_mm256_and_si256(mark, equal_avx2(third, '-')), equal_avx2(second, 'i'));
	__m256i name = _mm256_and_si256(_mm256_and_si256(equal_avx2(first, 't'), equal_avx2(second, 'N')),
	                                equal_avx2(third, 'a'));
	__m256i network = _mm256_and_si256(_mm256_and_si256(equal_avx2(first, 'k'), equal_avx2(second, 'A')),
	                                   equal_avx2(third, 'c'));
	__m256i hint = _mm256_or_si256(_mm256_or_si256(key, session), _mm256_or_si256(name, network));
	return (struct raw){
		.quote = gather_avx2(equal_avx2(first, '"')),
		.backslash = gather_avx2(equal_avx2(first, '\\')),
		.open = gather_avx2(equal_avx2(curly, '{')),
		.close = gather_avx2(equal_avx2(curly, '}')),
		.newline = gather_avx2(equal_avx2(first, '\n')),
		.hint = gather_avx2(hint),
	};
}

AVX2 INLINE void look_avx2(const char *bytes, struct raw *ret)
{
	struct raw low = look_half(bytes), high = look_half(bytes + SCAN_BLOCK_BYTES / 2);
	*ret = (struct raw){
		.quote = low.quote | high.quote << 32,
		.backslash = low.backslash | high.backslash << 32,
		.open = low.open | high.open << 32,
		.close = low.close | high.close << 32,
		.newline = low.newline | high.newline << 32,
		.hint = low.hint | high.hint << 32,
	};
}

AVX2 static void scan_avx2(const char *bytes, size_t length, struct scan_state *state, struct scan_block *ret)
{
	scan(bytes, length, state, ret, look_avx2);
}

scan_function *scan_best(void)
{
	bool has_all =
		__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi");
	return has_all ? scan_avx2 : scan_portable;
}
#else
scan_function *scan_best(void)
{
	return scan_portable;
}
#endif
