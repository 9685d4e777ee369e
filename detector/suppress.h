/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/cidr.h"
#include "common/json.h"
#include "store/model.h"

/* Findings that people know of and do not want to be woken by: by type and remote party, with a reason and an end. They
 * are found, stored and shown all the same, and marked. */

struct suppression {
	const char *type;   /* of a rule; NULL: all */
	const char *remote; /* as it was written */
	bool is_prefix;     /* else an account or an endpoint */
	struct cidr prefix;
	const char *reason;
	int64_t expires_us; /* 0: never */
};

struct suppressions {
	json_t *file; /* holds the texts */
	struct suppression *list;
	size_t count;
};

/* `list` is that of inventory.json, NULL: none. What cannot be understood is ERROR_INPUT. */
MUST_USE int suppressions_read(const json_t *list, struct suppressions *ret, struct error *err);
void suppressions_done(struct suppressions *suppressions);

/* Puts `suppressed` and `suppression` into a finding with type, remote, count, addresses and
 * endpoints. */
void suppressions_put(const struct suppressions *suppressions, json_t *finding, int64_t now_us);
