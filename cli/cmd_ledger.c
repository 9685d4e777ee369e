/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger: THE TABLE of what can be done with a ledger as a whole. Each verb is in a file of its own. */
#include <stdbool.h>
#include <string.h>

#include "cli/ledger_verbs.h"

static const struct verb {
	const char *name;
	command_run *run;
	bool takes_files;
} verbs[] = {
	{"verify", ledger_verify_run, false}, {"anchor", ledger_anchor_run, false},
	{"export", ledger_export_run, false}, {"import", ledger_import_run, true},
	{"prune", ledger_prune_run, false},
};

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	const char *name = arguments->operands[0];
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (!verbs[i].takes_files && arguments->operand_count > 1)
			return error_set(err, ERROR_USAGE, "ledger %s: %.80s: too much, expected no operand", name,
			                 arguments->operands[1]);
		return verbs[i].run(arguments, ret, err);
	}
	return error_set(err, ERROR_USAGE, "ledger %.80s: unknown, expected verify, export, import, anchor or prune",
	                 name);
}

const struct command command_ledger = {
	.name = "ledger",
	.operands = "verify|export|import FILE...|anchor|prune",
	.summary = "Is the ledger whole; taking it elsewhere, and many machines' together",
	.details =
		"verify computes the chain of all rows anew and names the first row that was changed, taken out, put "
		"in or moved; with --anchor also whether the chain is the one that the anchors were taken from. "
		"anchor prints the chain's newest value: kept where the ledger's writer cannot reach it, it shows "
		"later that nothing before it was rewritten or cut off. "
		"export writes the rows as lines of JSON, with --cursor only those since the last time; import puts "
		"the exports of many machines into one ledger, which all commands that read one take as --ledger. "
		"Files may "
		"come in any order, more than once, and overlap; each machine's chain is computed anew, and refused "
		"from the first row on that does not fit. "
		"prune forgets the rows before a time, in steps that a running daemon does not notice; the chain "
		"stays verifiable. Ends with 3 when something is not whole.",
	.examples = "  keytrail ledger anchor >> /mnt/elsewhere/anchors.jsonl\n"
		    "  keytrail ledger verify --anchor /mnt/elsewhere/anchors.jsonl\n"
		    "  keytrail ledger export --cursor /var/lib/keytrail/export.cursor --file today.jsonl\n"
		    "  keytrail ledger import --into fleet.db exports/*.jsonl\n"
		    "  keytrail ledger verify --ledger /mnt/dead-disk/var/lib/keytrail/ledger.db\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_AUDIT | OPTIONS_FLEET | OPTIONS_REPORT,
	.minimum = 1,
	.maximum = -1,
	.run = run,
};
