/* SPDX-License-Identifier: Apache-2.0 */

/* Strict parsing and safe printing, with the inputs that break others. */
#include "tests/common/unit.h"

#include "common/text.h"

static const struct {
	const char *text;
	uint64_t maximum;
	bool good;
	uint64_t value;
} numbers[] = {
	{"", UINT64_MAX, false, 0},
	{" ", UINT64_MAX, false, 0},
	{" 1", UINT64_MAX, false, 0},
	{"1 ", UINT64_MAX, false, 0},
	{"+1", UINT64_MAX, false, 0},
	{"-1", UINT64_MAX, false, 0},
	{"-0", UINT64_MAX, false, 0},
	{"0x1", UINT64_MAX, false, 0},
	{"1e3", UINT64_MAX, false, 0},
	{"1.0", UINT64_MAX, false, 0},
	{"1,000", UINT64_MAX, false, 0},
	{"1\n", UINT64_MAX, false, 0},
	{"\xd9\xa1", UINT64_MAX, false, 0},
	{"18446744073709551616", UINT64_MAX, false, 0},
	{"18446744073709551620", UINT64_MAX, false, 0},
	{"28446744073709551615", UINT64_MAX, false, 0},
	{"99999999999999999999", UINT64_MAX, false, 0},
	{"184467440737095516150", UINT64_MAX, false, 0},
	{"000000000000000000000000018446744073709551616", UINT64_MAX, false, 0},
	{"6", 5, false, 0},
	{"1", 0, false, 0},
	{"0", 0, true, 0},
	{"5", 5, true, 5},
	{"00000000000000000000000000005", 5, true, 5},
	{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
	{"18446744073709551609", UINT64_MAX, true, UINT64_MAX - 6},
};

static void reads_numbers_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		uint64_t value = 77;
		CHECK_NUMBER(numbers[i].text, text_to_u64(numbers[i].text, numbers[i].maximum, &value),
		             numbers[i].good);
		CHECK(numbers[i].text, value == (numbers[i].good ? numbers[i].value : 77));
	}
}

static const struct {
	const char *from;
	size_t size;
	bool fits;
	const char *to;
} copies[] = {
	{"", 1, true, ""},       {"a", 1, false, ""},     {"abc", 3, false, "ab"},
	{"abc", 4, true, "abc"}, {"abc", 9, true, "abc"},
};

static void copies_and_says_whether_it_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(copies); i++) {
		char to[16];
		memset(to, 'x', sizeof(to));
		CHECK_NUMBER(copies[i].from, text_copy(to, copies[i].size, copies[i].from), copies[i].fits);
		CHECK_TEXT(copies[i].from, to, copies[i].to);
		CHECK(copies[i].from, to[copies[i].size] == 'x');
	}
}

static const struct {
	const char *bytes;
	size_t length, size;
	const char *escaped;
} escapes[] = {
	{"", 0, 10, ""},
	{"abc", 3, 10, "abc"},
	{"a\0b", 3, 10, "a\\x00b"},
	{"\n\r\t", 3, 20, "\\x0a\\x0d\\x09"},
	{"\x1b[31m", 5, 20, "\\x1b[31m"},
	{"\x7f\x80\xff", 3, 20, "\\x7f\\x80\\xff"},
	{"\xc3\xa9", 2, 20, "\\xc3\\xa9"},
	{"\\\"", 2, 20, "\\\\\\\""},
	{" ~", 2, 20, " ~"},
	/* Cut between escapes, never inside one. */
	{"abc", 3, 3, "ab"},
	{"abc", 3, 1, ""},
	{"a\n", 2, 5, "a"},
	{"a\n", 2, 6, "a\\x0a"},
	{"a\\b", 3, 3, "a"},
	{"a\nb", 3, 5, "a"},
};

static void escapes_what_is_not_printable(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(escapes); i++) {
		char *to = malloc(escapes[i].size); /* on the heap, where writing too far is seen */
		assert_non_null(to);
		char *returned = text_escape(to, escapes[i].size, escapes[i].bytes, escapes[i].length);
		assert_ptr_equal(returned, to);
		CHECK_TEXT(escapes[i].escaped, to, escapes[i].escaped);
		free(to);
	}
}

#define BYTES(text) (text), sizeof(text) - 1

