/* SPDX-License-Identifier: Apache-2.0 */

/* Upstream is trusted with what it says, not with how: a head goes back to the client as it came, so it must have one
 * reading; and half an answer must never be taken for a whole one. */
#include "proxy/response.h"

#include <ctype.h>
#include <string.h>

#include "common/clock.h"
#include "proxy/head_line.h"

#define CHUNK_DIGITS_MAX 6 /* hexadecimal; more is above RESPONSE_BODY_BYTES */

void response_done(struct response *response)
{
	buffer_done(&response->head);
	buffer_wipe_done(&response->body);
	response->status = 0;
	response->date_us = 0;
}

int response_copy(const struct response *from, struct response *ret, struct error *err)
{
	response_done(ret);
	ret->status = from->status;
	ret->date_us = from->date_us;
	return buffer_append(&ret->head, from->head.bytes, from->head.length, err) < 0 ||
	                       buffer_append(&ret->body, from->body.bytes, from->body.length, err) < 0
	               ? -1
	               : 0;
}

void response_begin(struct response_reader *reader, struct response *response, bool is_head)
{
	response_done(response);
	response->head.limit = RESPONSE_HEAD_BYTES;
	response->body.limit = RESPONSE_BODY_BYTES;
	*reader = (struct response_reader){.response = response, .is_head = is_head};
}

static int malformed(const char *reason, struct error *err)
{
	return error_set(err, ERROR_INPUT, "malformed answer: %s", reason);
}

/* ---- the head */

/* What a head says about itself. */
struct facts {
	int status;
	bool is_http10;
	bool has_length, is_chunked;
	size_t length;
	int64_t date_us;
};

/* HTTP/1.x SP three digits, and a reason if it likes. */
static const char *read_status_line(struct head_line line, struct facts *facts)
{
	static const char start[] = "HTTP/1.";
	const size_t version = sizeof(start) - 1, digits = version + 2;
	if (line.length < digits + 3 || memcmp(line.bytes, start, version) != 0 ||
	    (line.bytes[version] != '0' && line.bytes[version] != '1') || line.bytes[version + 1] != ' ')
		return "bad-status-line";
	for (size_t i = digits; i < digits + 3; i++) {
		if (!isdigit((unsigned char)line.bytes[i]))
			return "bad-status";
		facts->status = facts->status * 10 + (line.bytes[i] - '0');
	}
	if (facts->status < 100 || (line.length > digits + 3 && line.bytes[digits + 3] != ' '))
		return "bad-status";
	for (size_t i = digits + 3; i < line.length; i++)
		if ((unsigned char)line.bytes[i] < 0x20 || line.bytes[i] == 0x7f)
			return "control-byte";
	facts->is_http10 = line.bytes[version] == '0';
	return NULL;
}

static const char *read_field(struct head_line line, struct facts *facts)
{
	struct head_line name, value;
	char date[CLOCK_HTTP_BYTES];
	const char *reason = head_line_field(line, &name, &value);
	if (reason != NULL)
		return reason;
	if (head_line_is(name, "content-length")) {
		if (facts->has_length)
			return "repeated-length";
		facts->has_length = true;
		return head_line_number(value, &facts->length) ? NULL : "bad-content-length";
	}
	if (head_line_is(name, "transfer-encoding")) {
		if (facts->is_chunked || !head_line_is(value, "chunked"))
			return "bad-transfer-encoding";
		facts->is_chunked = true;
	}
	if (head_line_is(name, "date") && value.length < sizeof(date)) {
		memcpy(date, value.bytes, value.length);
		date[value.length] = '\0';
		(void)clock_parse_http(date, &facts->date_us);
	}
	return NULL;
}

static const char *read_head(const struct buffer *head, struct facts *facts)
{
	size_t at = 0;
	for (;;) {
		struct head_line line;
		const char *reason = head_line_take(head->bytes + at, head->length - at, &line);
		if (reason == NULL && line.length == HEAD_LINE_INCOMPLETE)
			return "no-empty-line";
		if (reason == NULL && line.length == 0)
			break;
		if (reason == NULL)
			reason = at == 0 ? read_status_line(line, facts) : read_field(line, facts);
		if (reason != NULL)
			return reason;
		at += line.length + 2;
	}
	if (at == 0)
		return "bad-status-line";
	if (facts->is_chunked && (facts->has_length || facts->is_http10))
		return "length-and-encoding";
	return facts->status == 101 ? "switching-protocols" : NULL;
}

/* A whole head is there: what comes next? */
MUST_USE static int end_head(struct response_reader *reader, struct error *err)
{
	struct response *response = reader->response;
	struct facts facts = {0};
	const char *reason = read_head(&response->head, &facts);
	if (reason != NULL)
		return malformed(reason, err);
	if (facts.status < 200) {
		buffer_clear(&response->head);
		return ++reader->interim <= RESPONSE_INTERIM_MAX ? 0 : malformed("too-many-interim-answers", err);
	}
	response->status = facts.status;
	response->date_us = facts.date_us;
	reader->left = facts.length;
	if (reader->is_head || facts.status == 204 || facts.status == 304)
		reader->phase = RESPONSE_COMPLETE;
	else if (facts.is_chunked)
		reader->phase = RESPONSE_CHUNK_SIZE;
	else if (!facts.has_length)
		reader->phase = RESPONSE_CLOSE;
	else
		reader->phase = facts.length > 0 ? RESPONSE_LENGTH : RESPONSE_COMPLETE;
	if (facts.length > RESPONSE_BODY_BYTES && reader->phase == RESPONSE_LENGTH)
		return error_set(err, ERROR_LIMIT, "an answer of %zu bytes", facts.length);
	return 0;
}

