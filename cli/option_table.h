/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cli/arguments.h"

/* One option of the command line, as a row: between THE TABLE (option_table.c), what takes values (option_take.h) and
 * who reads the command line (arguments.c). Nobody else needs it. */

/* A command line that is being read. */
struct option_reading {
	struct arguments *arguments;   /* where values go; texts are borrowed from argv */
	const struct command *command; /* what it says narrows what some options take */
	int64_t now_us;                /* what "6h ago" counts from */
	int culprit;                   /* index in argv of what argp did not understand */
	struct error *err;             /* what was wrong, in one line */
};

struct option_row;
/* Checks one value and puts it where the row says; -1 with reading->err (ERROR_USAGE) for what it does not take. */
typedef int option_taker(struct option_reading *reading, const struct option_row *row, const char *value);

struct option_row {
	const char *name;
	char letter;       /* 0: none */
	const char *value; /* as help shows it; NULL: takes none */
	unsigned groups;   /* enum option_group; 0: every command takes it */
	option_taker *take;
	size_t offset;            /* in struct arguments, of what the value is for */
	size_t second;            /* another place for the same value (findings have filters of their own); 0: none */
	size_t flag;              /* of the bool that says that a number was given; 0: none */
	const char *const *names; /* the words that it takes; NULL: anything */
	int name_count;
	const char *help;
};

#define OPTION_ROWS 80 /* room for all of them, argp's closing row included */

/* THE TABLE, in the order in which help lists it. */
extern const struct option_row option_rows[];
extern const size_t option_row_count;
