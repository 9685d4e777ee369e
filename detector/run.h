/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/crew.h"
#include "detector/earlier.h"
#include "detector/reader.h"

/* What the files of one run share: detect.c, which is the run, and run_sources.c, which reads its sources. */

/* Named sources of one reading, open until it is over. */
struct reading_list {
	const char *const *names;
	size_t count;
	struct log_source **sources;
};

struct run {
	const struct detect_options *options;
	const struct detect_output *output;
	struct detect_summary *summary; /* of the run */
	struct detect_summary *input;   /* where what was read is counted: the second pass counts nothing twice */
	struct setup setup;
	struct learned learned;
	struct covered covered;
	struct judge judge;
	struct pass pass;
	struct reader **readers;
	size_t reader_count;
	struct crew *crew;
	struct reading_list list; /* those that are being read */
	struct earlier earlier;   /* files of earlier runs that are to be read again */
	uint64_t earlier_lost;    /* of those */
	uint64_t total_bytes;     /* of files as they lie; 0: not known */
	struct error failure;     /* the first that is not a file's */
	bool replays;             /* what waits from earlier runs is judged too */
	bool is_second;           /* the second pass: all that there is to learn is known, all complaints made */
	int stdin_fd;             /* standard input, as often as wanted; -1: not read yet */
	off_t stdin_start;
};

/* Readers and their threads. */
MUST_USE int run_open_readers(struct run *run, struct error *err);
void run_close_readers(struct run *run);

/* All sources once, by what is known now; only what makes every answer worthless is an error. */
MUST_USE int run_read_sources(struct run *run, struct error *err);

/* The same for run->earlier: nothing of it counts as this run's input, and what is lost of it is in run->earlier_lost.
 */
MUST_USE int run_read_earlier(struct run *run, struct error *err);

/* Not in a second pass: it has been said. */
void run_complain(struct run *run, const char *line);
