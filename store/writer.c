/* SPDX-License-Identifier: Apache-2.0 */

/* The writer thread. It owns the database connection and the journal; callers only ever meet the queue. A row is
 * acknowledged when it is on disk, never before. While the database fails, rows go to the journal, and go back in order
 * as soon as the database can be written again. */
#include "store/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "store/appender.h"
#include "store/journal.h"

#define QUEUE_MAX 8192 /* rows; at 4 KB each, 32 MB: then callers are refused instead of memory growing */
#define BATCH_MAX 512  /* rows in one transaction */
#define RETRY_MS 1000  /* how often a failing database is tried again */

struct job {
	struct job *next;
	struct packed packed;
	bool waited_for, is_done;
	int result;
	struct error problem;
	pthread_cond_t done; /* only of jobs that are waited for */
};

struct writer {
	struct appender *appender; /* NULL while the database cannot be opened */
	struct journal *journal;   /* NULL: not used */
	int jsonl_fd;
	bool use_journal;
	char path[PATH_MAX];
	pthread_t thread;
	int64_t retry_at_ms; /* of the failing database */
	struct upkeep upkeep;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	struct job *first, **last;
	size_t waiting;
	bool stop, is_failing, held;
	struct upkeep_limits limits;
	uint64_t rows_written, journalled, dropped;
	struct error last_error;
};

static void job_free(struct job *job)
{
	packed_done(&job->packed);
	free(job);
}

/* ---- the thread's side */

static int replay_one(void *context, const char *line, size_t length, struct error *err)
{
	struct packed packed;
	if (packed_from_line(line, length, &packed, err) < 0)
		return -1;
	int result = appender_insert(context, &packed, err);
	packed_done(&packed);
	return result;
}

/* Inserts what the journal holds, then the batch, in one transaction. */
MUST_USE static int commit_batch(struct writer *writer, struct job *batch, struct error *err)
{
	bool replay = writer->journal != NULL && !journal_is_empty(writer->journal);
	if (writer->appender == NULL && appender_open(writer->path, &writer->appender, err) < 0)
		return -1;
	int result = appender_begin(writer->appender, err);
	if (result == 0 && replay)
		result = journal_replay(writer->journal, replay_one, writer->appender, err);
	for (struct job *job = batch; result == 0 && job != NULL; job = job->next)
		result = appender_insert(writer->appender, &job->packed, err);
	if (result == 0)
		result = appender_commit(writer->appender, err);
	if (result < 0) {
		appender_rollback(writer->appender);
		if (err->code == ERROR_MISSING) { /* it is somewhere else, or nowhere: open it anew */
			appender_close(writer->appender);
			writer->appender = NULL;
		}
		return -1;
	}
	if (replay) {
		/* A crash before this point replays again; rows are known by their ids. */
		struct error problem = {0};
		if (journal_clear(writer->journal, &problem) < 0)
			log_line(LOG_LEVEL_WARNING, "journal_not_cleared", "reason=\"%s\"", problem.text);
		log_line(LOG_LEVEL_NOTICE, "journal_replayed", "ledger=%s", writer->path);
	}
	return 0;
}

MUST_USE static int journal_one(struct writer *writer, struct job *job, const struct error *reason, struct error *err)
{
	if (writer->journal == NULL)
		return error_set(err, reason->code, "%s", reason->text);
	CLEANUP_FREE char *line = packed_to_line(&job->packed);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a journal line");
	return journal_append(writer->journal, line, strlen(line), err);
}

static void write_jsonl(struct writer *writer, const struct job *batch)
{
	if (writer->jsonl_fd < 0)
		return;
	for (const struct job *job = batch; job != NULL; job = job->next) {
		CLEANUP_FREE char *line = job->result == 0 ? packed_to_object(&job->packed) : NULL;
		if (line != NULL && dprintf(writer->jsonl_fd, "%s\n", line) < 0)
			log_line(LOG_LEVEL_WARNING, "jsonl_failed", "reason=\"%s\"", strerror(errno));
	}
}

