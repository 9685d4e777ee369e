/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "detector/tracked.h"
#include "store/ledger.h"

/* Who could have leaked the key of a finding: the processes that the ledgers say received it, the likeliest first, each
 * with its reasons. */

#define SUSPECTS_MAX 100 /* listed; how many more there were is said */

/* Puts `suspects`, `suspects_omitted` and `suspects_note` into a finding that has access_key_id, lineage, first_seen
 * and user_agents. Of a derived key they are the receivers of the key that it descends from. `tracked` (NULL: nothing)
 * says how the machines' clocks differed from AWS's. */
MUST_USE int suspects_put(json_t *finding, struct ledger *const *ledgers, size_t count, const struct tracked *tracked,
                          struct error *err);

/* What suspects_note says. */
enum suspects_note {
	SUSPECTS_STAND_OUT,   /* the first does: no note */
	SUSPECTS_ONLY,        /* the first is the only one, for sure */
	SUSPECTS_ONLY_UNSURE, /* the same, but whether it was that process is not certain */
	SUSPECTS_ALIKE,       /* all that come into question are alike */
	SUSPECTS_SOME_ALIKE,  /* the first ones are */
	SUSPECTS_NOBODY,      /* nobody comes into question */
	SUSPECTS_NOTE_COUNT,
};
enum suspects_note suspects_note_of(const json_t *finding);

#define SUSPECTS_SLACK_US INT64_C(300000000) /* what a machine's clock and CloudTrail's may differ by unsaid */

/* Does a reason of an entry of suspects[] say that they differed by more? */
bool suspects_tells_of_clock(const char *reason);

/* The one to name where there is room for one only; NULL where that might accuse the wrong one. Borrowed. */
const json_t *suspects_first(const json_t *finding);
