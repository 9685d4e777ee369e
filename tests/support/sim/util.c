/* SPDX-License-Identifier: Apache-2.0 */
/* The few helpers that the simulator's files share. It uses none of the project's own layers: what tests
 * them must not fail with them. */
#include "sim/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

const char base64_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int error_set(struct error *err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	return -1;
}

void blob_done(struct blob *blob)
{
	free(blob->data);
	*blob = (struct blob){0};
}

int blob_read(const char *path, size_t limit, struct blob *ret_blob, struct error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, "%s: %s", path, strerror(errno));

	CLEANUP_BLOB struct blob blob = {.data = malloc(limit + 2)};
	if (blob.data == NULL)
		return error_set(err, "%s: out of memory", path);

	/* One byte more than allowed, so that a file that is too long is told from one that just fits. */
	while (blob.bytes <= limit) {
		ssize_t got = read(fd, blob.data + blob.bytes, limit + 1 - blob.bytes);
		if (got < 0)
			return error_set(err, "%s: %s", path, strerror(errno));
		if (got == 0)
			break;
		blob.bytes += (size_t)got;
	}
	if (blob.bytes > limit)
		return error_set(err, "%s: longer than %zu bytes", path, limit);

	blob.data[blob.bytes] = '\0';
	*ret_blob = blob;
	blob = (struct blob){0};
	return 0;
}

void json_string(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (const char *at = text; *at != '\0'; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte == '"' || byte == '\\')
			(void)fprintf(out, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			(void)fprintf(out, "\\u%04x", byte);
		else
			(void)fputc(byte, out);
	}
	(void)fputc('"', out);
}

void random_bytes(void *ret, size_t bytes)
{
	unsigned char *at = ret;

	while (bytes > 0) {
		ssize_t got = getrandom(at, bytes, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort();
		at += got;
		bytes -= (size_t)got;
	}
}

void base64(char *ret, const void *data, size_t bytes, const char alphabet[static 64])
{
	const unsigned char *in = data;

	for (size_t at = 0; at < bytes; at += 3) {
		size_t left = bytes - at;
		unsigned int group = (unsigned int)in[at] << 16;

		if (left > 1)
			group |= (unsigned int)in[at + 1] << 8;
		if (left > 2)
			group |= in[at + 2];

		*ret++ = alphabet[group >> 18];
		*ret++ = alphabet[(group >> 12) & 63];
		*ret++ = left > 1 ? alphabet[(group >> 6) & 63] : '=';
		*ret++ = left > 2 ? alphabet[group & 63] : '=';
	}
	*ret = '\0';
}

int64_t monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void time_iso(char ret[static 32], time_t when)
{
	struct tm parts;

	(void)gmtime_r(&when, &parts);
	(void)strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void time_http(char ret[static 32], time_t when)
{
	/* strftime's %a and %b follow the locale; the simulator never sets one, so they stay English. */
	struct tm parts;

	(void)gmtime_r(&when, &parts);
	(void)strftime(ret, 32, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}
