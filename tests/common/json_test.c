/* SPDX-License-Identifier: Apache-2.0 */

/* JSON: null is the same as absent everywhere, and every error names its place. */
#include "tests/common/unit.h"

#include "common/json.h"

static const struct {
	const char *text, *says;
} broken[] = {
	{"", "line 1"},
	{" ", "line 1"},
	{"{", "line 1"},
	{"[1,]", "line 1"},
	{"{\"a\":1,}", "line 1"},
	{"{\"a\"}", "line 1"},
	{"{'a':1}", "line 1"},
	{"{\"a\":01}", "line 1"},
	{"{\"a\":+1}", "line 1"},
	{"{\"a\":.5}", "line 1"},
	{"{\"a\":NaN}", "line 1"},
	{"{\"a\":tru}", "line 1"},
	{"{\"a\":\"\x01\"}", "line 1"},
	{"{\"a\":\"\xff\"}", "byte 0xff"},
	{"{\"a\":\"\xed\xa0\x80\"}", "byte 0xed"},
	{"{\"a\":\"\\ud800\"}", "line 1"},
	{"{\"a\":\"\\x\"}", "line 1"},
	{"{\"a\":1}x", "end of file"},
	{"{\"a\":1}{}", "end of file"},
	{"{\n\"a\":1,\n\"a\":2}", "line 3"},
	{"{\"a\":{\"b\":1,\"b\":1}}", "duplicate"},
	{"{\"a\":99999999999999999999}", "too big"},
	{"1", "line 1"},
	{"\"a\"", "line 1"},
	{"null", "line 1"},
	{"/* c */{}", "line 1"},
};

static void refuses_what_is_no_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
		json_t *value = NULL;
		struct error problem = {0};
		CHECK_NUMBER(broken[i].text, json_read(broken[i].text, strlen(broken[i].text), &value, &problem), -1);
		CHECK_NUMBER(broken[i].text, problem.code, ERROR_INPUT);
		CHECK(broken[i].text, strstr(problem.text, broken[i].says) != NULL);
		CHECK(broken[i].text, value == NULL);
	}
}

static void bounds_the_depth(void **state)
{
	static char text[100000];
	json_t *value = NULL;
	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(json_read(text, sizeof(text), &value, NULL), -1);
}

static void names_the_file(void **state)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct error problem = {0};
	json_t *value = NULL;
	(void)state;
	(void)unit_path(path, unit_folder(folder), "a.json");
	assert_int_equal(json_read_file(path, &value, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	unit_write(path, "{\n}\n]", 5);
	assert_int_equal(json_read_file(path, &value, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
	assert_non_null(strstr(problem.text, path));
	assert_non_null(strstr(problem.text, "line 3"));
	unit_write(path, "", 0);
	assert_int_equal(json_read_file(path, &value, &problem), -1);
	assert_null(value);
	unit_write(path, "{\"a\":1}", 7);
	assert_int_equal(json_read_file(path, &value, &problem), 0);
	json_decref(value);
	unit_folder_remove(folder);
}

static json_t *json_of(const char *text)
{
	json_t *value = NULL;
	struct error problem = {0};
	if (json_read(text, strlen(text), &value, &problem) < 0)
		fail_msg("%s: %s", text, problem.text);
	return value;
}

static const struct {
	const char *text, *line;
} lines[] = {
	{"{ }", "{}"},
	{"{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
	{"{\"b\":{\"d\":[ 1 , 2 ],\"c\":null}}", "{\"b\":{\"c\":null,\"d\":[1,2]}}"},
	{"{\"a\":\"\\u00e9\\/\\n\"}", "{\"a\":\"\xc3\xa9/\\n\"}"},
	{"{\"a\":true,\"A\":false,\"\":0}", "{\"\":0,\"A\":false,\"a\":true}"},
	{"{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808}"},
	{"{\"a\":\"\\u0000\"}", "{\"a\":\"\\u0000\"}"},
};

static void has_one_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		CLEANUP_JSON json_t *value = json_of(lines[i].text);
		CLEANUP_FREE char *line = json_line(value);
		CHECK_TEXT(lines[i].text, line, lines[i].line);
		CLEANUP_JSON json_t *again = json_of(line);
		CLEANUP_FREE char *line_again = json_line(again);
		CHECK_TEXT(lines[i].text, line_again, line);
	}
}

#define TREE                                                                                                           \
	"{\"t\":\"x\",\"e\":\"\",\"i\":7,\"r\":1.5,\"b\":true,\"n\":null,\"l\":[1],\"o\":{\"t\":\"y\",\"n\":null,"     \
	"\"o\":{\"i\":8}}}"

static const struct {
	const char *path;
	bool is_there;
	const char *text; /* NULL: no text there */
	int64_t number;   /* 0: no integer there */
} places[] = {
	{"t", true, "x", 0},
	{"e", true, "", 0},
	{"i", true, NULL, 7},
	{"r", true, NULL, 0},
	{"b", true, NULL, 0},
	{"n", false, NULL, 0},
	{"x", false, NULL, 0},
	{"l", true, NULL, 0},
	{"o", true, NULL, 0},
	{"o.t", true, "y", 0},
	{"o.n", false, NULL, 0},
	{"o.x", false, NULL, 0},
	{"o.o.i", true, NULL, 8},
	{"t.t", false, NULL, 0},
	{"n.t", false, NULL, 0},
	{"l.0", false, NULL, 0},
	{"o.o.i.x", false, NULL, 0},
	{".t", false, NULL, 0},
	{"o..t", false, NULL, 0},
	{"T", false, NULL, 0},
	{"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt", false, NULL, 0},
};

static void looks_by_path(void **state)
{
	CLEANUP_JSON json_t *tree = json_of(TREE);
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		int64_t number = 77;
		bool flag = true;
		CHECK_NUMBER(places[i].path, json_at(tree, places[i].path) != NULL, places[i].is_there);
		const char *text = json_text_at(tree, places[i].path);
		CHECK_NUMBER(places[i].path, text != NULL, places[i].text != NULL);
		if (text != NULL)
			CHECK_TEXT(places[i].path, text, places[i].text);
		CHECK_NUMBER(places[i].path, json_int_at(tree, places[i].path, &number), places[i].number != 0);
		CHECK_NUMBER(places[i].path, number, places[i].number != 0 ? places[i].number : 77);
		CHECK_NUMBER(places[i].path, json_bool_at(tree, places[i].path, &flag),
		             strcmp(places[i].path, "b") == 0);
		CHECK(places[i].path, json_at(NULL, places[i].path) == NULL);
	}
}

static void writes_every_named_field(void **state)
{
	CLEANUP_JSON json_t *object = json_object();
	(void)state;
	json_put_text(object, "a", NULL);
	json_put_text(object, "b", "x");
	json_put_text(object, "c", "\xff\n");
	json_put_int(object, "d", -1);
	json_put_bool(object, "e", false);
	json_put_time(object, "f", 0);
	json_put_time(object, "g", 1);
	json_put(object, "h", NULL);
	json_put(object, "i", json_array());
	json_put_text(object, "b", "y"); /* the last one stands */
	CLEANUP_FREE char *line = json_line(object);
	assert_string_equal(line, "{\"a\":null,\"b\":\"y\",\"c\":\"\\\\xff\\n\",\"d\":-1,\"e\":false,\"f\":null,"
	                          "\"g\":\"1970-01-01T00:00:00.000001Z\",\"h\":null,\"i\":[]}");
}

static const struct {
	const char *name, *bytes;
	size_t length;
	const char *line;
} strings[] = {
	{"null", NULL, 0, "null"},
	{"empty", "", 0, "\"\""},
	{"cut", "abc", 2, "\"ab\""},
	{"NUL", "a\0b", 3, "\"a\\\\x00b\""},
	{"broken",
         "a\xff"
         "b",
         3, "\"a\\\\xffb\""},
	{"valid", "\xc3\xa9", 2, "\"\xc3\xa9\""},
	{"cut in a character", "\xc3\xa9", 1, "\"\\\\xc3\""},
	{"control bytes", "\x1b\n", 2, "\"\\u001B\\n\""},
};

static void makes_a_string_of_any_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
		CLEANUP_JSON json_t *value = json_from_bytes(strings[i].bytes, strings[i].length);
		CLEANUP_FREE char *line = json_line(value);
		CHECK_TEXT(strings[i].name, line, strings[i].line);
	}
}

