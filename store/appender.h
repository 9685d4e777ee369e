/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/entry.h"
#include "store/line.h"

/* The ledger's write side inside one thread: rows in transactions, each chained to the one before. */
struct appender;

MUST_USE int appender_open(const char *path, struct appender **ret, struct error *err);
void appender_close(struct appender *appender);
/* Closes what is not at its path any more, or (is_damaged) was overwritten. */
void appender_abandon(struct appender *appender, bool is_damaged);

MUST_USE int appender_begin(struct appender *appender, struct error *err);
/* A row whose id is there already is passed over: a journal may be replayed twice. */
MUST_USE int appender_insert(struct appender *appender, const struct packed *packed, struct error *err);
/* Durable on return. ERROR_MISSING, ERROR_DAMAGED: committed to files that nobody will read (store/intact.h). */
MUST_USE int appender_commit(struct appender *appender, struct error *err);
void appender_rollback(struct appender *appender);

/* Is told of each row with its place in the chain as it goes in, and at the end of the transaction whether they are all
 * durable, or none is there. */
struct appender_listener {
	void (*row)(void *context, const struct packed *packed, int64_t seq, const struct line_place *place);
	void (*end)(void *context, bool committed);
	void *context;
};
void appender_listen(struct appender *appender, const struct appender_listener *listener);

/* For the other parts of the write side (store/prune.h). The number is that of the newest row. */
struct sqlite3 *appender_database(struct appender *appender);
int64_t appender_seq(const struct appender *appender);

/* Moves the WAL into the database when it has grown, without waiting for readers. */
void appender_checkpoint(struct appender *appender);
