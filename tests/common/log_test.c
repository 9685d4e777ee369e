/* SPDX-License-Identifier: Apache-2.0 */

/* Log lines: one line each, whatever somebody put into a value. */
#include "tests/common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "common/buffer.h"
#include "common/log.h"

struct caught {
	int kept, line[2];
};

/* What is written to stderr from here on goes into a pipe. */
static void catch_start(struct caught *caught)
{
	(void)fflush(NULL);
	caught->kept = dup(STDERR_FILENO);
	assert_true(caught->kept >= 0);
	assert_int_equal(pipe2(caught->line, O_CLOEXEC), 0);
	assert_true(dup2(caught->line[1], STDERR_FILENO) >= 0);
	(void)close(caught->line[1]);
}

static void catch_end(struct caught *caught, struct buffer *ret)
{
	assert_true(dup2(caught->kept, STDERR_FILENO) >= 0);
	(void)close(caught->kept);
	assert_int_equal(buffer_append(ret, "", 0, NULL), 0);
	assert_int_equal(buffer_read_fd(ret, caught->line[0], NULL), 0);
	(void)close(caught->line[0]);
}

static void writes_one_line_an_event(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct caught caught;
	(void)state;
	catch_start(&caught);
	log_line(LOG_LEVEL_ERROR, "an_event", "key=%s number=%d", "value", 7);
	log_line(LOG_LEVEL_WARNING, "b", "x=1");
	log_line(LOG_LEVEL_NOTICE, "c", "x=1");
	log_line(LOG_LEVEL_INFO, "d", "%s", "");
	log_line(LOG_LEVEL_DEBUG, "e", "x=1"); /* above the level */
	catch_end(&caught, &text);
	assert_string_equal(text.bytes, "<3>error an_event key=value number=7\n<4>warning b x=1\n<5>notice c x=1\n"
	                                "<6>info d\n");
}

static void keeps_to_its_level(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct caught caught;
	(void)state;
	catch_start(&caught);
	log_set_level(LOG_LEVEL_ERROR);
	log_line(LOG_LEVEL_WARNING, "a", "x=1");
	log_line(LOG_LEVEL_ERROR, "b", "x=1");
	log_set_level(LOG_LEVEL_DEBUG);
	log_line(LOG_LEVEL_DEBUG, "c", "x=1");
	log_set_level(LOG_LEVEL_INFO);
	catch_end(&caught, &text);
	assert_string_equal(text.bytes, "<3>error b x=1\n<7>debug c x=1\n");
}

/* No value can make a second line, or talk to a terminal. */
static void escapes_control_bytes(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct caught caught;
	char bytes[256];
	(void)state;
	for (int i = 1; i < 256; i++)
		bytes[i - 1] = (char)i;
	bytes[255] = '\0';
	catch_start(&caught);
	log_line(LOG_LEVEL_INFO, "event", "value=%s", "a\n<0>emergency forged\r\x1b[2J\x7f");
	log_line(LOG_LEVEL_INFO, "event", "value=%s", bytes);
	catch_end(&caught, &text);
	int lines = 0;
	for (size_t i = 0; i < text.length; i++) {
		lines += text.bytes[i] == '\n';
		assert_true(text.bytes[i] == '\n' || ((unsigned char)text.bytes[i] >= 0x20 && text.bytes[i] != 0x7f));
	}
	assert_int_equal(lines, 2);
}

static void bounds_a_line(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct caught caught;
	static char longest[10000];
	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	catch_start(&caught);
	log_line(LOG_LEVEL_INFO, "event", "value=%s", longest);
	catch_end(&caught, &text);
	assert_in_range(text.length, 1000, 4096); /* one write(2) to a pipe stays whole up to PIPE_BUF */
	assert_ptr_equal(strchr(text.bytes, '\n'), text.bytes + text.length - 1);
}

static void leaves_errno_alone(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct caught caught;
	(void)state;
	catch_start(&caught);
	errno = EXDEV;
	log_line(LOG_LEVEL_INFO, "event", "x=1");
	int after = errno;
	catch_end(&caught, &text);
	assert_int_equal(after, EXDEV);
}

static int log_into_nothing(void *context)
{
	(void)context;
	(void)close(STDERR_FILENO);
	errno = EXDEV;
	log_line(LOG_LEVEL_ERROR, "event", "x=1");
	return errno == EXDEV ? 0 : 1;
}

static void goes_on_without_stderr(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(log_into_nothing, NULL), 0);
}

static void *log_many(void *argument)
{
	(void)argument;
	for (int i = 0; i < 50; i++)
		log_line(LOG_LEVEL_INFO, "event", "value=abcdefghijklmnopqrstuvwxyz");
	return NULL;
}

static void mixes_no_lines_of_threads(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct caught caught;
	pthread_t threads[8];
	int lines = 0;
	(void)state;
	catch_start(&caught);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	catch_end(&caught, &text);
	for (char *line = strtok(text.bytes, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++)
		assert_string_equal(line, "<6>info event value=abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(lines, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_control_bytes),     cmocka_unit_test(bounds_a_line),
		cmocka_unit_test(writes_one_line_an_event),  cmocka_unit_test(keeps_to_its_level),
		cmocka_unit_test(leaves_errno_alone),        cmocka_unit_test(goes_on_without_stderr),
		cmocka_unit_test(mixes_no_lines_of_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
