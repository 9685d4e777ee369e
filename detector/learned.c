/* SPDX-License-Identifier: Apache-2.0 */

/* Records that teach, to whoever remembers that kind of thing. */
#include "detector/learned.h"

#include <string.h>

#include "detector/lesson.h"

MUST_USE static int take_issue(struct learned *learned, const struct record_text *text, const struct event *event,
                               struct error *err)
{
	struct link_room room;
	const char *key, *instance;
	if (!link_read_issue(text, event, &room, &key, &instance) ||
	    tracked_instance(learned->lineage.tracked, instance, strlen(instance)) == NULL)
		return 0;
	const struct issue issue = {.instance = instance, .event_id = event->id, .at_us = event->at_us};
	return issued_add(&learned->issued, key, &issue, err);
}

/* What AWS's own services ask for descends from nobody. */
MUST_USE static int take_link(struct learned *learned, const struct record_text *text, const struct event *event,
                              struct error *err)
{
	struct link_room room;
	struct link link;
	if (strcmp(event->identity_type, "AWSService") == 0)
		return take_issue(learned, text, event, err);
	return link_read(text, event, &room, &link) ? lineage_add(&learned->lineage, &link, err) : 0;
}

static int take_claim(void *context, const struct claim *claim, struct error *err)
{
	struct learned *learned = context;
	return owners_add(&learned->owners, claim, err);
}

int learned_take(struct learned *learned, const char *bytes, size_t length, const struct event *event,
                 struct error *err)
{
	CLEANUP(record_text_done) struct record_text text = {0};
	enum lesson lesson = lesson_of(event->name, strlen(event->name));
	if (event->is_network)
		return activity_add(&learned->activity, event, err);
	if (lesson == LESSON_NONE || event->at_us == 0 || !record_text_find(bytes, length, &text))
		return 0;
	if (lesson == LESSON_CLAIM)
		return claims_read(&text, event, take_claim, learned, err);
	return lesson == LESSON_LINK ? take_link(learned, &text, event, err) : 0;
}

static uint64_t digest_of_owners(const struct owners *owners)
{
	uint64_t sum = owners->by_endpoint.count;
	for (size_t i = 0; i < owners->tenure_count; i++) {
		const struct tenure *tenure = &owners->tenures[i];
		sum += map_hash(tenure->address, strlen(tenure->address)) * 3 +
		       map_hash(tenure->account, strlen(tenure->account)) * 5 +
		       map_hash(tenure->holder, strlen(tenure->holder)) * 7 + (uint64_t)tenure->from_us * 11 +
		       (uint64_t)tenure->until_us * 13;
	}
	return sum;
}

/* Of two that claim one key another may count than did, so their number says too little. */
static uint64_t digest_of_issued(const struct issued *issued)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < issued->by_key.capacity; i++) {
		const struct map_entry *entry = &issued->by_key.slots[i];
		if (entry->text == NULL)
			continue;
		const struct issue *issue = &issued->issues[entry->value];
		uint64_t hash = map_hash(entry->text, strlen(entry->text)) * 3 + (uint64_t)issue->at_us;
		sum += hash * 31 + map_hash(issue->instance, strlen(issue->instance)) * 5 +
		       map_hash(issue->event_id, strlen(issue->event_id));
	}
	return sum;
}

int learned_close(struct learned *learned, bool ret_news[static LEARNED_KINDS], struct error *err)
{
	if (lineage_close(&learned->lineage, err) < 0 || owners_close(&learned->owners, err) < 0 ||
	    activity_close(&learned->activity, err) < 0)
		return -1;
	const uint64_t digests[LEARNED_KINDS] = {
		[LEARNED_LINEAGE] = lineage_digest(&learned->lineage),
		[LEARNED_OWNERS] = digest_of_owners(&learned->owners),
		[LEARNED_ACTIVITY] = learned->activity.count,
		[LEARNED_ISSUED] = digest_of_issued(&learned->issued),
	};
	for (size_t i = 0; i < LEARNED_KINDS; i++) {
		ret_news[i] = digests[i] != learned->digests[i];
		learned->digests[i] = digests[i];
	}
	return 0;
}

static uint64_t name_of(const struct derived *derived)
{
	return map_hash(derived->name, strlen(derived->name));
}

void learned_remember(struct learned *learned)
{
	for (size_t i = 0; i < learned->lineage.count; i++)
		(void)seen_first(&learned->remembered, name_of(&learned->lineage.derived[i]));
}

int64_t learned_news_since(const struct learned *learned)
{
	int64_t since_us = INT64_MAX;
	for (size_t i = 0; i < learned->lineage.count; i++) {
		const struct derived *derived = &learned->lineage.derived[i];
		if (derived->at_us < since_us && !seen_holds(&learned->remembered, name_of(derived)))
			since_us = derived->at_us;
	}
	for (size_t i = 0; i < learned->activity.count; i++) {
		const struct passage *passage = &learned->activity.passages[i];
		if (passage->at_us < since_us && !passage->is_stored)
			since_us = passage->at_us;
	}
	return since_us;
}

void learned_done(struct learned *learned)
{
	seen_done(&learned->remembered);
	lineage_done(&learned->lineage);
	owners_done(&learned->owners);
	activity_done(&learned->activity);
	issued_done(&learned->issued);
}
