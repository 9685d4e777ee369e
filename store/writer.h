/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/entry.h"
#include "store/upkeep.h"

/* The one writer of a ledger: a thread that commits whatever has queued up in one transaction (group commit), so that
 * many rows share one fsync. All functions may be called from any thread. */
struct writer;

struct writer_options {
	const char *path;            /* of the ledger; the journal lies beside it as `journal` */
	bool use_journal;            /* when the ledger cannot be written: journal, else fail */
	bool held;                   /* nothing is written before writer_release */
	struct upkeep_limits limits; /* how long rows stay */
	const char *jsonl;           /* also append each row as a line to this file; NULL or "": no */
	const char *journal_socket;  /* also send each row to the journal (store/ship.h); NULL or "": no */
	int64_t patience_ms;         /* 0: WRITER_PATIENCE_MS */
	int64_t gather_ms;           /* how long a row may wait for those that are foreseen; 0: 2 ms */
};

#define WRITER_PATIENCE_MS 5000 /* for a disk that does not answer; clients have given up by then */

MUST_USE int writer_open(const struct writer_options *options, struct writer **ret, struct error *err);

/* Writes what is queued, ends the thread, frees. NULL is fine. */
void writer_close(struct writer *writer);

/* Of a held writer: closes ledger and journal, has `between` do something with the files, and opens what is there then,
 * also when that failed. */
MUST_USE int writer_reopen(struct writer *writer, int (*between)(void *context, struct error *err), void *context,
                           struct error *err);
/* Writes from now on what is queued, `first` (or NULL) before all others. */
void writer_release(struct writer *writer, const struct entry *first);

/* The file of lines was renamed: the next row goes into one of its name. */
void writer_reopen_lines(struct writer *writer);

/* Other limits, from now on. */
void writer_limit(struct writer *writer, const struct upkeep_limits *limits);

/* What becomes of rows that are waited for without standing still. All zero before, but for `done`. It stays in place
 * until that is called, or writer_give_up() has returned true; until then only `done` and `until_ms` may be looked at.
 */
#define WRITER_TOGETHER_MAX 8
struct writer_wait {
	/* Called once, when each row is durable or has failed, by the writer's thread, or by
	 * writer_append_then() itself. The ledger stands still meanwhile: it must not wait for anything. */
	void (*done)(struct writer_wait *wait);
	int64_t until_ms;                     /* of clock_monotonic_ms(): who waits longer should give up */
	bool is_durable[WRITER_TOGETHER_MAX]; /* each row, in the ledger or, failing that, in the journal */
	struct error problem;                 /* why one is not; ERROR_NONE: all are */
	bool is_foreseen;                     /* the writer's own, as are the next */
	size_t open;
	struct writer_wait *next;
};

/* Queues rows, up to WRITER_TOGETHER_MAX of them, all or none, and does not wait. */
void writer_append_then(struct writer *writer, const struct entry *entries, size_t count, struct writer_wait *wait);

/* `wait` is going to be appended soon: rows that others wait for may wait for its rows, for gather_ms at most, to go to
 * disk in one transaction. Whoever foresees it appends it, or forgets it. */
void writer_foresee(struct writer *writer, struct writer_wait *wait);
/* It will not come after all; fine if it was not foreseen. */
void writer_forget(struct writer *writer, struct writer_wait *wait);

/* True: what is not decided by now is given up (ERROR_TIMEOUT): it may become durable after all, but `done` will not be
 * called, and nothing must be answered on its word. False: there is nothing to give up; `done` has been called, or is
 * about to be, or nothing was queued yet. */
MUST_USE bool writer_give_up(struct writer *writer, struct writer_wait *wait);

/* The same, standing still: returns 0 once the row is durable, in the ledger or, failing that, in the journal; -1 when
 * it is in neither, or (ERROR_TIMEOUT) not known to be: it may still become durable, and nothing must be answered on
 * its word. */
MUST_USE int writer_append(struct writer *writer, const struct entry *entry, struct error *err);

/* Queues a row that nobody waits for; it is durable at the latest with the next waited-for one. Dropped rows (queue
 * full, disk gone) are counted. */
void writer_append_later(struct writer *writer, const struct entry *entry);

/* For `status`: path, writable, rows_written, journalled, dropped, waiting, clock_set_back (how often), last_error. New
 * reference, or NULL. */
json_t *writer_status(struct writer *writer);
