/* SPDX-License-Identifier: Apache-2.0 */

/* What is claimed here is evidence: a row is written for what is known, and nothing for what is hoped. */
#include "proxy/heartbeat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "store/coverage.h"

#define BEAT_S 600   /* what a crash may leave unknown, against 60 KB of rows a day */
#define LOOK_MS 5000 /* for a new result of a check */
#define REDIRECT_FILE_MAX 4096

struct heartbeat {
	struct writer *writer;
	char path[PATH_MAX]; /* of the checks' result */
	char boot_id[40];
	pthread_t thread;
	struct coverage_row last; /* as it was written: the thread's */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	bool stop;
	bool redirect_whole;
	int64_t redirect_checked_us; /* 0: no check is known */
};

/* ---- what the last check said */

/* False: there is no result that may be believed. */
static bool read_check(const struct heartbeat *heartbeat, bool *ret_whole, int64_t *ret_checked_us)
{
	char text[REDIRECT_FILE_MAX];
	struct stat status;
	CLEANUP_JSON json_t *said = NULL;
	CLEANUP_FD int fd = open(heartbeat->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    (status.st_uid != 0 && status.st_uid != geteuid()))
		return false;
	ssize_t got = read(fd, text, sizeof(text));
	if (got <= 0 || json_read(text, (size_t)got, &said, NULL) < 0)
		return false;
	const char *at = json_text_at(said, "checked_at"), *boot_id = json_text_at(said, "boot_id");
	const char *broken = json_text_at(said, "broken_at");
	int64_t broken_us;
	/* Found broken and mended since: that is told first, and the rest at the next look. */
	if (broken != NULL && clock_parse(broken, &broken_us) && broken_us > heartbeat->last.redirect_checked_us) {
		*ret_whole = false;
		*ret_checked_us = broken_us;
		return boot_id != NULL && strcmp(boot_id, heartbeat->boot_id) == 0;
	}
	return at != NULL && boot_id != NULL && strcmp(boot_id, heartbeat->boot_id) == 0 &&
	       clock_parse(at, ret_checked_us) && json_bool_at(said, "whole", ret_whole);
}

static void look(struct heartbeat *heartbeat)
{
	bool whole = false;
	int64_t checked_us = 0;
	if (!read_check(heartbeat, &whole, &checked_us))
		checked_us = 0;
	(void)pthread_mutex_lock(&heartbeat->mutex);
	heartbeat->redirect_whole = checked_us != 0 && whole;
	heartbeat->redirect_checked_us = checked_us;
	(void)pthread_mutex_unlock(&heartbeat->mutex);
}

json_t *heartbeat_redirect(struct heartbeat *heartbeat)
{
	json_t *redirect = json_object();
	(void)pthread_mutex_lock(&heartbeat->mutex);
	int64_t checked_us = heartbeat->redirect_checked_us;
	bool whole = heartbeat->redirect_whole;
	(void)pthread_mutex_unlock(&heartbeat->mutex);
	int64_t age_s = (clock_now_us() - checked_us) / CLOCK_SECOND_US;
	json_put_time(redirect, "checked_at", checked_us);
	json_put(redirect, "age_s", checked_us != 0 ? json_integer(age_s) : NULL);
	json_put(redirect, "whole", checked_us != 0 ? json_boolean(whole) : NULL);
	return redirect;
}

/* ---- rows */

static int64_t lost_rows(struct writer *writer)
{
	CLEANUP_JSON json_t *status = writer_status(writer);
	int64_t lost = 0;
	(void)json_int_at(status, "dropped", &lost);
	return lost;
}

static struct coverage_row row_now(struct heartbeat *heartbeat, enum coverage_event event)
{
	struct coverage_row row = heartbeat->last;
	row.event = event;
	row.at_us = clock_now_us();
	row.lost = lost_rows(heartbeat->writer);
	row.redirect_whole = heartbeat->redirect_whole; /* only this thread writes them */
	row.redirect_checked_us = heartbeat->redirect_checked_us;
	return row;
}

