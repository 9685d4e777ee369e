/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger: THE TABLE of what can be done with a ledger as a whole. Each verb is in a file of its own. */
#include <string.h>

#include "cli/ledger_verbs.h"

static const struct verb {
	const char *name;
	command_run *run; /* NULL: not served yet */
} verbs[] = {
	{"verify", ledger_verify_run}, {"anchor", ledger_anchor_run}, {"export", NULL}, {"import", NULL},
	{"prune", ledger_prune_run},
};

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	const char *name = arguments->operands[0];
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (verbs[i].run == NULL)
			return error_set(err, ERROR_USAGE, "ledger %s: not served by this version", name);
		return verbs[i].run(arguments, ret, err);
	}
	return error_set(err, ERROR_USAGE, "ledger %.80s: unknown, expected verify, anchor or prune", name);
}

const struct command command_ledger = {
	.name = "ledger",
	.operands = "verify|anchor|prune",
	.summary = "Is the ledger whole; values of its chain for keeping elsewhere",
	.details =
		"verify computes the chain of all rows anew and names the first row that was changed, taken out, put "
		"in or moved; with --anchor also whether the chain is the one that the anchors were taken from. "
		"anchor prints the chain's newest value: kept where the ledger's writer cannot reach it, it shows "
		"later that nothing before it was rewritten or cut off. "
		"prune forgets the rows before a time, in steps that a running daemon does not notice; the chain "
		"stays verifiable. Ends with 3 when something is not whole.",
	.examples = "  keytrail ledger anchor >> /mnt/elsewhere/anchors.jsonl\n"
		    "  keytrail ledger verify --anchor /mnt/elsewhere/anchors.jsonl\n"
		    "  keytrail ledger verify --ledger /mnt/dead-disk/var/lib/keytrail/ledger.db\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_AUDIT,
	.minimum = 1,
	.maximum = 1,
	.run = run,
};
