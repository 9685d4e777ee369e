/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of options: one row each, for parsing, checks and help. argp reads the command line and prints the help;
 * what is wrong is said here, in one line, with what was expected. Everything behind this file may trust its values. */
#include "cli/arguments.h"

#include <argp.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/access_key.h"
#include "common/clock.h"
#include "common/text.h"
#include "detector/sql/sql.h"
#include "store/review.h"

#define OPTION_ROWS 80 /* room for all of them, argp's closing row included */
#define WORKERS_MAX 256
#define FIRST_LONG_KEY 256 /* options without a letter get numbers from here */

struct reading {
	struct arguments *arguments;
	const struct command *command;
	int64_t now_us;
	int culprit; /* index in argv of what argp did not understand */
	struct error *err;
};

struct argument;
typedef int take(struct reading *reading, const struct argument *argument, const char *value);

struct argument {
	const char *name;
	char letter;
	const char *value; /* as help shows it; NULL: takes none */
	unsigned groups;   /* 0: every command takes it */
	take *take;
	size_t offset; /* in struct arguments, of what the value is for */
	size_t second; /* another place for the same value (findings have filters of their own); 0: none */
	size_t flag;   /* of the bool that says that a number was given; 0: none */
	const char *const *names;
	int name_count;
	const char *help;
};

static void *place(const struct reading *reading, size_t offset)
{
	return (char *)reading->arguments + offset;
}

static int refuse(const struct reading *reading, const struct argument *argument, const char *value,
                  const char *expected)
{
	return error_set(reading->err, ERROR_USAGE, "--%s %.80s: %s", argument->name, value, expected);
}

static int take_flag(struct reading *reading, const struct argument *argument, const char *value)
{
	(void)value;
	*(bool *)place(reading, argument->offset) = true;
	return 0;
}

static int take_text(struct reading *reading, const struct argument *argument, const char *value)
{
	if (value[0] == '\0')
		return refuse(reading, argument, value, "empty, expected a text");
	*(const char **)place(reading, argument->offset) = value;
	if (argument->second != 0)
		*(const char **)place(reading, argument->second) = value;
	return 0;
}

static int take_time(struct reading *reading, const struct argument *argument, const char *value)
{
	int64_t time_us;
	if (!clock_parse_when(value, reading->now_us, &time_us))
		return refuse(reading, argument, value,
		              "no time, expected 90s, 15m, 6h, 7d or 2w ago, 2026-01-31, or 2026-01-31T12:00:00Z");
	*(int64_t *)place(reading, argument->offset) = time_us;
	if (argument->second != 0)
		*(int64_t *)place(reading, argument->second) = time_us;
	return 0;
}

static int take_number(struct reading *reading, const struct argument *argument, const char *value)
{
	uint64_t number;
	if (!text_to_u64(value, UINT32_MAX, &number))
		return refuse(reading, argument, value, "no number, expected a whole number from 0 to 4294967295");
	*(int64_t *)place(reading, argument->offset) = (int64_t)number;
	*(bool *)place(reading, argument->flag) = true;
	return 0;
}

static int take_key(struct reading *reading, const struct argument *argument, const char *value)
{
	if (!access_key_is_valid_pattern(value))
		return refuse(reading, argument, value, ACCESS_KEY_EXPECTED ", or a pattern with * and ?");
	return take_text(reading, argument, value);
}

static int take_sha256(struct reading *reading, const struct argument *argument, const char *value)
{
	bool is_pattern = strpbrk(value, "*?") != NULL;
	if (strspn(value, "0123456789abcdef*?") != strlen(value) || (!is_pattern && strlen(value) != 64))
		return refuse(reading, argument, value,
		              "no digest, expected 64 lower-case hexadecimal digits, or a pattern with * and ?");
	return take_text(reading, argument, value);
}

static int take_account(struct reading *reading, const struct argument *argument, const char *value)
{
	if (strlen(value) != 12 || strspn(value, "0123456789") != 12)
		return refuse(reading, argument, value, "no account, expected 12 digits");
	return take_text(reading, argument, value);
}

