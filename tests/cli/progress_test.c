/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/progress.h"
#include "common/cleanup.h"

#define MIB (UINT64_C(1) << 20)
#define SECOND INT64_C(1000000)

static void test_lines(void **state)
{
	static const struct {
		uint64_t done, total;
		int64_t elapsed_us;
		const char *line;
	} cases[] = {
		{0, 0, 0, "0 MiB, 0 MiB/s"},
		{100 * MIB, 0, 2 * SECOND, "100 MiB, 50 MiB/s"},
		{0, 10, 0, "[                                        ]   0 %, 0 MiB/s"},
		{0, 10, 9 * SECOND, "[                                        ]   0 %, 0 MiB/s"},
		{25 * MIB, 100 * MIB, SECOND / 2, "[##########                              ]  25 %, 50 MiB/s"},
		{50 * MIB, 100 * MIB, 5 * SECOND,
	         "[####################                    ]  50 %, 10 MiB/s, 0:05 left"},
		{MIB, 100 * MIB, SECOND, "[                                        ]   1 %, 1 MiB/s, 1:39 left"},
		{MIB, 7200 * MIB, SECOND, "[                                        ]   0 %, 1 MiB/s, 1:59:59 left"},
		{1, UINT64_MAX, SECOND, "[                                        ]   0 %, 0 MiB/s, 99:59:59 left"},
		{100 * MIB, 100 * MIB, 4 * SECOND, "[########################################] 100 %, 25 MiB/s"},
		/* Files may grow while they are read. */
		{200 * MIB, 100 * MIB, 4 * SECOND, "[########################################] 100 %, 50 MiB/s"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char line[PROGRESS_BYTES];
		assert_string_equal(progress_line(cases[i].done, cases[i].total, cases[i].elapsed_us, line),
		                    cases[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
