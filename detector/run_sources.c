/* SPDX-License-Identifier: Apache-2.0 */

/* From names to readings, and what came of each: a file that cannot be read costs that file and a line. What readers
 * found is taken back in the order of the files: how many there are does not show. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "detector/run.h"
#include "detector/source.h"
#include "detector/spool.h"

/* ---- what came of a file */

void run_complain(struct run *run, const char *line)
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

MUST_USE static int note_read(struct run *run, const struct reading *reading, struct error *err)
{
	if (!run->options->reads_back || run->is_second || !reading->is_read)
		return 0;
	return earlier_note(run->setup.findings, reading->file.name, run->setup.now_us, err);
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
	if (note_read(run, reading, &reading->failure) < 0)
		atomic_store(&run->pass.has_failed, true);
	(void)pthread_mutex_unlock(&run->pass.lock);
	for (size_t i = 0; i < READING_LINES && reading->lines[i] != NULL; i++)
		run_complain(run, reading->lines[i]);
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

MUST_USE static int read_source(struct run *run, size_t number, struct error *err)
{
	const struct source_reader reader = {.file = take_file,
	                                     .skipped = skip_file,
	                                     .outside = leave_file_out,
	                                     .unreadable = lose_file,
	                                     .context = run};
	struct reading_list *list = &run->list;
	if (source_open(list->names[number], &run->options->from, &list->sources[number], err) < 0)
		return -1;
	return source_each(list->sources[number], &reader, err);
}

static void close_sources(struct run *run)
{
	for (size_t i = 0; run->list.sources != NULL && i < run->list.count; i++)
		source_close(run->list.sources[i]);
	free(run->list.sources);
	run->list = (struct reading_list){0};
}

MUST_USE static int give_sources(struct run *run, struct error *err)
{
	size_t lost = 0;
	struct error problem = {0};
	for (size_t i = 0; i < run->list.count; i++) {
		if (read_source(run, i, &problem) == 0)
			continue;
		bool is_end = run->failure.code != ERROR_NONE || (++lost == run->list.count && !run->is_second);
		if (is_end) {
			finish_file(run, run->list.names[i], false);
			return error_set(err, problem.code, "%s", problem.text);
		}
		if (give_loss(run, run->list.names[i], problem.text, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int read_list(struct run *run, const char *const *names, size_t count, struct error *err)
{
	run->list = (struct reading_list){names, count, calloc(count, sizeof(struct log_source *))};
	if (run->list.sources == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for sources");
	int result = give_sources(run, err);
	crew_wait(run->crew);
	close_sources(run);
	if (result == 0 && run->failure.code != ERROR_NONE)
		result = error_set(err, run->failure.code, "%s", run->failure.text);
	return result;
}

int run_read_sources(struct run *run, struct error *err)
{
	return read_list(run, run->options->sources, run->options->source_count, err);
}

/* What has been counted before, and what is lost by now: neither is this run's input. */
int run_read_earlier(struct run *run, struct error *err)
{
	struct detect_summary ignored = {0}, *summary = run->summary, *input = run->input;
	const struct earlier *earlier = &run->earlier;
	bool is_second = run->is_second;
	if (earlier->count == 0)
		return 0;
	run->summary = run->input = run->judge.summary = &ignored;
	run->is_second = run->judge.is_replaying = true;
	int result = read_list(run, (const char *const *)earlier->names, earlier->count, err);
	run->judge.is_replaying = false;
	run->is_second = is_second;
	run->judge.summary = run->summary = summary;
	run->input = input;
	run->earlier_lost = ignored.files_unreadable;
	return result;
}

/* ---- readers */

static size_t count_workers(const struct detect_options *options)
{
	cpu_set_t cpus;
	if (options->workers > 0)
		return options->workers;
	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (size_t)CPU_COUNT(&cpus) : 1;
}

int run_open_readers(struct run *run, struct error *err)
{
	const struct crew_work work = {on_work, on_done, on_tick, run};
	size_t count = count_workers(run->options);
	run->readers = calloc(count, sizeof(struct reader *));
	if (run->readers == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for readers");
	if (pass_open(&run->pass, count, err) < 0)
		return -1;
	for (; run->reader_count < count; run->reader_count++)
		if (reader_new(&run->pass, count, &run->readers[run->reader_count], err) < 0)
			return -1;
	return crew_new(count, &work, &run->crew, err);
}

void run_close_readers(struct run *run)
{
	crew_free(run->crew);
	close_sources(run);
	for (size_t i = 0; i < run->reader_count; i++)
		reader_free(run->readers[i]);
	free(run->readers);
	pass_close(&run->pass);
}
