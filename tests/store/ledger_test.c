/* SPDX-License-Identifier: Apache-2.0 */

/* Reading: what a ledger shows of what was written, filter by filter. */
#include "tests/store/rows.h"

#include <sys/stat.h>

#include "store/ledger.h"

#define KEY_1 "ASIAY34FZKBOKMUTVV7A"
#define KEY_2 "ASIAQNZGKIQY56JQ7WML"
#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define S *1000000

static const struct row rows[] = {
	{.id = "1",
         .key = KEY_1,
         .role = "app",
         .at_us = ROWS_START + 10 S,
         .grade = "exact",
         .pid = 11,
         .uid = 0,
         .user = "root",
         .exe = "/usr/bin/curl",
         .unit = "cron.service",
         .path = "/latest/meta-data/iam/security-credentials/app",
         .instance = "i-1"},
	{.id = "2",
         .key = KEY_1,
         .role = "app",
         .at_us = ROWS_START + 20 S,
         .grade = "shared",
         .pid = 12,
         .uid = 1000,
         .user = "alice",
         .exe = "/usr/bin/python3.11",
         .unit = "session-3.scope",
         .path = "/a",
         .instance = "i-1"},
	{.id = "3",
         .key = KEY_2,
         .role = "app-2",
         .at_us = ROWS_START + 30 S,
         .grade = "exact",
         .pid = 13,
         .uid = 1000,
         .user = "alice",
         .exe = "/opt/[x]/run",
         .container = CONTAINER,
         .path = "/b",
         .source = "ecs",
         .instance = "i-1"},
	{.id = "4",
         .key = KEY_2,
         .role = "app-2",
         .at_us = ROWS_START + 40 S,
         .grade = "netns",
         .path = "/b",
         .source = "ecs",
         .instance = "i-2"},
	{.id = "5",
         .role = NULL,
         .at_us = ROWS_START + 50 S,
         .grade = "exact",
         .pid = 11,
         .uid = 0,
         .user = "root",
         .exe = "/usr/bin/curl",
         .unit = "cron.service",
         .path = "/c",
         .outcome = "refused",
         .reason = "no-token",
         .instance = "i-1"},
	{.id = "6",
         .key = KEY_1,
         .role = "app",
         .at_us = ROWS_START + 60 S,
         .grade = "gone",
         .path = "/a",
         .outcome = "refused",
         .reason = "client-gone",
         .instance = "i-1"},
	{.id = "7",
         .key = KEY_1,
         .role = "app",
         .at_us = ROWS_START + 70 S,
         .grade = "uid",
         .pid = 12,
         .uid = 1000,
         .user = "alice",
         .exe = "/usr/bin/python3.11",
         .unit = "session-3.scope",
         .path = "/a*",
         .source = "identity",
         .instance = "i-1"},
};

static char folder[PATH_MAX], path[PATH_MAX];

