/* SPDX-License-Identifier: Apache-2.0 */

/* Reading many machines' ledger: nothing of one machine shows at another, though both were made from one image and
 * their rows have the same ids; and each query takes the index that it is meant to. */
#include "store/ledger_handle.h"
#include "store/match.h"
#include "store/prune.h"
#include "tests/store/pair.h"

static struct ledger *ledger;

static int setup(void **state)
{
	(void)state;
	pair_make();
	pair_merge();
	return ledger_open(fleet, &ledger, NULL);
}

static int teardown(void **state)
{
	(void)state;
	ledger_close(ledger);
	unit_folder_remove(folder);
	return 0;
}

static int keep(void *context, const json_t *object, struct error *err)
{
	(void)err;
	return json_array_append_new(context, json_deep_copy(object));
}

static const char *text_of(const json_t *list, size_t index, const char *path)
{
	const char *text = json_text_at(json_array_get(list, index), path);
	return text != NULL ? text : "";
}

/* ---- nothing is mixed */

static const struct {
	const char *name;
	struct ledger_filter filter;
	const char *instances; /* of the deliveries, newest first: 1 or 2 each */
} lists[] = {
	{"all, by time", {0}, "2121"},
	{"all, oldest first", {.oldest_first = true}, "1212"},
	{"a key", {.access_key_id = KEY_ONE}, "11"},
	{"a key and an executable", {.access_key_id = KEY_TWO, .exe = "/usr/bin/curl"}, "22"},
	{"a key and another instance", {.access_key_id = KEY_TWO, .instance_id = ONE}, ""},
	{"a pattern of keys", {.access_key_id = "ASIA*7A"}, "11"},
	{"an instance", {.instance_id = TWO}, "22"},
	{"a pattern of instances", {.instance_id = "i-0b*"}, "22"},
	{"an executable", {.exe = "/usr/bin/curl"}, "2121"},
	{"the digest that one machine found", {.sha256 = ONE}, "11"},
	{"a container", {.container = "c0ffee"}, "2121"},
	{"a time", {.since_us = AT(20)}, "21"},
	{"credentials only", {.credentials_only = true}, "2121"},
	{"delivered", {.outcome = "delivered"}, "2121"},
	{"recorded", {.outcome = "recorded"}, ""},
};

static void lists_the_machines_that_are_asked_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_JSON json_t *found = json_array();
		struct error problem = {0};
		if (ledger_deliveries(ledger, &lists[i].filter, keep, found, &problem) < 0)
			fail_msg("%s: %s", lists[i].name, problem.text);
		CHECK_NUMBER(lists[i].name, json_array_size(found), strlen(lists[i].instances));
		for (size_t j = 0; j < json_array_size(found); j++) {
			const char *instance = lists[i].instances[j] == '1' ? ONE : TWO;
			CHECK_TEXT(lists[i].name, text_of(found, j, "host.instance_id"), instance);
			CHECK_TEXT(lists[i].name, text_of(found, j, "process.exe_sha256"), instance); /* came late */
			CHECK_TEXT(lists[i].name, text_of(found, j, "outcome"), "delivered");
			CHECK(lists[i].name, text_of(found, j, "ledger_id")[0] != '\0');
		}
	}
}

/* Rows have the numbers of their own ledgers. */
static void shows_the_number_in_the_machines_own_ledger(void **state)
{
	const struct ledger_filter filter = {.instance_id = TWO, .oldest_first = true};
	CLEANUP_JSON json_t *merged = json_array();
	CLEANUP_JSON json_t *own = json_array();
	struct ledger *machine = NULL;
	(void)state;
	assert_int_equal(ledger_open(two, &machine, NULL), 0);
	assert_int_equal(ledger_deliveries(ledger, &filter, keep, merged, NULL), 0);
	assert_int_equal(ledger_deliveries(machine, &filter, keep, own, NULL), 0);
	ledger_close(machine);
	for (size_t i = 0; i < 2; i++)
		(void)json_object_del(json_array_get(merged, i), "ledger_id");
	assert_true(json_equal(merged, own));
}

