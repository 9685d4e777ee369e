/* SPDX-License-Identifier: Apache-2.0 */

/* Links as they come in, and the question who descends from whom. How that is worked out stands in lineage_close.c. */
#include "detector/lineage.h"

#include <string.h>

#include "common/clock.h"

#define SLACK_US (5 * 60 * CLOCK_SECOND_US)
#define SESSION_LONGEST_US (36 * 60 * 60 * CLOCK_SECOND_US) /* GetFederationToken; where a record does not say */

int lineage_add(struct lineage *lineage, const struct link *link, struct error *err)
{
	if (link_pack(link, &lineage->row, err) < 0)
		return -1;
	return spool_put(&lineage->links, lineage->row.bytes, lineage->row.length, err);
}

void lineage_done(struct lineage *lineage)
{
	lineage_forget(lineage);
	spool_done(&lineage->links);
	buffer_done(&lineage->row);
	*lineage = (struct lineage){0};
}

/* ---- looking up */

static uint32_t find(const struct map *map, const char *text)
{
	return *text != '\0' ? map_find(map, text, strlen(text)) : MAP_NONE;
}

const struct derived *lineage_key(const struct lineage *lineage, const char *id, size_t length)
{
	uint32_t found = map_find(&lineage->by_name, id, length);
	return found != MAP_NONE && lineage->derived[found].kind == LINK_KEY ? &lineage->derived[found] : NULL;
}

/* Was it good at that time? A session may be longer than its record says, never shorter. */
static bool is_valid(const struct derived *derived, int64_t at_us)
{
	int64_t end_us = derived->expires_us != 0 ? derived->expires_us : derived->at_us + SESSION_LONGEST_US;
	bool is_lasting = derived->kind != LINK_KEY;
	return at_us >= derived->at_us - SLACK_US && (is_lasting || at_us <= end_us + SLACK_US);
}

/* By the principal alone. Two may hold sessions of one name: a key that is not known is none of theirs, so only a call
 * without a key counts, or the console's, whose sessions have keys of their own. */
static const struct derived *find_principal(const struct lineage *lineage, const struct caller *caller)
{
	const struct derived *best = NULL;
	uint32_t at = find(&lineage->by_principal, caller->principal);
	for (; at != MAP_NONE && at != DERIVED_NONE; at = lineage->derived[at].next) {
		const struct derived *derived = &lineage->derived[at];
		bool may_be = derived->kind == LINK_USER || (derived->kind == LINK_CONSOLE && caller->is_console) ||
		              (derived->kind == LINK_KEY && caller->key[0] == '\0');
		if (!may_be || !is_valid(derived, caller->at_us))
			continue;
		if (best == NULL || derived->at_us > best->at_us ||
		    (derived->at_us == best->at_us && strcmp(derived->name, best->name) < 0))
			best = derived;
	}
	return best;
}

const struct derived *lineage_find(const struct lineage *lineage, const struct caller *caller)
{
	const struct derived *derived = lineage_key(lineage, caller->key, strlen(caller->key));
	if (derived == NULL)
		derived = find_principal(lineage, caller);
	if (derived != NULL || !caller->is_console)
		return derived;
	uint32_t found = find(&lineage->by_name, caller->user);
	if (found == MAP_NONE || !is_valid(&lineage->derived[found], caller->at_us))
		return NULL;
	return &lineage->derived[found];
}

/* ---- what came of it */

uint64_t lineage_digest(const struct lineage *lineage)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < lineage->count; i++) {
		const struct derived *derived = &lineage->derived[i];
		const struct tracked_key *root = derived->root_key;
		const char *const texts[] = {
			derived->name,
			derived->event_id,
			derived->parent != DERIVED_NONE ? lineage->derived[derived->parent].name : "",
			root != NULL ? root->id : "",
			derived->root_principal,
			derived->account,
			derived->by_key ? "key" : "principal",
		};
		uint64_t hash = (uint64_t)derived->expires_us;
		for (size_t t = 0; t < ARRAY_LENGTH(texts); t++)
			hash = hash * 31 + map_hash(texts[t], strlen(texts[t]));
		sum += hash;
	}
	return sum;
}

static bool matters(const struct lineage *lineage, const struct link *link)
{
	const struct caller *parent = &link->parent;
	struct tracked_room room;
	return link->shared_id[0] != '\0' && parent->key[0] != '\0' &&
	       (tracked_key(lineage->tracked, parent->key, &room) != NULL ||
	        find(&lineage->by_name, parent->key) != MAP_NONE ||
	        find(&lineage->by_principal, parent->principal) != MAP_NONE ||
	        tracked_instance(lineage->tracked, parent->instance, strlen(parent->instance)) != NULL);
}

int lineage_each_keyed(struct lineage *lineage, lineage_visit *visit, void *context, struct error *err)
{
	struct error problem = {0};
	const char *row;
	size_t length;
	struct link link;
	if (spool_rewind(&lineage->links, err) < 0)
		return -1;
	while ((row = spool_next(&lineage->links, &length, &problem)) != NULL)
		if (link_unpack(row, length, &link) && matters(lineage, &link) && visit(context, &link, err) < 0)
			return -1;
	return problem.code != ERROR_NONE ? error_set(err, problem.code, "%s", problem.text) : 0;
}
