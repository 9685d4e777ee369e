/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/rule.h"
#include "store/findings.h"

/* From a use that a rule matched to the row that findings are made of. */
struct finding {
	struct findings_use use; /* texts are lent by the struct use it was made from */
	json_t *facts;           /* owned */
};

MUST_USE int finding_make(const struct rule *rule, const struct use *use, const struct ruling *ruling,
                          struct finding *ret, struct error *err);
void finding_done(struct finding *finding);

/* A number that is the same for records that say the same, however they are written. */
uint64_t finding_version(const struct event *event);
