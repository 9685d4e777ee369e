/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* Findings in the forms of other tools. One form a file (output_*.c), each ends in one of these; where it differs from
 * what the format's owner does is said in docs/findings.md. What a format requires and is not known here says so
 * ("unknown"); nothing is made up. */
struct output_form {
	const char *name;
	/* Adds the objects that one finding becomes to a list. ERROR_MEMORY. Pure. */
	int (*make)(const json_t *finding, json_t *to, struct error *err);
};

extern const struct output_form output_asff;       /* Security Hub */
extern const struct output_form output_ocsf;       /* Detection Finding, class 2004 */
extern const struct output_form output_guardduty;  /* GuardDuty's own, as it is on the wire */
extern const struct output_form output_timesketch; /* one object a point in time */

/* ---- what the forms share */

#define OUTPUT_UNKNOWN "unknown"

/* A string cut between characters to at most `limit` bytes; NULL for NULL, and for what is empty or only white space.
 * New reference. */
json_t *output_text(const char *text, size_t limit);

/* One of verdict.h's sentences, cut like that; both of them, one behind the other. New reference. */
json_t *output_title(const json_t *finding, size_t limit);
json_t *output_description(const json_t *finding, size_t limit);

/* The region of most calls, else the instance's, else OUTPUT_UNKNOWN; the partition that it lies in. */
const char *output_region(const json_t *finding);
const char *output_partition(const json_t *finding);
/* The home account, or OUTPUT_UNKNOWN. */
const char *output_account(const json_t *finding);

/* Created when first seen; updated when last seen, or when somebody set its state after that. */
const char *output_updated(const json_t *finding);

/* The first of a list at that path, or NULL. Borrowed. */
const json_t *output_first(const json_t *value, const char *path);

/* A time at a path, in units of that many microseconds; NULL where there is none. New reference. */
json_t *output_time(const json_t *value, const char *path, int64_t unit_us);

/* Where the calls came from, as far as it is no endpoint: a source that is no address has a member of its own. */
enum output_source { OUTPUT_SOURCE_NONE, OUTPUT_SOURCE_V4, OUTPUT_SOURCE_V6, OUTPUT_SOURCE_OTHER };
enum output_source output_source(const json_t *finding, const char **ret_text);

/* The last part of a path. */
const char *output_file_name(const char *path);

/* A command line as one text, quoted nowhere. NULL without one. New reference. */
json_t *output_command(const json_t *process, size_t limit);

/* Puts what is there: nothing for NULL. Steals `value`. */
void output_put(json_t *object, const char *key, json_t *value);

/* Is the finding in that state (store/review.h)? Without one it is new. */
bool output_has_state(const json_t *finding, const char *state);
