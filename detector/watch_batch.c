/* SPDX-License-Identifier: Apache-2.0 */

/* What makes a watcher safe to kill lies here: the order of reading, saying and noting. */
#include "detector/watch_batch.h"

#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/clock.h"
#include "store/findings.h"

#define BATCH_FILES 400
#define BATCH_FAR_FILES 40 /* each takes its time to fetch */
#define BATCH_BYTES ((uint64_t)64 << 20)
#define TOGETHER_FILES 5000 /* the newest; an hour of a large organisation, a day of a small one */

/* ---- files */

int watch_batch_open(struct watch_batch *batch, const struct watch_options *options, const struct watch_output *output,
                     struct watch_summary *summary, struct error *err)
{
	*batch = (struct watch_batch){.options = options, .output = output, .summary = summary};
	if (checkpoint_open(options->checkpoint, &batch->checkpoint, err) < 0)
		return -1;
	return watch_lost_init(&batch->lost, options->interval_ms, err);
}

void watch_batch_close(struct watch_batch *batch)
{
	watch_batch_clear(batch);
	free(batch->files);
	free(batch->said);
	watch_lost_done(&batch->lost);
	buffer_done(&batch->complaints);
	checkpoint_close(batch->checkpoint);
}

void watch_batch_clear(struct watch_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		free(batch->files[i].name);
	batch->count = 0;
	batch->bytes = 0;
}

MUST_USE static int add_file(struct watch_batch *batch, const char *name, const struct checkpoint_id *id,
                             struct error *err)
{
	if (array_reserve(&batch->files, sizeof(*batch->files), batch->count, &batch->capacity, "files", err) < 0)
		return -1;
	char *copy = strdup(name);
	if (copy == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a name");
	batch->files[batch->count++] = (struct watch_file){.name = copy, .id = *id};
	return 0;
}

int watch_batch_consider(struct watch_batch *batch, const struct source_file *file, bool is_urgent, struct error *err)
{
	struct checkpoint_id id;
	bool is_read = false;
	if (checkpoint_id_of(file->name, file->version, &id, err) < 0 ||
	    checkpoint_has_read(batch->checkpoint, &id, &is_read, err) < 0)
		return -1;
	if (is_read || (!is_urgent && watch_lost_waits(&batch->lost, &id, clock_monotonic_ms())))
		return 0;
	if (add_file(batch, file->name, &id, err) < 0)
		return -1;
	batch->bytes += file->size;
	return 0;
}

bool watch_batch_is_full(const struct watch_batch *batch)
{
	return batch->count >= (batch->is_far ? BATCH_FAR_FILES : BATCH_FILES) || batch->bytes >= BATCH_BYTES;
}

bool watch_batch_has_read(const struct watch_batch *batch, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		if (!batch->files[i].is_read)
			return false;
	return true;
}

/* ---- complaints */

static void on_complaint(void *context, const char *line)
{
	struct watch_batch *batch = context;
	if (batch->is_together) /* it was said the first time */
		return;
	(void)!buffer_printf(&batch->complaints, NULL, "%s\n", line);
}

static void say_complaints(struct watch_batch *batch)
{
	char *rest = batch->complaints.bytes, *line;
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			batch->output->detect.complain(batch->output->detect.context, line);
	buffer_clear(&batch->complaints);
}

/* ---- reading, saying, noting */

static struct watch_file *find_file(struct watch_batch *batch, const char *name, bool is_read)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct watch_file *file = &batch->files[i];
		if (strcmp(file->name, name) == 0 && !(file->is_done && is_read))
			return file;
	}
	return NULL;
}

/* A file may be told of again, when a second pass cannot read it any more. */
static void on_file_done(void *context, const char *name, bool is_read)
{
	struct watch_batch *batch = context;
	struct watch_file *file = find_file(batch, name, is_read);
	bool has_failed_once = file != NULL && watch_lost_failures(&batch->lost, &file->id) == 1;
	if (file != NULL) {
		file->is_done = true;
		file->is_read = is_read;
	}
	if (is_read || batch->options->once || has_failed_once)
		say_complaints(batch);
	buffer_clear(&batch->complaints);
}

MUST_USE static int add_said(struct watch_batch *batch, const struct watch_said *said, struct error *err)
{
	if (array_reserve(&batch->said, sizeof(*batch->said), batch->said_count, &batch->said_capacity, "findings",
	                  err) < 0)
		return -1;
	batch->said[batch->said_count++] = *said;
	return 0;
}

