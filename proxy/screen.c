/* SPDX-License-Identifier: Apache-2.0 */

/* Refuses every head that two readers could understand differently. What passes has one meaning. */
#include "proxy/screen.h"

#include <string.h>

#include "proxy/head_line.h"

/* Headers that may stand once only: two of them would let two readers choose differently. */
enum single {
	SINGLE_HOST,
	SINGLE_LENGTH,
	SINGLE_ENCODING,
	SINGLE_TOKEN,
	SINGLE_TTL,
	SINGLE_EXPECT,
	SINGLE_AUTHORIZATION,
	SINGLE_COUNT
};
static const char *const single_names[SINGLE_COUNT] = {
	[SINGLE_HOST] = "host",
	[SINGLE_LENGTH] = "content-length",
	[SINGLE_ENCODING] = "transfer-encoding",
	[SINGLE_TOKEN] = "x-aws-ec2-metadata-token",
	[SINGLE_TTL] = "x-aws-ec2-metadata-token-ttl-seconds",
	[SINGLE_EXPECT] = "expect",
	[SINGLE_AUTHORIZATION] = "authorization",
};

static struct screen bad(const char *reason)
{
	return (struct screen){.verdict = SCREEN_BAD, .reason = reason};
}

/* METHOD SP TARGET SP HTTP/1.x */
static const char *check_request_line(struct head_line line, bool *ret_is_old)
{
	size_t method = 0, target;
	while (method < line.length && head_line_is_token(line.bytes[method]))
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
	*ret_is_old = version[7] == '0';
	return NULL;
}

/* What a header means for the body's length. */
static const char *note(enum single which, struct head_line value, struct screen *screen)
{
	if (which == SINGLE_EXPECT)
		screen->expects_continue = true;
	if (which == SINGLE_LENGTH && !head_line_number(value, &screen->content_length))
		return "bad-content-length";
	if (which == SINGLE_ENCODING && !head_line_is(value, "chunked"))
		return "bad-transfer-encoding";
	screen->is_chunked |= which == SINGLE_ENCODING;
	return NULL;
}

static const char *check_header(struct head_line line, bool seen[static SINGLE_COUNT], struct screen *screen)
{
	struct head_line name, value;
	const char *reason = head_line_field(line, &name, &value);
	if (reason != NULL)
		return reason;
	for (int i = 0; i < SINGLE_COUNT; i++) {
		if (!head_line_is(name, single_names[i]))
			continue;
		if (seen[i])
			return "repeated-header";
		seen[i] = true;
		return note((enum single)i, value, screen);
	}
	return head_line_is(name, "upgrade") ? "upgrade" : NULL;
}

struct screen screen_head(const char *bytes, size_t length)
{
	struct screen screen = {.verdict = SCREEN_GOOD};
	bool seen[SINGLE_COUNT] = {false}, is_old = false;
	size_t at = 0, lines = 0;

	for (;;) {
		struct head_line line;
		const char *reason = head_line_take(bytes + at, length - at, &line);
		if (reason == NULL && line.length == HEAD_LINE_INCOMPLETE)
			return length >= SCREEN_HEAD_BYTES ? bad("head-too-long")
			                                   : (struct screen){.verdict = SCREEN_MORE};
		if (reason == NULL && lines == 0)
			reason = check_request_line(line, &is_old);
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
	if (is_old && seen[SINGLE_ENCODING]) /* such a reader does not know it: RFC 9112 section 6.1 */
		return bad("bad-transfer-encoding");
	screen.head_bytes = at;
	return screen;
}
