/* SPDX-License-Identifier: Apache-2.0 */

/* Reading JSON without a tree. CloudTrail is written by many services and cut by some: a record is read as far as its
 * structure goes, and it is for the reader of the values to say what is missing. Input is not trusted. */
#include "detector/walk.h"

#include <stdint.h>
#include <string.h>

#include "common/text.h"

static void skip_space(struct walk *walk)
{
	while (walk->at < walk->end &&
	       (*walk->at == ' ' || *walk->at == '\n' || *walk->at == '\r' || *walk->at == '\t'))
		walk->at++;
}

char walk_peek(struct walk *walk)
{
	skip_space(walk);
	return walk->at < walk->end ? *walk->at : '\0';
}

static bool take(struct walk *walk, char wanted)
{
	if (walk_peek(walk) != wanted)
		return false;
	walk->at++;
	return true;
}

bool walk_enter(struct walk *walk, char open)
{
	return take(walk, open);
}

/* The closing quote of the string that begins at `at` (behind its opening one), or NULL; *ret_plain: it holds no
 * escapes. */
static const char *find_quote(const char *at, const char *end, bool *ret_plain)
{
	const char *quote = memchr(at, '"', (size_t)(end - at));
	*ret_plain = quote == NULL || memchr(at, '\\', (size_t)(quote - at)) == NULL;
	while (quote != NULL && !*ret_plain) {
		const char *slash = quote;
		while (slash > at && slash[-1] == '\\')
			slash--;
		if ((quote - slash) % 2 == 0)
			break;
		quote = memchr(quote + 1, '"', (size_t)(end - quote - 1));
	}
	return quote;
}

bool walk_name_is(const struct walk_name *name, const char *text)
{
	return strlen(text) == name->length && memcmp(name->text, text, name->length) == 0;
}

enum walk_step walk_next(struct walk *walk, bool first, struct walk_name *ret)
{
	bool is_plain;
	if (take(walk, '}'))
		return WALK_END;
	if ((!first && !take(walk, ',')) || walk_peek(walk) != '"')
		return WALK_BROKEN;
	const char *start = walk->at + 1, *quote = find_quote(start, walk->end, &is_plain);
	if (quote != NULL && is_plain) {
		ret->text = start;
		ret->length = (size_t)(quote - start);
		walk->at = quote + 1;
	} else {
		/* Also where the text ends within the name: walk_text then leaves the cursor at the end. */
		if (!walk_text(walk, ret->room, sizeof(ret->room), NULL))
			return WALK_BROKEN;
		ret->text = ret->room;
		ret->length = strlen(ret->room);
	}
	return take(walk, ':') ? WALK_MEMBER : WALK_BROKEN;
}

/* Over a string; the cursor stands on its opening quote. */
static bool skip_string(struct walk *walk)
{
	bool ignored;
	const char *quote = find_quote(walk->at + 1, walk->end, &ignored);
	walk->at = quote != NULL ? quote + 1 : walk->end;
	return quote != NULL;
}

bool walk_skip(struct walk *walk)
{
	size_t depth = 0;
	do {
		char c = walk_peek(walk);
		if (c == '\0')
			return false;
		if (c == '"') {
			if (!skip_string(walk))
				return false;
			continue;
		}
		if (c == '}' || c == ']') {
			if (depth == 0)
				return false;
			depth--;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (depth == 0) {
			size_t length = 0;
			while (walk->at + length < walk->end && strchr(",:\"{}[] \n\r\t", walk->at[length]) == NULL)
				length++;
			walk->at += length;
			return length > 0;
		}
		walk->at++;
	} while (depth > 0);
	return true;
}

/* ---- strings */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u; -1 when they are none. */
static int32_t read_unit(const char *at, const char *end)
{
	int32_t unit = 0;
	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(at[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static size_t encode(uint32_t code, char to[static 4])
{
	if (code == 0)
		code = ' ';
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t marks[] = {[2] = 0xc0, [3] = 0xe0, [4] = 0xf0};
	for (size_t i = length; i-- > 1; code >>= 6)
		to[i] = (char)(0x80 | (code & 0x3f));
	to[0] = (char)(marks[length] | code);
	return length;
}

/* Decodes the escape whose backslash the cursor stands on. */
static bool take_escape(struct walk *walk, char to[static 4], size_t *ret_length)
{
	static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	if (walk->end - walk->at < 2)
		return false;
	const char *found = strchr(plain, walk->at[1]);
	if (found != NULL && *found != '\0') {
		to[0] = meant[found - plain];
		*ret_length = 1;
		walk->at += 2;
		return true;
	}
	int32_t unit = walk->at[1] == 'u' ? read_unit(walk->at + 2, walk->end) : -1;
	if (unit < 0)
		return false;
	walk->at += 6;
	uint32_t code = (uint32_t)unit;
	if (unit >= 0xd800 && unit < 0xe000) {
		int32_t low = -1;
		if (unit < 0xdc00 && walk->end - walk->at >= 6 && walk->at[0] == '\\' && walk->at[1] == 'u')
			low = read_unit(walk->at + 2, walk->end);
		bool is_pair = low >= 0xdc00 && low < 0xe000;
		code = is_pair ? 0x10000 + ((code - 0xd800) << 10) + (uint32_t)(low - 0xdc00) : 0xfffd;
		walk->at += is_pair ? 6 : 0;
	}
	*ret_length = encode(code, to);
	return true;
}

/* Of a text without escapes. */
static bool copy_plain(const char *from, size_t length, char *to, size_t size)
{
	bool fits = length < size;
	length = fits ? length : size - 1;
	memcpy(to, from, length);
	for (char *nul; (nul = memchr(to, '\0', length)) != NULL;)
		*nul = ' ';
	to[length] = '\0';
	return fits;
}

MUST_USE static bool copy_escaped(struct walk *walk, char *to, size_t size, bool *ret_fits)
{
	size_t used = 0;
	bool fits = true;
	while (walk->at < walk->end && *walk->at != '"') {
		char decoded[4] = {*walk->at};
		size_t length = 1;
		if (*walk->at != '\\')
			walk->at++;
		else if (!take_escape(walk, decoded, &length))
			return false;
		if (decoded[0] == '\0')
			decoded[0] = ' ';
		fits = fits && used + length < size;
		if (fits) {
			memcpy(to + used, decoded, length);
			used += length;
		}
	}
	to[used] = '\0';
	*ret_fits = fits;
	return take(walk, '"');
}

bool walk_text(struct walk *walk, char *to, size_t size, bool *ret_fits)
{
	bool fits, is_plain;
	if (!take(walk, '"'))
		return false;
	const char *quote = find_quote(walk->at, walk->end, &is_plain);
	if (quote == NULL) {
		walk->at = walk->end;
		return false;
	}
	if (is_plain) {
		fits = copy_plain(walk->at, (size_t)(quote - walk->at), to, size);
		walk->at = quote + 1;
	} else if (!copy_escaped(walk, to, size, &fits)) {
		return false;
	}
	text_repair_utf8(to, strlen(to));
	if (ret_fits != NULL)
		*ret_fits = fits;
	return true;
}
