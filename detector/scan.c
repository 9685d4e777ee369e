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

/* Where each of the bytes stands that the scan looks for. */
struct raw {
	uint64_t quote, open, close, comma, hint; /* comma: of scan_outline only, hint: of scan_function only */
	bool has_odd;                             /* there may be backslashes or line feeds: look_odd */
};

typedef void look_function(const char *at, struct raw *ret);

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

/* Bit i becomes the parity of the bits up to i. */
typedef uint64_t parity_function(uint64_t bits);

/* struct scan_state while the scan runs: all bits or none, so that no step has to branch. */
struct flow {
	uint64_t in_string, escaped, at_line;
};

/* What stands behind an odd number of quotes. */
INLINE uint64_t find_strings(const char *bytes, const struct raw *raw, uint64_t backslashes, uint64_t valid,
                             struct flow *flow, bool *ret_may_hide, parity_function *parity)
{
	uint64_t quotes = raw->quote & valid;
	*ret_may_hide = false;
	if (((backslashes & valid) | flow->escaped) != 0) {
		struct escapes escapes = take_backslashes(bytes, backslashes & valid, valid, flow->escaped);
		*ret_may_hide = escapes.may_hide;
		flow->escaped = escapes.carry;
		quotes &= ~escapes.escaped;
	}
	uint64_t strings = parity(quotes) ^ flow->in_string;
	flow->in_string = -(strings >> (SCAN_BLOCK_BYTES - 1));
	return strings;
}

INLINE struct scan_block understand(const char *bytes, const struct raw *raw, uint64_t valid, struct flow *flow,
                                    parity_function *parity)
{
	struct scan_block block = {.hint = raw->hint & valid};
	struct odd odd = {0};
	if (raw->has_odd)
		odd = look_odd(bytes);
	uint64_t strings = find_strings(bytes, raw, odd.backslash, valid, flow, &block.may_hide, parity);
	block.open = raw->open & ~strings & valid;
	block.close = raw->close & ~strings & valid;
	block.broken = odd.newline & strings & valid;
	block.line_opens = block.open & (odd.newline << 1 | flow->at_line);
	flow->at_line = odd.newline >> (SCAN_BLOCK_BYTES - 1);
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

/* Most blocks have none, some one: that is written down without a branch, which could not be foretold. */
INLINE void note_hints(uint64_t hints, size_t at, struct scan_hints *to)
{
	to->at[to->count] = (uint32_t)at + (uint32_t)__builtin_ctzll(hints | UINT64_C(1) << (SCAN_BLOCK_BYTES - 1));
	to->count += hints != 0;
	for (hints &= hints - 1; hints != 0; hints &= hints - 1)
		to->at[to->count++] = (uint32_t)at + (uint32_t)__builtin_ctzll(hints);
}

INLINE size_t scan(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                   struct scan_hints *hints, struct scan_block *ret, look_function *look, parity_function *parity)
{
	const uint64_t every = aim->every ? 1 : 0, lines = aim->lines ? UINT64_MAX : 0;
	const int64_t floor = aim->floor;
	struct flow flow = {state->in_string ? UINT64_MAX : 0, state->is_escaped, state->at_line};
	int64_t depth = state->depth;
	size_t at = 0;
	for (; at < length; at += SCAN_BLOCK_BYTES) {
		struct raw raw;
		size_t left = length - at;
		look(bytes + at, &raw);
		struct scan_block block =
			understand(bytes + at, &raw, left < SCAN_BLOCK_BYTES ? (UINT64_C(1) << left) - 1 : UINT64_MAX,
		                   &flow, parity);
		uint64_t odd = every | block.broken | (block.line_opens & lines) | block.may_hide;
		if (odd != 0 || (depth - block.closes <= floor && comes_down(&block, depth, floor)) ||
		    hints->count >= SCAN_HINTS) {
			*ret = block;
			break;
		}
		note_hints(block.hint, at, hints);
		depth += block.opens - block.closes;
	}
	*state = (struct scan_state){flow.in_string != 0, flow.escaped != 0, flow.at_line != 0, depth};
	return at < length ? at : length;
}

/* ---- the outline of one object */

/* Commas of the bits in `among` become ends of members. */
INLINE bool note_commas(uint64_t commas, uint64_t among, size_t at, struct scan_outline *to)
{
	for (commas &= among; commas != 0; commas &= commas - 1) {
		if (to->count == SCAN_MEMBERS - 1)
			return false;
		to->end[to->count++] = (uint32_t)at + (uint32_t)__builtin_ctzll(commas);
	}
	return true;
}

INLINE bool outline(const char *bytes, size_t length, struct scan_outline *ret, look_function *look,
                    parity_function *parity)
{
	struct flow flow = {0};
	int64_t depth = 0;
	uint64_t escapes = 0;
	ret->count = 0;
	for (size_t at = 0; at < length; at += SCAN_BLOCK_BYTES) {
		struct raw raw;
		size_t left = length - at;
		uint64_t valid = left < SCAN_BLOCK_BYTES ? (UINT64_C(1) << left) - 1 : UINT64_MAX, rest = valid;
		bool ignored;
		look(bytes + at, &raw);
		uint64_t backslashes = raw.has_odd ? look_odd(bytes + at).backslash : 0;
		escapes |= backslashes & valid;
		uint64_t outside = ~find_strings(bytes + at, &raw, backslashes, valid, &flow, &ignored, parity) & valid;
		for (uint64_t bits = (raw.open | raw.close) & outside; bits != 0; bits &= bits - 1) {
			uint64_t bit = bits & -bits, up_to = bit | (bit - 1);
			if (depth == 1 && !note_commas(raw.comma & outside, rest & up_to, at, ret))
				return false;
			depth += (raw.open & bit) != 0 ? 1 : -1;
			rest &= ~up_to;
		}
		if (depth == 1 && !note_commas(raw.comma & outside, rest, at, ret))
			return false;
	}
	ret->end[ret->count++] = (uint32_t)length - 1;
	ret->has_escapes = escapes != 0;
	return depth == 0 && flow.in_string == 0;
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

static size_t scan_portable(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                            struct scan_hints *hints, struct scan_block *ret)
{
	return scan(bytes, length, state, aim, hints, ret, look_portable, parity_portable);
}

static bool outline_portable(const char *bytes, size_t length, struct scan_outline *ret)
{
	return outline(bytes, length, ret, look_portable, parity_portable);
}

/* ---- AVX2, AVX-512 */

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

AVX2 static size_t scan_avx2(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                             struct scan_hints *hints, struct scan_block *ret)
{
	return scan(bytes, length, state, aim, hints, ret, look_avx2, parity_multiplied);
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

AVX2 static bool outline_avx2(const char *bytes, size_t length, struct scan_outline *ret)
{
	return outline(bytes, length, ret, look_outline_avx2, parity_multiplied);
}

AVX512 INLINE __m512i table_avx512(const uint8_t table[static 16])
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i_u *)(const void *)table));
}

