/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail detect: hands CloudTrail to the detector, shows what it finds, and turns the run into an exit status. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/detect_verdict.h"
#include "cli/evidence.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "common/clock.h"
#include "detector/detect.h"
#include "detector/rule.h"

#define REDRAW_US 100000

struct shown {
	struct output *output;
	bool abandoned; /* the reader is gone: the verdict still counts, and what is found is still stored */
	bool has_bar;
	int64_t started_us, drawn_us;
};

static void clear_bar(struct shown *shown)
{
	if (shown->has_bar)
		(void)fprintf(stderr, "\r\033[K");
	shown->has_bar = false;
}

static int on_finding(void *context, const json_t *finding, struct error *err)
{
	struct shown *shown = context;
	clear_bar(shown);
	if (shown->abandoned || output_row(shown->output, finding, err) == 0)
		return 0;
	shown->abandoned = output_is_abandoned(shown->output);
	return shown->abandoned ? 0 : -1;
}

static void on_complaint(void *context, const char *line)
{
	clear_bar(context);
	complain("%s", line);
}

static void on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct shown *shown = context;
	char line[PROGRESS_BYTES];
	int64_t now_us = clock_monotonic_us();
	if (now_us - shown->drawn_us < REDRAW_US)
		return;
	shown->drawn_us = now_us;
	shown->has_bar = true;
	(void)fprintf(stderr, "\r%s\033[K", progress_line(done_bytes, total_bytes, now_us - shown->started_us, line));
}

static void print_summary(const struct detect_summary *summary)
{
	complain("%" PRIu64 " files read, %" PRIu64 " unreadable, %" PRIu64 " skipped; %" PRIu64 " records in %" PRIu64
	         " MiB, %" PRIu64 " malformed",
	         summary->files, summary->files_unreadable, summary->files_skipped, summary->records,
	         summary->bytes >> 20, summary->records_malformed);
	if (summary->files_outside > 0)
		complain("%" PRIu64 " files and folders left out, by time, account or region", summary->files_outside);
	complain("%" PRIu64 " uses of known keys: %" PRIu64 " at home, %" PRIu64 " by AWS for us, %" PRIu64
	         " of unknown origin; address ranges of %s",
	         summary->uses, summary->uses_at_home, summary->uses_by_aws, summary->uses_unknown,
	         summary->ranges_date[0] != '\0' ? summary->ranges_date : "unknown date");
	complain("findings: %" PRIu64 " HIGH, %" PRIu64 " MEDIUM, %" PRIu64 " LOW%s", summary->findings[SEVERITY_HIGH],
	         summary->findings[SEVERITY_MEDIUM], summary->findings[SEVERITY_LOW],
	         summary->findings_stored ? "" : " (not stored)");
	if (summary->findings_suppressed > 0)
		complain("%" PRIu64 " more are suppressed by the inventory", summary->findings_suppressed);
	if (summary->notice[0] != '\0')
		complain("%s", summary->notice);
}

/* Somebody who looks at the table is told where to go from it; a script is not. */
static void print_next(const struct detect_summary *summary)
{
	if (summary->findings[SEVERITY_HIGH] + summary->findings[SEVERITY_MEDIUM] + summary->findings[SEVERITY_LOW] ==
	            0 ||
	    !isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO))
		return;
	complain("next: `keytrail who KEY` names the processes that had it");
	complain("next: `keytrail report ID --file FILE` makes a page of it");
	complain("next: `keytrail contain KEY` says what stops it");
}

