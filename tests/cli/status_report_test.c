/* SPDX-License-Identifier: Apache-2.0 */

/* What follows from what `status` saw: whole, not whole, or not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/status_report.h"
#include "cli/status_text.h"

#define GOOD                                                                                                           \
	"{\"version\":\"1\",\"ledger\":{\"writable\":true},\"upstream\":{\"reachable\":true},\"witness\":{"            \
	"\"backends\":[\"x\"]}}"

static const struct {
	const char *name;
	enum control_answer daemon;
	const char *answer;
	enum part_state ledger, redirect;
	int redirect_status;
	const char *redirect_line;
	enum status expected;
	const char *fault, *bypass; /* id of the first of each, NULL: none */
} cases[] = {
	{"whole", CONTROL_ANSWERED, GOOD, PART_READ, PART_READ, 0, NULL, STATUS_FINE, NULL, NULL},
	{"not root", CONTROL_ANSWERED, GOOD, PART_READ, PART_FORBIDDEN, 0, NULL, STATUS_INCOMPLETE, NULL,
         "redirect-unchecked"},
	{"not root, checked lately", CONTROL_ANSWERED, "{\"redirect\":{\"whole\":true,\"age_s\":900}}", PART_READ,
         PART_FORBIDDEN, 0, NULL, STATUS_FINE, NULL, NULL},
	{"not root, checked long ago", CONTROL_ANSWERED, "{\"redirect\":{\"whole\":true,\"age_s\":901}}", PART_READ,
         PART_FORBIDDEN, 0, NULL, STATUS_INCOMPLETE, NULL, "redirect-unchecked"},
	{"not root, known to be not whole", CONTROL_ANSWERED, "{\"redirect\":{\"whole\":false,\"age_s\":9}}", PART_READ,
         PART_FORBIDDEN, 0, NULL, STATUS_FOUND, NULL, "redirect-not-whole"},
	{"no script", CONTROL_ANSWERED, GOOD, PART_READ, PART_BROKEN, 0, NULL, STATUS_INCOMPLETE, NULL,
         "redirect-unchecked"},
	{"not in the group", CONTROL_FORBIDDEN, NULL, PART_FORBIDDEN, PART_FORBIDDEN, 0, NULL, STATUS_INCOMPLETE,
         "ledger-unchecked", "daemon-unchecked"},
	{"daemon down", CONTROL_DOWN, NULL, PART_READ, PART_READ, 0, NULL, STATUS_FOUND, NULL, "daemon-down"},
	{"daemon down, not root", CONTROL_DOWN, NULL, PART_READ, PART_FORBIDDEN, 0, NULL, STATUS_FOUND, NULL,
         "daemon-down"},
	{"no clear answer", CONTROL_UNCLEAR, NULL, PART_READ, PART_READ, 0, NULL, STATUS_FOUND, "daemon-unclear", NULL},
	{"redirect not whole", CONTROL_ANSWERED, GOOD, PART_READ, PART_READ, 3, "IPv4 nat OUTPUT: jump missing",
         STATUS_FOUND, NULL, "redirect-not-whole"},
	{"no ledger", CONTROL_ANSWERED, GOOD, PART_MISSING, PART_READ, 0, NULL, STATUS_FOUND, "ledger-missing", NULL},
	{"broken ledger", CONTROL_ANSWERED, GOOD, PART_BROKEN, PART_READ, 0, NULL, STATUS_FOUND, "ledger-unreadable",
         NULL},
	{"ledger not written", CONTROL_ANSWERED, "{\"ledger\":{\"writable\":false,\"last_error\":\"full\"}}", PART_READ,
         PART_READ, 0, NULL, STATUS_FOUND, "ledger-not-written", NULL},
	{"lost rows", CONTROL_ANSWERED, "{\"ledger\":{\"writable\":true,\"dropped\":2}}", PART_READ, PART_READ, 0, NULL,
         STATUS_FOUND, "rows-lost", NULL},
	{"no upstream", CONTROL_ANSWERED, "{\"upstream\":{\"reachable\":false}}", PART_READ, PART_READ, 0, NULL,
         STATUS_FOUND, "upstream-unreachable", NULL},
	{"no witness", CONTROL_ANSWERED, "{\"witness\":{\"backends\":[]}}", PART_READ, PART_READ, 0, NULL, STATUS_FOUND,
         "no-attribution", NULL},
	{"queries refused", CONTROL_ANSWERED,
         "{\"witness\":{\"refused\":{\"malformed\":0,\"oversized\":1,\"flooding\":2,\"too_many_lines\":0}}}", PART_READ,
         PART_READ, 0, NULL, STATUS_FOUND, "queries-refused", NULL},
	{"no queries refused", CONTROL_ANSWERED, "{\"witness\":{\"refused\":{\"malformed\":0,\"oversized\":0}}}",
         PART_READ, PART_READ, 0, NULL, STATUS_FINE, NULL, NULL},
	{"settings refused", CONTROL_ANSWERED, "{\"reload\":{\"refused\":true,\"reason\":\"x:1\"}}", PART_READ,
         PART_READ, 0, NULL, STATUS_FOUND, "reload-refused", NULL},
	{"settings taken", CONTROL_ANSWERED, "{\"reload\":{\"refused\":false}}", PART_READ, PART_READ, 0, NULL,
         STATUS_FINE, NULL, NULL},
	{"says little", CONTROL_ANSWERED, "{}", PART_READ, PART_READ, 0, NULL, STATUS_FINE, NULL, NULL},
};

