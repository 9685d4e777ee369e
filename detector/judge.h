/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/covered.h"
#include "detector/event.h"
#include "detector/glance.h"
#include "detector/held.h"
#include "detector/learned.h"
#include "detector/seen.h"
#include "detector/setup.h"
#include "detector/spool.h"

/* One event: is it ours, where did it come from, what do the rules say. */
/* What became of the event that was judged last. */
struct judged {
	bool is_nothing; /* no rule matched, and that would be so of any event of the same caller from the same place:
	                  */
	bool is_of_call; /* ... but for what another record of the same call told, which is so of that call alone */
	int64_t from_us, until_us; /* ... at a time from the first to before the second */
	int verdict;               /* enum verdict: what it counted as */
};

struct judge {
	const struct setup *setup;
	const struct learned *learned;
	struct covered *covered; /* shared by all judges */
	struct detect_summary *summary;
	struct judged last;
	struct seen stored; /* events that findings are made of already */
	bool has_stored;
	struct seen seen;
	struct seen calls; /* shared ids of uses whose records name the key; request ids, where endpoints' owners log */
	struct seen places;   /* addresses and endpoints that were looked at, and keys that no ledger knows */
	struct spool partial; /* records that may be another view of such a use: judged at the end */
	struct spool partial_replayed;
	struct held held;  /* what later runs may judge otherwise */
	bool is_replaying; /* what is judged now is of earlier runs: only what has become of it counts */
	bool is_held;      /* ... and is kept already */
	bool has_shared;   /* a call that another record may tell of too was noted */
};

/* Fills in what is the judge's own; the pointers are the caller's to set. */
void judge_init(struct judge *judge);

/* Is a key or session of this event ours to judge? */
bool judge_is_ours(const struct judge *judge, const struct event *event);

/* Judges one event by itself, whatever other record there may be of its call. */
MUST_USE int judge_use(struct judge *judge, const struct event *event, struct error *err);

/* For an event that is ours and has a time: counts it and hands its findings to the store. `bytes` is its record. */
MUST_USE int judge_event(struct judge *judge, const struct event *event, const char *bytes, size_t length,
                         struct error *err);

/* Learns which events are stored, before the first is judged. */
MUST_USE int judge_open(struct judge *judge, struct error *err);

/* Records that were passed over and are yet to be counted: what memory that takes is fetched meanwhile. */
#define PASSED_MAX 32
struct passed {
	uint64_t ids[PASSED_MAX]; /* digests */
	int verdicts[PASSED_MAX];
	size_t count;
};

/* A record taken in at a glance, whose caller and place are known to be nothing: it is counted in `to`, now or when
 * judge_settle is called, which must be before the thread judges another event. False: there is another reason to parse
 * it. Any number of threads may call these, each with a `passed` of its own, also while one judges events. */
bool judge_pass(struct judge *judge, const struct glance *glance, int verdict, struct passed *passed,
                struct detect_summary *to);
void judge_settle(struct judge *judge, struct passed *passed, struct detect_summary *to);

/* After the last event of the input: what earlier runs have left, by what is known now. */
bool judge_may_replay(const struct judge *judge, const bool news[static LEARNED_KINDS]); /* could it differ? */
MUST_USE int judge_replay(struct judge *judge, struct error *err);

/* After that: those that had to wait. */
MUST_USE int judge_finish(struct judge *judge, struct error *err);

/* May what has been learned since change what was judged? */
bool judge_is_touched(const struct judge *judge, const bool news[static LEARNED_KINDS]);

/* Forgets all that was judged, to begin anew. */
MUST_USE int judge_restart(struct judge *judge, struct error *err);
void judge_done(struct judge *judge);