MUST_USE static int list_rules(const struct arguments *arguments, struct error *err)
{
	CLEANUP_OUTPUT struct output *output = NULL;
	struct output_options form = {.form = arguments->form, .columns = &columns_rules, .stream = stdout};
	if (arguments->form >= FORM_OWN_COUNT)
		return error_set(err, ERROR_USAGE, "--rules: no findings, expected -o table, json, jsonl or csv");
	if (output_open(&form, &output, err) < 0)
		return -1;
	for (size_t i = 0; i < RULE_COUNT; i++) {
		CLEANUP_JSON json_t *row = json_object();
		json_put_text(row, "kind", "rule");
		json_put_text(row, "type", rules[i]->type);
		json_put_text(row, "summary", rules[i]->summary);
		json_put(row, "techniques", json_array());
		for (size_t t = 0; t < RULE_TECHNIQUES && rules[i]->techniques[t] != NULL; t++)
			(void)json_array_append_new(json_object_get(row, "techniques"),
			                            json_string(rules[i]->techniques[t]));
		if (output_row(output, row, err) < 0)
			return -1;
	}
	return output_close(steal_pointer(&output), err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_INPUTS struct inputs inputs = {.lookup_fd = -1};
	CLEANUP_OUTPUT struct output *output = NULL;
	struct output_options form = {.form = arguments->form, .columns = &columns_findings, .stream = stdout};
	struct shown shown = {.started_us = clock_monotonic_us()};
	struct detect_summary summary = {0};
	struct digests_summary digests = {0};
	struct detect_output to = {.finding = on_finding, .complain = on_complaint, .context = &shown};

	if (arguments->list_rules) {
		*ret = STATUS_FINE;
		return list_rules(arguments, err);
	}
	if (inputs_open(arguments, NULL, &inputs, err) < 0 || output_open(&form, &output, err) < 0)
		return -1;
	if (arguments->verify_digests && evidence_verify(&inputs, arguments->public_keys, &digests, err) < 0)
		return -1;
	if (arguments->lookup && evidence_lookup(&inputs, err) < 0)
		return -1;
	inputs.options.reads_back = true;
	inputs.options.progress = isatty(STDERR_FILENO) ? on_progress : NULL;
	inputs.options.progress_context = &shown;
	shown.output = output;
	int result = detect_run(&inputs.options, &to, &summary, err);
	clear_bar(&shown);
	if (result < 0)
		return -1;
	struct error closing = {0};
	if (output_close(steal_pointer(&output), &closing) < 0 && closing.code != ERROR_NONE)
		return error_set(err, closing.code, "%s", closing.text);
	summary.files_unreadable += inputs.lookup.failed;
	print_summary(&summary);
	print_next(&summary);
	if (arguments->lookup)
		evidence_print_lookup(&inputs.lookup);
	if (arguments->verify_digests)
		evidence_print_digests(&digests);
	*ret = detect_verdict(&summary, arguments->fail_on);
	bool is_doubtful = (arguments->verify_digests && !digests.is_complete) || inputs.lookup.derived_left > 0;
	if (*ret == STATUS_FINE && is_doubtful)
		*ret = STATUS_INCOMPLETE;
	return 0;
}

const struct command command_detect = {
	.name = "detect",
	.operands = "SOURCE...",
	.summary = "Look through CloudTrail for keys of this ledger that were used where they should not be",
	.details = "A SOURCE is a file, a folder, s3://BUCKET/PREFIX, or - for standard input, plain or gzip. In "
		   "folders *.json, *.jsonl and "
		   "their .gz are read; files that are named are always read. The summary goes to standard error. Exit "
		   "status: 3 with findings at or above --fail-on, 4 when there are none but some input could not be "
		   "read or was no record of CloudTrail's, 1 when nothing could be read.",
	.examples = "  keytrail detect /var/log/cloudtrail\n"
		    "  zcat trail.json.gz | keytrail detect -\n"
		    "  keytrail detect --since 2d --region eu-west-1 s3://trail-logs/AWSLogs\n"
		    "  keytrail detect --ledger a.db --ledger b.db --fail-on HIGH -o json logs\n",
	.options = OPTIONS_OUTPUT | OPTIONS_FORMS | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_DETECT |
                   OPTIONS_SOURCE | OPTIONS_RULES | OPTIONS_PROOF,
	.minimum = 1,
	.maximum = -1,
	.run = run,
};
