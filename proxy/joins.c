/* SPDX-License-Identifier: Apache-2.0 */

/* A list of the fetches under way: there are as many as workers at most. The first who wants a thing fetches it without
 * the lock; who wants it meanwhile waits. An answer lives until the last of them has copied it, and is then wiped. */
#include "proxy/joins.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

struct flight {
	struct flight *next;
	const char *key; /* lent by the leader; compared only while is_open */
	bool is_open;    /* under way: others may join */
	int users;       /* leader and followers; the last one frees */
	int result;
	struct response response;
	struct error problem;
	pthread_cond_t done;
};

struct joins {
	pthread_mutex_t mutex; /* guards the list and what hangs on it */
	pthread_condattr_t monotonic;
	struct flight *first;
};

int joins_new(struct joins **ret, struct error *err)
{
	struct joins *joins = calloc(1, sizeof(*joins));
	if (joins == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for joined fetches");
	(void)pthread_mutex_init(&joins->mutex, NULL);
	(void)pthread_condattr_init(&joins->monotonic);
	(void)pthread_condattr_setclock(&joins->monotonic, CLOCK_MONOTONIC);
	*ret = joins;
	return 0;
}

void joins_free(struct joins *joins)
{
	if (joins == NULL)
		return;
	(void)pthread_mutex_destroy(&joins->mutex);
	(void)pthread_condattr_destroy(&joins->monotonic);
	free(joins);
}

/* With the mutex held. */
static struct flight *find(const struct joins *joins, const char *key)
{
	struct flight *flight = joins->first;
	while (flight != NULL && strcmp(flight->key, key) != 0)
		flight = flight->next;
	return flight;
}

/* Gives what came of a flight, and lets go of it. With the mutex held. */
MUST_USE static int take(struct flight *flight, struct response *ret, struct error *err)
{
	const struct response *from = &flight->response;
	int result = flight->result < 0 ? error_set(err, flight->problem.code, "%s", flight->problem.text) : 0;
	response_done(ret);
	if (--flight->users == 0) {
		if (result == 0)
			*ret = *from;
		else
			response_done(&flight->response);
		(void)pthread_cond_destroy(&flight->done);
		free(flight);
		return result;
	}
	return result < 0 ? -1 : response_copy(from, ret, err);
}

/* With the mutex held. */
MUST_USE static int follow(struct joins *joins, struct flight *flight, int64_t deadline_ms, struct response *ret,
                           struct error *err)
{
	const struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
	flight->users++;
	while (flight->is_open && pthread_cond_timedwait(&flight->done, &joins->mutex, &until) != ETIMEDOUT)
		continue;
	if (!flight->is_open)
		return take(flight, ret, err);
	flight->users--; /* the leader is still there */
	return error_set(err, ERROR_TIMEOUT, "no answer in time");
}

static void close_flight(struct joins *joins, struct flight *flight)
{
	struct flight **at = &joins->first;
	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	flight->is_open = false;
	(void)pthread_cond_broadcast(&flight->done);
}

int joins_run(struct joins *joins, const char *key, int64_t deadline_ms, joins_fetch *fetch, void *context,
              struct response *ret, struct error *err)
{
	(void)pthread_mutex_lock(&joins->mutex);
	struct flight *flight = find(joins, key);
	int result;
	if (flight != NULL) {
		result = follow(joins, flight, deadline_ms, ret, err);
		(void)pthread_mutex_unlock(&joins->mutex);
		return result;
	}
	flight = calloc(1, sizeof(*flight));
	if (flight == NULL) {
		(void)pthread_mutex_unlock(&joins->mutex);
		return error_set(err, ERROR_MEMORY, "no memory for a fetch");
	}
	*flight = (struct flight){.next = joins->first, .key = key, .is_open = true, .users = 1};
	(void)pthread_cond_init(&flight->done, &joins->monotonic);
	joins->first = flight;
	(void)pthread_mutex_unlock(&joins->mutex);

	flight->result = fetch(context, &flight->response, &flight->problem);

	(void)pthread_mutex_lock(&joins->mutex);
	close_flight(joins, flight);
	result = take(flight, ret, err);
	(void)pthread_mutex_unlock(&joins->mutex);
	return result;
}
