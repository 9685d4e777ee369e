/* SPDX-License-Identifier: Apache-2.0 */

/* The one place where evidence becomes a claim. */
#include "proxy/witness/grade.h"

enum grade grade_of(const struct evidence *evidence)
{
	if (!evidence->has_tuple || evidence->is_ambiguous)
		return GRADE_NONE;
	if (!evidence->is_found && !evidence->is_output)
		return GRADE_NETNS;
	if (!evidence->is_found || !evidence->is_alive)
		return evidence->has_looked ? GRADE_GONE : GRADE_NONE; /* not to be able to look is no sign of going */
	if (evidence->holders > 0 && evidence->is_relay)
		return GRADE_RELAY;
	if (evidence->holders > 1 || (evidence->holders == 1 && evidence->owner_differs))
		return GRADE_SHARED;
	if (evidence->holders == 1 && evidence->is_complete)
		return GRADE_EXACT;
	return evidence->has_cgroup ? GRADE_CGROUP : GRADE_UID;
}
