/* SPDX-License-Identifier: Apache-2.0 */

/* A passive checkpoint waits for nobody, neither for readers nor for who writes; it only takes its time. */
#include "store/backfill.h"

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define STACK_BYTES (256 << 10)

struct backfill {
	char path[PATH_MAX];
	pthread_t thread;
	bool is_started;     /* and not joined */
	atomic_bool is_done; /* what follows is settled */
	int moved;
};

struct backfill *backfill_new(const char *path)
{
	struct backfill *backfill = calloc(1, sizeof(*backfill));
	if (backfill != NULL)
		(void)snprintf(backfill->path, sizeof(backfill->path), "%s", path);
	return backfill;
}

static void *run(void *argument)
{
	struct backfill *backfill = argument;
	sqlite3 *db = NULL;
	int keep = 1, frames = 0, moved = 0;
	/* As strict about syncs as the connection that writes: the WAL is overwritten once all of it is moved. */
	if (sqlite3_open_v2(backfill->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep) == SQLITE_OK)
		(void)sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(db);
	backfill->moved = moved > 0 ? moved : 0;
	atomic_store(&backfill->is_done, true);
	return NULL;
}

static void join(struct backfill *backfill)
{
	if (backfill->is_started)
		(void)pthread_join(backfill->thread, NULL);
	backfill->is_started = false;
}

bool backfill_begin(struct backfill *backfill)
{
	pthread_attr_t small;
	if (backfill == NULL)
		return false;
	if (backfill->is_started)
		return true;
	atomic_store(&backfill->is_done, false);
	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, STACK_BYTES);
	backfill->is_started = pthread_create(&backfill->thread, &small, run, backfill) == 0;
	(void)pthread_attr_destroy(&small);
	return backfill->is_started;
}

bool backfill_is_under_way(struct backfill *backfill, int *ret_moved)
{
	if (backfill == NULL || !backfill->is_started)
		return false;
	if (!atomic_load(&backfill->is_done))
		return true;
	join(backfill);
	*ret_moved = backfill->moved;
	return false;
}

void backfill_free(struct backfill *backfill)
{
	if (backfill == NULL)
		return;
	join(backfill);
	free(backfill);
}
