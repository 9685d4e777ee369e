/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* From a file to unpacked bytes: gzip (several members too) or plain, told by content, never by name. Bounded memory
 * whatever the file holds. One handle a thread; it keeps its memory from file to file. */
struct inflate;

#define INFLATE_WHOLE_BYTES ((size_t)64 << 20) /* unpacked at once up to here, in windows above */
#define INFLATE_WINDOW_BYTES ((size_t)1 << 20)
#define INFLATE_RECORD_BYTES ((size_t)16 << 20) /* the longest record; CloudTrail's own bound is 1 MiB */
#define INFLATE_PADDING 256                     /* readable bytes behind each window */

/* A piece of the unpacked file, lent for the time of the call. */
struct window {
	const char *bytes;
	size_t length;
	bool is_last;
	uint64_t file_bytes; /* of the file as it lies, read so far: for progress */
	bool is_full;        /* no more is put behind it than this: all of it must be used */
};

/* Says how many bytes from the start it is done with; the rest comes again, with more behind it. */
typedef int inflate_visit(void *context, const struct window *window, size_t *ret_used, struct error *err);

/* What all handles together may hold beside a window each. A handle that needs more for a file waits until there is as
 * much, or reads the file in windows. What handles keep from file to file is part of it, and may be at most what is
 * over the largest need: so whoever waits waits for handles that work, and they end. */
struct inflate_budget {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	size_t left;
};
#define INFLATE_NEED_BYTES ((size_t)96 << 20) /* the most for one file: unpacked, and packed */
#define INFLATE_KEPT_BYTES ((size_t)32 << 20) /* the most that all handles together keep */

/* Of INFLATE_NEED_BYTES + INFLATE_KEPT_BYTES. */
void inflate_budget_init(struct inflate_budget *budget);

/* One that shares its memory with nobody. */
MUST_USE int inflate_new(struct inflate **ret, struct error *err);

/* `keep`: its part of INFLATE_KEPT_BYTES. The budget is borrowed. */
MUST_USE int inflate_new_within(struct inflate_budget *budget, size_t keep, struct inflate **ret, struct error *err);
void inflate_free(struct inflate *inflate);

/* Reads `fd` to its end. ERROR_INPUT: the gzip data are cut or damaged (what stood before was visited; is_last never
 * came); an error of the visitor is passed on and ends the reading. */
MUST_USE int inflate_run(struct inflate *inflate, int fd, inflate_visit *visit, void *context, struct error *err);

/* Unpacks gzip held in memory as a whole. Two implementations, one of them built: inflate_whole_libdeflate.c, and
 * inflate_whole_none.c, which leaves everything to the windows. */
enum inflate_whole_result { INFLATE_WHOLE_DONE, INFLATE_WHOLE_TOO_LARGE, INFLATE_WHOLE_DAMAGED };

/* Memory that keeps INFLATE_PADDING bytes behind `capacity`. It grows only if its owner finds so many bytes more. It
 * begins where a line of the processor's cache does, so that none of the blocks that are looked at stands in two. */
#define INFLATE_ALIGNMENT 64
struct inflate_space {
	char *bytes;
	size_t capacity;
	char *area;                   /* where it was allocated, */
	size_t before;                /* and how far behind that the bytes begin */
	struct inflate_memory *owner; /* NULL: nobody is asked */
};
MUST_USE bool inflate_space_grow(struct inflate_space *space, size_t capacity);

/* The trailer of a gzip file says how long its last member is, modulo 2^32: a hint, not to be believed. */
size_t inflate_hint(const unsigned char trailer[static 4]);

struct inflate_whole;
struct inflate_whole *inflate_whole_new(void);
void inflate_whole_free(struct inflate_whole *whole);
MUST_USE enum inflate_whole_result inflate_whole_run(struct inflate_whole *whole, const char *packed, size_t length,
                                                     struct inflate_space *space, size_t *ret_length);
