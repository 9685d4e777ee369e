/* SPDX-License-Identifier: Apache-2.0 */

/* What a merged ledger notes beside its rows is held against them; and a machine that somebody else had root on can
 * write what it likes without spoiling what the others say, nor make programs of its database run here. */
#include "store/ledger.h"
#include "tests/store/pair.h"

static int setup(void **state)
{
	(void)state;
	pair_make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static void import_into(const char *path, const char *machine)
{
	CLEANUP_FREE char *text = machine_export(machine, NULL, NULL);
	const struct import_result result = machine_import(path, text);
	if (result.fault != IMPORT_GOOD)
		fail_msg("%s: %s", machine, result.detail);
}

static void change(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	char *problem = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &problem) != SQLITE_OK)
		fail_msg("%s: %s", sql, problem);
	assert_int_equal(sqlite3_changes(db) > 0, true);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static const char *const changes[] = {
	"DELETE FROM gap",
	"UPDATE gap SET until_us=until_us-1",
	"UPDATE gap SET from_us=from_us+1",
	"UPDATE gap SET reason='no-beat'",
	"UPDATE gap SET seq=seq+1",
	"INSERT INTO gap VALUES(2, 11, 1, 2, 'no-beat')",
	"INSERT INTO gap VALUES(1, 1000, 1, 2, 'no-beat')",
	"UPDATE origin SET covered_from=covered_from-1 WHERE id=2",
	"UPDATE origin SET covered_until=covered_until+1 WHERE id=1",
	"UPDATE origin SET covered_until='later' WHERE id=1",
	"UPDATE origin SET covered_from=NULL WHERE id=1",
	"UPDATE origin SET is_ended=0 WHERE id=1",
	"UPDATE origin SET instance_id='" TWO "' WHERE id=1",
	"UPDATE origin SET instance_id=NULL WHERE id=1",
	"UPDATE origin SET pruned_by=1 WHERE id=1",
	"DELETE FROM origin_instance WHERE origin=1",
	"UPDATE origin_instance SET instance_id='" TWO "' WHERE origin=1",
	"INSERT INTO origin_instance VALUES('" TWO "', 1)",
};

/* One machine with a gap between its rows: it was down for a while. */
static void make_gap(const char *path)
{
	struct writer *writer = NULL;
	const struct writer_options options = {.path = path};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	machine_append(writer, "coverage", NULL, 8, 60, machine_beat(COVERAGE_START, "y", 60));
	machine_append(writer, "coverage", NULL, 9, 65, machine_beat(COVERAGE_STOP, "y", 65));
	writer_close(writer);
}

static void finds_what_does_not_follow_from_the_rows(void **state)
{
	(void)state;
	make_gap(one);
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		char path[PATH_MAX], name[32];
		(void)snprintf(name, sizeof(name), "changed-%zu.db", i);
		(void)unit_path(path, folder, name);
		import_into(path, one);
		import_into(path, two);
		CHECK_TEXT("untouched", machine_verify(path), "whole");
		change(path, changes[i]);
		CHECK_TEXT(changes[i], machine_verify(path), "table-changed");
	}
}

/* ---- rows that no daemon of ours writes */

#define KEY_ODD "ASIAY34FZKBOKMUTVV7C"

/* The export of a machine, and behind its rows one more of that kind, with that body, chained as it should be. */
static char *export_with(const char *machine, const char *kind, const char *body, int64_t at_us)
{
	struct anchor head;
	CLEANUP_FREE char *text = machine_export(machine, NULL, &head);
	CLEANUP_BUFFER struct buffer all = {0};
	char end[DIGEST_HEX_BYTES];
	uint8_t link[DIGEST_BYTES];
	size_t last = strlen(text) - 1; /* where the line of its end begins */
	while (last > 0 && text[last - 1] != '\n')
		last--;
	const struct chain_row row = {.seq = head.seq + 1,
	                              .at_us = at_us,
	                              .id = "00000000000000aa",
	                              .kind = kind,
	                              .subject = "0000000000000010",
	                              .access_key_id = strstr(body, KEY_ODD) != NULL ? KEY_ODD : NULL,
	                              .body = body};
	const struct line_place place = {.ledger_id = head.ledger_id, .link = link};
	assert_int_equal(chain_next(head.chain, &row, link, NULL), 0);
	assert_int_equal(buffer_append(&all, text, last, NULL), 0);
	assert_int_equal(line_make_raw(&row, &place, &all, NULL), 0);
	assert_int_equal(buffer_printf(&all, NULL,
	                               "{\"kind\":\"export-end\",\"ledger_id\":\"%s\",\"seq\":%lld,\"chain\":\"%s\"}\n",
	                               head.ledger_id, (long long)row.seq, digest_hex(link, DIGEST_BYTES, end)),
	                 0);
	return steal_pointer(&all.bytes);
}

