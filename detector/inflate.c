/* SPDX-License-Identifier: Apache-2.0 */

/* Reading and unpacking. A file that fits is unpacked at once; any other, and any that libdeflate finds damaged, goes
 * through zlib in windows, so that all that stands before a cut or a flipped bit is still read. What comes in is not
 * trusted: sizes in trailers are hints, and memory is bounded by the constants of inflate.h. */
#include "detector/inflate.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "detector/inflate_memory.h"

#define FIRST_GUESS ((size_t)4 << 20)
#define PACKED_WHOLE_BYTES ((size_t)32 << 20) /* gzip files above are read in windows */

struct inflate {
	struct inflate_whole *whole;
	struct inflate_memory memory;
};

/* What is left of a file: bytes already read, then the descriptor. */
struct input {
	int fd;
	const char *head;
	size_t head_length;
	uint64_t total; /* bytes handed on */
};

int inflate_new(struct inflate **ret, struct error *err)
{
	return inflate_new_within(NULL, INFLATE_KEPT_BYTES, ret, err);
}

int inflate_new_within(struct inflate_budget *budget, size_t keep, struct inflate **ret, struct error *err)
{
	struct inflate *inflate = calloc(1, sizeof(*inflate));
	if (inflate == NULL || !inflate_memory_init(&inflate->memory, budget, keep) ||
	    (inflate->whole = inflate_whole_new()) == NULL) {
		inflate_free(inflate);
		return error_set(err, ERROR_MEMORY, "no memory for unpacking");
	}
	*ret = inflate;
	return 0;
}

void inflate_free(struct inflate *inflate)
{
	if (inflate == NULL)
		return;
	inflate_whole_free(inflate->whole);
	inflate_memory_done(&inflate->memory);
	free(inflate);
}

/* ---- reading */

size_t inflate_hint(const unsigned char trailer[static 4])
{
	size_t hint =
		(size_t)trailer[0] | (size_t)trailer[1] << 8 | (size_t)trailer[2] << 16 | (size_t)trailer[3] << 24;
	return hint <= INFLATE_WHOLE_BYTES ? hint : FIRST_GUESS;
}

/* All that a file will need at once. A pipe does not say. */
static void reserve_whole(struct inflate *inflate, int fd, off_t start)
{
	struct stat status;
	unsigned char trailer[4];
	if (start < 0 || fstat(fd, &status) < 0 || status.st_size - start < (off_t)sizeof(trailer) ||
	    status.st_size - start >= (off_t)PACKED_WHOLE_BYTES ||
	    pread(fd, trailer, sizeof(trailer), status.st_size - (off_t)sizeof(trailer)) != sizeof(trailer))
		return;
	size_t packed = INFLATE_PIECE_BYTES, unpacked = inflate_hint(trailer);
	while (packed <= (size_t)(status.st_size - start))
		packed *= 2;
	size_t more = (packed > inflate->memory.packed.capacity ? packed - inflate->memory.packed.capacity : 0) +
	              (unpacked > inflate->memory.space.capacity ? unpacked - inflate->memory.space.capacity : 0);
	inflate_memory_reserve(&inflate->memory, more);
}

/* As many bytes as there are, at most `size`; 0 at the end. */
MUST_USE static ssize_t input_read(struct input *input, char *to, size_t size, struct error *err)
{
	ssize_t got;
	if (input->head_length > 0) {
		got = (ssize_t)(input->head_length < size ? input->head_length : size);
		memcpy(to, input->head, (size_t)got);
		input->head += got;
		input->head_length -= (size_t)got;
	} else {
		do
			got = read(input->fd, to, size);
		while (got < 0 && errno == EINTR);
		if (got < 0)
			return error_errno(err, "cannot read");
	}
	input->total += (uint64_t)got;
	return got;
}

/* Fills the packed buffer up to `limit` or the end of the file. */
MUST_USE static int read_head(struct inflate *inflate, int fd, size_t limit, size_t *length, struct error *err)
{
	struct input input = {.fd = fd};
	while (*length < limit) {
		if (*length == inflate->memory.packed.capacity &&
		    !inflate_space_grow(&inflate->memory.packed, inflate->memory.packed.capacity * 2))
			return 0; /* the rest is read in windows */
		ssize_t got = input_read(&input, inflate->memory.packed.bytes + *length,
		                         inflate->memory.packed.capacity - *length, err);
		if (got <= 0)
			return (int)got;
		*length += (size_t)got;
	}
	return 0;
}

/* ---- unpacking in windows */

