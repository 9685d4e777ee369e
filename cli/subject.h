/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/arguments.h"
#include "store/findings_uses.h"

/* What `contain` and `report` are about: a KEY, or a FINDING by its id or the beginning of it, and all that ledger and
 * findings know of it. */
struct subject {
	char key[KEY_ID_BYTES];  /* that was used or delivered; "" for a finding whose records name none */
	char root[KEY_ID_BYTES]; /* the delivered key that it descends from; most often the same */
	json_t *findings;        /* on that key or on one that descends from it: the named one first, or the one that
	                            says most of what is to be done; then by severity */
	json_t *delivered;       /* of ledger_keys, for `root`; null if it was never handed out by this ledger */
	json_t *deliveries;      /* of `root`, oldest first, at most SUBJECT_ROWS_MAX */
	size_t deliveries_omitted;
	json_t *uses; /* of all those findings: store/findings.h's, by time, at most SUBJECT_ROWS_MAX */
	int64_t uses_omitted;
	json_t *coverage;   /* of the life of `root`, or null */
	const char *ledger; /* as the command line names it; NULL: the system's */
};

#define SUBJECT_ROWS_MAX 2000 /* what a page or a list for people can hold */

/* Reads ledger and findings as the arguments name them. A ledger that is not there is no hindrance when there are
 * findings. `text` that is neither a key nor an id is ERROR_USAGE. */
MUST_USE int subject_find(const struct arguments *arguments, const char *text, int64_t now_us, struct subject *ret,
                          struct error *err);
void subject_done(struct subject *subject);
#define CLEANUP_SUBJECT CLEANUP(subject_done)
