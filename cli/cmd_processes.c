/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail processes: who received keys, one line a process. */
#include "cli/columns.h"
#include "cli/list.h"

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	if (list_show(arguments, &columns_processes, ledger_processes, err) < 0)
		return -1;
	*ret = STATUS_FINE;
	return 0;
}

const struct command command_processes = {
	.name = "processes",
	.operands = "",
	.summary = "Which processes received keys, the last seen first",
	.details = "Filters choose deliveries; a process is shown when one of its deliveries passes them all, and its "
		   "numbers count those. The grade is the best of them. Refused requests do not count.",
	.examples = "  keytrail processes --since 7d\n"
		    "  keytrail processes --user www-data --grade exact\n"
		    "  keytrail processes --key ASIAIOSFODNN7EXAMPLE -o json\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_ROWS,
	.run = run,
};
