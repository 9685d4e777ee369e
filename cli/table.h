/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "cli/columns.h"
#include "common/json.h"

/* Tables for people. Every cell goes through cli/printable.h. The only header behind which libsmartcols is
 * met. Not shared between threads. */
struct table;

struct table_look {
	FILE *stream;
	size_t width; /* of the terminal; 0: as wide as it gets */
	bool colours;
	int64_t now_us; /* what "ago" counts from */
	bool steady;    /* columns keep their width from one print to the next */
};

/* The stream's terminal: its width (else COLUMNS, else 0), and whether colours are welcome (NO_COLOR, TERM=dumb),
 * and the time. */
struct table_look table_look_at(FILE *stream);

MUST_USE int table_new(const struct columns *columns, const struct table_look *look, struct table **ret,
                       struct error *err);
MUST_USE int table_add(struct table *table, const json_t *object, struct error *err);

/* Prints what was added since the last time, headings the first time only. */
MUST_USE int table_print(struct table *table, struct error *err);
void table_free(struct table *table);
