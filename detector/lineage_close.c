/* SPDX-License-Identifier: Apache-2.0 */

/* Closing the links: generation by generation, each from the links as a whole, so that their order cannot show. There
 * may be more links than memory: they lie in a file that is read twice a generation, and there are few generations. Of
 * several links to one child the best counts: one that names the parent's key, then the earliest. */
#include "detector/lineage.h"

#include <string.h>

#include "common/array.h"
#include "detector/seen.h"

#define WHAT "derived keys"

/* What a link hangs on. */
struct parent {
	uint32_t derived; /* DERIVED_NONE: a root */
	const struct tracked_key *key;
	const char *principal, *instance, *account; /* of a root */
	const char *event_id;                       /* of the record that named it */
	bool by_key;
};

struct closing {
	struct lineage *lineage;
	struct seen keyed;      /* digests of shared ids whose records name a key */
	struct map shared;      /* shared id -> index in parents */
	struct parent *parents; /* by those */
	size_t parent_count, parent_capacity;
	struct map candidate_of; /* child -> index in candidates */
	struct derived *candidates;
	size_t candidate_count, candidate_capacity;
	bool by_principal;         /* keys have nothing more to say: now a principal alone may name a parent */
	struct tracked_room *room; /* of the key that was asked for last */
};

void lineage_forget(struct lineage *lineage)
{
	free(lineage->derived);
	map_done(&lineage->by_name);
	map_done(&lineage->by_principal);
	map_done(&lineage->texts);
	map_done(&lineage->root_index);
	for (size_t i = 0; i < lineage->root_count; i++)
		free(lineage->roots[i]);
	free(lineage->roots);
	lineage->derived = NULL;
	lineage->roots = NULL;
	lineage->count = lineage->capacity = lineage->root_count = lineage->root_capacity = 0;
	lineage->has_principals = false;
}

static uint32_t find(const struct map *map, const char *text)
{
	return *text != '\0' ? map_find(map, text, strlen(text)) : MAP_NONE;
}

