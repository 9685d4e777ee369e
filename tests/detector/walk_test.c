/* SPDX-License-Identifier: Apache-2.0 */

/* The cursor: what is no JSON first; then every escape; then against jansson. */
#include "tests/detector/support.h"

#include "detector/walk.h"

static void test_broken_values(void **state)
{
	static const char *const bad[] = {"",     " ", "\"", "\"abc", "\"abc\\\"", "{", "[", "{\"a\":[1,2}",
	                                  "[[[]", "}", "]",  ","};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		/* The brackets' kinds are not compared: {"a":[1,2} misses one. */
		struct walk walk = {bad[i], bad[i] + strlen(bad[i])};
		if (walk_skip(&walk))
			fail_msg("skipped \"%s\"", bad[i]);
	}
}

static void test_skips(void **state)
{
	static const char *const good[] = {"1",    "-1.5e9",    "true",       "null",
	                                   "\"\"", "\"a\\\\\"", "\"a\\\"b\"", "{\"a\":[1,{\"b\":\"]}\"}]}",
	                                   "[]",   "{}"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		char text[64];
		(void)snprintf(text, sizeof(text), "%s ,x", good[i]);
		struct walk walk = {text, text + strlen(text)};
		assert_true(walk_skip(&walk));
		assert_int_equal(walk_peek(&walk), ',');
	}
}

/* Or a bracket within would count for the cutting of records and not here. */
static void test_no_scalar_holds_structure(void **state)
{
	static const char *const odd[] = {"x{\"a\":1}", "x}", "x[1]", "x]", "x\"y\"", "x:1"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(odd); i++) {
		struct walk walk = {odd[i], odd[i] + strlen(odd[i])};
		assert_true(walk_skip(&walk));
		assert_ptr_equal(walk.at, odd[i] + 1);
	}
}

static void test_texts(void **state)
{
	static const struct {
		const char *json, *text; /* NULL: refused */
	} cases[] = {
		{"abc", NULL},
		{"\"abc", NULL},
		{"\"\\x\"", NULL},
		{"\"\\u12\"", NULL},
		{"\"\\u12g4\"", NULL},
		{"\"\\", NULL},
		{"\"\\u0041SIA\"", "ASIA"},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
		{"\"\\u00e4\\u20ac\"", "\xc3\xa4\xe2\x82\xac"},
		{"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
		{"\"\\ud83d\"", "\xef\xbf\xbd"},
		{"\"\\ude00x\"", "\xef\xbf\xbdx"},
		{"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
	                               "A"},
		{"\"a\\u0000b\"", "a b"},
		{"\"\xc3\xa4\xff\xc3(\xe2\x82\"", "\xc3\xa4?"
	                                          "?(?"
	                                          "?"},
		{"\"\\n\xed\xa0\x80\"", "\n???"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char text[64] = "untouched";
		struct walk walk = {cases[i].json, cases[i].json + strlen(cases[i].json)};
		bool read = walk_text(&walk, text, sizeof(text), NULL);
		if (read != (cases[i].text != NULL) || (read && strcmp(text, cases[i].text) != 0))
			fail_msg("%s gave %s", cases[i].json, text);
	}
}

static void test_cuts_long_texts(void **state)
{
	const char json[] = "\"0123456789\",";
	struct walk walk = {json, json + strlen(json)};
	char text[5];
	bool fits;
	(void)state;
	assert_true(walk_text(&walk, text, sizeof(text), &fits));
	assert_false(fits);
	assert_string_equal(text, "0123");
	assert_int_equal(walk_peek(&walk), ',');
}

/* Every text of real records, encoded by jansson and read back. */
static void check_texts(const json_t *value)
{
	if (json_is_string(value)) {
		CLEANUP_FREE char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		size_t length = strlen(json);
		CLEANUP_FREE char *text = malloc(length + 1);
		struct walk walk = {json, json + length};
		assert_true(walk_text(&walk, text, length + 1, NULL));
		assert_string_equal(text, json_string_value(value));
	}
	const char *name;
	json_t *member;
	json_t *object = (json_t *)(uintptr_t)value;
	json_object_foreach (object, name, member)
		check_texts(member);
	for (size_t i = 0; i < json_array_size(value); i++)
		check_texts(json_array_get(value, i));
}

static void test_real_texts(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	(void)state;
	assert_int_equal(buffer_read_file(&text, OTRF_FILE, NULL), 0);
	for (char *line = strtok(text.bytes, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		CLEANUP_JSON json_t *record = support_json(line);
		check_texts(record);
		struct walk walk = {line, line + strlen(line)};
		assert_true(walk_skip(&walk));
		assert_int_equal(walk_peek(&walk), '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken_values),
		cmocka_unit_test(test_skips),
		cmocka_unit_test(test_no_scalar_holds_structure),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_cuts_long_texts),
		cmocka_unit_test(test_real_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
