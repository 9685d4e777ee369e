/* SPDX-License-Identifier: Apache-2.0 */

/* Text helpers. What comes in is hostile; what goes out is bounded and printable. */
#include "common/text.h"

#include <ctype.h>
#include <string.h>

bool text_to_u64(const char *text, uint64_t maximum, uint64_t *ret)
{
	uint64_t value = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		uint64_t digit = (uint64_t)(*text - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > maximum)
		return false;
	*ret = value;
	return true;
}

bool text_copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);
	bool fits = length < size;
	if (!fits)
		length = size - 1;
	memcpy(to, from, length);
	to[length] = '\0';
	return fits;
}

static const char hex_digits[] = "0123456789abcdef";

char *text_escape(char *to, size_t size, const char *bytes, size_t length)
{
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool quoted = c == '\\' || c == '"';
		bool plain = c >= 0x20 && c <= 0x7e && !quoted;
		size_t need = plain ? 1 : quoted ? 2 : 4;
		if (used + need >= size)
			break;
		if (plain) {
			to[used] = (char)c;
		} else {
			to[used] = '\\';
			to[used + 1] = quoted ? (char)c : 'x';
		}
		if (need == 4) {
			to[used + 2] = hex_digits[c >> 4];
			to[used + 3] = hex_digits[c & 15];
		}
		used += need;
	}
	to[used] = '\0';
	return to;
}

/* Length of the well-formed UTF-8 sequence at `s` (RFC 3629: no surrogates, no overlong forms), 0 if there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
	if (s[0] != 0 && s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return left >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		if (left < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
		bool surrogate = s[0] == 0xed && s[1] > 0x9f;
		return overlong || surrogate ? 0 : 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if (left < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
			return 0;
		bool overlong = s[0] == 0xf0 && s[1] < 0x90;
		bool beyond = s[0] == 0xf4 && s[1] > 0x8f;
		return overlong || beyond ? 0 : 4;
	}
	return 0;
}

char *text_to_utf8(const char *bytes, size_t length)
{
	if (length > SIZE_MAX / 4 - 1)
		return NULL;
	char *to = malloc(length * 4 + 1);
	if (to == NULL)
		return NULL;

	size_t used = 0;
	for (size_t i = 0; i < length;) {
		const unsigned char *s = (const unsigned char *)bytes + i;
		size_t sequence = utf8_sequence(s, length - i);
		if (sequence > 0) {
			memcpy(to + used, s, sequence);
			used += sequence;
			i += sequence;
			continue;
		}
		to[used++] = '\\';
		to[used++] = 'x';
		to[used++] = hex_digits[*s >> 4];
		to[used++] = hex_digits[*s & 15];
		i++;
	}
	to[used] = '\0';
	return to;
}

bool text_is_utf8(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length;) {
		size_t sequence = utf8_sequence((const unsigned char *)bytes + i, length - i);
		if (sequence == 0)
			return false;
		i += sequence;
	}
	return true;
}

void text_repair_utf8(char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		size_t sequence = utf8_sequence((const unsigned char *)text + i, length - i);
		if (sequence == 0)
			text[i] = '?';
		i += sequence > 0 ? sequence : 1;
	}
}

bool text_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *text_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

bool text_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;
	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool text_glob_any(const char *patterns, const char *text)
{
	while (*patterns != '\0') {
		char pattern[200];
		size_t length = strcspn(patterns, " \t");
		if (length > 0 && length < sizeof(pattern)) {
			memcpy(pattern, patterns, length);
			pattern[length] = '\0';
			if (text_glob(pattern, text))
				return true;
		}
		patterns += length;
		patterns += strspn(patterns, " \t");
	}
	return false;
}

char *text_trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool text_decode_form(char *text)
{
	char *to = text;
	for (; *text != '\0'; text++) {
		char c = *text == '+' ? ' ' : *text;
		if (*text == '%') {
			int high = hex_digit(text[1]), low = high >= 0 ? hex_digit(text[2]) : -1;
			if (low < 0 || high + low == 0)
				return false;
			c = (char)(high * 16 + low);
			text += 2;
		}
		*to++ = c;
	}
	*to = '\0';
	return true;
}
