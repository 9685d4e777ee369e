/* SPDX-License-Identifier: Apache-2.0 */

/* Command lines, good and bad. A bad one is a usage error that says in one line what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/arguments.h"

#define NOW_US INT64_C(1767323045678901) /* 2026-01-02T03:04:05.678901Z */
#define WORDS_MAX 12
#define KEY "ASIAIOSFODNN7EXAMPLE"

MUST_USE static int parse(const struct command *command, const char *const *words, struct arguments *ret,
                          struct error *err)
{
	char *argv[WORDS_MAX + 1], name[32];
	int argc = 1;
	(void)snprintf(name, sizeof(name), "%s", command->name);
	argv[0] = name;
	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	argv[argc] = NULL;
	return arguments_parse(command, argc, argv, NOW_US, ret, err);
}

static const struct {
	const struct command *command;
	const char *words[WORDS_MAX];
	const char *says; /* part of the message */
} bad[] = {
	{&command_deliveries, {"--foo"}, "--foo: no option of `deliveries`"},
	{&command_deliveries, {"--fol=1"}, "--fol=1: no option"},
	{&command_deliveries, {"-z"}, "-z: no option"},
	{&command_deliveries, {"-fz"}, "-fz: no option"},
	{&command_deliveries, {"extra"}, "extra: too much, expected `keytrail deliveries [OPTION...]`"},
	{&command_deliveries, {"--since"}, "--since: a value is missing, expected --since TIME"},
	{&command_deliveries, {"-o"}, "-o: a value is missing"},
	{&command_deliveries, {"--since", "yesterday"}, "--since yesterday: no time, expected"},
	{&command_deliveries, {"--until", "2026-02-30"}, "--until 2026-02-30: no time"},
	{&command_deliveries, {"--since", "1h", "--until", "2h"}, "--since is not before --until"},
	{&command_detect, {"--since", "1h", "--until", "2h", "-"}, "--since is not before --until"},
	{&command_detect, {"--slack", "24", "-"}, "--slack 24: no span of time"},
	{&command_detect, {"--slack", "2026-01-31", "-"}, "--slack 2026-01-31: no span of time"},
	{&command_detect, {"--account", "production", "-"}, "--account production: no account, expected 12 digits"},
	{&command_detect, {"--region", "useast1", "-"}, "--region useast1: no region"},
	{&command_detect, {"--region", "us-east-1/", "-"}, "--region us-east-1/: no region"},
	{&command_detect, {"--profile", "a", "--profile", "b", "-"}, "--profile b: given twice"},
	{&command_detect, {"--once", "-"}, "--once: no option of `detect`"},
	{&command_watch, {"--lookup", "-"}, "--lookup: no option of `watch`"},
	{&command_watch, {"--interval", "0s", "-"}, "--interval 0s: no time at all"},
	{&command_watch, {"--once"}, "watch: something is missing"},
	{&command_inventory, {"--merge", ""}, "--merge : empty"},
	{&command_findings, {"--region", "us-east-1"}, "--region: no option of `findings`"},
	{&command_deliveries, {"--uid", "-1"}, "--uid -1: no number"},
	{&command_deliveries, {"--uid", "root"}, "--uid root: no number"},
	{&command_deliveries, {"--pid", "1x"}, "--pid 1x: no number"},
	{&command_deliveries, {"--pid", "4294967296"}, "no number, expected a whole number from 0 to 4294967295"},
	{&command_deliveries, {"--role", ""}, "--role : empty"},
	{&command_deliveries, {"--key", "ASIA"}, "--key ASIA: expected an access key id"},
	{&command_deliveries,
         {"--grade", "good"},
         "--grade good: unknown, expected one of none, gone, uid, netns, cgroup, relay, shared, exact"},
	{&command_deliveries, {"--outcome", "x"}, "expected one of recorded, delivered, refused, aborted"},
	{&command_deliveries, {"--source", "x"}, "expected one of imds, identity, ecs, eks, self"},
	{&command_deliveries, {"-o", "xml"}, "--output xml: unknown, expected one of table, json, jsonl, csv"},
	{&command_deliveries, {"-o", "ocsf"}, "--output ocsf: unknown, expected one of table, json, jsonl, csv"},
	{&command_deliveries, {"--ledger", "none", "--ledger", "b"}, "--ledger b: given twice"},
	{&command_deliveries, {"--severity", "HIGH"}, "--severity: no option of `deliveries`"},
	{&command_keys, {"-f"}, "-f: no option of `keys`"},
	{&command_findings, {"--severity", "SEVERE"}, "--severity SEVERE: unknown, expected one of LOW, MEDIUM, HIGH"},
	{&command_findings, {"--account", "12345"}, "--account 12345: no account, expected 12 digits"},
	{&command_findings, {"--pid", "1"}, "--pid: no option of `findings`"},
	{&command_who, {NULL}, "expected `keytrail who [OPTION...] KEY`"},
	{&command_who, {KEY, KEY}, "too much"},
	{&command_who, {KEY, "--finding", "-"}, "expected a KEY or --finding, not both"},
	{&command_detect, {NULL}, "expected `keytrail detect [OPTION...] SOURCE...`"},
	{&command_detect, {"--fail-on", "CRITICAL", "x"}, "expected one of LOW, MEDIUM, HIGH, NONE"},
	{&command_detect, {"--workers", "0", "x"}, "expected a number from 1 to 256"},
	{&command_detect, {"--workers", "257", "x"}, "expected a number from 1 to 256"},
	{&command_detect, {"--workers", "two", "x"}, "expected a number from 1 to 256"},
	{&command_detect,
         {"-o", "splunk", "x"},
         "--output splunk: unknown, expected one of table, json, jsonl, csv, asff, ocsf"},
	{&command_detect, {"--ledger", "none", "--ledger", "a", "x"}, "expected one or the other"},
	{&command_redirect,
         {NULL},
         "expected `keytrail redirect [OPTION...] up|down|check|repair|carry-over|programs`"},
	{&command_redirect, {"up", "down"}, "down: too much"},
};