/* Fills `to`: bytes made, 0 at the end, -1. */
typedef ssize_t fill_function(void *filler, char *to, size_t size, struct error *err);

MUST_USE static ssize_t fill_plain(void *filler, char *to, size_t size, struct error *err)
{
	return input_read(filler, to, size, err);
}

struct unpacker {
	struct input *input;
	z_stream stream;
	char piece[64 << 10];
	bool between_members;
	const char *problem; /* what was expected where the data are damaged */
};

MUST_USE static int refill(struct unpacker *unpacker, struct error *err)
{
	if (unpacker->stream.avail_in > 0)
		return 1;
	ssize_t got = input_read(unpacker->input, unpacker->piece, sizeof(unpacker->piece), err);
	unpacker->stream.next_in = (Bytef *)unpacker->piece;
	unpacker->stream.avail_in = got > 0 ? (uInt)got : 0;
	return got < 0 ? -1 : got > 0;
}

/* Behind a member: another one, padding of zeros, or the end. Says whether there is another. */
MUST_USE static int next_member(struct unpacker *unpacker, struct error *err)
{
	int more;
	while ((more = refill(unpacker, err)) > 0 && *unpacker->stream.next_in == 0) {
		unpacker->stream.next_in++;
		unpacker->stream.avail_in--;
	}
	if (more <= 0)
		return more;
	unpacker->between_members = false;
	return inflateReset(&unpacker->stream) == Z_OK ? 1 : error_set(err, ERROR_SYSTEM, "zlib failed");
}

/* What stands before the damage is handed on first; the next call comes here again and gets the error. */
MUST_USE static ssize_t fill_unpacked(void *filler, char *to, size_t size, struct error *err)
{
	struct unpacker *unpacker = filler;
	z_stream *stream = &unpacker->stream;
	stream->next_out = (Bytef *)to;
	stream->avail_out = (uInt)size;
	while (stream->avail_out > 0 && unpacker->problem == NULL) {
		int more = unpacker->between_members ? next_member(unpacker, err) : refill(unpacker, err);
		if (more < 0)
			return -1;
		if (more == 0 && unpacker->between_members)
			break;
		if (more == 0) {
			unpacker->problem = "more gzip data, up to the trailer";
			break;
		}
		int code = inflate(stream, Z_NO_FLUSH);
		if (code == Z_STREAM_END)
			unpacker->between_members = true;
		else if (code != Z_OK && code != Z_BUF_ERROR)
			unpacker->problem = "gzip data";
	}
	if (unpacker->problem == NULL || stream->avail_out < size)
		return (ssize_t)(size - stream->avail_out);
	return error_set(err, ERROR_INPUT, "at byte %llu: expected %s%s%s",
	                 (unsigned long long)(unpacker->input->total - stream->avail_in), unpacker->problem,
	                 stream->msg != NULL ? ": " : "", stream->msg != NULL ? stream->msg : "");
}

struct reading {
	struct inflate *inflate;
	struct input *input;
	fill_function *fill;
	void *filler;
	inflate_visit *visit;
	void *context;
};

MUST_USE static int run_windows(const struct reading *reading, struct error *err)
{
	struct inflate_space *space = &reading->inflate->memory.space;
	size_t size = INFLATE_WINDOW_BYTES, length = 0;
	bool is_last = false, is_full = false;
	if (space->bytes == NULL)
		return error_set(err, ERROR_MEMORY, "no memory to unpack into");
	while (!is_last) {
		struct error problem = {0};
		ssize_t got = 1;
		while (length < size &&
		       (got = reading->fill(reading->filler, space->bytes + length, size - length, &problem)) > 0)
			length += (size_t)got;
		is_last = got == 0;

		size_t used = 0;
		struct window window = {space->bytes, length, is_last, reading->input->total, is_full};
		memset(space->bytes + length, 0, INFLATE_PADDING);
		if (reading->visit(reading->context, &window, &used, err) < 0)
			return -1;
		if (got < 0)
			return error_set(err, problem.code, "%s", problem.text);
		bool is_stuck = used == 0 && length == size && !is_last;
		is_full = is_stuck && size >= INFLATE_RECORD_BYTES;
		if (is_stuck && !is_full) {
			/* To the largest at once: whoever holds a part of the budget must not wait for more. */
			size = INFLATE_RECORD_BYTES;
			if (!inflate_space_grow(space, size))
				return error_set(err, ERROR_MEMORY, "no memory for a window of %zu bytes", size);
		}
		length -= used;
		memmove(space->bytes, space->bytes + used, length);
	}
	return 0;
}

