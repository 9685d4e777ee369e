/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "store/ledger.h"

/* Findings and the uses they are made of: findings.db beside the ledger, never the live ledger itself. Storing the same
 * use twice changes nothing, so input may be repeated, split and in any order. A handle belongs to one thread. */
struct findings;

enum severity { SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_COUNT };
extern const char *const severity_names[SEVERITY_COUNT]; /* LOW, MEDIUM, HIGH */

/* `path` NULL: in memory. Makes the file (0640) if it may and it does not exist, unless read_only. */
MUST_USE int findings_open(const char *path, bool read_only, struct findings **ret, struct error *err);
void findings_close(struct findings *findings);

struct findings_filter {
	int64_t since_us, until_us; /* of last_seen */
	const char *access_key_id, *role, *type, *severity, *id, *instance_id, *remote_account;
	const char *state; /* a name of store/review.h */
	bool of_this_run;  /* only findings with a use of the input that findings_judge was given before the last
	                      findings_commit, or with one that has come by it */
};

/* Each finding as the JSON object of docs/findings.md, with what people say of it (store/review.h); HIGH first, then by
 * first_seen, then id. */
MUST_USE int findings_list(struct findings *findings, const struct findings_filter *filter, ledger_visit *visit,
                           void *context, struct error *err);

/* ---- writing: one run of the detector. Nothing is visible to others before findings_commit. */

/* One use of a key, as one rule sees it. Texts are "" where unknown. */
struct findings_use {
	/* The finding it belongs to: the same three make the same finding. */
	const char *type;
	const char *subject; /* the access key id, else the session's principal */
	const char *party;   /* remote account, else endpoint, else address */

	enum severity severity;
	int rung;
	int confidence; /* 0 to 100 */
	const char *service, *name, *error_code, *region, *user_agent, *address;
	/* What is the same in many uses: access_key_id, principal_id, owner, remote, evidence, lineage of a finding.
	 */
	const json_t *facts;
};

/* One event as it was judged: its uses, or none when there is nothing to it. Of several records with one event id the
 * one with the greatest version counts, also when it came in an earlier run. Of one and the same record the judgement
 * of now counts: what a better inventory explains is no finding any more. */
struct findings_event {
	const char *id;
	int64_t at_us;
	bool is_addendum; /* counts above any that is none, and is remembered even without a use */
	uint64_t version; /* a digest of what the record says */
	const struct findings_use *uses;
	size_t use_count;
	bool is_replayed; /* not in this run's input: it shows only if something has come of it that was not there */
};
MUST_USE int findings_judge(struct findings *findings, const struct findings_event *event, struct error *err);

/* The ids of all events that are stored. What is nothing now may have been something: only to an event that is not
 * among these does a judgement without uses make no difference. */
typedef int findings_visit_id(void *context, const char *id, struct error *err);
MUST_USE int findings_events(struct findings *findings, findings_visit_id *visit, void *context, struct error *err);

/* Forgets what findings_judge was given in this run, and lessons of uses (HELD in findings_sql.h). */
MUST_USE int findings_restart(struct findings *findings, struct error *err);

/* What the detector learned and wants to know in later runs: rows of a kind, each once; stored with findings_commit.
 * The order in which they come back is not that in which they were put. */
MUST_USE int findings_lesson_put(struct findings *findings, const char *kind, const json_t *body, int64_t at_us,
                                 struct error *err);
MUST_USE int findings_lessons(struct findings *findings, const char *kind, ledger_visit *visit, void *context,
                              struct error *err);

/* The same of other runs alone: what this one has put itself is left out. */
MUST_USE int findings_lessons_of_others(struct findings *findings, const char *kind, ledger_visit *visit, void *context,
                                        struct error *err);

/* Of what this run has put, only the `most` newest stay. */
MUST_USE int findings_lessons_trim(struct findings *findings, const char *kind, int most, struct error *err);

/* Completes a finding whose uses have changed (it may add members: suspects). */
typedef int findings_complete(void *context, json_t *finding, struct error *err);

/* Makes the run's uses part of what is stored and all findings that they touch anew, in one short transaction. */
MUST_USE int findings_commit(struct findings *findings, findings_complete *complete, void *context, struct error *err);

/* SHA-256 over type, subject and party, in hexadecimal. */
MUST_USE int findings_id(const struct findings_use *use, char ret[static DIGEST_HEX_BYTES], struct error *err);
