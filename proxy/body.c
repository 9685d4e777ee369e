/* SPDX-License-Identifier: Apache-2.0 */

/* Finds the end of a body, or refuses it. Of chunks only what real clients send is taken: hexadecimal sizes, CRLF; no
 * extensions and no trailers, in which other readers have found other ends. */
#include "proxy/body.h"

#include <ctype.h>

#include "common/cleanup.h"

#define SIZE_DIGITS 4 /* BODY_BYTES_MAX has no more */

static struct body bad(const char *reason)
{
	return (struct body){.verdict = SCREEN_BAD, .reason = reason};
}

/* A body of so many bytes, of which LENGTH have come. */
static struct body sized(size_t bytes, size_t length)
{
	if (length < bytes)
		return (struct body){.verdict = SCREEN_MORE};
	return (struct body){.verdict = SCREEN_GOOD, .bytes = bytes, .has_extra = length > bytes};
}

static size_t hex_value(char c)
{
	return (size_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* One chunk: its size, CRLF, its bytes, CRLF. */
struct chunk {
	enum screen_verdict verdict;
	size_t size;
	size_t bytes; /* on the wire */
};

static struct chunk read_chunk(const char *bytes, size_t length)
{
	const struct chunk no = {.verdict = SCREEN_BAD}, more = {.verdict = SCREEN_MORE};
	size_t size = 0, at = 0;
	for (; at < length && isxdigit((unsigned char)bytes[at]); at++) {
		if (at == SIZE_DIGITS)
			return no;
		size = size << 4 | hex_value(bytes[at]);
	}
	if (at == length)
		return more;
	if (at == 0)
		return no;
	const size_t line_ends[] = {at, at + 2 + size};
	for (size_t i = 0; i < ARRAY_LENGTH(line_ends); i++)
		for (size_t j = 0; j < 2; j++) {
			if (line_ends[i] + j >= length)
				return more;
			if (bytes[line_ends[i] + j] != "\r\n"[j])
				return no;
		}
	return (struct chunk){.verdict = SCREEN_GOOD, .size = size, .bytes = at + 2 + size + 2};
}

static struct body screen_chunks(const char *bytes, size_t length)
{
	for (size_t at = 0;;) {
		struct chunk chunk = read_chunk(bytes + at, length - at);
		if (chunk.verdict == SCREEN_BAD)
			return bad("bad-chunk");
		at += chunk.bytes;
		if (at > BODY_BYTES_MAX || (chunk.verdict == SCREEN_MORE && length >= BODY_BYTES_MAX))
			return bad("body-too-long");
		if (chunk.verdict == SCREEN_MORE)
			return sized(length + 1, length);
		if (chunk.size == 0)
			return sized(at, length);
	}
}

struct body body_screen(const struct screen *head, const char *bytes, size_t length)
{
	if (head->is_chunked)
		return screen_chunks(bytes, length);
	return head->content_length > BODY_BYTES_MAX ? bad("body-too-long") : sized(head->content_length, length);
}
