/* SPDX-License-Identifier: Apache-2.0 */

/* Used from another account's place inside AWS. */
#include "detector/rule.h"

/* An address in EC2's ranges alone names no account, and a NAT gateway that nobody wrote down looks the same. */
static bool is_doubtful(const struct origin *origin)
{
	return origin->account_id[0] == '\0' && origin->rung == 5;
}

static bool matches(const struct use *use, struct ruling *ret)
{
	const struct origin *origin = use->origin;
	if (origin->verdict != VERDICT_INSIDE)
		return false;
	bool is_medium = origin->relation == RELATION_AFFILIATED || is_doubtful(origin);
	*ret = (struct ruling){
		.severity = is_medium ? SEVERITY_MEDIUM : SEVERITY_HIGH,
		.rung = origin->rung,
		.confidence = origin->confidence,
	};
	return true;
}

const struct rule rule_inside_aws = {
	.type = "InstanceCredentialExfiltration.InsideAWS",
	.summary = "instance credentials used from another AWS account",
	.techniques = {"T1552.005", "T1078.004"},
	.matches = matches,
};
