/* SPDX-License-Identifier: Apache-2.0 */

/* argp reads the command line and prints the help by THE TABLE of options; what is wrong is said here, in one line,
 * with what was expected. Everything behind this file may trust its values. */
#include "cli/arguments.h"

#include <argp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cli/option_table.h"
#include "cli/option_take.h"
#include "common/text.h"

#define FIRST_LONG_KEY 256 /* options without a letter get numbers from here */

static int option_key(size_t row)
{
	return option_rows[row].letter != 0 ? option_rows[row].letter : FIRST_LONG_KEY + (int)row;
}

static bool is_taken(const struct command *command, const struct option_row *row)
{
	return row->groups == 0 || (row->groups & command->options) != 0;
}

static error_t on_word(int key, char *value, struct argp_state *state)
{
	struct option_reading *reading = state->input;
	if (key == ARGP_KEY_ARG) {
		reading->arguments->operands[reading->arguments->operand_count++] = value;
		return 0;
	}
	if (key == ARGP_KEY_ERROR)
		reading->culprit = state->next;
	for (size_t i = 0; i < option_row_count; i++)
		if (option_key(i) == key)
			return option_rows[i].take(reading, &option_rows[i], value) < 0 ? EINVAL : 0;
	return ARGP_ERR_UNKNOWN;
}

/* argp's view of the table, as far as this command takes it. */
static struct argp make_parser(const struct command *command, struct argp_option rows[static OPTION_ROWS])
{
	size_t used = 0;
	for (size_t i = 0; i < option_row_count; i++)
		if (is_taken(command, &option_rows[i]))
			rows[used++] = (struct argp_option){.name = option_rows[i].name,
			                                    .key = option_key(i),
			                                    .arg = option_rows[i].value,
			                                    .doc = option_rows[i].help};
	return (struct argp){.options = rows, .parser = on_word, .args_doc = command->operands};
}

/* argp does not say which word it stumbled over, only how far it had come. */
static int refuse_word(const struct option_reading *reading, int argc, char **argv)
{
	int at = reading->culprit > 0 ? reading->culprit - 1 : 0;
	if ((at == 0 || argv[at][0] != '-') && at + 1 < argc)
		at++;
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		bool is_this = (text_starts(argv[at], "--") && strcmp(argv[at] + 2, row->name) == 0) ||
		               (row->letter != 0 && argv[at][1] == row->letter && argv[at][2] == '\0');
		if (is_this && is_taken(reading->command, row) && row->value != NULL)
			return error_set(reading->err, ERROR_USAGE, "%.80s: a value is missing, expected %s %s",
			                 argv[at], argv[at], row->value);
	}
	return error_set(reading->err, ERROR_USAGE,
	                 "%.80s: no option of `%s`, or a bad use of one, expected what `keytrail %s --help` lists",
	                 argv[at], reading->command->name, reading->command->name);
}

/* 0: no bound. */
static bool is_empty(int64_t since_us, int64_t until_us)
{
	return since_us != 0 && until_us != 0 && since_us >= until_us;
}

MUST_USE static int check_operands(const struct arguments *arguments, struct error *err)
{
	const struct command *command = arguments->command;
	if (arguments->wants_help || arguments->wants_version || arguments->list_rules)
		return 0;
	if (is_empty(arguments->rows.since_us, arguments->rows.until_us) ||
	    is_empty(arguments->from.since_us, arguments->from.until_us))
		return error_set(err, ERROR_USAGE, "--since is not before --until: nothing can lie between them");
	if (arguments->without_ledger && arguments->ledger_count > 0)
		return error_set(err, ERROR_USAGE, "--ledger none and --ledger %.80s: expected one or the other",
		                 arguments->ledgers[0]);
	if (arguments->reported != NULL && arguments->operand_count > 0)
		return error_set(err, ERROR_USAGE, "%.80s: expected a KEY or --finding, not both",
		                 arguments->operands[0]);
	if (arguments->operand_count < command->minimum && arguments->reported == NULL && !arguments->lookup)
		return error_set(err, ERROR_USAGE, "%s: something is missing, expected `keytrail %s [OPTION...] %s`",
		                 command->name, command->name, command->operands);
	if (command->maximum >= 0 && arguments->operand_count > command->maximum)
		return error_set(err, ERROR_USAGE, "%.80s: too much, expected `keytrail %s [OPTION...]%s%s`",
		                 arguments->operands[command->maximum], command->name,
		                 command->operands[0] != '\0' ? " " : "", command->operands);
	return 0;
}

