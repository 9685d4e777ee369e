/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/event.h"
#include "detector/seen.h"
#include "detector/setup.h"

/* One event: is it ours, where did it come from, what do the rules say. */
struct judge {
	const struct setup *setup;
	struct detect_summary *summary;
	struct seen seen;
};

/* Is a key or session of this event ours to judge? */
bool judge_is_ours(const struct judge *judge, const struct event *event);

/* For an event that is ours and has a time: counts it and hands its findings to the store. */
MUST_USE int judge_event(struct judge *judge, const struct event *event, struct error *err);
