/* SPDX-License-Identifier: Apache-2.0 */
/* From the raw request target to a path, as lighttpd does it (the service's error pages are lighttpd's). Escaped
 * slashes and dot segments were never captured from the service itself; nothing should be concluded from the
 * simulator about those. */
#include "sim/target.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum method method_parse(const char *name)
{
	static const char *const names[METHOD_OTHER] = {
		[METHOD_GET] = "GET",
		[METHOD_HEAD] = "HEAD",
		[METHOD_PUT] = "PUT",
		[METHOD_OPTIONS] = "OPTIONS",
	};

	for (int method = 0; method < METHOD_OTHER; method++)
		if (strcmp(names[method], name) == 0)
			return (enum method)method;
	return METHOD_OTHER;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";

	if (!isxdigit((unsigned char)c))
		return -1;
	return (int)(strchr(digits, tolower((unsigned char)c)) - digits);
}

/* Skips "http://authority" of the absolute form. */
static const char *without_authority(const char *raw)
{
	if (strncasecmp(raw, "http://", 7) != 0)
		return raw;
	return raw + 7 + strcspn(raw + 7, "/?");
}

static bool decode(const char *raw, char ret[static TARGET_BYTES])
{
	size_t length = 0;

	for (; *raw != '\0' && *raw != '?'; raw++) {
		char c = *raw;

		if (c == '%') {
			int high = hex_digit(raw[1]);
			int low = high >= 0 ? hex_digit(raw[2]) : -1;

			if (low < 0 || (high == 0 && low == 0))
				return false;
			c = (char)(high << 4 | low);
			raw += 2;
		}
		if (length + 1 >= TARGET_BYTES)
			return false;
		ret[length++] = c;
	}
	ret[length] = '\0';
	return true;
}

static void drop_last_segment(char *path, size_t *length)
{
	while (*length > 0 && path[--*length] != '/')
		;
	path[*length] = '\0';
}

bool target_parse(const char *raw, struct target *ret_target)
{
	char decoded[TARGET_BYTES];
	size_t length = 0;

	*ret_target = (struct target){0};
	raw = without_authority(raw);
	if ((*raw != '/' && *raw != '\0' && *raw != '?') || !decode(raw, decoded))
		return false;

	for (char *at = decoded; *at != '\0';) {
		at += strspn(at, "/");
		size_t segment = strcspn(at, "/");

		ret_target->slash = segment == 0 || at[segment] == '/';
		if (segment == 2 && strncmp(at, "..", 2) == 0) {
			drop_last_segment(ret_target->path, &length);
		} else if (segment > 0 && !(segment == 1 && *at == '.')) {
			ret_target->path[length++] = '/';
			(void)memcpy(ret_target->path + length, at, segment);
			length += segment;
		}
		at += segment;
	}
	if (length == 0) {
		ret_target->path[length++] = '/';
		ret_target->slash = true;
	}
	ret_target->path[length] = '\0';
	return true;
}
