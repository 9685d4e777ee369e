/* SPDX-License-Identifier: Apache-2.0 */

/* A worker that stood still until its row was on disk would be one of eight, and what a disk takes for a sync would add
 * up for whoever waits behind them. So it leaves the exchange here. Nothing in here knows what an exchange is. */
#include "proxy/parking.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"

#define PARKING_STACK_BYTES (512 << 10)
#define QUIET_MS 1000 /* so often it is looked whether patience is over, until there is nobody for so long */

struct parking {
	struct writer *writer;
	int64_t patience_ms;
	pthread_t thread;
	bool is_started;
	pthread_attr_t attributes; /* of threads that wait for a client */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake, emptied;
	struct parked *waiting, **waiting_end; /* oldest first */
	struct parked *ready, **ready_end;
	int count; /* of all that are not over */
	bool is_asleep, is_quiet, stop;
	uint64_t taken, taken_before;
};

/* ---- in and out, with the mutex held */

static void append(struct parked ***end, struct parked *parked)
{
	parked->next = NULL;
	parked->link = *end;
	**end = parked;
	*end = &parked->next;
}

static void stop_waiting(struct parking *parking, struct parked *parked)
{
	*parked->link = parked->next;
	if (parked->next != NULL)
		parked->next->link = parked->link;
	else
		parking->waiting_end = parked->link;
	append(&parking->ready_end, parked);
	parked->link = NULL;
}

static void wake(struct parking *parking)
{
	if (parking->is_asleep)
		(void)pthread_cond_signal(&parking->wake);
	parking->is_asleep = false;
}

/* By the writer. */
static void on_done(struct writer_wait *wait)
{
	struct parked *parked = (struct parked *)wait;
	struct parking *parking = parked->parking;
	(void)pthread_mutex_lock(&parking->mutex);
	stop_waiting(parking, parked);
	wake(parking);
	(void)pthread_mutex_unlock(&parking->mutex);
}

void parking_enter(struct parking *parking, struct parked *parked)
{
	parked->wait.done = on_done;
	parked->parking = parking;
	parked->until_ms = clock_monotonic_ms() + parking->patience_ms;
	(void)pthread_mutex_lock(&parking->mutex);
	append(&parking->waiting_end, parked);
	parking->count++;
	if (parking->is_quiet)
		wake(parking);
	(void)pthread_mutex_unlock(&parking->mutex);
}

static void leave(struct parking *parking)
{
	(void)pthread_mutex_lock(&parking->mutex);
	if (--parking->count == 0)
		(void)pthread_cond_signal(&parking->emptied);
	(void)pthread_mutex_unlock(&parking->mutex);
}

/* ---- the thread */

/* With the mutex held. Whose patience is over is ready too, unless it is being told this moment. */
static void give_up(struct parking *parking, struct parked *parked)
{
	(void)pthread_mutex_unlock(&parking->mutex);
	bool is_given_up = writer_give_up(parking->writer, &parked->wait);
	(void)pthread_mutex_lock(&parking->mutex);
	if (is_given_up)
		stop_waiting(parking, parked);
	else
		parked->until_ms += QUIET_MS;
}

/* With the mutex held. Who enters does not wake the thread as a rule: it looks by itself when the oldest one's time has
 * come, and sleeps for good only when nobody has been here for a while. */
static void sleep_a_while(struct parking *parking)
{
	int64_t until_ms = clock_monotonic_ms() + QUIET_MS;
	if (parking->waiting != NULL && parking->waiting->until_ms < until_ms)
		until_ms = parking->waiting->until_ms;
	struct timespec until = condition_until(until_ms);
	bool is_late = false;
	parking->is_asleep = true;
	while (parking->is_asleep && !is_late)
		is_late = pthread_cond_timedwait(&parking->wake, &parking->mutex, &until) == ETIMEDOUT;
	parking->is_quiet = parking->is_asleep && parking->waiting == NULL;
	while (parking->is_asleep && parking->is_quiet)
		(void)pthread_cond_wait(&parking->wake, &parking->mutex);
	parking->is_asleep = parking->is_quiet = false;
}

