/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail status: asks the daemon, the ledger and the redirect, and shows what follows from their answers. */
#include <errno.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/control.h"
#include "cli/namespaces.h"
#include "cli/only.h"
#include "cli/place.h"
#include "cli/redirect.h"
#include "cli/status_report.h"
#include "cli/status_text.h"
#include "cli/table.h"
#include "common/clock.h"
#include "store/gap.h"

/* Why the three parts could not be read; the report borrows these texts. */
struct problems {
	struct error daemon, ledger, redirect, gap;
};

#define COVERAGE_US (24 * 3600 * CLOCK_SECOND_US)

static enum part_state read_ledger(const struct place *place, json_t **ret, struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	bool forbidden = access(place->ledger, R_OK) < 0 && errno == EACCES;
	json_t *coverage = NULL;
	int64_t now_us = clock_now_us();
	if (place_open_ledger(place, &ledger, err) < 0 || ledger_summary(ledger, ret, err) < 0 ||
	    ledger_coverage(ledger, now_us - COVERAGE_US, now_us, &coverage, err) < 0)
		return forbidden ? PART_FORBIDDEN : err->code == ERROR_MISSING ? PART_MISSING : PART_BROKEN;
	json_put(*ret, "coverage", coverage);
	return PART_READ;
}

static enum part_state check_redirect(const struct arguments *arguments, int *ret_status, json_t **ret_lines,
                                      struct error *err)
{
	if (geteuid() != 0)
		return PART_FORBIDDEN;
	if (redirect_run(arguments->settings, "check", ret_status, ret_lines, err) < 0)
		return PART_BROKEN;
	if (*ret_status == STATUS_FINE || *ret_status == STATUS_FOUND)
		return PART_READ;
	(void)error_set(err, ERROR_SYSTEM, "keytrail-redirect check ended with %d", *ret_status);
	return PART_BROKEN;
}

MUST_USE static int show(const json_t *report, enum form form, struct error *err)
{
	struct table_look look = table_look_at(stdout);
	if (form != FORM_TABLE)
		return only_show(form, &columns_status, report, err);
	if (status_text(report, &look, err) < 0)
		return -1;
	return output_finish(stdout, err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	struct place place;
	struct problems problems = {0};
	CLEANUP_JSON json_t *daemon = NULL;
	CLEANUP_JSON json_t *ledger = NULL;
	CLEANUP_JSON json_t *lines = NULL;
	CLEANUP_JSON json_t *out_of_reach = NULL;
	CLEANUP_JSON json_t *gap = NULL;
	CLEANUP_JSON json_t *report = NULL;
	struct status_parts parts = {
		.daemon_problem = problems.daemon.text,
		.ledger_problem = problems.ledger.text,
		.redirect_problem = problems.redirect.text,
	};
	if (place_find(arguments, &place, err) < 0)
		return -1;
	if (gap_read(place.ledger, &gap, &problems.gap) < 0 && problems.gap.code != ERROR_SYSTEM)
		complain("%s", problems.gap.text);
	parts.settings_problem = place.settings_problem;
	parts.gap = gap;
	parts.daemon_state = control_ask(place.runtime, &daemon, &problems.daemon);
	parts.ledger_state = read_ledger(&place, &ledger, &problems.ledger);
	if (geteuid() == 0 && namespaces_out_of_reach(&out_of_reach, err) < 0)
		return -1;
	parts.out_of_reach = out_of_reach;
	parts.redirect_state = check_redirect(arguments, &parts.redirect_status, &lines, &problems.redirect);
	parts.daemon = daemon;
	parts.ledger = ledger;
	parts.redirect_lines = lines;
	if (status_report_make(&parts, &report, err) < 0 || show(report, arguments->form, err) < 0)
		return -1;
	*ret = status_report_verdict(report);
	return 0;
}

const struct command command_status = {
	.name = "status",
	.operands = "",
	.summary = "Is the redirect whole, the daemon up, the ledger written, and what could bypass them",
	.details = "Run as root it also checks the redirect. Exit status: 0 when all is whole, 3 when something is "
		   "not, 4 when "
		   "nothing is known to be wrong but not all could be looked at.",
	.examples = "  sudo keytrail status\n"
		    "  keytrail status -o json | jq '.bypasses[].id'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_DAEMON,
	.run = run,
};
