/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "common/error.h"

/* Bytes that grow up to a bound. Always NUL-terminated behind `length`. Not shared between threads. */
struct buffer {
	char *bytes; /* owned; NULL while empty */
	size_t length;
	size_t capacity;
	size_t limit; /* most bytes it may hold; 0: 1 GiB */
};

/* Adds bytes, or ERROR_LIMIT / ERROR_MEMORY with the content unchanged. */
MUST_USE int buffer_append(struct buffer *buffer, const void *bytes, size_t length, struct error *err);
/* Room for so many more, so that they are not moved while they come. */
MUST_USE int buffer_reserve(struct buffer *buffer, size_t extra, struct error *err);
MUST_USE int buffer_printf(struct buffer *buffer, struct error *err, const char *format, ...) PRINTF_LIKE(3, 4);

/* Reads a descriptor to its end. */
MUST_USE int buffer_read_fd(struct buffer *buffer, int fd, struct error *err);

/* Reads a whole file; ERROR_MISSING when it does not exist. */
MUST_USE int buffer_read_file(struct buffer *buffer, const char *path, struct error *err);

/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Frees; the struct may be used again. buffer_wipe_done first overwrites all it ever held. */
void buffer_done(struct buffer *buffer);
void buffer_wipe_done(struct buffer *buffer);

#define CLEANUP_BUFFER CLEANUP(buffer_done)
#define CLEANUP_SECRET_BUFFER CLEANUP(buffer_wipe_done)
