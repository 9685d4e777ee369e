/* SPDX-License-Identifier: Apache-2.0 */

/* What screen.c asks of clients' heads and response.c of upstream's: where two readers could differ, neither reads on.
 */
#include "proxy/head_line.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NUMBER_DIGITS 9 /* fits any size_t */

const char *head_line_take(const char *bytes, size_t length, struct head_line *ret)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == '\0')
			return "nul-byte";
		if (bytes[i] == '\n')
			return "bare-lf";
		if (bytes[i] != '\r')
			continue;
		if (i + 1 == length)
			break;
		if (bytes[i + 1] != '\n')
			return "bare-cr";
		*ret = (struct head_line){bytes, i};
		return NULL;
	}
	*ret = (struct head_line){bytes, HEAD_LINE_INCOMPLETE};
	return NULL;
}

bool head_line_is_token(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct head_line trimmed(struct head_line value)
{
	while (value.length > 0 && is_blank(value.bytes[0])) {
		value.bytes++;
		value.length--;
	}
	while (value.length > 0 && is_blank(value.bytes[value.length - 1]))
		value.length--;
	return value;
}

const char *head_line_field(struct head_line line, struct head_line *ret_name, struct head_line *ret_value)
{
	size_t name = 0;
	if (line.length > 0 && is_blank(line.bytes[0]))
		return "folded-line";
	while (name < line.length && head_line_is_token(line.bytes[name]))
		name++;
	if (name < line.length && is_blank(line.bytes[name]))
		return "space-before-colon";
	if (name == 0 || name == line.length || line.bytes[name] != ':')
		return "bad-header-name";
	struct head_line value = trimmed((struct head_line){line.bytes + name + 1, line.length - name - 1});
	for (size_t i = 0; i < value.length; i++)
		if (((unsigned char)value.bytes[i] < 0x20 && value.bytes[i] != '\t') || value.bytes[i] == 0x7f)
			return "control-byte";
	*ret_name = (struct head_line){line.bytes, name};
	*ret_value = value;
	return NULL;
}

bool head_line_is(struct head_line line, const char *text)
{
	return line.length == strlen(text) && strncasecmp(line.bytes, text, line.length) == 0;
}

bool head_line_find(const char *head, size_t length, const char *name, struct head_line *ret_value)
{
	struct head_line line, found, value;
	size_t at = 0;
	while (head_line_take(head + at, length - at, &line) == NULL && line.length > 0 &&
	       line.length != HEAD_LINE_INCOMPLETE) {
		at += line.length + 2;
		if (head_line_field(line, &found, &value) == NULL && head_line_is(found, name)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool head_line_number(struct head_line line, size_t *ret)
{
	size_t number = 0;
	if (line.length == 0 || line.length > NUMBER_DIGITS)
		return false;
	for (size_t i = 0; i < line.length; i++) {
		if (!isdigit((unsigned char)line.bytes[i]))
			return false;
		number = number * 10 + (size_t)(line.bytes[i] - '0');
	}
	*ret = number;
	return true;
}
