/* SPDX-License-Identifier: Apache-2.0 */

/* Whoever floods the witness must not flood the log with it. */
#include "proxy/witness/refusals.h"

#include "common/log.h"

const char *const refusal_names[REFUSAL_COUNT] = {
	[REFUSAL_MALFORMED] = "malformed",
	[REFUSAL_OVERSIZED] = "oversized",
	[REFUSAL_FLOODING] = "flooding",
	[REFUSAL_TOO_MANY_LINES] = "too_many_lines",
};

void refusals_add(struct refusals *refusals, enum refusal refusal)
{
	unsigned long long count = atomic_fetch_add(&refusals->counts[refusal], 1) + 1;
	if ((count & (count - 1)) == 0) /* the 1st, 2nd, 4th, 8th, ... */
		log_line(LOG_LEVEL_WARNING, "query_refused", "reason=%s so_far=%llu", refusal_names[refusal], count);
}

void refusals_put(struct refusals *refusals, json_t *object)
{
	json_t *refused = json_object();
	for (int i = 0; i < REFUSAL_COUNT; i++)
		json_put_int(refused, refusal_names[i], (int64_t)atomic_load(&refusals->counts[i]));
	json_put(object, "refused", refused);
}
