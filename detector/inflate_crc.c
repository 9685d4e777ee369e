/* SPDX-License-Identifier: Apache-2.0 */

/* CRC-32 by folding: a text is a polynomial, and its first part times x^n modulo the checksum's own may be added to
 * what stands n bits behind it without a change of the remainder. 256 bytes are folded into the next 256, what is left
 * of them into sixteen, and zlib does the rest. The mathematics: Intel's paper "Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ Instruction". */
#include "detector/inflate_crc.h"

#include <zlib.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define CRC __attribute__((target("avx512f,avx512dq,vpclmulqdq,pclmul")))
#define STEP 256 /* bytes: four registers */
#define BEGINNING UINT32_C(0xffffffff)

/* x^(n + 32) and x^(n - 32) modulo the polynomial, bits in reverse and one to the left: for n bits ahead. */
struct ahead {
	int64_t low, high;
};
static const struct ahead by_2048 = {0x11542778a, 0x1322d1430}, by_512 = {0x154442bd4, 0x1c6e41596},
			  by_128 = {0x1751997d0, 0x0ccaa009e};

CRC static inline __m512i load(const char *at)
{
	return _mm512_loadu_si512(at);
}

CRC static inline __m512i fold_wide(__m512i part, const struct ahead *by, __m512i onto)
{
	const __m512i factor = _mm512_broadcast_i64x2(_mm_set_epi64x(by->high, by->low));
	__m512i low = _mm512_clmulepi64_epi128(part, factor, 0x00), high = _mm512_clmulepi64_epi128(part, factor, 0x11);
	return _mm512_ternarylogic_epi64(low, high, onto, 0x96); /* the sum of all three */
}

CRC static inline __m128i fold(__m128i part, __m128i onto)
{
	const __m128i factor = _mm_set_epi64x(by_128.high, by_128.low);
	__m128i low = _mm_clmulepi64_si128(part, factor, 0x00), high = _mm_clmulepi64_si128(part, factor, 0x11);
	return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

/* Of at least one step: sixteen bytes, with the same remainder as all whole steps. */
CRC static __m128i fold_steps(const char *bytes, size_t length)
{
	const __m512i beginning = _mm512_zextsi128_si512(_mm_cvtsi32_si128(-1));
	__m512i a = _mm512_xor_si512(load(bytes), beginning), b = load(bytes + 64), c = load(bytes + 128),
		d = load(bytes + 192);
	for (size_t at = STEP; length - at >= STEP; at += STEP) {
		a = fold_wide(a, &by_2048, load(bytes + at));
		b = fold_wide(b, &by_2048, load(bytes + at + 64));
		c = fold_wide(c, &by_2048, load(bytes + at + 128));
		d = fold_wide(d, &by_2048, load(bytes + at + 192));
	}
	d = fold_wide(fold_wide(fold_wide(a, &by_512, b), &by_512, c), &by_512, d);
	__m128i one = fold(_mm512_extracti64x2_epi64(d, 0), _mm512_extracti64x2_epi64(d, 1));
	return fold(fold(one, _mm512_extracti64x2_epi64(d, 2)), _mm512_extracti64x2_epi64(d, 3));
}

CRC uint32_t inflate_crc(const char *bytes, size_t length)
{
	uLong crc = crc32(0, NULL, 0);
	size_t whole = length - length % STEP;
	if (whole > 0) {
		unsigned char folded[16];
		_mm_storeu_si128((__m128i *)(void *)folded, fold_steps(bytes, length));
		crc = crc32(BEGINNING, folded, sizeof(folded)); /* theirs begins in what was folded */
	}
	return (uint32_t)crc32(crc, (const Bytef *)bytes + whole, (uInt)(length - whole));
}

bool inflate_crc_is_here(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("pclmul");
}
#else
uint32_t inflate_crc(const char *bytes, size_t length)
{
	return (uint32_t)crc32_z(crc32(0, NULL, 0), (const Bytef *)bytes, length);
}

bool inflate_crc_is_here(void)
{
	return false;
}
#endif
