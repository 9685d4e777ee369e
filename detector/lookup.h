/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/aws.h"
#include "detector/source_layout.h"
#include "detector/tracked.h"

/* CloudTrail's LookupEvents, for where there is no trail: management events alone, of the last 90 days, found by one
 * key or one session at a time, two requests a second in each region. What the answers say was made of those keys is
 * asked for in turn, as far as LOOKUP_DERIVED_MAX reaches. */

/* Questions about derived keys, users and sessions; one is asked in each region. At two a second, 500 s in one region:
 * a role that is assumed each minute has more keys in a day than anybody would wait for. */
#define LOOKUP_DERIVED_MAX 1000

struct lookup_options {
	struct aws *aws;
	const struct source_filter *filter; /* times, and regions; none: those of the ledger's keys, and us-east-1 */
	void (*complain)(void *context, const char *line);
	/* Now and then; may be NULL. `known`: questions so far, asked or not; answers may add to them. */
	void (*progress)(void *context, uint64_t asked, uint64_t known);
	void *context;
};

struct lookup_counts {
	uint64_t keys, sessions; /* of the ledger, asked for in each region */
	uint64_t derived;        /* keys, users and sessions that were made of those, asked for in the same way */
	uint64_t derived_left;   /* ... that were not asked for, since there are too many */
	uint64_t regions;
	uint64_t too_old; /* keys that ended before what LookupEvents remembers */
	uint64_t failed;  /* questions without a whole answer: a line says which */
};

/* Asks for every key and session of `tracked` and what descends from them, and writes the records as JSON Lines into a
 * file without a name. -1 when nothing at all could be asked. */
MUST_USE int lookup_spool(const struct lookup_options *options, const struct tracked *tracked, int *ret_fd,
                          struct lookup_counts *ret, struct error *err);
