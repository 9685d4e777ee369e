/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "cli/columns.h"
#include "common/json.h"

/* THE PLACE where a list of objects becomes one of the forms. Rows are written as they come, but for tables, whose
 * widths are known only at the end. Not shared between threads. */
enum form {
	FORM_TABLE,
	FORM_JSON,
	FORM_JSONL,
	FORM_CSV,
	FORM_OWN_COUNT, /* of all commands; those of other tools follow, for findings alone */
	FORM_ASFF = FORM_OWN_COUNT,
	FORM_OCSF,
	FORM_GUARDDUTY,
	FORM_TIMESKETCH,
	FORM_COUNT,
};
extern const char *const form_names[FORM_COUNT];

struct output;

struct output_options {
	enum form form;
	const struct columns *columns; /* for tables and CSV; borrowed */
	FILE *stream;
	bool steady;                   /* rows are shown in batches: tables keep their widths */
	const char *opening, *closing; /* what stands around the rows in JSON; NULL: [ and ] */
};

MUST_USE int output_open(const struct output_options *options, struct output **ret, struct error *err);

/* A ledger_visit: writes one object; `output` is a struct output. */
MUST_USE int output_row(void *output, const json_t *object, struct error *err);

/* Shows what came so far: what follows a live ledger calls it after each batch. */
MUST_USE int output_flush(struct output *output, struct error *err);

/* Writes what is left and the end, checks that all of it was taken, and frees, also on failure. */
MUST_USE int output_close(struct output *output, struct error *err);
/* Frees without writing anything more. NULL is fine. */
void output_drop(struct output *output);

/* Has the reader gone away (EPIPE)? It had what it wanted: this is no error. */
bool output_is_abandoned(const struct output *output);

static inline void cleanup_output(struct output **output)
{
	output_drop(*output);
}
#define CLEANUP_OUTPUT CLEANUP(cleanup_output)

/* One object on its own: JSON Lines' form, for json as well. */
MUST_USE int output_object(FILE *stream, const json_t *object, struct error *err);

/* Flushes; -1 with the reason when what was written did not arrive, ERROR_NONE when the reader has just gone away. */
MUST_USE int output_finish(FILE *stream, struct error *err);
