/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail processes: who received keys, one line a process. */
#include <string.h>

#include "cli/columns.h"
#include "cli/list.h"
#include "common/text.h"

#define PATTERN_BYTES 4200

/* PID, or EXE: a path, a pattern, or a name without its folder. A bare number is a pid. */
MUST_USE static int choose(const char *operand, char pattern[static PATTERN_BYTES], struct ledger_filter *filter,
                           struct error *err)
{
	uint64_t pid;
	bool is_pid = text_to_u64(operand, UINT32_MAX, &pid);
	if (operand[0] == '\0')
		return error_set(err, ERROR_USAGE, "processes: an empty name, expected PID or EXE");
	if ((is_pid && filter->has_pid) || (!is_pid && filter->exe != NULL))
		return error_set(err, ERROR_USAGE, "%.80s: expected it or --%s, not both", operand,
		                 is_pid ? "pid" : "exe");
	if (is_pid) {
		filter->has_pid = true;
		filter->pid = (int64_t)pid;
		return 0;
	}
	bool is_name = strpbrk(operand, "/*?") == NULL;
	if (snprintf(pattern, PATTERN_BYTES, "%s%s", is_name ? "*/" : "", operand) >= PATTERN_BYTES)
		return error_set(err, ERROR_USAGE, "%.80s...: too long for a path", operand);
	filter->exe = pattern;
	return 0;
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	char pattern[PATTERN_BYTES];
	struct arguments wanted = *arguments;
	if (arguments->operand_count > 0 && choose(arguments->operands[0], pattern, &wanted.rows, err) < 0)
		return -1;
	if (list_show(&wanted, &columns_processes, ledger_processes, err) < 0)
		return -1;
	*ret = STATUS_FINE;
	return 0;
}

const struct command command_processes = {
	.name = "processes",
	.operands = "[PID|EXE]",
	.summary = "Which processes received keys, the last seen first",
	.details =
		"EXE is a path, a pattern with * and ?, or a name without its folder. "
		"Filters choose deliveries; a process is shown when one of its deliveries passes them all, and its "
		"numbers count those. Each process that held the socket is listed: where the grade is not exact, it "
		"may "
		"not be the one that received the key. The grade is the best of them. Refused requests do not count.",
	.examples = "  keytrail processes --since 7d\n"
		    "  keytrail processes 4711 -o json\n"
		    "  keytrail processes python3.11\n"
		    "  keytrail processes --user www-data --grade exact\n"
		    "  keytrail processes --key ASIAIOSFODNN7EXAMPLE -o json\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_ROWS,
	.minimum = 0,
	.maximum = 1,
	.run = run,
};
