/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "detector/lineage.h"
#include "detector/sieve.h"
#include "detector/tracked.h"

/* What makes a record worth parsing. May err only towards parsing. Read-only, safe from any thread. */
struct triage {
	const struct tracked *tracked;
	const struct lineage *lineage; /* may be NULL */
	bool learns;                   /* records that teach count, too (lesson.h) */
	bool every_session;            /* without a ledger: any instance session */
	bool everything;               /* parse all: for keys of an odd form, and to hold triage against */
	struct sieve sieve;            /* lets through whatever triage_hint may say yes to */
};

/* Completes the sieve, in which the keys are (tracked_seal), with what is known besides. */
MUST_USE int triage_open(struct triage *triage, struct error *err);
void triage_close(struct triage *triage);

/* Adds to the sieve what the lineage has come to know since. */
void triage_follow(struct triage *triage);

/* Does the text at `at`, which the scan took for a key id, a session, the name of a call or a category, name a key or
 * session to judge, or a call to learn from? For use as the hint function of records.h. */
bool triage_hint(const void *triage, const char *at, const char *end);

/* The length of an instance id (`i-` and 8 or 17 lower-case hexadecimal digits, nothing of a word behind it) at the
 * start of a text, or 0. */
size_t triage_instance_id(const char *at, const char *end);