static void says_the_same_of_keys_and_processes_as_the_machines(void **state)
{
	static const struct {
		const char *name;
		int (*list)(struct ledger *, const struct ledger_filter *, ledger_visit *, void *, struct error *);
	} what[] = {{"keys", ledger_keys}, {"processes", ledger_processes}};
	const struct ledger_filter filters[] = {{.oldest_first = true}, {.oldest_first = true, .exe = "/usr/bin/curl"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(what); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(filters); j++) {
			CLEANUP_JSON json_t *merged = json_array();
			CLEANUP_JSON json_t *own = json_array();
			for (int machine = 0; machine < 2; machine++) {
				struct ledger *single = NULL;
				assert_int_equal(ledger_open(machine == 0 ? one : two, &single, NULL), 0);
				CHECK_NUMBER(what[i].name, what[i].list(single, &filters[j], keep, own, NULL), 0);
				ledger_close(single);
			}
			CHECK_NUMBER(what[i].name, what[i].list(ledger, &filters[j], keep, merged, NULL), 0);
			CHECK_NUMBER(what[i].name, json_array_size(merged), 2);
			CHECK(what[i].name, json_equal(merged, own));
		}
}

static void knows_where_each_instance_is(void **state)
{
	CLEANUP_JSON json_t *found = json_array();
	(void)state;
	assert_int_equal(ledger_placements(ledger, keep, found, NULL), 0);
	assert_int_equal(json_array_size(found), 2);
	assert_string_equal(text_of(found, 0, "instance_id"), ONE);
	assert_string_equal(text_of(found, 1, "instance_id"), TWO);
	assert_string_equal(text_of(found, 0, "until"), "");
}

static int keep_match(void *context, const char *key, enum match_how how, struct error *err)
{
	(void)err;
	return json_array_append_new(context, json_pack("{s:s,s:s}", "key", key, "how", match_names[how]));
}

static void finds_a_leaked_credential(void **state)
{
	static const struct {
		const char *name, *id;
		bool secret, token;
		const char *how;
	} cases[] = {
		{"all", KEY_TWO, true, true, "all"},           {"secret and token", "", true, true, "all"},
		{"a secret", "", true, false, "secret"},       {"a token", "", false, true, "token"},
		{"a key id", KEY_TWO, false, false, "key-id"},
	};
	struct fingerprint prints[2] = {{.key = MACHINE_PRINT_KEY}, {.key = "feedfeedfeedfeed"}};
	struct match_wanted wanted = {.fingerprints = prints, .count = 2};
	int64_t unknown = 0;
	(void)state;
	assert_int_equal(digest_of(KEY_TWO, strlen(KEY_TWO), prints[0].secret, NULL), 0);
	memcpy(prints[0].token, prints[0].secret, DIGEST_BYTES);
	memcpy(prints[0].whole, prints[0].secret, DIGEST_BYTES);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *found = json_array();
		wanted.access_key_id = cases[i].id;
		wanted.has_secret = cases[i].secret;
		wanted.has_token = cases[i].token;
		CHECK_NUMBER(cases[i].name, ledger_match(ledger, &wanted, keep_match, found, &unknown, NULL), 0);
		CHECK_NUMBER(cases[i].name, unknown, 0);
		CHECK_NUMBER(cases[i].name, json_array_size(found), 1);
		CHECK_TEXT(cases[i].name, text_of(found, 0, "key"), KEY_TWO);
		CHECK_TEXT(cases[i].name, text_of(found, 0, "how"), cases[i].how);
	}
}

/* Without the key that the fingerprints were made with, nothing matches, and it is said of how many that is no answer.
 */
