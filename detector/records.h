/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "detector/scan.h"

/* Cuts CloudTrail records out of windows of JSON text, without building a tree. It knows {"Records":[...]}, the
 * {"Events":[...]} of LookupEvents, bare arrays, and records one after the other (JSON Lines, or one alone). Strings
 * and escapes are respected; what is inside a record is the reader's business. A cutter serves one file at a time. */

struct sieve;

struct record {
	const char *bytes; /* lent; ends with its closing bracket */
	size_t length;
	uint64_t number; /* from 1 in its file */
	uint64_t offset; /* in the unpacked file */
	bool is_suspect; /* the hint function said so, or an escape might hide what it looks for */
};

struct records_reader {
	/* A record. -1 ends the reading with that error. */
	int (*record)(void *context, const struct record *record, struct error *err);
	/* Bytes that are no records. `offset` in the unpacked file; `expected` says what was looked for. */
	void (*broken)(void *context, uint64_t number, uint64_t offset, const char *expected);
	/* Does the text at this place, which may be an access key id or an instance session, make the record worth
	 * parsing? At least SCAN_PADDING bytes may be read behind `end`. */
	bool (*hint)(const void *context, const char *at, const char *end);
	void *context;
	const void *hint_context;
	const struct sieve *sieve; /* places that this does not let through are not asked about */
	/* Asked first where a record begins that ends within `length`: does it need no looking at? Its length then, or
	 * 0. It must be one whole object, by the brackets outside of its strings, without any backslash or line feed,
	 * and is not told of again. NULL: none is. */
	size_t (*known)(void *context, const char *at, size_t length);
};

struct records {
	const struct records_reader *reader;
	scan_function *scan;
	uint64_t base;   /* offset of the window in the unpacked file */
	uint64_t number; /* records seen */
	int64_t level;   /* records open at this depth; -1 while outside of what holds records */
	struct scan_state state;
	bool is_dropping; /* the record at hand is too long to be kept: its end is looked for, no more */
	bool is_given_up; /* what follows cannot be cut */
	unsigned resyncs;
	bool may_hide; /* the block at hand holds such an escape: whatever record it touches is suspect */
	/* Within the window that is being read: */
	bool in_record, is_suspect, is_object;
	size_t start;  /* of the record */
	size_t gap;    /* end of what was understood last */
	size_t array;  /* where the array of records will open; SIZE_MAX: none is awaited */
	size_t asked;  /* where a record begins that is not known; SIZE_MAX: nowhere */
	size_t behind; /* the records just passed over, the walk goes on; 0: none were */
};

void records_begin(struct records *records, const struct records_reader *reader);

/* Reads a window with 128 readable bytes behind it. `ret_used`: how much is done with; the rest must come again in
 * front of the next window. */
MUST_USE int records_feed(struct records *records, const char *bytes, size_t length, bool is_last, size_t *ret_used,
                          struct error *err);

/* The record that the next window begins with is too long: a complaint, and its bytes are passed over in this window
 * and those that follow. */
void records_drop(struct records *records);

/* What a top-level object is: decided from its first members. */
enum records_kind { RECORDS_ONE, RECORDS_HOLDER, RECORDS_OTHER, RECORDS_UNDECIDED };

/* `ret_array`: where in `bytes` the array of records opens. RECORDS_OTHER: it is whole, and neither holds records nor
 * has any of their members. RECORDS_UNDECIDED: not enough bytes. Pure. */
enum records_kind records_look(const char *bytes, size_t length, size_t *ret_array);