/* Writes a batch to the ledger or else to the journal, and sets each job's result. */
static void write_batch(struct writer *writer, struct job *batch)
{
	struct error problem = {0};
	bool tried = clock_monotonic_ms() >= writer->retry_at_ms;
	bool good = tried && commit_batch(writer, batch, &problem) == 0;
	if (tried && !good)
		writer->retry_at_ms = clock_monotonic_ms() + RETRY_MS;

	uint64_t rows = 0, journalled = 0, dropped = 0;
	for (struct job *job = batch; job != NULL; job = job->next) {
		if (good) {
			rows++;
			continue;
		}
		const struct error *reason = tried ? &problem : &writer->last_error;
		job->result = journal_one(writer, job, reason, &job->problem);
		journalled += job->result == 0;
		dropped += job->result != 0;
	}
	write_jsonl(writer, batch);

	(void)pthread_mutex_lock(&writer->mutex);
	if (tried && good == writer->is_failing)
		log_line(good ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR, good ? "ledger_recovered" : "ledger_failing",
		         "ledger=%s reason=\"%s\"", writer->path, problem.text);
	if (tried) {
		writer->is_failing = !good;
		writer->last_error = problem;
	}
	writer->rows_written += rows;
	writer->journalled += journalled;
	writer->dropped += dropped;
	(void)pthread_mutex_unlock(&writer->mutex);
}

/* Hands results out. Jobs that are waited for belong to their callers from here on. */
static void finish_batch(struct writer *writer, struct job *batch)
{
	(void)pthread_mutex_lock(&writer->mutex);
	while (batch != NULL) {
		struct job *job = batch;
		batch = batch->next;
		job->is_done = true;
		if (job->waited_for)
			(void)pthread_cond_signal(&job->done);
		else
			job_free(job);
	}
	(void)pthread_mutex_unlock(&writer->mutex);
}