static void counts_what_could_not_be_compared(void **state)
{
	const struct fingerprint print = {.key = "feedfeedfeedfeed"};
	struct match_wanted wanted = {
		.access_key_id = "", .has_secret = true, .has_token = true, .fingerprints = &print, .count = 1};
	CLEANUP_JSON json_t *found = json_array();
	int64_t unknown = 0;
	(void)state;
	assert_int_equal(ledger_match(ledger, &wanted, keep_match, found, &unknown, NULL), 0);
	assert_int_equal(json_array_size(found), 0);
	assert_true(unknown >= 2);
	wanted.count = 0;
	assert_int_equal(ledger_match(ledger, &wanted, keep_match, found, &unknown, NULL), 0);
	assert_true(unknown >= 2);
}

/* ---- coverage */

static const struct {
	const char *name, *instance;
	int from, until;
	const char *reason; /* of the first gap; "": none */
	int uncovered;      /* machines */
} times[] = {
	{"up all the time", ONE, 12, 48, "", 0},
	{"exactly", TWO, 10, 50, "", 0},
	{"before", ONE, 5, 12, "not-kept", 2},
	{"behind the stop", TWO, 45, 55, "daemon-down", 2},
	{"an instance that nobody knows", "i-0cccccccc", 12, 48, "not-kept", 0},
	{"no instance, and two machines", NULL, 12, 48, "not-kept", 0},
};

static void says_what_each_machine_covered(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
		CLEANUP_JSON json_t *object = NULL;
		CLEANUP_JSON json_t *uncovered = json_array();
		int64_t machines = 0;
		bool covered = false;
		CHECK_NUMBER(times[i].name,
		             ledger_covered(ledger, times[i].instance, AT(times[i].from), AT(times[i].until), &covered,
		                            NULL),
		             0);
		CHECK_NUMBER(times[i].name, covered, times[i].reason[0] == '\0');
		CHECK_NUMBER(times[i].name,
		             ledger_coverage_of(ledger, times[i].instance, AT(times[i].from), AT(times[i].until),
		                                &object, NULL),
		             0);
		CHECK_TEXT(times[i].name, text_of(json_at(object, "gaps"), 0, "reason"), times[i].reason);
		CHECK_NUMBER(times[i].name,
		             ledger_uncovered(ledger, AT(times[i].from), AT(times[i].until), &machines, keep, uncovered,
		                              NULL),
		             0);
		CHECK_NUMBER(times[i].name, machines, 2);
		CHECK_NUMBER(times[i].name, json_array_size(uncovered), times[i].uncovered);
	}
}

/* Rows 6 to 9 of one machine are not imported: among them coverage at minute 20. */
static void counts_no_time_as_covered_of_which_rows_are_missing(void **state)
{
	char path[PATH_MAX];
	CLEANUP_FREE char *all = machine_export(one, NULL, NULL);
	CLEANUP_BUFFER struct buffer part = {0};
	struct ledger *partial = NULL;
	char *rest = all, *line;
	bool covered = true;
	(void)state;
	for (int number = 1; (line = strsep(&rest, "\n")) != NULL; number++) /* as shippers lose lines */
		if (number != 1 && (number < 7 || number > 10) && *line != '\0')
			assert_int_equal(buffer_printf(&part, NULL, "%s\n", line), 0);
	assert_int_equal(machine_import(unit_path(path, folder, "partial.db"), part.bytes).fault, IMPORT_GOOD);
	assert_int_equal(machine_missing(path), 4);
	assert_int_equal(ledger_open(path, &partial, NULL), 0);
	CLEANUP_JSON json_t *object = NULL;
	assert_int_equal(ledger_coverage_of(partial, ONE, AT(10), AT(50), &object, NULL), 0);
	assert_int_equal(json_array_size(json_at(object, "gaps")), 1);
	assert_string_equal(text_of(json_at(object, "gaps"), 0, "reason"), "rows-missing");
	assert_int_equal(ledger_covered(partial, ONE, AT(31), AT(49), &covered, NULL), 0);
	assert_true(covered);
	ledger_close(partial);
}

