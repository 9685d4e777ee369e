/* SPDX-License-Identifier: Apache-2.0 */

/* The write side as a whole: durable before it is acknowledged, in order, chained, and kept when the disk fails. */
#include "tests/store/scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "store/ledger.h"

static char other[PATH_MAX];

static struct writer *open_writer(bool use_journal)
{
	struct writer *writer = NULL;
	struct error problem = {0};
	const struct writer_options options = {.path = path, .use_journal = use_journal};
	if (writer_open(&options, &writer, &problem) < 0)
		fail_msg("%s", problem.text);
	return writer;
}

static int64_t status_number(struct writer *writer, const char *name)
{
	CLEANUP_JSON json_t *status = writer_status(writer);
	int64_t number = -1;
	(void)json_int_at(status, name, &number);
	return number;
}

static bool is_writable(struct writer *writer)
{
	CLEANUP_JSON json_t *status = writer_status(writer);
	bool writable = false;
	(void)json_bool_at(status, "writable", &writable);
	return writable;
}

/* Waits until the ledger is written again, at most ten seconds. */
static bool wait_writable(struct writer *writer)
{
	for (int i = 0; i < 200 && !is_writable(writer); i++)
		(void)usleep(50000);
	return is_writable(writer);
}

/* ---- opening */

static void refuses_what_is_no_ledger(void **state)
{
	static const char text[] = "This is a text of some length and no database, whatever its name may say of it.";
	struct writer *writer = NULL;
	struct error problem = {0};
	char below[PATH_MAX];
	(void)state;
	for (int use_journal = 0; use_journal < 2; use_journal++) {
		struct writer_options options = {.path = path, .use_journal = use_journal != 0};
		unit_write(path, text, strlen(text));
		assert_int_equal(writer_open(&options, &writer, &problem), -1);
		assert_int_equal(problem.code, ERROR_INPUT);
		assert_int_equal(unlink(path), 0);

		assert_true(rows_exec(path, "CREATE TABLE t(a)"));
		assert_int_equal(writer_open(&options, &writer, &problem), -1);
		assert_int_equal(problem.code, ERROR_INPUT);
		assert_non_null(strstr(problem.text, "not a ledger"));
		assert_int_equal(rows_number(path, "SELECT count(*) FROM sqlite_schema"), 1); /* untouched */
		assert_int_equal(unlink(path), 0);

		options.path = unit_path(below, folder, "missing/ledger.db");
		assert_int_equal(writer_open(&options, &writer, &problem), -1);
		assert_int_equal(problem.code, ERROR_MISSING);
	}
	assert_null(writer);
	writer_close(NULL);
}

static void refuses_a_newer_ledger(void **state)
{
	struct writer *writer = NULL;
	struct error problem = {0};
	const struct writer_options options = {.path = path, .use_journal = true};
	(void)state;
	writer_close(open_writer(false));
	assert_true(rows_exec(path, "PRAGMA user_version = 1000"));
	assert_int_equal(writer_open(&options, &writer, &problem), -1);
	assert_int_equal(problem.code, ERROR_NEWER);
	assert_non_null(strstr(problem.text, "1000"));
	assert_int_equal(rows_number(path, "PRAGMA user_version"), 1000);
}

static void refuses_a_shipping_file_that_cannot_be(void **state)
{
	struct writer *writer = NULL;
	struct error problem = {0};
	const struct writer_options options = {.path = path, .jsonl = folder};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, &problem), -1);
	assert_non_null(strstr(problem.text, folder));
}

static void keeps_files_to_its_group(void **state)
{
	static const char *const names[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "journal"};
	mode_t before = umask(0);
	struct stat status;
	(void)state;
	struct writer *writer = open_writer(true);
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	writer_close(writer);
	(void)umask(before);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		CHECK_NUMBER(names[i], stat(unit_path(other, folder, names[i]), &status), 0); /* also kept on closing */
		CHECK_NUMBER(names[i], status.st_mode & 0777, 0640);
	}
}

/* ---- rows */

