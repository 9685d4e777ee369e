/* SPDX-License-Identifier: Apache-2.0 */

/* Used from an address that is not EC2's. */
#include "detector/rule.h"

static bool matches(const struct use *use, struct ruling *ret)
{
	if (use->origin->verdict != VERDICT_OUTSIDE)
		return false;
	*ret = (struct ruling){
		.severity = SEVERITY_HIGH,
		.rung = use->origin->rung,
		.confidence = use->origin->confidence,
	};
	return true;
}

const struct rule rule_outside_aws = {
	.type = "InstanceCredentialExfiltration.OutsideAWS",
	.summary = "instance credentials used from outside of AWS",
	.techniques = {"T1552.005", "T1078.004"},
	.matches = matches,
};
