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

static const struct tracked_key *key_of(const struct judge *judge, const struct event *event)
{
	const char *id = event->access_key_id;
	return id[0] != '\0' ? tracked_key(&judge->setup->tracked, id, strlen(id)) : NULL;
}

static const struct tracked_instance *instance_of(const struct judge *judge, const struct event *event)
{
	const char *id = event->session_instance;
	return id[0] != '\0' ? tracked_instance(&judge->setup->tracked, id, strlen(id)) : NULL;
}

bool judge_is_ours(const struct judge *judge, const struct event *event)
{
	if (judge->setup->without_ledger)
		return event->session_instance[0] != '\0';
	return key_of(judge, event) != NULL || instance_of(judge, event) != NULL;
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

int judge_event(struct judge *judge, const struct event *event, struct error *err)
{
	const struct tracked_key *key = key_of(judge, event);
	const struct tracked_instance *instance = instance_of(judge, event);
	const char *known_home = key != NULL ? key->home_account : NULL;
	if (known_home == NULL || known_home[0] == '\0')
		known_home = instance != NULL ? instance->home_account : NULL;

	struct origin_home home = {.account_id =
	                                   first_of(known_home, first_of(event->scope_account, event->account_id))};
	const char *instance_id = first_of(key != NULL ? key->instance_id : NULL, event->session_instance);
	home.placements = tracked_placements(&judge->setup->tracked, instance_id, event->at_us, &home.placement_count);

	struct origin origin;
	const struct origin_world world = {judge->setup->inventory, judge->setup->ranges};
	origin_judge(event, &home, &world, &origin);
	count(judge, event, &origin);

	const struct use use = {event, &origin, key, home.account_id, instance != NULL};
	return apply_rules(judge, &use, err);
}
