/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A disk that forgets. What this process writes below one folder, SQLite's files and the journal alike, is written
 * through and also noted, in order, with each sync of a file or of the folder. Afterwards the power can be cut at any
 * moment of that: what was synced is there; of what was not, an arbitrary part, in sectors of 512 bytes, each in any of
 * the versions that it had since; names of files likewise, up to some moment. Test-only: it stands in front of libc. */

/* Notes from here on; `folder` holds what is durable already. */
void disk_begin(const char *folder);
void disk_end(void);

/* What a device does that says "synced" too early; it shows that a test would notice. */
enum disk_lie { DISK_HONEST, DISK_LIES_WAL, DISK_LIES_JOURNAL, DISK_LIES_FOLDER };
void disk_lie(enum disk_lie lie);

/* Writes to files whose name ends so fail from now on, as if the disk were full; NULL: none. */
void disk_fail(const char *suffix);

/* Notes that somebody outside was told of `number`. Returns the moment. */
size_t disk_told(unsigned number);

/* How many moments there are, and how many syncs. */
size_t disk_moments(void);
size_t disk_syncs(void);

/* What is on the disk after a cut at `moment`, into an empty folder. `chance` gives random numbers. */
void disk_cut(size_t moment, uint64_t (*chance)(void), const char *folder);

/* Calls for each number that was told before that moment. */
void disk_each_told(size_t moment, void (*take)(void *context, unsigned number), void *context);