/* The index of a word in the row's list, whatever its case; -1 with the list in the message. */
static int word_index(const struct reading *reading, const struct argument *argument, const char *value)
{
	char list[200] = "unknown, expected one of ";
	for (int i = 0; i < argument->name_count; i++) {
		if (strcasecmp(argument->names[i], value) == 0)
			return i;
		size_t used = strlen(list);
		(void)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", argument->names[i]);
	}
	return refuse(reading, argument, value, list);
}

static int take_word(struct reading *reading, const struct argument *argument, const char *value)
{
	int index = word_index(reading, argument, value);
	if (index < 0)
		return -1;
	*(const char **)place(reading, argument->offset) = argument->names[index];
	return 0;
}

static int take_workers(struct reading *reading, const struct argument *argument, const char *value)
{
	uint64_t number;
	if (!text_to_u64(value, WORKERS_MAX, &number) || number == 0)
		return refuse(reading, argument, value, "expected a number from 1 to 256");
	reading->arguments->workers = (size_t)number;
	return 0;
}

static int take_fail_on(struct reading *reading, const struct argument *argument, const char *value)
{
	int index = word_index(reading, argument, value);
	if (index < 0)
		return -1;
	reading->arguments->fail_on = index;
	return 0;
}

static int take_form(struct reading *reading, const struct argument *argument, const char *value)
{
	bool takes_others = (reading->command->options & OPTIONS_FORMS) != 0;
	struct argument own = *argument;
	own.name_count = takes_others ? FORM_COUNT : FORM_OWN_COUNT;
	int index = word_index(reading, &own, value);
	if (index < 0)
		return -1;
	reading->arguments->form = (enum form)index;
	return 0;
}

static int take_ledger(struct reading *reading, const struct argument *argument, const char *value)
{
	struct arguments *arguments = reading->arguments;
	bool may_have_several = (reading->command->options & OPTIONS_DETECT) != 0;
	if (value[0] == '\0')
		return refuse(reading, argument, value, "empty, expected a file");
	if (may_have_several && strcmp(value, "none") == 0) {
		arguments->without_ledger = true;
		return 0;
	}
	if (!may_have_several && arguments->ledger_count > 0)
		return refuse(reading, argument, value, "given twice, expected one ledger");
	arguments->ledgers[arguments->ledger_count++] = value;
	return 0;
}

static int take_findings(struct reading *reading, const struct argument *argument, const char *value)
{
	bool may_be_none = (reading->command->options & OPTIONS_DETECT) != 0;
	if (may_be_none && strcmp(value, "none") == 0) {
		reading->arguments->findings = "";
		return 0;
	}
	return take_text(reading, argument, value);
}

/* A lateness: 90s, 15m, 6h, 7d, 2w. */
static int take_span(struct reading *reading, const struct argument *argument, const char *value)
{
	int64_t before_us;
	size_t length = strlen(value);
	if (length < 2 || strchr("smhdw", value[length - 1]) == NULL ||
	    !clock_parse_when(value, reading->now_us, &before_us))
		return refuse(reading, argument, value, "no span of time, expected 90s, 15m, 6h, 7d or 2w");
	*(int64_t *)place(reading, argument->offset) = reading->now_us - before_us;
	return 0;
}

static int take_interval(struct reading *reading, const struct argument *argument, const char *value)
{
	if (take_span(reading, argument, value) < 0)
		return -1;
	if (*(int64_t *)place(reading, argument->offset) == 0)
		return refuse(reading, argument, value, "no time at all, expected 1s or more");
	return 0;
}

static int take_source_account(struct reading *reading, const struct argument *argument, const char *value)
{
	struct arguments *arguments = reading->arguments;
	if (strlen(value) != 12 || strspn(value, "0123456789") != 12)
		return refuse(reading, argument, value, "no account, expected 12 digits");
	arguments->accounts[arguments->from.account_count++] = value;
	return 0;
}

