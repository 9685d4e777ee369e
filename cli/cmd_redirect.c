/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail redirect: becomes keytrail-redirect. The verbs are checked here, the work and its words are the script's;
 * all but `programs`, which no shell could do, and which the script asks for. */
#include <signal.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/programs.h"
#include "cli/redirect.h"

#define WORDS_MAX 8

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	static const char *const verbs[] = {"up", "down", "check", "repair", "carry-over"};
	char program[PATH_MAX], script[PATH_MAX];
	const char *verb = NULL, *words[WORDS_MAX] = {"keytrail-redirect"};
	size_t used = 1;
	*ret = STATUS_FINE;
	if (strcmp(arguments->operands[0], "programs") == 0)
		return programs_print(stdout, err);
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		if (strcmp(verbs[i], arguments->operands[0]) == 0)
			verb = verbs[i];
	if (verb == NULL)
		return error_set(err, ERROR_USAGE,
		                 "redirect %.80s: unknown, expected up, down, check, repair, carry-over or programs",
		                 arguments->operands[0]);
	if (redirect_self(program, err) < 0 || redirect_find(program, script, err) < 0)
		return -1;
	if (arguments->settings != NULL) {
		words[used++] = "-c";
		words[used++] = arguments->settings;
	}
	if (arguments->dry_run)
		words[used++] = "-n";
	if (arguments->quiet)
		words[used++] = "-q";
	if (arguments->accept_existing)
		words[used++] = "--accept-existing";
	words[used] = verb;
	if (setenv(REDIRECT_PROGRAM, program, 1) != 0)
		return error_errno(err, "starting %s", script);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execv(script, (char *const *)(uintptr_t)words);
	*ret = STATUS_ERROR;
	return error_errno(err, "starting %s", script);
}

const struct command command_redirect = {
	.name = "redirect",
	.operands = "up|down|check|repair|carry-over|programs",
	.summary = "Put the proxy between processes and the metadata service, or take it away",
	.details = "Runs keytrail-redirect with the same settings, and ends with its exit status: 3 when `check` finds "
		   "that "
		   "something is not whole.",
	.examples = "  keytrail redirect -n up        what would be loaded\n"
		    "  keytrail redirect check\n",
	.options = OPTIONS_SETTINGS | OPTIONS_REDIRECT,
	.minimum = 1,
	.maximum = 1,
	.run = run,
};
