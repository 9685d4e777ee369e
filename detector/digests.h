/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/source.h"

/* CloudTrail's digests: does what was read hold all that CloudTrail delivered, as it delivered it? Each hour of an
 * account and region has a digest, also when nothing happened. It names the log files with their SHA-256, is signed
 * with RSA by CloudTrail, and names the digest before it, so that none can be left out. Source: "Custom implementations
 * of CloudTrail log file integrity validation" in CloudTrail's user guide. */

struct digests_options {
	const char *const *sources;
	size_t source_count;
	struct source_options from;
	const char *public_keys; /* what `aws cloudtrail list-public-keys` printed, or an array of such; NULL: AWS is
	                            asked */
	void (*complain)(void *context,
	                 const char *line); /* what is not as it should be, a line each, not all of it if it is much */
	void *context;
};

struct digests_summary {
	uint64_t digests;     /* whose signature holds */
	uint64_t digests_bad; /* do not, or are no digests, or do not fit to the next one */
	uint64_t unsigned_;   /* whose signature is not known: copied without it, and no later digest repeats it */
	uint64_t gaps;        /* times of which there is no digest */
	uint64_t logs;        /* as they were delivered */
	uint64_t logs_changed;
	uint64_t logs_missing;     /* named by a digest, and not there */
	uint64_t logs_unlisted;    /* there, and named by no digest */
	uint64_t logs_newer;       /* there, and newer than the last digest: not proven yet */
	int64_t from_us, until_us; /* first and last moment that a digest speaks of; 0: none does */
	bool is_complete;          /* nothing above speaks against it */
};

/* -1 when nothing could be looked at: no source, no keys. */
MUST_USE int digests_verify(const struct digests_options *options, struct digests_summary *ret, struct error *err);
