/* SPDX-License-Identifier: Apache-2.0 */

/* Temporary files that have no name: O_TMPFILE where the file system has it, else one that is unlinked at once. */
#include "detector/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_BYTES ((size_t)256 << 10)
#define ROW_MAX ((size_t)64 << 20) /* longer than any record that is read */

int spool_file(struct error *err)
{
	const char *folder = getenv("TMPDIR");
	char path[4096];
	if (folder == NULL || folder[0] != '/')
		folder = "/var/tmp"; /* on a disk, where /tmp often is memory */
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	(void)snprintf(path, sizeof(path), "%s/keytrail-XXXXXX", folder);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "a temporary file in %s", folder);
	(void)unlink(path);
	return fd;
}

int spool_put(struct spool *spool, const void *bytes, size_t length, struct error *err)
{
	uint64_t size = length;
	if (spool->file == NULL) {
		int fd = spool_file(err);
		if (fd < 0)
			return -1;
		spool->file = fdopen(fd, "w+");
		if (spool->file == NULL) {
			(void)close(fd);
			return error_set(err, ERROR_MEMORY, "no memory for a temporary file");
		}
	}
	if (spool->is_read && fseek(spool->file, 0, SEEK_END) != 0)
		return error_errno(err, "a temporary file");
	spool->is_read = false;
	if (fwrite(&size, sizeof(size), 1, spool->file) != 1 || fwrite(bytes, 1, length, spool->file) != length)
		return error_errno(err, "writing a temporary file");
	spool->count++;
	return 0;
}

int spool_rewind(struct spool *spool, struct error *err)
{
	spool->is_read = true;
	if (spool->file != NULL && fseek(spool->file, 0, SEEK_SET) != 0)
		return error_errno(err, "a temporary file");
	return 0;
}

const char *spool_next(struct spool *spool, size_t *ret_length, struct error *err)
{
	uint64_t size;
	if (spool->file == NULL || fread(&size, sizeof(size), 1, spool->file) != 1) {
		if (spool->file != NULL && ferror(spool->file))
			(void)error_errno(err, "reading a temporary file");
		return NULL;
	}
	if (size >= ROW_MAX) {
		(void)error_set(err, ERROR_DAMAGED, "a temporary file holds what was not written");
		return NULL;
	}
	if (size + 1 > spool->capacity) {
		char *grown = realloc(spool->row, size + 1);
		if (grown == NULL) {
			(void)error_set(err, ERROR_MEMORY, "no memory for a row");
			return NULL;
		}
		spool->row = grown;
		spool->capacity = size + 1;
	}
	if (fread(spool->row, 1, size, spool->file) != size) {
		(void)error_set(err, ERROR_DAMAGED, "a temporary file is shorter than what was written");
		return NULL;
	}
	spool->row[size] = '\0';
	*ret_length = size;
	return spool->row;
}

void spool_done(struct spool *spool)
{
	if (spool->file != NULL)
		(void)fclose(spool->file);
	free(spool->row);
	*spool = (struct spool){0};
}

/* ---- standard input */

MUST_USE static int write_all(int fd, const char *bytes, size_t length, struct error *err)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_errno(err, "keeping standard input in a temporary file");
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

MUST_USE static int copy_stdin(int to, struct error *err)
{
	CLEANUP_FREE char *bytes = malloc(COPY_BYTES);
	if (bytes == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for standard input");
	for (;;) {
		ssize_t length = read(STDIN_FILENO, bytes, COPY_BYTES);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return error_errno(err, "standard input");
		if (length == 0)
			return 0;
		if (write_all(to, bytes, (size_t)length, err) < 0)
			return -1;
	}
}

int spool_stdin(int *ret_fd, off_t *ret_start, struct error *err)
{
	struct stat status;
	bool is_file = fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
	CLEANUP_FD int fd = is_file ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : spool_file(err);
	if (fd < 0)
		return is_file ? error_errno(err, "standard input") : -1;
	if (!is_file && copy_stdin(fd, err) < 0)
		return -1;
	off_t start = is_file ? lseek(fd, 0, SEEK_CUR) : 0;
	if (start < 0)
		return error_errno(err, "standard input");
	*ret_start = start;
	*ret_fd = steal_fd(&fd);
	return 0;
}
