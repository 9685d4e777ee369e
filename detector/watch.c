/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of a watcher: list -> what is new, in batches -> detect_run -> say what has changed -> note. Nothing is
 * noted before it is stored and said. */
#include "detector/watch.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "detector/queue.h"
#include "store/checkpoint.h"
#include "store/findings.h"

#define BATCH_FILES 400
#define BATCH_FAR_FILES 40 /* each takes its time to fetch */
#define BATCH_BYTES ((uint64_t)64 << 20)
#define LOST_MAX 4096
#define LOST_WAIT_MAX_MS INT64_C(3600000)
#define FULL_WALK_MS INT64_C(3600000) /* in between, only days within the slack are listed */
#define TOGETHER_MS INT64_C(3600000)  /* how often files are read once more together */
#define TOGETHER_FILES 5000           /* the newest; an hour of a large organisation, a day of a small one */
#define QUEUE_WAIT_SECONDS 20
#define WAIT_SLICE_MS 50

/* A file that is to be read, or a finding that was said. */
struct entry {
	char *name; /* owned */
	struct checkpoint_id id;
	bool is_done, is_read;
};

struct batch {
	struct entry *entries;
	size_t count, capacity;
	uint64_t bytes;
	bool is_far;
};

struct said {
	char id[DIGEST_HEX_BYTES];
	uint8_t digest[DIGEST_BYTES];
};

/* A file that could not be read. It may be one that is still being written: it is only spoken of when it fails again.
 */
struct lost {
	struct checkpoint_id id;
	unsigned failures;
	int64_t due_ms;
};

struct message {
	char *receipt;     /* owned */
	size_t first, end; /* its objects in the batch */
};

struct watch {
	const struct watch_options *options;
	const struct watch_output *output;
	struct watch_summary *summary;
	struct checkpoint *checkpoint;
	struct batch batch;
	struct said *said;
	size_t said_count, said_capacity;
	struct lost *lost;
	size_t lost_count;
	struct buffer complaints; /* about the file at hand, a line each */
	struct message messages[16];
	size_t message_count;
	bool has_news;
	bool is_together; /* files that were read before are being read once more */
	int64_t together_ms;
	uint64_t batches;
	int64_t full_walk_ms, full_walk_us; /* when the last one began, by two clocks; 0: never */
	struct error *walk_problem;
};

static bool is_stopped(const struct watch *watch)
{
	return watch->options->stop != NULL && *watch->options->stop != 0;
}

/* ---- complaints */

static void on_complaint(void *context, const char *line)
{
	struct watch *watch = context;
	if (watch->is_together) /* it was said the first time */
		return;
	(void)!buffer_printf(&watch->complaints, NULL, "%s\n", line);
}

static void say_complaints(struct watch *watch)
{
	char *rest = watch->complaints.bytes, *line;
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			watch->output->detect.complain(watch->output->detect.context, line);
	buffer_clear(&watch->complaints);
}

/* ---- files that could not be read */

static struct lost *find_lost(struct watch *watch, const struct checkpoint_id *id)
{
	for (size_t i = 0; i < watch->lost_count; i++)
		if (memcmp(&watch->lost[i].id, id, sizeof(*id)) == 0)
			return &watch->lost[i];
	return NULL;
}

/* Returns how often it has failed by now. */
static unsigned lose(struct watch *watch, const struct checkpoint_id *id)
{
	struct lost *lost = find_lost(watch, id);
	if (lost == NULL) {
		if (watch->lost_count == LOST_MAX) /* the oldest is tried again sooner than it should be */
			memmove(watch->lost, watch->lost + 1, --watch->lost_count * sizeof(*watch->lost));
		lost = &watch->lost[watch->lost_count++];
		*lost = (struct lost){.id = *id};
	}
	int64_t wait_ms = watch->options->interval_ms << (lost->failures < 12 ? lost->failures : 12);
	lost->due_ms = clock_monotonic_ms() + (wait_ms < LOST_WAIT_MAX_MS ? wait_ms : LOST_WAIT_MAX_MS);
	return ++lost->failures;
}

static void find_again(struct watch *watch, const struct checkpoint_id *id)
{
	struct lost *lost = find_lost(watch, id);
	if (lost != NULL)
		*lost = watch->lost[--watch->lost_count];
}

/* ---- a batch */

static void clear_batch(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		free(batch->entries[i].name);
	batch->count = 0;
	batch->bytes = 0;
}

