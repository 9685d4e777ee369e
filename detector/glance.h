/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "detector/scan.h"

/* The few fields of a record that decide where a call came from, as they stand in it, without reading the rest. Only
 * records written as CloudTrail writes them can be taken in at a glance: whatever is odd in any way must be parsed. */

enum glance_field {
	/* What a verdict follows from, and the time: */
	GLANCE_IDENTITY, /* the whole object */
	GLANCE_SOURCE,
	GLANCE_ENDPOINT,
	GLANCE_ENDPOINT_ACCOUNT,
	GLANCE_RECIPIENT,
	GLANCE_DECIDING, /* how many those are */
	/* What must be looked at besides: */
	GLANCE_TIME = GLANCE_DECIDING,
	GLANCE_ID,
	GLANCE_REQUEST,
	GLANCE_NAME,
	GLANCE_TYPE,
	GLANCE_CATEGORY,
	GLANCE_FIELDS,
};

struct glance_text {
	const char *text; /* lent from the record, without quotes; NULL: absent or null */
	size_t length;
};

struct glance {
	struct glance_text fields[GLANCE_FIELDS];
	int64_t at_us;
	uint64_t id_hash; /* map_quick of GLANCE_ID */
};

/* False: to be parsed. That is: a member unknown here, or twice; an escape in a field that matters; white space between
 * members; no time or id; a shared event, an addendum, a sign-in, network activity; a call that teaches. Pure. */
bool glance_read(scan_outline_function *outline, const char *bytes, size_t length, struct glance *ret);