static void is_durable_when_it_returns(void **state)
{
	struct writer *writer = open_writer(true);
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(rows_append_numbered(writer, i, NULL), 0);
		assert_int_equal(rows_verify(path, NULL), i); /* by another handle */
	}
	assert_int_equal(status_number(writer, "rows_written"), 20);
	assert_int_equal(status_number(writer, "journalled"), 0);
	assert_int_equal(status_number(writer, "dropped"), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 20);
	/* Seven different processes, each stored once. */
	assert_int_equal(rows_number(path, "SELECT count(*) FROM actor"), 7);
}

static uint32_t big_endian(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Transactions in the write-ahead log, which is not begun anew: frames with a size of the database (sqlite.org,
 * "WAL file format"). */
static int count_commits(void)
{
	char name[PATH_MAX + 8];
	uint8_t head[32], frame[24];
	int commits = 0;
	(void)snprintf(name, sizeof(name), "%s-wal", path);
	FILE *wal = fopen(name, "rb");
	assert_non_null(wal);
	assert_int_equal(fread(head, 1, sizeof(head), wal), sizeof(head));
	while (fread(frame, 1, sizeof(frame), wal) == sizeof(frame) && memcmp(frame + 8, head + 16, 8) == 0) {
		commits += big_endian(frame + 4) != 0;
		assert_int_equal(fseek(wal, (long)big_endian(head + 8), SEEK_CUR), 0);
	}
	(void)fclose(wal);
	return commits;
}

static void syncs_for_nobody_only_in_the_end(void **state)
{
	struct writer *writer = open_writer(true);
	int rounds = 40, slow = 0;
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1000, NULL), 0);
	int before = count_commits();
	for (int i = 0; i < rounds; i++) {
		int64_t began_ms = clock_monotonic_ms();
		rows_append_later(writer, (unsigned)i);
		(void)usleep(1000); /* time enough to write it at once, and less than it may wait */
		assert_int_equal(rows_append_numbered(writer, (unsigned)i, NULL), 0);
		slow += clock_monotonic_ms() - began_ms > 5;
	}
	assert_in_range(count_commits() - before, rounds, rounds + slow);
	rows_append_later(writer, 1001);
	for (int i = 0; i < 500 && rows_number(path, "SELECT count(*) FROM record") < 2 * rounds + 2; i++)
		(void)usleep(10000);
	assert_int_equal(rows_verify(path, NULL), 2 * rounds + 2);
	writer_close(writer);
}

