/* SPDX-License-Identifier: Apache-2.0 */

/* Refuses every head that two readers could understand differently. What passes has one meaning. */
#include "proxy/screen.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/text.h"

/* Headers that may stand once only: two of them would let two readers choose differently. */
enum single { SINGLE_HOST, SINGLE_LENGTH, SINGLE_ENCODING, SINGLE_TOKEN, SINGLE_TTL, SINGLE_EXPECT, SINGLE_COUNT };
static const char *const single_names[SINGLE_COUNT] = {
	[SINGLE_HOST] = "host",
	[SINGLE_LENGTH] = "content-length",
	[SINGLE_ENCODING] = "transfer-encoding",
	[SINGLE_TOKEN] = "x-aws-ec2-metadata-token",
	[SINGLE_TTL] = "x-aws-ec2-metadata-token-ttl-seconds",
	[SINGLE_EXPECT] = "expect",
};

struct line {
	const char *bytes;
	size_t length;
};

static struct screen bad(const char *reason)
{
	return (struct screen){.verdict = SCREEN_BAD, .reason = reason};
}

static bool is_token_character(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* METHOD SP TARGET SP HTTP/1.x */
static const char *check_request_line(struct line line)
{
	size_t method = 0, target;
	while (method < line.length && is_token_character(line.bytes[method]))
		method++;
	if (method == 0 || method == line.length || line.bytes[method] != ' ')
		return "bad-method";
	const char *start = line.bytes + method + 1;
	size_t left = line.length - method - 1;
	for (target = 0; target < left && start[target] != ' '; target++)
		if ((unsigned char)start[target] < 0x21 || (unsigned char)start[target] > 0x7e)
			return "bad-target";
	if (target == 0 || target == left)
		return "bad-request-line";
	const char *version = start + target + 1;
	size_t version_bytes = left - target - 1;
	if (version_bytes != strlen("HTTP/1.1") || strncmp(version, "HTTP/1.", strlen("HTTP/1.")) != 0 ||
	    (version[7] != '0' && version[7] != '1'))
		return "bad-version";
	return NULL;
}

static struct line trimmed(struct line value)
{
	while (value.length > 0 && (value.bytes[0] == ' ' || value.bytes[0] == '\t')) {
		value.bytes++;
		value.length--;
	}
	while (value.length > 0 && (value.bytes[value.length - 1] == ' ' || value.bytes[value.length - 1] == '\t'))
		value.length--;
	return value;
}

static bool is_number(struct line value)
{
	if (value.length == 0 || value.length > 9)
		return false;
	for (size_t i = 0; i < value.length; i++)
		if (!isdigit((unsigned char)value.bytes[i]))
			return false;
	return true;
}

static bool is_text(struct line value, const char *text)
{
	return value.length == strlen(text) && strncasecmp(value.bytes, text, value.length) == 0;
}

/* What a header means for the body's length. */
static const char *note(enum single which, struct line value, struct screen *screen)
{
	if (which == SINGLE_EXPECT)
		screen->expects_continue = true;
	if (which == SINGLE_LENGTH && !is_number(value))
		return "bad-content-length";
	if (which == SINGLE_LENGTH)
		for (size_t i = 0; i < value.length; i++)
			screen->has_body |= value.bytes[i] != '0';
	if (which == SINGLE_ENCODING && !is_text(value, "chunked"))
		return "bad-transfer-encoding";
	if (which == SINGLE_ENCODING)
		screen->has_body = true;
	return NULL;
}

static const char *check_header(struct line line, bool seen[static SINGLE_COUNT], struct screen *screen)
{
	size_t name = 0;
	if (line.bytes[0] == ' ' || line.bytes[0] == '\t')
		return "folded-line";
	while (name < line.length && is_token_character(line.bytes[name]))
		name++;
	if (name < line.length && (line.bytes[name] == ' ' || line.bytes[name] == '\t'))
		return "space-before-colon";
	if (name == 0 || name == line.length || line.bytes[name] != ':')
		return "bad-header-name";
	struct line value = trimmed((struct line){line.bytes + name + 1, line.length - name - 1});
	for (size_t i = 0; i < value.length; i++)
		if (((unsigned char)value.bytes[i] < 0x20 && value.bytes[i] != '\t') || value.bytes[i] == 0x7f)
			return "control-byte";

	for (int i = 0; i < SINGLE_COUNT; i++) {
		if (!is_text((struct line){line.bytes, name}, single_names[i]))
			continue;
		if (seen[i])
			return "repeated-header";
		seen[i] = true;
		return note((enum single)i, value, screen);
	}
	if (is_text((struct line){line.bytes, name}, "upgrade"))
		return "upgrade";
	return NULL;
}

/* One line up to CRLF. NULL reason and length SIZE_MAX: not complete yet. */
static const char *take_line(const char *bytes, size_t length, struct line *ret)
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
		*ret = (struct line){bytes, i};
		return NULL;
	}
	*ret = (struct line){bytes, SIZE_MAX};
	return NULL;
}

struct screen screen_head(const char *bytes, size_t length)
{
	struct screen screen = {.verdict = SCREEN_GOOD};
	bool seen[SINGLE_COUNT] = {false};
	size_t at = 0, lines = 0;

	for (;;) {
		struct line line;
		const char *reason = take_line(bytes + at, length - at, &line);
		if (reason == NULL && line.length == SIZE_MAX)
			return length >= SCREEN_HEAD_BYTES ? bad("head-too-long")
			                                   : (struct screen){.verdict = SCREEN_MORE};
		if (reason == NULL && lines == 0)
			reason = check_request_line(line);
		else if (reason == NULL && line.length > 0)
			reason = check_header(line, seen, &screen);
		if (reason == NULL && line.length > 0 && lines > SCREEN_HEADERS_MAX)
			reason = "too-many-headers";
		if (reason != NULL)
			return bad(reason);
		at += line.length + 2;
		if (at > SCREEN_HEAD_BYTES)
			return bad("head-too-long");
		if (lines++ > 0 && line.length == 0)
			break;
	}
	if (seen[SINGLE_LENGTH] && seen[SINGLE_ENCODING])
		return bad("length-and-encoding");
	screen.head_bytes = at;
	screen.has_extra = !screen.has_body && length > at;
	return screen;
}
