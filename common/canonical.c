/* SPDX-License-Identifier: Apache-2.0 */

/* Stricter than the form is: whatever is not as our own programs write it is refused, though it may be canonical. */
#include "common/canonical.h"

#include <stdint.h>
#include <string.h>

#include "common/text.h"

#define DEPTH_MAX 16
#define NUMBER_MAX "9223372036854775807"

/* What is left to be read. */
struct reader {
	const char *at, *end;
};

static bool take(struct reader *reader, char wanted)
{
	bool is_there = reader->at < reader->end && *reader->at == wanted;
	reader->at += is_there;
	return is_there;
}

static bool take_word(struct reader *reader, const char *word)
{
	size_t length = strlen(word);
	bool is_there = (size_t)(reader->end - reader->at) >= length && memcmp(reader->at, word, length) == 0;
	reader->at += is_there ? length : 0;
	return is_there;
}

/* Behind a backslash: one of the short ones, or \u00XX for a control byte that has none, in capitals. */
static bool take_escape(struct reader *reader)
{
	static const char digits[] = "0123456789ABCDEF";
	if (reader->at < reader->end && strchr("\"\\bfnrt", *reader->at) != NULL && *reader->at != '\0') {
		reader->at++;
		return true;
	}
	if (!take_word(reader, "u00") || reader->end - reader->at < 2 || reader->at[0] < '0' || reader->at[0] > '1')
		return false;
	const char *low = reader->at[1] != '\0' ? strchr(digits, reader->at[1]) : NULL;
	if (low == NULL)
		return false;
	int byte = (reader->at[0] - '0') * 16 + (int)(low - digits);
	reader->at += 2;
	return strchr("\b\f\n\r\t", byte) == NULL || byte == 0;
}

static bool take_string(struct reader *reader)
{
	if (!take(reader, '"'))
		return false;
	while (reader->at < reader->end) {
		char c = *reader->at++;
		if (c == '"')
			return true;
		if ((unsigned char)c < 0x20 || (c == '\\' && !take_escape(reader)))
			return false;
	}
	return false;
}

/* As jansson reads them: no more than 64 bits have room for. */
static bool take_number(struct reader *reader)
{
	bool is_negative = take(reader, '-');
	const char *first = reader->at;
	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	size_t digits = (size_t)(reader->at - first), most = strlen(NUMBER_MAX);
	bool has_room = digits < most || (digits == most && memcmp(first, NUMBER_MAX, most) <= 0);
	return digits > 0 && has_room && (*first != '0' || (digits == 1 && !is_negative));
}

/* A plain name, behind the one before it: two that were the same would not be. */
static bool take_name(struct reader *reader, struct reader *before)
{
	const char *first = reader->at + 1;
	if (!take_string(reader))
		return false;
	struct reader name = {first, reader->at - 1};
	size_t length = (size_t)(name.end - name.at), other = (size_t)(before->end - before->at);
	int order = before->at == NULL ? -1 : memcmp(before->at, name.at, other < length ? other : length);
	bool is_behind = order < 0 || (order == 0 && other < length);
	*before = name;
	return is_behind && memchr(name.at, '\\', length) == NULL && take(reader, ':');
}

static bool take_value(struct reader *reader, int depth);

static bool take_members(struct reader *reader, int depth)
{
	struct reader before = {NULL, NULL};
	if (take(reader, '}'))
		return true;
	do {
		if (!take_name(reader, &before) || !take_value(reader, depth))
			return false;
	} while (take(reader, ','));
	return take(reader, '}');
}

static bool take_elements(struct reader *reader, int depth)
{
	if (take(reader, ']'))
		return true;
	do {
		if (!take_value(reader, depth))
			return false;
	} while (take(reader, ','));
	return take(reader, ']');
}

static bool take_value(struct reader *reader, int depth)
{
	if (depth == DEPTH_MAX || reader->at == reader->end)
		return false;
	switch (*reader->at) {
	case '"':
		return take_string(reader);
	case '{':
		reader->at++;
		return take_members(reader, depth + 1);
	case '[':
		reader->at++;
		return take_elements(reader, depth + 1);
	case 'n':
		return take_word(reader, "null");
	case 't':
		return take_word(reader, "true");
	case 'f':
		return take_word(reader, "false");
	default:
		return take_number(reader);
	}
}

bool canonical_json(const char *text, size_t length)
{
	struct reader reader = {text, text + length};
	bool is_one = length > 0 && (text[0] == '{' || text[0] == '[');
	return is_one && take_value(&reader, 0) && reader.at == reader.end && text_is_utf8(text, length);
}
