/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Settings as a table: one row a key, the same table for parsing, defaults, checks and documentation. The file is INI:
 * `#` and `;` start comments at the start of a line or after white space; unknown sections and keys, repeated keys,
 * bad values and lines over OPTIONS_LINE_BYTES are errors that name the file and the line. */

#define OPTIONS_LINE_BYTES 198 /* the limit of inih as distributions build it, without comments */

enum option_type {
	OPTION_TEXT,   /* char[size]: one value */
	OPTION_INT,    /* int64_t within minimum and maximum */
	OPTION_CHOICE, /* int: index into choices */
};

struct option_choice {
	const char *name; /* NULL ends the list */
	bool unserved;    /* known, but not served by this version: refused by name */
};

struct option_row {
	const char *section, *key;
	enum option_type type;
	size_t offset, size;
	const char *default_text;
	int64_t minimum, maximum;
	const struct option_choice *choices;
	/* A further check of a text value; NULL: anything. Says in words what was expected. */
	bool (*is_valid)(const char *value);
	const char *expected;
	bool unserved_unless_default; /* known; any value but the default is refused by name */
	bool at_start_only;           /* a running program cannot change it */
};

/* A section with a name of its own: [allow "backup job"]. May be NULL where there is none. Called with `key` and
 * `value` NULL for the heading itself, then for each setting. Returns -1 with *err holding the text behind "file:line:
 * ". */
typedef int options_named(void *config, const char *section, const char *name, const char *key, const char *value,
                          struct error *err);

/* Called behind the last setting of such a section: -1 with *err when something is missing; the heading's line is
 * named.
 */
typedef int options_named_end(void *config, struct error *err);

struct options {
	const struct option_row *table;
	size_t count;
	options_named *named;
	options_named_end *named_end; /* may be NULL */
	bool forgiving; /* lines with something wrong are passed over, and the first of them goes to *err; NAMED is NULL
	                 */
};

/* Fills `config` with the defaults, then with what the file says. `path` NULL: defaults only. A missing file is
 * ERROR_MISSING; everything wrong in it is ERROR_INPUT. On failure `config` must not be used. */
MUST_USE int options_load(const struct options *options, const char *path, void *config, struct error *err);

/* The first row marked `at_start_only` that has another value in `b` than in `a`; NULL: none has. */
const struct option_row *options_fixed_change(const struct options *options, const void *a, const void *b);
