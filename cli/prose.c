/* SPDX-License-Identifier: Apache-2.0 */

/* Folding sentences. What is longer than a line is broken between words only: ids and commands get copied from here. */
#include "cli/prose.h"

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

static void print_folded(const struct table_look *look, const char *what, const char *text)
{
	size_t room = look->width >= NARROWEST ? look->width - INDENT : SIZE_MAX - 1;
	(void)fprintf(look->stream, "%-*s ", INDENT - 1, what);
	for (bool is_first = true; is_first || *text != '\0'; is_first = false) {
		size_t length = fitting(text, room);
		(void)fprintf(look->stream, "%*s%.*s\n", is_first ? 0 : INDENT, "", (int)length, text);
		text += length;
		text += *text == ' ';
	}
}

int prose_text(const struct table_look *look, const char *what, const char *text, struct error *err)
{
	CLEANUP_BUFFER struct buffer clean = {0};
	if (text == NULL || text[0] == '\0')
		return 0;
	if (printable_text(&clean, text, err) < 0)
		return -1;
	print_folded(look, what, clean.bytes);
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
	print_folded(look, what, text.bytes);
	return 0;
}

void prose_heading(const struct table_look *look, const char *text)
{
	(void)fprintf(look->stream, "\n%s%s%s\n", look->colours ? "\033[1m" : "", text, look->colours ? "\033[0m" : "");
}
