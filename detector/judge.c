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

#define CALLS_MAX ((size_t)2 << 20)  /* 32 MiB; beyond, a use that two records tell of may count twice */
#define PLACES_MAX ((size_t)1 << 20) /* 16 MiB; beyond, a second pass may be made in vain */

void judge_init(struct judge *judge)
{
	judge->calls.max = CALLS_MAX;
	judge->places.max = PLACES_MAX;
}

/* By what a call was made, as far as anybody knows. */
struct subject {
	const struct tracked_key *key;           /* handed out, as a ledger says */
	const struct derived *derived;           /* or descended from such a key or session */
	const struct tracked_instance *instance; /* or at least of an instance that a ledger knows */
	bool is_session;                         /* without a ledger: of any instance */
	struct tracked_room room;                /* of the key */
};

static void find_subject(const struct judge *judge, const struct event *event, struct subject *ret)
{
	const struct setup *setup = judge->setup;
	const char *id = event->access_key_id, *instance = event->session_instance;
	char room[USER_BYTES];
	*ret = (struct subject){0};
	if (id[0] != '\0')
		ret->key = tracked_key(&setup->tracked, id, &ret->room);
	if (ret->key == NULL && judge->learned->lineage.count > 0) {
		const struct caller caller = caller_of(event, room);
		ret->derived = lineage_find(&judge->learned->lineage, &caller);
		/* Others may hold sessions of that role and name: whose call it was, only a key can tell. */
		if (ret->derived != NULL && ret->derived->kind == LINK_KEY && id[0] == '\0')
			ret->derived = NULL;
	}
	if (instance[0] != '\0')
		ret->instance = tracked_instance(&setup->tracked, instance, strlen(instance));
	ret->is_session = setup->without_ledger && instance[0] != '\0';
}

bool judge_is_ours(const struct judge *judge, const struct event *event)
{
	const struct setup *setup = judge->setup;
	const char *instance = event->session_instance;
	struct subject subject;
	/* The key itself may have to be asked of a ledger. */
	if (instance[0] != '\0' &&
	    (setup->without_ledger || tracked_instance(&setup->tracked, instance, strlen(instance)) != NULL))
		return true;
	find_subject(judge, event, &subject);
	return subject.key != NULL || subject.derived != NULL || subject.instance != NULL || subject.is_session;
}

static uint64_t hash_of(const char *text)
{
	return map_quick(text, strlen(text));
}

static void count(struct judge *judge, uint64_t id, int verdict, struct detect_summary *to)
{
	static const size_t counters[] = {
		[VERDICT_HOME] = offsetof(struct detect_summary, uses_at_home),
		[VERDICT_AWS] = offsetof(struct detect_summary, uses_by_aws),
		[VERDICT_UNKNOWN] = offsetof(struct detect_summary, uses_unknown),
		[VERDICT_INSIDE] = 0,
		[VERDICT_OUTSIDE] = 0,
		[VERDICT_ELSEWHERE] = 0,
	};
	if (!seen_first(&judge->seen, id))
		return;
	to->uses++;
	size_t offset = counters[verdict];
	if (offset > 0)
		++*(uint64_t *)(void *)((char *)to + offset);
}

static int note_stored(void *context, const char *id, struct error *err)
{
	struct judge *judge = context;
	(void)err;
	(void)seen_first(&judge->stored, hash_of(id));
	judge->has_stored = true;
	return 0;
}

int judge_open(struct judge *judge, struct error *err)
{
	return findings_events(judge->setup->findings, note_stored, judge, err);
}

void judge_settle(struct judge *judge, struct passed *passed, struct detect_summary *to)
{
	for (size_t i = 0; i < passed->count; i++)
		count(judge, passed->ids[i], passed->verdicts[i], to);
	passed->count = 0;
}

/* What was something in an earlier run and is nothing now must be taken back; and of a call that the owner of an
 * endpoint logged too it must be known that it was judged. */
bool judge_pass(struct judge *judge, const struct glance *glance, int verdict, struct passed *passed,
                struct detect_summary *to)
{
	const struct glance_text *request = &glance->fields[GLANCE_REQUEST];
	const struct activity *activity = &judge->learned->activity;
	if (judge->has_stored && (judge->stored.is_full || seen_holds(&judge->stored, glance->id_hash)))
		return false;
	if (activity->requests != NULL && request->text != NULL) {
		uint64_t digest = activity_digest(request->text, request->length);
		if (activity_has_request(activity, digest))
			return false;
		(void)seen_first(&judge->calls, ~digest);
	}
	if (passed->count == PASSED_MAX)
		judge_settle(judge, passed, to);
	passed->ids[passed->count] = glance->id_hash;
	passed->verdicts[passed->count++] = verdict;
	seen_expect(&judge->seen, glance->id_hash);
	return true;
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
		.is_replayed = judge->is_replaying,
	};
	judge->last.is_nothing = matched == 0 && !event.is_addendum;
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
	if (derived == NULL)
		instance_id = first_of(instance_id, event->session_instance);
	struct origin_home home = {.account_id = account, .instance_id = instance_id};
	home.placements = tracked_placements(&judge->setup->tracked, instance_id, event->at_us, &home.placement_count);
	return home;
}

static void note_places(struct judge *judge, const struct event *event, const struct origin *origin,
                        const struct subject *subject)
{
	if (origin->address[0] != '\0')
		(void)seen_first(&judge->places, hash_of(origin->address));
	if (origin->endpoint_id[0] != '\0')
		(void)seen_first(&judge->places, hash_of(origin->endpoint_id));
	if (subject->key == NULL && subject->derived == NULL)
		(void)seen_first(&judge->places, hash_of(event->access_key_id));
}

