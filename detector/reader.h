/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "detector/detect.h"
#include "detector/inflate.h"
#include "detector/judge.h"
#include "detector/learned.h"
#include "detector/setup.h"

/* One file, from its bytes to the judge. Readers work side by side, each with memory of its own; judge and what is
 * learned they share, one at a time. */

#define READING_LINES 11 /* about one file: ten, and that there are more */

/* A file to be read, and what came of it. */
struct reading {
	struct source_file file; /* texts owned */
	int fd;                  /* owned; -1: to be fetched */
	const char *title;       /* what complaints call it */
	struct detect_summary counts;
	char *lines[READING_LINES]; /* complaints, owned */
	unsigned line_count;        /* made; those beyond the last are not kept */
	bool is_read;               /* to its end */
	struct error failure;       /* what is not the file's fault and ends the run; ERROR_NONE: nothing */
};

/* Heap; NULL without memory. `file` NULL: nothing is to be read, there is just something to be said of `title`. */
struct reading *reading_new(const struct source_file *file, const char *title);
void reading_free(struct reading *reading);
void reading_complain(struct reading *reading, const char *line);

struct familiar;

/* What the readers of one pass share. */
struct pass {
	const struct setup *setup;
	struct learned *learned;
	struct judge *judge;
	pthread_mutex_t lock; /* of these two */
	bool learns;          /* the first pass */
	bool is_thorough;     /* nothing is passed over because it is familiar */
	atomic_bool has_failed;
	atomic_ullong done_bytes; /* of files as they lie */
	struct inflate_budget budget;
	struct familiar *familiar; /* what any of them found familiar; NULL: there is only one */
	pthread_mutex_t familiar_lock;
};

/* What so many readers share, before the first of them is made, and after the last is gone; in between, a new pass
 * begins by forgetting what was familiar, as readers do. */
MUST_USE int pass_open(struct pass *pass, size_t readers, struct error *err);
void pass_begin(struct pass *pass);
void pass_close(struct pass *pass);

struct reader;

/* One of so many: it takes its part of the memory. `pass` is borrowed. */
MUST_USE int reader_new(struct pass *pass, size_t of, struct reader **ret, struct error *err);
void reader_free(struct reader *reader);

/* Forgets what was familiar: a new pass begins. */
void reader_begin(struct reader *reader);
void reader_run(struct reader *reader, struct reading *reading);
