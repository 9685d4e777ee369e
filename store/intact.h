/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

/* Are the files that a connection writes still those at its path, and do they begin as SQLite's do? What is committed
 * to a file that was deleted, replaced or overwritten would never be read again, and SQLite itself does not look. In
 * WAL mode only; damage further inside is for a later read to find. */
struct intact {
	dev_t wal_device;
	ino_t wal_inode; /* 0: not known */
};

/* Once the connection has read or written, so that its WAL is open. */
void intact_note(sqlite3 *db, struct intact *ret);

/* After a commit. `has_frames`: this connection has written into the WAL. ERROR_MISSING: deleted or replaced.
 * ERROR_DAMAGED: overwritten. Takes some microseconds. */
MUST_USE int intact_check(sqlite3 *db, const struct intact *noted, bool has_frames, struct error *err);