/* The instance's state was lost at minute 60, and began anew under another genesis. */
static void covers_an_instance_by_several_ledgers(void **state)
{
	char path[PATH_MAX], later[PATH_MAX];
	struct writer *writer = NULL;
	struct ledger *both = NULL;
	bool covered = false;
	(void)state;
	const struct writer_options options = {.path = unit_path(later, folder, "later.db")};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	machine_append(writer, "instance", NULL, 1, 48, json_pack("{s:s}", "instance_id", ONE));
	for (int minute = 48; minute < 100; minute += 10)
		machine_append(writer, "coverage", NULL, 100U + (unsigned)minute, minute,
		               machine_beat(minute == 48 ? COVERAGE_START : COVERAGE_BEAT, "y", minute));
	writer_close(writer);
	CLEANUP_FREE char *first = machine_export(one, NULL, NULL);
	CLEANUP_FREE char *second = machine_export(later, NULL, NULL);
	(void)machine_import(unit_path(path, folder, "both.db"), first);
	(void)machine_import(path, second);
	assert_int_equal(ledger_open(path, &both, NULL), 0);
	assert_int_equal(ledger_covered(both, ONE, AT(11), AT(95), &covered, NULL), 0);
	assert_true(covered);
	CLEANUP_JSON json_t *uncovered = json_array();
	int64_t machines = 0;
	assert_int_equal(ledger_uncovered(both, AT(11), AT(95), &machines, keep, uncovered, NULL), 0);
	assert_int_equal(machines, 1);
	assert_int_equal(json_array_size(uncovered), 0);
	ledger_close(both);
}

/* A ledger that was pruned through row 5: what was in force then stands in the row that says so. */
static void takes_over_what_a_pruning_carried(void **state)
{
	char path[PATH_MAX], pruned[PATH_MAX];
	struct appender *appender = NULL;
	struct ledger *after = NULL;
	CLEANUP_JSON json_t *placements = json_array();
	const struct prune_order order = {.reason = PRUNE_OPERATOR, .before_us = AT(16), .now_us = AT(60)};
	struct prune_step step;
	bool covered = false;
	(void)state;
	machine_make(unit_path(pruned, folder, "pruned.db"), ONE, KEY_ONE);
	assert_int_equal(appender_open(pruned, &appender, NULL), 0);
	assert_int_equal(prune_step(appender, &order, &step, NULL), 0);
	assert_int_equal(step.rows, 6);
	appender_close(appender);
	CLEANUP_FREE char *text = machine_export(pruned, NULL, NULL);
	assert_int_equal(machine_import(unit_path(path, folder, "after.db"), text).fault, IMPORT_GOOD);
	assert_int_equal(machine_missing(path), 0);
	assert_string_equal(machine_verify(path), "whole");
	assert_int_equal(ledger_open(path, &after, NULL), 0);
	assert_int_equal(ledger_placements(after, keep, placements, NULL), 0);
	assert_int_equal(json_array_size(placements), 1);
	assert_string_equal(text_of(placements, 0, "instance_id"), ONE);
	assert_int_equal(ledger_covered(after, ONE, AT(20), AT(50), &covered, NULL), 0);
	assert_true(covered);
	assert_int_equal(ledger_covered(after, ONE, AT(15), AT(50), &covered, NULL), 0); /* row 6 of it is gone */
	assert_false(covered);
	ledger_close(after);
}

/* ---- clones */

#define CLONES 50 /* $KEYTRAIL_CLONES: another number */

