/* SPDX-License-Identifier: Apache-2.0 */

/* The reader of settings files, with a table of its own: whatever is not understood is refused, with its line. */
#include "tests/common/unit.h"

#include "common/options.h"

struct config {
	char text[8];
	int64_t number;
	int choice;
	char fixed[8];
	char named[256];
};

static bool is_not_x(const char *value)
{
	return value[0] != 'x';
}

static const struct option_choice choices[] = {{"one", false}, {"two", false}, {"three", true}, {0}};
static const struct option_row table[] = {
	{"first", "text", OPTION_TEXT, offsetof(struct config, text), 8, "abc", .is_valid = is_not_x,
         .expected = "no x"},
	{"first", "number", OPTION_INT, offsetof(struct config, number), .default_text = "5", .minimum = 2,
         .maximum = 9},
	{"second", "choice", OPTION_CHOICE, offsetof(struct config, choice), .default_text = "one", .choices = choices},
	{"second", "fixed", OPTION_TEXT, offsetof(struct config, fixed), 8, "", .unserved_unless_default = true},
};

static int take_named(void *config, const char *section, const char *name, const char *key, const char *value,
                      struct error *err)
{
	struct config *to = config;
	size_t used = strlen(to->named);
	if (strcmp(section, "rule") != 0)
		return error_set(err, ERROR_INPUT, "[%s \"%s\"]: unknown section", section, name);
	if (key == NULL)
		return 0; /* the heading alone */
	if (key == NULL)
		return 0; /* the heading itself */
	(void)snprintf(to->named + used, sizeof(to->named) - used, "%s:%s=%s;", name, key, value);
	return 0;
}

static const struct options options = {.table = table, .count = ARRAY_LENGTH(table), .named = take_named};
static const struct options without_names = {.table = table, .count = ARRAY_LENGTH(table)};

static char folder[PATH_MAX], path[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_path(path, unit_folder(folder), "a.conf");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static int load_bytes(const struct options *with, const char *bytes, size_t length, struct config *ret,
                      struct error *err)
{
	*ret = (struct config){0};
	unit_write(path, bytes, length);
	return options_load(with, path, ret, err);
}

static const struct {
	const char *text;
	int line;
	const char *says;
} refused[] = {
	{"number = 5\n", 1, "number: a setting outside of any section"},
	{"\n\nnumber = 5\n[first]\n", 3, "outside of any section"},
	{"[first]\nnumber\n", 2, "number: expected `key = value`"},
	{"[first]\n= 5\n", 2, "unknown setting"},
	{"[first]\nNumber = 5\n", 2, "[first] Number: unknown setting"},
	{"[first]\nchoice = one\n", 2, "[first] choice: unknown setting"},
	{"[third]\n", 1, "[third]: unknown section"},
	{"[third]\nnumber = 5\n", 1, "[third]: unknown section"},
	{"[First]\n", 1, "[First]: unknown section"},
	{"[]\n", 1, "[]: "},
	{"[\n", 1, "[: "},
	{"[first\nnumber = 5\n", 1, "[first: "},
	{"[first] number = 5\n", 1, "unknown section"},
	{"[first]]\n", 1, "unknown section"},
	{"[ first ]\n", 1, "unknown section"},
	{"first]\n", 1, "expected `key = value`"},
	{"[first]\nnumber = 5\nnumber = 5\n", 3, "[first] number: given twice"},
	{"[first]\nnumber = 5\n[second]\n[first]\nnumber = 6\n", 5, "[first] number: given twice"},
	{"[first]\nnumber = 1\n", 2, "[first] number = 1: expected a whole number from 2 to 9"},
	{"[first]\nnumber = 10\n", 2, "from 2 to 9"},
	{"[first]\nnumber =\n", 2, "from 2 to 9"},
	{"[first]\nnumber = 5 6\n", 2, "from 2 to 9"},
	{"[first]\nnumber = 5#\n", 2, "from 2 to 9"},
	{"[first]\ntext = xyz\n", 2, "[first] text = xyz: expected no x"},
	{"[first]\ntext = 12345678\n", 2, "[first] text: longer than 7 bytes"},
	{"[second]\nchoice = four\n", 2, "[second] choice = four: expected one | two | three"},
	{"[second]\nchoice = three\n", 2, "[second] choice = three: not served by this version"},
	{"[second]\nchoice =\n", 2, "expected one | two | three"},
	{"[second]\nfixed = a\n", 2, "[second] fixed = a: not served by this version"},
	{"[rules \"a\"]\nx = 1\n", 1, "[rules \"a\"]: unknown section"},
	{"[rule]\n", 1, "[rule]: unknown section"},
	{"[rule a]\n", 1, "[rule a]: unknown section"},
	{"[rule \"a]\n", 1, "unknown section"},
	{"[rule a\"]\n", 1, "unknown section"},
	{"[\"a\"]\nx = 1\n", 1, "unknown section"},
	{"[first]\n  continued\n", 2, "continued: expected `key = value`"},
	{"[first]\nnumber = 5\n \t6\n", 3, "6: expected `key = value`"},
	{"[first]\n\xef\xbb\xbfnumber = 5\n", 2, "unknown setting"},
	{"\xef\xbb\xbf\xef\xbb\xbf[first]\n", 1, "expected `key = value`"},
	{"\xef\xbb\xbfnumber = 5\n", 1, ":1: number: a setting outside of any section"},
	{"[first]\ntext: a=b\n", 2, "text: a=b: expected `key = value`"},
	{"[first]\nnumber: 5\n", 2, "number: 5: expected `key = value`"},
};

static void refuses_with_the_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		struct config config;
		struct error problem = {0};
		char start_of[PATH_MAX + 16];
		CHECK_NUMBER(refused[i].text,
		             load_bytes(&options, refused[i].text, strlen(refused[i].text), &config, &problem), -1);
		CHECK_NUMBER(refused[i].text, problem.code, ERROR_INPUT);
		(void)snprintf(start_of, sizeof(start_of), "%s:%d: ", path, refused[i].line);
		if (strncmp(problem.text, start_of, strlen(start_of)) != 0 ||
		    strstr(problem.text, refused[i].says) == NULL)
			fail_msg("%s: %s", refused[i].text, problem.text);
	}
}

