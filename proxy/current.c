/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots of the settings, counted. The lock is held for a few instructions only. */
#include "proxy/current.h"

#include <pthread.h>
#include <stddef.h>

#include "common/clock.h"

struct snapshot {
	struct settings settings;
	unsigned holders; /* takers, and one for being the present one */
};

struct current {
	pthread_mutex_t mutex; /* guards what follows, and each snapshot's count */
	struct snapshot *present;
	int64_t since_us;
	struct reload_result last;
};

MUST_USE static int snapshot_new(struct settings *from, struct snapshot **ret, struct error *err)
{
	struct snapshot *snapshot = malloc(sizeof(*snapshot));
	if (snapshot == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for settings");
	*snapshot = (struct snapshot){.settings = *from, .holders = 1};
	from->policy = NULL;
	*ret = snapshot;
	return 0;
}

static void release(struct current *current, struct snapshot *snapshot)
{
	(void)pthread_mutex_lock(&current->mutex);
	bool is_last = --snapshot->holders == 0;
	(void)pthread_mutex_unlock(&current->mutex);
	if (!is_last)
		return;
	settings_done(&snapshot->settings);
	free(snapshot);
}

int current_new(struct settings *first, struct current **ret, struct error *err)
{
	struct current *current = calloc(1, sizeof(*current));
	if (current == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for settings");
	if (snapshot_new(first, &current->present, err) < 0) {
		free(current);
		return -1;
	}
	(void)pthread_mutex_init(&current->mutex, NULL);
	current->since_us = clock_now_us();
	*ret = current;
	return 0;
}

void current_free(struct current *current)
{
	if (current == NULL)
		return;
	release(current, current->present);
	(void)pthread_mutex_destroy(&current->mutex);
	free(current);
}

const struct settings *current_take(struct current *current)
{
	(void)pthread_mutex_lock(&current->mutex);
	struct snapshot *snapshot = current->present;
	snapshot->holders++;
	(void)pthread_mutex_unlock(&current->mutex);
	return &snapshot->settings;
}

void current_give(struct current *current, const struct settings *taken)
{
	_Static_assert(offsetof(struct snapshot, settings) == 0, "a snapshot is found by its settings");
	release(current, (struct snapshot *)(uintptr_t)taken);
}

int current_replace(struct current *current, struct settings *next, struct error *err)
{
	struct snapshot *snapshot, *old;
	if (snapshot_new(next, &snapshot, err) < 0)
		return -1;
	(void)pthread_mutex_lock(&current->mutex);
	old = current->present;
	current->present = snapshot;
	current->since_us = clock_now_us();
	(void)pthread_mutex_unlock(&current->mutex);
	release(current, old);
	return 0;
}

void current_note(struct current *current, const struct reload_result *result)
{
	(void)pthread_mutex_lock(&current->mutex);
	current->last = *result;
	(void)pthread_mutex_unlock(&current->mutex);
}

struct reload_result current_last(struct current *current)
{
	(void)pthread_mutex_lock(&current->mutex);
	struct reload_result last = current->last;
	(void)pthread_mutex_unlock(&current->mutex);
	return last;
}

int64_t current_since_us(struct current *current)
{
	(void)pthread_mutex_lock(&current->mutex);
	int64_t since_us = current->since_us;
	(void)pthread_mutex_unlock(&current->mutex);
	return since_us;
}
