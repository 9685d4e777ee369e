/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of one run: source -> inflate -> records (triage) -> event -> judge (origin, rules) -> findings ->
 * suspects. A second pass over the sources is made if the first one has learned what may change a verdict. Read
 * detect_run from below upwards. A file that cannot be read costs that file and a line; only what makes every answer
 * worthless ends the run. */
#include "detector/detect.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "detector/inflate.h"
#include "detector/judge.h"
#include "detector/learned.h"
#include "detector/records.h"
#include "detector/remember.h"
#include "detector/source.h"
#include "detector/spool.h"
#include "detector/suspects.h"

#define COMPLAINTS_MAX 10 /* lines about one file */

struct run {
	const struct detect_options *options;
	const struct detect_output *output;
	struct detect_summary *summary; /* of the run */
	struct detect_summary *input;   /* where what was read is counted: the second pass counts nothing twice */
	struct setup setup;
	struct learned learned;
	struct covered covered;
	struct judge judge;
	struct inflate *inflate;
	struct records records;
	uint64_t total_bytes, done_bytes; /* of files as they lie; 0: not known */
	const char *path;                 /* being read */
	unsigned complaints;              /* about it */
	bool has_failed;                  /* an error that is not the file's */
	bool is_second; /* the second pass: all that there is to learn is known, all complaints made */
	int stdin_fd;   /* standard input, as often as wanted; -1: not read yet */
	off_t stdin_start;
};

/* ---- what is wrong with the input */

static void complain(struct run *run, const char *line)
{
	run->complaints++;
	if (run->is_second || run->output->complain == NULL || run->complaints > COMPLAINTS_MAX + 1)
		return;
	run->output->complain(run->output->context,
	                      run->complaints <= COMPLAINTS_MAX ? line : "... and more in this file");
}

static void complain_file(struct run *run, const char *path, const char *why)
{
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: %s", path, why);
	run->input->files_unreadable++;
	complain(run, line.text);
}

static void complain_record(void *context, uint64_t number, uint64_t offset, const char *expected)
{
	struct run *run = context;
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: record %llu, at byte %llu: expected %s", run->path,
	                (unsigned long long)number, (unsigned long long)offset, expected);
	run->input->records_malformed++;
	complain(run, line.text);
}

/* ---- one record, one window, one file */

static int take_record(void *context, const struct record *record, struct error *err)
{
	struct run *run = context;
	struct event event;
	run->input->records++;
	if (!record->is_suspect && !run->setup.triage.everything)
		return 0;
	if (!event_read(record->bytes, record->length, &event)) {
		complain_record(run, record->number, record->offset, "a whole JSON object");
		return 0;
	}
	if (!run->is_second && learned_take(&run->learned, record->bytes, record->length, &event, err) < 0) {
		run->has_failed = true;
		return -1;
	}
	if (!judge_is_ours(&run->judge, &event))
		return 0;
	if (event.at_us == 0) {
		complain_record(run, record->number, record->offset, "a time in eventTime or @timestamp");
		return 0;
	}
	if (judge_event(&run->judge, &event, record->bytes, record->length, err) < 0) {
		run->has_failed = true;
		return -1;
	}
	return 0;
}

static int take_window(void *context, const struct window *window, size_t *ret_used, struct error *err)
{
	struct run *run = context;
	if (window->is_full)
		records_drop(&run->records);
	if (records_feed(&run->records, window->bytes, window->length, window->is_last, ret_used, err) < 0)
		return -1;
	run->input->bytes += *ret_used;
	if (run->options->progress != NULL)
		run->options->progress(run->options->progress_context, run->done_bytes + window->file_bytes,
		                       run->total_bytes);
	return 0;
}

/* The second pass tells only what it could not read again. */
static void finish_file(const struct run *run, const char *name, bool is_read)
{
	if (run->options->file_done != NULL && !(run->is_second && is_read))
		run->options->file_done(run->options->file_done_context, name, is_read);
}

