/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/command.h"
#include "cli/output.h"
#include "detector/source_layout.h"
#include "store/findings.h"
#include "store/ledger.h"

/* Options come in groups; a command takes those that its row in the table names. */
enum option_group {
	OPTIONS_OUTPUT = 1 << 0,   /* -o */
	OPTIONS_SETTINGS = 1 << 1, /* -c */
	OPTIONS_LEDGER = 1 << 2,   /* --ledger FILE */
	OPTIONS_ROWS = 1 << 3,     /* filters on deliveries */
	OPTIONS_FINDINGS = 1 << 4, /* filters on findings */
	OPTIONS_STORED = 1 << 5,   /* --findings FILE, to read */
	OPTIONS_FOLLOW = 1 << 6,   /* -f */
	OPTIONS_WHO = 1 << 7,      /* --finding FILE */
	OPTIONS_DETECT = 1 << 8,   /* the detector's own */
	OPTIONS_REDIRECT = 1 << 9, /* keytrail-redirect's own */
	OPTIONS_AUDIT = 1 << 11,   /* --anchor FILE, --before TIME */
	OPTIONS_VERIFY = 1 << 12,  /* --host-key FILE */
	OPTIONS_SOURCE = 1 << 13,  /* which of CloudTrail's files are read */
	OPTIONS_WATCH = 1 << 14,   /* --once, --interval, --checkpoint */
	OPTIONS_RULES = 1 << 15,   /* --rules */
	OPTIONS_FLEET = 1 << 16,   /* --cursor FILE, --into LEDGER */
	OPTIONS_PROOF = 1 << 18,   /* --lookup, --verify-digests, --public-keys */
	OPTIONS_MERGE = 1 << 19,   /* --merge FILE */
	OPTIONS_SEAL = 1 << 20,    /* --yes */
	OPTIONS_REVIEW = 1 << 21,  /* --note TEXT */
	OPTIONS_SQL = 1 << 24,     /* --engine, --trail, --rows; --inventory and --ip-ranges of the detector */
	OPTIONS_REPORT = 1 << 23,  /* --file FILE */
	OPTIONS_FORMS = 1 << 22,   /* -o also takes the forms of other tools: what it shows are findings */
	OPTIONS_DAEMON = 1 << 10,  /* none of its own: the command asks the daemon */
};

#define FAIL_ON_NONE SEVERITY_COUNT

/* A command line, read and checked. Texts are borrowed from argv. */
struct arguments {
	const struct command *command;
	enum form form;
	const char *settings; /* NULL: the default, which need not exist */
	const char **ledgers; /* each --ledger, but for `none` */
	size_t ledger_count;
	bool without_ledger;          /* --ledger none */
	const char *findings;         /* --findings FILE; NULL: beside the ledger; "": none */
	struct ledger_filter rows;    /* the filters, for lists of deliveries */
	struct findings_filter found; /* the same, for lists of findings */
	char *pattern;                /* made of what was given short, for --container or --type; owned */
	bool follow;
	const char *anchor;   /* --anchor FILE|- */
	int64_t before_us;    /* --before TIME; 0: not given */
	const char *cursor;   /* --cursor FILE */
	const char *into;     /* --into LEDGER */
	const char *host_key; /* --host-key FILE; NULL: beside the ledger */
	const char *reported; /* --finding FILE|- */
	const char *note;     /* --note TEXT */
	const char *engine;   /* --engine NAME; one of detector/sql/sql.h */
	const char *trail;    /* --trail PLACE */
	const char *rows_at;  /* --rows PLACE */
	const char *file;     /* --file FILE; NULL: standard output */
	const char *inventory, *ip_ranges;
	struct source_filter from; /* which files, by what their names say; lists are borrowed from below */
	const char **accounts, **regions;
	const char *checkpoint;
	int64_t interval_us; /* 0: not given */
	bool once;
	const char **profiles; /* each --profile NAME: whose credentials; none: as the environment has it */
	size_t profile_count;
	bool lookup, verify_digests;
	const char *public_keys;
	const char *merge;
	int fail_on;    /* enum severity, or FAIL_ON_NONE */
	size_t workers; /* --workers NUMBER; 0: not given */
	bool list_rules;
	bool yes;
	bool dry_run, quiet, accept_existing;
	bool wants_help, wants_version;
	char **operands;
	int operand_count;
};

/* Reads what stands behind the command's name: argv[0] is the name itself. ERROR_USAGE in one line when it is not what
 * the command takes. `now_us` is what --since 6h counts from. Writes and exits nothing. */
MUST_USE int arguments_parse(const struct command *command, int argc, char **argv, int64_t now_us,
                             struct arguments *ret, struct error *err);
void arguments_done(struct arguments *arguments);
#define CLEANUP_ARGUMENTS CLEANUP(arguments_done)

/* What --help prints. */
void arguments_help(const struct command *command, FILE *to);

/* One option of a command, for completion. Texts are constant. */
struct option_shape {
	const char *name;
	char letter;              /* 0: none */
	const char *value;        /* as help shows it (FILE, TIME, ...); NULL: takes none */
	const char *const *words; /* what the value can be; NULL: anything */
	int word_count;
	const char *help;
};

/* The index-th option of a command; false: there are no more. */
bool arguments_option(const struct command *command, size_t index, struct option_shape *ret);
