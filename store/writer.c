/* SPDX-License-Identifier: Apache-2.0 */

/* The queue in front of the ledger, and the thread that empties it. Callers only ever meet the queue; the files are the
 * thread's alone (sink.c). */
#include "store/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "store/ship.h"
#include "store/sink.h"

#define QUEUE_MAX 8192 /* rows; at 4 KB each, 32 MB: then callers are refused instead of memory growing */
#define BATCH_MAX 512  /* rows in one transaction */
#define NAP_MS 10      /* so long a row that nobody waits for may wait for others, to go to disk with them */

struct job {
	struct sink_row row; /* first: the sink gets a list of these */
	bool waited_for, is_done;
	pthread_cond_t done; /* only of jobs that are waited for */
};

struct writer {
	struct sink *sink; /* the thread's, and the opener's while that does not run or sleeps */
	struct shipper *shipper;
	char path[PATH_MAX];
	int64_t patience_ms;
	bool is_busy; /* the sink has more to tidy */
	pthread_t thread;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	struct sink_row *first, **last;
	size_t waiting, urgent; /* rows; of these, such that somebody waits for */
	bool stop, is_failing, held;
	bool is_napping; /* looks by itself for what has come, in a moment */
	struct upkeep_limits limits;
	uint64_t rows_written, journalled, dropped, set_back;
	struct error last_error;
};

static struct job *job_of(struct sink_row *row)
{
	return (struct job *)row;
}

static void job_free(struct job *job)
{
	packed_done(&job->row.packed);
	if (job->waited_for)
		(void)pthread_cond_destroy(&job->done);
	free(job);
}

