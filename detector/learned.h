/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/lineage.h"

/* What the logs themselves teach: gathered while they are read for the first time, put in order once, then read-only.
 * The order of the records plays no part in it. */
struct learned {
	struct lineage lineage;
	uint64_t digest; /* of all that was known while the records were judged last */
};

/* Takes what a record teaches, if it does. */
MUST_USE int learned_take(struct learned *learned, const char *bytes, size_t length, const struct event *event,
                          struct error *err);

/* Puts in order what has been taken so far. *ret_news: it is more, or other, than at the last time, so that records
 * judged since then may have to be judged again. */
MUST_USE int learned_close(struct learned *learned, bool *ret_news, struct error *err);
void learned_done(struct learned *learned);
