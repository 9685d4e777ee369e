/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/activity.h"
#include "detector/issued.h"
#include "detector/lineage.h"
#include "detector/owners.h"
#include "detector/seen.h"

enum learned_kind { LEARNED_LINEAGE, LEARNED_OWNERS, LEARNED_ACTIVITY, LEARNED_ISSUED, LEARNED_KINDS };

/* What the logs themselves teach: gathered while they are read for the first time, put in order once, then read-only.
 * The order of the records plays no part in it. */
struct learned {
	struct lineage lineage;
	struct owners owners;
	struct activity activity;
	struct issued issued;            /* to instances of the ledgers */
	uint64_t digests[LEARNED_KINDS]; /* of what was known while the records were judged last */
	struct seen remembered;          /* names of descendants that earlier runs knew */
};

/* Takes what a record teaches, if it does. */
MUST_USE int learned_take(struct learned *learned, const char *bytes, size_t length, const struct event *event,
                          struct error *err);

/* Puts in order what has been taken so far. ret_news: of which kinds there is more, or other, than at the last time, so
 * that records judged since then may have to be judged again. */
MUST_USE int learned_close(struct learned *learned, bool ret_news[static LEARNED_KINDS], struct error *err);
/* What is known now was learned in earlier runs. */
void learned_remember(struct learned *learned);

/* Since when may something have been used, or have passed, that this run was the first to learn of? INT64_MAX: never.
 */
int64_t learned_news_since(const struct learned *learned);
void learned_done(struct learned *learned);
