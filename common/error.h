/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/cleanup.h"

/* What went wrong, for the caller to decide on. Plain value, nothing to free, one per thread of work. */
enum error_code {
	ERROR_NONE,
	ERROR_USAGE,   /* the user asked for something that cannot be: exit status 2 */
	ERROR_INPUT,   /* a file or a peer sent something malformed */
	ERROR_SYSTEM,  /* a system call or a library failed */
	ERROR_MEMORY,  /* out of memory */
	ERROR_LIMIT,   /* one of our own bounds was met */
	ERROR_TIMEOUT, /* a deadline passed */
	ERROR_MISSING, /* what was named does not exist */
	ERROR_NEWER,   /* written by a newer version of this program */
	ERROR_DAMAGED, /* a file of ours, but not in one piece */
};

struct error {
	enum error_code code;
	char text[512]; /* one line, no newline, safe to print */
};

/* Fills *err (which may be NULL: nobody wants to know) and returns -1, so that failing is one statement.
 * Control bytes that came in with the arguments are escaped. */
int error_set(struct error *err, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same with ": strerror(errno)" behind the text; the code is ERROR_SYSTEM, or ERROR_MISSING for ENOENT. */
int error_errno(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before the text of an error that was set below; returns -1. */
int error_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
