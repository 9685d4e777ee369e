/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/source.h"

/* What source.c and the kinds of sources share; nobody else includes it. */

struct log_source {
	const struct source_backend *backend;
	char *name; /* owned */
	struct source_options options;
};

/* One kind of source. */
struct source_backend {
	bool (*is_mine)(const char *name);
	int (*each)(struct log_source *source, const struct source_reader *reader, struct error *err);
	/* `signature`, SOURCE_SIGNATURE_BYTES long, may be NULL. */
	int (*fetch)(const struct source_file *file, int *ret_fd, char *signature, struct error *err);
};
extern const struct source_backend source_stdin, source_bucket, source_folder;

/* Hands one file of a folder or bucket to the reader that it is for, if any. */
MUST_USE int source_take(const struct source_file *file, const struct source_reader *reader, struct error *err);
/* Should the walk go into this folder? What it leaves out is told to the reader. */
MUST_USE bool source_enters(const struct log_source *source, const char *folder, const struct source_reader *reader);
