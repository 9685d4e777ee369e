/* SPDX-License-Identifier: Apache-2.0 */

/* All forms of the scan against one that goes byte by byte. */
#include "tests/detector/support.h"

#include "detector/scan.h"

#define BLOCKS 37
#define BYTES ((size_t)BLOCKS * SCAN_BLOCK_BYTES)

static bool may_hide(const char *c)
{
	unsigned code;
	char digits[3] = {c[4], c[5], '\0'};
	if (c[0] != '\\' || c[1] != 'u' || c[2] != '0' || c[3] != '0' || !isxdigit((unsigned char)c[4]) ||
	    !isxdigit((unsigned char)c[5]) || sscanf(digits, "%x", &code) != 1 || code > 0x7f)
		return false;
	return isalnum((int)code) || code == '-' || code == ':' || code == '/' || code == '_';
}

static void scan_plain(const char *bytes, size_t length, struct scan_state *state, struct scan_block *ret)
{
	bool at_line = false;
	for (size_t i = 0; i < length; i++) {
		const char *c = bytes + i;
		struct scan_block *block = &ret[i / SCAN_BLOCK_BYTES];
		uint64_t bit = UINT64_C(1) << i % SCAN_BLOCK_BYTES;
		if (i % SCAN_BLOCK_BYTES == 0)
			*block = (struct scan_block){0};
		bool is_escaped = state->is_escaped;
		state->is_escaped = *c == '\\' && !is_escaped;
		if (*c == '"' && !is_escaped)
			state->in_string = !state->in_string;
		block->may_hide = block->may_hide || may_hide(c);
		block->hint |= (c[0] == 'I' && c[1] == 'A') || (c[0] == 'i' && c[1] == '-') ? bit : 0;
		block->hint |= memchr("tkd{", c[0], 4) != NULL && (c[1] == 'N' || c[1] == 'A') ? bit : 0;
		block->broken |= *c == '\n' && state->in_string ? bit : 0;
		if (!state->in_string && (*c == '{' || *c == '[')) {
			block->open |= bit;
			block->line_opens |= at_line ? bit : 0;
			block->opens++;
		}
		if (!state->in_string && (*c == '}' || *c == ']')) {
			block->close |= bit;
			block->closes++;
		}
		at_line = *c == '\n';
	}
}

static void compare(const struct scan_block *got, const struct scan_block *wanted)
{
	assert_int_equal(got->open, wanted->open);
	assert_int_equal(got->close, wanted->close);
	assert_int_equal(got->hint, wanted->hint);
	assert_int_equal(got->broken, wanted->broken);
	assert_int_equal(got->line_opens, wanted->line_opens);
	assert_int_equal(got->opens, wanted->opens);
	assert_int_equal(got->closes, wanted->closes);
	assert_int_equal(got->may_hide, wanted->may_hide);
}

/* Why a block is of interest, by looking at each of its bits. */
static bool is_of_interest(size_t length, const struct scan_block *block, int64_t depth, const struct scan_aim *aim)
{
	bool is = aim->every || block->broken != 0 || block->may_hide || (aim->lines && block->line_opens != 0);
	for (size_t i = 0; i < length; i++) {
		uint64_t bit = UINT64_C(1) << i;
		depth += ((block->open & bit) != 0) - ((block->close & bit) != 0);
		is = is || (((block->open | block->close) & bit) != 0 && depth <= aim->floor);
	}
	return is;
}

/* The blocks with hints among those that were passed over. */
static void check_hints(const struct scan_hints *hints, const struct scan_block *wanted, size_t from, size_t to)
{
	size_t next = 0;
	for (size_t i = from; i < to; i++)
		if (wanted[i].hint != 0) {
			assert_true(next < hints->count);
			assert_int_equal(hints->at[next], (i - from) * SCAN_BLOCK_BYTES);
			assert_int_equal(hints->bits[next++], wanted[i].hint);
		}
	assert_int_equal(next, hints->count);
}

