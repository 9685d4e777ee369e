/* SPDX-License-Identifier: Apache-2.0 */

/* Rows for shippers: a file that may be renamed, and a journal, which here is a socket of the test's own. What was
 * shipped is the ledger again. */
#include <endian.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store/ship.h"
#include "tests/store/machines.h"

#define KEY "ASIAY34FZKBOKMUTVV7A"
#define INSTANCE "i-0aaaaaaaa"

static char folder[PATH_MAX], path[PATH_MAX], jsonl[PATH_MAX], journal[PATH_MAX];

static int setup(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	(void)unit_path(path, folder, "ledger.db");
	(void)unit_path(jsonl, folder, "rows.jsonl");
	(void)unit_path(journal, folder, "journal.sock");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static struct writer *open_writer(const char *file, const char *socket_path)
{
	struct writer *writer = NULL;
	const struct writer_options options = {
		.path = path, .use_journal = true, .jsonl = file, .journal_socket = socket_path};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	return writer;
}

static size_t count_lines(const char *file)
{
	CLEANUP_BUFFER struct buffer text = {0};
	size_t count = 0;
	assert_int_equal(buffer_read_file(&text, file, NULL), 0);
	for (size_t i = 0; i < text.length; i++)
		count += text.bytes[i] == '\n';
	return count;
}

/* ---- the file */

static void ships_the_whole_chain(void **state)
{
	struct writer *writer = open_writer(jsonl, NULL);
	char fleet[PATH_MAX];
	CLEANUP_BUFFER struct buffer text = {0};
	(void)state;
	machine_append(writer, "instance", NULL, 1, 1, json_pack("{s:s}", "instance_id", INSTANCE));
	machine_deliver(writer, INSTANCE, KEY, 0x10, 2);
	machine_append(writer, "coverage", NULL, 2, 3, machine_beat(COVERAGE_START, "x", 3));
	writer_close(writer);
	assert_int_equal(count_lines(jsonl), 5);
	assert_int_equal(buffer_read_file(&text, jsonl, NULL), 0);
	struct import_result result = machine_import(unit_path(fleet, folder, "fleet.db"), text.bytes);
	assert_int_equal(result.fault, IMPORT_GOOD);
	assert_int_equal(result.rows, 5);
	assert_int_equal(machine_missing(fleet), 0);
	assert_string_equal(machine_verify(fleet), "whole");
}

/* What the writer adds by itself has its place in the chain, and so it is shipped, too. */
static void ships_what_a_pruning_says(void **state)
{
	char fleet[PATH_MAX];
	CLEANUP_BUFFER struct buffer text = {0};
	struct writer *writer = open_writer(jsonl, NULL);
	const struct upkeep_limits limits = {.retain_us = CLOCK_SECOND_US};
	(void)state;
	writer_limit(writer, &limits);
	for (unsigned i = 0; i < 500 && rows_number(path, "SELECT count(*) FROM record WHERE kind='prune'") < 1; i++) {
		machine_append(writer, "placement", NULL, 0x100 + i, 4, json_pack("{s:s}", "instance_id", INSTANCE));
		(void)usleep(20000);
	}
	writer_close(writer);
	assert_true(rows_number(path, "SELECT count(*) FROM record WHERE kind='prune'") >= 1);
	assert_int_equal(buffer_read_file(&text, jsonl, NULL), 0);
	assert_non_null(strstr(text.bytes, "\"kind\":\"prune\""));
	assert_int_equal(machine_import(unit_path(fleet, folder, "pruned.db"), text.bytes).fault, IMPORT_GOOD);
	assert_int_equal(machine_missing(fleet), 0);
}

static void goes_on_in_a_new_file_after_a_rotation(void **state)
{
	char rotated[PATH_MAX], file[PATH_MAX];
	struct writer *writer = open_writer(unit_path(file, folder, "rotated.jsonl"), NULL);
	(void)state;
	machine_append(writer, "placement", NULL, 0x1001, 5, json_pack("{s:s}", "instance_id", INSTANCE));
	assert_int_equal(rename(file, unit_path(rotated, folder, "rotated.jsonl.1")), 0);
	machine_append(writer, "placement", NULL, 0x1002, 5, json_pack("{s:s}", "instance_id", INSTANCE));
	assert_int_equal(count_lines(rotated), 2); /* nobody said that it was renamed */
	writer_reopen_lines(writer);
	machine_append(writer, "placement", NULL, 0x1003, 5, json_pack("{s:s}", "instance_id", INSTANCE));
	assert_int_equal(count_lines(rotated), 2);
	assert_int_equal(count_lines(file), 1);
	/* A folder that is gone: rows go on into the file that was open, and are recorded all the same. */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	writer_reopen_lines(writer);
	machine_append(writer, "placement", NULL, 0x1004, 5, json_pack("{s:s}", "instance_id", INSTANCE));
	writer_close(writer);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM record WHERE id='0000000000001004'"), 1);
}

/* While the database is locked rows go to the emergency journal: shipped at once, and again with their place. */
static void ships_again_what_was_journalled(void **state)
{
	char file[PATH_MAX];
	struct writer *writer = open_writer(unit_path(file, folder, "twice.jsonl"), NULL);
	sqlite3 *db = NULL;
	CLEANUP_BUFFER struct buffer text = {0};
	(void)state;
	machine_append(writer, "placement", NULL, 0x2001, 6, json_pack("{s:s}", "instance_id", INSTANCE));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	machine_append(writer, "placement", NULL, 0x2002, 6, json_pack("{s:s}", "instance_id", INSTANCE));
	assert_int_equal(count_lines(file), 2);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	(void)usleep(1100000);
	machine_append(writer, "placement", NULL, 0x2003, 6, json_pack("{s:s}", "instance_id", INSTANCE));
	writer_close(writer);
	assert_int_equal(count_lines(file), 4);
	assert_int_equal(buffer_read_file(&text, file, NULL), 0);
	const char *first = strstr(text.bytes, "0000000000002002"), *again = strstr(first + 1, "0000000000002002");
	assert_non_null(again);
	/* As lines to be read both are one row, which has its place. */
	struct ledger *ledger = NULL;
	struct audit audit;
	struct error problem = {0};
	if (ledger_open(file, &ledger, &problem) < 0)
		fail_msg("%s", problem.text);
	assert_int_equal(audit_ledger(ledger, &audit, NULL), 0);
	assert_int_equal(audit.rows, 3);
	assert_int_equal(audit.unimported,
	                 rows_number(path, "SELECT min(seq)-1 FROM record WHERE id='0000000000002001'"));
	assert_string_equal(audit_fault_names[audit.fault], "whole");
	CLEANUP_JSON json_t *summary = NULL;
	int64_t ledgers = 0;
	assert_int_equal(ledger_summary(ledger, &summary, NULL), 0);
	assert_true(json_int_at(summary, "ledgers", &ledgers) && ledgers == 1);
	ledger_close(ledger);
}

/* ---- the journal */

static int open_journal(const char *at)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(strlen(at) < sizeof(address.sun_path));
	memcpy(address.sun_path, at, strlen(at));
	(void)unlink(at);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* The value of a field in an entry, as journald reads it; "": it has none. Each entry is walked to its end. */
static void read_field(const char *entry, size_t length, const char *name, char *to, size_t size)
{
	to[0] = '\0';
	for (const char *at = entry; at < entry + length;) {
		const char *end = memchr(at, '\n', (size_t)(entry + length - at));
		uint64_t value;
		assert_non_null(end);
		assert_null(memchr(at, '=', (size_t)(end - at)));
		memcpy(&value, end + 1, sizeof(value));
		value = le64toh(value);
		const char *text = end + 1 + sizeof(value);
		assert_true(value < length && text[value] == '\n');
		if (strncmp(at, name, strlen(name)) == 0 && strlen(name) == (size_t)(end - at))
			(void)snprintf(to, size, "%.*s", (int)value, text);
		at = text + value + 1;
	}
}

static void sends_each_row_to_the_journal(void **state)
{
	static const struct {
		const char *kind, *field, *value;
	} expected[] = {
		{"instance", "KEYTRAIL_INSTANCE_ID", INSTANCE},    {"delivery", "KEYTRAIL_ACCESS_KEY_ID", KEY},
		{"executable", "KEYTRAIL_ID", "0000000000003011"}, {"outcome", "KEYTRAIL_SUBJECT", "0000000000003010"},
		{"coverage", "KEYTRAIL_EVENT", "start"},
	};
	int fd = open_journal(journal);
	struct writer *writer = open_writer(NULL, journal);
	(void)state;
	machine_append(writer, "instance", NULL, 0x3001, 7, json_pack("{s:s}", "instance_id", INSTANCE));
	machine_deliver(writer, INSTANCE, KEY, 0x3010, 7);
	machine_append(writer, "coverage", NULL, 0x3002, 7, machine_beat(COVERAGE_START, "x", 7));
	writer_close(writer);
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		char entry[65536], value[16384];
		ssize_t got = recv(fd, entry, sizeof(entry), MSG_DONTWAIT);
		CHECK(expected[i].kind, got > 0);
		read_field(entry, (size_t)got, "KEYTRAIL_KIND", value, sizeof(value));
		CHECK_TEXT(expected[i].kind, value, expected[i].kind);
		read_field(entry, (size_t)got, "MESSAGE_ID", value, sizeof(value));
		CHECK_TEXT(expected[i].kind, value, ship_message_id(expected[i].kind));
		CHECK_NUMBER(expected[i].kind, strlen(value), 32);
		read_field(entry, (size_t)got, expected[i].field, value, sizeof(value));
		CHECK_TEXT(expected[i].kind, value, expected[i].value);
		read_field(entry, (size_t)got, "MESSAGE", value, sizeof(value));
		CLEANUP_LINE struct line line = {0};
		CHECK_NUMBER(expected[i].kind, line_take(value, strlen(value), &line, NULL), 0);
		CHECK(expected[i].kind, line.has_link && line.seq > 0 && line.ledger_id[0] != '\0');
		read_field(entry, (size_t)got, "KEYTRAIL_LEDGER_ID", value, sizeof(value));
		CHECK_TEXT(expected[i].kind, value, line.ledger_id);
		if (i == 1) {
			read_field(entry, (size_t)got, "KEYTRAIL_EXE", value, sizeof(value));
			assert_string_equal(value, "/usr/bin/curl");
			read_field(entry, (size_t)got, "KEYTRAIL_PID", value, sizeof(value));
			assert_string_equal(value, "100");
		}
	}
	(void)close(fd);
}

