/* SPDX-License-Identifier: Apache-2.0 */

/* A watcher's memory: what was noted is there, what was not committed is not, and there is one watcher at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/checkpoint.h"

static char folder[] = "/tmp/keytrail-test-XXXXXX", path[64];

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/watch.db", folder);
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		char name[80];
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	return rmdir(folder);
}

static struct checkpoint *open_it(void)
{
	struct checkpoint *checkpoint = NULL;
	struct error err = {0};
	if (checkpoint_open(path, &checkpoint, &err) < 0)
		fail_msg("%s", err.text);
	return checkpoint;
}

static bool has_read(struct checkpoint *checkpoint, const char *name, const char *version)
{
	struct checkpoint_id id;
	bool is_read = false;
	assert_int_equal(checkpoint_id_of(name, version, &id, NULL), 0);
	assert_int_equal(checkpoint_has_read(checkpoint, &id, &is_read, NULL), 0);
	return is_read;
}

static void note(struct checkpoint *checkpoint, const char *name, const char *version)
{
	struct checkpoint_id id;
	assert_int_equal(checkpoint_id_of(name, version, &id, NULL), 0);
	assert_int_equal(checkpoint_read(checkpoint, &id, NULL), 0);
}

static void test_refusals(void **state)
{
	CLEANUP_CHECKPOINT struct checkpoint *first = open_it();
	struct checkpoint *second = NULL;
	struct error err = {0};
	(void)state;
	assert_non_null(first);
	assert_int_equal(checkpoint_open(path, &second, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_non_null(strstr(err.text, "another watcher has it"));
	assert_int_equal(checkpoint_open("/nowhere/watch.db", &second, &err), -1);
	assert_int_equal(checkpoint_open(folder, &second, &err), -1);
}

static void test_files(void **state)
{
	struct checkpoint *checkpoint = open_it();
	struct stat status;
	(void)state;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_false(has_read(checkpoint, "a", "1"));
	note(checkpoint, "a", "1");
	note(checkpoint, "a", "1");
	assert_int_equal(checkpoint_commit(checkpoint, NULL), 0);
	note(checkpoint, "b", "1");
	checkpoint_close(checkpoint); /* as if it were killed: "b" was not committed */
	checkpoint = open_it();
	assert_true(has_read(checkpoint, "a", "1"));
	assert_false(has_read(checkpoint, "a", "2"));
	assert_false(has_read(checkpoint, "a1", ""));
	assert_false(has_read(checkpoint, "b", "1"));
	assert_int_equal(checkpoint_commit(checkpoint, NULL), 0);
	checkpoint_close(checkpoint);
}

static void test_findings(void **state)
{
	CLEANUP_CHECKPOINT struct checkpoint *checkpoint = open_it();
	const uint8_t first[DIGEST_BYTES] = {1}, second[DIGEST_BYTES] = {2};
	bool is_said = true;
	(void)state;
	assert_int_equal(checkpoint_has_said(checkpoint, "f", first, &is_said, NULL), 0);
	assert_false(is_said);
	assert_int_equal(checkpoint_said(checkpoint, "f", first, NULL), 0);
	assert_int_equal(checkpoint_said(checkpoint, "f", second, NULL), 0);
	assert_int_equal(checkpoint_commit(checkpoint, NULL), 0);
	assert_int_equal(checkpoint_has_said(checkpoint, "f", first, &is_said, NULL), 0);
	assert_false(is_said);
	assert_int_equal(checkpoint_has_said(checkpoint, "f", second, &is_said, NULL), 0);
	assert_true(is_said);
	assert_int_equal(checkpoint_has_said(checkpoint, "g", second, &is_said, NULL), 0);
	assert_false(is_said);
}

static int on_recent(void *context, const struct checkpoint_id *id, const char *name, struct error *err)
{
	char *names = context;
	struct checkpoint_id wanted;
	assert_int_equal(checkpoint_id_of(name, "", &wanted, err), 0);
	assert_memory_equal(&wanted, id, sizeof(*id));
	(void)strcat(strcat(names, name), " ");
	return 0;
}

static void remember(struct checkpoint *checkpoint, const char *name, int64_t at_us)
{
	struct checkpoint_id id;
	assert_int_equal(checkpoint_id_of(name, "", &id, NULL), 0);
	assert_int_equal(checkpoint_remember(checkpoint, &id, name, at_us, NULL), 0);
	assert_int_equal(checkpoint_commit(checkpoint, NULL), 0);
}

static void assert_recent(struct checkpoint *checkpoint, int64_t since_us, int64_t limit, const char *wanted,
                          int64_t apart, int64_t all)
{
	char names[100] = "";
	int64_t seen_apart, seen_all;
	assert_int_equal(checkpoint_recent(checkpoint, since_us, limit, on_recent, names, NULL), 0);
	assert_string_equal(names, wanted);
	assert_int_equal(checkpoint_count(checkpoint, &seen_apart, &seen_all, NULL), 0);
	assert_int_equal(seen_apart, apart);
	assert_int_equal(seen_all, all);
}

static void test_recent(void **state)
{
	CLEANUP_CHECKPOINT struct checkpoint *checkpoint = open_it();
	(void)state;
	assert_recent(checkpoint, 0, 10, "", 0, 0);
	remember(checkpoint, "old", 1);
	remember(checkpoint, "b", 20);
	remember(checkpoint, "a", 20);
	assert_recent(checkpoint, 0, 10, "a b old ", 3, 3);
	assert_recent(checkpoint, 10, 1, "a ", 3, 3);
	assert_int_equal(checkpoint_together(checkpoint, 10, NULL), 0);
	assert_int_equal(checkpoint_commit(checkpoint, NULL), 0);
	assert_recent(checkpoint, 0, 10, "a b ", 0, 2);
	remember(checkpoint, "new", 30);
	assert_recent(checkpoint, 0, 10, "new a b ", 1, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_recent),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
