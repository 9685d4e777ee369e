/* SPDX-License-Identifier: Apache-2.0 */

/* Forgetting rows: whole prefixes, a chain that holds after every step, and nothing lost that later rows need. */
#include "tests/store/scratch.h"

#include "common/clock.h"
#include "store/appender.h"
#include "store/audit.h"
#include "store/prune.h"

#define HOUR (3600 * CLOCK_SECOND_US)

static struct writer *open_writer(void)
{
	struct writer *writer = NULL;
	struct error problem = {0};
	const struct writer_options options = {.path = path};
	if (writer_open(&options, &writer, &problem) < 0)
		fail_msg("%s", problem.text);
	return writer;
}

static void append(struct writer *writer, const char *kind, unsigned number, json_t *body)
{
	struct entry entry = {.kind = kind, .at_us = ROWS_START + number * HOUR, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%c%07x", kind[0], number);
	assert_int_equal(writer_append(writer, &entry, NULL), 0);
	json_decref(body);
}

static json_t *process(int pid, const char *exe_file)
{
	return json_pack("{s:i,s:s,s:s?,s:n}", "pid", pid, "exe", "/bin/x", "exe_file", exe_file, "exe_sha256");
}

/* A delivery to one process, or to two. */
static json_t *delivery(int pid, int other, const char *exe_file)
{
	json_t *holders = json_array();
	(void)json_array_append_new(holders, process(pid, exe_file));
	if (other != 0)
		(void)json_array_append_new(holders, process(other, NULL));
	return json_pack("{s:o,s:o,s:s}", "process", process(pid, exe_file), "holders", holders, "outcome", "recorded");
}

static struct prune_step prune(enum prune_reason reason, int hours)
{
	struct appender *appender = NULL;
	struct error problem = {0};
	struct prune_step step = {0};
	const struct prune_order order = {
		.reason = reason, .before_us = ROWS_START + hours * HOUR, .now_us = ROWS_START + 1000 * HOUR};
	if (appender_open(path, &appender, &problem) < 0 || prune_step(appender, &order, &step, &problem) < 0)
		fail_msg("%s", problem.text);
	appender_close(appender);
	return step;
}

static struct audit audit(void)
{
	struct ledger *ledger = NULL;
	struct audit audit = {0};
	struct error problem = {0};
	if (ledger_open(path, &ledger, &problem) < 0 || audit_ledger(ledger, &audit, &problem) < 0)
		fail_msg("%s", problem.text);
	ledger_close(ledger);
	return audit;
}

static void expect_whole(int64_t rows, int64_t pruned_until)
{
	struct audit found = audit();
	assert_string_equal(found.detail, "");
	assert_int_equal(found.rows, rows);
	assert_int_equal(found.pruned_until, pruned_until);
}

static void forgets_a_prefix_and_the_chain_holds(void **state)
{
	struct writer *writer = open_writer();
	(void)state;
	for (unsigned i = 1; i <= 10; i++)
		append(writer, "delivery", i, delivery((int)i, 0, NULL));
	writer_close(writer);
	struct prune_step step = prune(PRUNE_OPERATOR, 5); /* before the fifth */
	assert_int_equal(step.rows, 4);
	assert_int_equal(step.through, 4);
	assert_int_equal(step.processes, 4);
	expect_whole(7, 4); /* six, and the one that says so */
	assert_int_equal(rows_number(path, "SELECT count(*) FROM actor"), 6);
	assert_int_equal(rows_number(path, "SELECT json_extract(body,'$.through') FROM record WHERE kind='prune'"), 4);

	step = prune(PRUNE_OPERATOR, 8);
	assert_int_equal(step.rows, 3);
	expect_whole(5, 7);
	assert_int_equal(prune(PRUNE_OPERATOR, 8).rows, 0);
	expect_whole(5, 7);

	writer = open_writer();
	append(writer, "delivery", 11, delivery(11, 0, NULL));
	writer_close(writer);
	expect_whole(6, 7);
}

static void keeps_what_is_behind_a_younger_row(void **state)
{
	struct writer *writer = open_writer();
	(void)state;
	append(writer, "delivery", 1, delivery(1, 0, NULL));
	append(writer, "delivery", 9, delivery(9, 0, NULL)); /* the clock was wrong */
	append(writer, "delivery", 2, delivery(2, 0, NULL));
	append(writer, "delivery", 3, delivery(3, 0, NULL));
	writer_close(writer);
	assert_int_equal(prune(PRUNE_OPERATOR, 5).rows, 1);
	expect_whole(4, 1);
}

static void keeps_the_newest_row(void **state)
{
	struct writer *writer = open_writer();
	(void)state;
	for (unsigned i = 1; i <= 3; i++)
		append(writer, "delivery", i, delivery((int)i, 0, NULL));
	writer_close(writer);
	assert_int_equal(prune(PRUNE_OPERATOR, 100).rows, 2);
	expect_whole(2, 2);
}

static void waits_for_more_but_not_for_ever(void **state)
{
	struct writer *writer = open_writer();
	(void)state;
	for (unsigned i = 1; i <= 60; i++)
		append(writer, "delivery", i, delivery(1, 0, NULL));
	writer_close(writer);
	assert_int_equal(prune(PRUNE_AGE, 20).rows, 0); /* nineteen, the oldest not a day beyond */
	assert_int_equal(prune(PRUNE_AGE, 25).rows, 24);
}

static void takes_small_steps(void **state)
{
	struct writer *writer = open_writer();
	(void)state;
	for (unsigned i = 1; i <= PRUNE_STEP_ROWS + 20; i++)
		append(writer, "delivery", i, delivery(1, 0, NULL));
	writer_close(writer);
	assert_int_equal(prune(PRUNE_SIZE, 10000).rows, PRUNE_STEP_ROWS);
	expect_whole(21, PRUNE_STEP_ROWS);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM actor"), 1);
}

static void keeps_processes_that_others_name(void **state)
{
	struct writer *writer = open_writer();
	(void)state;
	append(writer, "delivery", 1, delivery(1, 0, NULL)); /* named later as process */
	append(writer, "delivery", 2, delivery(2, 0, NULL)); /* named later as holder */
	append(writer, "delivery", 3, delivery(3, 4, NULL)); /* 4: never again */
	append(writer, "delivery", 4, delivery(5, 2, NULL));
	append(writer, "delivery", 5, delivery(1, 0, NULL));
	append(writer, "delivery", 6, delivery(6, 0, NULL));
	writer_close(writer);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM holder"), 2);
	struct prune_step step = prune(PRUNE_OPERATOR, 4);
	assert_int_equal(step.rows, 3);
	assert_int_equal(step.processes, 2); /* 3 and 4 */
	expect_whole(4, 3);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM holder"), 1);
}

static int count_one(void *context, const json_t *object, struct error *err)
{
	json_t **last = context;
	(void)err;
	json_decref(*last);
	*last = json_deep_copy(object);
	return 0;
}

static void carries_over_what_was_in_force(void **state)
{
	struct writer *writer = open_writer();
	struct ledger *ledger = NULL;
	json_t *placement = NULL, *coverage = NULL;
	char at[CLOCK_TEXT_BYTES];
	(void)state;
	append(writer, "placement", 1, json_pack("{s:s}", "instance_id", "i-old"));
	append(writer, "placement", 2, json_pack("{s:s}", "instance_id", "i-now"));
	for (unsigned i = 3; i < 6; i++)
		append(writer, "coverage", i,
		       json_pack("{s:s,s:s,s:i,s:i,s:{s:b,s:s}}", "event", i == 3 ? "start" : "beat", "run", "r",
		                 "every_s", 3600, "lost", 0, "redirect", "whole", 1, "checked_at",
		                 clock_format(ROWS_START + i * HOUR, at)));
	append(writer, "executable", 6,
	       json_pack("{s:s,s:s,s:s}", "exe", "/bin/x", "exe_file", "f1", "exe_sha256", "ab"));
	append(writer, "executable", 7,
	       json_pack("{s:s,s:s,s:s}", "exe", "/bin/x", "exe_file", "f2", "exe_sha256", "cd"));
	append(writer, "delivery", 8, delivery(1, 0, "f1"));
	writer_close(writer);

	for (int hours = 2; hours < 9; hours++) { /* row by row, each step carries over from the one before */
		assert_int_equal(prune(PRUNE_OPERATOR, hours).rows, 1);
		assert_string_equal(audit().detail, "");
	}
	assert_int_equal(ledger_open(path, &ledger, NULL), 0);
	assert_int_equal(ledger_placements(ledger, count_one, &placement, NULL), 0);
	assert_string_equal(json_text_at(placement, "instance_id"), "i-now");
	assert_string_equal(json_text_at(placement, "from"), clock_format(ROWS_START + 2 * HOUR, at));
	assert_null(json_object_get(placement, "at"));
	assert_int_equal(ledger_coverage(ledger, ROWS_START + 5 * HOUR, ROWS_START + 6 * HOUR, &coverage, NULL), 0);
	assert_string_equal(json_text_at(json_array_get(json_at(coverage, "gaps"), 0), "reason"),
	                    "not-kept"); /* rows of it are gone */
	json_decref(placement);
	json_decref(coverage);
	ledger_close(ledger);
	/* Only the digest of a file that a remaining row's process runs. */
	assert_int_equal(rows_number(path, "SELECT count(*) FROM record WHERE kind='executable'"), 1);
	assert_int_equal(rows_number(path, "SELECT exe_sha256='ab' FROM v_deliveries"), 1);
}

static void is_named_when_no_row_says_so(void **state)
{
	static const struct {
		const char *name, *sql;
		enum audit_fault fault;
	} cases[] = {
		{"a prefix taken out like a pruning",
	         "DELETE FROM record WHERE seq<=2; INSERT INTO meta SELECT 'pruned_seq',2; INSERT INTO meta"
	         " VALUES('pruned_chain',(SELECT value FROM keep))",
	         AUDIT_MISSING},
		{"the note moved on",
	         "INSERT OR REPLACE INTO meta VALUES('pruned_seq',5),('pruned_chain',(SELECT lower(hex(chain)) FROM"
	         " record WHERE seq=5)); DELETE FROM record WHERE seq<=5",
	         AUDIT_MISSING},
		{"the row that says so taken for another", "UPDATE meta SET value=6 WHERE name='pruned_by'",
	         AUDIT_MISSING},
		{"more taken out behind the cut", "DELETE FROM record WHERE seq=5", AUDIT_MISSING},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct writer *writer = open_writer();
		for (unsigned j = 1; j <= 8; j++)
			append(writer, "delivery", j, delivery((int)j, 0, NULL));
		writer_close(writer);
		if (i == 0)
			assert_true(rows_exec(
				path,
				"CREATE TABLE keep AS SELECT lower(hex(chain)) AS value FROM record WHERE seq=2"));
		else
			assert_int_equal(prune(PRUNE_OPERATOR, 5).rows, 4);
		assert_true(rows_exec(path, cases[i].sql));
		if (i == 0)
			assert_true(rows_exec(path, "DROP TABLE keep"));
		CHECK_NUMBER(cases[i].name, audit().fault, cases[i].fault);
		unit_folder_remove(folder);
		(void)unit_path(path, unit_folder(folder), "ledger.db");
	}
}

static void gives_pages_back(void **state)
{
	struct writer *writer = open_writer();
	struct appender *appender = NULL;
	int64_t before, after;
	bool more = true;
	char text[4096];
	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 1; i <= 300; i++)
		append(writer, "delivery", i, json_pack("{s:s}", "user_agent", text));
	writer_close(writer);
	for (int i = 0; i < 3; i++)
		(void)prune(PRUNE_SIZE, 10000);
	before = rows_number(path, "PRAGMA page_count");
	assert_int_equal(appender_open(path, &appender, NULL), 0);
	assert_int_equal(prune_used_bytes(appender, &after, NULL), 0);
	assert_true(after < before * 4096 / 4);
	while (more)
		assert_int_equal(prune_shrink(appender, &more, NULL), 0);
	appender_close(appender);
	assert_true(rows_number(path, "PRAGMA page_count") < before / 2);
	assert_string_equal(audit().detail, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(forgets_a_prefix_and_the_chain_holds, start, stop),
		cmocka_unit_test_setup_teardown(keeps_what_is_behind_a_younger_row, start, stop),
		cmocka_unit_test_setup_teardown(keeps_the_newest_row, start, stop),
		cmocka_unit_test_setup_teardown(waits_for_more_but_not_for_ever, start, stop),
		cmocka_unit_test_setup_teardown(takes_small_steps, start, stop),
		cmocka_unit_test_setup_teardown(keeps_processes_that_others_name, start, stop),
		cmocka_unit_test_setup_teardown(carries_over_what_was_in_force, start, stop),
		cmocka_unit_test_setup_teardown(is_named_when_no_row_says_so, start, stop),
		cmocka_unit_test_setup_teardown(gives_pages_back, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
