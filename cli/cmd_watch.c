/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail watch: the detector, for ever. Findings are printed as they appear or grow. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/inputs.h"
#include "cli/mend.h"
#include "detector/queue.h"
#include "detector/watch.h"

#define CHECKPOINT_NAME "watch.db"
#define OUTPUT_BYTES ((size_t)1 << 20)
#define FAR_INTERVAL_MS 60000
#define NEAR_INTERVAL_MS 5000

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void catch_signals(void)
{
	/* Without SA_RESTART: what waits is to notice. */
	const struct sigaction action = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

struct said {
	struct output *output;
	struct buffer
		tail; /* of the file that is appended to: what the watcher before said, and perhaps did not note */
};

static int on_finding(void *context, const json_t *finding, struct error *err)
{
	const struct said *said = context;
	CLEANUP_FREE char *line = said->tail.length > 0 ? json_line(finding) : NULL;
	if (line != NULL && mend_has_line(&said->tail, line))
		return 0;
	return output_row(said->output, finding, err);
}

static int on_flush(void *context, struct error *err)
{
	return output_flush(((const struct said *)context)->output, err);
}

static void said_done(struct said *said)
{
	output_drop(said->output);
	buffer_done(&said->tail);
}

static void on_complaint(void *context, const char *line)
{
	(void)context;
	complain("%s", line);
}

/* Paths that mean the same wherever it is started: the checkpoint knows files by them. */
MUST_USE static int make_absolute(char **operands, size_t count, char ***ret, struct error *err)
{
	char **names = calloc(count + 1, sizeof(*names));
	if (names == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for names");
	*ret = names;
	for (size_t i = 0; i < count; i++) {
		bool is_path = strstr(operands[i], "://") == NULL && strcmp(operands[i], "-") != 0;
		names[i] = is_path ? realpath(operands[i], NULL) : strdup(operands[i]);
		if (names[i] == NULL)
			return error_errno(err, "%s", operands[i]);
	}
	return 0;
}

static void free_names(char ***names)
{
	for (size_t i = 0; *names != NULL && (*names)[i] != NULL; i++)
		free((*names)[i]);
	free(*names);
}

/* Findings and checkpoint beside the ledger, unless the user says otherwise; without a ledger the user must. */
MUST_USE static int choose_files(const struct arguments *arguments, struct inputs *inputs,
                                 char checkpoint[static PATH_MAX], struct watch_options *options, struct error *err)
{
	options->detect.findings = arguments->findings;
	if (arguments->findings == NULL && !arguments->without_ledger) {
		if (place_find(arguments, &inputs->place, err) < 0)
			return -1;
		options->detect.findings = inputs->place.findings;
	}
	options->checkpoint = arguments->checkpoint;
	if (options->checkpoint != NULL || options->detect.findings == NULL)
		return 0;
	options->checkpoint = checkpoint;
	return place_beside(options->detect.findings, CHECKPOINT_NAME, checkpoint, err);
}

static enum status verdict(const struct arguments *arguments, const struct watch_summary *summary)
{
	if (!arguments->once)
		return STATUS_FINE;
	for (int severity = arguments->fail_on; severity < SEVERITY_COUNT; severity++)
		if (summary->findings[severity] > 0)
			return STATUS_FOUND;
	return summary->files_lost > 0 || summary->malformed > 0 ? STATUS_INCOMPLETE : STATUS_FINE;
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_INPUTS struct inputs inputs = {.lookup_fd = -1};
	CLEANUP(free_names) char **names = NULL;
	CLEANUP(said_done) struct said said = {0};
	char checkpoint[PATH_MAX];
	struct watch_summary summary;
	const struct output_options form = {
		.form = arguments->form, .columns = &columns_findings, .stream = stdout, .steady = true};
	catch_signals();
	if (arguments->form == FORM_JSONL && mend_last_line(STDOUT_FILENO, "{\"access_key_id\":", &said.tail, err) < 0)
		return -1;
	(void)setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES); /* a finding in one piece, whenever it is killed */
	if (inputs_open(arguments, &stop, &inputs, err) < 0 ||
	    make_absolute(arguments->operands, (size_t)arguments->operand_count, &names, err) < 0)
		return -1;
	struct watch_options options = {.detect = inputs.options,
	                                .interval_ms = arguments->interval_us / 1000,
	                                .once = arguments->once,
	                                .stop = &stop};
	options.detect.sources = (const char *const *)names;
	if (options.interval_ms == 0)
		options.interval_ms = inputs.aws != NULL ? FAR_INTERVAL_MS : NEAR_INTERVAL_MS;
	if (choose_files(arguments, &inputs, checkpoint, &options, err) < 0 ||
	    output_open(&form, &said.output, err) < 0)
		return -1;
	const struct watch_output to = {.detect = {.finding = on_finding, .complain = on_complaint, .context = &said},
	                                .flush = on_flush};
	if (watch_run(&options, &to, &summary, err) < 0)
		return -1;
	*ret = verdict(arguments, &summary);
	return output_close(steal_pointer(&said.output), err);
}

const struct command command_watch = {
	.name = "watch",
	.operands = "SOURCE...",
	.summary = "The same, for ever: reads what is new, and prints findings as they appear or grow",
	.details = "A SOURCE is a folder, s3://BUCKET/PREFIX, or a queue that is told of new objects: "
		   "sqs://REGION/ACCOUNT/NAME "
		   "or its URL. Findings are kept in findings.db, and what was read and said in a checkpoint beside "
		   "it: it may "
		   "be killed at any moment. SIGTERM ends it. With --once it ends when there is nothing new, with 3 if "
		   "findings at or above --fail-on are new or have grown, and with 4 if there are none but files, or "
		   "records in them, could not be read.",
	.examples = "  keytrail watch /var/log/cloudtrail\n"
		    "  keytrail watch --region eu-west-1 s3://trail-logs/AWSLogs -o jsonl >> findings.jsonl\n"
		    "  keytrail watch -o ocsf /var/log/cloudtrail | logger\n"
		    "  keytrail watch sqs://eu-west-1/123456789012/cloudtrail-new-objects\n",
	.options = OPTIONS_OUTPUT | OPTIONS_FORMS | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_DETECT |
                   OPTIONS_SOURCE | OPTIONS_WATCH,
	.minimum = 1,
	.maximum = -1,
	.run = run,
};
