/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* Where records come from: files, folders, standard input ("-"). In folders, in the order of names, only *.json and
 * *.jsonl and .gz of these are read, and nothing below CloudTrail-Digest and CloudTrail-Insight; symbolic links are
 * followed. */
struct source_reader {
	/* A file to be read; -1 ends the walk with that error. size 0: unknown. */
	int (*file)(void *context, const char *path, uint64_t size, struct error *err);
	void (*skipped)(void *context, const char *path);
	void (*unreadable)(void *context, const char *path, const char *why);
	void *context;
};

/* -1 with the reader's error, or with what is wrong with `name` itself. */
MUST_USE int source_each(const char *name, const struct source_reader *reader, struct error *err);
