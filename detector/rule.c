/* SPDX-License-Identifier: Apache-2.0 */

/* The list of rules: one file each under rules/. */
#include "detector/rule.h"

const struct rule *const rules[RULE_COUNT] = {
	&rule_inside_aws, &rule_outside_aws, &rule_other_instance, &rule_never_relayed, &rule_after_expiry,
};
