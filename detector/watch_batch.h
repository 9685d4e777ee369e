/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "detector/watch.h"
#include "detector/watch_lost.h"
#include "store/checkpoint.h"

/* Files that a watcher reads as one run of the detector: gathered, read, their findings said, and then noted. Nothing
 * is noted before it is stored and said. One thread. */

struct watch_file {
	char *name; /* owned */
	struct checkpoint_id id;
	bool is_done, is_read;
};

/* A finding that was said, and not noted yet. */
struct watch_said {
	char id[DIGEST_HEX_BYTES];
	uint8_t digest[DIGEST_BYTES];
};

struct watch_batch {
	const struct watch_options *options; /* these three are borrowed */
	const struct watch_output *output;
	struct watch_summary *summary;
	struct checkpoint *checkpoint; /* from here on owned */
	struct watch_file *files;
	size_t count, capacity;
	uint64_t bytes;
	bool is_far; /* its files have to be fetched: set by who gathers them */
	struct watch_said *said;
	size_t said_count, said_capacity;
	struct watch_lost lost;
	struct buffer complaints; /* about the file at hand, a line each */
	bool has_news;            /* a file was read: set here, cleared by who looks */
	bool is_together;         /* files that were read before are being read once more */
	uint64_t runs;
};

/* Opens the checkpoint. ERROR_USAGE when another watcher has it. */
MUST_USE int watch_batch_open(struct watch_batch *batch, const struct watch_options *options,
                              const struct watch_output *output, struct watch_summary *summary, struct error *err);
void watch_batch_close(struct watch_batch *batch);

/* Is the file to be read now? Then it joins. `is_urgent`: nobody will name it again if it does not. */
MUST_USE int watch_batch_consider(struct watch_batch *batch, const struct source_file *file, bool is_urgent,
                                  struct error *err);
/* Is it time to read what has gathered? */
bool watch_batch_is_full(const struct watch_batch *batch);
/* Reads what has gathered; what could not be read is kept in mind as lost. -1: the watcher cannot go on. The files stay
 * until watch_batch_clear, so that one can ask what became of them. */
MUST_USE int watch_batch_run(struct watch_batch *batch, struct error *err);
/* Were the files from `first` up to `end` all read? */
bool watch_batch_has_read(const struct watch_batch *batch, size_t first, size_t end);
void watch_batch_clear(struct watch_batch *batch);

/* Reads the files of the last day (the filter's slack) once more, as one, if they were not read as one. */
MUST_USE int watch_batch_together(struct watch_batch *batch, struct error *err);

static inline bool watch_is_stopped(const struct watch_options *options)
{
	return options->stop != NULL && *options->stop != 0;
}