static int add_placement(struct writer *writer, const char *id, int64_t at_us, const char *instance)
{
	CLEANUP_JSON json_t *body = json_pack("{s:s,s:[s]}", "instance_id", instance, "addresses", "10.0.0.1");
	struct entry entry = {.kind = "placement", .at_us = at_us, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	return writer_append(writer, &entry, NULL);
}

static int start(void **state)
{
	struct writer *writer;
	const struct writer_options options = {.path = unit_path(path, unit_folder(folder), "ledger.db")};
	(void)state;
	if (writer_open(&options, &writer, NULL) < 0)
		return -1;
	int result = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		result |= rows_append(writer, &rows[i], NULL);
	result |= rows_append_outcome(writer, "o1", "1", "delivered", NULL, NULL);
	result |= rows_append_outcome(writer, "o2", "2", "aborted", "client-closed", NULL);
	result |= rows_append_outcome(writer, "o3", "3", "aborted", NULL, NULL);
	result |= rows_append_outcome(writer, "o4", "3", "delivered", NULL, NULL); /* the newest counts */
	result |= rows_append_outcome(writer, "o5", "no such row", "delivered", NULL, NULL);
	result |= add_placement(writer, "p1", ROWS_START + 1 S, "i-1");
	result |= add_placement(writer, "p2", ROWS_START + 2 S, "i-2");
	result |= add_placement(writer, "p3", ROWS_START + 3 S, "i-1");
	writer_close(writer);
	return result;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static struct ledger *open_ledger(void)
{
	struct ledger *ledger = NULL;
	struct error problem = {0};
	if (ledger_open(path, &ledger, &problem) < 0)
		fail_msg("%s", problem.text);
	return ledger;
}

static int add_id(void *context, const json_t *object, struct error *err)
{
	return buffer_printf(context, err, "%s", json_text_at(object, "id"));
}

static const struct {
	const char *name;
	struct ledger_filter filter;
	const char *ids; /* newest first */
} filters[] = {
	{"none", {0}, "7654321"},
	{"oldest first", {.oldest_first = true}, "1234567"},
	{"since", {.since_us = ROWS_START + 30 S}, "76543"},
	{"since, one later", {.since_us = ROWS_START + 30 S + 1}, "7654"},
	{"until", {.until_us = ROWS_START + 30 S}, "21"},
	{"until, one later", {.until_us = ROWS_START + 30 S + 1}, "321"},
	{"since and until", {.since_us = ROWS_START + 20 S, .until_us = ROWS_START + 40 S}, "32"},
	{"after", {.after_seq = 5}, "76"},
	{"after all", {.after_seq = 1000}, ""},
	{"key", {.access_key_id = KEY_1}, "7621"},
	{"unknown key", {.access_key_id = "ASIA"}, ""},
	{"key by a glob", {.access_key_id = "ASIAQ*"}, "43"},
	{"every key", {.access_key_id = "*"}, "764321"},
	{"role", {.role = "app"}, "7621"},
	{"role by a glob", {.role = "app*"}, "764321"},
	{"role by one character", {.role = "app-?"}, "43"},
	{"role in another case", {.role = "APP"}, ""},
	{"executable", {.exe = "/usr/bin/curl"}, "51"},
	{"executable by a glob", {.exe = "/usr/bin/*"}, "7521"},
	{"executable with brackets", {.exe = "/opt/[x]/run"}, "3"},
	{"bracket is no class", {.exe = "/opt/[xyz]"}, ""},
	{"unit", {.unit = "cron.service"}, "51"},
	{"unit by a glob", {.unit = "session-*.scope"}, "72"},
	{"container", {.container = CONTAINER}, "3"},
	{"container by its start", {.container = "0123456789ab*"}, "3"},
	{"user", {.user = "alice"}, "732"},
	{"path", {.path = "/a"}, "62"},
	{"path by a glob", {.path = "/a*"}, "762"},
	{"path deeper down", {.path = "/latest/*/app"}, "1"},
	{"instance", {.instance_id = "i-2"}, "4"},
	{"grade", {.grade = "exact"}, "531"},
	{"outcome now", {.outcome = "delivered"}, "31"},
	{"outcome as it was", {.outcome = "recorded"}, "74"},
	{"aborted", {.outcome = "aborted"}, "2"},
	{"refused", {.outcome = "refused"}, "65"},
	{"source", {.source = "ecs"}, "43"},
	{"uid 0", {.has_uid = true, .uid = 0}, "51"},
	{"uid", {.has_uid = true, .uid = 1000}, "732"},
	{"uid without its flag", {.uid = 1000}, "7654321"},
	{"pid", {.has_pid = true, .pid = 12}, "72"},
	{"pid of nobody", {.has_pid = true, .pid = 999}, ""},
	{"credentials", {.credentials_only = true}, "74321"},
	{"all at once",
         {.since_us = ROWS_START,
          .until_us = ROWS_START + 100 S,
          .after_seq = 1,
          .access_key_id = KEY_1,
          .role = "app",
          .exe = "*python*",
          .unit = "session*",
          .user = "alice",
          .path = "/a",
          .instance_id = "i-1",
          .grade = "shared",
          .outcome = "aborted",
          .source = "imds",
          .has_uid = true,
          .uid = 1000,
          .has_pid = true,
          .pid = 12,
          .credentials_only = true,
          .oldest_first = true},
         "2"},
	{"not a word of SQL", {.role = "app' OR '1'='1"}, ""},
};

static void filters_deliveries(void **state)
{
	struct ledger *ledger = open_ledger();
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++) {
		CLEANUP_BUFFER struct buffer ids = {0};
		struct error problem = {0};
		assert_int_equal(buffer_append(&ids, "", 0, NULL), 0);
		if (ledger_deliveries(ledger, &filters[i].filter, add_id, &ids, &problem) < 0)
			fail_msg("%s: %s", filters[i].name, problem.text);
		CHECK_TEXT(filters[i].name, ids.bytes, filters[i].ids);
	}
	ledger_close(ledger);
}

static int keep(void *context, const json_t *object, struct error *err)
{
	(void)err;
	return json_array_append(context, (json_t *)(uintptr_t)object);
}

static void shows_a_delivery_in_full(void **state)
{
	struct ledger *ledger = open_ledger();
	CLEANUP_JSON json_t *list = json_array();
	const struct ledger_filter filter = {.has_pid = true, .pid = 12, .oldest_first = true};
	int64_t number = 0;
	(void)state;
	assert_int_equal(ledger_deliveries(ledger, &filter, keep, list, NULL), 0);
	ledger_close(ledger);
	const json_t *first = json_array_get(list, 0);
	assert_string_equal(json_text_at(first, "kind"), "delivery");
	assert_true(json_int_at(first, "seq", &number) && number == 2);
	assert_string_equal(json_text_at(first, "delivered_at"), "2023-11-14T22:13:40.000000Z");
	assert_string_equal(json_text_at(first, "access_key_id"), KEY_1);
	assert_string_equal(json_text_at(first, "outcome"), "aborted");
	assert_string_equal(json_text_at(first, "reason"), "client-closed");
	assert_string_equal(json_text_at(first, "attribution.grade"), "shared");
	assert_string_equal(json_text_at(first, "client.address"), "192.0.2.1");
	/* Processes in full, not as they stand on disk. */
	assert_true(json_int_at(first, "process.pid", &number) && number == 12);
	assert_string_equal(json_text_at(first, "process.exe"), "/usr/bin/python3.11");
	const json_t *holders = json_at(first, "holders");
	assert_int_equal(json_array_size(holders), 1);
	assert_true(json_equal(json_array_get(holders, 0), json_at(first, "process")));
}

static void shows_nulls_and_empty_lists(void **state)
{
	struct ledger *ledger = open_ledger();
	CLEANUP_JSON json_t *list = json_array();
	const struct ledger_filter filter = {.instance_id = "i-2"};
	(void)state;
	assert_int_equal(ledger_deliveries(ledger, &filter, keep, list, NULL), 0);
	ledger_close(ledger);
	const json_t *object = json_array_get(list, 0);
	assert_true(json_is_null(json_object_get(object, "process")));
	assert_true(json_is_array(json_object_get(object, "holders")));
	assert_true(json_is_null(json_object_get(object, "reason")));
}

static int stop_at_once(void *context, const json_t *object, struct error *err)
{
	(void)object;
	++*(int *)context;
	return error_set(err, ERROR_USAGE, "enough");
}

static void stops_when_the_visitor_says_so(void **state)
{
	struct ledger *ledger = open_ledger();
	const struct ledger_filter filter = {0};
	struct error problem = {0};
	int visits = 0;
	(void)state;
	assert_int_equal(ledger_deliveries(ledger, &filter, stop_at_once, &visits, &problem), -1);
	assert_int_equal(ledger_keys(ledger, &filter, stop_at_once, &visits, &problem), -1);
	assert_int_equal(ledger_processes(ledger, &filter, stop_at_once, &visits, &problem), -1);
	assert_int_equal(ledger_placements(ledger, stop_at_once, &visits, &problem), -1);
	assert_int_equal(visits, 4);
	assert_int_equal(problem.code, ERROR_USAGE);
	ledger_close(ledger);
}

static void lists_keys(void **state)
{
	struct ledger *ledger = open_ledger();
	CLEANUP_JSON json_t *list = json_array();
	struct ledger_filter filter = {.oldest_first = true};
	int64_t number = 0;
	(void)state;
	assert_int_equal(ledger_keys(ledger, &filter, keep, list, NULL), 0);
	assert_int_equal(json_array_size(list), 2);
	const json_t *second = json_array_get(list, 0), *first = json_array_get(list, 1); /* by their last delivery */
	assert_string_equal(json_text_at(first, "access_key_id"), KEY_1);
	assert_string_equal(json_text_at(second, "access_key_id"), KEY_2);
	assert_true(json_int_at(first, "deliveries", &number) && number == 3); /* the refused one does not count */
	assert_true(json_int_at(first, "processes", &number) && number == 2);
	assert_true(json_int_at(second, "deliveries", &number) && number == 2);
	assert_true(json_int_at(second, "processes", &number) && number == 1);
	assert_string_equal(json_text_at(first, "first_delivered_at"), "2023-11-14T22:13:30.000000Z");
	assert_string_equal(json_text_at(first, "last_delivered_at"), "2023-11-14T22:14:30.000000Z");
	assert_string_equal(json_text_at(first, "host_account_id"), "123456789012");
	assert_string_equal(json_text_at(first, "updated_at"), "2023-11-14T22:00:00.000000Z");
	assert_string_equal(json_text_at(first, "expires_at"), "2023-11-15T04:00:00.000000Z");

	/* A filter chooses deliveries, and the numbers are of these alone. */
	CLEANUP_JSON json_t *few = json_array();
	filter = (struct ledger_filter){.user = "alice"};
	assert_int_equal(ledger_keys(ledger, &filter, keep, few, NULL), 0);
	assert_int_equal(json_array_size(few), 2);
	assert_string_equal(json_text_at(json_array_get(few, 0), "access_key_id"), KEY_1);
	assert_true(json_int_at(json_array_get(few, 0), "deliveries", &number) && number == 2);

	CLEANUP_JSON json_t *none = json_array();
	filter = (struct ledger_filter){.outcome = "refused"};
	assert_int_equal(ledger_keys(ledger, &filter, keep, none, NULL), 0);
	assert_int_equal(json_array_size(none), 0);
	ledger_close(ledger);
}

static void lists_processes(void **state)
{
	struct ledger *ledger = open_ledger();
	CLEANUP_JSON json_t *list = json_array();
	const struct ledger_filter filter = {.oldest_first = true};
	int64_t number = 0;
	(void)state;
	assert_int_equal(ledger_processes(ledger, &filter, keep, list, NULL), 0);
	ledger_close(ledger);
	assert_int_equal(json_array_size(list), 3); /* 11, 13, 12 by their last delivery */
	const json_t *curl = json_array_get(list, 0), *python = json_array_get(list, 2);
	assert_true(json_int_at(curl, "pid", &number) && number == 11);
	assert_true(json_int_at(curl, "deliveries", &number) && number == 1); /* without the refusal */
	assert_true(json_int_at(python, "pid", &number) && number == 12);
	assert_true(json_int_at(python, "deliveries", &number) && number == 2);
	assert_string_equal(json_text_at(python, "grade"), "shared"); /* the best of its rows */
	assert_string_equal(json_text_at(python, "user"), "alice");
	assert_int_equal(json_array_size(json_at(python, "keys")), 1);
	assert_string_equal(json_string_value(json_array_get(json_at(python, "keys"), 0)), KEY_1);
	assert_string_equal(json_text_at(python, "first_seen"), "2023-11-14T22:13:40.000000Z");
	assert_string_equal(json_text_at(python, "last_seen"), "2023-11-14T22:14:30.000000Z");
}

static void lists_placements_of_each_instance(void **state)
{
	static const char *const expected[][3] = {
		{"i-1", "2023-11-14T22:13:21.000000Z", "2023-11-14T22:13:23.000000Z"},
		{"i-2", "2023-11-14T22:13:22.000000Z", NULL},
		{"i-1", "2023-11-14T22:13:23.000000Z", NULL},
	};
	struct ledger *ledger = open_ledger();
	CLEANUP_JSON json_t *list = json_array();
	(void)state;
	assert_int_equal(ledger_placements(ledger, keep, list, NULL), 0);
	ledger_close(ledger);
	assert_int_equal(json_array_size(list), ARRAY_LENGTH(expected));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		const json_t *placement = json_array_get(list, i);
		assert_string_equal(json_text_at(placement, "instance_id"), expected[i][0]);
		assert_string_equal(json_text_at(placement, "from"), expected[i][1]);
		if (expected[i][2] != NULL)
			assert_string_equal(json_text_at(placement, "until"), expected[i][2]);
		else
			assert_true(json_is_null(json_object_get(placement, "until")));
	}
}