static int append_and_vanish(void *context)
{
	const struct writer_options options = {.path = path, .use_journal = true};
	struct writer *writer;
	(void)context;
	EXPECT(writer_open(&options, &writer, NULL) == 0);
	for (unsigned i = 1; i <= 5; i++)
		EXPECT(rows_append_numbered(writer, i, NULL) == 0);
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static void survives_the_end_of_its_process(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(append_and_vanish, NULL), -1);
	assert_int_equal(rows_verify(path, NULL), 5);
	struct writer *writer = open_writer(true);
	assert_int_equal(rows_append_numbered(writer, 6, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 6);
}

#define THREADS 16
#define ROWS_EACH 200

struct crowd {
	struct writer *writer;
	unsigned first;
	int failed;
};

static void *append_many(void *argument)
{
	struct crowd *crowd = argument;
	for (unsigned i = 0; i < ROWS_EACH; i++) {
		crowd->failed += rows_append_numbered(crowd->writer, crowd->first + i, NULL) < 0;
		if (i % 10 == 0) {
			CLEANUP_JSON json_t *body = json_object();
			struct entry entry = {.kind = "outcome", .subject = "0", .body = body};
			(void)snprintf(entry.id, sizeof(entry.id), "o%08x", crowd->first + i);
			writer_append_later(crowd->writer, &entry);
		}
	}
	return NULL;
}

static void takes_rows_from_many_threads(void **state)
{
	struct writer *writer = open_writer(true);
	struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	int expected = THREADS * (ROWS_EACH + ROWS_EACH / 10);
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		crowds[i] = (struct crowd){.writer = writer, .first = (i + 1) * 0x10000};
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, &crowds[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(crowds[i].failed, 0);
	}
	writer_close(writer); /* also writes what nobody waited for */
	assert_int_equal(rows_verify(path, NULL), expected);
	/* Each thread's rows stand in the order in which it wrote them. */
	assert_int_equal(rows_number(path,
	                             "SELECT count(*) FROM record a JOIN record b ON a.kind='delivery' AND "
	                             "b.kind='delivery' AND a.seq < b.seq AND substr(a.id,1,12)=substr(b.id,1,12) "
	                             "AND a.id >= b.id"),
	                 0);
}

static void passes_over_a_row_it_has(void **state)
{
	struct writer *writer = open_writer(true);
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	assert_int_equal(rows_append_numbered(writer, 2, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 2);
}

static void refuses_a_row_of_too_many_processes(void **state)
{
	struct writer *writer = open_writer(true);
	CLEANUP_JSON json_t *body = json_object();
	json_t *holders = json_array();
	struct entry entry = {.kind = "delivery", .id = "1", .body = body};
	struct error problem = {0};
	(void)state;
	for (int i = 0; i <= ENTRY_ACTORS_MAX; i++)
		(void)json_array_append_new(holders, json_pack("{s:i}", "pid", i));
	json_put(body, "holders", holders);
	assert_int_equal(writer_append(writer, &entry, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	writer_append_later(writer, &entry);
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 1);
}

static void ships_each_row_as_a_line(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct stat status;
	struct writer *writer;
	const struct writer_options options = {.path = path, .jsonl = unit_path(other, folder, "rows.jsonl")};
	(void)state;
	unit_write(other, "{}\n", 3); /* is continued, not emptied */
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	assert_int_equal(rows_append_outcome(writer, "2", "0000000000000001", "delivered", NULL, NULL), 0);
	writer_close(writer);
	assert_int_equal(buffer_read_file(&text, other, NULL), 0);
	assert_int_equal(stat(other, &status), 0);
	int lines = 0;
	for (char *line = strtok(text.bytes, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
		CLEANUP_JSON json_t *object = NULL;
		int64_t pid = 0;
		assert_int_equal(json_read(line, strlen(line), &object, NULL), 0);
		if (lines == 1) {
			assert_string_equal(json_text_at(object, "kind"), "delivery");
			assert_true(json_int_at(object, "process.pid", &pid) && pid == 101);
		}
		if (lines == 2)
			assert_string_equal(json_text_at(object, "subject"), "0000000000000001");
	}
	assert_int_equal(lines, 3);
}

/* ---- when the ledger cannot be written */

static void fails_when_told_to(void **state)
{
	struct writer *writer = open_writer(false);
	struct error problem = {0};
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	sqlite3 *lock = rows_lock(path);
	assert_int_equal(rows_append_numbered(writer, 2, &problem), -1);
	assert_int_equal(problem.code, ERROR_SYSTEM);
	assert_non_null(strstr(problem.text, "locked"));
	assert_false(is_writable(writer));
	/* Within the second in which it is not tried again, the reason is still given. */
	problem = (struct error){0};
	assert_int_equal(rows_append_numbered(writer, 3, &problem), -1);
	assert_non_null(strstr(problem.text, "locked"));
	assert_int_equal(status_number(writer, "dropped"), 2);
	(void)sqlite3_close(lock);
	assert_true(wait_writable(writer));
	assert_int_equal(rows_append_numbered(writer, 4, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 2);
}

/* What the strictest client waits for; the best of some attempts, since the machine may be busy with other things. */
static void answers_soon_when_the_ledger_is_locked(void **state)
{
	struct writer *writer = open_writer(true);
	sqlite3 *lock = rows_lock(path);
	int64_t best_ms = INT64_MAX;
	(void)state;
	for (unsigned i = 1; i <= 8 && best_ms > 499; i++) {
		int64_t before = clock_monotonic_ms();
		assert_int_equal(rows_append_numbered(writer, i, NULL), 0);
		int64_t took = clock_monotonic_ms() - before;
		best_ms = took < best_ms ? took : best_ms;
		(void)usleep(1100000); /* then the database is tried again, with all the waiting that this means */
	}
	assert_in_range(best_ms, 0, 499);
	(void)sqlite3_close(lock);
	writer_close(writer);
}

static void keeps_rows_in_the_journal_and_their_order(void **state)
{
	CLEANUP_BUFFER struct buffer ids = {0};
	struct writer *writer = open_writer(true);
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 9, NULL), 0);
	sqlite3 *lock = rows_lock(path);
	for (unsigned i = 8; i > 3; i--)
		assert_int_equal(rows_append_numbered(writer, i, NULL), 0);
	assert_int_equal(status_number(writer, "journalled"), 5);
	CLEANUP_JSON json_t *status = writer_status(writer);
	assert_non_null(strstr(json_text_at(status, "last_error"), "locked"));
	(void)sqlite3_close(lock);
	assert_true(wait_writable(writer)); /* without a new row */
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, &ids), 7);
	assert_string_equal(ids.bytes, "0000000000000009,0000000000000008,0000000000000007,0000000000000006,"
	                               "0000000000000005,0000000000000004,0000000000000001,");
}

static void copy_file(const char *from, const char *to)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	assert_int_equal(buffer_read_file(&bytes, from, NULL), 0);
	unit_write(to, bytes.bytes, bytes.length);
}

