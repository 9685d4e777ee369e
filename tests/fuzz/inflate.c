/* SPDX-License-Identifier: Apache-2.0 */

/* Any file, unpacked: what comes out at once is what comes out in windows, up to where the file is damaged. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buffer.h"
#include "detector/inflate.h"
#include "tests/fuzz/fuzz.h"

static int take(void *context, const struct window *window, size_t *ret_used, struct error *err)
{
	MUST(window->length <= INFLATE_WHOLE_BYTES);
	*ret_used = window->length;
	return buffer_append(context, window->bytes, window->length, err);
}

/* Through a pipe a file of any size is read in windows if it is not there at once; a file is tried whole. */
static int unpack(struct inflate *inflate, const uint8_t *input, size_t length, struct buffer *ret, struct error *err)
{
	CLEANUP_FD int fd = memfd_create("input", MFD_CLOEXEC);
	MUST(fd >= 0 && write(fd, input, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0);
	return inflate_run(inflate, fd, take, ret, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	static struct inflate *inflate;
	CLEANUP_BUFFER struct buffer once = {0};
	CLEANUP_BUFFER struct buffer again = {0};
	struct error problem = {0}, second = {0};
	if (inflate == NULL)
		MUST(inflate_new(&inflate, NULL) == 0);
	int result = unpack(inflate, input, length, &once, &problem);
	MUST(unpack(inflate, input, length, &again, &second) == result);
	MUST(once.length == again.length && (once.length == 0 || memcmp(once.bytes, again.bytes, once.length) == 0));
	MUST(result == 0 || (problem.code == ERROR_INPUT && problem.text[0] != '\0'));
	bool is_gzip = length >= 2 && input[0] == 0x1f && input[1] == 0x8b;
	MUST(result == 0 || is_gzip || strncmp(problem.text, "packed by ", strlen("packed by ")) == 0);
	if (result == 0 && !is_gzip)
		MUST(once.length == length && (length == 0 || memcmp(once.bytes, input, length) == 0));
	return 0;
}
