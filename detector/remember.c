/* SPDX-License-Identifier: Apache-2.0 */

/* Rows: links that somebody of ours descends by (all others are nobody's business), the callers' halves of calls across
 * accounts, changes of addresses
 * and endpoints, passages through other accounts' endpoints, and keys that EC2 issued to known instances. They are
 * worked out anew in each run, so a ledger that has changed since cannot be contradicted by them. */
#include "detector/remember.h"

#include <string.h>

#include "common/clock.h"

#define LINK "link"       /* what lasts, and all that it came from */
#define SESSION "session" /* what expires */
#define HALF "half"       /* the caller's record of a call across accounts, as it is */
#define CLAIM "claim"
#define MACHINE "machine" /* a claim of a machine that holds no address as far as is known */
#define ISSUE "issue"
#define PASSAGE "passage"

struct text {
	const char *path;
	const char **to;
};

/* Lent by `object`. */
static void read_texts(const json_t *object, const struct text *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *text = json_text_at(object, texts[i].path);
		*texts[i].to = text != NULL ? text : "";
	}
}

static void put_texts(json_t *object, const struct text *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_put_text(object, texts[i].path, **texts[i].to != '\0' ? *texts[i].to : NULL);
}

/* ---- links */

#define LINK_TEXTS(link)                                                                                               \
	{                                                                                                              \
		{"key", &(link).parent.key}, {"principal", &(link).parent.principal},                                  \
			{"instance", &(link).parent.instance}, {"account", &(link).parent.account},                    \
			{"user", &(link).parent.user}, {"event_id", &(link).event_id}, {"action", &(link).action},     \
			{"shared_id", &(link).shared_id}, {"child", &(link).child},                                    \
			{"child_principal", &(link).child_principal},                                                  \
		{                                                                                                      \
			"child_account", &(link).child_account                                                         \
		}                                                                                                      \
	}

static int load_link(void *context, const json_t *object, struct error *err)
{
	struct learned *learned = context;
	struct link link = {0};
	const struct text texts[] = LINK_TEXTS(link);
	const char *kind = json_text_at(object, "kind");
	int index = kind != NULL ? name_index(link_kind_names, LINK_KIND_COUNT, kind) : -1;
	read_texts(object, texts, ARRAY_LENGTH(texts));
	(void)json_int_at(object, "at", &link.parent.at_us);
	(void)json_int_at(object, "expires", &link.expires_us);
	(void)json_bool_at(object, "console", &link.parent.is_console);
	if (index < 0)
		return 0; /* of a later version */
	link.kind = (enum link_kind)index;
	return lineage_add(&learned->lineage, &link, err);
}

/* The link that leads to the same descent when it is all that is known. */
static struct link link_of(const struct lineage *lineage, const struct derived *derived)
{
	struct link link = {
		.kind = derived->kind,
		.expires_us = derived->expires_us,
		.parent = {.at_us = derived->at_us,
	                   .key = "",
	                   .principal = "",
	                   .instance = "",
	                   .account = "",
	                   .user = ""},
		.event_id = derived->event_id,
		.shared_id = derived->by_key ? "" : derived->shared_id,
		.action = derived->action,
		.child = derived->name,
		.child_principal = derived->kind == LINK_KEY ? derived->principal : "",
		.child_account = derived->account,
	};
	if (derived->parent == DERIVED_NONE) {
		link.parent.key = derived->by_key && derived->root_key != NULL ? derived->root_key->id : "";
		link.parent.principal = derived->root_principal;
		link.parent.instance = derived->root_instance;
		link.parent.account = derived->root_account;
		return link;
	}
	const struct derived *above = &lineage->derived[derived->parent];
	link.parent.is_console = above->kind == LINK_LOGIN || above->kind == LINK_CONSOLE;
	if (above->kind == LINK_LOGIN)
		link.parent.user = above->name;
	else
		link.parent.principal = above->principal;
	if (above->kind == LINK_KEY && derived->by_key)
		link.parent.key = above->name;
	return link;
}