static void replays_after_a_restart_and_only_once(void **state)
{
	char copy[PATH_MAX];
	struct writer *writer = open_writer(true);
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	sqlite3 *lock = rows_lock(path);
	assert_int_equal(rows_append_numbered(writer, 2, NULL), 0);
	assert_int_equal(rows_append_numbered(writer, 3, NULL), 0);
	writer_close(writer);
	(void)sqlite3_close(lock);
	assert_int_equal(rows_verify(path, NULL), 1);
	(void)unit_path(other, folder, "journal");
	copy_file(other, unit_path(copy, folder, "copy"));

	writer_close(open_writer(true));
	assert_int_equal(rows_verify(path, NULL), 3);

	/* As if the machine had gone down between the commit and the journal's end. */
	copy_file(copy, other);
	writer = open_writer(true);
	assert_int_equal(rows_append_numbered(writer, 4, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 4);
}

static void starts_without_the_ledger_and_takes_it_up_later(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0); /* cannot be opened, and is no ledger's fault */
	struct writer *writer = open_writer(true);
	assert_false(is_writable(writer));
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	assert_int_equal(rows_append_numbered(writer, 2, NULL), 0);
	assert_int_equal(status_number(writer, "journalled"), 2);
	assert_int_equal(rmdir(path), 0);
	assert_true(wait_writable(writer));
	assert_int_equal(rows_append_numbered(writer, 3, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 3);
}

/* The file is gone, or another one: what is committed to it would be lost. */
static void notices_that_its_file_was_taken_away(void **state)
{
	struct writer *writer = open_writer(true);
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(unit_path(other, folder, "ledger.db-wal")), 0);
	assert_int_equal(unlink(unit_path(other, folder, "ledger.db-shm")), 0);
	assert_int_equal(rows_append_numbered(writer, 2, NULL), 0); /* in the journal */
	CLEANUP_JSON json_t *status = writer_status(writer);
	assert_non_null(strstr(json_text_at(status, "last_error"), "deleted or replaced"));
	assert_true(wait_writable(writer));
	assert_int_equal(rows_append_numbered(writer, 3, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 2); /* in a ledger of its own */
}

static void fails_when_its_file_was_taken_away(void **state)
{
	struct writer *writer = open_writer(false);
	struct error problem = {0};
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	assert_int_equal(rename(path, unit_path(other, folder, "elsewhere")), 0);
	assert_int_equal(rows_append_numbered(writer, 2, &problem), -1);
	assert_non_null(strstr(problem.text, "deleted or replaced"));
	writer_close(writer);
}

/* What was overwritten, and what is said of it. */
struct overwriting {
	const char *name, *file, *words;
};

static const struct overwriting overwritings[] = {
	{"the database", "ledger.db", "the ledger was overwritten"},
	{"its WAL", "ledger.db-wal", "WAL was overwritten"},
};

/* The next row is not acknowledged on the word of a file that nobody can read, and nothing is copied out of it. */
static void notices_that_its_file_was_overwritten(void **state)
{
	static const char noise[64] = "neither a database nor its log";
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(overwritings); i++) {
		const struct overwriting *c = &overwritings[i];
		struct writer *writer = open_writer(true);
		struct error problem = {0};
		CHECK_NUMBER(c->name, rows_append_numbered(writer, 1, NULL), 0);
		CLEANUP_FD int fd = open(unit_path(other, folder, c->file), O_WRONLY | O_CLOEXEC);
		CHECK_NUMBER(c->name, pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
		CHECK_NUMBER(c->name, rows_append_numbered(writer, 2, NULL), 0); /* in the journal */
		CHECK_NUMBER(c->name, status_number(writer, "journalled"), 1);
		CLEANUP_JSON json_t *status = writer_status(writer);
		CHECK(c->name, strstr(json_text_at(status, "last_error"), c->words) != NULL);
		/* Taken away, it is made anew, and what is in the journal goes there. */
		(void)unlink(path);
		(void)unlink(unit_path(other, folder, "ledger.db-wal"));
		(void)unlink(unit_path(other, folder, "ledger.db-shm"));
		CHECK(c->name, wait_writable(writer));
		CHECK_NUMBER(c->name, rows_append_numbered(writer, 3, &problem), 0);
		writer_close(writer);
		CHECK_NUMBER(c->name, rows_verify(path, NULL), 2);
		unit_folder_remove(folder);
		(void)unit_path(path, unit_folder(folder), "ledger.db");
	}
}

/* The WAL alone is deleted: what it held is not lost with it. */
static void saves_what_a_deleted_wal_held(void **state)
{
	struct writer *writer = open_writer(true);
	(void)state;
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(rows_append_numbered(writer, i, NULL), 0);
	assert_int_equal(unlink(unit_path(other, folder, "ledger.db-wal")), 0);
	assert_int_equal(rows_append_numbered(writer, 6, NULL), 0); /* in the journal */
	assert_int_equal(status_number(writer, "journalled"), 1);
	assert_true(wait_writable(writer));
	assert_int_equal(rows_append_numbered(writer, 7, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 7);
}

/* Rows that an earlier run left in the journal come back also when it is not to be used any more. */
static void replays_a_journal_that_is_not_used_any_more(void **state)
{
	struct writer *writer = open_writer(true);
	sqlite3 *lock = rows_lock(path);
	(void)state;
	assert_int_equal(rows_append_numbered(writer, 1, NULL), 0);
	writer_close(writer);
	(void)sqlite3_close(lock);
	writer = open_writer(false);
	assert_int_equal(rows_append_numbered(writer, 2, NULL), 0);
	lock = rows_lock(path);
	assert_int_equal(rows_append_numbered(writer, 3, NULL), -1);
	(void)sqlite3_close(lock);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 2);
}

/* A disk that does not answer: whoever waits is refused in the end, and the row is taken back. */
static void gives_a_row_up_in_the_end(void **state)
{
	struct writer *writer = NULL;
	struct error problem = {0};
	const struct writer_options options = {.path = path, .held = true, .patience_ms = 50};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, &problem), 0);
	assert_int_equal(rows_append_numbered(writer, 1, &problem), -1);
	assert_int_equal(problem.code, ERROR_TIMEOUT);
	assert_int_equal(status_number(writer, "dropped"), 1);
	assert_int_equal(status_number(writer, "waiting"), 0);
	writer_release(writer, NULL);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 0);
}

