/* SPDX-License-Identifier: Apache-2.0 */

/* Several processes held the socket: whoever asks for one of them must find the row, whichever the ledger names first.
 * The same of a machine's own ledger and of a merged one. */
#include "store/ledger.h"
#include "tests/store/machines.h"

#define KEY_ONE "ASIAY34FZKBOKMUTVV7A"
#define KEY_TWO "ASIAY34FZKBOKMUTVV7B"
#define KEY_THREE "ASIAY34FZKBOKMUTVV7C"

#define WEB                                                                                                            \
	{                                                                                                              \
		.pid = 11, .uid = 33, .user = "www-data", .exe = "/usr/sbin/web", .unit = "web.service"                \
	}
#define ODD                                                                                                            \
	{                                                                                                              \
		.pid = 66, .uid = 1000, .user = "alice", .exe = "/tmp/odd", .container = "c0ffee"                      \
	}
#define ELSE                                                                                                           \
	{                                                                                                              \
		.pid = 77, .uid = 33, .user = "www-data", .exe = "/usr/bin/else"                                       \
	}

static const struct {
	const char *id, *key, *grade, *outcome;
	struct row holders[3]; /* pid 0: the end */
	bool has_no_process;
} rows[] = {
	{"1", KEY_ONE, "exact", "delivered", {WEB}, false},
	{"2", KEY_ONE, "shared", "delivered", {WEB, ODD}, false},
	{"3", KEY_TWO, "shared", "delivered", {WEB, ELSE}, false},
	{"4", KEY_TWO, "shared", "refused", {ODD, ELSE}, false},
	{"5", KEY_THREE, "cgroup", "delivered", {ODD, ELSE}, true},
};

static char folder[PATH_MAX], own[PATH_MAX], fleet[PATH_MAX];