static const struct {
	const char *name, *bytes;
	size_t length;
	const char *utf8;
} sequences[] = {
	{"empty", BYTES(""), ""},
	{"ASCII", BYTES("a~\x7f\n"), "a~\x7f\n"},
	{"NUL", BYTES("a\0b"), "a\\x00b"},
	{"two bytes", BYTES("\xc2\x80\xdf\xbf"), "\xc2\x80\xdf\xbf"},
	{"three bytes", BYTES("\xe0\xa0\x80\xef\xbf\xbf"), "\xe0\xa0\x80\xef\xbf\xbf"},
	{"around the surrogates", BYTES("\xed\x9f\xbf\xee\x80\x80"), "\xed\x9f\xbf\xee\x80\x80"},
	{"four bytes", BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
	{"lone continuation",
         BYTES("a\x80"
               "b"),
         "a\\x80b"},
	{"overlong NUL", BYTES("\xc0\x80"), "\\xc0\\x80"},
	{"overlong slash", BYTES("\xc0\xaf"), "\\xc0\\xaf"},
	{"overlong slash, three bytes", BYTES("\xe0\x80\xaf"), "\\xe0\\x80\\xaf"},
	{"overlong slash, four bytes", BYTES("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf"},
	{"largest overlong of two", BYTES("\xc1\xbf"), "\\xc1\\xbf"},
	{"largest overlong of three", BYTES("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf"},
	{"largest overlong of four", BYTES("\xf0\x8f\xbf\xbf"), "\\xf0\\x8f\\xbf\\xbf"},
	{"high surrogate", BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
	{"low surrogate", BYTES("\xed\xbf\xbf"), "\\xed\\xbf\\xbf"},
	{"pair of surrogates", BYTES("\xed\xa0\xbd\xed\xb8\x80"), "\\xed\\xa0\\xbd\\xed\\xb8\\x80"},
	{"beyond the last", BYTES("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},
	{"f5", BYTES("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80"},
	{"fe ff", BYTES("\xfe\xff"), "\\xfe\\xff"},
	{"two bytes cut", BYTES("\xc3"), "\\xc3"},
	{"three bytes cut", BYTES("\xe2\x82"), "\\xe2\\x82"},
	{"four bytes cut", BYTES("\xf0\x9f\x98"), "\\xf0\\x9f\\x98"},
	{"cut, then ASCII",
         BYTES("\xe2\x82"
               "a"),
         "\\xe2\\x82a"},
	{"cut, then a whole one", BYTES("\xe2\x82\xc3\xa9"), "\\xe2\\x82\xc3\xa9"},
	{"bad third byte", BYTES("\xe2\x82\x28"), "\\xe2\\x82("},
	{"bad fourth byte", BYTES("\xf0\x9f\x98\x28"), "\\xf0\\x9f\\x98("},
};

static void makes_utf8_of_anything(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sequences); i++) {
		char *exact = malloc(sequences[i].length + 1); /* no byte behind the end may be read */
		assert_non_null(exact);
		memcpy(exact, sequences[i].bytes, sequences[i].length);
		exact = realloc(exact, sequences[i].length > 0 ? sequences[i].length : 1);
		assert_non_null(exact);
		CLEANUP_FREE char *made = text_to_utf8(exact, sequences[i].length);
		free(exact);
		CHECK_TEXT(sequences[i].name, made, sequences[i].utf8);
	}
	assert_null(text_to_utf8("", SIZE_MAX));
	assert_null(text_to_utf8("", SIZE_MAX / 4));
}

static const struct {
	const char *pattern, *text;
	bool matches;
} globs[] = {
	{"", "", true},
	{"", "a", false},
	{"a", "", false},
	{"a", "a", true},
	{"a", "A", false},
	{"a", "ab", false},
	{"ab", "a", false},
	{"?", "", false},
	{"?", "a", true},
	{"?", "ab", false},
	{"??", "ab", true},
	{"*", "", true},
	{"*", "abc", true},
	{"**", "", true},
	{"*a", "a", true},
	{"*a", "ba", true},
	{"*a", "ab", false},
	{"a*", "a", true},
	{"a*", "abc", true},
	{"a*", "ba", false},
	{"a*c", "abbc", true},
	{"a*c", "abcb", false},
	{"*a*", "bab", true},
	{"a*a", "a", false},
	{"a*a", "aa", true},
	{"/a/*", "/a/b/c", true},
	{"*/c", "/a/b/c", true},
	{"[a]", "a", false},
	{"[a]", "[a]", true},
	{"\\*", "*", false},
	{"*ab*ab*ab", "abababab", true},
	{"*?*", "", false},
	{"*?*", "a", true},
	{"a?c*e", "abcde", true},
	{"*.service", "nginx.service", true},
	{"*.service", "nginx.scope", false},
	/* Exponential for those who recurse. */
	{"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         false},
};

static void matches_globs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(globs); i++) {
		char name[160];
		(void)snprintf(name, sizeof(name), "'%s' and '%s'", globs[i].pattern, globs[i].text);
		CHECK_NUMBER(name, text_glob(globs[i].pattern, globs[i].text), globs[i].matches);
	}
}

static const struct {
	const char *text, *trimmed;
} trims[] = {
	{"", ""},    {" ", ""},   {" \t\r\n ", ""},   {"a", "a"},
	{" a", "a"}, {"a ", "a"}, {"\ta b\n", "a b"}, {"\xc2\xa0", "\xc2\xa0"},
};

static const struct {
	const char *patterns, *text;
	bool matches;
} lists[] = {
	{"", "", false},       {"", "a", false},        {"a", "a", true},      {"a b", "b", true},
	{"a b", "a b", false}, {" a\t\tb ", "b", true}, {"x* y?", "y1", true}, {"x* y?", "z", false},
	{"  ", "", false},     {"ab", "a", false},
};

static void matches_lists_of_globs(void **state)
{
	char long_one[202];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		CHECK_NUMBER(lists[i].patterns, text_glob_any(lists[i].patterns, lists[i].text), lists[i].matches);
	memset(long_one, 'a', sizeof(long_one) - 1);
	long_one[201] = '\0';
	assert_false(text_glob_any(long_one, long_one));
	assert_true(text_glob_any(long_one + 2, long_one + 2));
}

static void trims_both_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(trims); i++) {
		char text[16];
		(void)snprintf(text, sizeof(text), "%s", trims[i].text);
		CHECK_TEXT(trims[i].text, text_trim(text), trims[i].trimmed);
	}
}

static void knows_starts(void **state)
{
	(void)state;
	assert_true(text_starts("abc", "abc"));
	assert_true(text_starts("abc", "a"));
	assert_true(text_starts("abc", ""));
	assert_true(text_starts("", ""));
	assert_false(text_starts("abc", "abcd"));
	assert_false(text_starts("abc", "b"));
	assert_false(text_starts("", "a"));
}

static const struct {
	const char *text, *decoded; /* decoded NULL: refused */
} forms[] = {
	{"", ""},      {"plain", "plain"}, {"a+b%2Bc", "a b+c"}, {"%C3%bc%2f", "\xc3\xbc/"},
	{"%", NULL},   {"%2", NULL},       {"a%2", NULL},        {"%zz", NULL},
	{"%00", NULL}, {"% 5", NULL},      {"%+5", NULL},        {"%25%32%35", "%25"},
};

static void test_decode_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "%s", forms[i].text);
		bool is_decoded = text_decode_form(text);
		if (is_decoded != (forms[i].decoded != NULL) || (is_decoded && strcmp(text, forms[i].decoded) != 0))
			fail_msg("%s: %d, %s", forms[i].text, is_decoded, text);
	}
}

static void gives_the_last_part_of_a_path(void **state)
{
	static const struct {
		const char *path, *base;
	} cases[] = {{"/usr/bin/curl", "curl"},
	             {"s3://b/a/c.json", "c.json"},
	             {"curl", "curl"},
	             {"a/", ""},
	             {"/", ""},
	             {"", ""}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_base(cases[i].path), cases[i].base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_form),
		cmocka_unit_test(reads_numbers_strictly),
		cmocka_unit_test(makes_utf8_of_anything),
		cmocka_unit_test(escapes_what_is_not_printable),
		cmocka_unit_test(copies_and_says_whether_it_fits),
		cmocka_unit_test(matches_globs),
		cmocka_unit_test(matches_lists_of_globs),
		cmocka_unit_test(trims_both_ends),
		cmocka_unit_test(knows_starts),
		cmocka_unit_test(gives_the_last_part_of_a_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