/* *key becomes a copy that lives as long as what was worked out. */
MUST_USE static int keep_root(struct lineage *lineage, const struct tracked_key **key, struct error *err)
{
	struct map_entry entry;
	if (*key == NULL)
		return 0;
	if (array_reserve(&lineage->roots, sizeof(*lineage->roots), lineage->root_count, &lineage->root_capacity, WHAT,
	                  err) < 0 ||
	    map_add(&lineage->root_index, (*key)->id, strlen((*key)->id), (uint32_t)lineage->root_count, &entry, err) <
	            0)
		return -1;
	if (entry.value == lineage->root_count) {
		struct tracked_key *root = malloc(sizeof(*root));
		if (root == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for " WHAT);
		*root = **key;
		root->id = entry.text;
		lineage->roots[lineage->root_count++] = root;
		const char **const texts[] = {&root->home_account, &root->role, &root->instance_id, &root->region};
		for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
			if (map_keep(&lineage->texts, texts[i], err) < 0)
				return -1;
	}
	*key = lineage->roots[entry.value];
	return 0;
}

/* ---- one link's parent */

static bool is_known_instance(const struct lineage *lineage, const char *instance)
{
	return instance[0] != '\0' &&
	       (lineage->every_session || tracked_instance(lineage->tracked, instance, strlen(instance)) != NULL);
}

static bool parent_by_key(const struct lineage *lineage, const struct caller *caller, struct tracked_room *room,
                          struct parent *ret)
{
	size_t length = strlen(caller->key);
	if (length == 0)
		return false;
	const struct tracked_key *key = tracked_key(lineage->tracked, caller->key, room);
	const struct derived *derived = lineage_key(lineage, caller->key, length);
	*ret = (struct parent){.derived = DERIVED_NONE, .key = key, .principal = caller->principal, .by_key = true};
	if (key != NULL) {
		ret->instance = key->instance_id;
		ret->account = key->home_account[0] != '\0' ? key->home_account : caller->account;
		return true;
	}
	if (derived != NULL)
		ret->derived = (uint32_t)(derived - lineage->derived);
	return derived != NULL;
}

/* The session of a known instance, with a key that no ledger knows; or whoever descends from one by principal. */
static bool parent_by_principal(const struct lineage *lineage, const struct caller *caller, struct parent *ret)
{
	const struct derived *derived = lineage_find(lineage, caller);
	*ret = (struct parent){.derived = DERIVED_NONE, .principal = caller->principal};
	if (derived != NULL) {
		ret->derived = (uint32_t)(derived - lineage->derived);
		return true;
	}
	ret->instance = caller->instance;
	ret->account = caller->account;
	return is_known_instance(lineage, caller->instance);
}

MUST_USE static bool parent_of(const struct closing *closing, const struct link *link, struct parent *ret)
{
	const struct lineage *lineage = closing->lineage;
	if (parent_by_key(lineage, &link->parent, closing->room, ret))
		return true;
	if (link->parent.key[0] == '\0' && link->shared_id[0] != '\0') {
		uint32_t found = find(&closing->shared, link->shared_id);
		if (found != MAP_NONE) {
			*ret = closing->parents[found];
			return true;
		}
		/* The caller's own record of this call is there: it says whose key it was. */
		if (seen_holds(&closing->keyed, map_quick(link->shared_id, strlen(link->shared_id))))
			return false;
	}
	return closing->by_principal && parent_by_principal(lineage, &link->parent, ret);
}

/* ---- a generation */

typedef int take_link(struct closing *closing, const struct link *link, struct error *err);

MUST_USE static int each_link(struct closing *closing, take_link *take, struct error *err)
{
	struct spool *links = &closing->lineage->links;
	struct error problem = {0};
	const char *row;
	size_t length;
	struct link link;
	if (spool_rewind(links, err) < 0)
		return -1;
	while ((row = spool_next(links, &length, &problem)) != NULL)
		if (link_unpack(row, length, &link) && take(closing, &link, err) < 0)
			return -1;
	return problem.code != ERROR_NONE ? error_set(err, problem.code, "%s", problem.text) : 0;
}

static int note_keyed(struct closing *closing, const struct link *link, struct error *err)
{
	(void)err;
	if (link->parent.key[0] != '\0' && link->shared_id[0] != '\0')
		(void)seen_first(&closing->keyed, map_quick(link->shared_id, strlen(link->shared_id)));
	return 0;
}

/* The caller's half of a call across accounts. Should two claim to be that, the one that names a known key counts, then
 * the one with the least id. */
static int note_shared(struct closing *closing, const struct link *link, struct error *err)
{
	struct lineage *lineage = closing->lineage;
	struct parent parent;
	struct map_entry entry;
	if (link->shared_id[0] == '\0' || link->parent.key[0] == '\0' ||
	    (!parent_by_key(lineage, &link->parent, closing->room, &parent) &&
	     (!closing->by_principal || !parent_by_principal(lineage, &link->parent, &parent))))
		return 0;
	parent.event_id = link->event_id;
	if (keep_root(lineage, &parent.key, err) < 0)
		return -1;
	const char **const texts[] = {&parent.principal, &parent.instance, &parent.account, &parent.event_id};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (*texts[i] != NULL && map_keep(&lineage->texts, texts[i], err) < 0)
			return -1;
	if (array_reserve(&closing->parents, sizeof(parent), closing->parent_count, &closing->parent_capacity, WHAT,
	                  err) < 0 ||
	    map_add(&closing->shared, link->shared_id, strlen(link->shared_id), (uint32_t)closing->parent_count, &entry,
	            err) < 0)
		return -1;
	struct parent *known = &closing->parents[entry.value];
	if (entry.value == closing->parent_count)
		closing->parents[closing->parent_count++] = parent;
	else if (parent.by_key != known->by_key ? parent.by_key : strcmp(parent.event_id, known->event_id) < 0)
		*known = parent;
	return 0;
}

static bool is_better(const struct derived *a, const struct derived *b)
{
	if (a->by_key != b->by_key)
		return a->by_key;
	if (a->at_us != b->at_us)
		return a->at_us < b->at_us;
	return strcmp(a->event_id, b->event_id) < 0;
}

static struct derived derived_of(const struct lineage *lineage, const struct link *link, const struct parent *parent)
{
	struct derived derived = {
		.kind = link->kind,
		.name = link->child,
		.principal = link->kind == LINK_KEY ? link->child_principal : link->child,
		.account = link->child_account,
		.action = link->action,
		.event_id = link->event_id,
		.shared_id = link->parent.key[0] == '\0' ? link->shared_id : "",
		.at_us = link->parent.at_us,
		.expires_us = link->expires_us,
		.by_key = parent->by_key,
		.parent = parent->derived,
		.next = DERIVED_NONE,
		.root_key = parent->key,
		.root_principal = parent->principal,
		.root_instance = parent->instance,
		.root_account = parent->account,
	};
	if (parent->derived != DERIVED_NONE) {
		const struct derived *above = &lineage->derived[parent->derived];
		derived.root_key = above->root_key;
		derived.root_principal = above->root_principal;
		derived.root_instance = above->root_instance;
		derived.root_account = above->root_account;
	}
	return derived;
}

static int propose(struct closing *closing, const struct link *link, struct error *err)
{
	struct lineage *lineage = closing->lineage;
	struct parent parent;
	struct map_entry entry;
	size_t length = strlen(link->child);
	if (length == 0 || tracked_key(lineage->tracked, link->child, closing->room) != NULL ||
	    map_find(&lineage->by_name, link->child, length) != MAP_NONE || !parent_of(closing, link, &parent))
		return 0;
	struct derived derived = derived_of(lineage, link, &parent);
	if (keep_root(lineage, &derived.root_key, err) < 0)
		return -1;
	const char **const texts[] = {&derived.name,           &derived.principal,     &derived.account,
	                              &derived.action,         &derived.event_id,      &derived.shared_id,
	                              &derived.root_principal, &derived.root_instance, &derived.root_account};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (map_keep(&lineage->texts, texts[i], err) < 0)
			return -1;
	if (array_reserve(&closing->candidates, sizeof(derived), closing->candidate_count, &closing->candidate_capacity,
	                  WHAT, err) < 0 ||
	    map_add(&closing->candidate_of, derived.name, length, (uint32_t)closing->candidate_count, &entry, err) < 0)
		return -1;
	if (entry.value == closing->candidate_count)
		closing->candidates[closing->candidate_count++] = derived;
	else if (is_better(&derived, &closing->candidates[entry.value]))
		closing->candidates[entry.value] = derived;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct derived *a = left, *b = right;
	return strcmp(a->name, b->name);
}

MUST_USE static int adopt(struct lineage *lineage, struct derived derived, struct error *err)
{
	struct map_entry entry;
	uint32_t index = (uint32_t)lineage->count;
	if (array_reserve(&lineage->derived, sizeof(derived), lineage->count, &lineage->capacity, WHAT, err) < 0 ||
	    map_add(&lineage->by_name, derived.name, strlen(derived.name), index, NULL, err) < 0)
		return -1;
	lineage->derived[lineage->count++] = derived;
	lineage->has_principals = lineage->has_principals || derived.kind != LINK_KEY;
	if (derived.principal[0] == '\0' || derived.kind == LINK_LOGIN)
		return 0;
	if (map_add(&lineage->by_principal, derived.principal, strlen(derived.principal), index, &entry, err) < 0)
		return -1;
	if (entry.value != index) {
		lineage->derived[index].next = lineage->derived[entry.value].next;
		lineage->derived[entry.value].next = index;
	}
	return 0;
}

/* *ret_more: there were children in this one. */
MUST_USE static int next_generation(struct closing *closing, bool *ret_more, struct error *err)
{
	closing->candidate_count = 0;
	map_done(&closing->candidate_of);
	if (each_link(closing, note_shared, err) < 0 || each_link(closing, propose, err) < 0)
		return -1;
	*ret_more = closing->candidate_count > 0;
	if (*ret_more)
		qsort(closing->candidates, closing->candidate_count, sizeof(closing->candidates[0]), compare);
	for (size_t i = 0; i < closing->candidate_count; i++)
		if (adopt(closing->lineage, closing->candidates[i], err) < 0)
			return -1;
	return 0;
}

static void closing_done(struct closing *closing)
{
	seen_done(&closing->keyed);
	map_done(&closing->shared);
	map_done(&closing->candidate_of);
	free(closing->parents);
	free(closing->candidates);
}

int lineage_close(struct lineage *lineage, struct error *err)
{
	struct tracked_room room;
	CLEANUP(closing_done) struct closing closing = {.lineage = lineage, .room = &room};
	bool has_more = lineage->links.count > 0;
	lineage_forget(lineage);
	if (has_more && each_link(&closing, note_keyed, err) < 0)
		return -1;
	while (has_more) {
		closing.by_principal = false;
		if (next_generation(&closing, &has_more, err) < 0)
			return -1;
		closing.by_principal = true;
		if (!has_more && next_generation(&closing, &has_more, err) < 0)
			return -1;
	}
	return 0;
}