MUST_USE static int add_entry(struct batch *batch, const char *name, const struct checkpoint_id *id, struct error *err)
{
	if (batch->count == batch->capacity) {
		size_t capacity = batch->capacity > 0 ? batch->capacity * 2 : 64;
		struct entry *grown = reallocarray(batch->entries, capacity, sizeof(*grown));
		if (grown == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for %zu files", capacity);
		batch->entries = grown;
		batch->capacity = capacity;
	}
	char *copy = strdup(name);
	if (copy == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a name");
	batch->entries[batch->count++] = (struct entry){.name = copy, .id = *id};
	return 0;
}

static struct entry *find_entry(struct watch *watch, const char *name, bool is_read)
{
	for (size_t i = 0; i < watch->batch.count; i++) {
		struct entry *entry = &watch->batch.entries[i];
		if (strcmp(entry->name, name) == 0 && !(entry->is_done && is_read))
			return entry;
	}
	return NULL;
}

/* A file may be told of again, when a second pass cannot read it any more. */
static void on_file_done(void *context, const char *name, bool is_read)
{
	struct watch *watch = context;
	struct entry *entry = find_entry(watch, name, is_read);
	const struct lost *lost = entry != NULL ? find_lost(watch, &entry->id) : NULL;
	if (entry != NULL) {
		entry->is_done = true;
		entry->is_read = is_read;
	}
	if (is_read || watch->options->once || (lost != NULL && lost->failures == 1))
		say_complaints(watch);
	buffer_clear(&watch->complaints);
}

static int on_finding(void *context, const json_t *finding, struct error *err)
{
	struct watch *watch = context;
	CLEANUP_FREE char *line = json_line(finding);
	const char *id = json_text_at(finding, "id"), *severity = json_text_at(finding, "severity");
	struct said said;
	bool is_known = false;
	if (line == NULL || id == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a finding");
	if (digest_of(line, strlen(line), said.digest, err) < 0 ||
	    checkpoint_has_said(watch->checkpoint, id, said.digest, &is_known, err) < 0)
		return -1;
	if (is_known)
		return 0;
	if (watch->said_count == watch->said_capacity) {
		size_t capacity = watch->said_capacity > 0 ? watch->said_capacity * 2 : 16;
		struct said *grown = reallocarray(watch->said, capacity, sizeof(*grown));
		if (grown == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for findings");
		watch->said = grown;
		watch->said_capacity = capacity;
	}
	(void)snprintf(said.id, sizeof(said.id), "%s", id);
	watch->said[watch->said_count++] = said;
	int index = name_index(severity_names, SEVERITY_COUNT, severity != NULL ? severity : "");
	if (index >= 0)
		watch->summary->findings[index]++;
	return watch->output->detect.finding(watch->output->detect.context, finding, err);
}

/* What was said, and what was read, in one transaction. */
MUST_USE static int note_batch(struct watch *watch, struct error *err)
{
	if (watch->said_count > 0 && watch->output->flush(watch->output->detect.context, err) < 0)
		return -1;
	for (size_t i = 0; i < watch->said_count; i++)
		if (checkpoint_said(watch->checkpoint, watch->said[i].id, watch->said[i].digest, err) < 0)
			return -1;
	watch->said_count = 0;
	for (size_t i = 0; i < watch->batch.count; i++) {
		const struct entry *entry = &watch->batch.entries[i];
		if (!entry->is_read || watch->is_together)
			continue;
		if (checkpoint_read(watch->checkpoint, &entry->id, err) < 0 ||
		    checkpoint_remember(watch->checkpoint, &entry->id, entry->name, clock_now_us(), err) < 0)
			return -1;
	}
	return checkpoint_commit(watch->checkpoint, err);
}

static void settle_entries(struct watch *watch)
{
	for (size_t i = 0; i < watch->batch.count; i++) {
		const struct entry *entry = &watch->batch.entries[i];
		if (entry->is_read) {
			find_again(watch, &entry->id);
			watch->summary->files++;
			watch->has_news = true;
		} else if (!is_stopped(watch)) {
			watch->summary->files_lost++;
			(void)lose(watch, &entry->id);
		}
	}
	say_complaints(watch);
}

MUST_USE static int run_detector(struct watch *watch, struct error *err)
{
	struct batch *batch = &watch->batch;
	CLEANUP_FREE const char **names = calloc(batch->count, sizeof(*names));
	struct detect_options options = watch->options->detect;
	const struct detect_output output = {.finding = on_finding, .complain = on_complaint, .context = watch};
	struct detect_summary summary;
	struct error problem = {0};
	size_t done = 0, read = 0;
	if (names == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for %zu files", batch->count);
	for (size_t i = 0; i < batch->count; i++)
		names[i] = batch->entries[i].name;
	options.sources = names;
	options.source_count = batch->count;
	options.from.filter = (struct source_filter){0}; /* they were chosen by it */
	options.file_done = on_file_done;
	options.file_done_context = watch;
	if (detect_run(&options, &output, &summary, &problem) == 0)
		return 0;
	for (size_t i = 0; i < batch->count; i++) {
		done += batch->entries[i].is_done;
		read += batch->entries[i].is_read;
	}
	if (done < batch->count || read > 0) /* not only that none of the files could be read */
		return error_set(err, problem.code, "%s", problem.text);
	return 0;
}

MUST_USE static int run_batch(struct watch *watch, struct error *err)
{
	if (watch->batch.count == 0)
		return 0;
	watch->said_count = 0;
	watch->batches++;
	if (run_detector(watch, err) < 0 || note_batch(watch, err) < 0)
		return -1;
	settle_entries(watch);
	return 0;
}

/* ---- files that were read apart from each other */

MUST_USE static int on_recent(void *context, const struct checkpoint_id *id, const char *name, struct error *err)
{
	struct watch *watch = context;
	bool is_far = strstr(name, "://") != NULL;
	/* What is gone from the disk was read once, at least. */
	return !is_far && access(name, R_OK) < 0 ? 0 : add_entry(&watch->batch, name, id, err);
}

/* A key may be used in one file and have been made in another, a batch later or earlier. So the files of the last day
 * are read once more as one: what has become known since changes findings as it would have in one run of detect. */
MUST_USE static int read_together(struct watch *watch, struct error *err)
{
	int64_t since_us = clock_now_us() - watch->options->detect.from.filter.slack_us, apart, all;
	watch->together_ms = clock_monotonic_ms();
	if (checkpoint_count(watch->checkpoint, &apart, &all, err) < 0)
		return -1;
	if (apart == 0)
		return 0;
	/* All of them were one batch, of this watcher. */
	if (watch->batches == 1 && apart == all && (uint64_t)all == watch->summary->files)
		return checkpoint_together(watch->checkpoint, since_us, err) < 0
		               ? -1
		               : checkpoint_commit(watch->checkpoint, err);
	clear_batch(&watch->batch);
	if (checkpoint_recent(watch->checkpoint, since_us, TOGETHER_FILES, on_recent, watch, err) < 0)
		return -1;
	watch->is_together = true;
	watch->said_count = 0;
	int result = watch->batch.count > 0 ? run_detector(watch, err) : 0;
	if (result == 0)
		result = note_batch(watch, err);
	watch->is_together = false;
	clear_batch(&watch->batch);
	if (result < 0 || is_stopped(watch))
		return result;
	return checkpoint_together(watch->checkpoint, since_us, err) < 0 ? -1
	                                                                 : checkpoint_commit(watch->checkpoint, err);
}

/* Is it to be read now? Then it joins the batch. `is_urgent`: nobody will name it again if it does not. */
MUST_USE static int consider(struct watch *watch, const char *name, const char *version, bool is_urgent,
                             bool *ret_joins, struct error *err)
{
	struct checkpoint_id id;
	bool is_read = false;
	*ret_joins = false;
	if (checkpoint_id_of(name, version, &id, err) < 0 ||
	    checkpoint_has_read(watch->checkpoint, &id, &is_read, err) < 0)
		return -1;
	const struct lost *lost = find_lost(watch, &id);
	if (is_read || (!is_urgent && lost != NULL && lost->due_ms > clock_monotonic_ms()))
		return 0;
	*ret_joins = true;
	return add_entry(&watch->batch, name, &id, err);
}

/* ---- folders and buckets */

static int on_listed(void *context, const struct source_file *file, struct error *err)
{
	struct watch *watch = context;
	struct batch *batch = &watch->batch;
	bool joins;
	if (is_stopped(watch))
		return error_set(err, ERROR_TIMEOUT, "stopped");
	if (consider(watch, file->name, file->version, false, &joins, watch->walk_problem) < 0)
		return error_set(err, ERROR_SYSTEM, "see walk_problem");
	batch->bytes += joins ? file->size : 0;
	if (batch->count < (batch->is_far ? BATCH_FAR_FILES : BATCH_FILES) && batch->bytes < BATCH_BYTES)
		return 0;
	if (run_batch(watch, watch->walk_problem) < 0)
		return error_set(err, ERROR_SYSTEM, "see walk_problem");
	clear_batch(batch);
	return 0;
}

static void on_skipped(void *context, const char *name)
{
	(void)context;
	(void)name;
}

static void on_unreadable(void *context, const char *name, const char *why)
{
	struct watch *watch = context;
	struct checkpoint_id id;
	struct error line = {0};
	if (checkpoint_id_of(name, "unreadable", &id, NULL) < 0 || lose(watch, &id) > 1)
		return;
	(void)error_set(&line, ERROR_INPUT, "%s: %s", name, why);
	watch->output->detect.complain(watch->output->detect.context, line.text);
}

/* Is one of them to be tried again? */
static bool has_due(const struct watch *watch)
{
	for (size_t i = 0; i < watch->lost_count; i++)
		if (watch->lost[i].due_ms <= clock_monotonic_ms())
			return true;
	return false;
}

/* Once an hour, and for what could not be read, everything is listed; in between, what CloudTrail may still deliver. */
static struct source_filter narrow(struct watch *watch, bool *ret_full)
{
	struct source_filter filter = watch->options->detect.from.filter;
	int64_t window_us = watch->full_walk_us - filter.slack_us;
	*ret_full = watch->full_walk_us == 0 || has_due(watch) ||
	            clock_monotonic_ms() - watch->full_walk_ms >= FULL_WALK_MS;
	if (!*ret_full && window_us > filter.since_us && (filter.until_us == 0 || window_us < filter.until_us))
		filter.since_us = window_us;
	return filter;
}

/* -1 with `fatal` set: the watcher cannot go on; without: this source could not be looked at now. */
MUST_USE static int walk(struct watch *watch, const char *name, const struct source_filter *filter, bool *fatal,
                         struct error *err)
{
	const struct source_reader reader = {
		.file = on_listed, .skipped = on_skipped, .unreadable = on_unreadable, .context = watch};
	const struct source_options options = {.filter = *filter, .aws = watch->options->detect.from.aws};
	CLEANUP_SOURCE struct log_source *source = NULL;
	struct error inner = {0};
	watch->walk_problem = &inner;
	watch->batch.is_far = strncmp(name, "s3://", 5) == 0;
	int result = source_open(name, &options, &source, err);
	if (result == 0)
		result = source_each(source, &reader, err);
	*fatal = inner.text[0] != '\0' || inner.code != ERROR_NONE;
	if (result == 0 && run_batch(watch, &inner) < 0) {
		*fatal = true;
		result = -1;
	}
	clear_batch(&watch->batch);
	watch->walk_problem = NULL;
	if (result < 0 && *fatal)
		return error_set(err, inner.code, "%s", inner.text);
	return result;
}

/* ---- queues */

static int on_object(void *context, const struct queue_object *object, struct error *err)
{
	struct watch *watch = context;
	struct source_place place = source_place_of(object->name);
	bool joins;
	if (!source_is_log_name(object->name) || place.kind != SOURCE_LOG ||
	    !source_filter_takes(&watch->options->detect.from.filter, &place))
		return 0;
	return consider(watch, object->name, object->version, true, &joins, err);
}

static int on_message(void *context, const char *id, const char *receipt, bool is_understood, struct error *err)
{
	struct watch *watch = context;
	size_t first = watch->message_count > 0 ? watch->messages[watch->message_count - 1].end : 0;
	char line[300];
	if (!is_understood) {
		(void)snprintf(line, sizeof(line), "message %.100s is no notification of an object: left in the queue",
		               id);
		watch->output->detect.complain(watch->output->detect.context, line);
	}
	if (watch->message_count == ARRAY_LENGTH(watch->messages))
		return 0;
	struct message *message = &watch->messages[watch->message_count++];
	*message = (struct message){.first = first, .end = watch->batch.count};
	if (is_understood && (message->receipt = strdup(receipt)) == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a message");
	return 0;
}

static void clear_messages(struct watch *watch)
{
	for (size_t i = 0; i < watch->message_count; i++)
		free(watch->messages[i].receipt);
	watch->message_count = 0;
}

/* Gone from the queue are only messages of which every object has been read: others come again. */
MUST_USE static int delete_messages(struct watch *watch, const char *name, struct error *err)
{
	for (size_t i = 0; i < watch->message_count; i++) {
		const struct message *message = &watch->messages[i];
		bool is_read = message->receipt != NULL;
		for (size_t at = message->first; at < message->end; at++)
			is_read = is_read && watch->batch.entries[at].is_read;
		if (!is_read)
			continue;
		watch->has_news = true;
		if (queue_delete(watch->options->detect.from.aws, name, message->receipt, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int take_queue(struct watch *watch, const char *name, bool *fatal, struct error *err)
{
	const struct watch_options *options = watch->options;
	const struct queue_reader reader = {on_object, on_message, watch};
	int wait_seconds = (int)(options->interval_ms / 1000);
	if (wait_seconds > QUEUE_WAIT_SECONDS)
		wait_seconds = QUEUE_WAIT_SECONDS;
	watch->batch.is_far = true;
	int result = queue_receive(options->detect.from.aws, name, options->once ? 0 : wait_seconds, &reader, err);
	if (result == 0 && run_batch(watch, err) < 0) {
		*fatal = true;
		result = -1;
	}
	if (result == 0)
		result = delete_messages(watch, name, err);
	clear_messages(watch);
	clear_batch(&watch->batch);
	return result;
}

/* ---- rounds */

static bool wait_ms(const struct watch *watch, int64_t milliseconds)
{
	int64_t until_ms = clock_monotonic_ms() + milliseconds;
	for (int64_t left; !is_stopped(watch) && (left = until_ms - clock_monotonic_ms()) > 0;) {
		const struct timespec slice = {.tv_nsec = (left < WAIT_SLICE_MS ? left : WAIT_SLICE_MS) * 1000000};
		(void)nanosleep(&slice, NULL);
	}
	return !is_stopped(watch);
}

/* What is wrong with a source now may pass; what is wrong with it from the start will not. */
MUST_USE static int look(struct watch *watch, bool is_first, struct error *err)
{
	bool is_full, has_failed = false;
	const struct source_filter filter = narrow(watch, &is_full);
	int64_t began_ms = clock_monotonic_ms(), began_us = clock_now_us();
	watch->has_news = false;
	for (size_t i = 0; i < watch->options->detect.source_count && !is_stopped(watch); i++) {
		const char *name = watch->options->detect.sources[i];
		bool fatal = false;
		struct error problem = {0};
		int result = queue_is_name(name) ? take_queue(watch, name, &fatal, &problem)
		                                 : walk(watch, name, &filter, &fatal, &problem);
		if (result == 0 || (is_stopped(watch) && !fatal))
			continue;
		if (fatal || is_first || watch->options->once)
			return error_set(err, problem.code, "%s", problem.text);
		has_failed = true;
		watch->output->detect.complain(watch->output->detect.context, problem.text);
	}
	if (is_full && !has_failed && !is_stopped(watch)) {
		watch->full_walk_ms = began_ms;
		watch->full_walk_us = began_us;
	}
	return 0;
}

MUST_USE static int check(const struct watch_options *options, struct error *err)
{
	if (options->detect.findings == NULL || options->detect.findings[0] == '\0')
		return error_set(err, ERROR_USAGE,
		                 "findings must be kept in a file: expected --findings FILE, or a ledger");
	for (size_t i = 0; i < options->detect.source_count; i++)
		if (strcmp(options->detect.sources[i], "-") == 0)
			return error_set(err, ERROR_USAGE,
			                 "standard input cannot be watched: expected a folder, s3://... or a queue");
	return 0;
}

static void watch_done(struct watch *watch)
{
	clear_batch(&watch->batch);
	free(watch->batch.entries);
	clear_messages(watch);
	free(watch->said);
	free(watch->lost);
	buffer_done(&watch->complaints);
	checkpoint_close(watch->checkpoint);
}

int watch_run(const struct watch_options *options, const struct watch_output *output, struct watch_summary *ret,
              struct error *err)
{
	CLEANUP(watch_done) struct watch watch = {.options = options, .output = output, .summary = ret};
	*ret = (struct watch_summary){0};
	if (check(options, err) < 0 || checkpoint_open(options->checkpoint, &watch.checkpoint, err) < 0)
		return -1;
	if ((watch.lost = calloc(LOST_MAX, sizeof(*watch.lost))) == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a watcher");
	watch.together_ms = clock_monotonic_ms();
	for (bool is_first = true; !is_stopped(&watch); is_first = false) {
		if (look(&watch, is_first, err) < 0)
			return -1;
		if (watch.has_news)
			continue;
		bool is_due = clock_monotonic_ms() - watch.together_ms >= TOGETHER_MS;
		if ((options->once || is_due) && read_together(&watch, err) < 0)
			return -1;
		if (options->once)
			break;
		if (!wait_ms(&watch, options->interval_ms))
			break;
	}
	return 0;
}
