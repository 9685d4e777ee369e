/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/error.h"

/* What is too much to hold in memory and is wanted again: in a file without a name, in $TMPDIR or /var/tmp. It is gone
 * when it is closed, however the program ends. */

/* Such a file. Its descriptor, or -1. */
MUST_USE int spool_file(struct error *err);

/* Rows of texts, written one after the other, read as often as wanted. {0} is an empty spool without a file. */
struct spool {
	FILE *file;
	uint64_t count;
	bool is_read; /* the file stands where it was read last */
	char *row;    /* the one read last */
	size_t capacity;
};

MUST_USE int spool_put(struct spool *spool, const void *bytes, size_t length, struct error *err);

/* Back to the first row; then spool_next lends one row after the other (a NUL behind it), NULL at the end or when the
 * file cannot be read (*err is then set). */
MUST_USE int spool_rewind(struct spool *spool, struct error *err);
const char *spool_next(struct spool *spool, size_t *ret_length, struct error *err);

void spool_done(struct spool *spool);

/* A descriptor that gives all of standard input as often as it is set back to *ret_start: standard input itself where
 * that is a file, else a copy. */
MUST_USE int spool_stdin(int *ret_fd, off_t *ret_start, struct error *err);
