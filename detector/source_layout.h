/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "store/model.h"

/* What the names in CloudTrail's own layout say:
 *   [PREFIX/]AWSLogs/[o-ORGANISATION/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_ID.json.gz
 * Pure. A name that is none of these says nothing, and is then never a reason to leave a file out. */

enum source_kind {
	SOURCE_LOG,    /* or not known to be anything else */
	SOURCE_DIGEST, /* below CloudTrail-Digest */
	SOURCE_OTHER,  /* Insight, and other services' folders beside CloudTrail's */
};

struct source_place {
	enum source_kind kind;
	char account[ACCOUNT_BYTES]; /* "" : not said */
	char region[32];
	int64_t from_us, until_us; /* when files of this place were delivered; until 0: not said */
	bool is_day;               /* a folder of one day, or what lies in it */
};

/* Of a path or an object's key, of a file or of a folder. */
struct source_place source_place_of(const char *path);

/* Which places are wanted. All zero: every one. */
struct source_filter {
	int64_t since_us, until_us; /* of the events; 0: no bound */
	int64_t slack_us;           /* how late a file may be delivered */
	const char *const *accounts;
	size_t account_count;
	const char *const *regions;
	size_t region_count;
};

#define SOURCE_SLACK_US                                                                                                \
	(INT64_C(24) * 3600 * 1000000) /* CloudTrail says 5 minutes on average, and promises nothing                   \
	                                */

/* False only when nothing in this place can be wanted. A file is delivered after all of its events, and up to the slack
 * after them, so its name bounds them from both sides. */
MUST_USE bool source_filter_takes(const struct source_filter *filter, const struct source_place *place);
bool source_filter_is_open(const struct source_filter *filter);

/* Does the name end as CloudTrail's files do: .json, .jsonl, plain or .gz? */
bool source_is_log_name(const char *name);
