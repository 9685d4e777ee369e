/* SPDX-License-Identifier: Apache-2.0 */

/* CSV. Its texts come from processes under suspicion, and end in spreadsheets of those who look into them. */
#include "cli/csv.h"

#include <string.h>

MUST_USE static int add(struct buffer *to, const char *text, struct error *err)
{
	return buffer_append(to, text, strlen(text), err);
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
}

/* U+0080 to U+009F are control characters to terminals too; in UTF-8 they start with C2. */
static bool is_late_control(const char *text)
{
	return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] <= 0x9f;
}

MUST_USE static int add_quoted(struct buffer *to, const char *text, struct error *err)
{
	for (; *text != '\0'; text++) {
		int result;
		if (*text == '"')
			result = add(to, "\"\"", err);
		else if (is_control(*text))
			result = buffer_printf(to, err, "\\x%02x", (unsigned)(unsigned char)*text);
		else if (is_late_control(text))
			result = buffer_printf(to, err, "\\x%02x", (unsigned)(unsigned char)*++text);
		else
			result = buffer_append(to, text, 1, err);
		if (result < 0)
			return -1;
	}
	return 0;
}

/* Is quoted throughout when any byte asks for it; spaces at the ends would be dropped by some readers. */
MUST_USE static int add_text(struct buffer *to, const char *text, struct error *err)
{
	static const char formula[] = "=+-@\t\r\n";
	size_t length = strlen(text);
	bool guarded = length > 0 && strchr(formula, text[0]) != NULL;
	bool quoted = guarded || strpbrk(text, ",\"\r\n\t") != NULL ||
	              (length > 0 && (text[0] == ' ' || text[length - 1] == ' '));

	if ((quoted && add(to, "\"", err) < 0) || (guarded && add(to, "'", err) < 0))
		return -1;
	if (add_quoted(to, text, err) < 0)
		return -1;
	return quoted ? add(to, "\"", err) : 0;
}

MUST_USE static int add_value(struct buffer *to, const json_t *value, struct error *err)
{
	if (value == NULL)
		return 0;
	if (json_is_string(value))
		return add_text(to, json_string_value(value), err);
	CLEANUP_FREE char *line = json_line(value);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a value");
	return json_is_number(value) ? add(to, line, err) : add_text(to, line, err);
}

int csv_heading(struct buffer *to, const struct columns *columns, struct error *err)
{
	for (size_t i = 0; i < columns->count; i++)
		if (columns_is_field(&columns->column[i]) &&
		    ((i > 0 && add(to, ",", err) < 0) || add(to, columns->column[i].path, err) < 0))
			return -1;
	return add(to, "\r\n", err);
}

int csv_row(struct buffer *to, const struct columns *columns, const json_t *object, struct error *err)
{
	for (size_t i = 0; i < columns->count; i++) {
		if (!columns_is_field(&columns->column[i]))
			continue;
		if (i > 0 && add(to, ",", err) < 0)
			return -1;
		if (add_value(to, columns_value(object, columns->column[i].path), err) < 0)
			return -1;
	}
	return add(to, "\r\n", err);
}
