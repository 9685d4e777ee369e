/* SPDX-License-Identifier: Apache-2.0 */

/* Where a head has one reading, this is it: THE TABLE of headers that are looked at; all others are passed over. */
#include "proxy/request.h"

#include <string.h>

#include "common/cleanup.h"
#include "proxy/head_line.h"

static const struct {
	const char *name;
	size_t offset; /* of a text in struct request */
} headers[] = {
	{"host", offsetof(struct request, host)},
	{"x-aws-ec2-metadata-token", offsetof(struct request, token)},
	{"x-aws-ec2-metadata-token-ttl-seconds", offsetof(struct request, ttl)},
	{"user-agent", offsetof(struct request, user_agent)},
	{"authorization", offsetof(struct request, authorization)},
};

/* Ends a text where it ends. The byte behind it is a blank or a CR. */
static const char *ended(char *bytes, struct head_line text)
{
	char *start = bytes + (text.bytes - bytes);
	start[text.length] = '\0';
	return start;
}

static void take_field(char *bytes, struct head_line line, struct request *ret)
{
	struct head_line name, value;
	if (head_line_field(line, &name, &value) != NULL)
		return;
	ret->has_forwarded_for |= head_line_is(name, "x-forwarded-for");
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
		const char **text = (const char **)(void *)((char *)ret + headers[i].offset);
		if (*text == NULL && head_line_is(name, headers[i].name))
			*text = ended(bytes, value);
	}
}

/* METHOD SP TARGET SP VERSION */
static void take_request_line(char *bytes, struct head_line line, struct request *ret)
{
	const char *method_end = memchr(line.bytes, ' ', line.length);
	const char *version = memrchr(line.bytes, ' ', line.length);
	if (method_end == NULL || version <= method_end)
		return;
	ret->target = ended(bytes, (struct head_line){method_end + 1, (size_t)(version - method_end - 1)});
	ret->method = ended(bytes, (struct head_line){line.bytes, (size_t)(method_end - line.bytes)});
}

void request_split(char *bytes, size_t length, struct request *ret)
{
	*ret = (struct request){0};
	for (size_t at = 0; at < length;) {
		struct head_line line;
		if (head_line_take(bytes + at, length - at, &line) != NULL || line.length == HEAD_LINE_INCOMPLETE)
			break;
		if (at == 0)
			take_request_line(bytes, line, ret);
		else if (line.length > 0)
			take_field(bytes, line, ret);
		at += line.length + 2;
	}
}
