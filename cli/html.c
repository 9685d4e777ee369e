/* SPDX-License-Identifier: Apache-2.0 */

/* THE PLACE where hostile texts become harmless in a page. */
#include "cli/html.h"

#include <string.h>

#include "cli/printable.h"

void html_raw(struct html *html, const char *literal)
{
	html->has_failed = html->has_failed || buffer_append(&html->text, literal, strlen(literal), NULL) < 0;
}

void html_printf(struct html *html, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	html->has_failed = html->has_failed || length < 0 || (size_t)length >= sizeof(text);
	html_raw(html, text);
}

static const char *entity_of(char c)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	for (size_t i = 0; i < ARRAY_LENGTH(entities); i++)
		if (entities[i].c == c)
			return entities[i].entity;
	return NULL;
}

/* Lines are kept where they are ours to make: in drafts and policies. */
static void add_bytes(struct html *html, const char *bytes, size_t length, bool keeps_lines)
{
	for (size_t i = 0; i < length; i++) {
		const char *entity = entity_of(bytes[i]);
		char one[8] = {bytes[i]};
		bool is_plain = (bytes[i] >= 0x20 && bytes[i] <= 0x7e) || (keeps_lines && bytes[i] == '\n');
		if (!is_plain)
			(void)snprintf(one, sizeof(one), "\\x%02x", (unsigned)(unsigned char)bytes[i]);
		html_raw(html, entity != NULL ? entity : one);
	}
}

void html_text(struct html *html, const char *text)
{
	if (text != NULL)
		add_bytes(html, text, strlen(text), false);
}

void html_value(struct html *html, const json_t *value)
{
	if (json_is_string(value))
		add_bytes(html, json_string_value(value), json_string_length(value), false);
	else if (json_is_integer(value))
		html_printf(html, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		html_raw(html, json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		for (size_t i = 0; i < json_array_size(value); i++) {
			html_raw(html, i > 0 ? ", " : "");
			html_value(html, json_array_get(value, i));
		}
	else
		html_raw(html, "not known");
}

static void close_tag(struct html *html, const char *tag)
{
	size_t length = strcspn(tag, " ");
	html_printf(html, "</%.*s>", (int)length, tag);
}

void html_element(struct html *html, const char *tag, const char *text)
{
	html_printf(html, "<%s>", tag);
	if (text != NULL)
		add_bytes(html, text, strlen(text), strncmp(tag, "pre", 3) == 0);
	close_tag(html, tag);
}

void html_term(struct html *html, const char *term, const json_t *object, const char *path)
{
	const json_t *value = json_at(object, path);
	bool is_empty = value == NULL || (json_is_string(value) && json_string_length(value) == 0) ||
	                (json_is_array(value) && json_array_size(value) == 0);
	if (is_empty)
		return;
	html_element(html, "dt", term);
	html_raw(html, "<dd>");
	html_value(html, value);
	html_raw(html, "</dd>\n");
}

/* 2026-01-02T03:04:05.000000Z as 2026-01-02 03:04:05; a fraction that says something stays. */
void html_time(struct html *html, const char *text)
{
	static const char whole[] = ".000000Z";
	const size_t seconds = strlen("2026-01-02T03:04:05");
	size_t length = text != NULL ? strlen(text) : 0;
	if (length != seconds + strlen(whole)) {
		html_text(html, text);
		return;
	}
	html_raw(html, "<time datetime=\"");
	html_text(html, text);
	html_raw(html, "\">");
	add_bytes(html, text, strlen("2026-01-02"), false);
	html_raw(html, " ");
	add_bytes(html, text + strlen("2026-01-02T"), strlen("03:04:05"), false);
	if (strcmp(text + seconds, whole) != 0)
		add_bytes(html, text + seconds, length - seconds - 1, false);
	html_raw(html, "</time>");
}

void html_command(struct html *html, const json_t *arguments)
{
	CLEANUP_BUFFER struct buffer line = {0};
	if (printable_command(&line, arguments, NULL) < 0)
		html->has_failed = true;
	else
		add_bytes(html, line.bytes, line.length, false);
}

int html_check(const struct html *html, struct error *err)
{
	return html->has_failed ? error_set(err, ERROR_MEMORY, "no memory for a page") : 0;
}
