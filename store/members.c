/* SPDX-License-Identifier: Apache-2.0 */

/* Ten million rows are no trees: quotes, brackets and commas are enough to cut a line that we wrote ourselves. */
#include "store/members.h"

#include <string.h>

static const char *string_end(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '\\')
			at++;
		else if (*at == '"')
			return at + 1;
	}
	return NULL;
}

/* Behind the value that begins at `at`; NULL: it has no end. What is within it is not looked at. */
const char *member_value_end(const char *at, const char *end)
{
	size_t depth = 0;
	while (at != NULL && at < end) {
		if (*at == '"') {
			at = string_end(at, end);
			if (depth == 0)
				return at;
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && depth > 0 && --depth == 0)
			return at + 1;
		else if (depth == 0 && strchr(",}] \t\r\n", *at) != NULL)
			return at;
		at++;
	}
	return NULL;
}

int slice_compare(struct slice a, struct slice b)
{
	size_t length = a.length < b.length ? a.length : b.length;
	int order = memcmp(a.bytes, b.bytes, length);
	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

bool slice_is(struct slice slice, const char *text)
{
	return slice_compare(slice, slice_of(text)) == 0;
}

/* The members of an object on one line, in the order of their names and without white space around them. -1: it is not
 * written so. */
int members_split(struct slice text, struct member members[static MEMBERS_MAX])
{
	const char *at = text.bytes, *end = text.bytes + text.length;
	int count = 0;
	if (text.length < 2 || *at++ != '{' || memchr(text.bytes, '\n', text.length) != NULL)
		return -1;
	if (*at == '}')
		return at + 1 == end ? 0 : -1;
	for (;;) {
		struct member *member = &members[count];
		const char *name_end = at < end && *at == '"' ? string_end(at, end) : NULL;
		if (count == MEMBERS_MAX || name_end == NULL || name_end >= end || *name_end != ':')
			return -1;
		member->name = (struct slice){at + 1, (size_t)(name_end - at) - 2};
		const char *value = name_end + 1, *behind = member_value_end(value, end);
		if (behind == NULL || behind >= end || behind == value ||
		    memchr(member->name.bytes, '\\', member->name.length) != NULL ||
		    (count > 0 && slice_compare(members[count - 1].name, member->name) >= 0))
			return -1;
		member->value = (struct slice){value, (size_t)(behind - value)};
		count++;
		if (*behind == '}')
			return behind + 1 == end ? count : -1;
		if (*behind != ',')
			return -1;
		at = behind + 1;
	}
}