int arguments_parse(const struct command *command, int argc, char **argv, int64_t now_us, struct arguments *ret,
                    struct error *err)
{
	struct argp_option rows[OPTION_ROWS] = {0};
	struct argp parser = make_parser(command, rows);
	CLEANUP_ARGUMENTS struct arguments arguments = {
		.command = command,
		.form = isatty(STDOUT_FILENO) ? FORM_TABLE : FORM_JSONL,
		.fail_on = SEVERITY_MEDIUM,
		.from = {.slack_us = SOURCE_SLACK_US},
		.ledgers = calloc((size_t)argc + 1, sizeof(char *)),
		.accounts = calloc((size_t)argc + 1, sizeof(char *)),
		.regions = calloc((size_t)argc + 1, sizeof(char *)),
		.profiles = calloc((size_t)argc + 1, sizeof(char *)),
		.operands = calloc((size_t)argc + 1, sizeof(char *)),
	};
	struct error problem = {0};
	struct option_reading reading = {
		.arguments = &arguments, .command = command, .now_us = now_us, .err = &problem};

	if (arguments.ledgers == NULL || arguments.operands == NULL || arguments.accounts == NULL ||
	    arguments.regions == NULL || arguments.profiles == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the command line");
	error_t failed = argp_parse(&parser, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP | ARGP_NO_EXIT, NULL, &reading);
	if (failed != 0 && problem.code == ERROR_NONE)
		(void)refuse_word(&reading, argc, argv);
	else if (failed == 0)
		(void)check_operands(&arguments, &problem);
	if (problem.code != ERROR_NONE)
		return error_set(err, problem.code, "%s", problem.text);
	arguments.from.accounts = arguments.accounts;
	arguments.from.regions = arguments.regions;
	*ret = arguments;
	arguments = (struct arguments){0};
	return 0;
}

void arguments_done(struct arguments *arguments)
{
	free(arguments->ledgers);
	free(arguments->accounts);
	free(arguments->regions);
	free(arguments->profiles);
	free(arguments->operands);
	free(arguments->pattern);
	*arguments = (struct arguments){0};
}

void arguments_help(const struct command *command, FILE *to)
{
	struct argp_option rows[OPTION_ROWS] = {0};
	struct argp parser = make_parser(command, rows);
	char name[64], text[4096];
	(void)snprintf(name, sizeof(name), "keytrail %s", command->name);
	(void)snprintf(text, sizeof(text), "%s.%s%s\vExamples:\n%s", command->summary,
	               command->details[0] != '\0' ? "\n\n" : "", command->details, command->examples);
	parser.doc = text;
	/* Its note on values of long options says nothing that the list does not. */
	(void)setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
	argp_help(&parser, to, ARGP_HELP_LONG | ARGP_HELP_DOC | ARGP_HELP_SHORT_USAGE, name);
}

bool arguments_option(const struct command *command, size_t index, struct option_shape *ret)
{
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		if (!is_taken(command, row) || index-- > 0)
			continue;
		bool is_narrow = row->take == option_take_form && (command->options & OPTIONS_FORMS) == 0;
		*ret = (struct option_shape){.name = row->name,
		                             .letter = row->letter,
		                             .value = row->value,
		                             .words = row->names,
		                             .word_count = is_narrow ? FORM_OWN_COUNT : row->name_count,
		                             .help = row->help};
		return true;
	}
	return false;
}
