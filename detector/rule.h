/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/event.h"
#include "detector/lineage.h"
#include "detector/origin.h"
#include "detector/tracked.h"
#include "store/findings.h"

/* What speaks for a key of an instance that no ledger handed out, though one should have. */
struct bypass {
	int64_t issued_us;
	const char *issue_event; /* EC2's record of it; NULL: only the session's creationDate says when */
	bool is_version_1;       /* ec2RoleDelivery 1.0 */
	bool is_covered;         /* a ledger saw all that was asked there from the issue to the use */
};

/* One use of a key or session that is ours to judge. */
struct use {
	const struct event *event;
	const struct origin *origin;
	const struct tracked_key *key; /* NULL: the ledgers do not know the key, only the instance (or nothing) */
	const struct derived *derived; /* or what it descends from; NULL: not derived */
	const struct lineage *lineage; /* that `derived` belongs to */
	const struct bypass *bypass;   /* NULL: nothing says that the key was issued for the instance */
	const char *home_account;      /* "" unknown */
	bool is_session_tracked;       /* the ledgers know the instance */
};

struct ruling {
	enum severity severity;
	int rung, confidence;
	char evidence[ORIGIN_EVIDENCE_BYTES]; /* a line of the rule's own, or "" */
};

#define RULE_TECHNIQUES 4

/* A rule looks at one use and says whether it is worth a responder's time. It reads nothing else: no clock, no file, no
 * store. */
struct rule {
	const char *type;                        /* stable: stored with each finding, documented in docs/findings.md */
	const char *summary;                     /* one line */
	const char *techniques[RULE_TECHNIQUES]; /* MITRE ATT&CK ids; NULL behind the last */
	bool (*matches)(const struct use *use, struct ruling *ret);
};

extern const struct rule rule_inside_aws, rule_outside_aws, rule_other_instance, rule_never_relayed, rule_after_expiry;

#define RULE_COUNT 5
extern const struct rule *const rules[RULE_COUNT];
