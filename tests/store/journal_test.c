/* SPDX-License-Identifier: Apache-2.0 */

/* The emergency journal: what was acknowledged comes back in order, whatever happened to the file meanwhile. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "store/journal.h"

#define HEAD_BYTES 16
#define FRAME_BYTES 48

static char folder[PATH_MAX], path[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_path(path, unit_folder(folder), "journal");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static struct journal *open_journal(void)
{
	struct journal *journal = NULL;
	struct error problem = {0};
	if (journal_open(path, &journal, &problem) < 0)
		fail_msg("%s", problem.text);
	return journal;
}

static void add(struct journal *journal, const char *line)
{
	struct error problem = {0};
	if (journal_append(journal, line, strlen(line), &problem) < 0)
		fail_msg("%s: %s", line, problem.text);
}

static int collect(void *context, const char *line, size_t length, struct error *err)
{
	return buffer_printf(context, err, "%.*s;", (int)length, line);
}

/* Everything in the journal, each line with a semicolon behind it. */
static void check_content(struct journal *journal, const char *expected)
{
	CLEANUP_BUFFER struct buffer all = {0};
	assert_int_equal(buffer_append(&all, "", 0, NULL), 0);
	assert_int_equal(journal_replay(journal, collect, &all, NULL), 0);
	assert_string_equal(all.bytes, expected);
	assert_int_equal(journal_is_empty(journal), expected[0] == '\0');
}

static void check_content_of_file(const char *expected)
{
	struct journal *journal = open_journal();
	check_content(journal, expected);
	journal_close(journal);
}

static void overwrite(off_t at, const void *bytes, size_t length)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, at), length);
}

static void says_what_cannot_be_opened(void **state)
{
	struct journal *journal = NULL;
	struct error problem = {0};
	char link[PATH_MAX], below[PATH_MAX];
	(void)state;
	assert_int_equal(journal_open(folder, &journal, &problem), -1);
	assert_int_equal(journal_open(unit_path(below, folder, "missing/journal"), &journal, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	journal_close(open_journal());
	assert_int_equal(symlink(path, unit_path(link, folder, "link")), 0);
	assert_int_equal(journal_open(link, &journal, &problem), -1);
	assert_null(journal);
	journal_close(NULL);
}

static void is_set_aside_at_once(void **state)
{
	struct stat status;
	(void)state;
	check_content_of_file("");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, JOURNAL_BYTES);
	assert_true(status.st_blocks * 512 >= JOURNAL_BYTES);
	assert_int_equal(status.st_mode & 0777, 0640);
}

static void gives_back_in_order(void **state)
{
	struct journal *journal = open_journal();
	(void)state;
	add(journal, "one");
	add(journal, "");
	add(journal, "three");
	check_content(journal, "one;;three;");
	check_content(journal, "one;;three;"); /* replaying takes nothing away */
	add(journal, "four");
	journal_close(journal);
	check_content_of_file("one;;three;four;");

	journal = open_journal();
	add(journal, "five");
	journal_close(journal);
	check_content_of_file("one;;three;four;five;");
}

static void forgets_for_good(void **state)
{
	struct journal *journal = open_journal();
	(void)state;
	add(journal, "one");
	add(journal, "two");
	assert_int_equal(journal_clear(journal, NULL), 0);
	check_content(journal, "");
	journal_close(journal);
	check_content_of_file("");

	/* A shorter life over a longer one: frames of the older generation lie behind, and are not read. */
	journal = open_journal();
	add(journal, "eno");
	check_content(journal, "eno;");
	journal_close(journal);
	check_content_of_file("eno;");
}

static int stop_at_two(void *context, const char *line, size_t length, struct error *err)
{
	(void)collect(context, line, length, NULL);
	return length == 3 && memcmp(line, "two", 3) == 0 ? error_set(err, ERROR_SYSTEM, "enough") : 0;
}

static void stops_when_told(void **state)
{
	CLEANUP_BUFFER struct buffer all = {0};
	struct error problem = {0};
	struct journal *journal = open_journal();
	(void)state;
	add(journal, "one");
	add(journal, "two");
	add(journal, "three");
	assert_int_equal(journal_replay(journal, stop_at_two, &all, &problem), -1);
	assert_string_equal(problem.text, "enough");
	assert_string_equal(all.bytes, "one;two;");
	journal_close(journal);
}

/* Every way in which the last frame may be torn. */
static const struct {
	const char *name;
	off_t at; /* behind the start of the last frame */
} tears[] = {
	{"generation", 0}, {"last byte of the generation", 7}, {"length", 8}, {"last byte of the length", 15},
	{"digest", 16},    {"last byte of the digest", 47},    {"line", 48},  {"last byte of the line", 50},
};

static void passes_over_a_torn_frame(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(tears); i++) {
		(void)unlink(path);
		struct journal *journal = open_journal();
		add(journal, "one");
		add(journal, "two");
		journal_close(journal);
		overwrite(HEAD_BYTES + FRAME_BYTES + 3 + tears[i].at, "\xee", 1);
		journal = open_journal();
		check_content(journal, "one;");
		/* What follows takes its place. */
		add(journal, "new");
		journal_close(journal);
		check_content_of_file("one;new;");
	}
}

