/* SPDX-License-Identifier: Apache-2.0 */

/* A list that is looked through: lost files are few, and one that is looked up was listed from a disk just before. */
#include "detector/watch_lost.h"

#include <stdlib.h>
#include <string.h>

#define DOUBLINGS_MAX 12

int watch_lost_init(struct watch_lost *lost, int64_t interval_ms, struct error *err)
{
	struct watch_lost_file *files = calloc(WATCH_LOST_MAX, sizeof(*files));
	if (files == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a watcher");
	*lost = (struct watch_lost){.files = files, .interval_ms = interval_ms};
	return 0;
}

void watch_lost_done(struct watch_lost *lost)
{
	free(lost->files);
	*lost = (struct watch_lost){0};
}

static struct watch_lost_file *find(const struct watch_lost *lost, const struct checkpoint_id *id)
{
	for (size_t i = 0; i < lost->count; i++)
		if (memcmp(&lost->files[i].id, id, sizeof(*id)) == 0)
			return &lost->files[i];
	return NULL;
}

unsigned watch_lost_add(struct watch_lost *lost, const struct checkpoint_id *id, int64_t now_ms)
{
	struct watch_lost_file *file = find(lost, id);
	if (file == NULL) {
		if (lost->count == WATCH_LOST_MAX)
			memmove(lost->files, lost->files + 1, --lost->count * sizeof(*file));
		file = &lost->files[lost->count++];
		*file = (struct watch_lost_file){.id = *id};
	}
	int64_t wait_ms = lost->interval_ms << (file->failures < DOUBLINGS_MAX ? file->failures : DOUBLINGS_MAX);
	file->due_ms = now_ms + (wait_ms < WATCH_LOST_WAIT_MAX_MS ? wait_ms : WATCH_LOST_WAIT_MAX_MS);
	return ++file->failures;
}

/* The others keep their order: the first is the oldest. */
void watch_lost_remove(struct watch_lost *lost, const struct checkpoint_id *id)
{
	struct watch_lost_file *file = find(lost, id);
	if (file == NULL)
		return;
	size_t behind = (size_t)(lost->files + lost->count - file) - 1;
	memmove(file, file + 1, behind * sizeof(*file));
	lost->count--;
}

unsigned watch_lost_failures(const struct watch_lost *lost, const struct checkpoint_id *id)
{
	const struct watch_lost_file *file = find(lost, id);
	return file != NULL ? file->failures : 0;
}

bool watch_lost_waits(const struct watch_lost *lost, const struct checkpoint_id *id, int64_t now_ms)
{
	const struct watch_lost_file *file = find(lost, id);
	return file != NULL && file->due_ms > now_ms;
}

bool watch_lost_has_due(const struct watch_lost *lost, int64_t now_ms)
{
	for (size_t i = 0; i < lost->count; i++)
		if (lost->files[i].due_ms <= now_ms)
			return true;
	return false;
}
