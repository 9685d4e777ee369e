/* SPDX-License-Identifier: Apache-2.0 */

/* A bounded, growing run of bytes. A buffer may hold a secret, so growing wipes what it leaves behind. */
#include "common/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#define DEFAULT_LIMIT ((size_t)1 << 30)

int buffer_reserve(struct buffer *buffer, size_t extra, struct error *err)
{
	size_t limit = buffer->limit > 0 ? buffer->limit : DEFAULT_LIMIT;
	if (extra > limit || buffer->length > limit - extra)
		return error_set(err, ERROR_LIMIT, "more than %zu bytes", limit);

	size_t need = buffer->length + extra + 1;
	if (need <= buffer->capacity)
		return 0;
	size_t capacity = buffer->capacity > 0 ? buffer->capacity : 256;
	while (capacity < need)
		capacity *= 2;
	char *bytes = malloc(capacity);
	if (bytes == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for %zu bytes", capacity);
	if (buffer->bytes != NULL) {
		memcpy(bytes, buffer->bytes, buffer->length);
		explicit_bzero(buffer->bytes, buffer->capacity);
		free(buffer->bytes);
	}
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length, struct error *err)
{
	if (buffer_reserve(buffer, length, err) < 0)
		return -1;
	if (length > 0)
		memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	buffer->bytes[buffer->length] = '\0';
	return 0;
}

int buffer_printf(struct buffer *buffer, struct error *err, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int need = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (need < 0)
		return error_set(err, ERROR_SYSTEM, "cannot format a text");
	if (buffer_reserve(buffer, (size_t)need, err) < 0)
		return -1;

	va_start(arguments, format);
	(void)vsnprintf(buffer->bytes + buffer->length, (size_t)need + 1, format, arguments);
	va_end(arguments);
	buffer->length += (size_t)need;
	return 0;
}

int buffer_read_fd(struct buffer *buffer, int fd, struct error *err)
{
	for (;;) {
		char piece[65536];
		ssize_t got = read(fd, piece, sizeof(piece));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "cannot read");
		if (got == 0)
			return buffer_append(buffer, "", 0, err);
		if (buffer_append(buffer, piece, (size_t)got, err) < 0)
			return -1;
	}
}

int buffer_read_file(struct buffer *buffer, const char *path, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", path);
	if (buffer_read_fd(buffer, fd, err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->length = 0;
	if (buffer->bytes != NULL)
		buffer->bytes[0] = '\0';
}

void buffer_done(struct buffer *buffer)
{
	free(buffer->bytes);
	buffer->bytes = NULL;
	buffer->length = 0;
	buffer->capacity = 0;
}

void buffer_wipe_done(struct buffer *buffer)
{
	if (buffer->bytes != NULL)
		explicit_bzero(buffer->bytes, buffer->capacity);
	buffer_done(buffer);
}