static void append(struct writer *writer, size_t i)
{
	const struct row row = {.key = rows[i].key,
	                        .role = "web",
	                        .instance = "i-0aaaaaaaa",
	                        .grade = rows[i].grade,
	                        .outcome = rows[i].outcome,
	                        .path = "/a"};
	CLEANUP_JSON json_t *body = rows_body(&row);
	for (size_t h = 0; rows[i].holders[h].pid != 0; h++)
		(void)json_array_append_new(json_object_get(body, "holders"), rows_process(&rows[i].holders[h]));
	if (!rows[i].has_no_process)
		json_put(body, "process", json_incref(json_array_get(json_object_get(body, "holders"), 0)));
	struct entry entry = {.kind = "delivery", .access_key_id = rows[i].key, .at_us = AT(10 + (int)i), .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%s", rows[i].id);
	assert_int_equal(writer_append(writer, &entry, NULL), 0);
}

static int setup(void **state)
{
	struct writer *writer = NULL;
	(void)state;
	(void)unit_folder(folder);
	const struct writer_options options = {.path = unit_path(own, folder, "own.db")};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		append(writer, i);
	writer_close(writer);
	CLEANUP_FREE char *text = machine_export(own, NULL, NULL);
	assert_int_equal(machine_import(unit_path(fleet, folder, "fleet.db"), text).fault, IMPORT_GOOD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

typedef int list_function(struct ledger *, const struct ledger_filter *, ledger_visit *, void *, struct error *);

static int keep(void *context, const json_t *object, struct error *err)
{
	(void)err;
	return json_array_append_new(context, json_deep_copy(object));
}

static json_t *listed(const char *path, list_function *list, struct ledger_filter filter)
{
	struct ledger *ledger = NULL;
	struct error problem = {0};
	json_t *found = json_array();
	filter.oldest_first = true;
	if (ledger_open(path, &ledger, &problem) < 0 || list(ledger, &filter, keep, found, &problem) < 0)
		fail_msg("%s: %s", path, problem.text);
	ledger_close(ledger);
	return found;
}

static const struct {
	const char *name;
	struct ledger_filter filter;
	const char *deliveries; /* their ids */
	const char *processes;  /* exe of each, grade, number of deliveries */
} cases[] = {
	{"all", {0}, "12345", "/usr/sbin/web exact 3,/tmp/odd shared 2,/usr/bin/else shared 2,"},
	{"a pid that is first", {.has_pid = true, .pid = 11}, "123", "/usr/sbin/web exact 3,"},
	{"a pid that is not", {.has_pid = true, .pid = 66}, "245", "/tmp/odd shared 2,"},
	{"an executable", {.exe = "/tmp/odd"}, "245", "/tmp/odd shared 2,"},
	{"a pattern", {.exe = "/tmp/*"}, "245", "/tmp/odd shared 2,"},
	{"a container", {.container = "c0ffee"}, "245", "/tmp/odd shared 2,"},
	{"a user", {.user = "alice"}, "245", "/tmp/odd shared 2,"},
	{"a uid of two", {.has_uid = true, .uid = 33}, "12345", "/usr/sbin/web exact 3,/usr/bin/else shared 2,"},
	{"one process has both", {.exe = "/tmp/odd", .has_uid = true, .uid = 1000}, "245", "/tmp/odd shared 2,"},
	{"no process has both", {.exe = "/tmp/odd", .has_uid = true, .uid = 33}, "", ""},
	{"a unit and a key", {.unit = "web.service", .access_key_id = KEY_TWO}, "3", "/usr/sbin/web shared 1,"},
	{"a key", {.access_key_id = KEY_ONE}, "12", "/usr/sbin/web exact 2,/tmp/odd shared 1,"},
	{"a key and an executable", {.access_key_id = KEY_ONE, .exe = "/tmp/odd"}, "2", "/tmp/odd shared 1,"},
	{"a grade", {.grade = "shared", .exe = "/usr/sbin/web"}, "23", "/usr/sbin/web shared 2,"},
	{"a time", {.since_us = AT(12), .exe = "/tmp/odd"}, "45", "/tmp/odd cgroup 1,"},
	{"nobody", {.exe = "/bin/nobody"}, "", ""},
};

static void finds_each_that_held_the_socket(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases) * 2; i++) {
		const char *name = cases[i / 2].name, *path = i % 2 == 0 ? own : fleet;
		CLEANUP_JSON json_t *deliveries = listed(path, ledger_deliveries, cases[i / 2].filter);
		CLEANUP_JSON json_t *processes = listed(path, ledger_processes, cases[i / 2].filter);
		CLEANUP_BUFFER struct buffer ids = {0};
		size_t length = 0;
		assert_int_equal(buffer_printf(&ids, NULL, "%s", ""), 0);
		for (size_t j = 0; j < json_array_size(deliveries); j++)
			assert_int_equal(
				buffer_printf(&ids, NULL, "%s", json_text_at(json_array_get(deliveries, j), "id")), 0);
		CHECK_TEXT(name, ids.bytes, cases[i / 2].deliveries);
		for (size_t j = 0; j < json_array_size(processes); j++) {
			const json_t *process = json_array_get(processes, j);
			char line[200];
			int64_t count = 0;
			(void)json_int_at(process, "deliveries", &count);
			length += (size_t)snprintf(line, sizeof(line), "%s %s %lld,", json_text_at(process, "exe"),
			                           json_text_at(process, "grade"), (long long)count);
			if (strstr(cases[i / 2].processes, line) == NULL)
				fail_msg("%s: %s is not one of %s", name, line, cases[i / 2].processes);
		}
		CHECK_NUMBER(name, length, strlen(cases[i / 2].processes));
	}
}

static void counts_each_of_a_key(void **state)
{
	static const struct {
		const char *key;
		int64_t deliveries, processes;
	} counts[] = {{KEY_ONE, 2, 2}, {KEY_TWO, 1, 2}, {KEY_THREE, 1, 2}};
	(void)state;
	for (int i = 0; i < 4; i++) {
		/* Of all keys a merged ledger has a table; a pattern goes the other way. */
		const struct ledger_filter filter = {.access_key_id = i < 2 ? NULL : "ASIA*"};
		CLEANUP_JSON json_t *keys = listed(i % 2 == 0 ? own : fleet, ledger_keys, filter);
		assert_int_equal(json_array_size(keys), ARRAY_LENGTH(counts));
		for (size_t j = 0; j < ARRAY_LENGTH(counts); j++) {
			int64_t deliveries = 0, processes = 0;
			const json_t *key = json_array_get(keys, j);
			CHECK_TEXT("key", json_text_at(key, "access_key_id"), counts[j].key);
			assert_true(json_int_at(key, "deliveries", &deliveries) &&
			            json_int_at(key, "processes", &processes));
			CHECK_NUMBER(counts[j].key, deliveries, counts[j].deliveries);
			CHECK_NUMBER(counts[j].key, processes, counts[j].processes);
		}
	}
}

/* What lists go by is looked at: nobody is hidden by a table that no link covers. */
static void notices_what_was_done_to_the_table(void **state)
{
	static const struct {
		const char *sql, *own, *merged;
	} deeds[] = {
		{"SELECT 1", "whole", "whole"},
		{"DELETE FROM holder WHERE record=2", "process-changed", "table-changed"},
		{"INSERT INTO holder SELECT 1, max(actor) FROM holder", "process-changed", "table-changed"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(deeds); i++) {
		(void)teardown(NULL);
		(void)setup(NULL);
		assert_true(rows_exec(own, deeds[i].sql));
		assert_true(rows_exec(fleet, deeds[i].sql));
		CHECK_TEXT(deeds[i].sql, machine_verify(own), deeds[i].own);
		CHECK_TEXT(deeds[i].sql, machine_verify(fleet), deeds[i].merged);
	}
}

/* A merged ledger of the first version is migrated when the next export comes; until then it is read as it is. */
static void fills_the_table_of_an_older_merged_ledger(void **state)
{
	const struct ledger_filter filter = {.exe = "/tmp/odd"};
	(void)state;
	(void)teardown(NULL);
	(void)setup(NULL);
	assert_true(rows_exec(fleet, "DROP TABLE holder; DELETE FROM sqlite_stat1 WHERE tbl='holder';"
	                             "PRAGMA user_version=1"));
	CLEANUP_JSON json_t *before = listed(fleet, ledger_deliveries, filter);
	assert_int_equal(json_array_size(before), 1); /* the one that names it first */
	assert_string_equal(machine_verify(fleet), "whole");
	CLEANUP_FREE char *text = machine_export(own, NULL, NULL);
	assert_int_equal(machine_import(fleet, text).known, ARRAY_LENGTH(rows));
	CLEANUP_JSON json_t *after = listed(fleet, ledger_deliveries, filter);
	assert_int_equal(json_array_size(after), 3);
	assert_string_equal(machine_verify(fleet), "whole");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each_that_held_the_socket),
		cmocka_unit_test(counts_each_of_a_key),
		cmocka_unit_test(notices_what_was_done_to_the_table),
		cmocka_unit_test(fills_the_table_of_an_older_merged_ledger),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