static void refuses_what_does_not_fit(void **state)
{
	static char line[JOURNAL_BYTES];
	struct error problem = {0};
	struct journal *journal = open_journal();
	size_t most = JOURNAL_BYTES - HEAD_BYTES - FRAME_BYTES;
	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(journal_append(journal, line, most + 1, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_true(journal_is_empty(journal));
	assert_int_equal(journal_append(journal, line, most, &problem), 0);
	assert_int_equal(journal_append(journal, "", 0, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	journal_close(journal);

	/* Full, and whole. */
	CLEANUP_BUFFER struct buffer all = {0};
	journal = open_journal();
	assert_int_equal(journal_replay(journal, collect, &all, NULL), 0);
	assert_int_equal(all.length, most + 1);
	assert_int_equal(journal_clear(journal, NULL), 0);
	add(journal, "again");
	check_content(journal, "again;");
	journal_close(journal);
}

static void fills_up_by_lines(void **state)
{
	char line[2000];
	struct error problem = {0};
	struct journal *journal = open_journal();
	size_t count = 0;
	(void)state;
	memset(line, 'x', sizeof(line));
	while (journal_append(journal, line, sizeof(line), &problem) == 0)
		count++;
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_int_equal(count, (JOURNAL_BYTES - HEAD_BYTES) / (FRAME_BYTES + sizeof(line)));
	journal_close(journal);
}

static void starts_anew_in_a_file_of_another_kind(void **state)
{
	(void)state;
	unit_write(path, "something else\n", 15);
	check_content_of_file("");
	overwrite(0, "KTJRNL9", 8);
	check_content_of_file("");
	struct journal *journal = open_journal();
	add(journal, "one");
	journal_close(journal);
	check_content_of_file("one;");
}

static void grows_a_file_that_was_cut(void **state)
{
	struct journal *journal = open_journal();
	struct stat status;
	(void)state;
	add(journal, "one");
	add(journal, "two");
	journal_close(journal);
	assert_int_equal(truncate(path, HEAD_BYTES + FRAME_BYTES + 3 + FRAME_BYTES + 1), 0);
	check_content_of_file("one;");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, JOURNAL_BYTES);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	(void)getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
}

/* Forgetting fails, and what is acknowledged after that must still be there after a restart. */
static int write_after_a_failed_clear(void *context)
{
	(void)context;
	struct error problem = {0};
	(void)signal(SIGXFSZ, SIG_IGN);
	struct journal *journal = open_journal();
	add(journal, "one");
	limit_file_size(0);
	int cleared = journal_clear(journal, &problem);
	limit_file_size(RLIM_INFINITY);
	if (cleared == 0)
		return 2;
	add(journal, "two");
	journal_close(journal);
	return 0;
}

static void loses_nothing_when_forgetting_fails(void **state)
{
	CLEANUP_BUFFER struct buffer all = {0};
	(void)state;
	assert_int_equal(unit_in_child(write_after_a_failed_clear, NULL), 0);
	struct journal *journal = open_journal();
	assert_int_equal(buffer_append(&all, "", 0, NULL), 0);
	assert_int_equal(journal_replay(journal, collect, &all, NULL), 0);
	journal_close(journal);
	if (strstr(all.bytes, "two;") == NULL)
		fail_msg("an acknowledged line is gone: \"%s\"", all.bytes);
}

static int append_without_room(void *context)
{
	(void)context;
	struct error problem = {0};
	(void)signal(SIGXFSZ, SIG_IGN);
	struct journal *journal = open_journal();
	limit_file_size(0);
	if (journal_append(journal, "one", 3, &problem) == 0 || !journal_is_empty(journal))
		return 2;
	limit_file_size(RLIM_INFINITY);
	add(journal, "two");
	journal_close(journal);
	return 0;
}

static void says_when_it_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(append_without_room, NULL), 0);
	check_content_of_file("two;");
}

static int open_without_room(void *context)
{
	(void)context;
	struct journal *journal = NULL;
	struct error problem = {0};
	(void)signal(SIGXFSZ, SIG_IGN);
	limit_file_size(4096);
	return journal_open(path, &journal, &problem) == -1 && strstr(problem.text, "set aside") != NULL ? 0 : 2;
}

static void says_when_there_is_no_room_to_set_aside(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(open_without_room, NULL), 0);
}

/* Taken away or replaced while it is open: what it held is in the file that stands at its path afterwards. */
static void is_made_anew_where_it_was_taken_away(void **state)
{
	static const char *const names[] = {"deleted", "moved", "replaced"};
	char elsewhere[PATH_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct journal *journal = open_journal();
		add(journal, "a");
		add(journal, "b");
		if (i == 0)
			CHECK_NUMBER(names[i], unlink(path), 0);
		else
			CHECK_NUMBER(names[i], rename(path, unit_path(elsewhere, folder, "elsewhere")), 0);
		if (i == 2)
			unit_write(path, "another file", 12);
		add(journal, "c");
		add(journal, "d");
		check_content(journal, "a;b;c;d;");
		journal_close(journal);
		check_content_of_file("a;b;c;d;");
		(void)unlink(path);
	}
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(says_what_cannot_be_opened),
		IN_A_FOLDER(says_when_there_is_no_room_to_set_aside),
		IN_A_FOLDER(says_when_it_cannot_be_written),
		IN_A_FOLDER(refuses_what_does_not_fit),
		IN_A_FOLDER(passes_over_a_torn_frame),
		IN_A_FOLDER(starts_anew_in_a_file_of_another_kind),
		IN_A_FOLDER(grows_a_file_that_was_cut),
		IN_A_FOLDER(loses_nothing_when_forgetting_fails),
		IN_A_FOLDER(is_set_aside_at_once),
		IN_A_FOLDER(gives_back_in_order),
		IN_A_FOLDER(forgets_for_good),
		IN_A_FOLDER(stops_when_told),
		IN_A_FOLDER(fills_up_by_lines),
		IN_A_FOLDER(is_made_anew_where_it_was_taken_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