AVX512 INLINE __m512i classes_avx512(const char *at, const uint8_t *low, const uint8_t *high)
{
	__m512i bytes = _mm512_loadu_si512(at);
	__m512i upper = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi8(0x0f));
	return _mm512_and_si512(_mm512_shuffle_epi8(table_avx512(low), bytes),
	                        _mm512_shuffle_epi8(table_avx512(high), upper));
}

AVX512 INLINE uint64_t having_avx512(__m512i classes, int class)
{
	return _mm512_test_epi8_mask(classes, _mm512_set1_epi8((char)class));
}

AVX512 INLINE void look_avx512(const char *at, struct raw *ret)
{
	__m512i first = classes_avx512(at, first_low, first_high);
	*ret = (struct raw){
		.quote = having_avx512(first, QUOTE),
		.open = having_avx512(first, OPEN),
		.close = having_avx512(first, CLOSE),
		.hint = _mm512_test_epi8_mask(first, classes_avx512(at + 1, second_low, second_high)),
		.has_odd = having_avx512(first, BACKSLASH | NEWLINE) != 0,
	};
}

AVX512 static size_t scan_avx512(const char *bytes, size_t length, struct scan_state *state, const struct scan_aim *aim,
                                 struct scan_hints *hints, struct scan_block *ret)
{
	return scan(bytes, length, state, aim, hints, ret, look_avx512, parity_multiplied);
}

AVX512 INLINE void look_outline_avx512(const char *at, struct raw *ret)
{
	__m512i first = classes_avx512(at, first_low, first_high);
	*ret = (struct raw){
		.quote = having_avx512(first, QUOTE),
		.open = having_avx512(first, OPEN),
		.close = having_avx512(first, CLOSE),
		.comma = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at), _mm512_set1_epi8(',')),
		.has_odd = having_avx512(first, BACKSLASH | NEWLINE) != 0,
	};
}

AVX512 static bool outline_avx512(const char *bytes, size_t length, struct scan_outline *ret)
{
	return outline(bytes, length, ret, look_outline_avx512, parity_multiplied);
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

const struct scan_form *scan_form(size_t i)
{
	static const struct scan_form portable = {scan_portable, outline_portable}, avx2 = {scan_avx2, outline_avx2},
				      avx512 = {scan_avx512, outline_avx512};
	switch (i) {
	case 0:
		return &portable;
	case 1:
		return has_avx2() ? &avx2 : &portable;
	case 2:
		return has_avx512() ? &avx512 : scan_form(1);
	default:
		return NULL;
	}
}

const struct scan_form *scan_best(void)
{
	return scan_form(2);
}
#else
const struct scan_form *scan_form(size_t i)
{
	static const struct scan_form portable = {scan_portable, outline_portable};
	return i == 0 ? &portable : NULL;
}

const struct scan_form *scan_best(void)
{
	return scan_form(0);
}
#endif