/* Takes as many bytes as belong to the head. */
MUST_USE static int take_head(struct response_reader *reader, const char *bytes, size_t length, size_t *ret_used,
                              struct error *err)
{
	struct buffer *head = &reader->response->head;
	size_t before = head->length, room = RESPONSE_HEAD_BYTES - before;
	size_t taken = length < room ? length : room;
	if (buffer_append(head, bytes, taken, err) < 0)
		return -1;
	size_t from = before > 3 ? before - 3 : 0;
	const char *end = memmem(head->bytes + from, head->length - from, "\r\n\r\n", 4);
	*ret_used = taken;
	if (end == NULL)
		return head->length < RESPONSE_HEAD_BYTES
		               ? 0
		               : error_set(err, ERROR_LIMIT, "a head of more than %d bytes", RESPONSE_HEAD_BYTES);
	head->length = (size_t)(end + 4 - head->bytes);
	explicit_bzero(head->bytes + head->length, before + taken - head->length); /* of a body, perhaps */
	*ret_used = head->length - before;
	return end_head(reader, err);
}

/* ---- the body */

MUST_USE static int take_body(struct response_reader *reader, const char *bytes, size_t length,
                              enum response_phase next, size_t *ret_used, struct error *err)
{
	*ret_used = length < reader->left ? length : reader->left;
	reader->left -= *ret_used;
	if (reader->left == 0)
		reader->phase = next;
	return buffer_append(&reader->response->body, bytes, *ret_used, err);
}

static int hexadecimal(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte between chunks. No extensions, no trailers: nobody sends them, and they would be lost. */
static const char *take_chunk_byte(struct response_reader *reader, char c)
{
	int digit = hexadecimal(c);
	switch (reader->phase) {
	case RESPONSE_CHUNK_SIZE:
		if (digit >= 0 && reader->digits < CHUNK_DIGITS_MAX) {
			reader->left = reader->digits++ > 0 ? reader->left * 16 + (size_t)digit : (size_t)digit;
			return NULL;
		}
		reader->phase = RESPONSE_CHUNK_SIZE_LF;
		return c == '\r' && reader->digits > 0 ? NULL : "bad-chunk-size";
	case RESPONSE_CHUNK_SIZE_LF:
		reader->phase = reader->left > 0 ? RESPONSE_CHUNK_DATA : RESPONSE_END_CR;
		reader->digits = 0;
		return c == '\n' ? NULL : "bad-chunk-size";
	case RESPONSE_CHUNK_CR:
		reader->phase = RESPONSE_CHUNK_LF;
		return c == '\r' ? NULL : "bad-chunk";
	case RESPONSE_CHUNK_LF:
		reader->phase = RESPONSE_CHUNK_SIZE;
		return c == '\n' ? NULL : "bad-chunk";
	case RESPONSE_END_CR:
		reader->phase = RESPONSE_END_LF;
		return c == '\r' ? NULL : "trailer";
	case RESPONSE_END_LF:
		reader->phase = RESPONSE_COMPLETE;
		return c == '\n' ? NULL : "trailer";
	case RESPONSE_HEAD:
	case RESPONSE_LENGTH:
	case RESPONSE_CLOSE:
	case RESPONSE_CHUNK_DATA:
	case RESPONSE_COMPLETE:
		break;
	}
	return "bad-chunk";
}

/* Takes some of the bytes, at least one. */
MUST_USE static int take_some(struct response_reader *reader, const char *bytes, size_t length, size_t *ret_used,
                              struct error *err)
{
	if (reader->phase == RESPONSE_HEAD)
		return take_head(reader, bytes, length, ret_used, err);
	if (reader->phase == RESPONSE_LENGTH)
		return take_body(reader, bytes, length, RESPONSE_COMPLETE, ret_used, err);
	if (reader->phase == RESPONSE_CHUNK_DATA)
		return take_body(reader, bytes, length, RESPONSE_CHUNK_CR, ret_used, err);
	*ret_used = reader->phase == RESPONSE_CLOSE ? length : 1;
	if (reader->phase == RESPONSE_CLOSE)
		return buffer_append(&reader->response->body, bytes, length, err);
	const char *reason = take_chunk_byte(reader, bytes[0]);
	return reason != NULL ? malformed(reason, err) : 0;
}

int response_take(struct response_reader *reader, const char *bytes, size_t length, struct error *err)
{
	size_t at = 0, used = 0;
	for (; at < length && reader->phase != RESPONSE_COMPLETE; at += used)
		if (take_some(reader, bytes + at, length - at, &used, err) < 0)
			return -1;
	/* What follows the head of an answer to HEAD is a body that should not be there; its end is known all the same.
	 */
	return at < length && !reader->is_head ? malformed("bytes behind its end", err) : 0;
}

int response_end(struct response_reader *reader, struct error *err)
{
	if (reader->phase == RESPONSE_CLOSE)
		reader->phase = RESPONSE_COMPLETE;
	return reader->phase == RESPONSE_COMPLETE ? 0 : error_set(err, ERROR_INPUT, "the answer ends too early");
}