/* Lists in each other. */
static char *nested(int depth)
{
	char *text = calloc(1, 2 * (size_t)depth + 20);
	assert_non_null(text);
	int at = sprintf(text, "{\"deep\":");
	memset(text + at, '[', (size_t)depth);
	memset(text + at + depth, ']', (size_t)depth);
	text[at + 2 * depth] = '}';
	return text;
}

static int count_object(void *context, const json_t *object, struct error *err)
{
	(void)object;
	(void)err;
	++*(int *)context;
	return 0;
}

/* Asks what everybody asks, and counts the deliveries. */
static int ask_all(const char *path)
{
	struct ledger *ledger = NULL;
	struct error err = {0};
	const struct ledger_filter all = {0};
	int deliveries = 0, rest = 0;
	int64_t machines = 0;
	if (ledger_open(path, &ledger, &err) < 0 ||
	    ledger_deliveries(ledger, &all, count_object, &deliveries, &err) < 0 ||
	    ledger_keys(ledger, &all, count_object, &rest, &err) < 0 ||
	    ledger_processes(ledger, &all, count_object, &rest, &err) < 0 ||
	    ledger_placements(ledger, count_object, &rest, &err) < 0 ||
	    ledger_uncovered(ledger, AT(0), AT(90), &machines, count_object, &rest, &err) < 0)
		fail_msg("%s: %s", path, err.text);
	ledger_close(ledger);
	return deliveries;
}

static const struct hostile {
	const char *name, *kind, *body; /* NULL: nested so deep */
	int depth;
	int64_t at_us;
	enum import_fault fault;
} hostile[] = {
	{"coverage without sense", "coverage", "{\"event\":7}", 0, AT(62), IMPORT_GOOD},
	{"a beat in half a million years", "coverage",
         "{\"event\":\"beat\",\"every_s\":4611686018427387904,\"lost\":0,\"redirect\":{\"checked_at\":\"9999-12-31T23:"
         "59:59."
         "000000Z\",\"whole\":true},\"run\":\"x\"}",
         0, AT(62), IMPORT_GOOD},
	{"coverage before the beginning", "coverage",
         "{\"event\":\"beat\",\"every_s\":600,\"lost\":-9223372036854775807,\"redirect\":{\"checked_at\":\"0001-01-"
         "01T00:00:"
         "00.000000Z\",\"whole\":true},\"run\":\"x\"}",
         0, -INT64_C(253402300800000000), IMPORT_GOOD},
	{"coverage at the end of time", "coverage", "{\"event\":\"beat\"}", 0, INT64_MAX, IMPORT_NOT_JSON},
	{"a delivery before all time", "delivery", "{}", 0, INT64_MIN, IMPORT_NOT_JSON},
	{"nested deeper than SQLite reads", "placement", NULL, 2030, AT(62), IMPORT_NOT_JSON},
	{"nested a bit", "placement", NULL, 100, AT(62), IMPORT_GOOD},
	{"a place of numbers", "placement", "{\"instance_id\":7,\"addresses\":{\"a\":1},\"owner_ids\":7}", 0, AT(62),
         IMPORT_GOOD},
	{"a pruning that never was", "prune",
         "{\"through\":9223372036854775807,\"chain\":7,\"placement\":[],\"coverage\":\"x\"}", 0, AT(62), IMPORT_GOOD},
	{"a delivery of lists", "delivery", "{\"outcome\":[],\"host\":7,\"role\":{},\"process\":null,\"holders\":[]}",
         0, AT(62), IMPORT_GOOD},
	{"a key with a role of lists", "delivery",
         "{\"access_key_id\":\"" KEY_ODD "\",\"role\":7,\"host\":{\"instance_id\":7},\"fingerprint\":{"
         "\"secret\":[]}}",
         0, AT(62), IMPORT_GOOD},
	{"a name with an escape", "delivery",
         "{\"access_key_id\":\"" KEY_ODD "\",\"host\":{\"\\u0069nstance_id\":\"i-0123456789\"}}", 0, AT(62),
         IMPORT_NOT_JSON},
	{"an escape behind a name", "delivery", "{\"a\":\"\\u0069\" , \"b\":[\"\\n\"]}", 0, AT(62), IMPORT_GOOD},
	{"a process that is not with it", "delivery", "{\"process\":\"00\"}", 0, AT(62), IMPORT_NOT_JSON},
	{"holders that are none", "delivery", "{\"holders\":7}", 0, AT(62), IMPORT_NOT_JSON},
	{"an outcome of lists", "outcome", "{\"outcome\":{\"a\":1},\"reason\":[7]}", 0, AT(62), IMPORT_GOOD},
	{"an executable of lists", "executable", "{\"exe_file\":\"1:2:3:4:5\",\"exe_sha256\":{\"a\":[]}}", 0, AT(62),
         IMPORT_GOOD},
	{"a name twice", "delivery", "{\"outcome\":\"refused\",\"outcome\":\"delivered\"}", 0, AT(62), IMPORT_NOT_JSON},
	{"a word that ends early", "delivery",
         "{\"outcome\":\"refused\\u0000x\",\"host\":{\"instance_id\":\"i-0\\u0000\"}}", 0, AT(62), IMPORT_GOOD},
	{"no object", "delivery", "7", 0, AT(62), IMPORT_NOT_JSON},
};

