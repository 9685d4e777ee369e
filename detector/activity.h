/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/event.h"
#include "detector/map.h"

/* NetworkActivity records: the owner of a VPC endpoint logs calls that pass it, also those of other accounts' keys.
 * Such a record says through whose endpoint a call came. Gathered in any order, then closed; then read-only. */

#define ACTIVITY_MAX ((size_t)500000) /* held; what comes then is not remembered */

struct passage {
	uint64_t shared, request; /* digests of sharedEventID and requestID; 0: none */
	uint64_t principal;
	int64_t at_us;
	const char *owner, *endpoint_id, *event_id;
	bool is_stored; /* of an earlier run */
};

struct activity {
	struct map texts;
	struct passage *passages; /* by shared, once closed */
	struct passage *requests; /* the same by request */
	size_t count, capacity;
	bool is_full;
};

/* Takes a NetworkActivity record that the owner of the endpoint got about somebody else's call. */
MUST_USE int activity_add(struct activity *activity, const struct event *event, struct error *err);
/* One that was learned before; its texts are copied. */
MUST_USE int activity_put(struct activity *activity, struct passage passage, struct error *err);

/* In order; of records that came twice one stays. */
MUST_USE int activity_close(struct activity *activity, struct error *err);
void activity_done(struct activity *activity);

/* The passage of the same call: by sharedEventID, else by requestID, near in time and, where both name one, with the
 * same principal. NULL: none; or several that name different owners. */
const struct passage *activity_of(const struct activity *activity, const struct event *event);

/* Digests of what joins the two records of one call; 0 where the record has no such id. */
uint64_t activity_shared(const struct event *event);
uint64_t activity_request(const struct event *event);

/* Is there a passage of this request, whoever made it? Only once closed; before that, there is none. */
bool activity_has_request(const struct activity *activity, uint64_t request);
uint64_t activity_digest(const char *text, size_t length);