static void expect_first(const char *name, const json_t *points, const char *id)
{
	const char *found = json_text_at(json_array_get(points, 0), "id");
	if ((id == NULL) != (found == NULL) || (id != NULL && strcmp(id, found) != 0))
		fail_msg("%s: %s instead of %s", name, found != NULL ? found : "nothing", id != NULL ? id : "nothing");
}

static json_t *report_of(size_t i, const json_t *daemon, const json_t *lines)
{
	json_t *report = NULL;
	struct status_parts parts = {
		.daemon_state = cases[i].daemon,
		.daemon = daemon,
		.ledger_state = cases[i].ledger,
		.redirect_state = cases[i].redirect,
		.redirect_status = cases[i].redirect_status,
		.redirect_lines = lines,
	};
	assert_int_equal(status_report_make(&parts, &report, NULL), 0);
	return report;
}

static void judges_what_was_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *daemon = cases[i].answer != NULL ? json_loads(cases[i].answer, 0, NULL) : NULL;
		CLEANUP_JSON json_t *lines = json_array();
		if (cases[i].redirect_line != NULL)
			assert_int_equal(json_array_append_new(lines, json_string(cases[i].redirect_line)), 0);
		CLEANUP_JSON json_t *report = report_of(i, daemon, lines);
		if (status_report_verdict(report) != cases[i].expected)
			fail_msg("%s: %d", cases[i].name, (int)status_report_verdict(report));
		expect_first(cases[i].name, json_at(report, "faults"), cases[i].fault);
		expect_first(cases[i].name, json_at(report, "bypasses"), cases[i].bypass);
		assert_string_equal(json_text_at(report, "kind"), "status");
		assert_true(json_is_array(json_at(report, "redirect.faults")));
	}
}

static void names_missing_ipv6_rules(void **state)
{
	CLEANUP_JSON json_t *lines = json_pack("[s]", "IPv6 nat KEYTRAIL-OUT: chain missing");
	CLEANUP_JSON json_t *report = NULL;
	struct status_parts parts = {.redirect_status = 3, .redirect_lines = lines};
	(void)state;
	assert_int_equal(status_report_make(&parts, &report, NULL), 0);
	assert_string_equal(json_text_at(json_array_get(json_at(report, "bypasses"), 1), "id"), "ipv6-not-redirected");
	assert_string_equal(json_string_value(json_array_get(json_at(report, "redirect.faults"), 0)),
	                    "IPv6 nat KEYTRAIL-OUT: chain missing");
}

