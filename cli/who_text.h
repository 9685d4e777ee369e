/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/table.h"

/* `who` for a person at three in the morning: what matters first, one block a receiver. Each returns -1 with *err when
 * there is no memory; failed writes are found by whoever flushes the stream. */

/* What a finding of another tool says. */
MUST_USE int who_text_reported(const json_t *report, const struct table_look *look, struct error *err);

/* The key itself: an object of ledger_keys. */
MUST_USE int who_text_key(const json_t *key, const struct table_look *look, struct error *err);

/* One of our findings on the key. */
MUST_USE int who_text_finding(const json_t *finding, const struct table_look *look, struct error *err);

/* One receiver. `previous` is the process of the delivery shown before, or NULL: the same one is not told again. */
MUST_USE int who_text_delivery(const json_t *delivery, const json_t *previous, const struct table_look *look,
                               struct error *err);