/* Exports of many clones of one image, in one file: the same ids, processes and files, an instance and a chain each. */
static void keeps_a_thousand_clones_apart(void **state)
{
	char path[PATH_MAX], clone[PATH_MAX];
	CLEANUP_BUFFER struct buffer all = {0};
	const char *wanted = getenv("KEYTRAIL_CLONES");
	int clones = wanted != NULL ? (int)strtol(wanted, NULL, 10) : CLONES;
	(void)state;
	for (int i = 0; i < clones; i++) {
		char instance[24], key[24];
		(void)snprintf(instance, sizeof(instance), "i-0%016x", (unsigned)i);
		(void)snprintf(key, sizeof(key), "ASIAY34FZKBO%08X", (unsigned)i);
		machine_make(unit_path(clone, folder, "clone.db"), instance, key);
		CLEANUP_FREE char *text = machine_export(clone, NULL, NULL);
		assert_int_equal(buffer_append(&all, text, strlen(text), NULL), 0);
		for (int j = 0; j < 4; j++) {
			static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
			char part[PATH_MAX + 16];
			(void)snprintf(part, sizeof(part), "%s%s", clone, ends[j]);
			(void)unlink(part);
		}
	}
	struct import_result result = machine_import(unit_path(path, folder, "clones.db"), all.bytes);
	assert_int_equal(result.fault, IMPORT_GOOD);
	assert_int_equal(result.ledgers, clones);
	assert_int_equal(result.rows, clones * MACHINE_ROWS);
	assert_string_equal(machine_verify(path), "whole");
	assert_int_equal(rows_number(path, "SELECT count(*) FROM v_keys WHERE deliveries<>2 OR processes<>1"), 0);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM v_keys"), clones);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM v_deliveries WHERE exe_sha256 IS NOT instance_id OR"
	                                   " outcome<>'delivered'"),
	                 0);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM v_processes"), clones);
}

/* ---- the way that each query takes */

static struct buffer asked; /* all statements, NUL behind each */

static int note_statement(unsigned what, void *context, void *statement, void *text)
{
	(void)context;
	(void)text;
	if (what == SQLITE_TRACE_STMT) {
		char *sql = sqlite3_expanded_sql(statement);
		assert_int_equal(buffer_append(&asked, sql, strlen(sql) + 1, NULL), 0);
		sqlite3_free(sql);
	}
	return 0;
}

static int none(void *context, const json_t *object, struct error *err)
{
	(void)context;
	(void)object;
	(void)err;
	return 0;
}

static int no_match(void *context, const char *key, enum match_how how, struct error *err)
{
	(void)context;
	(void)key;
	(void)how;
	(void)err;
	return 0;
}

enum asks { DELIVERIES, KEYS, PROCESSES, PLACEMENTS, MATCH, COVERED, UNCOVERED };

