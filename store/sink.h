/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/appender.h"
#include "store/upkeep.h"

/* The two places where rows go: the database and, while that fails, the emergency journal, whose rows go back into the
 * database ahead of new ones. Used by the writer's thread only, or by nobody else meanwhile. */
struct sink;

struct sink_options {
	const char *path;                  /* of the ledger; the journal lies beside it as `journal` */
	bool use_journal;                  /* while the database fails: else rows fail with it */
	struct appender_listener listener; /* to the database; its functions may be NULL */
};

/* A row and what became of it. */
struct sink_row {
	struct sink_row *next;
	struct packed packed;
	int result; /* 0: durable */
	struct error problem;
};

/* What one sink_write did, and how things stand since. */
struct sink_done {
	uint64_t rows, journalled, lost; /* into the database, into the journal, nowhere */
	uint64_t set_back;               /* how often the clock on the wall was found set back by seconds */
	bool is_failing;
	struct error last_error; /* of the database; ERROR_NONE while it works */
};

/* Where the disk is at fault this succeeds, and rows go to the journal; where the ledger itself is (newer, damaged,
 * no ledger at all), or without a journal, it fails. */
MUST_USE int sink_open(const struct sink_options *options, struct sink **ret, struct error *err);
/* NULL is fine. */
void sink_close(struct sink *sink);

/* Closes both files, has `between` do something with them, and opens what is there then, also when that failed. */
MUST_USE int sink_reopen(struct sink *sink, int (*between)(void *context, struct error *err), void *context,
                         struct error *err);

/* Writes rows (NULL: only what the journal holds), in their order, and sets the result of each. A database that fails
 * is tried again once a second, and each time once the journal is half full. */
void sink_write(struct sink *sink, struct sink_row *first, struct sink_done *ret);

/* Are there rows in the journal that the database has not got? */
bool sink_is_behind(const struct sink *sink);
struct error sink_last_error(const struct sink *sink);

/* For the moments when nobody waits: checkpoints, forgetting old rows. True: there is more to do soon. */
bool sink_tidy(struct sink *sink, const struct upkeep_limits *limits);

#define SINK_RETRY_MS 1000 /* how often a failing database is tried again */
