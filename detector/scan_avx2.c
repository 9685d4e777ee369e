/* SPDX-License-Identifier: Apache-2.0 */

/* The scan with AVX2: two registers are a block. */
#include "detector/scan_forms.h"
#include "detector/scan_steps.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Each byte is looked up in two tables, by its lower and by its upper half: a bit that both give is a class that it
 * belongs to. Bytes beyond ASCII belong to none. The pairs that hints begin with: I and A, i and -, one of t, k (and d,
 * {, whose halves are the same) and N or A; their second bytes have tables of their own. */
enum class_bit {
	QUOTE = 0x80,
	OPEN = 0x40,
	CLOSE = 0x20,
	BACKSLASH = 0x10,
	NEWLINE = 0x08,
	KEY = 0x04,
	SESSION = 0x02,
	NAME = 0x01,
};

static const uint8_t first_low[16] = {
	[0x2] = QUOTE,       [0x4] = NAME,      [0x9] = KEY | SESSION, [0xa] = NEWLINE,
	[0xb] = OPEN | NAME, [0xc] = BACKSLASH, [0xd] = CLOSE,
};
static const uint8_t first_high[16] = {
	[0x0] = NEWLINE,
	[0x2] = QUOTE,
	[0x4] = KEY,
	[0x5] = OPEN | CLOSE | BACKSLASH,
	[0x6] = SESSION | NAME,
	[0x7] = OPEN | CLOSE | NAME,
};
static const uint8_t second_low[16] = {[0x1] = KEY | NAME, [0xd] = SESSION, [0xe] = NAME};
static const uint8_t second_high[16] = {[0x2] = SESSION, [0x4] = KEY | NAME};

#define AVX2 __attribute__((target("avx2,popcnt,bmi,pclmul")))

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

AVX2 INLINE uint64_t gather_avx2(__m256i marks)
{
	return (uint32_t)_mm256_movemask_epi8(marks);
}

AVX2 INLINE __m256i table_avx2(const uint8_t table[static 16])
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i_u *)(const void *)table));
}

AVX2 INLINE __m256i classes_avx2(const char *at, const uint8_t *low, const uint8_t *high)
{
	__m256i bytes = load_avx2(at);
	__m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
	return _mm256_and_si256(_mm256_shuffle_epi8(table_avx2(low), bytes),
	                        _mm256_shuffle_epi8(table_avx2(high), upper));
}

AVX2 INLINE struct raw look_half(const char *at)
{
	__m256i first = classes_avx2(at, first_low, first_high);
	__m256i pair = _mm256_and_si256(first, classes_avx2(at + 1, second_low, second_high));
	return (struct raw){
		.quote = gather_avx2(first),
		.open = gather_avx2(_mm256_slli_epi16(first, 1)),
		.close = gather_avx2(_mm256_slli_epi16(first, 2)),
		.hint = (uint32_t)~gather_avx2(_mm256_cmpeq_epi8(pair, _mm256_setzero_si256())),
		.comma = 0,
		.has_odd = _mm256_testz_si256(first, _mm256_set1_epi8(BACKSLASH | NEWLINE)) == 0,
	};
}

AVX2 INLINE struct raw join(struct raw low, struct raw high)
{
	return (struct raw){
		.quote = low.quote | high.quote << 32,
		.open = low.open | high.open << 32,
		.close = low.close | high.close << 32,
		.comma = low.comma | high.comma << 32,
		.hint = low.hint | high.hint << 32,
		.has_odd = low.has_odd | high.has_odd,
	};
}

AVX2 INLINE void look_avx2(const char *at, struct raw *ret)
{
	*ret = join(look_half(at), look_half(at + SCAN_BLOCK_BYTES / 2));
}

AVX2 INLINE struct raw look_outline_half(const char *at)
{
	__m256i first = classes_avx2(at, first_low, first_high);
	return (struct raw){
		.quote = gather_avx2(first),
		.open = gather_avx2(_mm256_slli_epi16(first, 1)),
		.close = gather_avx2(_mm256_slli_epi16(first, 2)),
		.comma = gather_avx2(_mm256_cmpeq_epi8(load_avx2(at), _mm256_set1_epi8(','))),
		.has_odd = _mm256_testz_si256(first, _mm256_set1_epi8(BACKSLASH | NEWLINE)) == 0,
	};
}

AVX2 INLINE void look_outline_avx2(const char *at, struct raw *ret)
{
	*ret = join(look_outline_half(at), look_outline_half(at + SCAN_BLOCK_BYTES / 2));
}

AVX2 INLINE bool look_group_avx2(const char *at, struct raw ret[static GROUP])
{
	bool has_odd = false;
	UNROLL
	for (size_t i = 0; i < GROUP; i++) {
		look_avx2(at + i * SCAN_BLOCK_BYTES, &ret[i]);
		has_odd |= ret[i].has_odd;
	}
	return has_odd;
}

AVX2 static void groups(struct pass *pass);
AVX2 static void search(struct pass *pass, const struct raw raw[static GROUP]);
AVX2 static void blocks(struct pass *pass);

static const struct steps steps = {
	look_avx2, look_group_avx2, look_outline_avx2, parity_multiplied, lowest_bound, groups, search, blocks};

AVX2 static NOINLINE void groups(struct pass *pass)
{
	pass_groups(pass, &steps);
}

AVX2 static NOINLINE void search(struct pass *pass, const struct raw raw[static GROUP])
{
	search_group(pass, raw);
}

AVX2 static NOINLINE void blocks(struct pass *pass)
{
	pass_blocks(pass, &steps);
}

AVX2 static size_t pass(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                        struct scan_hints *hints, struct scan_block *ret)
{
	return scan(bytes, length, state, aim, hints, ret, &steps);
}

AVX2 static bool find_outline(const char *bytes, size_t at, size_t length, struct scan_outline *ret)
{
	return outline(bytes, at, length, ret, &steps);
}

const struct scan_form scan_avx2 = {pass, find_outline};
#endif
