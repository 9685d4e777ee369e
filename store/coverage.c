/* SPDX-License-Identifier: Apache-2.0 */

/* From heartbeats to intervals. What is between two rows counts as covered only if both say so: a check that failed
 * may have been failing since the one before it, a daemon that died may have died right after its last row. */
#include "store/coverage.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "store/model.h"

#define SLACK_US (60 * CLOCK_SECOND_US) /* a busy machine writes late */

/* No machine writes more; sums of these overflow nothing. */
#define EVERY_MAX_S (366 * INT64_C(86400))
#define AT_MAX_US (INT64_C(253402300800) * CLOCK_SECOND_US) /* the end of the year 9999 */

const char *const coverage_event_names[COVERAGE_EVENT_COUNT] = {
	[COVERAGE_START] = "start",
	[COVERAGE_BEAT] = "beat",
	[COVERAGE_CHANGE] = "change",
	[COVERAGE_STOP] = "stop",
};

const char *const coverage_reason_names[COVERAGE_REASON_COUNT] = {
	[COVERAGE_NOT_KEPT] = "not-kept",
	[COVERAGE_CLOCK_SET_BACK] = "clock-set-back",
	[COVERAGE_DAEMON_DOWN] = "daemon-down",
	[COVERAGE_DAEMON_DIED] = "daemon-died",
	[COVERAGE_LEDGER_NOT_WRITTEN] = "ledger-not-written",
	[COVERAGE_NO_BEAT] = "no-beat",
	[COVERAGE_REDIRECT_NOT_WHOLE] = "redirect-not-whole",
	[COVERAGE_REDIRECT_UNCHECKED] = "redirect-unchecked",
	[COVERAGE_NOT_YET_KNOWN] = "not-yet-known",
	[COVERAGE_ROWS_MISSING] = "rows-missing",
};

/* ---- between two rows */

static bool is_checked(const struct coverage_row *row)
{
	return row->redirect_checked_us != 0 && row->redirect_checked_us <= row->at_us + SLACK_US &&
	       row->at_us - row->redirect_checked_us <= COVERAGE_CHECK_STANDS_US;
}

static bool is_broken(const struct coverage_row *row)
{
	return row->redirect_checked_us != 0 && !row->redirect_whole;
}

/* COVERAGE_REASON_COUNT: covered. */
static enum coverage_reason judge(const struct coverage_row *a, const struct coverage_row *b)
{
	if (b->behind_hole)
		return COVERAGE_ROWS_MISSING;
	if (b->at_us < a->at_us)
		return COVERAGE_CLOCK_SET_BACK;
	if (strcmp(a->run, b->run) != 0 || a->event == COVERAGE_STOP)
		return a->event == COVERAGE_STOP ? COVERAGE_DAEMON_DOWN : COVERAGE_DAEMON_DIED;
	if (b->lost > a->lost)
		return COVERAGE_LEDGER_NOT_WRITTEN;
	if (b->at_us - a->at_us > 2 * a->every_us + SLACK_US)
		return COVERAGE_NO_BEAT;
	if (is_broken(a) || is_broken(b))
		return COVERAGE_REDIRECT_NOT_WHOLE;
	return is_checked(a) && is_checked(b) ? COVERAGE_REASON_COUNT : COVERAGE_REDIRECT_UNCHECKED;
}

bool coverage_between(const struct coverage_row *a, const struct coverage_row *b, struct coverage_gap *ret)
{
	struct coverage_gap gap = {.from_us = a->at_us, .until_us = b->at_us, .reason = judge(a, b)};
	if (gap.reason == COVERAGE_REASON_COUNT)
		return false;
	if (b->at_us < a->at_us) {
		gap.from_us = b->at_us;
		gap.until_us = a->at_us;
	}
	/* It was whole when it was last looked at, and no later. */
	if (gap.reason == COVERAGE_REDIRECT_NOT_WHOLE && !is_broken(a) && a->redirect_checked_us != 0 &&
	    a->redirect_checked_us < gap.from_us)
		gap.from_us = a->redirect_checked_us;
	*ret = gap;
	return true;
}

/* ---- the list */

void coverage_add(struct coverage_gap *gaps, size_t *count, struct coverage_gap gap, int64_t from_us, int64_t until_us)
{
	if (gap.from_us < from_us)
		gap.from_us = from_us;
	if (gap.until_us > until_us)
		gap.until_us = until_us;
	if (gap.from_us >= gap.until_us)
		return;
	struct coverage_gap *last = *count > 0 ? &gaps[*count - 1] : NULL;
	if (last != NULL && last->reason == gap.reason && gap.from_us <= last->until_us &&
	    gap.until_us >= last->from_us) {
		last->from_us = gap.from_us < last->from_us ? gap.from_us : last->from_us;
		last->until_us = gap.until_us > last->until_us ? gap.until_us : last->until_us;
		return;
	}
	gaps[(*count)++] = gap;
}

