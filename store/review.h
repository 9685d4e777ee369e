/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/findings.h"

/* What people say about findings: a state and notes. It is kept apart from what the detector says: a run that makes a
 * finding anew, or takes it back and finds it again, leaves it as it was. */

enum review_state { REVIEW_NEW, REVIEW_ACKNOWLEDGED, REVIEW_CLOSED, REVIEW_STATE_COUNT };
extern const char *const review_state_names[REVIEW_STATE_COUNT]; /* new, acknowledged, closed */

#define REVIEW_NOTE_BYTES 4096 /* longest note */
#define REVIEW_NOTES_MAX 1000  /* of one finding: a list for people */
#define REVIEW_ID_PREFIX 8     /* digits of an id that may stand for all of it */

/* Lower-case hexadecimal digits, REVIEW_ID_PREFIX to 64 of them: an id, or the beginning of one. */
bool review_is_id(const char *text);

/* The whole id of the one finding whose id begins so: ERROR_MISSING when there is none, ERROR_USAGE when there are
 * several. */
MUST_USE int review_find(struct findings *findings, const char *prefix, char ret[static DIGEST_HEX_BYTES],
                         struct error *err);

struct review {
	const char *id; /* of a finding that is there */
	bool sets_state;
	enum review_state state; /* if sets_state */
	const char *note;        /* NULL: none */
	const char *by;          /* who says so, for people */
	int64_t at_us;
};

/* Durable when it returns. Setting the state that it has already is no change, but counts anew: uses from before it are
 * no longer new ones. */
MUST_USE int review_set(struct findings *findings, const struct review *review, struct error *err);

/* Puts `state`, `state_at` (null: nobody has looked), `new_uses` (since the state was set; null as long as it is new)
 * and `notes[]` of {at, by, state, text} into a finding. */
MUST_USE int review_put(struct findings *findings, json_t *finding, struct error *err);
