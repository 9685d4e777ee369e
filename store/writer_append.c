/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for a row by standing still, for all who have nothing else to do meanwhile. */
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>

#include "common/condition.h"

/* One that stands still until it is told. */
struct standing {
	struct writer_wait wait; /* first */
	pthread_mutex_t mutex;
	pthread_cond_t told;
	bool is_told;
};

static void tell(struct writer_wait *wait)
{
	struct standing *standing = (struct standing *)wait;
	(void)pthread_mutex_lock(&standing->mutex);
	standing->is_told = true;
	(void)pthread_cond_signal(&standing->told);
	(void)pthread_mutex_unlock(&standing->mutex);
}

static void stand_still(struct writer *writer, struct standing *standing)
{
	struct timespec until = condition_until(standing->wait.until_ms);
	bool is_late = false;
	(void)pthread_mutex_lock(&standing->mutex);
	while (!standing->is_told && !is_late)
		is_late = pthread_cond_timedwait(&standing->told, &standing->mutex, &until) == ETIMEDOUT;
	(void)pthread_mutex_unlock(&standing->mutex);
	if (is_late && writer_give_up(writer, &standing->wait))
		return;
	(void)pthread_mutex_lock(&standing->mutex);
	while (!standing->is_told)
		(void)pthread_cond_wait(&standing->told, &standing->mutex);
	(void)pthread_mutex_unlock(&standing->mutex);
}

int writer_append(struct writer *writer, const struct entry *entry, struct error *err)
{
	struct standing standing = {.wait.done = tell};
	const struct error *problem = &standing.wait.problem;
	(void)pthread_mutex_init(&standing.mutex, NULL);
	condition_init(&standing.told);
	writer_append_then(writer, entry, 1, &standing.wait);
	stand_still(writer, &standing);
	(void)pthread_mutex_destroy(&standing.mutex);
	(void)pthread_cond_destroy(&standing.told);
	return standing.wait.is_durable[0] ? 0 : error_set(err, problem->code, "%s", problem->text);
}
