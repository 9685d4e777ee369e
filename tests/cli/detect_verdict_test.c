/* SPDX-License-Identifier: Apache-2.0 */

/* From a run to an exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/arguments.h"
#include "cli/detect_verdict.h"

static const struct {
	const char *name;
	uint64_t files, unreadable, low, medium, high, malformed;
	int fail_on;
	enum status expected;
} cases[] = {
	{"nothing found", 5, 0, 0, 0, 0, 0, SEVERITY_MEDIUM, STATUS_FINE},
	{"no file at all", 0, 0, 0, 0, 0, 0, SEVERITY_MEDIUM, STATUS_FINE},
	{"high", 5, 0, 0, 0, 1, 0, SEVERITY_MEDIUM, STATUS_FOUND},
	{"medium", 5, 0, 0, 1, 0, 0, SEVERITY_MEDIUM, STATUS_FOUND},
	{"low is below", 5, 0, 9, 0, 0, 0, SEVERITY_MEDIUM, STATUS_FINE},
	{"low asked for", 5, 0, 1, 0, 0, 0, SEVERITY_LOW, STATUS_FOUND},
	{"medium is below high", 5, 0, 1, 1, 0, 0, SEVERITY_HIGH, STATUS_FINE},
	{"never", 5, 0, 1, 1, 1, 0, FAIL_ON_NONE, STATUS_FINE},
	{"found and unreadable", 5, 1, 0, 0, 1, 0, SEVERITY_MEDIUM, STATUS_FOUND},
	{"unreadable", 5, 1, 0, 0, 0, 0, SEVERITY_MEDIUM, STATUS_INCOMPLETE},
	{"unreadable, below", 5, 1, 1, 0, 0, 0, SEVERITY_MEDIUM, STATUS_INCOMPLETE},
	{"unreadable, never", 5, 1, 0, 0, 1, 0, FAIL_ON_NONE, STATUS_INCOMPLETE},
	{"nothing readable", 0, 2, 0, 0, 0, 0, SEVERITY_MEDIUM, STATUS_ERROR},
	{"found in half a file", 0, 1, 0, 0, 1, 0, SEVERITY_MEDIUM, STATUS_FOUND},
	{"not understood", 5, 0, 0, 0, 0, 1, SEVERITY_MEDIUM, STATUS_INCOMPLETE},
	{"found and not understood", 5, 0, 0, 0, 1, 1, SEVERITY_MEDIUM, STATUS_FOUND},
};

static void gives_the_documented_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct detect_summary summary = {
			.files = cases[i].files,
			.files_unreadable = cases[i].unreadable,
			.records_malformed = cases[i].malformed,
			.findings = {cases[i].low, cases[i].medium, cases[i].high},
		};
		if (detect_verdict(&summary, cases[i].fail_on) != cases[i].expected)
			fail_msg("%s", cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(gives_the_documented_status)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
