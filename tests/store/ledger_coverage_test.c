/* SPDX-License-Identifier: Apache-2.0 */

/* Was an instance covered? From rows on disk: in the order of the chain, for the instance whose ledger it is. */
#include "common/clock.h"
#include "store/coverage.h"
#include "store/ledger.h"
#include "tests/store/rows.h"

#define MINUTE (60 * CLOCK_SECOND_US)
#define AT(minute) (ROWS_START + (minute)*MINUTE)

static char folder[PATH_MAX], path[PATH_MAX];

static void append(struct writer *writer, const char *kind, int minute, json_t *body)
{
	static unsigned number;
	CLEANUP_JSON json_t *owned = body;
	struct entry entry = {.kind = kind, .at_us = AT(minute), .body = owned};
	(void)snprintf(entry.id, sizeof(entry.id), "%016x", ++number);
	assert_int_equal(writer_append(writer, &entry, NULL), 0);
}

static void beat(struct writer *writer, enum coverage_event event, const char *run, int minute)
{
	struct coverage_row row = {.event = event,
	                           .every_us = 10 * MINUTE,
	                           .redirect_whole = true,
	                           .redirect_checked_us = AT(minute) - MINUTE};
	(void)snprintf(row.run, sizeof(row.run), "%s", run);
	append(writer, "coverage", minute, coverage_to_body(&row));
}

/* Up from 100 to 200 with the clock set back at 140, given up at 202, up again from 210 to 230. */
static int setup(void **state)
{
	struct writer *writer = NULL;
	(void)state;
	unit_folder(folder);
	(void)unit_path(path, folder, "ledger.db");
	const struct writer_options options = {.path = path};
	if (writer_open(&options, &writer, NULL) < 0)
		return -1;
	append(writer, "instance", 99, json_pack("{s:s}", "instance_id", "i-0aaaaaaaa"));
	beat(writer, COVERAGE_START, "x", 100);
	for (int minute = 110; minute <= 140; minute += 10)
		beat(writer, COVERAGE_BEAT, "x", minute);
	for (int minute = 135; minute <= 195; minute += 10)
		beat(writer, COVERAGE_BEAT, "x", minute);
	beat(writer, COVERAGE_STOP, "x", 200);
	char began[CLOCK_TEXT_BYTES], ended[CLOCK_TEXT_BYTES];
	append(writer, "gap", 210,
	       json_pack("{s:s,s:s,s:s,s:s,s:s}", "began_at", clock_format(AT(202), began), "ended_at",
	                 clock_format(AT(210), ended), "reason", "start-limit-hit", "on_dead", "closed", "done", "x"));
	beat(writer, COVERAGE_START, "y", 210);
	beat(writer, COVERAGE_BEAT, "y", 220);
	beat(writer, COVERAGE_BEAT, "y", 230);
	append(writer, "placement", 231, json_pack("{s:s}", "instance_id", "i-0bbbbbbbb"));
	writer_close(writer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static const struct question {
	const char *name, *instance;
	int from, until;
	bool covered;
	const char *reason; /* of the first gap; "": none */
} questions[] = {
	{"all the time up", "i-0aaaaaaaa", 101, 129, true, ""},
	{"whoever's it is", NULL, 101, 129, true, ""},
	{"named by a placement only", "i-0bbbbbbbb", 101, 129, true, ""},
	{"exactly from row to row", NULL, 100, 130, true, ""},
	{"between two rows", NULL, 112, 113, true, ""},
	{"another instance", "i-0cccccccc", 101, 129, false, "not-kept"},
	{"from before the first row", NULL, 90, 120, false, "not-kept"},
	{"all of it before", NULL, 10, 20, false, "not-kept"},
	{"the clock was set back, the time lies around it", NULL, 120, 160, false, "clock-set-back"},
	{"the clock was set back, the time lies within it", NULL, 136, 139, false, "clock-set-back"},
	{"behind what came twice", NULL, 141, 190, true, ""},
	{"before what came twice", NULL, 101, 135, true, ""},
	{"down at its end", NULL, 150, 205, false, "daemon-down"},
	{"down all the time", NULL, 203, 204, false, "daemon-down"},
	{"the second run", NULL, 210, 230, true, ""},
	{"behind the newest row", NULL, 225, 240, false, "not-yet-known"},
	{"all of it behind", NULL, 300, 340, false, "not-yet-known"},
};

static void says_whether_an_instance_was_covered(void **state)
{
	struct ledger *ledger = NULL;
	(void)state;
	assert_int_equal(ledger_open(path, &ledger, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(questions); i++) {
		const struct question *question = &questions[i];
		CLEANUP_JSON json_t *object = NULL;
		bool covered = !question->covered, complete = !question->covered;
		CHECK_NUMBER(question->name,
		             ledger_covered(ledger, question->instance, AT(question->from), AT(question->until),
		                            &covered, NULL),
		             0);
		CHECK_NUMBER(question->name, covered, question->covered);
		CHECK_NUMBER(question->name,
		             ledger_coverage_of(ledger, question->instance, AT(question->from), AT(question->until),
		                                &object, NULL),
		             0);
		assert_true(json_bool_at(object, "complete", &complete));
		CHECK_NUMBER(question->name, complete, question->covered);
		const json_t *first = json_array_get(json_at(object, "gaps"), 0);
		const char *reason = json_text_at(first, "reason");
		CHECK_TEXT(question->name, reason != NULL ? reason : "", question->reason);
	}
	ledger_close(ledger);
}

static void says_what_came_of_a_daemon_that_was_given_up(void **state)
{
	struct ledger *ledger = NULL;
	CLEANUP_JSON json_t *object = NULL;
	(void)state;
	assert_int_equal(ledger_open(path, &ledger, NULL), 0);
	assert_int_equal(ledger_coverage(ledger, AT(90), AT(300), &object, NULL), 0);
	const json_t *gaps = json_at(object, "gaps");
	assert_int_equal(json_array_size(gaps), 4); /* not-kept, clock-set-back, daemon-down, not-yet-known */
	for (size_t i = 0; i < 4; i++) {
		const char *reason = json_text_at(json_array_get(gaps, i), "given_up.reason");
		CHECK_TEXT("given up", reason != NULL ? reason : "", i == 2 ? "start-limit-hit" : "");
	}
	ledger_close(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_whether_an_instance_was_covered),
		cmocka_unit_test(says_what_came_of_a_daemon_that_was_given_up),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
