/* SPDX-License-Identifier: Apache-2.0 */

/* Used in the home account, or from a private address, but not from where the ledger knows the instance to be. */
#include "detector/rule.h"

static bool matches(const struct use *use, struct ruling *ret)
{
	if (use->origin->verdict != VERDICT_ELSEWHERE)
		return false;
	*ret = (struct ruling){
		.severity = SEVERITY_MEDIUM,
		.rung = use->origin->rung,
		.confidence = use->origin->confidence,
	};
	return true;
}

const struct rule rule_other_instance = {
	.type = "InstanceCredentialExfiltration.OtherInstance",
	.summary = "instance credentials used in their own account, but not on their instance",
	.techniques = {"T1552.005", "T1078.004"},
	.matches = matches,
};
