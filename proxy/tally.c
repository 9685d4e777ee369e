/* SPDX-License-Identifier: Apache-2.0 */

/* Which class a request belongs to and how it ended: by what is known of it when all is over. */
#include "proxy/tally.h"

#include <string.h>

#include "common/clock.h"

static enum request_class class_of(const struct tally *tally)
{
	const struct route *route = tally->facts->route;
	if (tally->facts->path == NULL)
		return CLASS_OTHER;
	if (route->kind != ROUTE_OTHER)
		return CLASS_TOKEN;
	bool is_container = route->source == SOURCE_ECS || route->source == SOURCE_EKS;
	bool is_credential = tally->keys > 0 || route->role[0] != '\0' ||
	                     (is_container && strstr(route->path, "credentials") != NULL);
	return is_credential ? CLASS_CREDENTIAL : CLASS_METADATA;
}

static enum request_result result_of(const struct tally *tally)
{
	if (tally->refused != 0)
		return tally->refused == 503 ? RESULT_FAILED : RESULT_REFUSED;
	if (!tally->is_sent)
		return RESULT_ABORTED;
	return tally->keys > 0 || tally->facts->route->kind == ROUTE_TOKEN ? RESULT_DELIVERED : RESULT_RELAYED;
}

void tally_add(struct counts *counts, const struct tally *tally)
{
	const struct record_facts *facts = tally->facts;
	const struct attribution *attribution = facts->attribution;
	const struct outcome_facts outcome = {
		.class = class_of(tally),
		.result = result_of(tally),
		.took_us = clock_monotonic_us() - tally->started_us,
		.reason = facts->reason,
		.without_token = *facts->without_token,
		.has_extra = facts->request->has_extra,
		.keys = tally->keys,
		.was_attributed = attribution != NULL,
		.grade = attribution != NULL ? attribution->grade : GRADE_NONE,
		.method = attribution != NULL && attribution->method[0] != '\0' ? attribution->method : NULL,
	};
	counts_add(counts, &outcome);
}