static void sums_up(void **state)
{
	struct ledger *ledger = open_ledger();
	CLEANUP_JSON json_t *summary = NULL;
	int64_t number = 0;
	(void)state;
	assert_int_equal(ledger_summary(ledger, &summary, NULL), 0);
	assert_true(json_int_at(summary, "schema_version", &number) && number == 3);
	assert_true(json_int_at(summary, "rows", &number) && number == 15);
	assert_int_equal(strlen(json_text_at(summary, "ledger_id")), 32);
	assert_string_equal(json_text_at(summary, "first_at"), "2023-11-14T22:13:20.001000Z");
	assert_string_equal(json_text_at(summary, "last_at"), "2023-11-14T22:14:30.000000Z");
	assert_string_equal(json_text_at(summary, "path"), path);
	assert_int_equal(ledger_last_seq(ledger, &number, NULL), 0);
	assert_int_equal(number, 15);
	ledger_close(ledger);
}

static void names_the_columns_of_its_views(void **state)
{
	static const struct {
		const char *sql, *columns;
	} views[] = {
		{"SELECT group_concat(name,' ') FROM pragma_table_info('v_deliveries')",
	         "seq id delivered_at at_us access_key_id account_id role source path expires_at outcome reason "
	         "client_address "
	         "client_port client_netns grade method pid started_at uid user exe exe_sha256 cmdline unit "
	         "container_id pod_uid "
	         "user_agent instance_id host_account_id region actor body"},
		{"SELECT group_concat(name,' ') FROM pragma_table_info('v_keys')",
	         "access_key_id account_id role source instance_id host_account_id region expires_at "
	         "first_delivered_at "
	         "last_delivered_at deliveries processes"},
		{"SELECT group_concat(name,' ') FROM pragma_table_info('v_processes')",
	         "actor pid started_at uid user exe exe_sha256 cmdline unit container_id pod_uid deliveries keys "
	         "first_seen "
	         "last_seen"},
		{"SELECT group_concat(name,' ') FROM pragma_table_info('record')",
	         "seq id at kind subject access_key_id actor body chain"},
		{"SELECT group_concat(name,' ') FROM pragma_table_info('actor')", "id digest body"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
		sqlite3 *db = NULL;
		sqlite3_stmt *row = NULL;
		assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_prepare_v2(db, views[i].sql, -1, &row, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(row), SQLITE_ROW);
		CHECK_TEXT("columns", rows_column(row, 0), views[i].columns);
		(void)sqlite3_finalize(row);
		(void)sqlite3_close(db);
	}
	assert_int_equal(rows_number(path, "PRAGMA application_id"), 0x4b54524c);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM v_deliveries"), ARRAY_LENGTH(rows));
	assert_int_equal(rows_number(path, "SELECT deliveries FROM v_keys WHERE access_key_id='" KEY_1 "'"), 3);
	assert_int_equal(rows_number(path, "SELECT keys FROM v_processes WHERE pid=12"), 1);
}

/* ---- opening */

static void says_what_is_no_ledger(void **state)
{
	static const char text[] = "This is a text of some length and no database, whatever its name may say of it.";
	struct ledger *ledger = NULL;
	struct error problem = {0};
	char file[PATH_MAX];
	(void)state;
	assert_int_equal(ledger_open(unit_path(file, folder, "missing.db"), &ledger, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_int_equal(access(file, F_OK), -1); /* is not made by looking for it */

	unit_write(unit_path(file, folder, "empty.db"), "", 0);
	assert_int_equal(ledger_open(file, &ledger, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
	assert_non_null(strstr(problem.text, "empty"));

	unit_write(unit_path(file, folder, "text.db"), text, strlen(text));
	assert_int_equal(ledger_open(file, &ledger, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);

	assert_true(rows_exec(unit_path(file, folder, "foreign.db"), "CREATE TABLE t(a)"));
	assert_int_equal(ledger_open(file, &ledger, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
	assert_non_null(strstr(problem.text, "not a ledger"));

	assert_true(rows_exec(unit_path(file, folder, "findings.db"), "CREATE TABLE t(a); PRAGMA application_id = 7"));
	assert_int_equal(ledger_open(file, &ledger, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);

	assert_int_equal(ledger_open(folder, &ledger, &problem), -1);
	assert_null(ledger);
	ledger_close(NULL);
}

static void refuses_a_newer_ledger(void **state)
{
	struct ledger *ledger = NULL;
	struct error problem = {0};
	char file[PATH_MAX];
	(void)state;
	assert_true(rows_exec(unit_path(file, folder, "newer.db"),
	                      "CREATE TABLE t(a); PRAGMA application_id = 1263817292; PRAGMA user_version = 1000"));
	assert_int_equal(ledger_open(file, &ledger, &problem), -1);
	assert_int_equal(problem.code, ERROR_NEWER);
	assert_non_null(strstr(problem.text, "1000"));
	assert_non_null(strstr(problem.text, " 1"));
}

static int open_missing_without_an_error(void *context)
{
	struct ledger *ledger;
	return ledger_open(context, &ledger, NULL) == -1 ? 0 : 1;
}

/* Nobody wants to know why: that is allowed (common/error.h). */
static void opens_without_an_error_to_fill(void **state)
{
	char file[PATH_MAX];
	(void)state;
	assert_int_equal(unit_in_child(open_missing_without_an_error, unit_path(file, folder, "missing.db")), 0);
}

static void sees_new_rows_and_cannot_be_written(void **state)
{
	char file[PATH_MAX];
	struct writer *writer;
	struct ledger *ledger;
	int64_t last = -1;
	const struct writer_options options = {.path = unit_path(file, folder, "live.db")};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(ledger_open(file, &ledger, NULL), 0);
	assert_int_equal(ledger_last_seq(ledger, &last, NULL), 0);
	assert_int_equal(last, 0);
	for (unsigned i = 1; i <= 3; i++) {
		CLEANUP_BUFFER struct buffer ids = {0};
		const struct ledger_filter filter = {.after_seq = i - 1};
		assert_int_equal(rows_append_numbered(writer, i, NULL), 0);
		assert_int_equal(ledger_last_seq(ledger, &last, NULL), 0);
		assert_int_equal(last, i);
		assert_int_equal(ledger_deliveries(ledger, &filter, add_id, &ids, NULL), 0);
		assert_int_equal(ids.length, 16); /* only the new one */
	}
	ledger_close(ledger);
	writer_close(writer);
}

static void shows_an_empty_ledger(void **state)
{
	char file[PATH_MAX];
	struct writer *writer;
	struct ledger *ledger;
	CLEANUP_JSON json_t *summary = NULL;
	CLEANUP_JSON json_t *list = json_array();
	const struct ledger_filter filter = {0};
	const struct writer_options options = {.path = unit_path(file, folder, "none.db")};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	writer_close(writer);
	assert_int_equal(ledger_open(file, &ledger, NULL), 0);
	assert_int_equal(ledger_deliveries(ledger, &filter, keep, list, NULL), 0);
	assert_int_equal(ledger_keys(ledger, &filter, keep, list, NULL), 0);
	assert_int_equal(ledger_processes(ledger, &filter, keep, list, NULL), 0);
	assert_int_equal(ledger_placements(ledger, keep, list, NULL), 0);
	assert_int_equal(json_array_size(list), 0);
	assert_int_equal(ledger_summary(ledger, &summary, NULL), 0);
	assert_true(json_is_null(json_object_get(summary, "first_at")));
	assert_true(json_is_null(json_object_get(summary, "last_at")));
	ledger_close(ledger);
}

/* ---- what came late */

#define EXE_FILE "8:1:77:1000:1700000000000000001:1700000000000000002"
#define SHA_EARLY "1111111111111111111111111111111111111111111111111111111111111111"
#define SHA_LATE "2222222222222222222222222222222222222222222222222222222222222222"

/* A delivery to a process whose executable has that digest, or none yet; its parent runs the same file. */
static int add_process(struct writer *writer, const char *id, int pid, const char *sha256)
{
	CLEANUP_JSON json_t *body =
		json_pack("{s:s,s:{s:i,s:s,s:s,s:s?,s:[{s:s,s:n}]},s:[]}", "outcome", "delivered", "process", "pid",
	                  pid, "exe", "/usr/bin/x", "exe_file", EXE_FILE, "exe_sha256", sha256, "ancestors", "exe_file",
	                  EXE_FILE, "exe_sha256", "holders");
	struct entry entry = {.kind = "delivery", .access_key_id = KEY_1, .at_us = ROWS_START, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	return writer_append(writer, &entry, NULL);
}

static int add_digest(struct writer *writer, const char *id, const char *file)
{
	CLEANUP_JSON json_t *body =
		json_pack("{s:s,s:s,s:s}", "exe", "/usr/bin/x", "exe_file", file, "exe_sha256", SHA_LATE);
	struct entry entry = {.kind = "executable", .at_us = ROWS_START, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	return writer_append(writer, &entry, NULL);
}

static void check_digest(const char *file, int64_t pid, const char *expected)
{
	struct ledger *ledger = NULL;
	CLEANUP_JSON json_t *list = json_array();
	const struct ledger_filter filter = {.has_pid = true, .pid = pid};
	assert_int_equal(ledger_open(file, &ledger, NULL), 0);
	assert_int_equal(ledger_deliveries(ledger, &filter, keep, list, NULL), 0);
	assert_int_equal(ledger_processes(ledger, &filter, keep, list, NULL), 0);
	ledger_close(ledger);
	assert_int_equal(json_array_size(list), 2);
	const char *of_delivery = json_text_at(json_array_get(list, 0), "process.exe_sha256"),
		   *of_process = json_text_at(json_array_get(list, 1), "exe_sha256");
	assert_true((of_delivery == NULL) == (expected == NULL) && (of_process == NULL) == (expected == NULL));
	if (expected != NULL) {
		assert_string_equal(of_delivery, expected);
		assert_string_equal(of_process, expected);
	}
}

static void joins_digests_that_came_late(void **state)
{
	char file[PATH_MAX];
	struct writer *writer = NULL;
	const struct writer_options options = {.path = unit_path(file, folder, "late.db")};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(add_process(writer, "1", 1, NULL), 0);
	assert_int_equal(add_process(writer, "2", 2, SHA_EARLY), 0);
	assert_int_equal(add_digest(writer, "3", "8:1:78:1000:0:0"), 0); /* of another file */
	check_digest(file, 1, NULL);
	check_digest(file, 2, SHA_EARLY);
	assert_int_equal(rows_number(file, "SELECT exe_sha256 IS NULL FROM v_deliveries WHERE pid=1"), 1);
	assert_int_equal(add_digest(writer, "4", EXE_FILE), 0);
	writer_close(writer);
	check_digest(file, 1, SHA_LATE);
	check_digest(file, 2, SHA_EARLY); /* what was known at the time stands */
	assert_int_equal(rows_number(file, "SELECT count(*) FROM v_deliveries WHERE exe_sha256='" SHA_LATE "'"), 1);
	assert_int_equal(rows_number(file, "SELECT count(*) FROM v_processes WHERE exe_sha256='" SHA_LATE "'"), 1);

	struct ledger *ledger = NULL;
	CLEANUP_JSON json_t *list = json_array();
	const struct ledger_filter filter = {.sha256 = "2222*"};
	assert_int_equal(ledger_open(file, &ledger, NULL), 0);
	assert_int_equal(ledger_deliveries(ledger, &filter, keep, list, NULL), 0);
	ledger_close(ledger);
	assert_int_equal(json_array_size(list), 1);
	const json_t *ancestors = json_at(json_array_get(list, 0), "process.ancestors");
	assert_string_equal(json_text_at(json_array_get(ancestors, 0), "exe_sha256"), SHA_LATE);
	CLEANUP_BUFFER struct buffer ids = {0};
	assert_int_equal(rows_verify(file, &ids), 4);
}

/* Holders that version 2 had in bodies only; a process that is one is not forgotten with its own rows. */
static void migrates_the_second_version(void **state)
{
	char file[PATH_MAX];
	struct writer *writer = NULL;
	const struct writer_options options = {.path = unit_path(file, folder, "second.db")};
	CLEANUP_JSON json_t *body = json_pack("{s:{s:i},s:[{s:i},{s:i},{s:i}]}", "process", "pid", 1, "holders", "pid",
	                                      1, "pid", 2, "pid", 3);
	struct entry entry = {.kind = "delivery", .id = "1", .at_us = 1, .body = body};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(writer_append(writer, &entry, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_number(file, "SELECT count(*) FROM holder"), 2);
	assert_true(rows_exec(file, "DROP TABLE holder; PRAGMA user_version = 2"));
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	writer_close(writer);
	assert_int_equal(rows_number(file,
	                             "SELECT count(*) FROM holder h JOIN actor a ON a.id=h.actor WHERE h.record=1 AND"
	                             " json_extract(a.body,'$.pid') IN (2,3)"),
	                 2);
}

/* A ledger of version 1, as far as it differs: read as it is, and migrated by the next writer. */
static void migrates_the_first_version(void **state)
{
	char file[PATH_MAX], copy[PATH_MAX];
	struct writer *writer = NULL;
	const struct writer_options options = {.path = unit_path(file, folder, "first.db")};
	(void)state;
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(add_process(writer, "1", 1, NULL), 0);
	writer_close(writer);
	writer = NULL;
	assert_true(rows_exec(file, "DROP INDEX record_by_exe_file; DROP TABLE holder; PRAGMA user_version = 1"));
	check_digest(file, 1, NULL);
	assert_int_equal(rows_number(file, "PRAGMA user_version"), 1);
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(rows_number(file, "PRAGMA user_version"), 3);
	/* As it was, for whoever goes back to the older program. */
	struct stat status;
	(void)unit_path(copy, folder, "first.db.version-1");
	assert_int_equal(stat(copy, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(rows_number(copy, "PRAGMA user_version"), 1);
	assert_int_equal(rows_number(copy, "SELECT count(*) FROM record"), 1);
	assert_int_equal(add_digest(writer, "2", EXE_FILE), 0);
	writer_close(writer);
	check_digest(file, 1, SHA_LATE);
	assert_int_equal(rows_number(file, "SELECT count(*) FROM sqlite_schema WHERE name='record_by_exe_file'"), 1);
}

/* What lies around under a ledger's name, and what is said of it. */
static void says_what_it_is_instead(void **state)
{
	static const struct {
		const char *name, *bytes, *says;
		size_t length;
	} files[] = {
		{"packed", "\x1f\x8b\x08\0", "packed with gzip", 4},
		{"text", "hello\n", "neither a ledger", 6},
		{"folder", NULL, "a folder", 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		char file[PATH_MAX];
		struct ledger *ledger = NULL;
		struct error problem = {0};
		FILE *stream = NULL;
		(void)unit_path(file, folder, files[i].name);
		if (files[i].bytes == NULL)
			assert_int_equal(mkdir(file, 0700), 0);
		else if ((stream = fopen(file, "wb")) == NULL ||
		         fwrite(files[i].bytes, 1, files[i].length, stream) != files[i].length || fclose(stream) != 0)
			fail_msg("%s", file);
		CHECK_NUMBER(files[i].name, ledger_open(file, &ledger, &problem), -1);
		CHECK_NUMBER(files[i].name, problem.code, ERROR_INPUT);
		if (strstr(problem.text, files[i].says) == NULL)
			fail_msg("%s: %s", files[i].name, problem.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_it_is_instead),
		cmocka_unit_test(says_what_is_no_ledger),
		cmocka_unit_test(refuses_a_newer_ledger),
		cmocka_unit_test(opens_without_an_error_to_fill),
		cmocka_unit_test(stops_when_the_visitor_says_so),
		cmocka_unit_test(filters_deliveries),
		cmocka_unit_test(shows_a_delivery_in_full),
		cmocka_unit_test(shows_nulls_and_empty_lists),
		cmocka_unit_test(lists_keys),
		cmocka_unit_test(lists_processes),
		cmocka_unit_test(lists_placements_of_each_instance),
		cmocka_unit_test(sums_up),
		cmocka_unit_test(names_the_columns_of_its_views),
		cmocka_unit_test(sees_new_rows_and_cannot_be_written),
		cmocka_unit_test(shows_an_empty_ledger),
		cmocka_unit_test(joins_digests_that_came_late),
		cmocka_unit_test(migrates_the_first_version),
		cmocka_unit_test(migrates_the_second_version),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
