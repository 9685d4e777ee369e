/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Moves a WAL that has become large (a reader held it) into the database, by a thread and a connection of its own: that
 * can take seconds, and rows go on being written meanwhile. Used by one thread. */
struct backfill;

/* NULL without memory: then a large WAL is moved by whoever writes. */
struct backfill *backfill_new(const char *path);
/* Waits for what is under way. NULL is fine. */
void backfill_free(struct backfill *backfill);

/* Begins, unless it is under way. False: it cannot. */
bool backfill_begin(struct backfill *backfill);
/* Is it? When it has ended, *ret_moved is how many frames of the WAL are in the database. */
bool backfill_is_under_way(struct backfill *backfill, int *ret_moved);
