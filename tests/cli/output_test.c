/* SPDX-License-Identifier: Apache-2.0 */

/* One list in all four forms, byte for byte, and tables at several widths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output.h"

static const char *const rows[] = {
	"{\"delivered_at\":\"2026-01-02T03:04:05.678901Z\",\"access_key_id\":\"ASIAIOSFODNN7EXAMPLE\",\"outcome\":"
	"\"delivered\","
	"\"process\":{\"pid\":42,\"exe\":\"/usr/bin/"
	"curl\",\"user\":\"www\",\"uid\":33},\"attribution\":{\"grade\":\"exact\"}}",
	"{\"delivered_at\":\"2026-01-02T03:04:04.000000Z\",\"access_key_id\":null,\"outcome\":\"refused\","
	"\"process\":{\"pid\":4194304,\"exe\":\"/tmp/\\u001b[2Jabc\",\"user\":null,\"uid\":1000},"
	"\"attribution\":{\"grade\":\"shared\"}}",
};

static const struct column few[] = {
	{.path = "access_key_id", .heading = "KEY"},
	{.path = "process.pid", .heading = "PID", .kind = COLUMN_NUMBER},
	{.path = "process.user", .heading = "USER", .otherwise = "process.uid"},
	{.path = "process.exe"},
};
static const struct columns few_columns = {.column = few, .count = 4};

/* Writes the first `count` rows; the caller frees. */
static char *written(enum form form, const struct columns *columns, size_t count, const char *width)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	struct output *output = NULL;
	struct output_options options = {.form = form, .columns = columns, .stream = to};
	assert_int_equal(width != NULL ? setenv("COLUMNS", width, 1) : unsetenv("COLUMNS"), 0);
	assert_int_equal(output_open(&options, &output, NULL), 0);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_JSON json_t *row = NULL;
		assert_int_equal(json_read(rows[i], strlen(rows[i]), &row, NULL), 0);
		assert_int_equal(output_row(output, row, NULL), 0);
	}
	assert_int_equal(output_close(output, NULL), 0);
	assert_int_equal(fclose(to), 0);
	return text;
}

static const struct {
	const char *name;
	enum form form;
	size_t count;
	const char *expected;
} cases[] = {
	{"empty table", FORM_TABLE, 0, ""},
	{"empty array", FORM_JSON, 0, "[]\n"},
	{"no lines", FORM_JSONL, 0, ""},
	{"only a heading", FORM_CSV, 0, "access_key_id,process.pid,process.user,process.exe\r\n"},
	{"table", FORM_TABLE, 2,
         "KEY                      PID USER\n"
         "ASIAIOSFODNN7EXAMPLE      42 www\n"
         "-                    4194304 1000\n"},
	{"CSV", FORM_CSV, 2,
         "access_key_id,process.pid,process.user,process.exe\r\n"
         "ASIAIOSFODNN7EXAMPLE,42,www,/usr/bin/curl\r\n"
         ",4194304,,/tmp/\\x1b[2Jabc\r\n"},
	{"JSON Lines", FORM_JSONL, 1,
         "{\"access_key_id\":\"ASIAIOSFODNN7EXAMPLE\",\"attribution\":{\"grade\":\"exact\"},"
         "\"delivered_at\":\"2026-01-02T03:04:05.678901Z\",\"outcome\":\"delivered\","
         "\"process\":{\"exe\":\"/usr/bin/curl\",\"pid\":42,\"uid\":33,\"user\":\"www\"}}\n"},
};

static void writes_each_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_FREE char *text = written(cases[i].form, &few_columns, cases[i].count, NULL);
		if (strcmp(text, cases[i].expected) != 0)
			fail_msg("%s:\n%s", cases[i].name, text);
	}
}

static void writes_an_array_of_all_rows(void **state)
{
	CLEANUP_FREE char *text = written(FORM_JSON, &few_columns, 2, NULL);
	CLEANUP_JSON json_t *array = NULL;
	(void)state;
	assert_int_equal(json_read(text, strlen(text), &array, NULL), 0);
	assert_int_equal(json_array_size(array), 2);
	assert_null(strchr(text, '\033'));
}

/* The golden table of deliveries at 80 columns. */
static void fits_eighty_columns(void **state)
{
	static const char golden[] =
		"DELIVERED AT                ACCESS KEY                PID EXECUTABLE   OUTCOME\n"
		"2026-01-02T03:04:05.678901Z ASIAIOSFODNN7EXAMPLE       42 /usr/bin/cur delivered\n"
		"                                                          l            \n"
		"2026-01-02T03:04:04.000000Z -                    4194304? /tmp/\\x1b[2J refused\n"
		"                                                          abc          \n";
	CLEANUP_FREE char *text = written(FORM_TABLE, &columns_deliveries, 2, "80");
	(void)state;
	assert_string_equal(text, golden);
}

static void never_is_wider_than_the_terminal(void **state)
{
	static const char *const widths[] = {"80", "90", "100", "120", "140", "160", "200"};
	static const struct columns *const lists[] = {&columns_deliveries, &columns_keys, &columns_processes,
	                                              &columns_findings};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(widths) * ARRAY_LENGTH(lists); i++) {
		const char *width = widths[i % ARRAY_LENGTH(widths)];
		CLEANUP_FREE char *text = written(FORM_TABLE, lists[i / ARRAY_LENGTH(widths)], 2, width);
		for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
			if (strcspn(line, "\n") > (size_t)atoi(width))
				fail_msg("at %s: %s", width, line);
	}
}

static void tells_of_a_full_disk(void **state)
{
	CLEANUP_FILE FILE *to = fopen("/dev/full", "w");
	struct output *output = NULL;
	struct output_options options = {.form = FORM_CSV, .columns = &columns_deliveries, .stream = to};
	struct error problem = {0};
	(void)state;
	if (to == NULL)
		skip();
	assert_int_equal(output_open(&options, &output, &problem), 0);
	assert_int_equal(output_close(output, &problem), -1);
	assert_int_equal(problem.code, ERROR_SYSTEM);
	assert_non_null(strstr(problem.text, "No space left"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_each_form),     cmocka_unit_test(writes_an_array_of_all_rows),
		cmocka_unit_test(fits_eighty_columns),  cmocka_unit_test(never_is_wider_than_the_terminal),
		cmocka_unit_test(tells_of_a_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
