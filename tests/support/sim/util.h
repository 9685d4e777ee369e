/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MUST_USE __attribute__((warn_unused_result))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define CLEANUP_FREE __attribute__((cleanup(util_free)))
#define CLEANUP_FD __attribute__((cleanup(util_close)))
#define CLEANUP_FILE __attribute__((cleanup(util_fclose)))

static inline void util_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void util_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void util_fclose(FILE **file)
{
	if (*file != NULL)
		(void)fclose(*file);
}

/* What went wrong, in words for the person at the terminal. */
struct error {
	char text[256];
};

/* Fills in ERR and returns -1, so that failing is one statement. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes owned by whoever holds the struct; always NUL-terminated behind the last byte. */
struct blob {
	char *data;
	size_t bytes;
};

#define CLEANUP_BLOB __attribute__((cleanup(blob_done)))

void blob_done(struct blob *blob);

/* Reads a whole file of at most LIMIT bytes. */
MUST_USE int blob_read(const char *path, size_t limit, struct blob *ret_blob, struct error *err);

/* Writes TEXT as a JSON string; every byte outside printable ASCII becomes \u00XX. */
void json_string(FILE *out, const char *text);

/* Ends the process when the kernel has no random bytes: there is nothing to simulate without. */
void random_bytes(void *ret, size_t bytes);

/* Base64 with padding; RET holds 4 * ceil(BYTES / 3) characters and a NUL. */
void base64(char *ret, const void *data, size_t bytes, const char alphabet[static 64]);

extern const char base64_standard[];
extern const char base64_url[];

int64_t monotonic_ms(void);

/* "2026-01-02T03:04:05Z" and "Fri, 02 Jan 2026 03:04:05 GMT". */
void time_iso(char ret[static 32], time_t when);
void time_http(char ret[static 32], time_t when);
