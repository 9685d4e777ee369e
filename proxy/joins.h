/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/response.h"

/* The same thing fetched once for all who want it at the same moment. All functions may be called from any thread. */
struct joins;

MUST_USE int joins_new(struct joins **ret, struct error *err);
void joins_free(struct joins *joins);

typedef int joins_fetch(void *context, struct response *ret, struct error *err);

/* Is somebody fetching `key` at this moment, waits for what that brings, answer or error, until `deadline_ms` of
 * clock_monotonic_ms(); else runs `fetch`. Everybody gets a copy of their own. */
MUST_USE int joins_run(struct joins *joins, const char *key, int64_t deadline_ms, joins_fetch *fetch, void *context,
                       struct response *ret, struct error *err);
