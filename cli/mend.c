/* SPDX-License-Identifier: Apache-2.0 */

/* A line that was cut would spoil the one that comes behind it. SIGKILL may cut a write between two pages. */
#include "cli/mend.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES ((off_t)1 << 20) /* a finding is shorter */

/* Where the last line begins within `bytes`; `length` when it has its end. */
static size_t start_of_line(const char *bytes, size_t length)
{
	const char *newline = memrchr(bytes, '\n', length);
	return newline != NULL ? (size_t)(newline - bytes) + 1 : 0;
}

int mend_last_line(int fd, const char *beginning, struct buffer *ret_tail, struct error *err)
{
	char path[32];
	struct stat status;
	struct buffer *tail = ret_tail;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
		return 0;
	/* It may be open for writing alone. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CLEANUP_FD int reading = open(path, O_RDONLY | O_CLOEXEC);
	off_t from = status.st_size > LINE_MAX_BYTES ? status.st_size - LINE_MAX_BYTES : 0;
	if (reading < 0 || lseek(reading, from, SEEK_SET) < 0 || buffer_read_fd(tail, reading, NULL) < 0 ||
	    tail->length == 0)
		return 0;
	size_t start = start_of_line(tail->bytes, tail->length), length = tail->length - start;
	size_t known = length < strlen(beginning) ? length : strlen(beginning);
	if (length == 0 || (start == 0 && from > 0) || memcmp(tail->bytes + start, beginning, known) != 0)
		return 0;
	return ftruncate(fd, from + (off_t)start) == 0 ? 0 : error_errno(err, "standard output");
}

bool mend_has_line(const struct buffer *tail, const char *line)
{
	size_t length = strlen(line), at = 0;
	while (at + length < tail->length) {
		const char *found = memmem(tail->bytes + at, tail->length - at, line, length);
		if (found == NULL)
			return false;
		at = (size_t)(found - tail->bytes);
		if ((at == 0 || found[-1] == '\n') && at + length < tail->length && found[length] == '\n')
			return true;
		at++;
	}
	return false;
}
