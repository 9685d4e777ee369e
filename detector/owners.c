/* SPDX-License-Identifier: Apache-2.0 */

/* From claims to tenures. Records name an address by what it was allocated or associated as, so claims are first joined
 * by these ids, then put in the order of time for each address. Nothing is claimed for the time before the first record
 * of an address, nor after it was freed. */
#include "detector/owners.h"

#include <string.h>

#include "common/array.h"
#include "common/text.h"

#define WHAT "the owners of addresses"

/* Something that happened to an address. */
struct change {
	const char *address;
	int64_t at_us;
	enum claim_kind kind;
	const char *account, *holder, *event_id;
	const char *only_of; /* counts only if this one holds it; NULL: always */
};

struct closing {
	struct owners *owners;
	struct map address_of; /* allocation or association id -> index of a claim that leads to the address */
	struct map last_of;    /* holder, or attached interface -> its last claim */
	uint32_t *before;      /* of each claim: the one before it in that list */
	struct change *changes;
	size_t count, capacity;
};

/* ---- gathering */

int owners_add(struct owners *owners, const struct claim *claim, struct error *err)
{
	struct claim kept = *claim;
	const char **const texts[] = {&kept.account,     &kept.event_id, &kept.address, &kept.allocation,
	                              &kept.association, &kept.holder,   &kept.name};
	owners->is_full = owners->is_full || owners->claim_count == CLAIMS_MAX;
	if (owners->is_full)
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (map_keep(&owners->texts, texts[i], err) < 0)
			return -1;
	if (array_reserve(&owners->claims, sizeof(kept), owners->claim_count, &owners->claim_capacity, WHAT, err) < 0)
		return -1;
	owners->claims[owners->claim_count++] = kept;
	return 0;
}

static void forget(struct owners *owners)
{
	map_done(&owners->by_address);
	map_done(&owners->by_endpoint);
	free(owners->tenures);
	owners->tenures = NULL;
	owners->tenure_count = owners->tenure_capacity = 0;
}

void owners_done(struct owners *owners)
{
	forget(owners);
	map_done(&owners->texts);
	free(owners->claims);
	*owners = (struct owners){0};
}

/* ---- joining by ids. Of claims that contradict each other the earliest counts: they are sorted first. */

static int compare_claims(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	if (a->at_us != b->at_us)
		return a->at_us < b->at_us ? -1 : 1;
	const char *const pairs[][2] = {{a->event_id, b->event_id},     {a->address, b->address},
	                                {a->holder, b->holder},         {a->name, b->name},
	                                {a->allocation, b->allocation}, {a->association, b->association},
	                                {a->account, b->account}};
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
		int order = strcmp(pairs[i][0], pairs[i][1]);
		if (order != 0)
			return order;
	}
	return (int)a->kind - (int)b->kind;
}

/* In order, each once: records come twice, and from earlier runs. */
static void sort_claims(struct owners *owners)
{
	size_t kept = 0;
	qsort(owners->claims, owners->claim_count, sizeof(owners->claims[0]), compare_claims);
	for (size_t i = 1; i < owners->claim_count; i++) {
		struct claim *last = &owners->claims[kept];
		if (compare_claims(last, &owners->claims[i]) != 0)
			owners->claims[++kept] = owners->claims[i];
		else
			last->is_stored = last->is_stored || owners->claims[i].is_stored;
	}
	owners->claim_count = kept + 1;
}

MUST_USE static int note(struct map *map, const char *id, size_t index, struct error *err)
{
	return *id != '\0' ? map_add(map, id, strlen(id), (uint32_t)index, NULL, err) : 0;
}

static const struct claim *find(const struct closing *closing, const struct map *map, const char *id)
{
	uint32_t found = *id != '\0' ? map_find(map, id, strlen(id)) : MAP_NONE;
	return found != MAP_NONE ? &closing->owners->claims[found] : NULL;
}

static const char *address_of(const struct closing *closing, const struct claim *claim)
{
	if (claim->address[0] != '\0')
		return claim->address;
	const struct claim *by = find(closing, &closing->address_of, claim->allocation);
	if (by == NULL)
		by = find(closing, &closing->address_of, claim->association);
	if (by != NULL && by->address[0] == '\0') /* an association of an allocation */
		by = find(closing, &closing->address_of, by->allocation);
	return by != NULL ? by->address : "";
}

