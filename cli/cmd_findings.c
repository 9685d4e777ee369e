/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail findings: what the detector has found so far. */
#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/place.h"

/* No findings where there is a ledger: nothing was found yet. No ledger either: probably a wrong path. */
MUST_USE static int explain_absence(const struct place *place, struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	if (place_open_ledger(place, &ledger, err) < 0)
		return -1;
	complain("%s: none stored yet; `keytrail detect SOURCE...` looks for some", place->findings);
	return 0;
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	struct place place;
	CLEANUP_FINDINGS struct findings *findings = NULL;
	CLEANUP_OUTPUT struct output *output = NULL;
	struct output_options options = {.form = arguments->form, .columns = &columns_findings, .stream = stdout};
	if (place_find(arguments, &place, err) < 0 || place_open_findings(arguments, &place, &findings, err) < 0)
		return -1;
	if (findings == NULL && explain_absence(&place, err) < 0)
		return -1;
	if (output_open(&options, &output, err) < 0)
		return -1;
	if (findings != NULL && findings_list(findings, &arguments->found, output_row, output, err) < 0)
		return -1;
	if (output_close(steal_pointer(&output), err) < 0)
		return -1;
	*ret = STATUS_FINE;
	return 0;
}

const struct command command_findings = {
	.name = "findings",
	.operands = "",
	.summary = "What `detect` has found so far, the most severe first",
	.details = "--since and --until look at the time a finding was last seen.",
	.examples = "  keytrail findings --severity HIGH\n"
		    "  keytrail findings --account 210987654321 -o json\n"
		    "  keytrail findings --type 'InstanceCredentialUse.*'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_FINDINGS | OPTIONS_STORED,
	.run = run,
};
