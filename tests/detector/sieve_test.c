/* SPDX-License-Identifier: Apache-2.0 */

/* What was added is never held back; nearly all of the rest is. */
#include "tests/detector/support.h"

#include "detector/sieve.h"

#define IDS 20000

static const char *key_of(unsigned number, char to[static 24])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint64_t bits = number * UINT64_C(0x9e3779b97f4a7c15) ^ number << 7;
	memcpy(to, "ASIAQAAAAAAA", 12);
	for (int i = 12; i < 20; i++, bits >>= 5)
		to[i] = letters[bits & 31];
	to[20] = '\0';
	return to;
}

static void test_holds_what_was_added(void **state)
{
	struct sieve sieve;
	unsigned strangers = 0;
	char id[24], text[64];
	(void)state;
	assert_int_equal(sieve_make(&sieve, IDS, NULL), 0);
	for (unsigned i = 0; i < IDS; i += 2)
		sieve_add_key(&sieve, key_of(i, id));
	for (unsigned i = 0; i < IDS; i++) {
		(void)snprintf(text, sizeof(text), "%s\"}                ", key_of(i, id));
		bool holds = sieve_find(&sieve, text + 2) == text;
		assert_true(holds || i % 2 != 0);
		strangers += holds && i % 2 != 0;
	}
	assert_true(strangers < IDS / 2 / 8);

	/* Made for many more than came, and fitted: as good as one that was made for as many. */
	struct sieve large;
	assert_int_equal(sieve_make(&large, 100 * IDS, NULL), 0);
	for (unsigned i = 0; i < IDS; i += 2)
		sieve_add_key(&large, key_of(i, id));
	sieve_fit(&large, IDS);
	assert_int_equal(large.mask, sieve.mask);
	assert_memory_equal(large.words, sieve.words, (sieve.mask + 1) / 8);
	sieve_done(&large);
	sieve_done(&sieve);
}

static void test_where_ids_begin(void **state)
{
	static const struct {
		const char *text;
		bool may;
	} cases[] = {
		{"ASIAQAAAAAAAKEYABCDE", true},  {"AKIAQAAAAAAAKEYABCDE", true},  {"BSIAQAAAAAAAKEYABCDE", false},
		{"ASIBQAAAAAAAKEYABCDE", false}, {"ASXAQAAAAAAAKEYABCDE", false}, {":i-0123456789abcdef0", true},
		{"/i-0123456789abcdef0", true},  {"-i-0123456789abcdef0", false}, {":i_0123456789abcdef0", false},
		{":j-0123456789abcdef0", false}, {"/i-01234567\"", true},
	};
	struct sieve sieve;
	(void)state;
	assert_int_equal(sieve_make(&sieve, 2, NULL), 0);
	sieve_add_key(&sieve, "ASIAQAAAAAAAKEYABCDE");
	sieve_add_instance(&sieve, "i-01234567");
	sieve_add_name(&sieve, "AssumeRole");
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char text[64] = "__";
		(void)snprintf(text + 2, sizeof(text) - 2, "%s", cases[i].text);
		/* Other ids may be let through, but in a sieve this empty none of these is. */
		const char *begins = NULL;
		for (size_t at = 2; at < 6 && begins == NULL; at++)
			begins = sieve_find(&sieve, text + at);
		if (begins != (cases[i].may ? text + 2 : NULL))
			fail_msg("%s", cases[i].text);
	}
	assert_false(sieve_holds(&sieve, "ABCDEFGH"));
	sieve_add_key(&sieve, "ASIASHORTONE1234"); /* cannot be told apart */
	assert_true(sieve_holds(&sieve, "ABCDEFGH"));
	sieve_done(&sieve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_holds_what_was_added),
	                                   cmocka_unit_test(test_where_ids_begin)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
