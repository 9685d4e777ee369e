/* SPDX-License-Identifier: Apache-2.0 */

/* Used, though the machine's proxy never handed it out: the metadata service was asked past the proxy. That a ledger
 * does not know a key says nothing by itself: it must have seen everything from the key's issue to its use. */
#include <stdio.h>

#include "common/clock.h"
#include "detector/rule.h"

#define SURE_ISSUED 90   /* EC2's own record of the issue */
#define SURE_DELIVERY 85 /* the session's own word: delivered by version 1, which the proxy never asks for */
#define SURE_BOTH 95

static bool matches(const struct use *use, struct ruling *ret)
{
	const struct bypass *bypass = use->bypass;
	char issued[CLOCK_TEXT_BYTES];
	if (bypass == NULL || !bypass->is_covered || use->origin->verdict == VERDICT_AWS)
		return false;
	*ret = (struct ruling){
		.severity = SEVERITY_HIGH,
		.rung = use->origin->rung,
		.confidence = bypass->issue_event == NULL ? SURE_DELIVERY
	                      : bypass->is_version_1      ? SURE_BOTH
	                                                  : SURE_ISSUED,
	};
	(void)snprintf(ret->evidence, sizeof(ret->evidence),
	               "EC2 issued the key for %.40s at %s (%s%.60s); from then until its use the ledger saw all that "
	               "was asked there, and the key was never handed out%s",
	               use->event->session_instance, clock_format(bypass->issued_us, issued),
	               bypass->issue_event != NULL ? "event " : "creationDate of the session",
	               bypass->issue_event != NULL ? bypass->issue_event : "",
	               bypass->is_version_1
	                       ? "; it was delivered by IMDSv1 (ec2RoleDelivery 1.0), which the proxy never "
	                         "uses"
	                       : "");
	return true;
}

const struct rule rule_never_relayed = {
	.type = "InstanceCredentialUse.NeverRelayed",
	.summary = "instance credentials used that the instance's proxy never handed out",
	.techniques = {"T1552.005"},
	.matches = matches,
};
