/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of a watcher: list -> what is new, in batches -> detect_run -> say what has changed -> note. Here are
 * the rounds and the places that are listed; watch_batch does the rest. */
#include "detector/watch.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "detector/queue.h"
#include "detector/watch_batch.h"

#define FULL_WALK_MS INT64_C(3600000) /* in between, only days within the slack are listed */
#define TOGETHER_MS INT64_C(3600000)  /* how often files are read once more together */
#define QUEUE_WAIT_SECONDS 20
#define WAIT_SLICE_MS 50

struct message {
	char *receipt;     /* owned */
	size_t first, end; /* its objects in the batch */
};

struct watch {
	const struct watch_options *options;
	const struct watch_output *output;
	struct watch_batch batch;
	struct message messages[16];
	size_t message_count;
	int64_t full_walk_ms, full_walk_us; /* when the last one began, by two clocks; 0: never */
	struct error *walk_problem;
};

static bool is_stopped(const struct watch *watch)
{
	return watch_is_stopped(watch->options);
}

/* ---- folders and buckets */

static int on_listed(void *context, const struct source_file *file, struct error *err)
{
	struct watch *watch = context;
	struct watch_batch *batch = &watch->batch;
	if (is_stopped(watch))
		return error_set(err, ERROR_TIMEOUT, "stopped");
	if (watch_batch_consider(batch, file, false, watch->walk_problem) < 0)
		return error_set(err, ERROR_SYSTEM, "see walk_problem");
	if (!watch_batch_is_full(batch))
		return 0;
	if (watch_batch_run(batch, watch->walk_problem) < 0)
		return error_set(err, ERROR_SYSTEM, "see walk_problem");
	watch_batch_clear(batch);
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
	if (checkpoint_id_of(name, "unreadable", &id, NULL) < 0 ||
	    watch_lost_add(&watch->batch.lost, &id, clock_monotonic_ms()) > 1)
		return;
	(void)error_set(&line, ERROR_INPUT, "%s: %s", name, why);
	watch->output->detect.complain(watch->output->detect.context, line.text);
}

/* Once an hour, and for what could not be read, everything is listed; in between, what CloudTrail may still deliver. */
static struct source_filter narrow(struct watch *watch, bool *ret_full)
{
	struct source_filter filter = watch->options->detect.from.filter;
	int64_t window_us = watch->full_walk_us - filter.slack_us;
	int64_t now_ms = clock_monotonic_ms();
	*ret_full = watch->full_walk_us == 0 || watch_lost_has_due(&watch->batch.lost, now_ms) ||
	            now_ms - watch->full_walk_ms >= FULL_WALK_MS;
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
	if (result == 0 && watch_batch_run(&watch->batch, &inner) < 0) {
		*fatal = true;
		result = -1;
	}
	watch_batch_clear(&watch->batch);
	watch->walk_problem = NULL;
	if (result < 0 && *fatal)
		return error_set(err, inner.code, "%s", inner.text);
	return result;
}

/* ---- queues */

static int on_object(void *context, const struct queue_object *object, struct error *err)
{
	struct watch *watch = context;
	const struct source_file file = {.name = object->name, .version = object->version};
	struct source_place place = source_place_of(object->name);
	if (!source_is_log_name(object->name) || place.kind != SOURCE_LOG ||
	    !source_filter_takes(&watch->options->detect.from.filter, &place))
		return 0;
	return watch_batch_consider(&watch->batch, &file, true, err);
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
		if (message->receipt == NULL || !watch_batch_has_read(&watch->batch, message->first, message->end))
			continue;
		watch->batch.has_news = true;
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
	if (result == 0 && watch_batch_run(&watch->batch, err) < 0) {
		*fatal = true;
		result = -1;
	}
	if (result == 0)
		result = delete_messages(watch, name, err);
	clear_messages(watch);
	watch_batch_clear(&watch->batch);
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
	watch->batch.has_news = false;
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
	clear_messages(watch);
	watch_batch_close(&watch->batch);
}

int watch_run(const struct watch_options *options, const struct watch_output *output, struct watch_summary *ret,
              struct error *err)
{
	CLEANUP(watch_done) struct watch watch = {.options = options, .output = output};
	*ret = (struct watch_summary){0};
	if (check(options, err) < 0 || watch_batch_open(&watch.batch, options, output, ret, err) < 0)
		return -1;
	int64_t together_ms = clock_monotonic_ms();
	for (bool is_first = true; !is_stopped(&watch); is_first = false) {
		if (look(&watch, is_first, err) < 0)
			return -1;
		if (watch.batch.has_news)
			continue;
		if (options->once || clock_monotonic_ms() - together_ms >= TOGETHER_MS) {
			together_ms = clock_monotonic_ms();
			if (watch_batch_together(&watch.batch, err) < 0)
				return -1;
		}
		if (options->once || !wait_ms(&watch, options->interval_ms))
			break;
	}
	return 0;
}
