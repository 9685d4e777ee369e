/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/event.h"
#include "store/findings.h"

/* Uses that a later run may have to judge otherwise: those that are findings or of unknown origin, views of a call
 * whose own record may still come, and verdicts that rest on what the logs have said so far. The newest of them wait
 * beside the findings, for two days of the trail's time. */

enum held_kind {
	HELD_USE,   /* something was said of it, or may be said of its other record */
	HELD_QUIET, /* nothing so far */
	HELD_KINDS,
};
#define HELD_MAX 10000 /* of each kind, the newest */

struct held {
	uint64_t put[HELD_KINDS]; /* since they were counted last */
};

MUST_USE int held_put(struct held *held, struct findings *findings, enum held_kind kind, const struct event *event,
                      struct error *err);

/* All of earlier runs, with the least record of each (event_write). */
typedef int held_visit(void *context, const struct event *event, const char *bytes, size_t length, struct error *err);
MUST_USE int held_each(struct findings *findings, held_visit *visit, void *context, struct error *err);
