/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "detector/source_layout.h"

/* Where records come from: files, folders, standard input ("-"), and s3://BUCKET/PREFIX. A source walks over its files,
 * and lends each as an open descriptor when it is asked to. */
struct log_source;
struct aws;

struct source_options {
	struct source_filter filter; /* by what names say; borrowed */
	struct aws *aws;             /* for s3://; borrowed; NULL: there is no access to AWS */
};

/* A file of a source. Valid during the call that hands it over; whoever keeps it copies the texts. */
struct source_file {
	struct log_source *source; /* which can open it */
	const char *name;          /* what people are shown, and source_open takes: a path, s3://BUCKET/KEY, or "-" */
	const char *version;       /* changes when the content does; "" : not known */
	uint64_t size;             /* as it lies; 0: not known */
};

/* In folders and buckets, in the order of names, only *.json and *.jsonl and .gz of these are read, and nothing below
 * CloudTrail-Digest, CloudTrail-Insight and the folders of other services beside them; symbolic links are followed. A
 * file that was named itself is always read. */
struct source_reader {
	/* A file to be read; -1 ends the walk with that error. */
	int (*file)(void *context, const struct source_file *file, struct error *err);
	/* A digest; NULL: they count as skipped. */
	int (*digest)(void *context, const struct source_file *file, struct error *err);
	void (*skipped)(void *context, const char *name);
	void (*outside)(void *context,
	                const char *name); /* not wanted by the filter; a folder counts as one; NULL: nobody cares */
	void (*unreadable)(void *context, const char *name, const char *why);
	void *context;
};

/* Looks at nothing yet. */
MUST_USE int source_open(const char *name, const struct source_options *options, struct log_source **ret,
                         struct error *err);
void source_close(struct log_source *source);

/* May be called again. -1 with the reader's error, or with what is wrong with the source itself. */
MUST_USE int source_each(struct log_source *source, const struct source_reader *reader, struct error *err);

/* Opens a file for reading, fetching it first if it is far away; the caller closes the descriptor. Any thread may call
 * it, also after the walk, with a copy of what the walk gave. */
MUST_USE int source_fetch(const struct source_file *file, int *ret_fd, struct error *err);

/* The same for a digest. `signature`: in hexadecimal, as S3 keeps it beside the object (x-amz-meta-signature), or as it
 * stands in FILE.sig beside a file; "" where there is none. */
#define SOURCE_SIGNATURE_BYTES 2049
MUST_USE int source_fetch_digest(const struct source_file *file, int *ret_fd,
                                 char signature[static SOURCE_SIGNATURE_BYTES], struct error *err);

static inline void cleanup_source(struct log_source **source)
{
	source_close(*source);
}
#define CLEANUP_SOURCE CLEANUP(cleanup_source)
