/* SPDX-License-Identifier: Apache-2.0 */

/* Errors: one line, printable, whatever went in. */
#include "tests/common/unit.h"

#include <errno.h>

#include "common/error.h"

static void may_go_nowhere(void **state)
{
	(void)state;
	errno = ENOENT;
	assert_int_equal(error_set(NULL, ERROR_INPUT, "%d", 1), -1);
	assert_int_equal(error_errno(NULL, "%d", 1), -1);
	assert_int_equal(error_prefix(NULL, "%d", 1), -1);
}

static void says_what_and_why(void **state)
{
	struct error error = {0};
	(void)state;
	assert_int_equal(error_set(&error, ERROR_LIMIT, "%s %d", "more than", 7), -1);
	assert_int_equal(error.code, ERROR_LIMIT);
	assert_string_equal(error.text, "more than 7");
	assert_int_equal(error_prefix(&error, "%s:%d", "file", 3), -1);
	assert_int_equal(error.code, ERROR_LIMIT);
	assert_string_equal(error.text, "file:3: more than 7");
	assert_int_equal(error_prefix(&error, "outer"), -1);
	assert_string_equal(error.text, "outer: file:3: more than 7");
}

static const struct {
	int number;
	enum error_code code;
	const char *text;
} numbers[] = {
	{ENOENT, ERROR_MISSING, "/x: No such file or directory"},
	{EACCES, ERROR_SYSTEM, "/x: Permission denied"},
	{ENOTDIR, ERROR_SYSTEM, "/x: Not a directory"},
	{ENOSPC, ERROR_SYSTEM, "/x: No space left on device"},
};

static void says_what_the_system_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		struct error error = {0};
		errno = numbers[i].number;
		assert_int_equal(error_errno(&error, "%s", "/x"), -1);
		CHECK_NUMBER(numbers[i].text, error.code, numbers[i].code);
		CHECK_TEXT(numbers[i].text, error.text, numbers[i].text);
	}
}

static void is_one_printable_line(void **state)
{
	char bytes[256];
	struct error error = {0};
	(void)state;
	for (int i = 1; i < 256; i++)
		bytes[i - 1] = (char)i;
	bytes[255] = '\0';
	(void)error_set(&error, ERROR_INPUT, "%s", bytes);
	for (const char *c = error.text; *c != '\0'; c++)
		assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
	(void)error_prefix(&error, "a\nb\x1b[31m");
	assert_null(strpbrk(error.text, "\n\x1b"));
	errno = EACCES;
	(void)error_errno(&error, "%s", "a\r\nb");
	assert_null(strpbrk(error.text, "\r\n"));
}

static void is_cut_at_its_end(void **state)
{
	char longest[2 * sizeof(((struct error *)NULL)->text)];
	struct error error = {0};
	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	(void)error_set(&error, ERROR_INPUT, "%s", longest);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	(void)error_prefix(&error, "prefix");
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	assert_memory_equal(error.text, "prefix: xxx", 11);
	(void)error_prefix(&error, "%s", longest);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	errno = ENOENT;
	(void)error_errno(&error, "%s", longest);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(may_go_nowhere),
		cmocka_unit_test(is_one_printable_line),
		cmocka_unit_test(is_cut_at_its_end),
		cmocka_unit_test(says_what_and_why),
		cmocka_unit_test(says_what_the_system_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
