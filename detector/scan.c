/* SPDX-License-Identifier: Apache-2.0 */

/* 64 bytes at a time: eight words of eight bytes in the portable form, two AVX2 registers where the processor has
 * them. Both give the same bits; a test holds them against each other. */
#include "detector/scan.h"

#include <endian.h>
#include <string.h>

#define EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))
#define LOW_BITS EACH(0x7f)

static inline uint64_t load(const char *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* 0x80 in each byte of `word` that equals `byte`, 0 in the others: exact, no carries between bytes. */
static inline uint64_t equal(uint64_t word, char byte)
{
	uint64_t differs = word ^ EACH(byte);
	return ~(((differs & LOW_BITS) + LOW_BITS) | differs | LOW_BITS);
}

/* The 0x80 bits of eight bytes as eight bits. */
static inline uint64_t gather(uint64_t marks)
{
	return (marks >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline uint64_t find_hints(const char *at, uint64_t word)
{
	uint64_t second = load(at + 1), third = load(at + 2), fourth = load(at + 3);
	uint64_t key = equal(word, 'A') & equal(third, 'I') & equal(fourth, 'A');
	uint64_t session = (equal(word, ':') | equal(word, '/')) & equal(second, 'i') & equal(third, '-');
	return key | session;
}

void scan_portable(const char *bytes, size_t count, struct scan_block *ret)
{
	for (size_t block = 0; block < count; block++) {
		struct scan_block found = {0};
		for (unsigned i = 0; i < SCAN_BLOCK_BYTES; i += 8) {
			const char *at = bytes + block * SCAN_BLOCK_BYTES + i;
			uint64_t word = load(at);
			uint64_t curly = word | EACH(0x20); /* [ and ] become { and } */
			found.quote |= gather(equal(word, '"')) << i;
			found.backslash |= gather(equal(word, '\\')) << i;
			found.open |= gather(equal(curly, '{')) << i;
			found.close |= gather(equal(curly, '}')) << i;
			found.newline |= gather(equal(word, '\n')) << i;
			found.hint |= gather(find_hints(at, word)) << i;
		}
		ret[block] = found;
	}
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load_avx2(const char *at)
{
	return _mm256_loadu_si256((const __m256i_u *)(const void *)at);
}

AVX2 static inline __m256i equal_avx2(__m256i bytes, char byte)
{
	return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte));
}

AVX2 static inline uint64_t gather_avx2(__m256i marks)
{
	return (uint32_t)_mm256_movemask_epi8(marks);
}

AVX2 static inline void scan_half(const char *at, unsigned shift, struct scan_block *found)
{
	__m256i first = load_avx2(at), third = load_avx2(at + 2);
	__m256i curly = _mm256_or_si256(first, _mm256_set1_epi8(0x20));
	__m256i key = _mm256_and_si256(_mm256_and_si256(equal_avx2(first, 'A'), equal_avx2(third, 'I')),
				       equal_avx2(load_avx2(at + 3), 'A'));
	__m256i mark = _mm256_or_si256(equal_avx2(first, ':'), equal_avx2(first, '/'));
	__m256i session =
		_mm256_and_si256(_mm256_and_si256(mark, equal_avx2(third, '-')), equal_avx2(load_avx2(at + 1), 'i'));
	found->quote |= gather_avx2(equal_avx2(first, '"')) << shift;
	found->backslash |= gather_avx2(equal_avx2(first, '\\')) << shift;
	found->open |= gather_avx2(equal_avx2(curly, '{')) << shift;
	found->close |= gather_avx2(equal_avx2(curly, '}')) << shift;
	found->newline |= gather_avx2(equal_avx2(first, '\n')) << shift;
	found->hint |= gather_avx2(_mm256_or_si256(key, session)) << shift;
}

AVX2 static void scan_avx2(const char *bytes, size_t count, struct scan_block *ret)
{
	for (size_t block = 0; block < count; block++) {
		struct scan_block found = {0};
		scan_half(bytes + block * SCAN_BLOCK_BYTES, 0, &found);
		scan_half(bytes + block * SCAN_BLOCK_BYTES + SCAN_BLOCK_BYTES / 2, 32, &found);
		ret[block] = found;
	}
}

scan_function *scan_best(void)
{
	return __builtin_cpu_supports("avx2") ? scan_avx2 : scan_portable;
}
#else
scan_function *scan_best(void)
{
	return scan_portable;
}
#endif
