/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail keys: which keys were handed out, to how many, until when they hold. */
#include "cli/columns.h"
#include "cli/list.h"

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	if (list_show(arguments, &columns_keys, ledger_keys, err) < 0)
		return -1;
	*ret = STATUS_FINE;
	return 0;
}

const struct command command_keys = {
	.name = "keys",
	.operands = "",
	.summary = "Which keys were handed out, the last delivered first",
	.details =
		"Filters choose deliveries; a key is shown when one of its deliveries passes them all, and its numbers "
		"count those. Refused requests do not count.",
	.examples = "  keytrail keys --since 24h\n"
		    "  keytrail keys --role web -o csv\n"
		    "  keytrail keys --exe '/tmp/*'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_ROWS,
	.run = run,
};
