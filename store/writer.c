/* SPDX-License-Identifier: Apache-2.0 */

/* The queue in front of the ledger, and the thread that empties it. Callers only ever meet the queue; the files are the
 * thread's alone (sink.c). */
#include "store/writer.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"
#include "store/job.h"
#include "store/ship.h"
#include "store/sink.h"

#define QUEUE_MAX 8192 /* rows; at 4 KB each, 32 MB: then callers are refused instead of memory growing */
#define BATCH_MAX 512  /* rows in one transaction */
#define NAP_MS 10      /* so long a row that nobody waits for may wait for others, to go to disk with them */
#define GATHER_MS 2    /* so long one that somebody waits for may wait for those that are foreseen */

struct writer {
	struct sink *sink; /* the thread's, and the opener's while that does not run or sleeps */
	struct shipper *shipper;
	char path[PATH_MAX];
	int64_t patience_ms, gather_ms;
	bool is_busy; /* the sink has more to tidy */
	pthread_t thread;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	struct sink_row *first, **last;
	struct sink_row *batch; /* being written */
	size_t waiting, urgent; /* rows; of these, such that somebody waits for */
	bool stop, is_failing, held;
	size_t foreseen; /* so many are about to append rows that they wait for */
	size_t awaited;  /* while rows wait for these: so many have yet to come */
	bool is_napping; /* looks by itself for what has come, in a moment */
	struct upkeep_limits limits;
	uint64_t rows_written, journalled, dropped, set_back;
	struct error last_error;
};

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

/* With the mutex held. True: it was the last one that this one waits for. */
static bool decide(struct writer_wait *wait, const struct job *job)
{
	*job->ret_durable = job->row.result == 0;
	if (job->row.result != 0)
		wait->problem = job->row.problem;
	return --wait->open == 0;
}

/* Hands results out: whoever waited is told without the mutex, in the order of the rows. */
static void finish_batch(struct writer *writer, struct sink_row *batch)
{
	struct writer_wait *told = NULL, **last = &told;
	(void)pthread_mutex_lock(&writer->mutex);
	for (struct sink_row *row = batch; row != NULL; row = row->next) {
		struct writer_wait *wait = job_of(row)->wait;
		if (wait == NULL || !decide(wait, job_of(row)))
			continue;
		*last = wait;
		last = &wait->next;
	}
	*last = NULL;
	writer->batch = NULL;
	(void)pthread_mutex_unlock(&writer->mutex);
	while (told != NULL) {
		struct writer_wait *wait = told;
		told = wait->next; /* it may be gone once it is told */
		wait->done(wait);
	}
	jobs_free(batch);
}

/* With the mutex held: waits until there is something to do. What became of deliveries goes to disk with the next
 * delivery: a sync of its own for that would be one that the next delivery has to wait for. */
static void wait_for_work(struct writer *writer)
{
	bool has_napped = false;
	while (!writer->stop && (writer->held || writer->urgent == 0)) {
		bool is_short = !writer->held && writer->first == NULL && (writer->is_failing || writer->is_busy);
		bool naps = !writer->held && !is_short && (writer->first != NULL || !has_napped);
		int64_t ms = naps ? NAP_MS : writer->is_failing ? SINK_RETRY_MS : UPKEEP_PAUSE_MS;
		struct timespec until = condition_after(ms);
		writer->is_napping = naps;
		int waited = naps || is_short ? pthread_cond_timedwait(&writer->wake, &writer->mutex, &until)
		                              : pthread_cond_wait(&writer->wake, &writer->mutex);
		has_napped = naps;
		if (waited == ETIMEDOUT && (is_short || writer->first != NULL))
			break;
	}
	writer->is_napping = false;
}

/* With the mutex held, and a row that somebody waits for: as many as are about to bring another share its sync. Whoever
 * is foreseen from now on may be one of them, but adds nothing to the wait. */
static void gather(struct writer *writer)
{
	struct timespec until = condition_after(writer->gather_ms);
	bool is_late = false;
	writer->awaited = writer->foreseen;
	while (!is_late && !writer->stop && writer->awaited > 0 && writer->urgent > 0 && writer->waiting < BATCH_MAX)
		is_late = pthread_cond_timedwait(&writer->wake, &writer->mutex, &until) == ETIMEDOUT;
	writer->awaited = 0;
}

/* Waits for work and takes up to BATCH_MAX jobs; NULL: time to end, to try the database again, or for upkeep. */
static struct sink_row *take_batch(struct writer *writer, bool *ret_stop)
{
	(void)pthread_mutex_lock(&writer->mutex);
	wait_for_work(writer);
	if (writer->urgent > 0 && writer->foreseen > 0 && !writer->held)
		gather(writer);
	struct sink_row *batch = writer->first, **cut = &writer->first;
	size_t taken = 0;
	while (*cut != NULL && taken < BATCH_MAX) {
		writer->urgent -= job_of(*cut)->wait != NULL;
		cut = &(*cut)->next;
		taken++;
	}
	writer->first = *cut;
	*cut = NULL;
	if (writer->first == NULL)
		writer->last = &writer->first;
	writer->waiting -= taken;
	writer->batch = batch;
	*ret_stop = writer->stop && batch == NULL;
	(void)pthread_mutex_unlock(&writer->mutex);
	return batch;
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
		(void)pthread_mutex_lock(&writer->mutex);
		struct upkeep_limits limits = writer->limits;
		(void)pthread_mutex_unlock(&writer->mutex);
		writer->is_busy = sink_tidy(writer->sink, &limits); /* nobody waits for this */
	}
}