/* ---- upkeep */

static bool wait_first_row(int64_t at_least)
{
	const char *sql = "SELECT min(seq) FROM record";
	for (int i = 0; i < 200 && rows_number(path, sql) < at_least; i++)
		(void)usleep(50000);
	return rows_number(path, sql) >= at_least;
}

static void append_upto(unsigned number)
{
	struct writer *writer = open_writer(true);
	for (unsigned i = 1; i <= number; i++) /* of the year 2023 */
		assert_int_equal(rows_append_numbered(writer, i, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_number(path, "SELECT min(seq) FROM record"), 1); /* they stay unless told otherwise */
}

static void forgets_what_is_too_old(void **state)
{
	const struct writer_options options = {.path = path, .limits = {.retain_us = 86400 * CLOCK_SECOND_US}};
	struct writer *writer;
	(void)state;
	append_upto(250);
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(rows_append_numbered(writer, 251, NULL), 0);
	assert_true(wait_first_row(251));
	writer_close(writer);
	assert_in_range(rows_number(path, "SELECT count(*) FROM record WHERE kind='delivery'"), 0, 1);
}

static void forgets_what_is_too_much(void **state)
{
	const struct upkeep_limits limits = {.retain_bytes = 256 << 10};
	(void)state;
	append_upto(500);
	struct writer *writer = open_writer(true);
	writer_limit(writer, &limits); /* as a reload does, before the first row has it look */
	assert_int_equal(rows_append_numbered(writer, 501, NULL), 0);
	assert_true(wait_first_row(101));
	writer_close(writer);
	assert_true(rows_number(path, "SELECT count(*) FROM record WHERE kind='delivery'") > 50);
}

/* A row of about 100 KB. */
static int append_large(struct writer *writer, unsigned number, struct error *err)
{
	static char agent[100000];
	CLEANUP_JSON json_t *body = json_object();
	struct entry entry = {.kind = "delivery", .at_us = ROWS_START, .body = body};
	memset(agent, 'a', sizeof(agent) - 1);
	json_put_text(body, "user_agent", agent);
	(void)snprintf(entry.id, sizeof(entry.id), "%016x", number);
	return writer_append(writer, &entry, err);
}

static void fails_when_the_journal_is_full_too(void **state)
{
	struct writer *writer = open_writer(true);
	sqlite3 *lock = rows_lock(path);
	struct error problem = {0};
	unsigned kept = 0;
	(void)state;
	while (append_large(writer, kept + 1, &problem) == 0)
		kept++;
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_in_range(kept, 38, 42);
	assert_int_equal(status_number(writer, "dropped"), 1);
	(void)sqlite3_close(lock);
	assert_true(wait_writable(writer));
	assert_int_equal(append_large(writer, 1000, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), kept + 1);
}

/* ---- a full disk */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	(void)getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
}

