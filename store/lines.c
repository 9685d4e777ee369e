/* SPDX-License-Identifier: Apache-2.0 */

/* Lines out of a descriptor, through one block of memory. */
#include "store/lines.h"

#include <errno.h>
#include <string.h>

#include "store/line.h"

struct lines {
	int fd;
	char *bytes; /* LINE_BYTES_MAX + 1 */
	size_t from, until;
	bool is_at_end;
	int64_t number;
};

int lines_new(int fd, struct lines **ret, struct error *err)
{
	struct lines *lines = calloc(1, sizeof(*lines));
	if (lines != NULL)
		lines->bytes = malloc(LINE_BYTES_MAX + 1);
	if (lines == NULL || lines->bytes == NULL) {
		lines_free(lines);
		return error_set(err, ERROR_MEMORY, "no memory for a line");
	}
	lines->fd = fd;
	*ret = lines;
	return 0;
}

void lines_free(struct lines *lines)
{
	if (lines == NULL)
		return;
	free(lines->bytes);
	free(lines);
}

/* More of the file behind what is there. */
MUST_USE static int fill(struct lines *lines, struct error *err)
{
	if (lines->from > 0) {
		memmove(lines->bytes, lines->bytes + lines->from, lines->until - lines->from);
		lines->until -= lines->from;
		lines->from = 0;
	}
	for (;;) {
		ssize_t got = read(lines->fd, lines->bytes + lines->until, LINE_BYTES_MAX + 1 - lines->until);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "cannot read");
		lines->is_at_end = got == 0;
		lines->until += (size_t)got;
		return 0;
	}
}

int lines_next(struct lines *lines, enum lines_what *ret, const char **ret_line, size_t *ret_length, struct error *err)
{
	size_t searched = 0;
	for (;;) {
		char *line = lines->bytes + lines->from;
		size_t held = lines->until - lines->from;
		char *newline = memchr(line + searched, '\n', held - searched);
		size_t length = newline != NULL ? (size_t)(newline - line) : held;
		if (newline == NULL && !lines->is_at_end && held <= LINE_BYTES_MAX) {
			searched = held;
			if (fill(lines, err) < 0)
				return -1;
			continue;
		}
		lines->from += newline != NULL ? length + 1 : length;
		lines->number += newline != NULL || length > 0;
		searched = 0;
		bool is_empty = length == 0 || (length == 1 && line[0] == '\r');
		if (newline != NULL && is_empty)
			continue;
		*ret = newline == NULL && length == 0 ? LINES_END
		       : length > LINE_BYTES_MAX      ? LINES_TOO_LONG
		       : newline == NULL              ? LINES_CUT
		                                      : LINES_LINE;
		*ret_line = line;
		*ret_length = length;
		return 0;
	}
}

int64_t lines_number(const struct lines *lines)
{
	return lines->number;
}
