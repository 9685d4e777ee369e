/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail completion: what a shell needs to complete command lines, from the tables that read them. */
#include <string.h>

#include "cli/arguments.h"
#include "cli/commands.h"

#define WORD_BYTES 32

/* ---- what there is to complete */

/* Calls f for each verb that operands can begin with: "up|down", "verify|import FILE...", "[ack|close ID...]". What is
 * in capitals stands for something else. */
typedef void each_word(const char *word, FILE *to);

static void each_verb(const struct command *command, each_word *f, FILE *to)
{
	for (const char *part = command->operands; part != NULL; part = strchr(part, '|')) {
		char word[WORD_BYTES];
		part += strspn(part, "[|");
		size_t length = strspn(part, "abcdefghijklmnopqrstuvwxyz-");
		if (length == 0 || part[0] == '-')
			continue;
		(void)snprintf(word, sizeof(word), "%.*s", (int)length, part);
		f(word, to);
	}
}

static bool takes_files(const struct command *command)
{
	return strstr(command->operands, "FILE") != NULL || strstr(command->operands, "SOURCE") != NULL;
}

static bool is_file(const struct option_shape *option)
{
	return option->value != NULL && strcmp(option->value, "FILE") == 0;
}

/* A text within single quotes, as all three shells read it. */
static void put_quoted(const char *text, FILE *to)
{
	(void)fputc('\'', to);
	for (; *text != '\0'; text++)
		(void)fputs(*text == '\'' ? "'\\''" : (const char[]){*text, '\0'}, to);
	(void)fputc('\'', to);
}

static void put_word(const char *word, FILE *to)
{
	(void)fprintf(to, " %s", word);
}

static void put_values(const struct option_shape *option, FILE *to)
{
	for (int i = 0; i < option->word_count; i++)
		put_word(option->words[i], to);
}

static void put_commands(FILE *to)
{
	for (size_t i = 0; command_at(i) != NULL; i++)
		put_word(command_at(i)->name, to);
}

/* ---- bash */

static void bash_command(const struct command *command, FILE *to)
{
	struct option_shape option;
	(void)fprintf(to, "\t%s)\n\t\tcase $previous in\n", command->name);
	for (size_t i = 0; arguments_option(command, i, &option); i++) {
		if (option.value == NULL)
			continue;
		(void)fputs("\t\t", to);
		if (option.letter != 0)
			(void)fprintf(to, "-%c | ", option.letter);
		(void)fprintf(to, "--%s) files=%s words='", option.name, is_file(&option) ? "yes" : "no");
		put_values(&option, to);
		(void)fputs("' ;;\n", to);
	}
	(void)fprintf(to, "\t\t*) files=%s words='", takes_files(command) ? "yes" : "no");
	each_verb(command, put_word, to);
	for (size_t i = 0; arguments_option(command, i, &option); i++)
		(void)fprintf(to, " --%s", option.name);
	(void)fputs("' ;;\n\t\tesac\n\t\t;;\n", to);
}

static void print_bash(FILE *to)
{
	(void)fputs("# Completion of keytrail for bash, made by `keytrail completion bash`.\n"
	            "_keytrail() {\n"
	            "\tlocal current=$2 previous=$3 files=no words=''\n"
	            "\tif [[ $current == = ]]; then current=''; fi\n"
	            "\tif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
	            "\tif ((COMP_CWORD == 1)); then\n\t\twords='",
	            to);
	put_commands(to);
	(void)fputs(" help --version'\n\telse\n\tcase ${COMP_WORDS[1]} in\n", to);
	for (size_t i = 0; command_at(i) != NULL; i++)
		bash_command(command_at(i), to);
	(void)fputs("\thelp) words='", to);
	put_commands(to);
	(void)fputs("' ;;\n\tesac\n\tfi\n"
	            "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	            "\tif [[ $files == yes ]]; then\n"
	            "\t\tcompopt -o filenames 2>/dev/null\n"
	            "\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\")\n"
	            "\tfi\n}\ncomplete -F _keytrail keytrail\n",
	            to);
}

/* ---- zsh */

#define OF_ARGUMENTS "[]:\\"
#define OF_DESCRIBE ":\\"

/* `special`: what has a meaning where the text goes: colons, and for `_arguments` brackets too. */
static void zsh_text(const char *text, const char *special, FILE *to)
{
	for (; *text != '\0'; text++) {
		if (strchr(special, *text) != NULL)
			(void)fputc('\\', to);
		(void)fputs(*text == '\'' ? "'\\''" : (const char[]){*text, '\0'}, to);
	}
}

static void zsh_value(const struct option_shape *option, FILE *to)
{
	(void)fputc(':', to);
	zsh_text(option->value, OF_ARGUMENTS, to);
	(void)fputc(':', to);
	if (option->words != NULL) {
		(void)fputc('(', to);
		put_values(option, to);
		(void)fputc(')', to);
	} else if (is_file(option))
		(void)fputs("_files", to);
}