static const struct way {
	const char *name;
	enum asks asks;
	struct ledger_filter filter;
	const char *by[3]; /* parts of the plan that have to be in it */
	bool may_sort;
} ways[] = {
	{"who KEY",
         DELIVERIES,
         {.access_key_id = KEY_ONE},
         {"r USING INDEX record_by_key (access_key_id=?)", "o USING INDEX record_by_subject (subject=?)",
          "record USING INDEX record_by_exe_file"},
         false},
	{"a key and a time",
         DELIVERIES,
         {.access_key_id = KEY_ONE, .since_us = 1},
         {"record_by_key (access_key_id=? AND at>?)"},
         false},
	{"a key and an executable",
         DELIVERIES,
         {.access_key_id = KEY_ONE, .exe = "/bin/x"},
         {"record_by_key (access_key_id=?)"},
         false},
	{"a key and a pid",
         DELIVERIES,
         {.access_key_id = KEY_ONE, .has_pid = true},
         {"record_by_key (access_key_id=?)"},
         false},
	{"a key and an instance",
         DELIVERIES,
         {.access_key_id = KEY_ONE, .instance_id = ONE},
         {"record_by_key (access_key_id=?)"},
         false},
	{"a key's suspects",
         DELIVERIES,
         {.access_key_id = KEY_ONE, .credentials_only = true, .oldest_first = true},
         {"record_by_key (access_key_id=?)"},
         false},
	{"all, newest first", DELIVERIES, {0}, {"r USING INDEX record_by_kind (kind=?)"}, false},
	{"a time", DELIVERIES, {.since_us = 1, .until_us = 2}, {"record_by_kind (kind=? AND at>? AND at<?)"}, false},
	{"an instance",
         DELIVERIES,
         {.instance_id = ONE},
         {"record_by_origin (origin=?)", "origin_instance USING PRIMARY KEY (instance_id=?)"},
         true},
	{"an instance and a time",
         DELIVERIES,
         {.instance_id = ONE, .since_us = 1, .until_us = 2},
         {"record_by_origin (origin=?)"},
         true},
	{"a container and a time", DELIVERIES, {.container = "c", .since_us = 1}, {"record_by_actor (actor=?)"}, true},
	{"a pid and a time",
         DELIVERIES,
         {.has_pid = true, .pid = 1, .until_us = 2},
         {"record_by_actor (actor=?)"},
         true},
	{"an executable",
         DELIVERIES,
         {.exe = "/bin/x"},
         {"actor USING INDEX actor_by_exe (<expr>=?)", "r USING INDEX record_by_actor (actor=?)"},
         true},
	{"a container",
         DELIVERIES,
         {.container = "c"},
         {"actor USING INDEX actor_by_container (<expr>=?)", "record_by_actor (actor=?)"},
         true},
	{"a pid",
         DELIVERIES,
         {.has_pid = true, .pid = 1},
         {"actor USING INDEX actor_by_pid (<expr>=?)", "record_by_actor (actor=?)"},
         true},
	{"the key of a heading", KEYS, {.access_key_id = KEY_ONE}, {"record_by_key (access_key_id=?"}, true},
	{"all keys, for the detector",
         KEYS,
         {.oldest_first = true},
         {"SCAN key", "COVERING INDEX record_by_key (access_key_id=?)"},
         true},
	{"processes of a key", PROCESSES, {.access_key_id = KEY_ONE}, {"record_by_key (access_key_id=?"}, true},
	{"where instances were", PLACEMENTS, {0}, {"record_by_kind (kind=?)"}, true},
	{"a leaked credential",
         MATCH,
         {0},
         {"key USING PRIMARY KEY (access_key_id=?)", "key_by_secret (secret=?)", "key_by_token (token=?)"},
         true},
	{"was an instance covered",
         COVERED,
         {0},
         {"i USING PRIMARY KEY (instance_id=?)", "gap USING PRIMARY KEY (origin=?)"},
         true},
	{"machines without coverage",
         UNCOVERED,
         {0},
         {"SCAN o", "g USING PRIMARY KEY (origin=?)", "r USING INDEX record_of_kind (origin=? AND kind=?)"},
         true},
};

static int ask(const struct way *way)
{
	struct match_wanted wanted = {.access_key_id = KEY_ONE, .has_secret = true, .has_token = true};
	int64_t machines;
	bool covered;
	switch (way->asks) {
	case DELIVERIES:
		return ledger_deliveries(ledger, &way->filter, none, NULL, NULL);
	case KEYS:
		return ledger_keys(ledger, &way->filter, none, NULL, NULL);
	case PROCESSES:
		return ledger_processes(ledger, &way->filter, none, NULL, NULL);
	case PLACEMENTS:
		return ledger_placements(ledger, none, NULL, NULL);
	case MATCH:
		return ledger_match(ledger, &wanted, no_match, NULL, &machines, NULL);
	case COVERED:
		return ledger_covered(ledger, ONE, AT(12), AT(48), &covered, NULL);
	case UNCOVERED:
		return ledger_uncovered(ledger, AT(12), AT(70), &machines, none, NULL, NULL);
	}
	return -1;
}

