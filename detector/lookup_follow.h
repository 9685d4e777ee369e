/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/lineage.h"

/* What LookupEvents has answered says who got which key from ours: whom to ask for next. {0} but for lineage.tracked is
 * an empty one. */

struct follow {
	struct lineage lineage;
	struct map taken; /* what follow_next gave, "ATTRIBUTE VALUE" */
	struct map users; /* unique ids of users; value: the place of the name in `names` */
	struct map texts;
	const char **names;
	size_t name_count, name_capacity;
	size_t *order; /* of those that are to be asked for, in follow_open's order */
	size_t count, at;
};

/* Takes one record, as LookupEvents has it. */
MUST_USE int follow_take(struct follow *follow, const char *record, struct error *err);

/* Works out from all records so far who descends from the ledger's keys and sessions; then follow_next gives those that
 * were not given before, the newest first. */
MUST_USE int follow_open(struct follow *follow, struct error *err);

/* What to ask for, as LookupEvents has it: AccessKeyId, or Username. Lent until the next follow_open. *ret_more false:
 * that was all. *ret_expires_us: since when it is good for nothing; 0: not known, or never. */
MUST_USE int follow_next(struct follow *follow, const char **ret_attribute, const char **ret_value,
                         int64_t *ret_expires_us, bool *ret_more, struct error *err);
void follow_done(struct follow *follow);
