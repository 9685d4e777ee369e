/* SPDX-License-Identifier: Apache-2.0 */

/* Used after the key's Expiration. AWS refuses expired keys, so a call that was let through means a skewed clock or a
 * forged log; a refused one means that somebody still tries. */
#include <stdio.h>

#include "common/clock.h"
#include "detector/rule.h"

#define SLACK_US (5 * 60 * CLOCK_SECOND_US) /* two clocks */

static bool matches(const struct use *use, struct ruling *ret)
{
	char expired[CLOCK_TEXT_BYTES];
	int64_t expires_us = 0;
	if (use->key != NULL)
		expires_us = use->key->expires_at_us;
	else if (use->derived != NULL && use->derived->kind == LINK_KEY && use->event->access_key_id[0] != '\0')
		expires_us = use->derived->expires_us;
	if (expires_us == 0 || use->origin->verdict == VERDICT_AWS || use->event->at_us <= expires_us + SLACK_US)
		return false;
	*ret = (struct ruling){.severity = SEVERITY_LOW, .rung = use->origin->rung, .confidence = 80};
	(void)snprintf(ret->evidence, sizeof(ret->evidence), "the key expired at %s",
	               clock_format(expires_us, expired));
	return true;
}

const struct rule rule_after_expiry = {
	.type = "InstanceCredentialUse.AfterExpiry",
	.summary = "instance credentials used after they had expired",
	.techniques = {"T1078.004"},
	.matches = matches,
};
