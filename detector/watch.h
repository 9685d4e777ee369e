/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>

#include "detector/detect.h"

/* The detector, for ever: what is new in folders, buckets and queues is read as it comes, and findings are said as they
 * appear or grow. A file is noted as read only when its findings are stored and said: a watcher that is killed at any
 * moment reads it again, which changes nothing, and says nothing that it has noted as said. */

struct watch_options {
	struct detect_options detect; /* sources: folders, files, s3://, queues; findings: a file, never NULL or "" */
	const char *checkpoint;       /* a file, made if it does not exist */
	int64_t interval_ms;          /* between two looks */
	bool once;                    /* until there is nothing new, then end */
	const volatile sig_atomic_t *stop;
};

struct watch_output {
	struct detect_output detect; /* finding: one that is new, or has changed */
	/* What was handed over so far must reach whoever reads it before it is noted as said. */
	int (*flush)(void *context, struct error *err);
};

struct watch_summary {
	uint64_t files;       /* read, and noted */
	uint64_t files_lost;  /* not read, and tried again later */
	uint64_t malformed;   /* records that could not be understood, in files that were read */
	uint64_t findings[3]; /* said, by enum severity */
};

/* Ends when it is told to stop, or with `once` when there is nothing new; -1 when it cannot go on. */
MUST_USE int watch_run(const struct watch_options *options, const struct watch_output *output,
                       struct watch_summary *ret, struct error *err);
