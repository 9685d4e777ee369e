/* SPDX-License-Identifier: Apache-2.0 */

/* 64 bytes at a time: eight words of eight bytes in the portable form, two AVX2 registers or one of AVX-512 where the
 * processor has them; what follows from the bits is the same code, compiled for each. A test holds all of them against
 * a byte-by-byte one. */
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

/* Bit i becomes the parity of the bits up to i. */
typedef uint64_t parity_function(uint64_t bits);

INLINE void understand(const char *bytes, const struct raw *raw, uint64_t valid, struct scan_state *state,
                       struct scan_block *ret, parity_function *parity)
{
	uint64_t quotes = raw->quote & valid;
	ret->may_hide = false;
	if ((raw->backslash & valid) != 0 || state->is_escaped)
		quotes &= ~take_backslashes(bytes, raw->backslash & valid, valid, state, &ret->may_hide);

	/* Inside a string is what stands behind an odd number of quotes. */
	uint64_t strings = parity(quotes) ^ -(uint64_t)state->in_string;
	state->in_string = strings >> (SCAN_BLOCK_BYTES - 1) != 0;

	uint64_t outside = valid & ~strings;
	ret->open = raw->open & outside;
	ret->close = raw->close & outside;
	ret->hint = raw->hint & valid;
	ret->broken = raw->newline & strings & valid;
	ret->line_opens = ret->open & (raw->newline << 1 | state->at_line);
	state->at_line = raw->newline >> (SCAN_BLOCK_BYTES - 1) != 0;
	ret->opens = (uint8_t)__builtin_popcountll(ret->open);
	ret->closes = (uint8_t)__builtin_popcountll(ret->close);
}

/* Do the block's brackets ever leave no more than `floor` open? */
INLINE bool comes_down(const struct scan_block *block, int64_t depth, int64_t floor)
{
	if (depth - block->closes > floor)
		return false;
	for (uint64_t bits = block->open | block->close; bits != 0; bits &= bits - 1) {
		depth += (block->open & bits & -bits) != 0 ? 1 : -1;
		if (depth <= floor)
			return true;
	}
	return false;
}

INLINE bool names_one(const char *bytes, uint64_t hints, const struct sieve *sieve)
{
	for (; hints != 0; hints &= hints - 1)
		if (sieve_may_begin(sieve, bytes + __builtin_ctzll(hints)))
			return true;
	return false;
}

INLINE bool is_of_interest(const char *bytes, const struct scan_block *block, int64_t depth, const struct scan_aim *aim)
{
	return aim->every || (block->broken != 0) | block->may_hide | (aim->lines & (block->line_opens != 0)) ||
	       comes_down(block, depth, aim->floor) ||
	       (aim->sieve != NULL && names_one(bytes, block->hint, aim->sieve));
}

typedef void look_function(const char *at, struct raw *ret);

INLINE size_t scan(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                   struct scan_block *ret, look_function *look, parity_function *parity)
{
	struct scan_state here = *state;
	struct scan_aim wanted = *aim;
	size_t at = 0;
	while (at < length) {
		struct raw raw;
		struct scan_block block;
		size_t left = length - at;
		look(bytes + at, &raw);
		understand(bytes + at, &raw, left < SCAN_BLOCK_BYTES ? (UINT64_C(1) << left) - 1 : UINT64_MAX, &here,
		           &block, parity);
		if (is_of_interest(bytes + at, &block, here.depth, &wanted)) {
			*ret = block;
			break;
		}
		here.depth += block.opens - block.closes;
		at += SCAN_BLOCK_BYTES;
	}
	*state = here;
	return at < length ? at : length;
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
	uint64_t id = (equal(third, 'I') & equal(fourth, 'A')) | (equal(second, 'i') & equal(third, '-'));
	return id | (equal(word, 't') & equal(second, 'N')) | (equal(word, 'k') & equal(second, 'A'));
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

INLINE uint64_t parity_portable(uint64_t bits)
{
	for (unsigned shift = 1; shift < SCAN_BLOCK_BYTES; shift *= 2)
		bits ^= bits << shift;
	return bits;
}

static size_t scan_portable(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                            struct scan_block *ret)
{
	return scan(bytes, length, state, aim, ret, look_portable, parity_portable);
}

/* ---- AVX2, AVX-512 */

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt,bmi,pclmul")))
#define AVX512 __attribute__((target("avx512bw,popcnt,bmi,pclmul")))

/* A product without carries by all ones is the parity of all lower bits. */
AVX2 INLINE uint64_t parity_multiplied(uint64_t bits)
{
	__m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8((char)0xff), 0);
	return (uint64_t)_mm_cvtsi128_si64(product);
}