/* All that are ready; NULL: time to end. */
static struct parked *take_ready(struct parking *parking)
{
	(void)pthread_mutex_lock(&parking->mutex);
	while (parking->ready == NULL && !parking->stop) {
		if (parking->waiting != NULL && clock_monotonic_ms() >= parking->waiting->until_ms)
			give_up(parking, parking->waiting);
		else
			sleep_a_while(parking);
	}
	struct parked *ready = parking->stop ? NULL : parking->ready;
	parking->ready = NULL;
	parking->ready_end = &parking->ready;
	parking->taken++;
	(void)pthread_mutex_unlock(&parking->mutex);
	return ready;
}

static void *wait_for_client(void *argument)
{
	struct parked *parked = argument;
	struct parking *parking = parked->parking;
	(void)parked->resume(parked, true);
	leave(parking);
	return NULL;
}

static void go_on(struct parking *parking, struct parked *parked)
{
	pthread_t thread;
	if (!parked->resume(parked, false)) {
		if (pthread_create(&thread, &parking->attributes, wait_for_client, parked) == 0)
			return;
		(void)shutdown(parked->fd, SHUT_RDWR); /* nothing to wait for any more */
		(void)parked->resume(parked, true);
	}
	leave(parking);
}

static void *run(void *argument)
{
	struct parking *parking = argument;
	struct parked *ready;
	while ((ready = take_ready(parking)) != NULL) {
		while (ready != NULL) {
			struct parked *parked = ready;
			ready = ready->next;
			go_on(parking, parked);
		}
	}
	return NULL;
}

bool parking_is_alive(struct parking *parking)
{
	(void)pthread_mutex_lock(&parking->mutex);
	bool alive = parking->ready == NULL || parking->taken != parking->taken_before;
	parking->taken_before = parking->taken;
	(void)pthread_mutex_unlock(&parking->mutex);
	return alive;
}

/* ---- start and end */

int parking_open(struct writer *writer, int64_t patience_ms, struct parking **ret, struct error *err)
{
	struct parking *parking = calloc(1, sizeof(*parking));
	if (parking == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for parked exchanges");
	parking->writer = writer;
	parking->patience_ms = patience_ms;
	parking->waiting_end = &parking->waiting;
	parking->ready_end = &parking->ready;
	(void)pthread_mutex_init(&parking->mutex, NULL);
	condition_init(&parking->wake);
	condition_init(&parking->emptied);
	(void)pthread_attr_init(&parking->attributes);
	(void)pthread_attr_setdetachstate(&parking->attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&parking->attributes, PARKING_STACK_BYTES);
	parking->is_started = pthread_create(&parking->thread, NULL, run, parking) == 0;
	if (!parking->is_started) {
		parking_free(parking);
		return error_set(err, ERROR_SYSTEM, "cannot start the thread of parked exchanges");
	}
	*ret = parking;
	return 0;
}

bool parking_stop(struct parking *parking, int64_t until_ms)
{
	struct timespec until = condition_until(until_ms);
	bool is_late = false;
	(void)pthread_mutex_lock(&parking->mutex);
	while (parking->count > 0 && !is_late)
		is_late = pthread_cond_timedwait(&parking->emptied, &parking->mutex, &until) == ETIMEDOUT;
	bool is_empty = parking->count == 0;
	parking->stop = true;
	wake(parking);
	(void)pthread_mutex_unlock(&parking->mutex);
	(void)pthread_join(parking->thread, NULL);
	return is_empty;
}

void parking_free(struct parking *parking)
{
	if (parking == NULL)
		return;
	if (!parking->stop && parking->is_started)
		(void)parking_stop(parking, 0);
	(void)pthread_mutex_destroy(&parking->mutex);
	(void)pthread_cond_destroy(&parking->wake);
	(void)pthread_cond_destroy(&parking->emptied);
	(void)pthread_attr_destroy(&parking->attributes);
	free(parking);
}
