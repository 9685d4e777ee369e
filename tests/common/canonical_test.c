/* SPDX-License-Identifier: Apache-2.0 */

/* What json_line() makes is canonical, and what it would make another text of is not. */
#include "tests/common/unit.h"

#include "common/canonical.h"
#include "common/json.h"

#define TEXT(t) (t), sizeof(t) - 1

static const struct {
	const char *text;
	size_t length;
	bool is_canonical;
} cases[] = {
	{TEXT(""), false},
	{TEXT(" {}"), false},
	{TEXT("{} "), false},
	{TEXT("{}{}"), false},
	{TEXT("{"), false},
	{TEXT("["), false},
	{TEXT("[1"), false},
	{TEXT("[1,"), false},
	{TEXT("[,1]"), false},
	{TEXT("[1,]"), false},
	{TEXT("{\"a\"}"), false},
	{TEXT("{\"a\":}"), false},
	{TEXT("{\"a\":1"), false},
	{TEXT("{\"a\":1,}"), false},
	{TEXT("{,\"a\":1}"), false},
	{TEXT("{\"a\": 1}"), false},
	{TEXT("{a:1}"), false},
	{TEXT("{\"b\":1,\"a\":2}"), false},
	{TEXT("{\"a\":1,\"a\":2}"), false},
	{TEXT("{\"ab\":1,\"a\":2}"), false},
	{TEXT("{\"\\n\":1}"), false},
	{TEXT("[\"\n\"]"), false},
	{TEXT("[\"\\/\"]"), false},
	{TEXT("[\"\\u000A\"]"), false},
	{TEXT("[\"\\u001b\"]"), false},
	{TEXT("[\"\\u0020\"]"), false},
	{TEXT("[\"\\u00E9\"]"), false},
	{TEXT("[\"\\u\"]"), false},
	{TEXT("[\"\\"), false},
	{TEXT("[\"\\u001\0\"]"), false},
	{TEXT("[\"\xff\"]"), false},
	{TEXT("[\"\xc3\"]"), false},
	{TEXT("[\"\xed\xa0\x80\"]"), false},
	{TEXT("[\"a\0\"]"), false},
	{TEXT("[\"a]"), false},
	{TEXT("[01]"), false},
	{TEXT("[-0]"), false},
	{TEXT("[9223372036854775808]"), false},
	{TEXT("[10000000000000000000]"), false},
	{TEXT("[-]"), false},
	{TEXT("[+1]"), false},
	{TEXT("[1.0]"), false},
	{TEXT("[1e3]"), false},
	{TEXT("[nul]"), false},
	{TEXT("[True]"), false},
	{TEXT("7"), false},
	{TEXT("\"a\""), false},
	{TEXT("null"), false},
	{TEXT("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), false},
	{TEXT("{}"), true},
	{TEXT("[]"), true},
	{TEXT("{\"\":0}"), true},
	{TEXT("{\"B\":[],\"a\":{},\"ab\":[{}]}"), true},
	{TEXT("[0,-1,10,999999999999999999,-9223372036854775807,9223372036854775807,true,false,null]"), true},
	{TEXT("[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u0001\\u001F/\x7f\"]"), true},
	{TEXT("[\"\xc3\xa9\xf0\x9f\x92\xa9\"]"), true},
	{TEXT("[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]"), true},
};

static void knows_the_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CHECK_NUMBER(cases[i].text, canonical_json(cases[i].text, cases[i].length), cases[i].is_canonical);
}

/* Each of the good ones is what our own writer makes of it. */
static void is_the_form_of_our_writer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *tree = NULL;
		if (!cases[i].is_canonical)
			continue;
		CHECK_NUMBER(cases[i].text, json_read(cases[i].text, cases[i].length, &tree, NULL), 0);
		CLEANUP_FREE char *line = json_line(tree);
		CHECK_TEXT(cases[i].text, line, cases[i].text);
	}
}

/* A good text with one byte changed is read and written again: either it is refused, or that changes nothing. */
static void takes_nothing_that_reads_as_another(void **state)
{
	static const char text[] = "{\"a\":[\"\\u001F\\n\xc3\xa9\",-10,true],\"b\":{\"c\":null,\"d\":{}}}";
	(void)state;
	for (size_t at = 0; at < sizeof(text) - 1; at++)
		for (int byte = 0; byte < 256; byte++) {
			char changed[sizeof(text)];
			CLEANUP_JSON json_t *tree = NULL;
			memcpy(changed, text, sizeof(text));
			changed[at] = (char)byte;
			if (!canonical_json(changed, sizeof(text) - 1))
				continue;
			assert_int_equal(json_read(changed, sizeof(text) - 1, &tree, NULL), 0);
			CLEANUP_FREE char *line = json_line(tree);
			assert_string_equal(line, changed);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_form),
		cmocka_unit_test(is_the_form_of_our_writer),
		cmocka_unit_test(takes_nothing_that_reads_as_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
