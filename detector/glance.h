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

/* False: to be parsed. That is: a member unknown here, or twice; a backslash or a line feed; white space between
 * members; no time or id; a shared event, an addendum, a sign-in, network activity; a call that teaches. Pure. */
bool glance_read(scan_outline_function *outline, const char *bytes, size_t length, struct glance *ret);

/* Does a record that begins here have its version and then its caller in front, the version as CloudTrail writes it?
 * Then userIdentity's value begins behind so many bytes, which there must be. */
#define GLANCE_HEAD_BYTES ((size_t)38)
bool glance_has_head(const char *bytes);

/* The same as glance_read of a record that has such a head, and then the value of userIdentity of `identity` bytes, of
 * which it is known from another record that it is one, without backslashes and line feeds. The record ends within
 * `length`: *ret_length. Nor has the rest of it any backslash or line feed. */
bool glance_go_on(scan_outline_function *outline, const char *bytes, size_t length, size_t identity, struct glance *ret,
                  size_t *ret_length);
