/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of one run: source -> crew of readers (inflate -> records, triage -> event -> judge: origin, rules) ->
 * findings -> suspects. A second pass over the sources is made if the first one has learned what may change a verdict.
 * Read detect_run from below upwards. A file that cannot be read costs that file and a line; only what makes every
 * answer worthless ends the run. What readers found is taken back in the order of the files: how many there are does
 * not show. */
#include "detector/detect.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "detector/crew.h"
#include "detector/learned.h"
#include "detector/reader.h"
#include "detector/remember.h"
#include "detector/source.h"
#include "detector/spool.h"
#include "detector/suspects.h"

struct run {
	const struct detect_options *options;
	const struct detect_output *output;
	struct detect_summary *summary; /* of the run */
	struct detect_summary *input;   /* where what was read is counted: the second pass counts nothing twice */
	struct setup setup;
	struct learned learned;
	struct covered covered;
	struct judge judge;
	struct pass pass;
	struct reader **readers;
	size_t reader_count;
	struct crew *crew;
	struct log_source **sources; /* open until the pass is over */
	uint64_t total_bytes;        /* of files as they lie; 0: not known */
	struct error failure;        /* the first that is not a file's */
	bool is_second;              /* the second pass: all that there is to learn is known, all complaints made */
	int stdin_fd;                /* standard input, as often as wanted; -1: not read yet */
	off_t stdin_start;
};

/* ---- what came of a file */

static void complain(struct run *run, const char *line)
{
	if (!run->is_second && run->output->complain != NULL)
		run->output->complain(run->output->context, line);
}

/* The second pass tells only what it could not read again. */
static void finish_file(const struct run *run, const char *name, bool is_read)
{
	if (run->options->file_done != NULL && !(run->is_second && is_read))
		run->options->file_done(run->options->file_done_context, name, is_read);
}

static void add_counts(struct run *run, const struct detect_summary *counts)
{
	struct detect_summary *input = run->input, *summary = run->summary;
	input->files += counts->files;
	input->files_unreadable += counts->files_unreadable;
	input->bytes += counts->bytes;
	input->records += counts->records;
	input->records_malformed += counts->records_malformed;
	summary->uses += counts->uses;
	summary->uses_at_home += counts->uses_at_home;
	summary->uses_by_aws += counts->uses_by_aws;
	summary->uses_unknown += counts->uses_unknown;
}

static void on_tick(void *context)
{
	struct run *run = context;
	if (run->options->progress != NULL)
		run->options->progress(run->options->progress_context, atomic_load(&run->pass.done_bytes),
		                       run->total_bytes);
}

static void on_done(void *context, void *task)
{
	struct run *run = context;
	struct reading *reading = task;
	/* The judge counts in the summary under the lock, while other readers still work. */
	(void)pthread_mutex_lock(&run->pass.lock);
	add_counts(run, &reading->counts);
	(void)pthread_mutex_unlock(&run->pass.lock);
	for (size_t i = 0; i < READING_LINES && reading->lines[i] != NULL; i++)
		complain(run, reading->lines[i]);
	if (reading->failure.code != ERROR_NONE && run->failure.code == ERROR_NONE)
		run->failure = reading->failure;
	finish_file(run, reading->file.name, reading->is_read);
	reading_free(reading);
	on_tick(run);
}

static void on_work(void *context, size_t worker, void *task)
{
	struct run *run = context;
	reader_run(run->readers[worker], task);
}

/* ---- giving files to readers */

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