static int write_beyond_the_limit(void *context)
{
	const struct writer_options options = {.path = path, .use_journal = true};
	struct writer *writer;
	struct stat status;
	(void)context;
	(void)signal(SIGXFSZ, SIG_IGN);
	EXPECT(writer_open(&options, &writer, NULL) == 0);
	for (unsigned i = 1; i <= 20; i++)
		EXPECT(rows_append_numbered(writer, i, NULL) == 0);
	EXPECT(stat(unit_path(other, folder, "ledger.db-wal"), &status) == 0);
	limit_file_size((rlim_t)status.st_size);
	for (unsigned i = 21; i <= 40; i++)
		EXPECT(rows_append_numbered(writer, i, NULL) == 0);
	EXPECT(!is_writable(writer));
	EXPECT(status_number(writer, "journalled") == 20);
	EXPECT(rows_verify(path, NULL) == 20);
	limit_file_size(RLIM_INFINITY);
	EXPECT(wait_writable(writer));
	EXPECT(rows_append_numbered(writer, 41, NULL) == 0);
	writer_close(writer);
	EXPECT(rows_verify(path, NULL) == 41);
	return 0;
}

static void goes_on_when_files_cannot_grow(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(write_beyond_the_limit, NULL), 0);
}

#define CANNOT_MOUNT 99