static void check_form(scan_function *scan, const char *bytes, size_t length, const struct scan_block *wanted,
                       const struct scan_aim *aim)
{
	struct scan_state state = {0};
	int64_t depth = 0;
	size_t blocks = (length + SCAN_BLOCK_BYTES - 1) / SCAN_BLOCK_BYTES;
	for (size_t i = 0; i < blocks; i++) {
		struct scan_hints hints = {.count = 0};
		struct scan_block got;
		size_t at = i * SCAN_BLOCK_BYTES, first = i;
		at += scan(bytes + at, length - at, &state, aim, &hints, &got);
		for (; i * SCAN_BLOCK_BYTES < at && i < blocks; i++) {
			assert_false(is_of_interest(SCAN_BLOCK_BYTES, &wanted[i], depth, aim));
			depth += wanted[i].opens - wanted[i].closes;
		}
		check_hints(&hints, wanted, first, i);
		assert_int_equal(state.depth, depth);
		if (i == blocks)
			return;
		assert_int_equal(at, i * SCAN_BLOCK_BYTES);
		assert_true(is_of_interest(SCAN_BLOCK_BYTES, &wanted[i], depth, aim) || hints.count >= SCAN_HINTS);
		compare(&got, &wanted[i]);
		depth += got.opens - got.closes;
		state.depth = depth;
	}
}

static void check(const char *bytes, size_t length)
{
	static const struct scan_aim aims[] = {
		{.every = true},
		{.floor = -1000000},
		{.floor = 0, .lines = true},
		{.floor = -3},
	};
	struct scan_block wanted[BLOCKS];
	struct scan_state plain = {0};
	scan_plain(bytes, length, &plain, wanted);
	for (size_t form = 0; scan_form(form) != NULL; form++)
		for (size_t i = 0; i < ARRAY_LENGTH(aims); i++)
			check_form(scan_form(form)->pass, bytes, length, wanted, &aims[i]);
}

static void test_forms_agree(void **state)
{
	/* Often the bytes that matter and their neighbours in the tables of bits, sometimes any. */
	static const char often[] = "\"\\{}[]\n:/i-ASIAKIAtNkA;Z|^~!#\x7b\x5b\xdb\xfb\xdd\x80\x00\xff";
	char bytes[BYTES + SCAN_PADDING];
	(void)state;
	srand(7);
	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = rand() % 4 != 0 ? often[(size_t)rand() % (sizeof(often) - 1)] : (char)rand();
		for (int i = 0; i < round % 20; i++)
			(void)memcpy(bytes + (size_t)rand() % BYTES, i % 2 != 0 ? "\\u004" : "\"ASIA", 5);
		if (round % 7 == 0) /* few stops: many hints are gathered */
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = "IAi-tNkA"[(size_t)rand() % 8];
		if (round % 3 == 0) /* runs of backslashes, over the ends of blocks */
			memset(bytes + 64 * (size_t)(rand() % BLOCKS), '\\', (size_t)(rand() % 130));
		check(bytes, BYTES);
		check(bytes, 1 + (size_t)rand() % BYTES);
	}
}

/* Nearly nothing but brackets, so that a group has more of them than a form takes together. */
static void test_dense_brackets(void **state)
{
	char bytes[BYTES + SCAN_PADDING];
	(void)state;
	srand(11);
	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = rand() % (1 + round % 40) == 0 ? "{}[]"[rand() % 4] : ' ';
		if (round % 3 == 0) /* deep first, then down to the floor */
			for (size_t i = 0; i < BYTES; i++)
				bytes[i] = i < BYTES / 2 ? '{' : '}';
		check(bytes, BYTES);
	}
}

static void test_every_byte(void **state)
{
	char bytes[BYTES + SCAN_PADDING];
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	check(bytes, BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms_agree), cmocka_unit_test(test_dense_brackets),
	                                   cmocka_unit_test(test_every_byte)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
