/* SPDX-License-Identifier: Apache-2.0 */

/* The ledger's instances and places in memory, each text once. The ledger is our own, but it may come from a
 * machine that somebody else had root on: what does not parse is left out, never repaired. */
#include "detector/tracked.h"

#include <string.h>

#include "common/array.h"
#include "common/clock.h"

#define WHAT "the ledger's instances"

/* ---- growing arrays, texts kept once */

MUST_USE static int keep_text(struct tracked *tracked, const char *text, const char **ret, struct error *err)
{
	*ret = text != NULL ? text : "";
	return map_keep(&tracked->texts, ret, err);
}

struct kept {
	const char *path;
	const char **to;
};

MUST_USE static int keep_texts(struct tracked *tracked, const json_t *object, const struct kept *kept, size_t count,
                               struct error *err)
{
	for (size_t i = 0; i < count; i++)
		if (keep_text(tracked, json_text_at(object, kept[i].path), kept[i].to, err) < 0)
			return -1;
	return 0;
}

static int64_t time_at(const json_t *object, const char *path)
{
	int64_t time_us = 0;
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, &time_us) ? time_us : 0;
}

/* ---- instances */

MUST_USE static int add_instance(struct tracked *tracked, const struct tracked_instance *instance, struct error *err)
{
	struct map_entry entry;
	uint32_t next = (uint32_t)tracked->instance_count;
	if (instance->id[0] == '\0')
		return 0;
	if (array_reserve(&tracked->instances, sizeof(*instance), tracked->instance_count, &tracked->instance_capacity,
	                  WHAT, err) < 0 ||
	    map_add(&tracked->instance_index, instance->id, strlen(instance->id), next, &entry, err) < 0)
		return -1;
	if (entry.value == next) {
		tracked->instances[tracked->instance_count++] = *instance;
		return 0;
	}
	struct tracked_instance *known = &tracked->instances[entry.value];
	if (known->home_account[0] == '\0')
		known->home_account = instance->home_account;
	if (known->role[0] == '\0')
		known->role = instance->role;
	return 0;
}

/* Its facts may still be missing: those of places came first. */
static bool wants_instance(void *context, const char *id)
{
	const struct tracked *tracked = context;
	const struct tracked_instance *known = tracked_instance(tracked, id, strlen(id));
	return known == NULL || known->home_account[0] == '\0';
}

static int take_instance(void *context, const struct tracked_key *by, struct error *err)
{
	struct tracked *tracked = context;
	struct tracked_instance instance = {
		.id = by->instance_id, .home_account = by->home_account, .role = by->role, .region = by->region};
	const char **const texts[] = {&instance.id, &instance.home_account, &instance.role, &instance.region};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (map_keep(&tracked->texts, texts[i], err) < 0)
			return -1;
	return add_instance(tracked, &instance, err);
}

/* ---- places */