static int write_to_a_full_disk(void *context)
{
	const struct writer_options options = {.path = path, .use_journal = true};
	static char zeros[65536];
	struct writer *writer;
	CLEANUP_BUFFER struct buffer ids = {0};
	(void)context;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("keytrail-unit", folder, "tmpfs", 0, "size=6m") < 0)
		return CANNOT_MOUNT;
	EXPECT(writer_open(&options, &writer, NULL) == 0);
	for (unsigned i = 1; i <= 5; i++)
		EXPECT(rows_append_numbered(writer, i, NULL) == 0);

	CLEANUP_FD int filler = open(unit_path(other, folder, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	EXPECT(filler >= 0);
	while (write(filler, zeros, sizeof(zeros)) > 0)
		;
	/* Some rows still go into pages that the WAL has; then the journal takes over. */
	unsigned number = 5;
	while (is_writable(writer) && number < 10000)
		EXPECT(rows_append_numbered(writer, ++number, NULL) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(rows_append_numbered(writer, ++number, NULL) == 0);
	EXPECT(status_number(writer, "journalled") >= 100);
	EXPECT(status_number(writer, "dropped") == 0);

	EXPECT(unlink(other) == 0 && ftruncate(filler, 0) == 0);
	EXPECT(wait_writable(writer));
	EXPECT(rows_append_numbered(writer, ++number, NULL) == 0);
	writer_close(writer);
	EXPECT(rows_verify(path, &ids) == (int)number);
	for (unsigned i = 1; i <= number; i++) { /* in order, none twice */
		char id[ENTRY_ID_BYTES + 1];
		(void)snprintf(id, sizeof(id), "%016x,", i);
		EXPECT(memcmp(ids.bytes + (i - 1) * ENTRY_ID_BYTES, id, ENTRY_ID_BYTES) == 0);
	}
	return 0;
}

static void goes_on_when_the_disk_is_full(void **state)
{
	(void)state;
	int result = unit_in_child(write_to_a_full_disk, NULL);
	if (result == CANNOT_MOUNT) {
		print_message("skipped: needs the right to mount a small disk\n");
		skip();
	}
	assert_int_equal(result, 0);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(refuses_what_is_no_ledger),
		IN_A_FOLDER(refuses_a_newer_ledger),
		IN_A_FOLDER(refuses_a_shipping_file_that_cannot_be),
		IN_A_FOLDER(refuses_a_row_of_too_many_processes),
		IN_A_FOLDER(keeps_files_to_its_group),
		IN_A_FOLDER(is_durable_when_it_returns),
		IN_A_FOLDER(syncs_for_nobody_only_in_the_end),
		IN_A_FOLDER(survives_the_end_of_its_process),
		IN_A_FOLDER(takes_rows_from_many_threads),
		IN_A_FOLDER(passes_over_a_row_it_has),
		IN_A_FOLDER(ships_each_row_as_a_line),
		IN_A_FOLDER(fails_when_told_to),
		IN_A_FOLDER(answers_soon_when_the_ledger_is_locked),
		IN_A_FOLDER(keeps_rows_in_the_journal_and_their_order),
		IN_A_FOLDER(replays_after_a_restart_and_only_once),
		IN_A_FOLDER(starts_without_the_ledger_and_takes_it_up_later),
		IN_A_FOLDER(notices_that_its_file_was_taken_away),
		IN_A_FOLDER(fails_when_its_file_was_taken_away),
		IN_A_FOLDER(notices_that_its_file_was_overwritten),
		IN_A_FOLDER(saves_what_a_deleted_wal_held),
		IN_A_FOLDER(replays_a_journal_that_is_not_used_any_more),
		IN_A_FOLDER(gives_a_row_up_in_the_end),
		IN_A_FOLDER(forgets_what_is_too_old),
		IN_A_FOLDER(forgets_what_is_too_much),
		IN_A_FOLDER(fails_when_the_journal_is_full_too),
		IN_A_FOLDER(goes_on_when_files_cannot_grow),
		IN_A_FOLDER(goes_on_when_the_disk_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
