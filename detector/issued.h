/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"
#include "detector/map.h"

/* Which keys EC2 issued for which instance, and when: its AssumeRole records. Read-only once all are added. */
struct issue {
	const char *instance, *event_id;
	int64_t at_us;
};

struct issued {
	struct map texts, by_key; /* -> index */
	struct issue *issues;
	size_t count, capacity;
};

/* Of several issues of one key the earliest counts. */
MUST_USE int issued_add(struct issued *issued, const char *key, const struct issue *issue, struct error *err);
const struct issue *issued_find(const struct issued *issued, const char *key);
void issued_done(struct issued *issued);
