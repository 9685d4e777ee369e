/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"

struct arguments;

/* What keytrail(1) promises of its exit status. */
enum status {
	STATUS_FINE = 0,
	STATUS_ERROR = 1,
	STATUS_USAGE = 2,
	STATUS_FOUND = 3,      /* findings, or something that is not whole */
	STATUS_INCOMPLETE = 4, /* nothing found, but not everything could be looked at */
};

/* Does the work and gives the exit status; -1 with *err when it could not be done. */
typedef int command_run(const struct arguments *arguments, enum status *ret, struct error *err);

/* One subcommand: the file cmd_NAME.c ends in one of these. main.c lists them; dispatch, usage and help read them. */
struct command {
	const char *name;
	const char *operands; /* as the usage line shows them, "" for none */
	const char *summary;  /* one line, for the list of commands */
	const char *details;  /* paragraphs for --help, "" for none */
	const char *examples; /* lines for --help */
	unsigned options;     /* which groups of options it takes: enum option_group */
	int minimum, maximum; /* number of operands; maximum -1: any */
	command_run *run;
};

extern const struct command command_status, command_deliveries, command_who, command_keys, command_processes,
	command_findings, command_detect, command_policy, command_verify, command_ledger, command_redirect,
	command_seal, command_dead, command_watch, command_inventory, command_contain, command_report, command_sql,
	command_completion;