static int take_profile(struct reading *reading, const struct argument *argument, const char *value)
{
	struct arguments *arguments = reading->arguments;
	bool may_have_several = (reading->command->options & OPTIONS_MERGE) != 0;
	if (!may_have_several && arguments->profile_count > 0)
		return refuse(reading, argument, value, "given twice, expected one profile");
	arguments->profiles[arguments->profile_count++] = value;
	return 0;
}

static int take_region(struct reading *reading, const struct argument *argument, const char *value)
{
	struct arguments *arguments = reading->arguments;
	if (strchr(value, '-') == NULL || strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(value))
		return refuse(reading, argument, value, "no region, expected a name such as us-east-1");
	arguments->regions[arguments->from.region_count++] = value;
	return 0;
}

static const char *const fail_on_names[] = {"LOW", "MEDIUM", "HIGH", "NONE"};
_Static_assert(ARRAY_LENGTH(fail_on_names) == FAIL_ON_NONE + 1, "one name a severity, and NONE");

#define AT(field) .offset = offsetof(struct arguments, field)
#define AND(field) .second = offsetof(struct arguments, field)
#define FLAG(field) .flag = offsetof(struct arguments, field)
#define WORDS(list, length) .names = (list), .name_count = (length)
#define BOTH (OPTIONS_ROWS | OPTIONS_FINDINGS)