MUST_USE static int open_stdin(struct run *run, int *ret_fd, struct error *err)
{
	if (run->stdin_fd < 0 && spool_stdin(&run->stdin_fd, &run->stdin_start, err) < 0)
		return -1;
	CLEANUP_FD int fd = fcntl(run->stdin_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || lseek(fd, run->stdin_start, SEEK_SET) < 0)
		return error_errno(err, "standard input");
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int take_file(void *context, const struct source_file *file, struct error *err)
{
	struct run *run = context;
	const struct records_reader reader = {take_record, complain_record,    triage_hint,
	                                      run,         &run->setup.triage, &run->setup.triage.sieve};
	struct error problem = {0};
	CLEANUP_FD int fd = -1;
	bool is_stdin = strcmp(file->name, "-") == 0;
	run->path = is_stdin ? "standard input" : file->name;
	run->complaints = 0;
	if ((is_stdin ? open_stdin(run, &fd, &problem) : source_fetch(file, &fd, &problem)) < 0) {
		complain_file(run, run->path, problem.text);
		finish_file(run, file->name, false);
		return 0;
	}
	records_begin(&run->records, &reader);
	int result = inflate_run(run->inflate, fd, take_window, run, &problem);
	run->done_bytes += file->size;
	if (result < 0 && run->has_failed)
		return error_set(err, problem.code, "%s", problem.text);
	if (result < 0)
		complain_file(run, run->path, problem.text);
	else if (run->records.is_given_up)
		run->input->files_unreadable++; /* the records' complaint said why */
	else
		run->input->files++;
	finish_file(run, file->name, result == 0 && !run->records.is_given_up);
	return 0;
}

/* ---- all sources */

static void skip_file(void *context, const char *path)
{
	struct run *run = context;
	(void)path;
	run->input->files_skipped++;
}

static void leave_file_out(void *context, const char *path)
{
	struct run *run = context;
	(void)path;
	run->input->files_outside++;
}

static void lose_file(void *context, const char *path, const char *why)
{
	struct run *run = context;
	run->complaints = 0;
	complain_file(run, path, why);
}

static int add_size(void *context, const struct source_file *file, struct error *err)
{
	struct run *run = context;
	(void)err;
	run->total_bytes += file->size;
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
	const struct source_reader reader = {
		.file = add_size, .skipped = ignore_file, .unreadable = ignore_loss, .context = run};
	for (size_t i = 0; run->options->progress != NULL && i < run->options->source_count; i++) {
		CLEANUP_SOURCE struct log_source *source = NULL;
		if (source_open(run->options->sources[i], &run->options->from, &source, NULL) == 0)
			(void)source_each(source, &reader, NULL);
	}
}

MUST_USE static int read_source(struct run *run, const char *name, struct error *err)
{
	const struct source_reader reader = {.file = take_file,
	                                     .skipped = skip_file,
	                                     .outside = leave_file_out,
	                                     .unreadable = lose_file,
	                                     .context = run};
	CLEANUP_SOURCE struct log_source *source = NULL;
	if (source_open(name, &run->options->from, &source, err) < 0)
		return -1;
	return source_each(source, &reader, err);
}

MUST_USE static int read_sources(struct run *run, struct error *err)
{
	size_t lost = 0;
	struct error problem = {0};
	for (size_t i = 0; i < run->options->source_count; i++) {
		if (read_source(run, run->options->sources[i], &problem) == 0)
			continue;
		bool is_end = run->has_failed || (++lost == run->options->source_count && !run->is_second);
		if (!is_end) {
			run->complaints = 0;
			run->input->files_unreadable++;
			complain(run, problem.text);
		}
		finish_file(run, run->options->sources[i], false);
		if (is_end)
			return error_set(err, problem.code, "%s", problem.text);
	}
	return 0;
}

/* ---- passes */

/* What a pass knows: which keys to look for is part of it. */
static void arm(struct run *run)
{
	run->setup.triage.lineage = &run->learned.lineage;
	triage_follow(&run->setup.triage);
	run->setup.triage.learns = !run->is_second;
	run->setup.triage.everything = run->setup.tracked.has_odd_key || run->learned.lineage.has_principals;
}

/* The same sources once more, by what they have taught. What has become unreadable since is told, and counts. */
MUST_USE static int read_again(struct run *run, struct error *err)
{
	struct detect_summary again = {0};
	run->is_second = true;
	run->input = &again;
	run->done_bytes = 0;
	arm(run);
	if (judge_restart(&run->judge, err) < 0 || read_sources(run, err) < 0)
		return -1;
	run->is_second = false;
	if (again.files_unreadable > run->summary->files_unreadable) {
		run->summary->files_unreadable = again.files_unreadable;
		run->complaints = 0;
		complain(run, "some files could be read only once: what was learned from them later is missing");
	}
	return 0;
}

MUST_USE static int read_all(struct run *run, struct error *err)
{
	bool news[LEARNED_KINDS];
	struct detect_summary *summary = run->summary;
	arm(run);
	if (read_sources(run, err) < 0 || learned_close(&run->learned, news, err) < 0 ||
	    (judge_is_touched(&run->judge, news) && read_again(run, err) < 0))
		return -1;
	if (summary->notice[0] == '\0' && (run->learned.owners.is_full || run->learned.activity.is_full))
		(void)snprintf(summary->notice, sizeof(summary->notice),
		               "the logs say more of the owners of addresses and endpoints than is remembered");
	return judge_finish(&run->judge, err);
}

/* ---- findings */

static int complete(void *context, json_t *finding, struct error *err)
{
	const struct run *run = context;
	suppressions_put(inventory_suppressions(run->setup.inventory), finding, run->setup.now_us);
	return suspects_put(finding, run->setup.ledgers, run->setup.ledger_count, err);
}

static int print_finding(void *context, const json_t *finding, struct error *err)
{
	struct run *run = context;
	const char *severity = json_text_at(finding, "severity");
	int index = name_index(severity_names, SEVERITY_COUNT, severity != NULL ? severity : "");
	if (json_is_true(json_at(finding, "suppressed")))
		run->summary->findings_suppressed++;
	else if (index >= 0)
		run->summary->findings[index]++;
	return run->output->finding(run->output->context, finding, err);
}

MUST_USE static int finish(struct run *run, struct error *err)
{
	const struct findings_filter filter = {.of_this_run = true};
	if (remember_save(&run->learned, run->setup.findings, err) < 0 ||
	    findings_commit(run->setup.findings, complete, run, err) < 0)
		return -1;
	return findings_list(run->setup.findings, &filter, print_finding, run, err);
}

static void run_close(struct run *run)
{
	inflate_free(run->inflate);
	judge_done(&run->judge);
	learned_done(&run->learned);
	covered_done(&run->covered);
	if (run->stdin_fd >= 0)
		(void)close(run->stdin_fd);
	setup_close(&run->setup);
}

int detect_run(const struct detect_options *options, const struct detect_output *output, struct detect_summary *ret,
               struct error *err)
{
	struct detect_summary summary = {0};
	CLEANUP(run_close) struct run run = {.options = options, .output = output, .stdin_fd = -1};
	run.summary = run.input = &summary;
	run.judge = (struct judge){
		.setup = &run.setup, .learned = &run.learned, .covered = &run.covered, .summary = &summary};
	judge_init(&run.judge);
	run.learned.lineage.tracked = &run.setup.tracked;
	run.learned.lineage.every_session = options->without_ledger;
	if (options->source_count == 0)
		return error_set(err, ERROR_USAGE, "no source to read");
	int opened = setup_open(options, &run.setup, &summary, err);
	covered_init(&run.covered, run.setup.ledgers, run.setup.ledger_count);
	if (opened < 0 || inflate_new(&run.inflate, err) < 0 ||
	    remember_load(&run.learned, run.setup.findings, err) < 0)
		return -1;
	measure_sources(&run);
	if (read_all(&run, err) < 0 || finish(&run, err) < 0)
		return -1;
	*ret = summary;
	return 0;
}
