/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/activity.h"
#include "detector/issued.h"
#include "detector/lineage.h"
#include "detector/owners.h"

enum learned_kind { LEARNED_LINEAGE, LEARNED_OWNERS, LEARNED_ACTIVITY, LEARNED_ISSUED, LEARNED_KINDS };

/* What the logs themselves teach: gathered while they are read for the first time, put in order once, then read-only.
 * The order of the records plays no part in it. */
struct learned {
	struct lineage lineage;
	struct owners owners;
	struct activity activity;
	struct issued issued;            /* to instances of the ledgers */
	uint64_t digests[LEARNED_KINDS]; /* of what was known while the records were judged last */
};

/* Takes what a record teaches, if it does. */
MUST_USE int learned_take(struct learned *learned, const char *bytes, size_t length, const struct event *event,
                          struct error *err);

/* Puts in order what has been taken so far. ret_news: of which kinds there is more, or other, than at the last time, so
 * that records judged since then may have to be judged again. */
MUST_USE int learned_close(struct learned *learned, bool ret_news[static LEARNED_KINDS], struct error *err);
void learned_done(struct learned *learned);