static const struct argument table[] = {
	{"output", 'o', "FORM", OPTIONS_OUTPUT, take_form, WORDS(form_names, FORM_COUNT),
         .help = "table, json, jsonl or csv (default: table on a terminal, else jsonl). `detect` and `findings` also: "
                 "asff, "
                 "ocsf, guardduty, timesketch"},
	{"config", 'c', "FILE", OPTIONS_SETTINGS, take_text, AT(settings),
         .help = "settings (default /etc/keytrail/keytrail.conf, which need not exist)"},
	{"ledger", 0, "FILE", OPTIONS_LEDGER, take_ledger,
         .help = "ledger to read (default: [ledger] path of the settings). `detect` takes several, or `none`"},
	{"findings", 0, "FILE", OPTIONS_STORED | OPTIONS_DETECT, take_findings, AT(findings),
         .help = "database of findings (default: findings.db beside the ledger). `detect` takes `none`: store nothing"},
	{"follow", 'f', NULL, OPTIONS_FOLLOW, take_flag, AT(follow),
         .help = "wait for new rows and show them, oldest first, until interrupted; earlier ones only with --since"},
	{"finding", 0, "FILE", OPTIONS_WHO, take_text, AT(reported),
         .help = "take the keys from a finding of GuardDuty or Security Hub, JSON; - is standard input"},
	{"host-key", 0, "PATH", OPTIONS_VERIFY, take_text, AT(host_key),
         .help = "key of the fingerprints, or a folder of such keys (default: those beside the ledger)"},
	{"anchor", 0, "FILE", OPTIONS_AUDIT, take_text, AT(anchor),
         .help = "verify: also hold the chain to these anchors, a line each; - is standard input"},
	{"before", 0, "TIME", OPTIONS_AUDIT, take_time, AT(before_us),
         .help = "prune: forget rows before this time: 400d (ago), 2026-01-31, or 2026-01-31T12:00:00Z"},
	{"cursor", 0, "FILE", OPTIONS_FLEET, take_text, AT(cursor),
         .help = "export: only rows behind this cursor, which is moved on afterwards; a missing one is made"},
	{"into", 0, "LEDGER", OPTIONS_FLEET, take_text, AT(into),
         .help = "import: the merged ledger, which is made if it is missing"},
	{"since", 0, "TIME", BOTH | OPTIONS_WHO, take_time, AT(rows.since_us), AND(found.since_us),
         .help = "at or after this time: 6h (ago; s, m, h, d, w), 2026-01-31, or 2026-01-31T12:00:00Z"},
	{"until", 0, "TIME", BOTH | OPTIONS_WHO, take_time, AT(rows.until_us), AND(found.until_us),
         .help = "before this time"},
	{"key", 0, "KEY", BOTH, take_key, AT(rows.access_key_id), AND(found.access_key_id), .help = "access key id"},
	{"role", 0, "NAME", BOTH, take_text, AT(rows.role), AND(found.role), .help = "role of the instance or task"},
	{"instance", 0, "ID", BOTH, take_text, AT(rows.instance_id), AND(found.instance_id), .help = "instance id"},
	{"exe", 0, "PATH", OPTIONS_ROWS, take_text, AT(rows.exe), .help = "executable of the process"},
	{"sha256", 0, "DIGEST", OPTIONS_ROWS, take_sha256, AT(rows.sha256), .help = "SHA-256 of the executable"},
	{"unit", 0, "NAME", OPTIONS_ROWS, take_text, AT(rows.unit), .help = "systemd unit"},
	{"container", 0, "ID", OPTIONS_ROWS, take_text, AT(rows.container), .help = "container id"},
	{"user", 0, "NAME", OPTIONS_ROWS, take_text, AT(rows.user), .help = "user name"},
	{"uid", 0, "NUMBER", OPTIONS_ROWS, take_number, AT(rows.uid), FLAG(rows.has_uid), .help = "user id"},
	{"pid", 0, "NUMBER", OPTIONS_ROWS, take_number, AT(rows.pid), FLAG(rows.has_pid), .help = "process id"},
	{"path", 0, "PATH", OPTIONS_ROWS, take_text, AT(rows.path), .help = "path that was requested"},
	{"grade", 0, "NAME", OPTIONS_ROWS, take_word, AT(rows.grade), WORDS(grade_names, GRADE_COUNT),
         .help = "how sure the attribution is: exact, shared, relay, cgroup, netns, uid, gone, none"},
	{"outcome", 0, "NAME", OPTIONS_ROWS, take_word, AT(rows.outcome), WORDS(outcome_names, OUTCOME_COUNT),
         .help = "recorded, delivered, refused or aborted"},
	{"source", 0, "NAME", OPTIONS_ROWS, take_word, AT(rows.source), WORDS(source_names, SOURCE_COUNT),
         .help = "imds, identity, ecs, eks or self"},
	{"type", 0, "NAME", OPTIONS_FINDINGS, take_text, AT(found.type), .help = "type of finding"},
	{"severity", 0, "NAME", OPTIONS_FINDINGS, take_word, AT(found.severity), WORDS(severity_names, SEVERITY_COUNT),
         .help = "LOW, MEDIUM or HIGH"},
	{"id", 0, "ID", OPTIONS_FINDINGS, take_text, AT(found.id), .help = "id of the finding"},
	{"account", 0, "ACCOUNT", OPTIONS_FINDINGS, take_account, AT(found.remote_account),
         .help = "account from which the key was used, 12 digits"},
	{"state", 0, "NAME", OPTIONS_FINDINGS, take_word, AT(found.state),
         WORDS(review_state_names, REVIEW_STATE_COUNT), .help = "new, acknowledged or closed"},
	{"engine", 0, "NAME", OPTIONS_SQL, take_word, AT(engine), WORDS(sql_engine_names, SQL_ENGINE_COUNT),
         .help = "clickhouse, athena or duckdb"},
	{"trail", 0, "PLACE", OPTIONS_SQL, take_text, AT(trail), .help = "where the engine finds CloudTrail"},
	{"rows", 0, "PLACE", OPTIONS_SQL, take_text, AT(rows_at), .help = "where it finds the lines of ledgers"},
	{"file", 0, "FILE", OPTIONS_REPORT | OPTIONS_MERGE, take_text, AT(file),
         .help = "write there (default: standard output)"},
	{"note", 0, "TEXT", OPTIONS_REVIEW, take_text, AT(note),
         .help = "with ack, close, reopen and note: what to remember"},
	{"inventory", 0, "FILE", OPTIONS_DETECT | OPTIONS_SQL, take_text, AT(inventory),
         .help = "own accounts and networks (default /etc/keytrail/inventory.json, which need not exist)"},
	{"ip-ranges", 0, "FILE", OPTIONS_DETECT | OPTIONS_SQL, take_text, AT(ip_ranges),
         .help = "AWS's ip-ranges.json (default: the copy that is built in)"},
	{"fail-on", 0, "SEVERITY", OPTIONS_DETECT, take_fail_on, WORDS(fail_on_names, FAIL_ON_NONE + 1),
         .help = "exit status 3 from this severity on: LOW, MEDIUM (default), HIGH or NONE"},
	{"workers", 0, "NUMBER", OPTIONS_DETECT, take_workers,
         .help = "files read at a time (default: as many as there are processors)"},
	{"since", 0, "TIME", OPTIONS_SOURCE, take_time, AT(from.since_us),
         .help = "leave out files that CloudTrail delivered before this time: 6h (ago), 2026-01-31, or "
                 "2026-01-31T12:00:00Z"},
	{"until", 0, "TIME", OPTIONS_SOURCE, take_time, AT(from.until_us),
         .help = "leave out files that were delivered later than the slack after this time"},
	{"slack", 0, "SPAN", OPTIONS_SOURCE, take_span, AT(from.slack_us),
         .help = "how late CloudTrail may deliver: 24h (default), 90s, 15m, 2d"},
	{"account", 0, "ACCOUNT", OPTIONS_SOURCE, take_source_account,
         .help = "only files of this account, 12 digits; may be repeated"},
	{"region", 0, "REGION", OPTIONS_SOURCE | OPTIONS_MERGE, take_region,
         .help = "only files of this region; may be repeated"},
	{"profile", 0, "NAME", OPTIONS_SOURCE | OPTIONS_MERGE, take_profile,
         .help = "profile of AWS's shared files whose credentials are used (default: the environment's)"},
	{"lookup", 0, NULL, OPTIONS_PROOF, take_flag, AT(lookup),
         .help = "ask CloudTrail's LookupEvents for the keys and instances of the ledger: 90 days, no trail needed"},
	{"verify-digests", 0, NULL, OPTIONS_PROOF, take_flag, AT(verify_digests),
         .help = "hold the files against CloudTrail's signed digests first: is anything missing or changed?"},
	{"public-keys", 0, "FILE", OPTIONS_PROOF, take_text, AT(public_keys),
         .help = "CloudTrail's public keys, as `aws cloudtrail list-public-keys` prints them (default: AWS is asked)"},
	{"merge", 0, "FILE", OPTIONS_MERGE, take_text, AT(merge), .help = "add to this hand-written inventory"},
	{"once", 0, NULL, OPTIONS_WATCH, take_flag, AT(once), .help = "end when there is nothing new"},
	{"interval", 0, "SPAN", OPTIONS_WATCH, take_interval, AT(interval_us),
         .help = "time between two looks (default 5s; 1m for what is far away)"},
	{"checkpoint", 0, "FILE", OPTIONS_WATCH, take_text, AT(checkpoint),
         .help = "what was read and said (default: watch.db beside the findings)"},
	{"rules", 0, NULL, OPTIONS_RULES, take_flag, AT(list_rules), .help = "list the rules and do nothing else"},
	{"dry-run", 'n', NULL, OPTIONS_REDIRECT, take_flag, AT(dry_run),
         .help = "print what would be done, change nothing"},
	{"quiet", 'q', NULL, OPTIONS_REDIRECT, take_flag, AT(quiet), .help = "check: only the exit status"},
	{"accept-existing", 0, NULL, OPTIONS_REDIRECT, take_flag, AT(accept_existing),
         .help = "go ahead although other rules close the metadata service to somebody"},
	{"yes", 0, NULL, OPTIONS_SEAL, take_flag, AT(yes), .help = "do not ask"},
	{"help", 'h', NULL, 0, take_flag, AT(wants_help), .help = "show this help"},
	{"version", 'V', NULL, 0, take_flag, AT(wants_version), .help = "show the version"},
};
_Static_assert(ARRAY_LENGTH(table) < OPTION_ROWS, "argp needs a closing row");