/* ---- the callers' side */

/* With the mutex held: their rows are queued, or will not come. */
static void come_true(struct writer *writer, struct writer_wait *wait)
{
	if (wait == NULL || !wait->is_foreseen)
		return;
	wait->is_foreseen = false;
	writer->foreseen--;
	if (writer->awaited > 0 && --writer->awaited == 0)
		(void)pthread_cond_signal(&writer->wake);
}

void writer_foresee(struct writer *writer, struct writer_wait *wait)
{
	(void)pthread_mutex_lock(&writer->mutex);
	writer->foreseen += !wait->is_foreseen;
	wait->is_foreseen = true;
	(void)pthread_mutex_unlock(&writer->mutex);
}

void writer_forget(struct writer *writer, struct writer_wait *wait)
{
	(void)pthread_mutex_lock(&writer->mutex);
	come_true(writer, wait);
	(void)pthread_mutex_unlock(&writer->mutex);
}

/* Takes the jobs over, all or none. */
MUST_USE static int enqueue(struct writer *writer, struct sink_row *first, size_t count, struct error *err)
{
	struct writer_wait *wait = job_of(first)->wait;
	(void)pthread_mutex_lock(&writer->mutex);
	bool has_room = writer->waiting + count <= QUEUE_MAX && !writer->stop;
	if (has_room) {
		*writer->last = first;
		while (*writer->last != NULL)
			writer->last = &(*writer->last)->next;
		writer->waiting += count;
		writer->urgent += wait != NULL ? count : 0;
		if (wait != NULL)
			wait->open = count;
		bool gathers = writer->awaited > 0, is_full = writer->waiting >= BATCH_MAX;
		if (gathers ? is_full : wait != NULL || !writer->is_napping)
			(void)pthread_cond_signal(&writer->wake);
	} else {
		writer->dropped += count;
	}
	come_true(writer, wait);
	(void)pthread_mutex_unlock(&writer->mutex);
	if (has_room)
		return 0;
	jobs_free(first);
	return error_set(err, ERROR_LIMIT, "%d rows wait for the disk", QUEUE_MAX);
}

void writer_append_then(struct writer *writer, const struct entry *entries, size_t count, struct writer_wait *wait)
{
	struct sink_row *first;
	wait->until_ms = clock_monotonic_ms() + writer->patience_ms;
	/* From the moment they are queued it may be told, or given up, and gone. */
	if (jobs_make(entries, count, wait, &first, &wait->problem) < 0) {
		writer_forget(writer, wait);
		wait->done(wait);
	} else if (enqueue(writer, first, count, &wait->problem) < 0) {
		wait->done(wait);
	}
}

/* With the mutex held: out of the queue, as far as they are still in there. */
static void take_back(struct writer *writer, const struct writer_wait *wait)
{
	struct sink_row **at = &writer->first;
	while (*at != NULL) {
		struct job *job = job_of(*at);
		if (job->wait != wait) {
			at = &(*at)->next;
			continue;
		}
		*at = job->row.next;
		job_free(job);
		writer->waiting--;
		writer->urgent--;
	}
	writer->last = at;
}

bool writer_give_up(struct writer *writer, struct writer_wait *wait)
{
	(void)pthread_mutex_lock(&writer->mutex);
	bool is_open = wait->open > 0;
	if (is_open) {
		writer->dropped += wait->open;
		take_back(writer, wait);
		for (struct sink_row *row = writer->batch; row != NULL; row = row->next)
			if (job_of(row)->wait == wait)
				job_of(row)->wait = NULL;
		wait->open = 0;
		(void)error_set(&wait->problem, ERROR_TIMEOUT, "the disk has not taken a row for %lld ms",
		                (long long)writer->patience_ms);
	}
	(void)pthread_mutex_unlock(&writer->mutex);
	return is_open;
}

void writer_append_later(struct writer *writer, const struct entry *entry)
{
	struct error problem = {0};
	struct sink_row *row;
	if (jobs_make(entry, 1, NULL, &row, &problem) < 0 || enqueue(writer, row, 1, &problem) < 0)
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
	struct sink_row *row = NULL;
	if (first != NULL && jobs_make(first, 1, NULL, &row, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	(void)pthread_mutex_lock(&writer->mutex);
	if (row != NULL) {
		row->next = writer->first;
		if (writer->first == NULL)
			writer->last = &row->next;
		writer->first = row;
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
	writer->gather_ms = options->gather_ms != 0 ? options->gather_ms : GATHER_MS;
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
