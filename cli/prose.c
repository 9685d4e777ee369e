/* SPDX-License-Identifier: Apache-2.0 */

/* Folding sentences. What is longer than a line is broken between words only: ids and commands get copied from here. */
#include "cli/prose.h"

#include <langinfo.h>
#include <string.h>

#include "cli/printable.h"

#define INDENT 14     /* of the texts, behind what they are */
#define NARROWEST 40U /* narrower terminals fold by themselves */

/* How much of the text fits: up to a space, or one whole word. */
static size_t fitting(const char *text, size_t room)
{
	size_t length = strlen(text), end = 0;
	if (length <= room)
		return length;
	for (size_t i = 0; i <= room; i++)
		if (text[i] == ' ')
			end = i;
	return end > 0 ? end : strcspn(text, " ");
}

/* The text begins where the line is, `indent` characters from its start; what does not fit goes below it. */
static void fold(const struct table_look *look, size_t indent, const char *text)
{
	size_t room = look->width >= NARROWEST ? look->width - indent : SIZE_MAX - 1;
	for (bool is_first = true; is_first || *text != '\0'; is_first = false) {
		size_t length = fitting(text, room);
		(void)fprintf(look->stream, "%*s%.*s\n", is_first ? 0 : (int)indent, "", (int)length, text);
		text += length;
		text += *text == ' ';
	}
}

void prose_printable(const struct table_look *look, const char *what, const char *text)
{
	(void)fprintf(look->stream, "%-*s ", INDENT - 1, what);
	fold(look, INDENT, text);
}

void prose_branch(const struct table_look *look, size_t depth, const char *text)
{
	bool has_lines = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	size_t deepest = look->width >= NARROWEST ? look->width / 2 : SIZE_MAX / 4;
	size_t indent = depth * 2 < deepest ? depth * 2 : deepest;
	if (depth > 0)
		(void)fprintf(look->stream, "%*s%s", (int)indent - 2, "", has_lines ? "\u2514\u2500" : "`-");
	fold(look, indent + (depth > 0 ? 2 : 0), text);
}

int prose_text(const struct table_look *look, const char *what, const char *text, struct error *err)
{
	CLEANUP_BUFFER struct buffer clean = {0};
	if (text == NULL || text[0] == '\0')
		return 0;
	if (printable_text(&clean, text, err) < 0)
		return -1;
	prose_printable(look, what, clean.bytes);
	return 0;
}

int prose_at(const struct table_look *look, const char *what, const json_t *object, const char *path, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const json_t *value = json_at(object, path);
	if (value == NULL || json_is_string(value))
		return prose_text(look, what, json_string_value(value), err);
	if (printable_value(&text, value, err) < 0)
		return -1;
	prose_printable(look, what, text.bytes);
	return 0;
}

void prose_heading(const struct table_look *look, const char *text)
{
	(void)fprintf(look->stream, "\n%s%s%s\n", look->colours ? "\033[1m" : "", text, look->colours ? "\033[0m" : "");
}
