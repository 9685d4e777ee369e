/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail deliveries: who received which key, and with -f as it happens. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "cli/columns.h"
#include "cli/list.h"
#include "cli/place.h"

#define FOLLOW_POLL_MS 250

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

struct follower {
	struct output *output;
	int64_t last_seq;
	bool has_new;
};

static int show_new(void *context, const json_t *object, struct error *err)
{
	struct follower *follower = context;
	int64_t seq;
	if (json_int_at(object, "seq", &seq) && seq > follower->last_seq)
		follower->last_seq = seq;
	follower->has_new = true;
	return output_row(follower->output, object, err);
}

/* Waits, and notices when the reader of a pipe goes away while nothing happens. */
MUST_USE static int wait_a_little(struct error *err)
{
	struct pollfd reader = {.fd = STDOUT_FILENO};
	if (poll(&reader, 1, FOLLOW_POLL_MS) < 0 && errno != EINTR)
		return error_errno(err, "waiting for new rows");
	if ((reader.revents & POLLERR) != 0)
		return error_set(err, ERROR_NONE, "the reader of the output is gone");
	return 0;
}

MUST_USE static int follow_ledger(struct ledger *ledger, const struct arguments *arguments, struct follower *follower,
                                  struct error *err)
{
	struct ledger_filter filter = arguments->rows;
	filter.oldest_first = true;
	/* With --since what has already happened since then comes first. */
	if (filter.since_us == 0 && ledger_last_seq(ledger, &follower->last_seq, err) < 0)
		return -1;
	if (output_flush(follower->output, err) < 0)
		return -1;
	while (!stop) {
		int64_t newest;
		if (ledger_last_seq(ledger, &newest, err) < 0)
			return -1;
		filter.after_seq = follower->last_seq;
		follower->has_new = false;
		if (newest > follower->last_seq && ledger_deliveries(ledger, &filter, show_new, follower, err) < 0)
			return -1;
		if (follower->has_new && output_flush(follower->output, err) < 0)
			return -1;
		if (wait_a_little(err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int follow(const struct arguments *arguments, struct error *err)
{
	struct place place;
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	CLEANUP_OUTPUT struct output *output = NULL;
	struct output_options options = {
		.form = arguments->form, .columns = &columns_deliveries, .stream = stdout, .steady = true};
	struct sigaction action = {.sa_handler = on_signal};
	if (arguments->rows.until_us != 0)
		return error_set(err, ERROR_USAGE, "--until: new rows are waited for, expected no end, or no --follow");
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0 ||
	    output_open(&options, &output, err) < 0)
		return -1;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	struct follower follower = {.output = output};
	if (follow_ledger(ledger, arguments, &follower, err) < 0)
		return -1;
	return output_close(steal_pointer(&output), err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	int result = arguments->follow ? follow(arguments, err)
	                               : list_show(arguments, &columns_deliveries, ledger_deliveries, err);
	if (result < 0)
		return -1;
	*ret = STATUS_FINE;
	return 0;
}

const struct command command_deliveries = {
	.name = "deliveries",
	.operands = "",
	.summary = "Who received which key, newest first",
	.details =
		"Without options every row is shown, however old, refused requests too. Texts of filters may hold the "
		"wildcards * and ?. With --follow rows come oldest first, as they are recorded; an outcome that comes "
		"later is not shown again.",
	.examples = "  keytrail deliveries --since 6h --role web\n"
		    "  keytrail deliveries --container '3f2a*' --outcome delivered -o csv\n"
		    "  keytrail deliveries -f | jq -r '.process.exe'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_ROWS | OPTIONS_FOLLOW,
	.run = run,
};
