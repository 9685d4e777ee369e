/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/json.h"

/* What of an object stands in a list, as a table: one row a column, for tables and CSV alike. */

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,  /* to the right */
	COLUMN_COMMAND, /* a list of arguments, shown as a shell would take them */
	COLUMN_AGO,     /* a time, as how long ago it is; in tables only */
	COLUMN_TAIL,    /* what is behind the last dot, where all of it has no room; in tables only */
	COLUMN_ID,      /* the first `width` digits of an id, else 8, as commands take them; in tables only */
	COLUMN_PID, /* of a delivery: with +N where N more held the connection, ? where it is not certain otherwise */
	COLUMN_SUSPECT, /* of a finding: the one receiver that stands out, or why there is none */
	COLUMN_STATE,   /* of a finding: with +N uses that came after it was set */
	COLUMN_VERDICT, /* a grade, outcome or severity: coloured where it wants attention */
};

struct column {
	const char *path;    /* dotted, in the object (a number: an element of a list); also the heading in CSV */
	const char *heading; /* in tables; NULL: in CSV only */
	enum column_kind kind;
	size_t from_width;     /* narrower terminals leave it out */
	size_t below_width;    /* and those at least this wide; 0: none does */
	bool wraps;            /* may take several lines; others are never cut */
	const char *otherwise; /* a table shows this path instead where the first is null; may be NULL */
	size_t width;          /* at least this wide where rows come in batches (`-f`); 0: the heading's */
};

struct columns {
	const struct column *column;
	size_t count;
};

/* What stands at a column's path; NULL when absent or null. Borrowed. */
const json_t *columns_value(const json_t *object, const char *path);

/* Is it a field of its own, or only another look at one: how long ago, the first digits? Pure. */
bool columns_is_field(const struct column *column);

extern const struct columns columns_deliveries, columns_keys, columns_processes, columns_findings, columns_rules,
	columns_simulation, columns_verification, columns_anchor, columns_import, columns_pruning, columns_seal,
	columns_matches;
extern const struct columns columns_who;    /* deliveries and findings in one CSV, told apart by `kind` */
extern const struct columns columns_status; /* CSV only */
extern const struct columns columns_steps;  /* CSV only: of `contain` */
