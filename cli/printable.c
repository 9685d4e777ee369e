/* SPDX-License-Identifier: Apache-2.0 */

/* Command lines, paths, user agents and names are chosen by whoever is being looked for. Nothing of theirs reaches a
 * terminal except through here. */
#include "cli/printable.h"

#include <string.h>

MUST_USE static int add(struct buffer *to, const char *text, struct error *err)
{
	return buffer_append(to, text, strlen(text), err);
}

int printable_text(struct buffer *to, const char *text, struct error *err)
{
	while (*text != '\0') {
		size_t plain = 0;
		while (text[plain] >= 0x20 && text[plain] <= 0x7e && text[plain] != '\\')
			plain++;
		if (buffer_append(to, text, plain, err) < 0)
			return -1;
		text += plain;
		if (*text == '\0')
			break;
		if (*text == '\\' ? add(to, "\\\\", err) < 0
		                  : buffer_printf(to, err, "\\x%02x", (unsigned)(unsigned char)*text) < 0)
			return -1;
		text++;
	}
	/* So that `bytes` is a text also when there was nothing to add. */
	return add(to, "", err);
}

static bool needs_quotes(const char *argument)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
	return argument[0] == '\0' || argument[strspn(argument, safe)] != '\0';
}

/* A single quote inside single quotes is written '\'' as shells have it. */
MUST_USE static int add_quoted(struct buffer *to, const char *argument, struct error *err)
{
	if (add(to, "'", err) < 0)
		return -1;
	while (*argument != '\0') {
		size_t length = strcspn(argument, "'");
		CLEANUP_FREE char *piece = strndup(argument, length);
		if (piece == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for a command line");
		if (printable_text(to, piece, err) < 0)
			return -1;
		argument += length;
		if (*argument == '\'' && add(to, "'\\''", err) < 0)
			return -1;
		argument += *argument == '\'';
	}
	return add(to, "'", err);
}

int printable_command(struct buffer *to, const json_t *arguments, struct error *err)
{
	size_t index;
	json_t *value;
	json_array_foreach (arguments, index, value) {
		const char *argument = json_string_value(value);
		if (argument == NULL)
			continue;
		if (index > 0 && add(to, " ", err) < 0)
			return -1;
		if ((needs_quotes(argument) ? add_quoted : printable_text)(to, argument, err) < 0)
			return -1;
	}
	return add(to, "", err);
}

MUST_USE static int add_list(struct buffer *to, const json_t *list, struct error *err)
{
	size_t index;
	json_t *value;
	json_array_foreach (list, index, value) {
		if (index > 0 && add(to, ", ", err) < 0)
			return -1;
		if (printable_value(to, value, err) < 0)
			return -1;
	}
	return json_array_size(list) == 0 ? add(to, "-", err) : 0;
}

int printable_value(struct buffer *to, const json_t *value, struct error *err)
{
	if (value == NULL || json_is_null(value))
		return add(to, "-", err);
	if (json_is_string(value))
		return printable_text(to, json_string_value(value), err);
	if (json_is_integer(value))
		return buffer_printf(to, err, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	if (json_is_boolean(value))
		return add(to, json_is_true(value) ? "yes" : "no", err);
	if (json_is_array(value))
		return add_list(to, value, err);

	CLEANUP_FREE char *line = json_line(value);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a value");
	return printable_text(to, line, err);
}