static int on_finding(void *context, const json_t *finding, struct error *err)
{
	struct watch_batch *batch = context;
	CLEANUP_FREE char *line = json_line(finding);
	const char *id = json_text_at(finding, "id"), *severity = json_text_at(finding, "severity");
	struct watch_said said;
	bool is_known = false;
	if (line == NULL || id == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a finding");
	if (digest_of(line, strlen(line), said.digest, err) < 0 ||
	    checkpoint_has_said(batch->checkpoint, id, said.digest, &is_known, err) < 0)
		return -1;
	if (is_known)
		return 0;
	(void)snprintf(said.id, sizeof(said.id), "%s", id);
	if (add_said(batch, &said, err) < 0)
		return -1;
	int index = name_index(severity_names, SEVERITY_COUNT, severity != NULL ? severity : "");
	if (index >= 0)
		batch->summary->findings[index]++;
	return batch->output->detect.finding(batch->output->detect.context, finding, err);
}

/* What was said, and what was read, in one transaction. */
MUST_USE static int note(struct watch_batch *batch, struct error *err)
{
	if (batch->said_count > 0 && batch->output->flush(batch->output->detect.context, err) < 0)
		return -1;
	for (size_t i = 0; i < batch->said_count; i++)
		if (checkpoint_said(batch->checkpoint, batch->said[i].id, batch->said[i].digest, err) < 0)
			return -1;
	batch->said_count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		const struct watch_file *file = &batch->files[i];
		if (!file->is_read || batch->is_together)
			continue;
		if (checkpoint_read(batch->checkpoint, &file->id, err) < 0 ||
		    checkpoint_remember(batch->checkpoint, &file->id, file->name, clock_now_us(), err) < 0)
			return -1;
	}
	return checkpoint_commit(batch->checkpoint, err);
}

static void settle(struct watch_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct watch_file *file = &batch->files[i];
		if (file->is_read) {
			watch_lost_remove(&batch->lost, &file->id);
			batch->summary->files++;
			batch->has_news = true;
		} else if (!watch_is_stopped(batch->options)) {
			batch->summary->files_lost++;
			(void)watch_lost_add(&batch->lost, &file->id, clock_monotonic_ms());
		}
	}
	say_complaints(batch);
}

MUST_USE static int run_detector(struct watch_batch *batch, struct error *err)
{
	CLEANUP_FREE const char **names = calloc(batch->count, sizeof(*names));
	struct detect_options options = batch->options->detect;
	const struct detect_output output = {.finding = on_finding, .complain = on_complaint, .context = batch};
	struct detect_summary summary;
	struct error problem = {0};
	size_t done = 0, read = 0;
	if (names == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for %zu files", batch->count);
	for (size_t i = 0; i < batch->count; i++)
		names[i] = batch->files[i].name;
	options.sources = names;
	options.source_count = batch->count;
	options.from.filter = (struct source_filter){0}; /* they were chosen by it */
	options.file_done = on_file_done;
	options.file_done_context = batch;
	if (detect_run(&options, &output, &summary, &problem) == 0) {
		batch->summary->malformed += batch->is_together ? 0 : summary.records_malformed;
		return 0;
	}
	for (size_t i = 0; i < batch->count; i++) {
		done += batch->files[i].is_done;
		read += batch->files[i].is_read;
	}
	if (done < batch->count || read > 0) /* not only that none of the files could be read */
		return error_set(err, problem.code, "%s", problem.text);
	return 0;
}

int watch_batch_run(struct watch_batch *batch, struct error *err)
{
	if (batch->count == 0)
		return 0;
	batch->said_count = 0;
	batch->runs++;
	if (run_detector(batch, err) < 0 || note(batch, err) < 0)
		return -1;
	settle(batch);
	return 0;
}

/* ---- files that were read apart from each other */

static int on_recent(void *context, const struct checkpoint_id *id, const char *name, struct error *err)
{
	struct watch_batch *batch = context;
	bool is_far = strstr(name, "://") != NULL;
	/* What is gone from the disk was read once, at least. */
	return !is_far && access(name, R_OK) < 0 ? 0 : add_file(batch, name, id, err);
}

MUST_USE static int note_together(struct watch_batch *batch, int64_t since_us, struct error *err)
{
	if (checkpoint_together(batch->checkpoint, since_us, err) < 0)
		return -1;
	return checkpoint_commit(batch->checkpoint, err);
}

/* A key may be used in one file and have been made in another, a batch later or earlier. So the files of the last day
 * are read once more as one: what has become known since changes findings as it would have in one run of detect. */
int watch_batch_together(struct watch_batch *batch, struct error *err)
{
	int64_t since_us = clock_now_us() - batch->options->detect.from.filter.slack_us, apart, all;
	if (checkpoint_count(batch->checkpoint, &apart, &all, err) < 0)
		return -1;
	if (apart == 0)
		return 0;
	/* All of them were one batch, of this watcher. */
	if (batch->runs == 1 && apart == all && (uint64_t)all == batch->summary->files)
		return note_together(batch, since_us, err);
	watch_batch_clear(batch);
	if (checkpoint_recent(batch->checkpoint, since_us, TOGETHER_FILES, on_recent, batch, err) < 0)
		return -1;
	batch->is_together = true;
	batch->said_count = 0;
	int result = batch->count > 0 ? run_detector(batch, err) : 0;
	if (result == 0)
		result = note(batch, err);
	batch->is_together = false;
	watch_batch_clear(batch);
	if (result < 0 || watch_is_stopped(batch->options))
		return result;
	return note_together(batch, since_us, err);
}
