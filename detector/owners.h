/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/cidr.h"
#include "detector/claims.h"
#include "detector/map.h"

/* Whose an address or an endpoint was, and when, as CloudTrail's own records say: gathered in any order, then closed.
 * Between closings read-only and safe from any thread. */

#define CLAIMS_MAX ((size_t)500000) /* held; what comes then is not remembered */

/* An account had an address for a while. */
struct tenure {
	const char *address, *account;
	const char *holder;        /* an instance, a NAT gateway or a network interface; "" unknown */
	int64_t from_us, until_us; /* until: INT64_MAX while it lasts */
	const char *event_id;      /* of the record that it begins with */
};

struct owners {
	struct map texts;
	struct claim *claims;
	size_t claim_count, claim_capacity;
	bool is_full;
	struct tenure *tenures; /* by address, then time */
	size_t tenure_count, tenure_capacity;
	struct map by_address;  /* -> its first tenure */
	struct map by_endpoint; /* -> the first claim */
};

MUST_USE int owners_add(struct owners *owners, const struct claim *claim, struct error *err);
MUST_USE int owners_close(struct owners *owners, struct error *err);
void owners_done(struct owners *owners);

/* The tenures of an address that overlap `at_us`, give or take the slack: *ret_count of them from the returned one on,
 * in the order of time. NULL: none. */
#define OWNERS_SLACK_US (INT64_C(10) * 60 * 1000000)
const struct tenure *owners_of(const struct owners *owners, const char *address, int64_t at_us, size_t *ret_count);

/* The account that made an endpoint, NULL if that is not known. Ids of endpoints are never used twice, so this holds at
 * any time. *ret_event: the record that says so. */
const char *owners_endpoint(const struct owners *owners, const char *endpoint_id, const char **ret_event);