static struct timespec after_ms(int64_t ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* Waits for work and takes up to BATCH_MAX jobs; NULL: time to end, to try the database again, or for upkeep. */
static struct job *take_batch(struct writer *writer, bool *ret_stop)
{
	(void)pthread_mutex_lock(&writer->mutex);
	while ((writer->first == NULL || writer->held) && !writer->stop) {
		bool is_short = !writer->held && (writer->is_failing || writer->upkeep.is_busy);
		struct timespec until = after_ms(writer->is_failing ? RETRY_MS : UPKEEP_PAUSE_MS);
		int waited = is_short ? pthread_cond_timedwait(&writer->wake, &writer->mutex, &until)
		                      : pthread_cond_wait(&writer->wake, &writer->mutex);
		if (waited == ETIMEDOUT)
			break;
	}
	struct job *batch = writer->first, **cut = &writer->first;
	size_t taken = 0;
	while (*cut != NULL && taken < BATCH_MAX) {
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
		struct job *batch = take_batch(writer, &stop);
		if (stop)
			return NULL;
		if (batch != NULL || writer->is_failing) /* only this thread changes it */
			write_batch(writer, batch);
		finish_batch(writer, batch);
		if (writer->appender != NULL && !writer->is_failing) { /* nobody waits for these */
			struct upkeep_limits limits = limits_now(writer);
			appender_checkpoint(writer->appender);
			upkeep_run(&writer->upkeep, writer->appender, &limits);
		}
	}
}

/* ---- the callers' side */

MUST_USE static int enqueue(struct writer *writer, struct job *job, struct error *err)
{
	int result = 0;
	(void)pthread_mutex_lock(&writer->mutex);
	if (writer->waiting >= QUEUE_MAX || writer->stop) {
		writer->dropped++;
		result = error_set(err, ERROR_LIMIT, "%d rows wait for the disk", QUEUE_MAX);
	} else {
		*writer->last = job;
		writer->last = &job->next;
		writer->waiting++;
		(void)pthread_cond_signal(&writer->wake);
	}
	while (result == 0 && job->waited_for && !job->is_done)
		(void)pthread_cond_wait(&job->done, &writer->mutex);
	(void)pthread_mutex_unlock(&writer->mutex);
	return result;
}

MUST_USE static struct job *job_new(const struct entry *entry, bool waited_for, struct error *err)
{
	struct job *job = calloc(1, sizeof(*job));
	if (job == NULL || packed_make(entry, &job->packed, err) < 0) {
		if (job == NULL)
			(void)error_set(err, ERROR_MEMORY, "no memory for a row");
		free(job);
		return NULL;
	}
	job->waited_for = waited_for;
	if (waited_for)
		(void)pthread_cond_init(&job->done, NULL);
	return job;
}

int writer_append(struct writer *writer, const struct entry *entry, struct error *err)
{
	struct job *job = job_new(entry, true, err);
	if (job == NULL)
		return -1;
	int result = enqueue(writer, job, err);
	if (result == 0 && job->result < 0)
		result = error_set(err, job->problem.code, "%s", job->problem.text);
	(void)pthread_cond_destroy(&job->done);
	job_free(job);
	return result;
}

void writer_append_later(struct writer *writer, const struct entry *entry)
{
	struct error problem = {0};
	struct job *job = job_new(entry, false, &problem);
	if (job != NULL && enqueue(writer, job, &problem) < 0)
		job_free(job);
	else if (job != NULL)
		return;
	log_line(LOG_LEVEL_WARNING, "row_dropped", "reason=\"%s\"", problem.text);
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
	json_put_text(status, "last_error", writer->last_error.code != ERROR_NONE ? writer->last_error.text : NULL);
	(void)pthread_mutex_unlock(&writer->mutex);
	return status;
}

/* ---- opening and closing */

MUST_USE static int open_journal(struct writer *writer, struct error *err)
{
	char path[PATH_MAX];
	const char *slash = strrchr(writer->path, '/');
	int folder = slash != NULL ? (int)(slash - writer->path) : 0;
	if (!writer->use_journal)
		return 0;
	if (snprintf(path, sizeof(path), "%.*s/journal", folder, writer->path) >= (int)sizeof(path))
		return error_set(err, ERROR_LIMIT, "%s: path too long", writer->path);
	return journal_open(path, &writer->journal, err) < 0 ? error_prefix(err, "%s", path) : 0;
}

/* Where the ledger itself is at fault (newer schema, another file) nothing may start; where the disk is, the journal
 * takes over. */
MUST_USE static int open_ledger(struct writer *writer, struct error *err)
{
	if (open_journal(writer, err) < 0)
		return -1;
	if (appender_open(writer->path, &writer->appender, err) == 0)
		return 0;
	if (writer->journal == NULL || err->code == ERROR_NEWER || err->code == ERROR_INPUT ||
	    err->code == ERROR_DAMAGED)
		return -1;
	log_line(LOG_LEVEL_ERROR, "ledger_failing", "reason=\"%s\"", err->text);
	writer->is_failing = true;
	writer->last_error = *err;
	return 0;
}

MUST_USE static int open_parts(struct writer *writer, const char *jsonl, struct error *err)
{
	if (jsonl != NULL && jsonl[0] != '\0') {
		writer->jsonl_fd = open(jsonl, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
		if (writer->jsonl_fd < 0)
			return error_errno(err, "%s", jsonl);
	}
	return open_ledger(writer, err);
}

static void close_ledger(struct writer *writer)
{
	appender_close(writer->appender);
	journal_close(writer->journal);
	writer->appender = NULL;
	writer->journal = NULL;
}

int writer_reopen(struct writer *writer, int (*between)(void *context, struct error *err), void *context,
                  struct error *err)
{
	struct error problem = {0};
	/* The thread sleeps until it is released. */
	close_ledger(writer);
	int result = between(context, err);
	if (open_ledger(writer, &problem) < 0)
		return error_set(err, problem.code, "%s", problem.text);
	return result;
}

void writer_release(struct writer *writer, const struct entry *first)
{
	struct error problem = {0};
	struct job *job = first != NULL ? job_new(first, false, &problem) : NULL;
	if (first != NULL && job == NULL)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	(void)pthread_mutex_lock(&writer->mutex);
	if (job != NULL) {
		job->next = writer->first;
		if (writer->first == NULL)
			writer->last = &job->next;
		writer->first = job;
		writer->waiting++;
	}
	writer->held = false;
	(void)pthread_cond_signal(&writer->wake);
	(void)pthread_mutex_unlock(&writer->mutex);
}

static void writer_free(struct writer *writer)
{
	close_ledger(writer);
	if (writer->jsonl_fd >= 0)
		(void)close(writer->jsonl_fd);
	(void)pthread_mutex_destroy(&writer->mutex);
	(void)pthread_cond_destroy(&writer->wake);
	free(writer);
}

int writer_open(const struct writer_options *options, struct writer **ret, struct error *err)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the ledger's writer");
	writer->jsonl_fd = -1;
	writer->last = &writer->first;
	writer->limits = options->limits;
	writer->held = options->held;
	writer->use_journal = options->use_journal;
	(void)pthread_mutex_init(&writer->mutex, NULL);
	(void)pthread_cond_init(&writer->wake, NULL);
	(void)snprintf(writer->path, sizeof(writer->path), "%s", options->path);
	struct error problem = {0};
	int result = open_parts(writer, options->jsonl, &problem);
	if (result == 0 && writer->journal != NULL && !journal_is_empty(writer->journal))
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