/* A beat, and whatever changes the answer to "is this covered?". */
static bool is_news(const struct coverage_row *last, const struct coverage_row *now)
{
	return now->redirect_whole != last->redirect_whole ||
	       (now->redirect_checked_us == 0) != (last->redirect_checked_us == 0) || now->lost != last->lost ||
	       now->at_us < last->at_us;
}

static void put(struct heartbeat *heartbeat, const struct coverage_row *row)
{
	struct error problem = {0};
	CLEANUP_JSON json_t *body = coverage_to_body(row);
	struct entry entry = {.kind = "coverage", .at_us = row->at_us, .body = body};
	if (entry_id_make(entry.id, &problem) < 0) {
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
		return;
	}
	writer_append_later(heartbeat->writer, &entry);
	heartbeat->last = *row;
}

/* Sleeps; true: it is time to end. */
static bool pause_now(struct heartbeat *heartbeat)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOK_MS / 1000;
	(void)pthread_mutex_lock(&heartbeat->mutex);
	while (!heartbeat->stop && pthread_cond_timedwait(&heartbeat->wake, &heartbeat->mutex, &until) != ETIMEDOUT)
		continue;
	bool stop = heartbeat->stop;
	(void)pthread_mutex_unlock(&heartbeat->mutex);
	return stop;
}

static void *run(void *argument)
{
	struct heartbeat *heartbeat = argument;
	while (!pause_now(heartbeat)) {
		look(heartbeat);
		struct coverage_row now = row_now(heartbeat, COVERAGE_BEAT);
		if (is_news(&heartbeat->last, &now))
			now.event = COVERAGE_CHANGE;
		if (now.event == COVERAGE_CHANGE || now.at_us - heartbeat->last.at_us >= BEAT_S * CLOCK_SECOND_US)
			put(heartbeat, &now);
	}
	return NULL;
}

/* ---- start and end */

static void heartbeat_free(struct heartbeat *heartbeat)
{
	(void)pthread_mutex_destroy(&heartbeat->mutex);
	(void)pthread_cond_destroy(&heartbeat->wake);
	free(heartbeat);
}

int heartbeat_start(struct writer *writer, const char *runtime, const char *boot_id, struct heartbeat **ret,
                    struct error *err)
{
	struct heartbeat *heartbeat = calloc(1, sizeof(*heartbeat));
	pthread_condattr_t monotonic;
	if (heartbeat == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for heartbeats");
	heartbeat->writer = writer;
	heartbeat->last.every_us = BEAT_S * CLOCK_SECOND_US;
	(void)snprintf(heartbeat->path, sizeof(heartbeat->path), "%s/redirect.json", runtime);
	(void)text_copy(heartbeat->boot_id, sizeof(heartbeat->boot_id), boot_id);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&heartbeat->mutex, NULL);
	(void)pthread_cond_init(&heartbeat->wake, &monotonic);
	if (entry_id_make(heartbeat->last.run, err) < 0) {
		heartbeat_free(heartbeat);
		return -1;
	}
	look(heartbeat);
	const struct coverage_row first = row_now(heartbeat, COVERAGE_START);
	put(heartbeat, &first);
	if (pthread_create(&heartbeat->thread, NULL, run, heartbeat) != 0) {
		heartbeat_free(heartbeat);
		return error_set(err, ERROR_SYSTEM, "cannot start a thread for heartbeats");
	}
	*ret = heartbeat;
	return 0;
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
	if (heartbeat == NULL)
		return;
	(void)pthread_mutex_lock(&heartbeat->mutex);
	heartbeat->stop = true;
	(void)pthread_cond_signal(&heartbeat->wake);
	(void)pthread_mutex_unlock(&heartbeat->mutex);
	(void)pthread_join(heartbeat->thread, NULL);
	look(heartbeat);
	const struct coverage_row last = row_now(heartbeat, COVERAGE_STOP);
	put(heartbeat, &last);
	heartbeat_free(heartbeat);
}
