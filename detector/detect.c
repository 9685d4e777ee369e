/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of one run: source -> inflate -> records (triage) -> event -> judge (origin, rules) -> findings ->
 * suspects. Read detect_run from below upwards. A file that cannot be read costs that file and a line; only what makes
 * every answer worthless ends the run. */
#include "detector/detect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "detector/inflate.h"
#include "detector/judge.h"
#include "detector/records.h"
#include "detector/source.h"
#include "detector/suspects.h"

#define COMPLAINTS_MAX 10 /* lines about one file */

struct run {
	const struct detect_options *options;
	const struct detect_output *output;
	struct detect_summary *summary;
	struct setup setup;
	struct judge judge;
	struct inflate *inflate;
	struct records records;
	uint64_t total_bytes, done_bytes; /* of files as they lie; 0: not known */
	const char *path;                 /* being read */
	unsigned complaints;              /* about it */
	bool has_failed;                  /* an error that is not the file's */
};

/* ---- what is wrong with the input */

static void complain(struct run *run, const char *line)
{
	run->complaints++;
	if (run->output->complain == NULL || run->complaints > COMPLAINTS_MAX + 1)
		return;
	run->output->complain(run->output->context,
	                      run->complaints <= COMPLAINTS_MAX ? line : "... and more in this file");
}

static void complain_file(struct run *run, const char *path, const char *why)
{
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: %s", path, why);
	run->summary->files_unreadable++;
	complain(run, line.text);
}

static void complain_record(void *context, uint64_t number, uint64_t offset, const char *expected)
{
	struct run *run = context;
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: record %llu, at byte %llu: expected %s", run->path,
	                (unsigned long long)number, (unsigned long long)offset, expected);
	run->summary->records_malformed++;
	complain(run, line.text);
}

/* ---- one record, one window, one file */

static int take_record(void *context, const struct record *record, struct error *err)
{
	struct run *run = context;
	struct event event;
	run->summary->records++;
	if (!record->is_suspect && !run->setup.triage.everything)
		return 0;
	if (!event_read(record->bytes, record->length, &event)) {
		complain_record(run, record->number, record->offset, "a whole JSON object");
		return 0;
	}
	if (!judge_is_ours(&run->judge, &event))
		return 0;
	if (event.at_us == 0) {
		complain_record(run, record->number, record->offset, "a time in eventTime or @timestamp");
		return 0;
	}
	if (judge_event(&run->judge, &event, err) < 0) {
		run->has_failed = true;
		return -1;
	}
	return 0;
}

static int take_window(void *context, const struct window *window, size_t *ret_used, struct error *err)
{
	struct run *run = context;
	if (records_feed(&run->records, window->bytes, window->length, window->is_last, ret_used, err) < 0)
		return -1;
	run->summary->bytes += *ret_used;
	if (run->options->progress != NULL)
		run->options->progress(run->options->progress_context, run->done_bytes + window->file_bytes,
		                       run->total_bytes);
	return 0;
}

static int take_file(void *context, const char *path, uint64_t size, struct error *err)
{
	struct run *run = context;
	const struct records_reader reader = {take_record, complain_record, triage_hint, run, &run->setup.triage};
	struct error problem = {0};
	bool is_stdin = strcmp(path, "-") == 0;
	CLEANUP_FD int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	run->path = is_stdin ? "standard input" : path;
	run->complaints = 0;
	if (fd < 0) {
		complain_file(run, run->path, strerror(errno));
		return 0;
	}
	records_begin(&run->records, &reader);
	int result = inflate_run(run->inflate, fd, take_window, run, &problem);
	run->done_bytes += size;
	if (result < 0 && run->has_failed)
		return error_set(err, problem.code, "%s", problem.text);
	if (result < 0)
		complain_file(run, run->path, problem.text);
	else if (run->records.is_given_up)
		run->summary->files_unreadable++; /* the records' complaint said why */
	else
		run->summary->files++;
	return 0;
}

/* ---- all sources */

static void skip_file(void *context, const char *path)
{
	struct run *run = context;
	(void)path;
	run->summary->files_skipped++;
}

static void lose_file(void *context, const char *path, const char *why)
{
	struct run *run = context;
	run->complaints = 0;
	complain_file(run, path, why);
}

static int add_size(void *context, const char *path, uint64_t size, struct error *err)
{
	struct run *run = context;
	(void)path;
	(void)err;
	run->total_bytes += size;
	return 0;
}

static void ignore_file(void *context, const char *path)
{
	(void)context;
	(void)path;
}

static void ignore_loss(void *context, const char *path, const char *why)
{
	(void)context;
	(void)path;
	(void)why;
}

/* For the progress bar alone: what cannot be looked at is reported when it is read. */
static void measure_sources(struct run *run)
{
	const struct source_reader reader = {add_size, ignore_file, ignore_loss, run};
	for (size_t i = 0; run->options->progress != NULL && i < run->options->source_count; i++)
		(void)source_each(run->options->sources[i], &reader, NULL);
}

MUST_USE static int read_sources(struct run *run, struct error *err)
{
	const struct source_reader reader = {take_file, skip_file, lose_file, run};
	size_t lost = 0;
	struct error problem = {0};
	for (size_t i = 0; i < run->options->source_count; i++) {
		if (source_each(run->options->sources[i], &reader, &problem) == 0)
			continue;
		if (run->has_failed || ++lost == run->options->source_count)
			return error_set(err, problem.code, "%s", problem.text);
		run->complaints = 0;
		run->summary->files_unreadable++;
		complain(run, problem.text);
	}
	return 0;
}

/* ---- findings */

static int add_suspects(void *context, json_t *finding, struct error *err)
{
	const struct run *run = context;
	return suspects_put(finding, run->setup.ledgers, run->setup.ledger_count, err);
}

static int print_finding(void *context, const json_t *finding, struct error *err)
{
	struct run *run = context;
	const char *severity = json_text_at(finding, "severity");
	int index = name_index(severity_names, SEVERITY_COUNT, severity != NULL ? severity : "");
	if (index >= 0)
		run->summary->findings[index]++;
	return run->output->finding(run->output->context, finding, err);
}

MUST_USE static int finish(struct run *run, struct error *err)
{
	const struct findings_filter filter = {.of_this_run = true};
	if (findings_commit(run->setup.findings, add_suspects, run, err) < 0)
		return -1;
	return findings_list(run->setup.findings, &filter, print_finding, run, err);
}

static void run_close(struct run *run)
{
	inflate_free(run->inflate);
	seen_done(&run->judge.seen);
	setup_close(&run->setup);
}

int detect_run(const struct detect_options *options, const struct detect_output *output, struct detect_summary *ret,
               struct error *err)
{
	struct detect_summary summary = {0};
	CLEANUP(run_close) struct run run = {.options = options, .output = output, .summary = &summary};
	run.judge = (struct judge){.setup = &run.setup, .summary = &summary};
	if (options->source_count == 0)
		return error_set(err, ERROR_USAGE, "no source to read");
	if (setup_open(options, &run.setup, &summary, err) < 0 || inflate_new(&run.inflate, err) < 0)
		return -1;
	measure_sources(&run);
	if (read_sources(&run, err) < 0 || finish(&run, err) < 0)
		return -1;
	*ret = summary;
	return 0;
}