MUST_USE static int read_owners(struct tracked *tracked, const json_t *list, const char ***ret, struct error *err)
{
	size_t count = json_array_size(list), used = 0;
	CLEANUP_FREE const char **owners = calloc(count + 1, sizeof(*owners));
	if (owners == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a placement");
	for (size_t i = 0; i < count; i++) {
		const char *owner = json_string_value(json_array_get(list, i));
		if (owner != NULL && *owner != '\0' && keep_text(tracked, owner, &owners[used++], err) < 0)
			return -1;
	}
	*ret = steal_pointer(&owners);
	return 0;
}

static int add_placement(void *context, const json_t *object, struct error *err)
{
	struct tracked *tracked = context;
	struct placement placement = {.from_us = time_at(object, "from"), .until_us = time_at(object, "until")};
	const struct kept kept[] = {
		{"instance_id", &placement.instance_id},
		{"account_id", &placement.account_id},
		{"region", &placement.region},
	};
	if (keep_texts(tracked, object, kept, ARRAY_LENGTH(kept), err) < 0)
		return -1;
	if (placement.instance_id[0] == '\0')
		return 0;
	struct tracked_instance instance = {.id = placement.instance_id,
	                                    .home_account = placement.account_id,
	                                    .role = "",
	                                    .region = placement.region};
	if (add_instance(tracked, &instance, err) < 0 ||
	    array_reserve(&tracked->placements, sizeof(placement), tracked->placement_count,
	                  &tracked->placement_capacity, WHAT, err) < 0 ||
	    read_owners(tracked, json_at(object, "owner_ids"), &placement.owners, err) < 0)
		return -1;

	if (json_int_at(object, "clock_offset_ms", &placement.clock_offset_us))
		placement.clock_offset_us *= 1000;

	const json_t *addresses = json_at(object, "addresses");
	int result = 0;
	for (size_t i = 0; i < json_array_size(addresses) && result == 0; i++) {
		const char *text = json_string_value(json_array_get(addresses, i));
		struct cidr cidr;
		if (text != NULL && cidr_parse(text, &cidr))
			result = cidr_set_add(&placement.addresses, &cidr, 0, err);
	}
	cidr_set_seal(&placement.addresses);
	tracked->placements[tracked->placement_count++] = placement;
	return result;
}

int tracked_load(struct tracked *tracked, struct ledger *ledger, struct error *err)
{
	if ((tracked->keys == NULL && tracked_keys_new(&tracked->keys, err) < 0) ||
	    tracked_keys_add(tracked->keys, ledger, err) < 0)
		return -1;
	return ledger_placements(ledger, add_placement, tracked, err);
}

static int compare(const void *left, const void *right)
{
	const struct placement *a = left, *b = right;
	int order = strcmp(a->instance_id, b->instance_id);
	return order != 0 ? order : (a->from_us > b->from_us) - (a->from_us < b->from_us);
}

MUST_USE static int index_machines(struct tracked *tracked, size_t placement, struct error *err)
{
	const struct cidr_set *addresses = &tracked->placements[placement].addresses;
	for (size_t i = 0; i < addresses->count; i++) {
		const struct cidr *cidr = &addresses->entries[i].cidr;
		if (cidr->bits == 128 && address_is_public(&cidr->address) &&
		    cidr_set_add(&tracked->machines, cidr, (uint32_t)placement, err) < 0)
			return -1;
	}
	return 0;
}

int tracked_seal(struct tracked *tracked, struct sieve *sieve, struct error *err)
{
	if (tracked->keys != NULL &&
	    (tracked_keys_seal(tracked->keys, sieve, err) < 0 ||
	     tracked_keys_instances(tracked->keys, wants_instance, take_instance, tracked, err) < 0))
		return -1;
	if (tracked->placement_count > 0)
		qsort(tracked->placements, tracked->placement_count, sizeof(tracked->placements[0]), compare);
	for (size_t i = 0; i < tracked->placement_count; i++) {
		const char *id = tracked->placements[i].instance_id;
		struct tracked_instance *instance =
			&tracked->instances[map_find(&tracked->instance_index, id, strlen(id))];
		if (instance->placement_count++ == 0)
			instance->first_placement = (uint32_t)i;
		if (index_machines(tracked, i, err) < 0)
			return -1;
	}
	cidr_set_seal(&tracked->machines);
	return 0;
}

void tracked_done(struct tracked *tracked)
{
	for (size_t i = 0; i < tracked->placement_count; i++) {
		cidr_set_done(&tracked->placements[i].addresses);
		free(tracked->placements[i].owners);
	}
	cidr_set_done(&tracked->machines);
	free(tracked->placements);
	free(tracked->instances);
	tracked_keys_free(tracked->keys);
	map_done(&tracked->texts);
	map_done(&tracked->instance_index);
	*tracked = (struct tracked){0};
}

/* ---- looking up */

const struct tracked_key *tracked_key(const struct tracked *tracked, const char *id, struct tracked_room *room)
{
	return tracked->keys != NULL ? tracked_keys_find(tracked->keys, id, room) : NULL;
}

bool tracked_may_know(const struct tracked *tracked, const char *id, size_t length)
{
	return tracked->keys != NULL && tracked_keys_may_hold(tracked->keys, id, length);
}

int tracked_check(const struct tracked *tracked, struct error *err)
{
	return tracked->keys != NULL ? tracked_keys_check(tracked->keys, err) : 0;
}

const struct tracked_instance *tracked_instance(const struct tracked *tracked, const char *id, size_t length)
{
	uint32_t found = map_find(&tracked->instance_index, id, length);
	return found != MAP_NONE ? &tracked->instances[found] : NULL;
}

const struct placement *tracked_placements(const struct tracked *tracked, const char *instance_id, int64_t at_us,
                                           size_t *ret_count)
{
	*ret_count = 0;
	const struct tracked_instance *instance = tracked_instance(tracked, instance_id, strlen(instance_id));
	if (instance == NULL || instance->placement_count == 0)
		return NULL;
	const struct placement *all = &tracked->placements[instance->first_placement];
	size_t first = 0, last = 0;
	while (first + 1 < instance->placement_count && all[first].until_us != 0 &&
	       all[first].until_us + PLACEMENT_SLACK_US < at_us)
		first++;
	for (last = first; last + 1 < instance->placement_count && all[last + 1].from_us <= at_us + PLACEMENT_SLACK_US;)
		last++;
	*ret_count = last - first + 1;
	return &all[first];
}

const struct placement *tracked_machine(const struct tracked *tracked, const struct address *address, int64_t at_us,
                                        const char *except_instance)
{
	const struct placement *latest = NULL;
	const struct cidr_entry *entry = cidr_set_find(&tracked->machines, address);
	for (; entry != NULL; entry = cidr_set_parent(&tracked->machines, entry)) {
		const struct placement *placement = &tracked->placements[entry->value];
		bool is_then = placement->from_us - PLACEMENT_SLACK_US <= at_us &&
		               (placement->until_us == 0 || at_us <= placement->until_us + PLACEMENT_SLACK_US);
		if (is_then && strcmp(placement->instance_id, except_instance) != 0 &&
		    (latest == NULL || placement->from_us > latest->from_us))
			latest = placement;
	}
	return latest;
}

/* A time at which something begins or ends bounds what holds on its other side. */
static void bound(int64_t change_us, int64_t at_us, int64_t *from_us, int64_t *until_us)
{
	if (change_us <= at_us && change_us > *from_us)
		*from_us = change_us;
	if (change_us > at_us && change_us < *until_us)
		*until_us = change_us;
}

void tracked_placements_hold(const struct tracked *tracked, const char *instance_id, int64_t at_us,
                             int64_t *ret_from_us, int64_t *ret_until_us)
{
	const struct tracked_instance *instance = tracked_instance(tracked, instance_id, strlen(instance_id));
	*ret_from_us = INT64_MIN;
	*ret_until_us = INT64_MAX;
	for (size_t i = 0; instance != NULL && i < instance->placement_count; i++) {
		const struct placement *placement = &tracked->placements[instance->first_placement + i];
		bound(placement->from_us - PLACEMENT_SLACK_US, at_us, ret_from_us, ret_until_us);
		if (placement->until_us != 0) /* to the end of that microsecond */
			bound(placement->until_us + PLACEMENT_SLACK_US + 1, at_us, ret_from_us, ret_until_us);
	}
}