static void shows_that_the_daemon_was_given_up(void **state)
{
	static const char *const gaps[] = {"{\"on_dead\":\"closed\"}", "{\"on_dead\":\"open\"}"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(gaps); i++) {
		CLEANUP_JSON json_t *gap = json_loads(gaps[i], 0, NULL);
		CLEANUP_JSON json_t *report = NULL;
		struct status_parts parts = {.ledger_state = PART_READ, .gap = gap, .settings_problem = "x.conf:1: y"};
		assert_int_equal(status_report_make(&parts, &report, NULL), 0);
		expect_first(gaps[i], json_at(report, "faults"), "settings-bad");
		assert_string_equal(
			json_text_at(json_array_get(json_at(report, i == 0 ? "faults" : "bypasses"), 1 - i), "id"),
			"given-up");
		assert_string_equal(json_text_at(report, "gap.on_dead"), i == 0 ? "closed" : "open");
	}
}

/* Another program may sit on the socket: its answer is shown, never obeyed. */
static void shows_a_hostile_answer_escaped(void **state)
{
	static const char answer[] = "{\"version\":\"\\u001b[2J1\",\"pid\":[1,{\"a\":\"\\u001b\"}],\"user\":7,"
				     "\"upstream\":{\"reachable\":false,\"last_error\":\"\\u001b]0;x\\u0007\"}}";
	CLEANUP_JSON json_t *daemon = json_loads(answer, 0, NULL);
	CLEANUP_JSON json_t *report = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	struct status_parts parts = {.daemon = daemon};
	const struct table_look look = {.stream = to};
	(void)state;
	assert_int_equal(status_report_make(&parts, &report, NULL), 0);
	assert_int_equal(status_text(report, &look, NULL), 0);
	assert_int_equal(fclose(to), 0);
	assert_non_null(strstr(text, "\\x1b[2J1"));
	assert_non_null(strstr(text, "NOT WHOLE"));
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\a'));
}

/* What a list gets long by is said once; what is longer than the terminal is folded between words. */
static void shows_facts_so_that_they_can_be_read(void **state)
{
	static const char answer[] = "{\"version\":\"1\",\"witness\":{\"ebpf\":\"off: waiting for the redirect, there "
				     "is no way to the proxy\","
				     "\"foreign_connect_programs\":[\"a (id 1)\",\"b (id 2)\",\"a (id 3)\"]}}";
	static const char ledger_text[] =
		"{\"path\":\"/l\",\"coverage\":{\"gaps\":[{\"from\":\"F\",\"until\":\"U\",\"reason\":\"no-beat\"},"
		"{\"from\":\"F\",\"until\":\"U\",\"reason\":\"not-yet-known\"}]}}";
	static const char expected[] = "ledger        /l\n"
				       "  not covered F to U, no-beat (the machine slept, or nothing\n"
				       "              could be written)\n"
				       "Out of reach  network namespace 7 (pid 8, unknown) leads out\n"
				       "              by own0, unknown: what runs there is not\n"
				       "              redirected\n";
	CLEANUP_JSON json_t *daemon = json_loads(answer, 0, NULL);
	CLEANUP_JSON json_t *ledger = json_loads(ledger_text, 0, NULL);
	CLEANUP_JSON json_t *out = json_loads("[{\"netns\":7,\"pid\":8,\"device\":\"own0\"}]", 0, NULL);
	CLEANUP_JSON json_t *report = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	struct status_parts parts = {
		.daemon = daemon, .ledger_state = PART_READ, .ledger = ledger, .out_of_reach = out};
	const struct table_look look = {.stream = to, .width = 60};
	(void)state;
	assert_int_equal(status_report_make(&parts, &report, NULL), 0);
	assert_int_equal(status_text(report, &look, NULL), 0);
	assert_int_equal(fclose(to), 0);
	assert_non_null(strstr(text, "\n  ebpf        off: waiting for the redirect, there is no way\n"
	                             "              to the proxy\n  others' bpf a (2 times), b\n"));
	assert_non_null(strstr(text, expected));
	assert_null(strstr(text, "not-yet-known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_what_was_seen),
		cmocka_unit_test(names_missing_ipv6_rules),
		cmocka_unit_test(shows_that_the_daemon_was_given_up),
		cmocka_unit_test(shows_a_hostile_answer_escaped),
		cmocka_unit_test(shows_facts_so_that_they_can_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
