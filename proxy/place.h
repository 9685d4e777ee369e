/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/upstream.h"

/* Where upstream is, and for how long it is waited for; a reload replaces all of it at once. All functions may be
 * called from any thread. */
struct place;

/* ERROR_INPUT: an address that is none. */
MUST_USE int place_new(const struct upstream_options *options, struct place **ret, struct error *err);
void place_free(struct place *place);

/* All of it, or with ERROR_INPUT nothing. *ret_is_other: an address has changed. */
MUST_USE int place_change(struct place *place, const struct upstream_options *options, bool *ret_is_other,
                          struct error *err);

struct sockaddr_storage place_address(struct place *place, enum upstream_endpoint endpoint);
/* Of clock_monotonic_ms(), for a request that begins now. */
int64_t place_deadline_ms(struct place *place);
/* Are some answers kept for a moment? */
bool place_keeps(struct place *place);