/* A value with a newline and an equals sign is a value, and no field. */
static void forges_no_field(void **state)
{
	char entry[65536], value[16384];
	int fd = open_journal(journal);
	struct writer *writer = open_writer(NULL, journal);
	(void)state;
	machine_append(writer, "gap", NULL, 0x4001, 8, json_pack("{s:s}", "reason", "x\nPRIORITY=0\nMESSAGE_ID=y"));
	writer_close(writer);
	ssize_t got = recv(fd, entry, sizeof(entry), MSG_DONTWAIT);
	assert_true(got > 0);
	read_field(entry, (size_t)got, "KEYTRAIL_REASON", value, sizeof(value));
	assert_string_equal(value, "x\nPRIORITY=0\nMESSAGE_ID=y");
	read_field(entry, (size_t)got, "PRIORITY", value, sizeof(value));
	assert_string_equal(value, "6");
	(void)close(fd);
}

static void says_of_what_is_too_large_that_it_is_there(void **state)
{
	static char entry[65536], large[400000];
	char value[128];
	int fd = open_journal(journal);
	struct writer *writer = open_writer(NULL, journal);
	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	machine_append(writer, "placement", NULL, 0x5001, 9,
	               json_pack("{s:s,s:s}", "instance_id", INSTANCE, "z", large));
	writer_close(writer);
	ssize_t got = recv(fd, entry, sizeof(entry), MSG_DONTWAIT);
	assert_true(got > 0);
	read_field(entry, (size_t)got, "KEYTRAIL_TOO_LARGE", value, sizeof(value));
	assert_string_equal(value, "1");
	read_field(entry, (size_t)got, "KEYTRAIL_ID", value, sizeof(value));
	assert_string_equal(value, "0000000000005001");
	(void)close(fd);
}