MUST_USE static int run_unpacker(struct reading *reading, struct error *err)
{
	CLEANUP_FREE struct unpacker *unpacker = calloc(1, sizeof(*unpacker));
	if (unpacker == NULL || inflateInit2(&unpacker->stream, 15 + 16) != Z_OK)
		return error_set(err, ERROR_MEMORY, "no memory for unpacking");
	unpacker->input = reading->input;
	reading->fill = fill_unpacked;
	reading->filler = unpacker;
	int result = run_windows(reading, err);
	(void)inflateEnd(&unpacker->stream);
	return result;
}

/* Tried whole, and *ret_done; else nothing has been visited yet. */
MUST_USE static int run_whole(struct inflate *inflate, size_t length, inflate_visit *visit, void *context,
                              bool *ret_done, struct error *err)
{
	size_t unpacked = 0, used = 0;
	*ret_done = inflate_whole_run(inflate->whole, inflate->memory.packed.bytes, length, &inflate->memory.space,
	                              &unpacked) == INFLATE_WHOLE_DONE;
	if (!*ret_done)
		return 0;
	memset(inflate->memory.space.bytes + unpacked, 0, INFLATE_PADDING);
	struct window window = {inflate->memory.space.bytes, unpacked, true, length, false};
	return visit(context, &window, &used, err);
}

/* What was taken for an attempt to unpack at once is not needed for windows; a file can be read from its start again.
 */
MUST_USE static int leave_whole(struct inflate *inflate, int fd, off_t start, size_t *length, struct error *err)
{
	if (inflate->memory.taken <= inflate->memory.keep || start < 0)
		return 0;
	if (lseek(fd, start, SEEK_SET) < 0)
		return error_errno(err, "cannot read");
	*length = 0;
	return inflate_memory_shrink(&inflate->memory) ? 0 : error_set(err, ERROR_MEMORY, "no memory for unpacking");
}

/* Packed in a way that CloudTrail does not know: as text it would be garbage, complained of line by line. NULL: it is
 * not. */
static const char *packed_by(const char *bytes, size_t length)
{
	static const struct {
		const char *begins, *by;
	} others[] = {{"\xfd\x37zXZ", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"BZh", "bzip2"}, {"PK\x03\x04", "zip"}};
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		if (length >= strlen(others[i].begins) &&
		    memcmp(bytes, others[i].begins, strlen(others[i].begins)) == 0)
			return others[i].by;
	return NULL;
}

MUST_USE static int run_file(struct inflate *inflate, int fd, inflate_visit *visit, void *context, struct error *err)
{
	off_t start = lseek(fd, 0, SEEK_CUR);
	size_t length = 0;
	bool is_done = false;
	if (read_head(inflate, fd, INFLATE_PIECE_BYTES, &length, err) < 0)
		return -1;
	const unsigned char *magic = (const unsigned char *)inflate->memory.packed.bytes;
	bool is_gzip = length >= 2 && magic[0] == 0x1f && magic[1] == 0x8b;
	const char *other = packed_by(inflate->memory.packed.bytes, length);
	if (other != NULL)
		return error_set(err, ERROR_INPUT, "packed by %s: expected plain text or gzip", other);
	if (is_gzip) {
		reserve_whole(inflate, fd, start);
		if (read_head(inflate, fd, PACKED_WHOLE_BYTES, &length, err) < 0)
			return -1;
	}
	/* As long as there is room behind it, that was the file's end. */
	bool is_all = is_gzip && length < inflate->memory.packed.capacity && length < PACKED_WHOLE_BYTES;
	if (is_all && run_whole(inflate, length, visit, context, &is_done, err) < 0)
		return -1;
	if (is_done)
		return 0;
	if (leave_whole(inflate, fd, start, &length, err) < 0)
		return -1;
	struct input input = {.fd = fd, .head = inflate->memory.packed.bytes, .head_length = length};
	struct reading reading = {inflate, &input, fill_plain, &input, visit, context};
	return is_gzip ? run_unpacker(&reading, err) : run_windows(&reading, err);
}

int inflate_run(struct inflate *inflate, int fd, inflate_visit *visit, void *context, struct error *err)
{
	int result = run_file(inflate, fd, visit, context, err);
	bool is_there = inflate_memory_settle(&inflate->memory);
	return result == 0 && !is_there ? error_set(err, ERROR_MEMORY, "no memory for unpacking") : result;
}
