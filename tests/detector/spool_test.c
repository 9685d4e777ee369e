/* SPDX-License-Identifier: Apache-2.0 */

/* Rows that lie in a file, and standard input read twice. */
#include "tests/detector/support.h"

#include "detector/spool.h"

static void test_rows(void **state)
{
	struct spool spool = {0};
	struct error err = {0};
	size_t length;
	(void)state;
	assert_int_equal(spool_rewind(&spool, &err), 0);
	assert_null(spool_next(&spool, &length, &err));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(spool_put(&spool, &"abcdefghij"[i % 10], (size_t)(10 - i % 10), &err), 0);
	assert_int_equal(spool.count, 1000);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(spool_rewind(&spool, &err), 0);
		for (int i = 0; i < 1000; i++) {
			const char *row = spool_next(&spool, &length, &err);
			assert_non_null(row);
			assert_int_equal(length, 10 - i % 10);
			assert_string_equal(row, &"abcdefghij"[i % 10]);
		}
		assert_null(spool_next(&spool, &length, &err));
		assert_int_equal(err.code, ERROR_NONE);
		assert_int_equal(spool_put(&spool, "last", 4, &err), 0); /* behind the others */
		assert_int_equal(spool_rewind(&spool, &err), 0);
		for (int i = 0; i <= 1000; i++)
			assert_non_null(spool_next(&spool, &length, &err));
		spool_done(&spool);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(spool_put(&spool, &"abcdefghij"[i % 10], (size_t)(10 - i % 10), &err), 0);
	}
	spool_done(&spool);
}

static void test_no_folder(void **state)
{
	struct spool spool = {0};
	struct error err = {0};
	(void)state;
	assert_int_equal(setenv("TMPDIR", support_path("nowhere"), 1), 0);
	assert_int_equal(spool_put(&spool, "a", 1, &err), -1);
	assert_non_null(strstr(err.text, "nowhere"));
	assert_int_equal(unsetenv("TMPDIR"), 0);
	spool_done(&spool);
}

static void check_stdin(int from, const char *wanted)
{
	struct error err = {0};
	int kept = dup(STDIN_FILENO), fd;
	off_t start;
	assert_int_equal(dup2(from, STDIN_FILENO), STDIN_FILENO);
	if (spool_stdin(&fd, &start, &err) < 0)
		fail_msg("%s", err.text);
	for (int round = 0; round < 2; round++) {
		CLEANUP_BUFFER struct buffer text = {0};
		assert_int_equal(lseek(fd, start, SEEK_SET), start);
		assert_int_equal(buffer_read_fd(&text, fd, &err), 0);
		assert_string_equal(text.bytes, wanted);
	}
	(void)close(fd);
	assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
	(void)close(kept);
}

static void test_stdin(void **state)
{
	int pipes[2];
	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "through a pipe", 14), 14);
	(void)close(pipes[1]);
	check_stdin(pipes[0], "through a pipe");
	(void)close(pipes[0]);

	int file = open(support_write_text("input", "of this, the rest"), O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(lseek(file, 9, SEEK_SET), 9);
	check_stdin(file, "the rest");
	(void)close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_no_folder),
	                                   cmocka_unit_test(test_stdin)};
	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