static int option_key(size_t row)
{
	return table[row].letter != 0 ? table[row].letter : FIRST_LONG_KEY + (int)row;
}

static bool is_taken(const struct command *command, const struct argument *argument)
{
	return argument->groups == 0 || (argument->groups & command->options) != 0;
}

static error_t on_word(int key, char *value, struct argp_state *state)
{
	struct reading *reading = state->input;
	if (key == ARGP_KEY_ARG) {
		reading->arguments->operands[reading->arguments->operand_count++] = value;
		return 0;
	}
	if (key == ARGP_KEY_ERROR)
		reading->culprit = state->next;
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (option_key(i) == key)
			return table[i].take(reading, &table[i], value) < 0 ? EINVAL : 0;
	return ARGP_ERR_UNKNOWN;
}

/* argp's view of the table, as far as this command takes it. */
static struct argp make_parser(const struct command *command, struct argp_option rows[static OPTION_ROWS])
{
	size_t used = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (is_taken(command, &table[i]))
			rows[used++] = (struct argp_option){.name = table[i].name,
			                                    .key = option_key(i),
			                                    .arg = table[i].value,
			                                    .doc = table[i].help};
	return (struct argp){.options = rows, .parser = on_word, .args_doc = command->operands};
}

/* argp does not say which word it stumbled over, only how far it had come. */
static int refuse_word(const struct reading *reading, int argc, char **argv)
{
	int at = reading->culprit > 0 ? reading->culprit - 1 : 0;
	if ((at == 0 || argv[at][0] != '-') && at + 1 < argc)
		at++;
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
		const struct argument *argument = &table[i];
		bool is_this = (text_starts(argv[at], "--") && strcmp(argv[at] + 2, argument->name) == 0) ||
		               (argument->letter != 0 && argv[at][1] == argument->letter && argv[at][2] == '\0');
		if (is_this && is_taken(reading->command, argument) && argument->value != NULL)
			return error_set(reading->err, ERROR_USAGE, "%.80s: a value is missing, expected %s %s",
			                 argv[at], argv[at], argument->value);
	}
	return error_set(reading->err, ERROR_USAGE,
	                 "%.80s: no option of `%s`, or a bad use of one, expected what `keytrail %s --help` lists",
	                 argv[at], reading->command->name, reading->command->name);
}

MUST_USE static int check_operands(const struct arguments *arguments, struct error *err)
{
	const struct command *command = arguments->command;
	if (arguments->wants_help || arguments->wants_version || arguments->list_rules)
		return 0;
	if (arguments->rows.since_us != 0 && arguments->rows.until_us != 0 &&
	    arguments->rows.since_us >= arguments->rows.until_us)
		return error_set(err, ERROR_USAGE, "--since is not before --until: nothing can lie between them");
	if (arguments->from.since_us != 0 && arguments->from.until_us != 0 &&
	    arguments->from.since_us >= arguments->from.until_us)
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
	struct reading reading = {.arguments = &arguments, .command = command, .now_us = now_us, .err = &problem};

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
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
		const struct argument *argument = &table[i];
		if (!is_taken(command, argument) || index-- > 0)
			continue;
		bool is_narrow = argument->take == take_form && (command->options & OPTIONS_FORMS) == 0;
		*ret = (struct option_shape){.name = argument->name,
		                             .letter = argument->letter,
		                             .value = argument->value,
		                             .words = argument->names,
		                             .word_count = is_narrow ? FORM_OWN_COUNT : argument->name_count,
		                             .help = argument->help};
		return true;
	}
	return false;
}