static void refuses_names_where_there_are_none(void **state)
{
	static const char text[] = "[rule \"a\"]\nx = 1\n";
	struct config config;
	struct error problem = {0};
	(void)state;
	assert_int_equal(load_bytes(&without_names, text, strlen(text), &config, &problem), -1);
	assert_non_null(strstr(problem.text, "unknown section"));
}

static void refuses_an_unknown_heading_without_settings(void **state)
{
	static const char text[] = "[rules \"a\"]\n[first]\nnumber = 6\n";
	struct config config;
	struct error problem = {0};
	(void)state;
	assert_int_equal(load_bytes(&options, text, strlen(text), &config, &problem), -1);
}

static void says_what_cannot_be_read(void **state)
{
	struct config config;
	struct error problem = {0};
	char missing[PATH_MAX];
	(void)state;
	assert_int_equal(options_load(&options, unit_path(missing, folder, "missing"), &config, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_int_equal(options_load(&options, folder, &config, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
	assert_non_null(strstr(problem.text, "expected a file, it is a folder"));
}

static const struct option_row bad_table[] = {
	{"a", "b", OPTION_INT, 0, .default_text = "10", .minimum = 0, .maximum = 9},
};

static void checks_its_own_defaults(void **state)
{
	const struct options bad = {.table = bad_table, .count = 1};
	int64_t number;
	struct error problem = {0};
	(void)state;
	assert_int_equal(options_load(&bad, NULL, &number, &problem), -1);
	assert_non_null(strstr(problem.text, "built-in default"));
}

static const struct {
	const char *text;
	const char *value;
	int64_t number;
	int choice;
	const char *named;
} taken[] = {
	{"", "abc", 5, 0, ""},
	{"\n\n", "abc", 5, 0, ""},
	{"[first]", "abc", 5, 0, ""},
	{"[first]\nnumber=7", "abc", 7, 0, ""},
	{"[first]\nnumber = 7\n", "abc", 7, 0, ""},
	{"[first]\r\nnumber = 7\r\n", "abc", 7, 0, ""},
	{"\xef\xbb\xbf[first]\r\nnumber = 7\r\n", "abc", 7, 0, ""},
	{"\xef\xbb\xbf# a comment\n[first]\nnumber = 7\n", "abc", 7, 0, ""},
	{"\xef\xbb\xbf", "abc", 5, 0, ""},
	{"[first]\ntext = a:b\n", "a:b", 5, 0, ""},
	{"  [first]  \n\t number\t=\t7  \n", "abc", 7, 0, ""},
	{"[first]\nnumber = 7\n[second]\nchoice = two\n[first]\ntext = q\n", "q", 7, 1, ""},
	{"[first]\ntext =\n", "", 5, 0, ""},
	{"[first]\ntext = a b\n", "a b", 5, 0, ""},
	{"[first]\ntext = a=b\n", "a=b", 5, 0, ""},
	{"[first]\ntext = 1234567\n", "1234567", 5, 0, ""},
	{"# a\n; b\n[first] # c\nnumber = 7 ; d\ntext = q\t# e\n", "q", 7, 0, ""},
	{"   # indented\n[first]\ntext = a#b;c\n", "a#b;c", 5, 0, ""},
	{"[first]\ntext = # all of it\n", "", 5, 0, ""},
	{"[second]\nfixed =\n", "abc", 5, 0, ""},
	{"[rule \"a b\"]\nx = 1\ny = 2\n[first]\n[rule \"c\"]\nx = 3\n", "abc", 5, 0, "a b:x=1;a b:y=2;c:x=3;"},
	{"[rule \"a\"]\nx = 1\nx = 2\n", "abc", 5, 0, "a:x=1;a:x=2;"},
	{"[rule\"a\"]\nx = 1\n", "abc", 5, 0, "a:x=1;"},
};

static void takes_what_is_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
		struct config config;
		struct error problem = {0};
		if (load_bytes(&options, taken[i].text, strlen(taken[i].text), &config, &problem) < 0)
			fail_msg("%s: %s", taken[i].text, problem.text);
		CHECK_TEXT(taken[i].text, config.text, taken[i].value);
		CHECK_NUMBER(taken[i].text, config.number, taken[i].number);
		CHECK_NUMBER(taken[i].text, config.choice, taken[i].choice);
		CHECK_TEXT(taken[i].text, config.named, taken[i].named);
	}
}

static void gives_defaults_without_a_file(void **state)
{
	struct config config = {0};
	(void)state;
	assert_int_equal(options_load(&options, NULL, &config, NULL), 0);
	assert_string_equal(config.text, "abc");
	assert_int_equal(config.number, 5);
	assert_int_equal(config.choice, 0);
}

/* `before` in front of `middle` times 'a' and `behind`. */
static size_t long_line(char *to, const char *before, size_t middle, const char *behind)
{
	char *at = stpcpy(to, before);
	memset(at, 'a', middle);
	at = stpcpy(at + middle, behind);
	return (size_t)(at - to);
}

/* What is around a line's text and behind it does not count. */
static void bounds_a_line(void **state)
{
	static char text[20000];
	struct config config;
	struct error problem = {0};
	(void)state;
	size_t length = long_line(text, "[rule \"a\"]\nxyz = ", OPTIONS_LINE_BYTES - 5, "\n");
	assert_int_equal(load_bytes(&options, text, length, &config, &problem), -1);
	assert_non_null(strstr(problem.text, ":2: a line of more than 198 bytes"));
	length = long_line(text, "[rule \"a\"]\nxyz = ", 10000, "\n");
	assert_int_equal(load_bytes(&options, text, length, &config, &problem), -1);
	assert_non_null(strstr(problem.text, ":2: a line of more than 198 bytes"));
	length = long_line(text, "[rule \"a\"]\n    xyz = ", OPTIONS_LINE_BYTES - 10, "    # comment\n");
	if (load_bytes(&options, text, length, &config, &problem) < 0)
		fail_msg("%s", problem.text);
}

static void takes_the_longest_line(void **state)
{
	static char text[512];
	struct config config;
	struct error problem = {0};
	(void)state;
	size_t length = long_line(text, "[rule \"a\"]\nxyz = ", OPTIONS_LINE_BYTES - 6, "\n");
	if (load_bytes(&options, text, length, &config, &problem) < 0)
		fail_msg("%s", problem.text);
}

/* However long a comment is, its end is no setting. */
static void takes_no_end_of_a_comment_for_a_setting(void **state)
{
	static char text[8192];
	(void)state;
	for (size_t middle = 4060; middle < 4100; middle++) {
		struct config config;
		size_t length = long_line(text, "[first]\n#", middle, "number = 7\n");
		if (load_bytes(&options, text, length, &config, NULL) == 0)
			CHECK_NUMBER("a setting out of a comment", config.number, 5);
	}
}

static void counts_lines_behind_a_long_comment(void **state)
{
	static char text[8192];
	struct config config;
	struct error problem = {0};
	(void)state;
	size_t length = long_line(text, "[first]\n#", 5000, "\nnumber = x\n");
	assert_int_equal(load_bytes(&options, text, length, &config, &problem), -1);
	if (strstr(problem.text, ":3: ") == NULL && strstr(problem.text, ":2: ") == NULL)
		fail_msg("%s", problem.text);
}

static void takes_nothing_before_a_nul_for_a_line(void **state)
{
	static const char text[] = "[first]\nnumber = 7\0 and more\n";
	struct config config;
	(void)state;
	assert_int_equal(load_bytes(&options, text, sizeof(text) - 1, &config, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_with_the_line),
		cmocka_unit_test(refuses_names_where_there_are_none),
		cmocka_unit_test(refuses_an_unknown_heading_without_settings),
		cmocka_unit_test(says_what_cannot_be_read),
		cmocka_unit_test(checks_its_own_defaults),
		cmocka_unit_test(bounds_a_line),
		cmocka_unit_test(takes_the_longest_line),
		cmocka_unit_test(takes_no_end_of_a_comment_for_a_setting),
		cmocka_unit_test(counts_lines_behind_a_long_comment),
		cmocka_unit_test(takes_nothing_before_a_nul_for_a_line),
		cmocka_unit_test(takes_what_is_right),
		cmocka_unit_test(gives_defaults_without_a_file),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
