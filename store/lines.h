/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Reading a file line by line within a bound: a line of a gigabyte costs no more memory than one of LINE_BYTES_MAX. */
struct lines;

enum lines_what {
	LINES_END,
	LINES_LINE,     /* a whole one */
	LINES_CUT,      /* the last one, without its newline */
	LINES_TOO_LONG, /* the rest of the file is not read */
};

/* The descriptor stays the caller's. */
MUST_USE int lines_new(int fd, struct lines **ret, struct error *err);
void lines_free(struct lines *lines);

/* The next line that is not empty, lent until the next call; without its newline. */
MUST_USE int lines_next(struct lines *lines, enum lines_what *ret, const char **ret_line, size_t *ret_length,
                        struct error *err);
int64_t lines_number(const struct lines *lines); /* of that line, from 1 */
