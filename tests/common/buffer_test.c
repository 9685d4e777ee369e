/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes that grow up to a bound, and leave nothing behind where they were. */
#include "tests/common/unit.h"

#include <fcntl.h>

#include "common/buffer.h"

static void keeps_to_its_limit(void **state)
{
	struct buffer buffer = {.limit = 10};
	struct error problem = {0};
	(void)state;
	assert_int_equal(buffer_append(&buffer, "0123456789a", 11, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_int_equal(buffer.length, 0);
	assert_int_equal(buffer_append(&buffer, "012345678", 9, &problem), 0);
	assert_int_equal(buffer_append(&buffer, "ab", 2, &problem), -1);
	assert_string_equal(buffer.bytes, "012345678"); /* unchanged */
	assert_int_equal(buffer_printf(&buffer, &problem, "%d", 10), -1);
	assert_string_equal(buffer.bytes, "012345678");
	assert_int_equal(buffer_append(&buffer, "9", 1, &problem), 0);
	assert_int_equal(buffer_append(&buffer, "", 0, &problem), 0);
	assert_int_equal(buffer_append(&buffer, "a", 1, &problem), -1);
	assert_int_equal(buffer_append(&buffer, "a", SIZE_MAX, &problem), -1);
	assert_string_equal(buffer.bytes, "0123456789");
	buffer_done(&buffer);

	assert_int_equal(buffer_append(&buffer, "a", ((size_t)1 << 30) + 1, &problem), -1);
	buffer = (struct buffer){0}; /* without a limit of its own: 1 GiB */
	assert_int_equal(buffer_append(&buffer, "a", ((size_t)1 << 30) + 1, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_null(buffer.bytes);
}

static void grows_and_stays_terminated(void **state)
{
	CLEANUP_BUFFER struct buffer buffer = {0};
	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		char c = (char)('a' + i % 26);
		assert_int_equal(buffer_append(&buffer, &c, 1, NULL), 0);
		assert_int_equal(buffer.length, i + 1);
		assert_int_equal(buffer.bytes[i + 1], '\0');
	}
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(buffer.bytes[i], 'a' + (int)(i % 26));
}

static void takes_nothing_and_any_bytes(void **state)
{
	CLEANUP_BUFFER struct buffer buffer = {0};
	(void)state;
	assert_int_equal(buffer_append(&buffer, NULL, 0, NULL), 0);
	assert_string_equal(buffer.bytes, "");
	assert_int_equal(buffer_append(&buffer, "a\0b\xff", 4, NULL), 0);
	assert_int_equal(buffer.length, 4);
	assert_memory_equal(buffer.bytes, "a\0b\xff", 5);
}

static void prints_texts_of_any_length(void **state)
{
	CLEANUP_BUFFER struct buffer buffer = {0};
	(void)state;
	for (int width = 0; width < 2000; width += 37) {
		size_t before = buffer.length;
		assert_int_equal(buffer_printf(&buffer, NULL, "%*s", width, ""), 0);
		assert_int_equal(buffer.length, before + (size_t)width);
		assert_int_equal(strlen(buffer.bytes), buffer.length);
	}
	buffer_clear(&buffer);
	assert_int_equal(buffer_printf(&buffer, NULL, "%s=%d", "a", 1), 0);
	assert_string_equal(buffer.bytes, "a=1");
}

static void forgets_its_content(void **state)
{
	struct buffer buffer = {.limit = 10};
	(void)state;
	buffer_clear(&buffer);
	assert_int_equal(buffer_append(&buffer, "0123456789", 10, NULL), 0);
	buffer_clear(&buffer);
	assert_int_equal(buffer.length, 0);
	assert_string_equal(buffer.bytes, "");
	assert_int_equal(buffer_append(&buffer, "abcdefghij", 10, NULL), 0);
	buffer_done(&buffer);
	assert_null(buffer.bytes);
	buffer_done(&buffer);
	buffer_wipe_done(&buffer);
	assert_int_equal(buffer_append(&buffer, "x", 1, NULL), 0); /* may be used again */
	buffer_wipe_done(&buffer);
	assert_null(buffer.bytes);
	assert_int_equal(buffer.capacity, 0);
}

static void reads_files(void **state)
{
	char folder[PATH_MAX], path[PATH_MAX];
	static char large[200000];
	(void)state;
	memset(large, 'x', sizeof(large));
	(void)unit_path(path, unit_folder(folder), "file");
	unit_write(path, large, sizeof(large));
	struct buffer buffer = {0};
	assert_int_equal(buffer_read_file(&buffer, path, NULL), 0);
	assert_int_equal(buffer.length, sizeof(large));
	buffer_done(&buffer);

	struct buffer small = {.limit = 1000};
	struct error problem = {0};
	assert_int_equal(buffer_read_file(&small, path, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_non_null(strstr(problem.text, path));
	buffer_done(&small);

	unit_write(path, "", 0);
	assert_int_equal(buffer_read_file(&buffer, path, NULL), 0);
	assert_string_equal(buffer.bytes, ""); /* not NULL */
	buffer_done(&buffer);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(buffer_read_file(&buffer, path, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_int_equal(buffer_read_file(&buffer, folder, &problem), -1);
	assert_int_equal(problem.code, ERROR_SYSTEM);
	unit_folder_remove(folder);
}

static void reads_a_pipe_to_its_end(void **state)
{
	CLEANUP_BUFFER struct buffer buffer = {0};
	int line[2];
	(void)state;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	assert_int_equal(write(line[1], "abc", 3), 3);
	assert_int_equal(close(line[1]), 0);
	assert_int_equal(buffer_append(&buffer, "0", 1, NULL), 0);
	assert_int_equal(buffer_read_fd(&buffer, line[0], NULL), 0);
	assert_string_equal(buffer.bytes, "0abc");
	assert_int_equal(close(line[0]), 0);
	struct error problem = {0};
	assert_int_equal(buffer_read_fd(&buffer, line[0], &problem), -1);
	assert_int_equal(problem.code, ERROR_SYSTEM);
}

static void makes_room_at_once(void **state)
{
	struct buffer buffer = {.limit = 1000};
	struct error problem = {0};
	(void)state;
	assert_int_equal(buffer_append(&buffer, "ab", 2, NULL), 0);
	assert_int_equal(buffer_reserve(&buffer, 998, NULL), 0);
	const char *place = buffer.bytes;
	for (int i = 0; i < 998; i++)
		assert_int_equal(buffer_append(&buffer, "c", 1, NULL), 0);
	assert_ptr_equal(buffer.bytes, place);
	assert_memory_equal(buffer.bytes, "abc", 3);
	assert_int_equal(buffer_reserve(&buffer, 1, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_int_equal(buffer.length, 1000);
	buffer_done(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_to_its_limit),          cmocka_unit_test(grows_and_stays_terminated),
		cmocka_unit_test(takes_nothing_and_any_bytes), cmocka_unit_test(prints_texts_of_any_length),
		cmocka_unit_test(forgets_its_content),         cmocka_unit_test(reads_files),
		cmocka_unit_test(makes_room_at_once),          cmocka_unit_test(reads_a_pipe_to_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
