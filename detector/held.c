/* SPDX-License-Identifier: Apache-2.0 */

/* Of each use only what judging needs is kept (event_write): a kilobyte, whatever its record's size. */
#include "detector/held.h"

#include <string.h>

static const char *const kinds[HELD_KINDS] = {[HELD_USE] = "held", [HELD_QUIET] = "quiet"};

int held_put(struct held *held, struct findings *findings, enum held_kind kind, const struct event *event,
             struct error *err)
{
	CLEANUP_JSON json_t *record = event_write(event);
	if (findings_lesson_put(findings, kinds[kind], record, event->at_us, err) < 0)
		return -1;
	if (++held->put[kind] < (uint64_t)2 * HELD_MAX)
		return 0;
	held->put[kind] = HELD_MAX;
	return findings_lessons_trim(findings, kinds[kind], HELD_MAX, err);
}

struct visit {
	held_visit *visit;
	void *context;
};

static int take(void *context, const json_t *record, struct error *err)
{
	const struct visit *visit = context;
	CLEANUP_FREE char *text = json_line(record);
	struct event event;
	if (text == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a record");
	return event_read(text, strlen(text), &event) ? visit->visit(visit->context, &event, text, strlen(text), err)
	                                              : 0;
}

int held_each(struct findings *findings, held_visit *visit, void *context, struct error *err)
{
	struct visit all = {visit, context};
	for (size_t i = 0; i < HELD_KINDS; i++)
		if (findings_lessons(findings, kinds[i], take, &all, err) < 0)
			return -1;
	return 0;
}
