/* SPDX-License-Identifier: Apache-2.0 */

/* The gaps of an instance turned around: what lies between them is covered. */
#include "detector/covered.h"

#include <string.h>

#include "common/array.h"
#include "common/clock.h"

#define BEGINNING INT64_C(1)
#define END (INT64_C(253402300799) * CLOCK_SECOND_US) /* of the year 9999 */

void covered_init(struct covered *covered, struct ledger *const *ledgers, size_t count)
{
	*covered = (struct covered){.ledgers = ledgers, .ledger_count = count};
	(void)pthread_mutex_init(&covered->lock, NULL);
}

void covered_done(struct covered *covered)
{
	map_done(&covered->known);
	free(covered->spans);
	(void)pthread_mutex_destroy(&covered->lock);
}

MUST_USE static int add_span(struct covered *covered, int64_t from_us, int64_t until_us, uint32_t *list,
                             struct error *err)
{
	if (from_us >= until_us)
		return 0;
	if (array_reserve(&covered->spans, sizeof(covered->spans[0]), covered->count, &covered->capacity, "coverage",
	                  err) < 0)
		return -1;
	covered->spans[covered->count] = (struct span){from_us, until_us, *list};
	*list = (uint32_t)covered->count++;
	return 0;
}

static int64_t time_at(const json_t *object, const char *path, int64_t otherwise)
{
	int64_t time_us;
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, &time_us) ? time_us : otherwise;
}

MUST_USE static int read_ledger(struct covered *covered, struct ledger *ledger, const char *instance, uint32_t *list,
                                struct error *err)
{
	CLEANUP_JSON json_t *coverage = NULL;
	int64_t from_us = BEGINNING;
	if (ledger_coverage_of(ledger, instance, BEGINNING, END, &coverage, err) < 0)
		return -1;
	const json_t *gaps = json_at(coverage, "gaps");
	for (size_t i = 0; i < json_array_size(gaps); i++) {
		const json_t *gap = json_array_get(gaps, i);
		if (add_span(covered, from_us, time_at(gap, "from", BEGINNING), list, err) < 0)
			return -1;
		int64_t until_us = time_at(gap, "until", END);
		from_us = until_us > from_us ? until_us : from_us;
	}
	return add_span(covered, from_us, END, list, err);
}

/* The index of the instance's first span, MAP_NONE - 1 if it has none. */
#define NO_SPAN (MAP_NONE - 1)

MUST_USE static int list_of(struct covered *covered, const char *instance, uint32_t *ret, struct error *err)
{
	uint32_t list = map_find(&covered->known, instance, strlen(instance));
	if (list == MAP_NONE) {
		list = NO_SPAN;
		for (size_t i = 0; i < covered->ledger_count; i++)
			if (read_ledger(covered, covered->ledgers[i], instance, &list, err) < 0)
				return -1;
		if (map_add(&covered->known, instance, strlen(instance), list, NULL, err) < 0)
			return -1;
	}
	*ret = list;
	return 0;
}

int covered_ask(struct covered *covered, const char *instance, int64_t from_us, int64_t until_us, bool *ret,
                struct error *err)
{
	uint32_t i = NO_SPAN;
	*ret = false;
	(void)pthread_mutex_lock(&covered->lock);
	int result = list_of(covered, instance, &i, err);
	for (; result == 0 && i != NO_SPAN && !*ret; i = covered->spans[i].next)
		*ret = covered->spans[i].from_us <= from_us && until_us <= covered->spans[i].until_us;
	(void)pthread_mutex_unlock(&covered->lock);
	return result;
}