/* Is any of these texts among the places? A set that is full knows too little to say no. */
static bool is_any_noted(const struct judge *judge, const struct map *texts)
{
	for (size_t i = 0; i < texts->capacity; i++)
		if (texts->slots[i].text != NULL && seen_holds(&judge->places, hash_of(texts->slots[i].text)))
			return true;
	return judge->places.is_full && texts->count > 0;
}

bool judge_is_touched(const struct judge *judge, const bool news[static LEARNED_KINDS])
{
	const struct learned *learned = judge->learned;
	return news[LEARNED_LINEAGE] || news[LEARNED_ACTIVITY] ||
	       (news[LEARNED_OWNERS] && (is_any_noted(judge, &learned->owners.by_address) ||
	                                 is_any_noted(judge, &learned->owners.by_endpoint))) ||
	       (news[LEARNED_ISSUED] && is_any_noted(judge, &learned->issued.by_key));
}

/* A key of a known instance that no ledger handed out: issued when, and could it have been handed out unseen? */
MUST_USE static int find_bypass(const struct judge *judge, const struct event *event, const struct subject *subject,
                                const struct origin_home *home, struct bypass *ret, bool *ret_found, struct error *err)
{
	const struct issue *issue = issued_find(&judge->learned->issued, event->access_key_id);
	bool is_version_1 = strcmp(event->role_delivery, "1.0") == 0;
	if (subject->key != NULL || subject->derived != NULL || subject->instance == NULL || event->is_infrastructure ||
	    event->access_key_id[0] == '\0')
		return 0;
	if (issue != NULL && strcmp(issue->instance, event->session_instance) != 0)
		issue = NULL;
	*ret = (struct bypass){
		.issued_us = issue != NULL  ? issue->at_us
	                     : is_version_1 ? event->issued_us
	                                    : 0,
		.issue_event = issue != NULL ? issue->event_id : NULL,
		.is_version_1 = is_version_1,
	};
	if (ret->issued_us == 0 || event->at_us < ret->issued_us)
		return 0;
	int64_t offset_us = home->placement_count > 0 ? home->placements[0].clock_offset_us : 0;
	*ret_found = true;
	return covered_ask(judge->covered, event->session_instance, ret->issued_us - offset_us,
	                   event->at_us - offset_us, &ret->is_covered, err);
}

/* For how long does this verdict hold for the same caller at the same place? As long as its key is good and the places
 * of its instance stay the same. Not at all if it rests on what the logs say of an address at that moment, or if the
 * rules look at each call: at keys of a known instance that no ledger knows, and at callers known by their principal.
 */
static void limit_verdict(struct judge *judge, const struct event *event, const struct subject *subject,
                          const struct origin *origin, const struct origin_home *home)
{
	struct judged *last = &judge->last;
	bool is_lasting =
		(origin->verdict == VERDICT_AWS || origin->verdict == VERDICT_HOME) && !origin_is_learned(origin);
	bool is_key = subject->key != NULL || (subject->derived != NULL && subject->derived->kind == LINK_KEY);
	int64_t expires_us = subject->key != NULL       ? subject->key->expires_at_us
	                     : subject->derived != NULL ? subject->derived->expires_us
	                                                : 0;
	*last = (struct judged){.verdict = (int)origin->verdict, .is_of_call = origin->is_of_call};
	if (!is_lasting || (!is_key && (subject->instance != NULL || subject->derived != NULL)))
		return;
	tracked_placements_hold(&judge->setup->tracked, home->instance_id, event->at_us, &last->from_us,
	                        &last->until_us);
	if (expires_us != 0 && expires_us < last->until_us)
		last->until_us = expires_us;
}

int judge_use(struct judge *judge, const struct event *event, struct error *err)
{
	struct subject subject;
	find_subject(judge, event, &subject);
	const struct origin_home home = home_of(judge, event, &subject);
	const struct origin_world world = {
		.inventory = judge->setup->inventory,
		.ranges = judge->setup->ranges,
		.tracked = &judge->setup->tracked,
		.owners = &judge->learned->owners,
		.activity = &judge->learned->activity,
	};
	struct origin origin;
	struct bypass bypass;
	bool may_bypass = false;
	origin_judge(event, &home, &world, &origin);
	count(judge, hash_of(event->id), (int)origin.verdict, judge->summary);
	limit_verdict(judge, event, &subject, &origin, &home);
	note_places(judge, event, &origin, &subject);
	if (find_bypass(judge, event, &subject, &home, &bypass, &may_bypass, err) < 0)
		return -1;

	const struct use use = {
		.event = event,
		.origin = &origin,
		.key = subject.key,
		.derived = subject.derived,
		.lineage = &judge->learned->lineage,
		.bypass = may_bypass ? &bypass : NULL,
		.home_account = home.account_id,
		.is_session_tracked = subject.instance != NULL,
	};
	return apply_rules(judge, &use, err);
}

void judge_done(struct judge *judge)
{
	seen_done(&judge->stored);
	seen_done(&judge->seen);
	seen_done(&judge->calls);
	seen_done(&judge->places);
	spool_done(&judge->partial);
	spool_done(&judge->partial_replayed);
}

int judge_restart(struct judge *judge, struct error *err)
{
	struct detect_summary *summary = judge->summary;
	struct seen stored = judge->stored;
	judge->stored = (struct seen){0};
	judge_done(judge);
	judge->stored = stored;
	summary->uses = summary->uses_at_home = summary->uses_by_aws = summary->uses_unknown = 0;
	return findings_restart(judge->setup->findings, err);
}
