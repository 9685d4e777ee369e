/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "detector/source.h"

/* One run of the detector: CloudTrail in, findings out. One call at a time a process. */

struct detect_options {
	const char *const *sources; /* files, folders, "-" for standard input, s3://BUCKET/PREFIX */
	size_t source_count;
	struct source_options from; /* which of their files, by name */
	const char *const *ledgers; /* paths of ledgers; none and !without_ledger: the system's */
	size_t ledger_count;
	bool without_ledger;   /* `--ledger none`: judge every instance session, marked as weaker */
	const char *inventory; /* NULL: the system's, which need not exist */
	const char *ip_ranges; /* NULL: the copy that is built in */
	const char *findings;  /* findings.db; NULL: beside the first ledger; "" : nowhere, in memory only */
	/* Read files of earlier runs once more, where a key that was used in them has turned out to be made of ours. */
	bool reads_back;
	size_t workers;   /* that read files side by side; 0: as many as there are processors */
	bool is_thorough; /* parse every record that names a key or session of ours: for holding the rest against it */
	/* Called now and then from the calling thread, may be NULL: for a progress bar. total_bytes 0: unknown. */
	void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_context;
	/* What became of each file, once; may be NULL. */
	void (*file_done)(void *context, const char *name, bool is_read);
	void *file_done_context;
};

/* True counts over one run. */
struct detect_summary {
	uint64_t files;            /* read to their end */
	uint64_t files_unreadable; /* named on `complain`, the others were still read */
	uint64_t files_skipped;    /* digest and insight folders, other endings */
	uint64_t files_outside;    /* files and whole folders that the filter by name left out */
	uint64_t bytes;            /* unpacked */
	uint64_t records;
	uint64_t records_malformed; /* not an object, or no key and time to judge by */
	uint64_t uses;              /* distinct uses of keys or sessions that we know */
	uint64_t uses_at_home;
	uint64_t uses_by_aws;         /* service names, AWS Internal, AWS-owned endpoints: counted, no finding */
	uint64_t uses_unknown;        /* origin could not be told */
	uint64_t findings[3];         /* by enum severity: all that stand after this run, of uses in this run's input */
	uint64_t findings_suppressed; /* as the inventory wants; not among those */
	bool findings_stored;         /* false: only printed, see `notice` */
	char notice[256];             /* one line for the user, "" if there is nothing to say */
	char ranges_date[32];         /* createDate of the address ranges used */
};

/* A finding as the JSON object of docs/findings.md, borrowed; ordered by severity, then first_seen, then id.
 * A line about unreadable input names file (and line or record) and what was expected. */
struct detect_output {
	int (*finding)(void *context, const json_t *finding, struct error *err);
	void (*complain)(void *context, const char *line);
	void *context;
};

/* Returns -1 only when nothing could be judged at all (no ledger, bad inventory, no source readable as a path, ...). */
MUST_USE int detect_run(const struct detect_options *options, const struct detect_output *output,
                        struct detect_summary *ret, struct error *err);
