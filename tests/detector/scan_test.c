/* SPDX-License-Identifier: Apache-2.0 */

/* Both forms of the scan against a byte-by-byte one. */
#include "tests/detector/support.h"

#include "detector/scan.h"

#define BLOCKS 37

static void scan_plain(const char *bytes, struct scan_block *ret)
{
	*ret = (struct scan_block){0};
	for (int i = 0; i < SCAN_BLOCK_BYTES; i++) {
		const char *c = bytes + i;
		uint64_t bit = UINT64_C(1) << i;
		ret->quote |= *c == '"' ? bit : 0;
		ret->backslash |= *c == '\\' ? bit : 0;
		ret->open |= *c == '{' || *c == '[' ? bit : 0;
		ret->close |= *c == '}' || *c == ']' ? bit : 0;
		ret->newline |= *c == '\n' ? bit : 0;
		ret->hint |= c[0] == 'A' && c[2] == 'I' && c[3] == 'A' ? bit : 0;
		ret->hint |= (c[0] == ':' || c[0] == '/') && c[1] == 'i' && c[2] == '-' ? bit : 0;
	}
}

static void check(const char *bytes)
{
	struct scan_block plain, portable[BLOCKS], best[BLOCKS];
	scan_portable(bytes, BLOCKS, portable);
	scan_best()(bytes, BLOCKS, best);
	for (size_t i = 0; i < BLOCKS; i++) {
		scan_plain(bytes + i * SCAN_BLOCK_BYTES, &plain);
		assert_memory_equal(&portable[i], &plain, sizeof(plain));
		assert_memory_equal(&best[i], &plain, sizeof(plain));
	}
}

static void test_forms_agree(void **state)
{
	/* Often the bytes that matter and their neighbours in the tables of bits, sometimes any. */
	static const char often[] = "\"\\{}[]\n:/i-ASIAKIA;Z|^~!#\x7b\x5b\xdb\xfb\xdd\x80\x00\xff";
	char bytes[BLOCKS * SCAN_BLOCK_BYTES + SCAN_PADDING];
	(void)state;
	srand(7);
	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = rand() % 4 != 0 ? often[(size_t)rand() % (sizeof(often) - 1)] : (char)rand();
		check(bytes);
	}
}

static void test_every_byte(void **state)
{
	char bytes[BLOCKS * SCAN_BLOCK_BYTES + SCAN_PADDING];
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	check(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms_agree), cmocka_unit_test(test_every_byte)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