static const struct {
	const char *object, *name, *value, *line;
} withs[] = {
	{"{}", "a", "1", "{\"a\":1}"},
	{"{\"b\":[1,{\"d\":2,\"c\":3}],\"d\":\"\xc3\xa9\\n\"}", "a", "{}",
         "{\"a\":{},\"b\":[1,{\"c\":3,\"d\":2}],\"d\":\"\xc3\xa9\\n\"}"},
	{"{\"a\":[1,2],\"b\":3}", "a", "{}", "{\"a\":{},\"b\":3}"},
	{"{\"b\":null,\"d\":true}", "c", "[]", "{\"b\":null,\"c\":[],\"d\":true}"},
	{"{\"ab\":-1,\"b\":0}", "a", "\"x\"", "{\"a\":\"x\",\"ab\":-1,\"b\":0}"},
	{"{\"a\":1,\"B\":2}", "c", "null", "{\"B\":2,\"a\":1,\"c\":null}"},
};

/* As if the value had been in the tree. */
static void writes_a_text_among_members(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(withs); i++) {
		CLEANUP_JSON json_t *object = NULL;
		assert_int_equal(json_read(withs[i].object, strlen(withs[i].object), &object, NULL), 0);
		CLEANUP_FREE char *line = json_line_with(object, withs[i].name, withs[i].value);
		CHECK_TEXT(withs[i].line, line, withs[i].line);
		json_put(object, withs[i].name, json_loads(withs[i].value, JSON_DECODE_ANY, NULL));
		CLEANUP_FREE char *whole = json_line(object);
		CHECK_TEXT(withs[i].line, whole, withs[i].line);
	}
}

static int wipe_and_read(void *context)
{
	json_t *value = NULL;
	(void)context;
	json_wipe_freed();
	EXPECT(json_read(TREE, strlen(TREE), &value, NULL) == 0);
	CLEANUP_FREE char *line = json_line(value);
	EXPECT(line != NULL && strstr(line, "\"y\"") != NULL);
	json_decref(value);
	return 0;
}

static void works_with_memory_that_is_wiped(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(wipe_and_read, NULL), 0); /* it holds for the rest of a process's life */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_json),
		cmocka_unit_test(bounds_the_depth),
		cmocka_unit_test(names_the_file),
		cmocka_unit_test(looks_by_path),
		cmocka_unit_test(has_one_form),
		cmocka_unit_test(writes_every_named_field),
		cmocka_unit_test(makes_a_string_of_any_bytes),
		cmocka_unit_test(writes_a_text_among_members),
		cmocka_unit_test(works_with_memory_that_is_wiped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