/* The plans of all statements that were asked, a line a step. */
static void explain(struct buffer *to)
{
	for (const char *sql = asked.bytes; sql < asked.bytes + asked.length; sql += strlen(sql) + 1) {
		CLEANUP_BUFFER struct buffer text = {0};
		sqlite3_stmt *plan = NULL;
		assert_int_equal(buffer_printf(&text, NULL, "EXPLAIN QUERY PLAN %s", sql), 0);
		assert_int_equal(sqlite3_prepare_v2(ledger->db, text.bytes, -1, &plan, NULL), SQLITE_OK);
		while (sqlite3_step(plan) == SQLITE_ROW)
			assert_int_equal(buffer_printf(to, NULL, "%s%s\n",
			                               sqlite3_column_int(plan, 1) == 0 ? "top: " : "",
			                               (const char *)sqlite3_column_text(plan, 3)),
			                 0);
		(void)sqlite3_finalize(plan);
	}
}

static void check_ways(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
		CLEANUP_BUFFER struct buffer plan = {0};
		buffer_clear(&asked);
		(void)sqlite3_trace_v2(ledger->db, SQLITE_TRACE_STMT, note_statement, NULL);
		CHECK_NUMBER(ways[i].name, ask(&ways[i]), 0);
		(void)sqlite3_trace_v2(ledger->db, 0, NULL, NULL);
		explain(&plan);
		for (size_t j = 0; j < ARRAY_LENGTH(ways[i].by) && ways[i].by[j] != NULL; j++)
			if (strstr(plan.bytes, ways[i].by[j]) == NULL)
				fail_msg("%s: %s is not in its plan\n%s", ways[i].name, ways[i].by[j], plan.bytes);
		/* Ten million rows are never looked at one by one, nor sorted where the index has them in order. */
		static const char *const never[] = {"SCAN r\n", "SCAN record\n", "SCAN e\n",
		                                    "SCAN o USING INDEX record", "AUTOMATIC"};
		for (size_t j = 0; j < ARRAY_LENGTH(never); j++)
			if (strstr(plan.bytes, never[j]) != NULL)
				fail_msg("%s: %s is in its plan\n%s", ways[i].name, never[j], plan.bytes);
		if (!ways[i].may_sort && strstr(plan.bytes, "top: USE TEMP B-TREE FOR ORDER BY") != NULL)
			fail_msg("%s: it is sorted\n%s", ways[i].name, plan.bytes);
	}
	buffer_done(&asked);
	asked = (struct buffer){0};
}

static void takes_the_indices(void **state)
{
	(void)state;
	check_ways();
}

/* Queries that look for processes become larger once several held a socket, and must go the same ways. */
static void takes_them_also_where_sockets_were_shared(void **state)
{
	(void)state;
	assert_true(rows_exec(fleet, "INSERT INTO holder SELECT seq, actor FROM record WHERE kind='delivery' LIMIT 1"));
	assert_true(ledger_has_holders(ledger));
	check_ways();
	assert_true(rows_exec(fleet, "DELETE FROM holder"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_the_machines_that_are_asked_for),
		cmocka_unit_test(shows_the_number_in_the_machines_own_ledger),
		cmocka_unit_test(says_the_same_of_keys_and_processes_as_the_machines),
		cmocka_unit_test(knows_where_each_instance_is),
		cmocka_unit_test(finds_a_leaked_credential),
		cmocka_unit_test(counts_what_could_not_be_compared),
		cmocka_unit_test(says_what_each_machine_covered),
		cmocka_unit_test(counts_no_time_as_covered_of_which_rows_are_missing),
		cmocka_unit_test(covers_an_instance_by_several_ledgers),
		cmocka_unit_test(takes_over_what_a_pruning_carried),
		cmocka_unit_test(keeps_a_thousand_clones_apart),
		cmocka_unit_test(takes_the_indices),
		cmocka_unit_test(takes_them_also_where_sockets_were_shared),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