size_t coverage_gaps(const struct coverage_row *rows, size_t count, int64_t from_us, int64_t until_us,
                     struct coverage_gap *ret)
{
	struct coverage_gap gap = {INT64_MIN, count > 0 ? rows[0].at_us : INT64_MAX, COVERAGE_NOT_KEPT};
	size_t found = 0;
	coverage_add(ret, &found, gap, from_us, until_us);
	for (size_t i = 0; i + 1 < count; i++)
		if (coverage_between(&rows[i], &rows[i + 1], &gap))
			coverage_add(ret, &found, gap, from_us, until_us);
	if (count == 0)
		return found;
	/* After a clock that was set back, the newest row need not be the latest one. */
	bool ended = rows[count - 1].event == COVERAGE_STOP;
	gap = (struct coverage_gap){rows[count - 1].at_us, INT64_MAX,
	                            ended ? COVERAGE_DAEMON_DOWN : COVERAGE_NOT_YET_KNOWN};
	coverage_add(ret, &found, gap, from_us, until_us);
	return found;
}

/* ---- two ledgers of one instance */

static int by_time(const void *left, const void *right)
{
	const struct coverage_gap *a = left, *b = right;
	int order = (a->from_us > b->from_us) - (a->from_us < b->from_us);
	return order != 0 ? order : (a->until_us > b->until_us) - (a->until_us < b->until_us);
}

/* That a ledger had not begun yet, or has not gone on, says less than what the other one has to say. */
static enum coverage_reason telling(enum coverage_reason a, enum coverage_reason b)
{
	static const bool says_little[COVERAGE_REASON_COUNT] = {
		[COVERAGE_NOT_KEPT] = true,
		[COVERAGE_NOT_YET_KNOWN] = true,
	};
	if (says_little[a] != says_little[b])
		return says_little[a] ? b : a;
	return a > b ? a : b; /* not-yet-known says more than not-kept */
}

size_t coverage_common(struct coverage_gap *a, size_t a_count, struct coverage_gap *b, size_t b_count,
                       struct coverage_gap *ret)
{
	size_t count = 0;
	if (a_count > 0)
		qsort(a, a_count, sizeof(*a), by_time);
	if (b_count > 0)
		qsort(b, b_count, sizeof(*b), by_time);
	for (size_t i = 0, j = 0; i < a_count && j < b_count;) {
		const struct coverage_gap both = {
			.from_us = a[i].from_us > b[j].from_us ? a[i].from_us : b[j].from_us,
			.until_us = a[i].until_us < b[j].until_us ? a[i].until_us : b[j].until_us,
			.reason = telling(a[i].reason, b[j].reason),
		};
		coverage_add(ret, &count, both, INT64_MIN, INT64_MAX);
		if (a[i].until_us < b[j].until_us)
			i++;
		else
			j++;
	}
	return count;
}

/* ---- as JSON */

json_t *coverage_to_body(const struct coverage_row *row)
{
	json_t *body = json_object(), *redirect = json_object();
	json_put_text(body, "event", coverage_event_names[row->event]);
	json_put_text(body, "run", row->run);
	json_put_int(body, "every_s", row->every_us / CLOCK_SECOND_US);
	json_put_int(body, "lost", row->lost);
	json_put(redirect, "whole", row->redirect_checked_us != 0 ? json_boolean(row->redirect_whole) : NULL);
	json_put_time(redirect, "checked_at", row->redirect_checked_us);
	json_put(body, "redirect", redirect);
	return body;
}

int coverage_from_body(const json_t *body, int64_t at_us, struct coverage_row *ret, struct error *err)
{
	struct coverage_row row = {.at_us = at_us};
	const char *event = json_text_at(body, "event"), *run = json_text_at(body, "run");
	const char *checked = json_text_at(body, "redirect.checked_at");
	int index = event != NULL ? name_index(coverage_event_names, COVERAGE_EVENT_COUNT, event) : -1;
	if (index < 0 || run == NULL || !text_copy(row.run, sizeof(row.run), run) ||
	    !json_int_at(body, "every_s", &row.every_us) || row.every_us < 0 || row.every_us > EVERY_MAX_S ||
	    !json_int_at(body, "lost", &row.lost) || at_us < 0 || at_us > AT_MAX_US ||
	    (checked != NULL && !clock_parse(checked, &row.redirect_checked_us)))
		return error_set(err, ERROR_INPUT, "ledger: a row of kind coverage makes no sense");
	row.event = (enum coverage_event)index;
	row.every_us *= CLOCK_SECOND_US;
	(void)json_bool_at(body, "redirect.whole", &row.redirect_whole);
	*ret = row;
	return 0;
}

struct coverage_row coverage_from_text(const char *body, int64_t at_us)
{
	CLEANUP_JSON json_t *tree = NULL;
	struct coverage_row row;
	if (body != NULL && json_read(body, strlen(body), &tree, NULL) == 0 &&
	    coverage_from_body(tree, at_us, &row, NULL) == 0)
		return row;
	return (struct coverage_row){.at_us = at_us < 0           ? 0
	                                      : at_us > AT_MAX_US ? AT_MAX_US
	                                                          : at_us,
	                             .event = COVERAGE_BEAT};
}
