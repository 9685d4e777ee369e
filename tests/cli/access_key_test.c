/* SPDX-License-Identifier: Apache-2.0 */

/* What may pass for an access key id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/access_key.h"
#include "common/cleanup.h"

static const struct {
	const char *text;
	bool is_key, is_pattern;
} cases[] = {
	{"ASIAIOSFODNN7EXAMPLE", true, true},
	{"AKIAIOSFODNN7EXAMPLE", true, true},
	{"GeneratedFindingAccessKeyId", true, true},
	{"ABCDEFGHIJKLMNOP", true, true},
	{"", false, false},
	{"ABCDEFGHIJKLMNO", false, false},
	{"ASIA", false, false},
	{"ASIA*", false, true},
	{"*", false, true},
	{"ASIAIOSFODNN7EXAMPL?", false, true},
	{"ASIAIOSFODNN7EXAMPLE ", false, false},
	{"ASIAIOSFODNN7 EXAMPLE", false, false},
	{"ASIAIOSFODNN7EXAMPLE\n", false, false},
	{"ASIAIOSFODNN7EXAMPL\xc3\x89", false, false},
	{"ASIAIOSFODNN7EXAMPL'", false, false},
	{"ASIA[0-9]IOSFODNN7EX", false, false},
};

static void takes_key_ids_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		if (access_key_is_valid(cases[i].text) != cases[i].is_key ||
		    access_key_is_valid_pattern(cases[i].text) != cases[i].is_pattern)
			fail_msg("case %zu: \"%s\"", i, cases[i].text);
	}
}

static void bounds_the_length(void **state)
{
	char text[130];
	(void)state;
	memset(text, 'A', sizeof(text));
	text[128] = '\0';
	assert_true(access_key_is_valid(text));
	text[128] = 'A';
	text[129] = '\0';
	assert_false(access_key_is_valid(text));
	text[0] = '*';
	assert_false(access_key_is_valid_pattern(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_key_ids_only),
		cmocka_unit_test(bounds_the_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