static void zsh_option(const struct option_shape *option, FILE *to)
{
	for (int i = option->letter != 0 ? 0 : 1; i < 2; i++) {
		if (i == 0)
			(void)fprintf(to, " \\\n\t\t\t'-%c[", option->letter);
		else
			(void)fprintf(to, " \\\n\t\t\t'--%s%s[", option->name, option->value != NULL ? "=" : "");
		zsh_text(option->help, OF_ARGUMENTS, to);
		(void)fputc(']', to);
		if (option->value != NULL)
			zsh_value(option, to);
		(void)fputc('\'', to);
	}
}

static void zsh_command(const struct command *command, FILE *to)
{
	struct option_shape option;
	(void)fprintf(to, "\t\t%s)\n\t\t\t_arguments", command->name);
	for (size_t i = 0; arguments_option(command, i, &option); i++)
		zsh_option(&option, to);
	(void)fputs(" \\\n\t\t\t'1: :(", to);
	each_verb(command, put_word, to);
	(void)fprintf(to, ")' '*: :%s' ;;\n", takes_files(command) ? "_files" : "");
}

static void print_zsh(FILE *to)
{
	(void)fputs("#compdef keytrail\n# Completion of keytrail for zsh, made by `keytrail completion zsh`.\n"
	            "_keytrail() {\n\tlocal -a commands\n\tcommands=(\n",
	            to);
	for (size_t i = 0; command_at(i) != NULL; i++) {
		(void)fprintf(to, "\t\t'%s:", command_at(i)->name);
		zsh_text(command_at(i)->summary, OF_DESCRIBE, to);
		(void)fputs("'\n", to);
	}
	(void)fputs("\t\t'help:This text, or that of a command'\n\t)\n"
	            "\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\telse\n"
	            "\t\tlocal name=$words[2]\n\t\tshift words\n\t\t(( CURRENT-- ))\n\t\tcase $name in\n",
	            to);
	for (size_t i = 0; command_at(i) != NULL; i++)
		zsh_command(command_at(i), to);
	(void)fputs("\t\thelp) _describe command commands ;;\n\t\tesac\n\tfi\n}\n"
	            "if [[ $funcstack[1] == _keytrail ]]; then _keytrail \"$@\"; else compdef _keytrail keytrail; fi\n",
	            to);
}

/* ---- fish */

static void fish_option(const struct command *command, const struct option_shape *option, FILE *to)
{
	(void)fprintf(to, "complete -c keytrail -n '__fish_seen_subcommand_from %s' -l %s", command->name,
	              option->name);
	if (option->letter != 0)
		(void)fprintf(to, " -s %c", option->letter);
	if (option->value != NULL)
		(void)fputs(is_file(option) ? " -r -F" : " -x", to);
	if (option->words != NULL) {
		(void)fputs(" -a '", to);
		put_values(option, to);
		(void)fputc('\'', to);
	}
	(void)fputs(" -d ", to);
	put_quoted(option->help, to);
	(void)fputc('\n', to);
}

static void fish_command(const struct command *command, FILE *to)
{
	struct option_shape option;
	(void)fprintf(to, "complete -c keytrail -n '__fish_use_subcommand' -f -a %s -d ", command->name);
	put_quoted(command->summary, to);
	(void)fputc('\n', to);
	for (size_t i = 0; arguments_option(command, i, &option); i++)
		fish_option(command, &option, to);
	(void)fprintf(to, "complete -c keytrail -n '__fish_seen_subcommand_from %s' %s -a '", command->name,
	              takes_files(command) ? "-F" : "-f");
	each_verb(command, put_word, to);
	(void)fputs("'\n", to);
}

static void print_fish(FILE *to)
{
	(void)fputs("# Completion of keytrail for fish, made by `keytrail completion fish`.\n", to);
	for (size_t i = 0; command_at(i) != NULL; i++)
		fish_command(command_at(i), to);
	(void)fputs("complete -c keytrail -n '__fish_use_subcommand' -f -a help -d 'This text, or that of a command'\n"
	            "complete -c keytrail -n '__fish_seen_subcommand_from help' -f -a '",
	            to);
	put_commands(to);
	(void)fputs("'\n", to);
}

/* ---- all */

static const struct {
	const char *name;
	void (*print)(FILE *to);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LENGTH(shells); i++)
		if (strcmp(shells[i].name, arguments->operands[0]) == 0) {
			shells[i].print(stdout);
			*ret = STATUS_FINE;
			return output_finish(stdout, err);
		}
	return error_set(err, ERROR_USAGE, "%.80s: no shell that is known here, expected bash, zsh or fish",
	                 arguments->operands[0]);
}

const struct command command_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.summary = "Print what a shell needs to complete command lines",
	.details = "Packages install it for all three. Options, their values and verbs come from the tables that read "
		   "the command line.",
	.examples = "  source <(keytrail completion bash)\n  keytrail completion fish "
		    ">~/.config/fish/completions/keytrail.fish\n",
	.options = 0,
	.minimum = 1,
	.maximum = 1,
	.run = run,
};