static void lets_nobody_spoil_the_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++) {
		char path[PATH_MAX], name[32];
		(void)snprintf(name, sizeof(name), "spoiled-%zu.db", i);
		(void)unit_path(path, folder, name);
		CLEANUP_FREE char *deep = hostile[i].body == NULL ? nested(hostile[i].depth) : NULL;
		CLEANUP_FREE char *text =
			export_with(two, hostile[i].kind, deep != NULL ? deep : hostile[i].body, hostile[i].at_us);
		import_into(path, one);
		CHECK_TEXT(hostile[i].name, import_fault_names[machine_import(path, text).fault],
		           import_fault_names[hostile[i].fault]);
		CHECK(hostile[i].name, ask_all(path) >= 4);
		CHECK_TEXT(hostile[i].name, machine_verify(path), "whole");
	}
}

/* ---- a database as somebody else made it */

static const struct {
	const char *name, *sql;
	bool is_read; /* as if nothing had been done */
} databases[] = {
	{"a view that shows nothing",
         "DROP VIEW v_deliveries; CREATE VIEW v_deliveries AS SELECT 1 AS seq, 'x' AS id, 1 AS at_us, 'x' AS outcome,"
         " NULL AS reason, '{}' AS body, 1 AS origin, 'x' AS ledger_id WHERE 0",
         true},
	{"a view that never ends",
         "DROP VIEW v_deliveries; CREATE VIEW v_deliveries AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM "
         "n)"
         " SELECT i AS seq, i AS at_us FROM n",
         true},
	{"a view for a table", "ALTER TABLE record RENAME TO other; CREATE VIEW record AS SELECT * FROM other WHERE 0",
         false},
	{"a virtual table", "CREATE VIRTUAL TABLE extra USING fts5(a)", false},
	{"a value of 65 MiB", "UPDATE record SET body=zeroblob(65*1024*1024) WHERE kind='delivery'", false},
};

static void goes_by_its_own_views(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(databases); i++) {
		char path[PATH_MAX], name[32];
		struct ledger *ledger = NULL;
		struct error err = {0};
		const struct ledger_filter all = {0};
		int deliveries = 0;
		(void)snprintf(name, sizeof(name), "database-%zu.db", i);
		machine_make(unit_path(path, folder, name), TWO, KEY_TWO);
		sqlite3 *db = NULL;
		char *problem = NULL;
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		if (sqlite3_exec(db, databases[i].sql, NULL, NULL, &problem) != SQLITE_OK)
			fail_msg("%s: %s", databases[i].name, problem);
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		int result = ledger_open(path, &ledger, &err);
		if (result == 0)
			result = ledger_deliveries(ledger, &all, count_object, &deliveries, &err);
		ledger_close(ledger);
		CHECK_NUMBER(databases[i].name, result, databases[i].is_read ? 0 : -1);
		CHECK_NUMBER(databases[i].name, deliveries, databases[i].is_read ? 2 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_does_not_follow_from_the_rows),
		cmocka_unit_test(lets_nobody_spoil_the_rest),
		cmocka_unit_test(goes_by_its_own_views),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
