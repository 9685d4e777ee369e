/* SPDX-License-Identifier: Apache-2.0 */

/* From an event to findings: key and home by the ledger, origin, rules. A use is matched by its key, never by the time
 * at which the key was handed out. */
#include "detector/judge.h"

#include <string.h>

#include "detector/finding.h"
#include "detector/map.h"

static const char *first_of(const char *first, const char *second)
{
	return first != NULL && first[0] != '\0' ? first : second;
}

/* By what a call was made, as far as anybody knows. */
struct subject {
	const struct tracked_key *key;           /* handed out, as a ledger says */
	const struct derived *derived;           /* or descended from such a key or session */
	const struct tracked_instance *instance; /* or at least of an instance that a ledger knows */
	bool is_session;                         /* without a ledger: of any instance */
};

static struct subject subject_of(const struct judge *judge, const struct event *event)
{
	const struct setup *setup = judge->setup;
	const char *id = event->access_key_id, *instance = event->session_instance;
	char room[USER_BYTES];
	struct subject subject = {0};
	if (id[0] != '\0')
		subject.key = tracked_key(&setup->tracked, id, strlen(id));
	if (subject.key == NULL && judge->learned->lineage.count > 0) {
		const struct caller caller = caller_of(event, room);
		subject.derived = lineage_find(&judge->learned->lineage, &caller);
	}
	if (instance[0] != '\0')
		subject.instance = tracked_instance(&setup->tracked, instance, strlen(instance));
	subject.is_session = setup->without_ledger && instance[0] != '\0';
	return subject;
}

bool judge_is_ours(const struct judge *judge, const struct event *event)
{
	const struct subject subject = subject_of(judge, event);
	return subject.key != NULL || subject.derived != NULL || subject.instance != NULL || subject.is_session;
}

static void count(struct judge *judge, const struct event *event, const struct origin *origin)
{
	static const size_t counters[] = {
		[VERDICT_HOME] = offsetof(struct detect_summary, uses_at_home),
		[VERDICT_AWS] = offsetof(struct detect_summary, uses_by_aws),
		[VERDICT_UNKNOWN] = offsetof(struct detect_summary, uses_unknown),
		[VERDICT_INSIDE] = 0,
		[VERDICT_OUTSIDE] = 0,
		[VERDICT_ELSEWHERE] = 0,
	};
	if (!seen_first(&judge->seen, map_hash(event->id, strlen(event->id))))
		return;
	judge->summary->uses++;
	size_t offset = counters[origin->verdict];
	if (offset > 0)
		++*(uint64_t *)(void *)((char *)judge->summary + offset);
}

/* What the rules say about one use, to the store. */
MUST_USE static int apply_rules(struct judge *judge, const struct use *use, struct error *err)
{
	struct finding found[RULE_COUNT];
	struct findings_use uses[RULE_COUNT];
	size_t matched = 0;
	int result = 0;
	for (size_t i = 0; i < RULE_COUNT && result == 0; i++) {
		struct ruling ruling;
		if (!rules[i]->matches(use, &ruling))
			continue;
		result = finding_make(rules[i], use, &ruling, &found[matched], err);
		if (result == 0) {
			uses[matched] = found[matched].use;
			matched++;
		}
	}
	const char *replaces = use->event->replaces;
	struct findings_event event = {
		.id = first_of(replaces, use->event->id),
		.at_us = use->event->at_us,
		.is_addendum = use->event->is_addendum,
		.version = finding_version(use->event),
		.uses = uses,
		.use_count = matched,
	};
	if (result == 0)
		result = findings_judge(judge->setup->findings, &event, err);
	for (size_t i = 0; i < matched; i++)
		finding_done(&found[i]);
	return result;
}

/* Whose the credentials are: those of the key, or of what it descends from. */
static struct origin_home home_of(const struct judge *judge, const struct event *event, const struct subject *subject)
{
	const struct derived *derived = subject->derived;
	const char *account = "", *instance_id = "";
	if (subject->key != NULL) {
		account = subject->key->home_account;
		instance_id = subject->key->instance_id;
	} else if (derived != NULL) {
		account = derived->root_account;
		instance_id = derived->root_instance;
	}
	if (account[0] == '\0' && derived == NULL && subject->instance != NULL)
		account = subject->instance->home_account;
	if (derived == NULL)
		account = first_of(account, first_of(event->scope_account, event->account_id));
	struct origin_home home = {.account_id = account};
	instance_id = first_of(instance_id, event->session_instance);
	home.placements = tracked_placements(&judge->setup->tracked, instance_id, event->at_us, &home.placement_count);
	return home;
}

MUST_USE static int judge_now(struct judge *judge, const struct event *event, struct error *err)
{
	const struct subject subject = subject_of(judge, event);
	const struct origin_home home = home_of(judge, event, &subject);
	const struct origin_world world = {judge->setup->inventory, judge->setup->ranges};
	struct origin origin;
	origin_judge(event, &home, &world, &origin);
	count(judge, event, &origin);

	const struct use use = {
		.event = event,
		.origin = &origin,
		.key = subject.key,
		.derived = subject.derived,
		.lineage = &judge->learned->lineage,
		.home_account = home.account_id,
		.is_session_tracked = subject.instance != NULL,
	};
	return apply_rules(judge, &use, err);
}

static uint64_t hash_of(const char *text)
{
	return map_hash(text, strlen(text));
}

/* A call across accounts is recorded in both, and only one of the records names the key: the other is the same use once
 * more, unless the first is missing. */
int judge_event(struct judge *judge, const struct event *event, const char *bytes, size_t length, struct error *err)
{
	bool is_shared = event->shared_id[0] != '\0';
	if (is_shared && event->access_key_id[0] == '\0')
		return spool_put(&judge->partial, bytes, length, err);
	if (is_shared)
		(void)seen_first(&judge->shared, hash_of(event->shared_id));
	return judge_now(judge, event, err);
}

int judge_finish(struct judge *judge, struct error *err)
{
	struct error problem = {0};
	const char *bytes;
	size_t length;
	struct event event;
	if (spool_rewind(&judge->partial, err) < 0)
		return -1;
	while ((bytes = spool_next(&judge->partial, &length, &problem)) != NULL)
		if (event_read(bytes, length, &event) && !seen_holds(&judge->shared, hash_of(event.shared_id)) &&
		    judge_now(judge, &event, err) < 0)
			return -1;
	return problem.code != ERROR_NONE ? error_set(err, problem.code, "%s", problem.text) : 0;
}

void judge_done(struct judge *judge)
{
	seen_done(&judge->seen);
	seen_done(&judge->shared);
	spool_done(&judge->partial);
}

int judge_restart(struct judge *judge, struct error *err)
{
	struct detect_summary *summary = judge->summary;
	judge_done(judge);
	summary->uses = summary->uses_at_home = summary->uses_by_aws = summary->uses_unknown = 0;
	return findings_restart(judge->setup->findings, err);
}
