/* SPDX-License-Identifier: Apache-2.0 */

/* The scan with AVX-512, as processors have it that can look up 64 bytes in a table of 128 (VBMI): one register is a
 * block. */
#include "detector/scan_forms.h"
#include "detector/scan_steps.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512bw,avx512vbmi,popcnt,bmi,bmi2,pclmul")))

/* What a byte is, by its lower seven bits: who uses these must look at the highest. The pairs that hints begin with are
 * those of the table for AVX2. */
enum class_bit {
	ODD = 0x08,
	KEY = 0x04,
	SESSION = 0x02,
	NAME = 0x01,
};

static const uint8_t first_class[128] = {
	['\\'] = ODD, ['\n'] = ODD, ['I'] = KEY,  ['i'] = SESSION,
	['t'] = NAME, ['k'] = NAME, ['d'] = NAME, ['{'] = NAME,
};
static const uint8_t second_class[128] = {['A'] = KEY | NAME, ['N'] = NAME, ['-'] = SESSION};

AVX512 INLINE __m512i load(const char *at)
{
	return _mm512_loadu_si512(at);
}

AVX512 INLINE __m512i classes_of(__m512i bytes, const uint8_t table[static 128])
{
	return _mm512_permutex2var_epi8(_mm512_loadu_si512(table), bytes, _mm512_loadu_si512(table + 64));
}

AVX512 INLINE uint64_t equal_to(__m512i bytes, char wanted)
{
	return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(wanted));
}

AVX512 INLINE void look_structure(__m512i bytes, struct raw *ret)
{
	__m512i curly = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20)); /* [ and ] become { and } */
	ret->quote = equal_to(bytes, '"');
	ret->open = equal_to(curly, '{');
	ret->close = equal_to(curly, '}');
}

/* A product without carries by all ones is the parity of all lower bits. */
AVX512 INLINE uint64_t parity_avx512(uint64_t bits)
{
	__m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8((char)0xff), 0);
	return (uint64_t)_mm_cvtsi128_si64(product);
}

AVX512 INLINE void look_avx512(const char *at, struct raw *ret)
{
	__m512i bytes = load(at), next = load(at + 1);
	__mmask64 ascii = _mm512_testn_epi8_mask(_mm512_or_si512(bytes, next), _mm512_set1_epi8((char)0x80));
	*ret = (struct raw){0};
	look_structure(bytes, ret);
	ret->hint = _mm512_mask_test_epi8_mask(ascii, classes_of(bytes, first_class), classes_of(next, second_class));
	ret->has_odd = (equal_to(bytes, '\\') | equal_to(bytes, '\n')) != 0;
}

/* Bytes beyond ASCII are odd, too: what is seldom need not be fast. */
AVX512 INLINE bool look_group_avx512(const char *at, struct raw ret[static GROUP])
{
	__m512i all_classes = _mm512_setzero_si512(), all_bytes = _mm512_setzero_si512();
	UNROLL
	for (size_t i = 0; i < GROUP; i++) {
		__m512i bytes = load(at + i * SCAN_BLOCK_BYTES), next = load(at + i * SCAN_BLOCK_BYTES + 1);
		__m512i classes = classes_of(bytes, first_class);
		look_structure(bytes, &ret[i]);
		ret[i].hint = _mm512_test_epi8_mask(classes, classes_of(next, second_class));
		all_classes = _mm512_or_si512(all_classes, classes);
		all_bytes = _mm512_ternarylogic_epi64(all_bytes, bytes, next, 0xfe); /* any of the three */
	}
	return (_mm512_test_epi8_mask(all_classes, _mm512_set1_epi8(ODD)) | _mm512_movepi8_mask(all_bytes)) != 0;
}

AVX512 INLINE void look_outline_avx512(const char *at, struct raw *ret)
{
	__m512i bytes = load(at);
	*ret = (struct raw){0};
	look_structure(bytes, ret);
	ret->comma = equal_to(bytes, ',');
	ret->has_odd = (equal_to(bytes, '\\') | equal_to(bytes, '\n')) != 0;
}

/* Of eight brackets, a bit each, the first one lowest, closing ones 1: how far down do they come? */
/* clang-format off */
static const uint8_t eight_down[256] = {
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 0, 2, 0, 2, 2, 4,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 1, 3, 1, 3, 3, 5,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 0, 2, 0, 2, 2, 4,
	0, 1, 0, 2, 0, 2, 2, 4, 0, 2, 2, 4, 2, 4, 4, 6,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 0, 2, 0, 2, 2, 4,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 1, 3, 1, 3, 3, 5,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 1, 3, 1, 3, 3, 5,
	0, 1, 1, 3, 1, 3, 3, 5, 1, 3, 3, 5, 3, 5, 5, 7,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 0, 2, 0, 2, 2, 4,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 1, 3, 1, 3, 3, 5,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 0, 2, 0, 2, 2, 4,
	0, 1, 0, 2, 0, 2, 2, 4, 0, 2, 2, 4, 2, 4, 4, 6,
	0, 1, 0, 2, 0, 1, 1, 3, 0, 1, 0, 2, 0, 2, 2, 4,
	0, 1, 0, 2, 0, 2, 2, 4, 0, 2, 2, 4, 2, 4, 4, 6,
	0, 1, 0, 2, 0, 2, 2, 4, 0, 2, 2, 4, 2, 4, 4, 6,
	0, 2, 2, 4, 2, 4, 4, 6, 2, 4, 4, 6, 4, 6, 6, 8,
};
/* clang-format on */

/* Exactly, if there are not too many to ask at once: they stand one after the other in `order`, and opening ones seem
 * to follow, which come down nowhere. */
AVX512 INLINE int64_t lowest_avx512(const struct raw raw[static GROUP], int64_t *ret_rise)
{
	uint64_t order = 0, count = 0;
	UNROLL
	for (size_t i = 0; i < GROUP; i++) {
		uint64_t brackets = raw[i].open | raw[i].close;
		order |= _pext_u64(raw[i].close, brackets) << count % 64;
		count += (uint64_t)__builtin_popcountll(brackets);
	}
	*ret_rise = (int64_t)count - 2 * __builtin_popcountll(order);
	int64_t first = -eight_down[order % 256];
	int64_t second = 8 - 2 * __builtin_popcountll(order % 256) - eight_down[order / 256 % 256];
	return count > 16 ? SEARCH : second < first ? second : first;
}

AVX512 static void groups(struct pass *pass);
AVX512 static void search(struct pass *pass, const struct raw raw[static GROUP]);
AVX512 static void blocks(struct pass *pass);

static const struct steps steps = {
	look_avx512, look_group_avx512, look_outline_avx512, parity_avx512, lowest_avx512, groups, search, blocks};

AVX512 static NOINLINE void groups(struct pass *pass)
{
	pass_groups(pass, &steps);
}

AVX512 static NOINLINE void search(struct pass *pass, const struct raw raw[static GROUP])
{
	search_group(pass, raw);
}

AVX512 static NOINLINE void blocks(struct pass *pass)
{
	pass_blocks(pass, &steps);
}

AVX512 static size_t pass(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                          struct scan_hints *hints, struct scan_block *ret)
{
	return scan(bytes, length, state, aim, hints, ret, &steps);
}

AVX512 static bool find_outline(const char *bytes, size_t at, size_t length, struct scan_outline *ret)
{
	return outline(bytes, at, length, ret, &steps);
}

const struct scan_form scan_avx512 = {pass, find_outline};
#endif
