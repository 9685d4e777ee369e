/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "store/entry.h"

/* When did the ledger see all that was asked on its machine, and when not? The daemon writes rows of kind `coverage`
 * (docs/ledger.md): at start, every few minutes, when something changes, and when it is told to end. What lies between
 * two of them follows from both, so it is true after any crash: nothing is claimed for the time behind the last row. */

enum coverage_event { COVERAGE_START, COVERAGE_BEAT, COVERAGE_CHANGE, COVERAGE_STOP, COVERAGE_EVENT_COUNT };
extern const char *const coverage_event_names[COVERAGE_EVENT_COUNT];

/* What one row says. */
struct coverage_row {
	int64_t at_us;
	enum coverage_event event;
	char run[ENTRY_ID_BYTES];    /* the same for all rows of one run of the daemon */
	int64_t every_us;            /* how far apart beats are */
	int64_t lost;                /* rows of this run that could be written nowhere */
	bool redirect_whole;         /* as the last check said */
	int64_t redirect_checked_us; /* when that was; 0: never */
	bool behind_hole;            /* rows in front of it, of whatever kind, are not in this ledger */
};

/* A check of the redirect stands for this long: three runs of its timer. */
#define COVERAGE_CHECK_STANDS_US (15 * 60 * INT64_C(1000000))

/* In order of precedence: the first that holds between two rows is the reason. */
enum coverage_reason {
	COVERAGE_NOT_KEPT,           /* before the first row, or there is none */
	COVERAGE_CLOCK_SET_BACK,     /* these times came twice */
	COVERAGE_DAEMON_DOWN,        /* it was told to end, and started later */
	COVERAGE_DAEMON_DIED,        /* it ended untold, some time after its last row */
	COVERAGE_LEDGER_NOT_WRITTEN, /* rows were lost */
	COVERAGE_NO_BEAT,            /* rows are missing: the machine slept, or nothing could be written */
	COVERAGE_REDIRECT_NOT_WHOLE, /* requests could go past the daemon */
	COVERAGE_REDIRECT_UNCHECKED, /* nobody has looked */
	COVERAGE_NOT_YET_KNOWN,      /* behind the last row */
	COVERAGE_ROWS_MISSING,       /* rows of this time were never imported */
	COVERAGE_REASON_COUNT,
};
extern const char *const coverage_reason_names[COVERAGE_REASON_COUNT];

struct coverage_gap {
	int64_t from_us, until_us;
	enum coverage_reason reason;
};

/* What is between two rows that follow each other: true, and the gap, when that time is not covered. Pure. */
bool coverage_between(const struct coverage_row *a, const struct coverage_row *b, struct coverage_gap *ret);

/* Cuts a gap to [from, until] and puts it behind the others; one with the same reason that touches the last becomes
 * part of it. `gaps` has room. Pure. */
void coverage_add(struct coverage_gap *gaps, size_t *count, struct coverage_gap gap, int64_t from_us, int64_t until_us);

/* What is covered in neither of two lists (two ledgers of one instance): `ret` has room for a_count + b_count. Each
 * list is sorted by time here. Of two reasons the one that says more stands. Pure. */
size_t coverage_common(struct coverage_gap *a, size_t a_count, struct coverage_gap *b, size_t b_count,
                       struct coverage_gap *ret);

/* Which parts of [from, until] are not covered, by the rows of one machine in the order of its chain: no gap means that
 * all of it is. `ret` has room for count + 1; neighbours with one reason are one gap. Pure. */
size_t coverage_gaps(const struct coverage_row *rows, size_t count, int64_t from_us, int64_t until_us,
                     struct coverage_gap *ret);

/* A row's body, and back; `at` is not part of it. New reference. */
json_t *coverage_to_body(const struct coverage_row *row);
MUST_USE int coverage_from_body(const json_t *body, int64_t at_us, struct coverage_row *ret, struct error *err);

/* The same from a text, of whoever wrote it: what makes no sense is a row that covers nothing. */
struct coverage_row coverage_from_text(const char *body, int64_t at_us);
