/* SPDX-License-Identifier: Apache-2.0 */

/* Frames in a preallocated file: a generation, a length, a digest, the line. A frame of an older generation, or one
 * whose digest does not fit, ends the journal. */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/digest.h"
#include "common/folder.h"

struct head {
	char magic[8];
	uint64_t generation;
};

struct frame {
	uint64_t generation;
	uint64_t length;
	uint8_t digest[DIGEST_BYTES];
};

struct journal {
	char path[PATH_MAX];
	int fd;
	uint64_t generation;
	off_t end;           /* where the next frame goes */
	bool head_is_unsure; /* a failed journal_clear may have left another generation on the disk */
};

static const char magic[8] = "KTJRNL1";

/* Reads the frame at `at`; false: none there. */
static bool frame_read(const struct journal *journal, off_t at, struct frame *ret, struct buffer *ret_line)
{
	struct frame frame;
	uint8_t digest[DIGEST_BYTES];
	struct error ignored;
	buffer_clear(ret_line);
	if (pread(journal->fd, &frame, sizeof(frame), at) != (ssize_t)sizeof(frame) ||
	    frame.generation != journal->generation || frame.length > JOURNAL_BYTES)
		return false;
	CLEANUP_FREE char *line = malloc(frame.length + 1);
	if (line == NULL ||
	    pread(journal->fd, line, frame.length, at + (off_t)sizeof(frame)) != (ssize_t)frame.length ||
	    digest_of(line, frame.length, digest, &ignored) < 0 || memcmp(digest, frame.digest, DIGEST_BYTES) != 0 ||
	    buffer_append(ret_line, line, frame.length, &ignored) < 0)
		return false;
	*ret = frame;
	return true;
}

MUST_USE static int head_write(struct journal *journal, struct error *err)
{
	struct head head = {.generation = journal->generation};
	memcpy(head.magic, magic, sizeof(magic));
	journal->head_is_unsure = true;
	if (pwrite(journal->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) || fdatasync(journal->fd) < 0)
		return error_errno(err, "journal");
	journal->head_is_unsure = false;
	return 0;
}

MUST_USE static int set_aside(int fd, struct error *err)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return error_errno(err, "journal");
	errno = status.st_size < JOURNAL_BYTES ? posix_fallocate(fd, 0, JOURNAL_BYTES) : 0;
	return errno == 0 ? 0 : error_errno(err, "cannot set aside %d bytes for the journal", JOURNAL_BYTES);
}

MUST_USE static int load(struct journal *journal, struct error *err)
{
	struct head head;
	struct frame frame;
	CLEANUP_BUFFER struct buffer line = {0};
	journal->end = sizeof(head);
	if (set_aside(journal->fd, err) < 0 || folder_sync_of(journal->path, err) < 0)
		return -1;
	if (pread(journal->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0) {
		journal->generation = 1;
		return head_write(journal, err);
	}
	journal->generation = head.generation;
	while (frame_read(journal, journal->end, &frame, &line))
		journal->end += (off_t)(sizeof(frame) + frame.length);
	return 0;
}

static int open_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

int journal_open(const char *path, struct journal **ret, struct error *err)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	if (journal == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the journal");
	(void)snprintf(journal->path, sizeof(journal->path), "%s", path);
	journal->fd = open_file(path);
	int result = journal->fd < 0 ? error_errno(err, "%s", path) : load(journal, err);
	if (result < 0)
		journal_close(journal);
	else
		*ret = journal;
	return result;
}

static bool is_at_its_path(const struct journal *journal)
{
	struct stat ours, there;
	return fstat(journal->fd, &ours) == 0 && lstat(journal->path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/* Somebody took the file away: what it holds goes into a new one, since nobody would ever find it. */
MUST_USE static int move_to_new_file(struct journal *journal, struct error *err)
{
	size_t length = (size_t)journal->end;
	CLEANUP_FREE char *bytes = malloc(length);
	if (bytes == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the journal");
	(void)unlink(journal->path); /* or what stands there in its place */
	CLEANUP_FD int fd = open_file(journal->path);
	if (fd < 0)
		return error_errno(err, "%s", journal->path);
	if (set_aside(fd, err) < 0)
		return -1;
	if (pread(journal->fd, bytes, length, 0) != (ssize_t)length ||
	    pwrite(fd, bytes, length, 0) != (ssize_t)length || fdatasync(fd) < 0)
		return error_errno(err, "journal");
	(void)close(journal->fd);
	journal->fd = steal_fd(&fd);
	return folder_sync_of(journal->path, err);
}

void journal_close(struct journal *journal)
{
	if (journal == NULL)
		return;
	if (journal->fd >= 0)
		(void)close(journal->fd);
	free(journal);
}

int journal_append(struct journal *journal, const char *line, size_t length, struct error *err)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	struct frame frame = {.generation = journal->generation, .length = length};
	if (journal->end + (off_t)(sizeof(frame) + length) > JOURNAL_BYTES)
		return error_set(err, ERROR_LIMIT, "the journal is full");
	if (!is_at_its_path(journal) && move_to_new_file(journal, err) < 0)
		return -1;
	if (journal->head_is_unsure && head_write(journal, err) < 0)
		return -1;
	if (digest_of(line, length, frame.digest, err) < 0 || buffer_append(&bytes, &frame, sizeof(frame), err) < 0 ||
	    buffer_append(&bytes, line, length, err) < 0)
		return -1;
	if (pwrite(journal->fd, bytes.bytes, bytes.length, journal->end) != (ssize_t)bytes.length ||
	    fdatasync(journal->fd) < 0)
		return error_errno(err, "journal");
	journal->end += (off_t)bytes.length;
	return 0;
}

bool journal_is_empty(const struct journal *journal)
{
	return journal->end == (off_t)sizeof(struct head);
}

bool journal_is_filling(const struct journal *journal)
{
	return journal->end > JOURNAL_BYTES / 2;
}

int journal_replay(struct journal *journal,
                   int (*take)(void *context, const char *line, size_t length, struct error *err), void *context,
                   struct error *err)
{
	struct frame frame;
	CLEANUP_BUFFER struct buffer line = {0};
	for (off_t at = sizeof(struct head); frame_read(journal, at, &frame, &line);
	     at += (off_t)(sizeof(frame) + frame.length))
		if (take(context, line.bytes, line.length, err) < 0)
			return -1;
	return 0;
}

int journal_clear(struct journal *journal, struct error *err)
{
	/* The old lines stay ours until the new generation is on the disk. */
	journal->generation++;
	if (head_write(journal, err) < 0) {
		journal->generation--;
		return -1;
	}
	journal->end = sizeof(struct head);
	return 0;
}
