/* SPDX-License-Identifier: Apache-2.0 */

/* A ledger that cannot be opened as it lies is copied with its WAL, read there, and the copy goes away again. */
#include "tests/store/rows.h"

#include <dirent.h>
#include <sys/stat.h>

#include "store/ledger.h"
#include "store/snapshot.h"

static char folder[PATH_MAX], dead[PATH_MAX], copies[PATH_MAX], path[PATH_MAX];

/* What a dead instance leaves: a database whose rows still stand in the WAL, and no index to it. */
static int start(void **state)
{
	struct writer *writer;
	char shared[PATH_MAX];
	(void)state;
	(void)unit_path(dead, unit_folder(folder), "dead");
	(void)unit_path(copies, folder, "copies");
	(void)unit_path(path, dead, "ledger.db");
	const struct writer_options options = {.path = path};
	if (chmod(folder, 0755) < 0 || mkdir(dead, 0755) < 0 || mkdir(copies, 0777) < 0 || chmod(copies, 0777) < 0 ||
	    setenv("TMPDIR", copies, 1) < 0 || writer_open(&options, &writer, NULL) < 0)
		return -1;
	int result = rows_append_numbered(writer, 1, NULL) | rows_append_numbered(writer, 2, NULL);
	writer_close(writer);
	result |= unlink(unit_path(shared, dead, "ledger.db-shm"));
	result |= chmod(path, 0444) | chmod(unit_path(shared, dead, "ledger.db-wal"), 0444) | chmod(dead, 0555);
	return result;
}

static int stop(void **state)
{
	(void)state;
	(void)chmod(dead, 0755);
	(void)unsetenv("TMPDIR");
	unit_folder_remove(folder);
	return 0;
}

static int count_entries(const char *of)
{
	DIR *open_folder = opendir(of);
	int count = 0;
	for (struct dirent *entry; open_folder != NULL && (entry = readdir(open_folder)) != NULL;)
		count += entry->d_name[0] != '.';
	if (open_folder != NULL)
		(void)closedir(open_folder);
	return count;
}

static int count_visits(void *context, const json_t *object, struct error *err)
{
	(void)object;
	(void)err;
	++*(int *)context;
	return 0;
}

/* As a user who may read the files and write none of them. */
static int read_as_a_stranger(void *context)
{
	struct ledger *ledger = NULL;
	struct error problem = {0};
	const struct ledger_filter filter = {0};
	CLEANUP_JSON json_t *summary = NULL;
	int visits = 0;
	(void)context;
	EXPECT(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
	EXPECT(ledger_open(path, &ledger, &problem) == 0);
	EXPECT(ledger_deliveries(ledger, &filter, count_visits, &visits, &problem) == 0);
	EXPECT(visits == 2);
	EXPECT(ledger_summary(ledger, &summary, &problem) == 0);
	EXPECT(strcmp(json_text_at(summary, "path"), path) == 0); /* the original's */
	EXPECT(count_entries(copies) == 1);
	ledger_close(ledger);
	EXPECT(count_entries(copies) == 0);
	return 0;
}

static void reads_what_cannot_be_opened_as_it_lies(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(read_as_a_stranger, NULL), 0);
	assert_int_equal(count_entries(dead), 2); /* nothing was added to the dead one's folder */
}

static int read_without_a_place(void *context)
{
	struct ledger *ledger = NULL;
	struct error problem = {0};
	(void)context;
	EXPECT(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
	EXPECT(setenv("TMPDIR", dead, 1) == 0);
	EXPECT(ledger_open(path, &ledger, &problem) == -1);
	EXPECT(strstr(problem.text, "cannot make a folder") != NULL);
	return 0;
}

static void says_when_there_is_no_place_for_a_copy(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(read_without_a_place, NULL), 0);
}

static void copies_for_nobody_else(void **state)
{
	struct snapshot *snapshot = NULL;
	struct stat status;
	char copy_folder[PATH_MAX];
	(void)state;
	assert_int_equal(snapshot_make(path, &snapshot, NULL), 0);
	(void)snprintf(copy_folder, sizeof(copy_folder), "%s", snapshot_path(snapshot));
	assert_int_equal(stat(copy_folder, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	*strrchr(copy_folder, '/') = '\0';
	assert_int_equal(stat(copy_folder, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_int_equal(rows_verify(snapshot_path(snapshot), NULL), 2); /* the WAL came along */
	snapshot_free(snapshot);
	assert_int_equal(count_entries(copies), 0);
}

static void copies_a_database_without_a_wal(void **state)
{
	struct snapshot *snapshot = NULL;
	struct error problem = {0};
	char file[PATH_MAX];
	(void)state;
	unit_write(unit_path(file, folder, "alone.db"), "x", 1);
	assert_int_equal(snapshot_make(file, &snapshot, &problem), 0);
	snapshot_free(snapshot);
	assert_int_equal(snapshot_make(file, &snapshot, &problem), 0);
	snapshot_free(snapshot);
	assert_int_equal(count_entries(copies), 0);
}

static void leaves_nothing_when_there_is_nothing_to_copy(void **state)
{
	struct snapshot *snapshot = NULL;
	struct error problem = {0};
	char file[PATH_MAX];
	(void)state;
	assert_int_equal(snapshot_make(unit_path(file, folder, "missing.db"), &snapshot, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_int_equal(snapshot_make(dead, &snapshot, &problem), -1); /* a folder */
	assert_null(snapshot);
	assert_int_equal(count_entries(copies), 0);
	snapshot_free(NULL);
}

static int copy_without_an_error(void *context)
{
	struct snapshot *snapshot = NULL;
	if (snapshot_make(context, &snapshot, NULL) < 0)
		return 1;
	snapshot_free(snapshot);
	return 0;
}

/* Nobody wants to know why: that is allowed (common/error.h). */
static void copies_without_an_error_to_fill(void **state)
{
	char file[PATH_MAX];
	(void)state;
	unit_write(unit_path(file, folder, "alone.db"), "x", 1);
	assert_int_equal(unit_in_child(copy_without_an_error, file), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_nothing_when_there_is_nothing_to_copy),
		cmocka_unit_test(says_when_there_is_no_place_for_a_copy),
		cmocka_unit_test(reads_what_cannot_be_opened_as_it_lies),
		cmocka_unit_test(copies_for_nobody_else),
		cmocka_unit_test(copies_a_database_without_a_wal),
		cmocka_unit_test(copies_without_an_error_to_fill),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