/* The clock on the wall may be set back for hours; waiting must not take as long. */
static void condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(condition, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

static struct timespec after_ms(int64_t ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* ---- the thread's side */

static void write_batch(struct writer *writer, struct sink_row *batch)
{
	struct sink_done done;
	sink_write(writer->sink, batch, &done);
	for (const struct sink_row *row = batch; done.journalled > 0 && row != NULL; row = row->next)
		if (row->result == 0)
			ship_row(writer->shipper, &row->packed);
	(void)pthread_mutex_lock(&writer->mutex);
	writer->is_failing = done.is_failing;
	writer->last_error = done.last_error;
	writer->rows_written += done.rows;
	writer->journalled += done.journalled;
	writer->dropped += done.lost;
	writer->set_back += done.set_back;
	(void)pthread_mutex_unlock(&writer->mutex);
}

/* Hands results out. Jobs that are waited for belong to their callers from here on. */
static void finish_batch(struct writer *writer, struct sink_row *batch)
{
	struct sink_row *ours = NULL;
	(void)pthread_mutex_lock(&writer->mutex);
	while (batch != NULL) {
		struct job *job = job_of(batch);
		batch = batch->next;
		job->is_done = true;
		if (job->waited_for) {
			(void)pthread_cond_signal(&job->done);
			continue;
		}
		job->row.next = ours;
		ours = &job->row;
	}
	(void)pthread_mutex_unlock(&writer->mutex);
	while (ours != NULL) {
		struct job *job = job_of(ours);
		ours = ours->next;
		job_free(job);
	}
}

/* With the mutex held: waits until there is something to do. What became of deliveries goes to disk with the next
 * delivery: a sync of its own for that would be one that the next delivery has to wait for. */
static void wait_for_work(struct writer *writer)
{
	bool has_napped = false;
	while (!writer->stop && (writer->held || writer->urgent == 0)) {
		bool is_short = !writer->held && writer->first == NULL && (writer->is_failing || writer->is_busy);
		bool naps = !writer->held && !is_short && (writer->first != NULL || !has_napped);
		struct timespec until = after_ms(naps ? NAP_MS : writer->is_failing ? SINK_RETRY_MS : UPKEEP_PAUSE_MS);
		writer->is_napping = naps;
		int waited = naps || is_short ? pthread_cond_timedwait(&writer->wake, &writer->mutex, &until)
		                              : pthread_cond_wait(&writer->wake, &writer->mutex);
		has_napped = naps;
		if (waited == ETIMEDOUT && (is_short || writer->first != NULL))
			break;
	}
	writer->is_napping = false;
}

/* Waits for work and takes up to BATCH_MAX jobs; NULL: time to end, to try the database again, or for upkeep. */
static struct sink_row *take_batch(struct writer *writer, bool *ret_stop)
{
	(void)pthread_mutex_lock(&writer->mutex);
	wait_for_work(writer);
	struct sink_row *batch = writer->first, **cut = &writer->first;
	size_t taken = 0;
	while (*cut != NULL && taken < BATCH_MAX) {
		writer->urgent -= job_of(*cut)->waited_for;
		cut = &(*cut)->next;
		taken++;
	}
	writer->first = *cut;
	*cut = NULL;
	if (writer->first == NULL)
		writer->last = &writer->first;
	writer->waiting -= taken;
	*ret_stop = writer->stop && batch == NULL;
	(void)pthread_mutex_unlock(&writer->mutex);
	return batch;
}

static struct upkeep_limits limits_now(struct writer *writer)
{
	(void)pthread_mutex_lock(&writer->mutex);
	struct upkeep_limits limits = writer->limits;
	(void)pthread_mutex_unlock(&writer->mutex);
	return limits;
}

static void *run(void *argument)
{
	struct writer *writer = argument;
	for (;;) {
		bool stop = false;
		struct sink_row *batch = take_batch(writer, &stop);
		if (stop)
			return NULL;
		if (batch != NULL || writer->is_failing) /* only this thread changes it */
			write_batch(writer, batch);
		finish_batch(writer, batch);
		struct upkeep_limits limits = limits_now(writer);
		writer->is_busy = sink_tidy(writer->sink, &limits); /* nobody waits for this */
	}
}

/* ---- the callers' side */

/* Out of the queue, if it is still in there. */
static bool take_back(struct writer *writer, struct sink_row *row)
{
	struct sink_row **at = &writer->first;
	while (*at != NULL && *at != row)
		at = &(*at)->next;
	if (*at == NULL)
		return false;
	*at = row->next;
	if (*at == NULL)
		writer->last = at;
	writer->waiting--;
	writer->urgent -= job_of(row)->waited_for;
	return true;
}

/* Waits until the row is durable. With a disk that does not answer it is given up: taken back while that is possible,
 * else left to the thread, and may become durable after all. */
MUST_USE static int wait_for(struct writer *writer, struct job *job, struct error *err)
{
	struct timespec until = after_ms(writer->patience_ms);
	while (!job->is_done && pthread_cond_timedwait(&job->done, &writer->mutex, &until) != ETIMEDOUT)
		continue;
	if (job->is_done) {
		int result =
			job->row.result == 0 ? 0 : error_set(err, job->row.problem.code, "%s", job->row.problem.text);
		job_free(job);
		return result;
	}
	writer->dropped++;
	if (take_back(writer, &job->row)) {
		job_free(job);
	} else {
		(void)pthread_cond_destroy(&job->done);
		job->waited_for = false;
	}
	return error_set(err, ERROR_TIMEOUT, "the disk has not taken a row for %lld ms",
	                 (long long)writer->patience_ms);
}

/* Takes the job over. */
MUST_USE static int enqueue(struct writer *writer, struct job *job, struct error *err)
{
	int result = 0;
	(void)pthread_mutex_lock(&writer->mutex);
	if (writer->waiting >= QUEUE_MAX || writer->stop) {
		writer->dropped++;
		job_free(job);
		result = error_set(err, ERROR_LIMIT, "%d rows wait for the disk", QUEUE_MAX);
	} else {
		*writer->last = &job->row;
		writer->last = &job->row.next;
		writer->waiting++;
		writer->urgent += job->waited_for;
		if (job->waited_for || !writer->is_napping)
			(void)pthread_cond_signal(&writer->wake);
		if (job->waited_for)
			result = wait_for(writer, job, err);
	}
	(void)pthread_mutex_unlock(&writer->mutex);
	return result;
}

MUST_USE static struct job *job_new(const struct entry *entry, bool waited_for, struct error *err)
{
	struct job *job = calloc(1, sizeof(*job));
	if (job == NULL || packed_make(entry, &job->row.packed, err) < 0) {
		if (job == NULL)
			(void)error_set(err, ERROR_MEMORY, "no memory for a row");
		free(job);
		return NULL;
	}
	job->waited_for = waited_for;
	if (waited_for)
		condition_init(&job->done);
	return job;
}

int writer_append(struct writer *writer, const struct entry *entry, struct error *err)
{
	struct job *job = job_new(entry, true, err);
	return job == NULL ? -1 : enqueue(writer, job, err);
}

void writer_append_later(struct writer *writer, const struct entry *entry)
{
	struct error problem = {0};
	struct job *job = job_new(entry, false, &problem);
	if (job == NULL || enqueue(writer, job, &problem) < 0)
		log_line(LOG_LEVEL_WARNING, "row_dropped", "reason=\"%s\"", problem.text);
}

void writer_reopen_lines(struct writer *writer)
{
	ship_reopen(writer->shipper);
}

void writer_limit(struct writer *writer, const struct upkeep_limits *limits)
{
	(void)pthread_mutex_lock(&writer->mutex);
	writer->limits = *limits;
	(void)pthread_mutex_unlock(&writer->mutex);
}

json_t *writer_status(struct writer *writer)
{
	json_t *status = json_object();
	(void)pthread_mutex_lock(&writer->mutex);
	json_put_text(status, "path", writer->path);
	json_put_bool(status, "writable", !writer->is_failing);
	json_put_int(status, "rows_written", (int64_t)writer->rows_written);
	json_put_int(status, "journalled", (int64_t)writer->journalled);
	json_put_int(status, "dropped", (int64_t)writer->dropped);
	json_put_int(status, "waiting", (int64_t)writer->waiting);
	json_put_int(status, "clock_set_back", (int64_t)writer->set_back);
	json_put_text(status, "last_error", writer->last_error.code != ERROR_NONE ? writer->last_error.text : NULL);
	(void)pthread_mutex_unlock(&writer->mutex);
	return status;
}

/* ---- opening and closing */

MUST_USE static int open_parts(struct writer *writer, const struct writer_options *options, struct error *err)
{
	const struct ship_options ship = {.jsonl = options->jsonl, .journal_socket = options->journal_socket};
	if (ship_open(&ship, &writer->shipper, err) < 0)
		return -1;
	const struct sink_options sink = {
		.path = options->path, .use_journal = options->use_journal, .listener = ship_listener(writer->shipper)};
	if (sink_open(&sink, &writer->sink, err) < 0)
		return -1;
	writer->last_error = sink_last_error(writer->sink);
	writer->is_failing = writer->last_error.code != ERROR_NONE;
	return 0;
}

int writer_reopen(struct writer *writer, int (*between)(void *context, struct error *err), void *context,
                  struct error *err)
{
	return sink_reopen(writer->sink, between, context, err); /* the thread sleeps until it is released */
}

void writer_release(struct writer *writer, const struct entry *first)
{
	struct error problem = {0};
	struct job *job = first != NULL ? job_new(first, false, &problem) : NULL;
	if (first != NULL && job == NULL)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	(void)pthread_mutex_lock(&writer->mutex);
	if (job != NULL) {
		job->row.next = writer->first;
		if (writer->first == NULL)
			writer->last = &job->row.next;
		writer->first = &job->row;
		writer->waiting++;
	}
	writer->held = false;
	(void)pthread_cond_signal(&writer->wake);
	(void)pthread_mutex_unlock(&writer->mutex);
}

static void writer_free(struct writer *writer)
{
	sink_close(writer->sink);
	ship_close(writer->shipper);
	(void)pthread_mutex_destroy(&writer->mutex);
	(void)pthread_cond_destroy(&writer->wake);
	free(writer);
}

int writer_open(const struct writer_options *options, struct writer **ret, struct error *err)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the ledger's writer");
	writer->last = &writer->first;
	writer->limits = options->limits;
	writer->held = options->held;
	writer->patience_ms = options->patience_ms != 0 ? options->patience_ms : WRITER_PATIENCE_MS;
	(void)pthread_mutex_init(&writer->mutex, NULL);
	condition_init(&writer->wake);
	(void)snprintf(writer->path, sizeof(writer->path), "%s", options->path);
	struct error problem = {0};
	int result = open_parts(writer, options, &problem);
	if (result == 0 && sink_is_behind(writer->sink))
		write_batch(writer, NULL); /* what the last run left behind goes first */
	if (result == 0 && pthread_create(&writer->thread, NULL, run, writer) != 0)
		result = error_set(&problem, ERROR_SYSTEM, "cannot start the writer's thread");
	if (result < 0) {
		writer_free(writer);
		return error_set(err, problem.code, "%s", problem.text);
	}
	*ret = writer;
	return 0;
}

void writer_close(struct writer *writer)
{
	if (writer == NULL)
		return;
	(void)pthread_mutex_lock(&writer->mutex);
	writer->stop = true;
	(void)pthread_cond_signal(&writer->wake);
	(void)pthread_mutex_unlock(&writer->mutex);
	(void)pthread_join(writer->thread, NULL);
	writer_free(writer);
}
