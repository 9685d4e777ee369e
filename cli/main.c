/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail: dispatch, usage and help, by the table of commands; what a command does is in its own file. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/complain.h"
#include "common/clock.h"

static void print_usage(FILE *to)
{
	(void)fprintf(to, "Usage: keytrail COMMAND [OPTION...]\n"
	                  "Which process of this machine was handed which AWS key, and who has it now.\n\n");
	for (size_t i = 0; command_at(i) != NULL; i++)
		(void)fprintf(to, "  %-11s %s\n", command_at(i)->name, command_at(i)->summary);
	(void)fprintf(to, "  %-11s %s\n  %-11s %s\n\n", "help", "This text, or that of a command", "--version",
	              "The version");
	(void)fprintf(to,
	              "`keytrail COMMAND --help` shows options and examples. Exit status: 0 fine, 1 error, 2 usage,\n"
	              "3 found or not whole, 4 nothing found but the evidence is incomplete.\n");
}

static int refuse_command(const char *name)
{
	complain("%.80s: unknown command, expected one that `keytrail help` lists", name);
	return STATUS_USAGE;
}

static int fail(const struct error *problem)
{
	if (problem->code == ERROR_NONE && problem->text[0] != '\0')
		return STATUS_FINE; /* the reader of our output has what it wanted */
	complain("%s", problem->text[0] != '\0' ? problem->text : "failed without a reason, probably out of memory");
	return problem->code == ERROR_USAGE ? STATUS_USAGE : STATUS_ERROR;
}

/* Ends a run that only printed: what did not arrive was not printed. */
static int finish(void)
{
	struct error problem = {0};
	return output_finish(stdout, &problem) < 0 ? fail(&problem) : STATUS_FINE;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	CLEANUP_ARGUMENTS struct arguments arguments = {0};
	struct error problem = {0};
	enum status status = STATUS_ERROR;
	if (arguments_parse(command, argc, argv, clock_now_us(), &arguments, &problem) < 0)
		return fail(&problem);
	if (arguments.wants_help)
		arguments_help(command, stdout);
	else if (arguments.wants_version)
		(void)puts("keytrail " KEYTRAIL_VERSION);
	else
		return command->run(&arguments, &status, &problem) < 0 ? fail(&problem) : (int)status;
	return finish();
}

/* Descriptors 0 to 2 must be taken, or the ledger could be opened as standard output. Input is opened for writing only,
 * output for reading only: to use what the caller has closed stays an error. */
static void fill_standard_descriptors(void)
{
	int fd = STDIN_FILENO;
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		fd = open("/dev/null", O_WRONLY);
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

static int help(int argc, char **argv)
{
	const struct command *command = argc > 2 ? command_find(argv[2]) : NULL;
	if (argc > 2 && command == NULL)
		return refuse_command(argv[2]);
	if (command != NULL)
		arguments_help(command, stdout);
	else
		print_usage(stdout);
	return finish();
}

int main(int argc, char **argv)
{
	fill_standard_descriptors();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setlocale(LC_CTYPE, "");
	if (argc < 2) {
		print_usage(stderr);
		return STATUS_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		(void)puts("keytrail " KEYTRAIL_VERSION);
		return finish();
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(argc, argv);
	const struct command *command = command_find(name);
	return command != NULL ? run_command(command, argc - 1, argv + 1) : refuse_command(name);
}
