/* SPDX-License-Identifier: Apache-2.0 */

/* What is a top-level object: one record, or something that holds records? Told by the names of its members, so that
 * the order in which a tool writes them does not matter. Pure. */
#include "detector/records.h"
#include "detector/walk.h"

static bool is_one_of(const char *const *names, size_t count, const struct walk_name *name)
{
	for (size_t i = 0; i < count; i++)
		if (walk_name_is(name, names[i]))
			return true;
	return false;
}

enum records_kind records_look(const char *bytes, size_t length, size_t *ret_array)
{
	static const char *const holders[] = {"Records", "Events"};
	/* Any of these is enough to know a record by; nearly always it is the first member. */
	static const char *const fields[] = {
		"eventVersion",
		"userIdentity",
		"eventTime",
		"eventSource",
		"eventName",
		"awsRegion",
		"sourceIPAddress",
		"userAgent",
		"requestParameters",
		"responseElements",
		"requestID",
		"eventID",
		"readOnly",
		"eventType",
		"managementEvent",
		"recipientAccountId",
		"eventCategory",
		"errorCode",
		"errorMessage",
		"resources",
		"tlsDetails",
		"additionalEventData",
		"sharedEventID",
		"vpcEndpointId",
		"@timestamp",
		"@version",
		"CloudTrailEvent",
		"EventId",
		"detail",
		"detail-type",
	};
	struct walk walk = {bytes, bytes + length};
	struct walk_name name;
	if (!walk_enter(&walk, '{'))
		return RECORDS_ONE;
	for (bool first = true;; first = false) {
		enum walk_step step = walk_next(&walk, first, &name);
		if (step == WALK_END)
			return RECORDS_OTHER;
		if (step == WALK_BROKEN || walk_peek(&walk) == '\0')
			return walk_peek(&walk) == '\0' ? RECORDS_UNDECIDED : RECORDS_ONE;
		if (is_one_of(holders, ARRAY_LENGTH(holders), &name) && walk_peek(&walk) == '[') {
			*ret_array = (size_t)(walk.at - bytes);
			return RECORDS_HOLDER;
		}
		if (is_one_of(fields, ARRAY_LENGTH(fields), &name))
			return RECORDS_ONE;
		if (!walk_skip(&walk))
			return walk_peek(&walk) == '\0' ? RECORDS_UNDECIDED : RECORDS_ONE;
	}
}
