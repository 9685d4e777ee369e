/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/map.h"
#include "detector/source.h"

/* The files of all sources by their names: logs, and digests in the order of their chains. One thread. */

struct digests_file {
	struct log_source *source;
	char *name;     /* owned */
	bool is_listed; /* set by who reads digests: one names it */
};

struct digests_list {
	struct digests_file *list;
	size_t count, capacity;
};

struct digests_files {
	struct log_source **sources;
	size_t source_count;
	struct digests_list logs, digests;
	struct map by_name; /* base name of a log -> its index */
};

struct digests_places {
	const char *const *names; /* as source_open takes them; ERROR_USAGE for "-", which has no digests */
	size_t count;
	const struct source_options *from;
	void (*unreadable)(void *context, const char *name, const char *why);
	void *context;
};

/* Walks over the sources, which stay open. `files` is to be ended also after -1. */
MUST_USE int digests_files_open(struct digests_files *files, const struct digests_places *places, struct error *err);
void digests_files_close(struct digests_files *files);

/* The log of this base name, NULL if there is none. Of two with one name the first, since only that can be what a
 * digest speaks of. */
struct digests_file *digests_files_log(const struct digests_files *files, const char *base);
