/* SPDX-License-Identifier: Apache-2.0 */

/* What comes out for which bytes: one row each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/html.h"

static const char *content(const struct html *html)
{
	return html->text.bytes != NULL ? html->text.bytes : "";
}

static void escapes(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *html;
	} cases[] = {
		{"", 0, ""},
		{"plain ~", 7, "plain ~"},
		{"<script>&'\"", 11, "&lt;script&gt;&amp;&#39;&quot;"},
		{"a\0b", 3, "a\\x00b"},
		{"\x1b[2J\r\n\t\x7f", 8, "\\x1b[2J\\x0d\\x0a\\x09\\x7f"},
		{"\xe2\x80\xae", 3, "\\xe2\\x80\\xae"},
		{"\xff\xc0\x80", 3, "\\xff\\xc0\\x80"},
		{"\xc2\x85", 2, "\\xc2\\x85"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_HTML struct html html = {0};
		CLEANUP_JSON json_t *value = json_stringn_nocheck(cases[i].bytes, cases[i].length);
		html_value(&html, value);
		assert_string_equal(content(&html), cases[i].html);
		assert_int_equal(html_check(&html, NULL), 0);
	}
}

static void shows_values(void **state)
{
	static const struct {
		const char *json, *html;
	} cases[] = {
		{"null", "not known"}, {"{}", "not known"}, {"true", "yes"},          {"false", "no"},
		{"-12", "-12"},        {"[]", ""},          {"[1,\"<\"]", "1, &lt;"}, {"\"x\"", "x"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_HTML struct html html = {0};
		CLEANUP_JSON json_t *value = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		html_value(&html, value);
		assert_string_equal(content(&html), cases[i].html);
	}
}

static void shows_times(void **state)
{
	static const struct {
		const char *text, *html;
	} cases[] = {
		{NULL, ""},
		{"<", "&lt;"},
		{"2026-01-02T03:04:05.000000Z",
	         "<time datetime=\"2026-01-02T03:04:05.000000Z\">2026-01-02 03:04:05</time>"},
		{"2026-01-02T03:04:05.600000Z",
	         "<time datetime=\"2026-01-02T03:04:05.600000Z\">2026-01-02 03:04:05.600000</time>"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_HTML struct html html = {0};
		html_time(&html, cases[i].text);
		assert_string_equal(content(&html), cases[i].html);
	}
}

static void makes_elements(void **state)
{
	CLEANUP_HTML struct html html = {0};
	CLEANUP_JSON json_t *object =
		json_pack("{s:s, s:s, s:[], s:n, s:[s,s]}", "a", "<", "b", "", "c", "d", "e", "x y", "'");
	(void)state;
	html_element(&html, "p class=\"x\"", "a\nb");
	html_element(&html, "pre tabindex=\"0\"", "a\nb<");
	html_term(&html, "A", object, "a");
	html_term(&html, "B", object, "b");
	html_term(&html, "C", object, "c");
	html_term(&html, "D", object, "d");
	html_command(&html, json_at(object, "e"));
	assert_string_equal(content(&html),
	                    "<p class=\"x\">a\\x0ab</p><pre tabindex=\"0\">a\nb&lt;</pre><dt>A</dt><dd>&lt;</dd>\n"
	                    "&#39;x y&#39; &#39;&#39;\\&#39;&#39;&#39;");
}

static void remembers_failure(void **state)
{
	CLEANUP_HTML struct html html = {.text = {.limit = 8}};
	struct error err = {0};
	(void)state;
	html_raw(&html, "123456789");
	html_raw(&html, "1");
	assert_int_equal(html_check(&html, &err), -1);
	assert_int_equal(err.code, ERROR_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),        cmocka_unit_test(shows_values),      cmocka_unit_test(shows_times),
		cmocka_unit_test(makes_elements), cmocka_unit_test(remembers_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