MUST_USE static int save_link(struct findings *findings, const char *row, struct link link, struct error *err)
{
	const struct text texts[] = LINK_TEXTS(link);
	CLEANUP_JSON json_t *object = json_object();
	put_texts(object, texts, ARRAY_LENGTH(texts));
	json_put_text(object, "kind", link_kind_names[link.kind]);
	json_put_int(object, "at", link.parent.at_us);
	json_put_int(object, "expires", link.expires_us);
	json_put_bool(object, "console", link.parent.is_console);
	return findings_lesson_put(findings, row, object, link.parent.at_us, err);
}

static int save_half(void *context, const struct link *link, struct error *err)
{
	return save_link(context, HALF, *link, err);
}

MUST_USE static int save_links(struct lineage *lineage, struct findings *findings, struct error *err)
{
	CLEANUP_FREE bool *lasts = calloc(lineage->count + 1, sizeof(*lasts));
	if (lasts == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for what was learned");
	for (size_t i = lineage->count; i-- > 0;) { /* parents stand before their children */
		const struct derived *derived = &lineage->derived[i];
		lasts[i] = lasts[i] || derived->kind != LINK_KEY || derived->expires_us == 0;
		if (lasts[i] && derived->parent != DERIVED_NONE)
			lasts[derived->parent] = true;
		if (save_link(findings, lasts[i] ? LINK : SESSION, link_of(lineage, derived), err) < 0)
			return -1;
	}
	return lineage_each_keyed(lineage, save_half, findings, err);
}

/* ---- claims */

#define CLAIM_TEXTS(claim)                                                                                             \
	{                                                                                                              \
		{"account", &(claim).account}, {"event_id", &(claim).event_id}, {"address", &(claim).address},         \
			{"allocation", &(claim).allocation}, {"association", &(claim).association},                    \
			{"holder", &(claim).holder},                                                                   \
		{                                                                                                      \
			"name", &(claim).name                                                                          \
		}                                                                                                      \
	}

MUST_USE static int take_claim(struct learned *learned, const json_t *object, bool is_stored, struct error *err)
{
	struct claim claim = {0};
	const struct text texts[] = CLAIM_TEXTS(claim);
	const char *kind = json_text_at(object, "kind");
	int index = kind != NULL ? name_index(claim_kind_names, CLAIM_KIND_COUNT, kind) : -1;
	read_texts(object, texts, ARRAY_LENGTH(texts));
	(void)json_int_at(object, "at", &claim.at_us);
	if (index < 0)
		return 0;
	claim.kind = (enum claim_kind)index;
	claim.is_stored = is_stored;
	return owners_add(&learned->owners, &claim, err);
}

static int load_claim(void *context, const json_t *object, struct error *err)
{
	return take_claim(context, object, true, err);
}

/* It may be of a holder of an address by the end of this run: then it is stored as such. */
static int load_machine(void *context, const json_t *object, struct error *err)
{
	return take_claim(context, object, false, err);
}

/* Machines come and go by the thousand; only those that hold a public address matter, or may turn out to have held one:
 * for a while all are kept. */
static const char *kind_of(const struct map *holders, const struct claim *claim)
{
	const char *holder = claim->kind == CLAIM_ATTACH ? claim->name : claim->holder;
	bool is_of_holder = claim->kind == CLAIM_ATTACH || claim->kind == CLAIM_ENDED || claim->kind == CLAIM_STOPPED;
	return !is_of_holder || map_find(holders, holder, strlen(holder)) != MAP_NONE ? CLAIM : MACHINE;
}

MUST_USE static int save_claims(const struct owners *owners, struct findings *findings, struct error *err)
{
	CLEANUP(map_done) struct map holders = {0};
	for (size_t i = 0; i < owners->claim_count; i++) {
		const char *holder = owners->claims[i].holder;
		if (owners->claims[i].kind == CLAIM_HOLD && *holder != '\0' &&
		    map_add(&holders, holder, strlen(holder), 0, NULL, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < owners->claim_count; i++) {
		struct claim claim = owners->claims[i];
		const char *kind = kind_of(&holders, &claim);
		const struct text texts[] = CLAIM_TEXTS(claim);
		CLEANUP_JSON json_t *object = NULL;
		if (claim.is_stored)
			continue;
		object = json_object();
		put_texts(object, texts, ARRAY_LENGTH(texts));
		json_put_text(object, "kind", claim_kind_names[claim.kind]);
		json_put_int(object, "at", claim.at_us);
		if (findings_lesson_put(findings, kind, object, claim.at_us, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- issues */

static int load_issue(void *context, const json_t *object, struct error *err)
{
	struct learned *learned = context;
	struct issue issue = {0};
	const char *key;
	const struct text texts[] = {{"instance", &issue.instance}, {"event_id", &issue.event_id}, {"key", &key}};
	read_texts(object, texts, ARRAY_LENGTH(texts));
	(void)json_int_at(object, "at", &issue.at_us);
	return *key != '\0' ? issued_add(&learned->issued, key, &issue, err) : 0;
}

MUST_USE static int save_issues(const struct issued *issued, struct findings *findings, struct error *err)
{
	for (size_t i = 0; i < issued->by_key.capacity; i++) {
		const struct map_entry *entry = &issued->by_key.slots[i];
		if (entry->text == NULL)
			continue;
		const struct issue *issue = &issued->issues[entry->value];
		CLEANUP_JSON json_t *object = json_object();
		json_put_text(object, "key", entry->text);
		json_put_text(object, "instance", issue->instance);
		json_put_text(object, "event_id", issue->event_id);
		json_put_int(object, "at", issue->at_us);
		if (findings_lesson_put(findings, ISSUE, object, issue->at_us, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- passages: digests as signed numbers, since JSON has no others of 64 bits */

#define PASSAGE_TEXTS(passage)                                                                                         \
	{                                                                                                              \
		{"owner", &(passage).owner}, {"endpoint", &(passage).endpoint_id},                                     \
		{                                                                                                      \
			"event_id", &(passage).event_id                                                                \
		}                                                                                                      \
	}

static int load_passage(void *context, const json_t *object, struct error *err)
{
	struct learned *learned = context;
	struct passage passage = {.is_stored = true};
	const struct text texts[] = PASSAGE_TEXTS(passage);
	int64_t shared = 0, request = 0, principal = 0;
	read_texts(object, texts, ARRAY_LENGTH(texts));
	(void)json_int_at(object, "at", &passage.at_us);
	(void)json_int_at(object, "shared", &shared);
	(void)json_int_at(object, "request", &request);
	(void)json_int_at(object, "principal", &principal);
	passage.shared = (uint64_t)shared;
	passage.request = (uint64_t)request;
	passage.principal = (uint64_t)principal;
	return activity_put(&learned->activity, passage, err);
}

MUST_USE static int save_passages(const struct activity *activity, struct findings *findings, struct error *err)
{
	for (size_t i = 0; i < activity->count; i++) {
		struct passage passage = activity->passages[i];
		const struct text texts[] = PASSAGE_TEXTS(passage);
		if (passage.is_stored)
			continue;
		CLEANUP_JSON json_t *object = json_object();
		put_texts(object, texts, ARRAY_LENGTH(texts));
		json_put_int(object, "at", passage.at_us);
		json_put_int(object, "shared", (int64_t)passage.shared);
		json_put_int(object, "request", (int64_t)passage.request);
		json_put_int(object, "principal", (int64_t)passage.principal);
		if (findings_lesson_put(findings, PASSAGE, object, passage.at_us, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- all */

int remember_load(struct learned *learned, struct findings *findings, struct error *err)
{
	bool ignored[LEARNED_KINDS];
	if (findings_lessons(findings, LINK, load_link, learned, err) < 0 ||
	    findings_lessons(findings, SESSION, load_link, learned, err) < 0 ||
	    findings_lessons(findings, HALF, load_link, learned, err) < 0 ||
	    findings_lessons(findings, CLAIM, load_claim, learned, err) < 0 ||
	    findings_lessons(findings, MACHINE, load_machine, learned, err) < 0 ||
	    findings_lessons(findings, PASSAGE, load_passage, learned, err) < 0 ||
	    findings_lessons(findings, ISSUE, load_issue, learned, err) < 0 || learned_close(learned, ignored, err) < 0)
		return -1;
	learned_remember(learned);
	return 0;
}

int remember_save(struct learned *learned, struct findings *findings, struct error *err)
{
	if (save_links(&learned->lineage, findings, err) < 0 || save_claims(&learned->owners, findings, err) < 0 ||
	    save_passages(&learned->activity, findings, err) < 0)
		return -1;
	return save_issues(&learned->issued, findings, err);
}
