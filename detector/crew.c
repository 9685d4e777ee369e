/* SPDX-License-Identifier: Apache-2.0 */

/* A ring of tasks: given at one end, worked on in between, done at the other. Its length bounds how far the workers run
 * ahead of a task that takes long. Who gives them is woken for half a ring at a time, since on a machine with nothing
 * to spare each waking interrupts a worker. */
#include "detector/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define TICK_NS 100000000
#define TASKS_EACH 8

struct slot {
	void *task;
	bool is_done;
};

struct crew {
	struct crew_work work;
	pthread_mutex_t lock;
	pthread_cond_t given, finished;
	struct slot *ring;
	size_t size, first, next, last; /* counted on: not handed back; to be worked on; to be given */
	size_t awaited;                 /* the one whose end is told */
	bool is_over;
	struct crew_member *members;
	size_t count;
};

struct crew_member {
	struct crew *crew;
	size_t number;
	pthread_t thread;
};

static void *run_member(void *context)
{
	const struct crew_member *member = context;
	struct crew *crew = member->crew;
	(void)pthread_mutex_lock(&crew->lock);
	for (;;) {
		while (crew->next == crew->last && !crew->is_over)
			(void)pthread_cond_wait(&crew->given, &crew->lock);
		if (crew->next == crew->last)
			break;
		size_t number = crew->next++;
		struct slot *slot = &crew->ring[number % crew->size];
		(void)pthread_mutex_unlock(&crew->lock);
		crew->work.work(crew->work.context, member->number, slot->task);
		(void)pthread_mutex_lock(&crew->lock);
		slot->is_done = true;
		if (number == crew->awaited)
			(void)pthread_cond_signal(&crew->finished);
	}
	(void)pthread_mutex_unlock(&crew->lock);
	return NULL;
}

int crew_new(size_t workers, const struct crew_work *work, struct crew **ret, struct error *err)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	if (crew == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for workers");
	*crew = (struct crew){.work = *work,
	                      .lock = PTHREAD_MUTEX_INITIALIZER,
	                      .given = PTHREAD_COND_INITIALIZER,
	                      .finished = PTHREAD_COND_INITIALIZER,
	                      .size = workers * TASKS_EACH};
	crew->ring = calloc(crew->size, sizeof(*crew->ring));
	crew->members = calloc(workers, sizeof(*crew->members));
	if (crew->ring == NULL || crew->members == NULL) {
		crew_free(crew);
		return error_set(err, ERROR_MEMORY, "no memory for workers");
	}
	for (size_t i = 0; i < workers; i++) {
		crew->members[i] = (struct crew_member){.crew = crew, .number = i};
		int code = pthread_create(&crew->members[i].thread, NULL, run_member, &crew->members[i]);
		if (code != 0 && i == 0) { /* fewer workers are no error, none are */
			crew_free(crew);
			return error_set(err, ERROR_SYSTEM, "no thread for a worker");
		}
		if (code != 0)
			break;
		crew->count++;
	}
	*ret = crew;
	return 0;
}

/* Until the awaited one has ended, or it is time for a tick. */
static void await(struct crew *crew)
{
	struct timespec at;
	(void)clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += TICK_NS;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&crew->finished, &crew->lock, &at);
}

/* Hands back all that are done at the front, and waits until all before `until` are. The lock is held before and after.
 */
static void hand_back(struct crew *crew, size_t until)
{
	while (crew->first < until || (crew->first < crew->next && crew->ring[crew->first % crew->size].is_done)) {
		struct slot *slot = &crew->ring[crew->first % crew->size];
		if (slot->is_done) {
			void *task = slot->task;
			*slot = (struct slot){0};
			crew->first++;
			(void)pthread_mutex_unlock(&crew->lock);
			crew->work.done(crew->work.context, task);
			(void)pthread_mutex_lock(&crew->lock);
			continue;
		}
		/* The last one of those, but where that came before the first. */
		crew->awaited = crew->ring[(until - 1) % crew->size].is_done ? crew->first : until - 1;
		await(crew);
		(void)pthread_mutex_unlock(&crew->lock);
		crew->work.tick(crew->work.context);
		(void)pthread_mutex_lock(&crew->lock);
	}
}

void crew_give(struct crew *crew, void *task)
{
	(void)pthread_mutex_lock(&crew->lock);
	hand_back(crew, crew->last - crew->first == crew->size ? crew->first + crew->size / 2 : 0);
	crew->ring[crew->last++ % crew->size] = (struct slot){.task = task};
	(void)pthread_cond_signal(&crew->given);
	(void)pthread_mutex_unlock(&crew->lock);
}

void crew_wait(struct crew *crew)
{
	(void)pthread_mutex_lock(&crew->lock);
	hand_back(crew, crew->last);
	(void)pthread_mutex_unlock(&crew->lock);
}

void crew_free(struct crew *crew)
{
	if (crew == NULL)
		return;
	crew_wait(crew);
	(void)pthread_mutex_lock(&crew->lock);
	crew->is_over = true;
	(void)pthread_cond_broadcast(&crew->given);
	(void)pthread_mutex_unlock(&crew->lock);
	for (size_t i = 0; i < crew->count; i++)
		(void)pthread_join(crew->members[i].thread, NULL);
	free(crew->ring);
	free(crew->members);
	free(crew);
}
