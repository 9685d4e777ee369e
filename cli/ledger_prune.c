/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger prune: what the daemon does by age and size, by hand. The daemon may be writing meanwhile, so steps
 * are small, and between them the lock is free for longer than it was held. */
#include <inttypes.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/ledger_verbs.h"
#include "cli/only.h"
#include "cli/place.h"
#include "common/clock.h"
#include "store/prune.h"

static inline void cleanup_appender(struct appender **appender)
{
	appender_close(*appender);
}

MUST_USE static int prune_all(struct appender *appender, int64_t before_us, struct prune_step *total, struct error *err)
{
	for (;;) {
		const struct prune_order order = {
			.reason = PRUNE_OPERATOR, .before_us = before_us, .now_us = clock_now_us()};
		struct prune_step step = {0};
		int64_t began_us = clock_monotonic_us();
		if (prune_step(appender, &order, &step, err) < 0)
			return -1;
		if (step.rows == 0)
			return 0;
		total->rows += step.rows;
		total->processes += step.processes;
		total->through = step.through;
		(void)usleep((useconds_t)(2 * (clock_monotonic_us() - began_us)) % 1000000);
	}
}

int ledger_prune_run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP(cleanup_appender) struct appender *appender = NULL;
	CLEANUP_JSON json_t *object = json_object();
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	struct place place;
	struct prune_step total = {0};
	if (arguments->before_us == 0)
		return error_set(err, ERROR_USAGE, "ledger prune: something is missing, expected --before TIME");
	if (arguments->before_us > clock_now_us())
		return error_set(err, ERROR_USAGE,
		                 "ledger prune --before: a time to come, expected one that has passed");
	/* Reading first: a ledger that is missing, no ledger, or newer is refused untouched. */
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0)
		return -1;
	if (ledger_is_merged(ledger))
		return error_set(
			err, ERROR_USAGE,
			"%s: of many machines, expected a machine's own ledger: what is to be kept of a merged "
			"one is imported into a new one",
			place.ledger);
	if (appender_open(place.ledger, &appender, err) < 0 ||
	    prune_all(appender, arguments->before_us, &total, err) < 0)
		return error_prefix(err, "ledger");
	json_put_text(object, "kind", "pruning");
	json_put_text(object, "ledger", place.ledger);
	json_put_int(object, "rows", total.rows);
	json_put_int(object, "processes", total.processes);
	json_put(object, "pruned_until", total.rows > 0 ? json_integer(total.through) : NULL);
	*ret = STATUS_FINE;
	return only_show(arguments->form, &columns_pruning, object, err);
}
