/* SPDX-License-Identifier: Apache-2.0 */

/* Names of files and words of others go to a terminal: it must find nothing in them to obey. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/complain.h"

static const struct {
	const char *text, *clean;
} cases[] = {
	{"", ""},
	{"plain", "plain"},
	{"a\x1b[2Jb\n\tc\x7f", "a?[2Jb??c?"},
	{"\xc2\x9b"
         "31m",
         "??31m"},
	{"\xe2\x80\xaegnp.json", "???gnp.json"},
	{"\xe2\x81\xa6x\xe2\x81\xa9", "???x???"},
	{"\xe2\x80\x8fx", "???x"},
	{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xc2\xa0", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xc2\xa0"},
	{"cut \xc2", "cut \xc2"},
	{"cut \xe2\x80", "cut \xe2\x80"},
};

static void leaves_nothing_to_obey(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char text[64];
		(void)snprintf(text, sizeof(text), "%s", cases[i].text);
		complain_clean(text);
		assert_string_equal(text, cases[i].clean);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(leaves_nothing_to_obey)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