/* None, one that nobody reads, and one that went away: rows are recorded as ever, and without waiting. */
static void waits_for_no_journal(void **state)
{
	char nowhere[PATH_MAX];
	struct writer *writer = open_writer(NULL, unit_path(nowhere, folder, "nowhere.sock"));
	(void)state;
	machine_append(writer, "placement", NULL, 0x6001, 9, json_pack("{s:s}", "instance_id", INSTANCE));
	writer_close(writer);
	int fd = open_journal(journal);
	writer = open_writer(NULL, journal);
	int64_t began_ms = clock_monotonic_ms();
	for (unsigned i = 0; i < 600; i++) { /* more than a socket's queue takes */
		CLEANUP_JSON json_t *body = json_pack("{s:s}", "instance_id", INSTANCE);
		struct entry entry = {.kind = "placement", .at_us = AT(9), .body = body};
		(void)snprintf(entry.id, sizeof(entry.id), "%016x", 0x7000 + i);
		writer_append_later(writer, &entry);
	}
	(void)close(fd);
	machine_append(writer, "placement", NULL, 0x7fff, 9, json_pack("{s:s}", "instance_id", INSTANCE));
	writer_close(writer);
	assert_true(clock_monotonic_ms() - began_ms < 20000);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM record WHERE id BETWEEN '0000000000007000' AND"
	                                   " '0000000000007fff'"),
	                 601);
}

static void keeps_its_message_ids(void **state)
{
	static const char *const kinds[] = {"delivery", "outcome",  "executable", "placement",
	                                    "gap",      "instance", "coverage",   "prune"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		for (size_t j = 0; j < i; j++)
			CHECK(kinds[i], strcmp(ship_message_id(kinds[i]), ship_message_id(kinds[j])) != 0);
	assert_string_equal(ship_message_id("delivery"), "b74041137b28410e876d81963d4a5ddc");
	assert_null(ship_message_id("other"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ships_the_whole_chain),
		cmocka_unit_test(ships_what_a_pruning_says),
		cmocka_unit_test(goes_on_in_a_new_file_after_a_rotation),
		cmocka_unit_test(ships_again_what_was_journalled),
		cmocka_unit_test(sends_each_row_to_the_journal),
		cmocka_unit_test(forges_no_field),
		cmocka_unit_test(says_of_what_is_too_large_that_it_is_there),
		cmocka_unit_test(waits_for_no_journal),
		cmocka_unit_test(keeps_its_message_ids),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
