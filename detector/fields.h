/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

/* Fields of a CloudTrail record into a struct, by a table that says where each stands: one walk, no tree. What is not
 * in the table is passed over, and a field that does not hold what it should counts as absent. */

enum field_type {
	FIELD_TEXT,   /* char[size]; a text that does not fit becomes "" */
	FIELD_CUT,    /* char[size]; a text that does not fit is cut */
	FIELD_FLAG,   /* bool: true, or the text "true" */
	FIELD_OBJECT, /* `children` */
};

struct field {
	const char *name;
	size_t name_length;
	enum field_type type;
	size_t offset, size;
	const struct field *children;
	size_t child_count;
};

#define FIELD(json, type, structure, field)                                                                            \
	{                                                                                                              \
		json, sizeof(json) - 1, type, offsetof(structure, field), sizeof(((structure *)NULL)->field), NULL, 0  \
	}
#define FIELDS(json, table)                                                                                            \
	{                                                                                                              \
		json, sizeof(json) - 1, FIELD_OBJECT, 0, 0, table, ARRAY_LENGTH(table)                                 \
	}

/* The record itself, in whatever it came: as CloudTrail writes it, in the form of LookupEvents (CloudTrailEvent holds
 * it as a string) or in an EventBridge event (under `detail`). */
struct record_text {
	const char *bytes;
	size_t length;
	char *owned; /* a decoded CloudTrailEvent, or NULL */
};

/* False: not a JSON object as far as it was read. */
MUST_USE bool record_text_find(const char *bytes, size_t length, struct record_text *ret);
void record_text_done(struct record_text *text);

/* `to` starts as zeros. False: not a JSON object as far as it was read. Pure. */
MUST_USE bool fields_read(const struct record_text *text, const struct field *fields, size_t count, void *to);
