/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/access.h"
#include "cli/place.h"
#include "detector/detect.h"
#include "detector/lookup.h"

/* What the detector reads, as the command line has it. Stays where it was made: options point into it. */
struct inputs {
	struct place place;
	const char *ledger; /* the system's, where none was named */
	struct aws *aws;
	struct detect_options options;
	/* What LookupEvents answered, as one more source. */
	const char **sources;
	char lookup_path[32];
	int lookup_fd; /* -1: not asked */
	struct lookup_counts lookup;
};

MUST_USE int inputs_open(const struct arguments *arguments, const volatile sig_atomic_t *stop, struct inputs *ret,
                         struct error *err);
void inputs_close(struct inputs *inputs);
#define CLEANUP_INPUTS CLEANUP(inputs_close)
