/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/activity.h"
#include "detector/event.h"
#include "detector/inventory.h"
#include "detector/owners.h"
#include "detector/ranges.h"
#include "detector/tracked.h"

/* Where a call came from, and how well that is known: the rungs of docs/findings.md. Pure. */

enum verdict {
	VERDICT_HOME,      /* from where the key belongs */
	VERDICT_AWS,       /* AWS acting for us */
	VERDICT_INSIDE,    /* another place within AWS */
	VERDICT_OUTSIDE,   /* outside AWS */
	VERDICT_ELSEWHERE, /* the home account or nobody else's, but not where the instance is */
	VERDICT_UNKNOWN,   /* it cannot be told */
};

enum relation { RELATION_UNKNOWN, RELATION_AFFILIATED, RELATION_UNAFFILIATED, RELATION_COUNT };
extern const char *const relation_names[RELATION_COUNT];

#define ORIGIN_EVIDENCE_MAX 4
#define ORIGIN_EVIDENCE_BYTES 400

struct origin {
	enum verdict verdict;
	int rung;       /* 0 to 7; -1 for VERDICT_AWS */
	int confidence; /* 0 to 100 */
	enum relation relation;
	char account_id[ACCOUNT_BYTES]; /* of the caller's place; "" unknown */
	char endpoint_id[EVENT_TEXT_BYTES];
	char address[EVENT_TEXT_BYTES]; /* as text; also what could not be read as an address */
	char network[96];               /* "AWS EC2 eu-west-1" and the like; "" unknown */
	char evidence[ORIGIN_EVIDENCE_MAX][ORIGIN_EVIDENCE_BYTES];
	size_t evidence_count;
	bool is_of_call; /* told by another record of the same call: of no other one like it */
};

/* What is known of the key's home. */
struct origin_home {
	const char *account_id;             /* "" unknown */
	const char *instance_id;            /* "" unknown */
	const struct placement *placements; /* those that were true at the time of the call */
	size_t placement_count;
};

struct origin_world {
	const struct inventory *inventory;
	const struct ranges *ranges;
	const struct tracked *tracked;   /* other machines of the ledgers; NULL: none */
	const struct owners *owners;     /* NULL: nothing was learned */
	const struct activity *activity; /* the same */
};

void origin_judge(const struct event *event, const struct origin_home *home, const struct origin_world *world,
                  struct origin *ret);

/* Does it rest on what the logs themselves say of that moment? */
bool origin_is_learned(const struct origin *origin);
