/* SPDX-License-Identifier: Apache-2.0 */

/* Quoting as in RFC 4180, and what must not reach a spreadsheet or a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/csv.h"

static const struct {
	const char *name, *json, *field;
} cases[] = {
	{"plain", "\"abc\"", "abc"},
	{"absent", "null", ""},
	{"empty", "\"\"", ""},
	{"comma", "\"a,b\"", "\"a,b\""},
	{"quote", "\"say \\\"hi\\\"\"", "\"say \"\"hi\"\"\""},
	{"line break", "\"a\\nb\"", "\"a\nb\""},
	{"CRLF", "\"a\\r\\nb\"", "\"a\r\nb\""},
	{"space in front", "\" a\"", "\" a\""},
	{"space behind", "\"a \"", "\"a \""},
	{"formula", "\"=1+1\"", "\"'=1+1\""},
	{"call", "\"=HYPERLINK(\\\"http://x\\\")\"", "\"'=HYPERLINK(\"\"http://x\"\")\""},
	{"plus", "\"+1\"", "\"'+1\""},
	{"minus", "\"-1\"", "\"'-1\""},
	{"at", "\"@SUM(A1)\"", "\"'@SUM(A1)\""},
	{"tab in front", "\"\\t=1\"", "\"'\t=1\""},
	{"return in front", "\"\\r=1\"", "\"'\r=1\""},
	{"line break in front", "\"\\n=1\"", "\"'\n=1\""},
	{"equals inside", "\"a=1\"", "a=1"},
	{"negative number", "-7", "-7"},
	{"number", "42", "42"},
	{"true", "true", "true"},
	{"list", "[\"a\",\"b\"]", "\"[\"\"a\"\",\"\"b\"\"]\""},
	{"empty list", "[]", "[]"},
	{"object", "{\"a\":1}", "\"{\"\"a\"\":1}\""},
	{"escape character", "\"\\u001b[31m\"", "\\x1b[31m"},
	{"C1 control", "\"\\u009b31m\"", "\\x9b31m"},
	{"UTF-8 stays", "\"ren\xc3\xa9\"", "ren\xc3\xa9"},
};

static void quotes_each_field(void **state)
{
	static const struct column column[] = {{.path = "v"}};
	static const struct columns columns = {.column = column, .count = 1};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		CLEANUP_JSON json_t *object = NULL;
		char text[200], expected[200];
		(void)snprintf(text, sizeof(text), "{\"v\":%s}", cases[i].json);
		(void)snprintf(expected, sizeof(expected), "%s\r\n", cases[i].field);
		assert_int_equal(json_read(text, strlen(text), &object, NULL), 0);
		assert_int_equal(csv_row(&to, &columns, object, NULL), 0);
		if (strcmp(to.bytes, expected) != 0)
			fail_msg("%s: %s", cases[i].name, to.bytes);
	}
}

static void has_a_heading_and_all_columns(void **state)
{
	static const struct column column[] = {{.path = "a"}, {.path = "b.c", .heading = "C"}, {.path = "d"}};
	static const struct columns columns = {.column = column, .count = 3};
	CLEANUP_BUFFER struct buffer to = {0};
	CLEANUP_JSON json_t *object = json_pack("{s:i, s:{s:s}}", "a", 1, "b", "c", "x");
	(void)state;
	assert_int_equal(csv_heading(&to, &columns, NULL), 0);
	assert_int_equal(csv_row(&to, &columns, object, NULL), 0);
	assert_string_equal(to.bytes, "a,b.c,d\r\n1,x,\r\n");
}

static void looks_into_lists(void **state)
{
	static const struct {
		const char *path, *expected;
	} paths[] = {
		{"l.0.a", "x"}, {"l.1.a", NULL}, {"l.2", NULL}, {"l.a", NULL},
		{"l.-1", NULL}, {"l.0.b", NULL}, {"s.0", NULL},
	};
	CLEANUP_JSON json_t *object = json_pack("{s:[{s:s,s:n},n], s:s}", "l", "a", "x", "b", "s", "t");
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		const char *found = json_string_value(columns_value(object, paths[i].path));
		if ((found == NULL) != (paths[i].expected == NULL) ||
		    (found != NULL && strcmp(found, paths[i].expected) != 0))
			fail_msg("%s: %s", paths[i].path, found != NULL ? found : "nothing");
	}
}

/* A reader that goes by headings must find each once. */
static void names_each_column_once(void **state)
{
	static const struct columns *const all[] = {
		&columns_deliveries,   &columns_keys,   &columns_processes, &columns_findings, &columns_rules,
		&columns_simulation,   &columns_who,    &columns_status,    &columns_steps,    &columns_matches,
		&columns_verification, &columns_anchor, &columns_import,    &columns_pruning,  &columns_seal,
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
		CLEANUP_BUFFER struct buffer line = {0};
		CLEANUP_JSON json_t *seen = json_object();
		assert_int_equal(csv_heading(&line, all[i], NULL), 0);
		char *rest = line.bytes, *name;
		while ((name = strsep(&rest, ",\r\n")) != NULL) {
			if (json_object_get(seen, name) != NULL)
				fail_msg("table %zu: %s twice", i, name);
			if (*name != '\0')
				json_put(seen, name, json_true());
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_each_field),
		cmocka_unit_test(looks_into_lists),
		cmocka_unit_test(names_each_column_once),
		cmocka_unit_test(has_a_heading_and_all_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
