/* SPDX-License-Identifier: Apache-2.0 */

/* Hostile text on its way to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/printable.h"

static const struct {
	const char *name, *from, *to;
} texts[] = {
	{"plain", "/usr/bin/curl", "/usr/bin/curl"},
	{"empty", "", ""},
	{"colours", "\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m"},
	{"window title", "\033]0;root\a", "\\x1b]0;root\\x07"},
	{"line break", "a\nb\rc", "a\\x0ab\\x0dc"},
	{"back space", "good\b\b\b\bevil", "good\\x08\\x08\\x08\\x08evil"},
	{"delete", "a\x7f", "a\\x7f"},
	{"looks escaped", "\\x1b", "\\\\x1b"},
	{"C1 control in UTF-8",
         "\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},
	{"right to left",
         "gpj.\xe2\x80\xae"
         "exe",
         "gpj.\\xe2\\x80\\xaeexe"},
	{"cyrillic a", "b\xd0\xb0sh", "b\\xd0\\xb0sh"},
	{"quotes stay", "say \"it's\"", "say \"it's\""},
};

static const struct {
	const char *name, *json, *to;
} commands[] = {
	{"plain", "[\"curl\",\"-s\",\"http://169.254.169.254/latest/\"]", "curl -s http://169.254.169.254/latest/"},
	{"space", "[\"sh\",\"-c\",\"echo hi; ls\"]", "sh -c 'echo hi; ls'"},
	{"quote", "[\"echo\",\"it's\"]", "echo 'it'\\''s'"},
	{"only a quote", "[\"'\"]", "''\\'''"},
	{"empty argument", "[\"a\",\"\",\"b\"]", "a '' b"},
	{"control", "[\"a\",\"\\u001b[2J\"]", "a '\\x1b[2J'"},
	{"dollar", "[\"echo\",\"$HOME\"]", "echo '$HOME'"},
	{"not a text", "[\"a\",7,\"b\"]", "a b"},
	{"nothing", "[]", ""},
};

static const struct {
	const char *name, *json, *to;
} values[] = {
	{"null", "[null]", "-"},     {"number", "[-7]", "-7"},
	{"yes", "[true]", "yes"},    {"list", "[[\"a\",\"b\"]]", "a, b"},
	{"empty list", "[[]]", "-"}, {"object", "[{\"a\":\"\\u001b\"}]", "{\"a\":\"\\\\u001B\"}"},
};

static void escapes_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		assert_int_equal(printable_text(&to, texts[i].from, NULL), 0);
		if (strcmp(to.bytes, texts[i].to) != 0)
			fail_msg("%s: %s", texts[i].name, to.bytes);
	}
}

static void quotes_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		CLEANUP_JSON json_t *list = NULL;
		assert_int_equal(json_read(commands[i].json, strlen(commands[i].json), &list, NULL), 0);
		assert_int_equal(printable_command(&to, list, NULL), 0);
		if (strcmp(to.bytes, commands[i].to) != 0)
			fail_msg("%s: %s", commands[i].name, to.bytes);
	}
}

static void shows_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		CLEANUP_JSON json_t *list = NULL;
		assert_int_equal(json_read(values[i].json, strlen(values[i].json), &list, NULL), 0);
		assert_int_equal(printable_value(&to, json_array_get(list, 0), NULL), 0);
		if (strcmp(to.bytes, values[i].to) != 0)
			fail_msg("%s: %s", values[i].name, to.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_texts),
		cmocka_unit_test(quotes_commands),
		cmocka_unit_test(shows_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