static void refuses_bad_usage(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		CLEANUP_ARGUMENTS struct arguments arguments = {0};
		struct error problem = {0};
		if (parse(bad[i].command, bad[i].words, &arguments, &problem) == 0)
			fail_msg("%s %s: was taken", bad[i].command->name, bad[i].words[0]);
		if (problem.code != ERROR_USAGE || strstr(problem.text, bad[i].says) == NULL)
			fail_msg("%s %s: %s", bad[i].command->name, bad[i].words[0], problem.text);
	}
}

/* An id as `docker ps` prints it, and a type without what all types begin with. */
static void takes_short_forms(void **state)
{
	static const struct {
		const struct command *command;
		const char *word, *taken;
	} cases[] = {
		{&command_deliveries, "--container=0123456789ab", "0123456789ab*"},
		{&command_deliveries, "--container=0123456789abc", "0123456789abc*"},
		{&command_deliveries, "--container=0123456789a", "0123456789a"}, /* too little to be one */
		{&command_deliveries, "--container=0123456789AB", "0123456789AB"},
		{&command_deliveries, "--container=pod-0123456789ab", "pod-0123456789ab"},
		{&command_deliveries, "--container=0123456789ab*", "0123456789ab*"},
		{&command_deliveries, "--container=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
		{&command_findings, "--type=OutsideAWS", "*.OutsideAWS"},
		{&command_findings, "--type=*AWS", "*AWS"},
		{&command_findings, "--type=InstanceCredentialUse.AfterExpiry", "InstanceCredentialUse.AfterExpiry"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *const words[] = {cases[i].word, NULL};
		CLEANUP_ARGUMENTS struct arguments arguments = {0};
		assert_int_equal(parse(cases[i].command, words, &arguments, NULL), 0);
		const char *taken = arguments.rows.container != NULL ? arguments.rows.container : arguments.found.type;
		if (taken == NULL || strcmp(taken, cases[i].taken) != 0)
			fail_msg("%s: %s", cases[i].word, taken != NULL ? taken : "nothing");
	}
}

static void reads_every_filter(void **state)
{
	static const char *const words[] = {"--since=6h", "--until", "2026-01-02T03:00:00Z", "--role=r*", NULL};
	static const char *const more[] = {"--exe=e", "--unit=u", "--container=c", "--user=n",     "--uid=0",
	                                   "--pid=7", "--path=p", "--key=" KEY,    "--instance=i", NULL};
	static const char *const names[] = {
		"--grade=EXACT", "--outcome=refused", "--source=imds", "-f", "-o", "csv", NULL};
	CLEANUP_ARGUMENTS struct arguments first = {0}, second = {0}, third = {0};
	(void)state;
	assert_int_equal(parse(&command_deliveries, words, &first, NULL), 0);
	assert_int_equal(first.rows.since_us, NOW_US - 6 * INT64_C(3600000000));
	assert_int_equal(first.rows.until_us, INT64_C(1767322800000000));
	assert_string_equal(first.rows.role, "r*");
	assert_false(first.rows.has_uid || first.rows.has_pid || first.follow);

	assert_int_equal(parse(&command_deliveries, more, &second, NULL), 0);
	assert_string_equal(second.rows.exe, "e");
	assert_string_equal(second.rows.unit, "u");
	assert_string_equal(second.rows.container, "c");
	assert_string_equal(second.rows.user, "n");
	assert_string_equal(second.rows.path, "p");
	assert_string_equal(second.rows.access_key_id, KEY);
	assert_string_equal(second.rows.instance_id, "i");
	assert_true(second.rows.has_uid && second.rows.has_pid);
	assert_int_equal(second.rows.uid, 0);
	assert_int_equal(second.rows.pid, 7);

	assert_int_equal(parse(&command_deliveries, names, &third, NULL), 0);
	assert_string_equal(third.rows.grade, "exact");
	assert_string_equal(third.rows.outcome, "refused");
	assert_string_equal(third.rows.source, "imds");
	assert_true(third.follow);
	assert_int_equal(third.form, FORM_CSV);
}

static void reads_filters_of_findings(void **state)
{
	static const char *const words[] = {"--severity=high",        "--type=t",           "--id=x",
	                                    "--account=210987654321", "--key=" KEY,         "--role=r",
	                                    "--instance=i",           "--since=2026-01-01", NULL};
	CLEANUP_ARGUMENTS struct arguments arguments = {0};
	(void)state;
	assert_int_equal(parse(&command_findings, words, &arguments, NULL), 0);
	assert_string_equal(arguments.found.severity, "HIGH");
	assert_string_equal(arguments.found.type, "*.t");
	assert_string_equal(arguments.found.id, "x");
	assert_string_equal(arguments.found.remote_account, "210987654321");
	assert_string_equal(arguments.found.access_key_id, KEY);
	assert_string_equal(arguments.found.role, "r");
	assert_string_equal(arguments.found.instance_id, "i");
	assert_int_equal(arguments.found.since_us, INT64_C(1767225600000000));
}

static void reads_what_detect_takes(void **state)
{
	static const char *const none[] = {"--ledger=none", "--findings=none", "-", NULL};
	static const char *const some[] = {"a", "--ledger", "1", "b", "--ledger", "2", "--fail-on=NONE", NULL};
	CLEANUP_ARGUMENTS struct arguments without = {0}, with = {0};
	(void)state;
	assert_int_equal(parse(&command_detect, none, &without, NULL), 0);
	assert_true(without.without_ledger);
	assert_int_equal(without.ledger_count, 0);
	assert_string_equal(without.findings, "");
	assert_int_equal(without.fail_on, SEVERITY_MEDIUM);
	assert_string_equal(without.operands[0], "-");

	assert_int_equal(parse(&command_detect, some, &with, NULL), 0);
	assert_int_equal(with.ledger_count, 2);
	assert_string_equal(with.ledgers[1], "2");
	assert_int_equal(with.operand_count, 2);
	assert_string_equal(with.operands[1], "b");
	assert_int_equal(with.fail_on, FAIL_ON_NONE);
}

static void takes_help_before_anything_is_missing(void **state)
{
	static const char *const words[] = {"--help", NULL};
	CLEANUP_ARGUMENTS struct arguments arguments = {0};
	(void)state;
	assert_int_equal(parse(&command_who, words, &arguments, NULL), 0);
	assert_true(arguments.wants_help);
}

/* Help comes from the same tables: each command has a summary, examples and all its options in it. */
static void helps_with_every_command(void **state)
{
	static const struct command *const commands[] = {
		&command_status,    &command_deliveries, &command_who,    &command_keys,
		&command_processes, &command_findings,   &command_detect, &command_redirect,
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
		CLEANUP_FREE char *text = NULL;
		size_t size;
		FILE *to = open_memstream(&text, &size);
		assert_non_null(to);
		arguments_help(commands[i], to);
		assert_int_equal(fclose(to), 0);
		CLEANUP_FREE char *start = strndup(commands[i]->summary, 30); /* the rest is wrapped */
		assert_non_null(strstr(text, start));
		assert_non_null(strstr(text, "Examples:\n  "));
		assert_non_null(strstr(text, "--help"));
		for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1)
			assert_true(strcspn(line, "\n") <= 80);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_usage),        cmocka_unit_test(takes_short_forms),
		cmocka_unit_test(reads_every_filter),       cmocka_unit_test(reads_filters_of_findings),
		cmocka_unit_test(reads_what_detect_takes),  cmocka_unit_test(takes_help_before_anything_is_missing),
		cmocka_unit_test(helps_with_every_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