/* Something that is not read, in its place among the files that are. */
MUST_USE static int give_loss(struct run *run, const char *name, const char *line, struct error *err)
{
	struct reading *reading = reading_new(NULL, name);
	if (reading == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a file");
	reading->counts.files_unreadable = 1;
	reading_complain(reading, line);
	crew_give(run->crew, reading);
	return 0;
}

static int take_file(void *context, const struct source_file *file, struct error *err)
{
	struct run *run = context;
	struct error problem = {0};
	struct reading *reading = reading_new(file, file->name);
	if (reading == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a file");
	if (strcmp(file->name, "-") == 0) {
		crew_wait(run->crew); /* one file: who reads it twice at once reads each half */
		if (open_stdin(run, &reading->fd, &problem) < 0) {
			reading_free(reading);
			struct error line;
			(void)error_set(&line, problem.code, "standard input: %s", problem.text);
			return give_loss(run, file->name, line.text, err);
		}
	}
	crew_give(run->crew, reading);
	if (run->failure.code != ERROR_NONE)
		return error_set(err, run->failure.code, "%s", run->failure.text);
	return tracked_check(&run->setup.tracked, err);
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
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: %s", path, why);
	if (give_loss(run, path, line.text, &line) < 0)
		run->failure = line;
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

MUST_USE static int read_source(struct run *run, size_t number, struct error *err)
{
	const struct source_reader reader = {.file = take_file,
	                                     .skipped = skip_file,
	                                     .outside = leave_file_out,
	                                     .unreadable = lose_file,
	                                     .context = run};
	if (source_open(run->options->sources[number], &run->options->from, &run->sources[number], err) < 0)
		return -1;
	return source_each(run->sources[number], &reader, err);
}

static void close_sources(struct run *run)
{
	for (size_t i = 0; run->sources != NULL && i < run->options->source_count; i++) {
		source_close(run->sources[i]);
		run->sources[i] = NULL;
	}
}

MUST_USE static int give_sources(struct run *run, struct error *err)
{
	size_t lost = 0;
	struct error problem = {0};
	for (size_t i = 0; i < run->options->source_count; i++) {
		if (read_source(run, i, &problem) == 0)
			continue;
		bool is_end =
			run->failure.code != ERROR_NONE || (++lost == run->options->source_count && !run->is_second);
		if (is_end) {
			finish_file(run, run->options->sources[i], false);
			return error_set(err, problem.code, "%s", problem.text);
		}
		if (give_loss(run, run->options->sources[i], problem.text, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int read_sources(struct run *run, struct error *err)
{
	int result = give_sources(run, err);
	crew_wait(run->crew);
	close_sources(run);
	if (result == 0 && run->failure.code != ERROR_NONE)
		result = error_set(err, run->failure.code, "%s", run->failure.text);
	return result;
}

/* ---- passes */

/* What a pass knows: which keys to look for is part of it. */
static void arm(struct run *run)
{
	run->setup.triage.lineage = &run->learned.lineage;
	triage_follow(&run->setup.triage);
	run->setup.triage.learns = run->pass.learns = !run->is_second;
	run->setup.triage.everything =
		run->options->is_thorough || run->setup.has_odd_key || run->learned.lineage.has_principals;
}

/* The same sources once more, by what they have taught. What has become unreadable since is told, and counts. */
MUST_USE static int read_again(struct run *run, struct error *err)
{
	struct detect_summary again = {0};
	run->is_second = true;
	run->input = &again;
	atomic_store(&run->pass.done_bytes, 0);
	for (size_t i = 0; i < run->reader_count; i++)
		reader_begin(run->readers[i]);
	arm(run);
	if (judge_restart(&run->judge, err) < 0 || read_sources(run, err) < 0)
		return -1;
	run->is_second = false;
	if (again.files_unreadable > run->summary->files_unreadable) {
		run->summary->files_unreadable = again.files_unreadable;
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
	return judge_finish(&run->judge, err) < 0 ? -1 : tracked_check(&run->setup.tracked, err);
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

/* ---- the run */

static size_t count_workers(const struct detect_options *options)
{
	cpu_set_t cpus;
	if (options->workers > 0)
		return options->workers;
	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (size_t)CPU_COUNT(&cpus) : 1;
}

MUST_USE static int open_readers(struct run *run, struct error *err)
{
	const struct crew_work work = {on_work, on_done, on_tick, run};
	size_t count = count_workers(run->options);
	run->readers = calloc(count, sizeof(struct reader *));
	run->sources = calloc(run->options->source_count, sizeof(struct log_source *));
	if (run->readers == NULL || run->sources == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for readers");
	inflate_budget_init(&run->pass.budget);
	for (; run->reader_count < count; run->reader_count++)
		if (reader_new(&run->pass, count, &run->readers[run->reader_count], err) < 0)
			return -1;
	return crew_new(count, &work, &run->crew, err);
}

static void run_close(struct run *run)
{
	crew_free(run->crew);
	close_sources(run);
	free(run->sources);
	for (size_t i = 0; i < run->reader_count; i++)
		reader_free(run->readers[i]);
	free(run->readers);
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
	run.pass = (struct pass){.setup = &run.setup,
	                         .learned = &run.learned,
	                         .judge = &run.judge,
	                         .lock = PTHREAD_MUTEX_INITIALIZER,
	                         .is_thorough = options->is_thorough};
	if (options->source_count == 0)
		return error_set(err, ERROR_USAGE, "no source to read");
	int opened = setup_open(options, &run.setup, &summary, err);
	covered_init(&run.covered, run.setup.ledgers, run.setup.ledger_count);
	if (opened < 0 || remember_load(&run.learned, run.setup.findings, err) < 0 || judge_open(&run.judge, err) < 0 ||
	    open_readers(&run, err) < 0)
		return -1;
	measure_sources(&run);
	if (read_all(&run, err) < 0 || finish(&run, err) < 0)
		return -1;
	*ret = summary;
	return 0;
}
