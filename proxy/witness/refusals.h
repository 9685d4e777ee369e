/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>

#include "common/json.h"

/* Queries and messages that the witness has refused: the proxy keeps to line.h, so each means a fault or somebody else
 * in its place. Safe from any thread. */

enum refusal {
	REFUSAL_MALFORMED,      /* too short, another magic, no such kind, no socket where one is due */
	REFUSAL_OVERSIZED,      /* longer than any query; nothing of it is looked at */
	REFUSAL_FLOODING,       /* the next one before the answer */
	REFUSAL_TOO_MANY_LINES, /* more at once than the proxy can have workers */
	REFUSAL_COUNT
};
extern const char *const refusal_names[REFUSAL_COUNT]; /* in status and metrics */

struct refusals {
	atomic_ullong counts[REFUSAL_COUNT];
};

/* Counts, and logs the first and then ever fewer. */
void refusals_add(struct refusals *refusals, enum refusal refusal);

/* {name: count} of all, as `refused` of the object. */
void refusals_put(struct refusals *refusals, json_t *object);