AVX2 INLINE __m256i load_avx2(const char *at)
{
	return _mm256_loadu_si256((const __m256i_u *)(const void *)at);
}

/* Kept in a register: the compiler would make it anew from a number each time. */
AVX2 INLINE __m256i each_avx2(char byte)
{
	__m256i each = _mm256_set1_epi8(byte);
	__asm__("" : "+x"(each));
	return each;
}

AVX2 INLINE __m256i equal_avx2(__m256i bytes, char byte)
{
	return _mm256_cmpeq_epi8(bytes, each_avx2(byte));
}

AVX2 INLINE uint64_t gather_avx2(__m256i marks)
{
	return (uint32_t)_mm256_movemask_epi8(marks);
}

AVX2 INLINE struct raw look_half(const char *at)
{
	__m256i first = load_avx2(at), second = load_avx2(at + 1), third = load_avx2(at + 2),
		fourth = load_avx2(at + 3);
	__m256i curly = _mm256_or_si256(first, _mm256_set1_epi8(0x20));
	__m256i key = _mm256_and_si256(equal_avx2(third, 'I'), equal_avx2(fourth, 'A'));
	__m256i session = _mm256_and_si256(equal_avx2(second, 'i'), equal_avx2(third, '-'));
	__m256i name = _mm256_and_si256(equal_avx2(first, 't'), equal_avx2(second, 'N'));
	__m256i category = _mm256_and_si256(equal_avx2(first, 'k'), equal_avx2(second, 'A'));
	return (struct raw){
		.quote = gather_avx2(equal_avx2(first, '"')),
		.backslash = gather_avx2(equal_avx2(first, '\\')),
		.open = gather_avx2(equal_avx2(curly, '{')),
		.close = gather_avx2(equal_avx2(curly, '}')),
		.newline = gather_avx2(equal_avx2(first, '\n')),
		.hint = gather_avx2(_mm256_or_si256(_mm256_or_si256(key, session), _mm256_or_si256(name, category))),
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

AVX2 static size_t scan_avx2(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                             struct scan_block *ret)
{
	return scan(bytes, length, state, aim, ret, look_avx2, parity_multiplied);
}

AVX512 INLINE __m512i each_avx512(char byte)
{
	__m512i each = _mm512_set1_epi8(byte);
	__asm__("" : "+v"(each));
	return each;
}

AVX512 INLINE uint64_t equal_avx512(__m512i bytes, char byte)
{
	return _mm512_cmpeq_epi8_mask(bytes, each_avx512(byte));
}

AVX512 INLINE void look_avx512(const char *at, struct raw *ret)
{
	__m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + 1);
	__m512i third = _mm512_loadu_si512(at + 2), fourth = _mm512_loadu_si512(at + 3);
	__m512i curly = _mm512_or_si512(first, _mm512_set1_epi8(0x20));
	*ret = (struct raw){
		.quote = equal_avx512(first, '"'),
		.backslash = equal_avx512(first, '\\'),
		.open = equal_avx512(curly, '{'),
		.close = equal_avx512(curly, '}'),
		.newline = equal_avx512(first, '\n'),
		.hint = (equal_avx512(third, 'I') & equal_avx512(fourth, 'A')) |
	                (equal_avx512(second, 'i') & equal_avx512(third, '-')) |
	                (equal_avx512(first, 't') & equal_avx512(second, 'N')) |
	                (equal_avx512(first, 'k') & equal_avx512(second, 'A')),
	};
}

AVX512 static size_t scan_avx512(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                                 struct scan_block *ret)
{
	return scan(bytes, length, state, aim, ret, look_avx512, parity_multiplied);
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512bw");
}

scan_function *scan_form(size_t i)
{
	switch (i) {
	case 0:
		return scan_portable;
	case 1:
		return has_avx2() ? scan_avx2 : scan_portable;
	case 2:
		return has_avx512() ? scan_avx512 : scan_form(1);
	default:
		return NULL;
	}
}

scan_function *scan_best(void)
{
	return scan_form(2);
}
#else
scan_function *scan_form(size_t i)
{
	return i == 0 ? scan_portable : NULL;
}

scan_function *scan_best(void)
{
	return scan_portable;
}
#endif