/* Puts a claim at the end of its subject's list. */
MUST_USE static int chain(struct closing *closing, const char *subject, uint32_t index, struct error *err)
{
	struct map_entry entry;
	closing->before[index] = map_find(&closing->last_of, subject, strlen(subject));
	if (map_add(&closing->last_of, subject, strlen(subject), index, &entry, err) < 0)
		return -1;
	map_set(&closing->last_of, subject, strlen(subject), index);
	return 0;
}

MUST_USE static int join(struct closing *closing, struct error *err)
{
	const struct owners *owners = closing->owners;
	for (size_t i = 0; i < owners->claim_count; i++) {
		const struct claim *claim = &owners->claims[i];
		bool is_association = claim->kind == CLAIM_HOLD && claim->association[0] != '\0';
		const char *subject = claim->kind == CLAIM_ATTACH ? claim->name
		                      : claim->kind == CLAIM_HOLD ? claim->holder
		                                                  : "";
		closing->before[i] = MAP_NONE;
		if (*subject != '\0' && chain(closing, subject, (uint32_t)i, err) < 0)
			return -1;
		if (claim->address[0] != '\0' && claim->kind != CLAIM_ATTACH &&
		    note(&closing->address_of, claim->allocation, i, err) < 0)
			return -1;
		if (is_association && note(&closing->address_of, claim->association, i, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- changes */

MUST_USE static int add_change(struct closing *closing, const struct claim *claim, const struct change *change,
                               struct error *err)
{
	if (change->address[0] == '\0')
		return 0;
	if (array_reserve(&closing->changes, sizeof(*change), closing->count, &closing->capacity, WHAT, err) < 0)
		return -1;
	struct change *added = &closing->changes[closing->count++];
	*added = *change;
	added->at_us = claim->at_us;
	added->account = claim->account;
	added->event_id = claim->event_id;
	return 0;
}

/* Which instance was an interface part of then? Other holders hold by themselves. */
static const char *instance_at(const struct closing *closing, const char *holder, int64_t at_us)
{
	if (!text_starts(holder, "eni-"))
		return holder;
	for (uint32_t i = map_find(&closing->last_of, holder, strlen(holder)); i != MAP_NONE; i = closing->before[i]) {
		const struct claim *claim = &closing->owners->claims[i];
		if (claim->kind == CLAIM_ATTACH && claim->at_us <= at_us)
			return claim->holder;
	}
	return holder;
}

/* What an ended holder had: an elastic address is let go, its own are free. */
MUST_USE static int end_holder(struct closing *closing, const struct claim *ended, struct error *err)
{
	uint32_t i =
		*ended->holder != '\0' ? map_find(&closing->last_of, ended->holder, strlen(ended->holder)) : MAP_NONE;
	for (; i != MAP_NONE; i = closing->before[i]) {
		const struct claim *held = &closing->owners->claims[i];
		bool is_elastic = held->allocation[0] != '\0' || held->association[0] != '\0';
		bool stays = ended->kind == CLAIM_STOPPED && (is_elastic || strchr(held->address, ':') != NULL);
		if (held->kind != CLAIM_HOLD || held->at_us > ended->at_us || stays)
			continue;
		const struct change change = {.kind = is_elastic ? CLAIM_LET_GO : CLAIM_FREE,
		                              .address = address_of(closing, held),
		                              .holder = "",
		                              .only_of = ended->holder};
		if (add_change(closing, ended, &change, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int gather(struct closing *closing, struct error *err)
{
	const struct owners *owners = closing->owners;
	for (size_t i = 0; i < owners->claim_count; i++) {
		const struct claim *claim = &owners->claims[i];
		struct change change = {.kind = claim->kind, .address = address_of(closing, claim), .holder = ""};
		int result = 0;
		switch (claim->kind) {
		case CLAIM_OWN:
		case CLAIM_LET_GO:
		case CLAIM_FREE:
			result = add_change(closing, claim, &change, err);
			break;
		case CLAIM_HOLD:
			change.holder = instance_at(closing, claim->holder, claim->at_us);
			result = add_change(closing, claim, &change, err);
			break;
		case CLAIM_ENDED:
		case CLAIM_STOPPED:
			result = end_holder(closing, claim, err);
			break;
		case CLAIM_ATTACH:
		case CLAIM_ENDPOINT:
		case CLAIM_KIND_COUNT:
			break;
		}
		if (result < 0)
			return -1;
	}
	return 0;
}

/* ---- tenures */

/* Of changes in one second. */
static int rank_of(const struct change *change)
{
	return change->kind == CLAIM_LET_GO ? 0 : change->kind == CLAIM_FREE ? 1 : 2;
}

static int compare_changes(const void *left, const void *right)
{
	const struct change *a = left, *b = right;
	int order = strcmp(a->address, b->address);
	if (order != 0)
		return order;
	if (a->at_us != b->at_us)
		return a->at_us < b->at_us ? -1 : 1;
	if (rank_of(a) != rank_of(b))
		return rank_of(a) - rank_of(b);
	order = strcmp(a->event_id, b->event_id);
	return order != 0 ? order : strcmp(a->holder, b->holder);
}

MUST_USE static int add_tenure(struct owners *owners, const struct change *change, struct error *err)
{
	const struct tenure tenure = {.address = change->address,
	                              .account = change->account,
	                              .holder = change->holder,
	                              .from_us = change->at_us,
	                              .until_us = INT64_MAX,
	                              .event_id = change->event_id};
	if (array_reserve(&owners->tenures, sizeof(tenure), owners->tenure_count, &owners->tenure_capacity, WHAT, err) <
	            0 ||
	    map_add(&owners->by_address, tenure.address, strlen(tenure.address), (uint32_t)owners->tenure_count, NULL,
	            err) < 0)
		return -1;
	owners->tenures[owners->tenure_count++] = tenure;
	return 0;
}

/* A change ends what was, unless it says the same; all but a release begin something. An account that lets go or frees
 * what another has does not know of it: that is over, and nothing is concluded. */
MUST_USE static int apply(struct owners *owners, const struct change *change, struct error *err)
{
	struct tenure *last = owners->tenure_count > 0 ? &owners->tenures[owners->tenure_count - 1] : NULL;
	bool is_open = last != NULL && strcmp(last->address, change->address) == 0 && last->until_us == INT64_MAX;
	bool is_same = is_open && strcmp(last->account, change->account) == 0;
	bool is_end = change->kind == CLAIM_FREE || change->kind == CLAIM_LET_GO;
	if ((is_end && is_open && !is_same) ||
	    (change->only_of != NULL && (!is_same || strcmp(last->holder, change->only_of) != 0)))
		return 0;
	if (is_same && change->kind != CLAIM_FREE && strcmp(last->holder, change->holder) == 0)
		return 0;
	if (is_open)
		last->until_us = change->at_us;
	return change->kind == CLAIM_FREE ? 0 : add_tenure(owners, change, err);
}

MUST_USE static int read_endpoints(struct owners *owners, struct error *err)
{
	for (size_t i = 0; i < owners->claim_count; i++)
		if (owners->claims[i].kind == CLAIM_ENDPOINT &&
		    note(&owners->by_endpoint, owners->claims[i].name, i, err) < 0)
			return -1;
	return 0;
}

static void closing_done(struct closing *closing)
{
	map_done(&closing->address_of);
	map_done(&closing->last_of);
	free(closing->before);
	free(closing->changes);
}

int owners_close(struct owners *owners, struct error *err)
{
	CLEANUP(closing_done) struct closing closing = {.owners = owners};
	forget(owners);
	if (owners->claim_count == 0)
		return 0;
	closing.before = calloc(owners->claim_count, sizeof(*closing.before));
	if (closing.before == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the owners of addresses");
	sort_claims(owners);
	if (join(&closing, err) < 0 || gather(&closing, err) < 0 || read_endpoints(owners, err) < 0)
		return -1;
	if (closing.count > 0)
		qsort(closing.changes, closing.count, sizeof(closing.changes[0]), compare_changes);
	for (size_t i = 0; i < closing.count; i++)
		if (apply(owners, &closing.changes[i], err) < 0)
			return -1;
	return 0;
}

/* ---- looking up */

const struct tenure *owners_of(const struct owners *owners, const char *address, int64_t at_us, size_t *ret_count)
{
	const struct tenure *first = NULL;
	uint32_t found = map_find(&owners->by_address, address, strlen(address));
	*ret_count = 0;
	for (size_t i = found; found != MAP_NONE && i < owners->tenure_count; i++) {
		const struct tenure *tenure = &owners->tenures[i];
		if (strcmp(tenure->address, address) != 0 || tenure->from_us - OWNERS_SLACK_US > at_us)
			break;
		if (tenure->until_us != INT64_MAX && tenure->until_us + OWNERS_SLACK_US < at_us)
			continue;
		if (first == NULL)
			first = tenure;
		++*ret_count;
	}
	return first;
}

const char *owners_endpoint(const struct owners *owners, const char *endpoint_id, const char **ret_event)
{
	uint32_t found = map_find(&owners->by_endpoint, endpoint_id, strlen(endpoint_id));
	if (found == MAP_NONE)
		return NULL;
	*ret_event = owners->claims[found].event_id;
	return owners->claims[found].account;
}
