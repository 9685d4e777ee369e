/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail dead: what [daemon] on_dead says shall happen when the daemon cannot be started any more. Run by whatever
 * gave up on it, when much may be wrong: settings with mistakes and a full disk are no reason to leave a machine
 * without its role that was to have it. */
#include "cli/arguments.h"
#include "cli/complain.h"
#include "cli/redirect.h"
#include "common/clock.h"
#include "store/gap.h"

/* 0 when the redirect is down. */
MUST_USE static int take_down(const char *settings, struct error *err)
{
	CLEANUP_JSON json_t *lines = NULL;
	int status = 0;
	if (redirect_run(settings, "down", &status, &lines, err) < 0)
		return -1;
	return status == 0 ? 0 : error_set(err, ERROR_SYSTEM, "keytrail-redirect down ended with %d", status);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_SETTINGS struct settings settings = {0};
	struct error problem = {0}, noted = {0};
	settings_load_forgiving(arguments->settings, &settings, &problem);
	if (problem.text[0] != '\0')
		complain("settings: %s", problem.text);
	bool is_open = settings.on_dead == ON_DEAD_OPEN;
	int result = is_open ? take_down(arguments->settings, err) : 0;
	const struct gap gap = {
		.began_us = clock_now_us(),
		.on_dead = is_open ? ON_DEAD_OPEN : ON_DEAD_CLOSED,
		.reason = arguments->operand_count > 0 ? arguments->operands[0] : "not given",
		.done = result < 0 ? "the redirect could not be taken down: clients get nothing"
	                : is_open  ? "the redirect is down: clients reach the metadata service, unrecorded"
	                           : "the redirect stands, nobody listens: clients are refused at once",
	};
	complain("the daemon is given up (%.200s): %s", gap.reason, gap.done);
	if (gap_begin(settings.ledger_path, &gap, &noted) < 0)
		complain("not noted: %s", noted.text);
	if (result < 0)
		return -1;
	(void)puts(is_open ? "open" : "closed");
	*ret = noted.text[0] != '\0' ? STATUS_INCOMPLETE : STATUS_FINE;
	return 0;
}

const struct command command_dead = {
	.name = "dead",
	.operands = "[REASON]",
	.summary = "Do what [daemon] on_dead says, when the daemon cannot be started any more",
	.details = "For the service manager that has given keytraild up; nothing else should run it. With `on_dead = "
		   "open` "
		   "it takes the redirect down. Either way it notes since when and why nothing is recorded; `status` "
		   "shows that, and the next daemon writes it into the ledger. Prints `closed` or `open`. Exit status "
		   "4: done, but not noted.",
	.examples = "  keytrail dead \"keytraild ended with status 2\"\n",
	.options = OPTIONS_SETTINGS,
	.minimum = 0,
	.maximum = 1,
	.run = run,
};
