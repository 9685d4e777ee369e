/* SPDX-License-Identifier: Apache-2.0 */

/* What people say is theirs. A wrong inventory hides a theft or accuses the innocent, so everything unknown, unreadable
 * or contradictory is refused by name. Private prefixes may stand in several accounts, as they do in life; they never
 * say whose a machine is, only whether it may be at home. */
#include "detector/inventory.h"

#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "detector/event.h"
#include "detector/map.h"

#define NARROWEST_V4 (96 + 8) /* wider prefixes are a slip, not a network */
#define NARROWEST_V6 16
#define USES 4 /* values in the set of prefixes: account * USES + enum inventory_use */

struct inventory {
	struct inventory_account *accounts;
	size_t count;
	struct map by_id, by_name; /* account id, endpoint or VPC -> index */
	struct map trusted_names;  /* endpoints */
	struct cidr_set prefixes, trusted;
	struct suppressions suppressions;
};

/* ---- reading */

MUST_USE static int read_prefix(const char *text, struct cidr *ret, struct error *err)
{
	if (!cidr_parse(text, ret))
		return error_set(err, ERROR_INPUT, "\"%.60s\": expected an address or a prefix such as 192.0.2.0/24",
		                 text);
	bool is_v4 = strchr(text, ':') == NULL;
	if (ret->bits < (is_v4 ? NARROWEST_V4 : NARROWEST_V6))
		return error_set(err, ERROR_INPUT, "\"%.60s\": wider than any one account's network", text);
	return 0;
}

MUST_USE static int add_prefix(struct inventory *inventory, size_t account, int use, const char *text,
                               struct error *err)
{
	struct cidr cidr;
	if (read_prefix(text, &cidr, err) < 0)
		return -1;
	return cidr_set_add(&inventory->prefixes, &cidr, (uint32_t)(account * USES + (size_t)use), err);
}

MUST_USE static int read_name(const char *prefix, const char *text, struct error *err)
{
	const char *digits = text + strlen(prefix);
	if (text_starts(text, prefix) && strspn(digits, "0123456789abcdef") == strlen(digits) &&
	    (strlen(digits) == 8 || strlen(digits) == 17))
		return 0;
	return error_set(err, ERROR_INPUT, "\"%.60s\": expected %s and 8 or 17 hexadecimal digits", text, prefix);
}

MUST_USE static int add_name(struct inventory *inventory, size_t account, const char *prefix, const char *text,
                             struct error *err)
{
	struct map_entry entry;
	if (read_name(prefix, text, err) < 0 ||
	    map_add(&inventory->by_name, text, strlen(text), (uint32_t)account, &entry, err) < 0)
		return -1;
	if (entry.value != account)
		return error_set(err, ERROR_INPUT, "%s belongs to two accounts: %s and %s", text,
		                 inventory->accounts[entry.value].id, inventory->accounts[account].id);
	return 0;
}

static const struct list {
	const char *name;
	const char *prefix; /* of names; NULL: addresses */
	int use;
} lists[] = {
	{"egress", NULL, INVENTORY_EGRESS},
	{"networks", NULL, INVENTORY_NETWORK},
	{"addresses", NULL, INVENTORY_ADDRESS},
	{"endpoints", "vpce-", 0},
	{"vpcs", "vpc-", 0},
};

MUST_USE static int read_list(struct inventory *inventory, size_t account, const struct list *list,
                              const json_t *values, struct error *err)
{
	if (!json_is_array(values) && !json_is_null(values))
		return error_set(err, ERROR_INPUT, "%s: expected a list", list->name);
	for (size_t i = 0; i < json_array_size(values); i++) {
		const char *text = json_string_value(json_array_get(values, i));
		int result = text == NULL           ? error_set(err, ERROR_INPUT, "entry %zu: expected a string", i + 1)
		             : list->prefix == NULL ? add_prefix(inventory, account, list->use, text, err)
		                                    : add_name(inventory, account, list->prefix, text, err);
		if (result < 0)
			return error_prefix(err, "%s", list->name);
	}
	return 0;
}

MUST_USE static int read_member(struct inventory *inventory, size_t account, const char *name, const json_t *value,
                                struct error *err)
{
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		if (strcmp(lists[i].name, name) == 0)
			return read_list(inventory, account, &lists[i], value, err);
	if (strcmp(name, "account_id") == 0)
		return 0;
	if (strcmp(name, "name") != 0)
		return error_set(err, ERROR_INPUT, "%.60s: unknown member", name);
	if (!json_is_string(value) && !json_is_null(value))
		return error_set(err, ERROR_INPUT, "name: expected a string");
	if (json_is_string(value))
		(void)text_copy(inventory->accounts[account].name, sizeof(inventory->accounts[account].name),
		                json_string_value(value));
	return 0;
}

MUST_USE static int read_account(struct inventory *inventory, const json_t *object, bool is_own, struct error *err)
{
	const char *id = json_text_at(object, "account_id"), *name;
	json_t *value;
	struct map_entry entry;
	size_t account = inventory->count;
	if (id == NULL || !event_is_account(id))
		return error_set(err, ERROR_INPUT, "account_id: expected a string of 12 digits");
	struct inventory_account *grown = reallocarray(inventory->accounts, account + 1, sizeof(*grown));
	if (grown == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for accounts");
	inventory->accounts = grown;
	grown[account] = (struct inventory_account){.is_own = is_own};
	(void)text_copy(grown[account].id, sizeof(grown[account].id), id);
	inventory->count++;
	if (map_add(&inventory->by_id, id, strlen(id), (uint32_t)account, &entry, err) < 0)
		return -1;
	if (entry.value != account)
		return error_set(err, ERROR_INPUT, "account %s stands in it twice", id);

	json_t *members = (json_t *)(uintptr_t)object; /* jansson iterates over what it takes as changeable */
	json_object_foreach (members, name, value)
		if (read_member(inventory, account, name, value, err) < 0)
			return error_prefix(err, "account %s", id);
	return 0;
}

MUST_USE static int read_accounts(struct inventory *inventory, const json_t *list, bool is_own, struct error *err)
{
	const char *name = is_own ? "own" : "affiliated";
	if (list != NULL && !json_is_array(list))
		return error_set(err, ERROR_INPUT, "%s: expected a list of accounts", name);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (read_account(inventory, json_array_get(list, i), is_own, err) < 0)
			return error_prefix(err, "%s, entry %zu", name, i + 1);
	return 0;
}

/* An endpoint's id, an address or a prefix. */
MUST_USE static int add_trusted(struct inventory *inventory, const char *text, struct error *err)
{
	struct cidr cidr;
	struct map_entry entry;
	if (text_starts(text, "vpce-"))
		return read_name("vpce-", text, err) < 0
		               ? -1
		               : map_add(&inventory->trusted_names, text, strlen(text), 0, &entry, err);
	if (read_prefix(text, &cidr, err) < 0)
		return -1;
	return cidr_set_add(&inventory->trusted, &cidr, 0, err);
}

MUST_USE static int read_trusted(struct inventory *inventory, const json_t *list, struct error *err)
{
	if (list != NULL && !json_is_array(list))
		return error_set(err, ERROR_INPUT, "trusted_egress: expected a list");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (add_trusted(inventory, text != NULL ? text : "", err) < 0)
			return error_prefix(err, "trusted_egress");
	}
	return 0;
}

/* One public address, one owner. */
MUST_USE static int check_owners(const struct inventory *inventory, struct error *err)
{
	for (size_t i = 0; i < inventory->prefixes.count; i++) {
		const struct cidr_entry *entry = &inventory->prefixes.entries[i];
		const struct cidr_entry *wider = cidr_set_parent(&inventory->prefixes, entry);
		char text[CIDR_MAX_BYTES], wider_text[CIDR_MAX_BYTES];
		if (wider == NULL || entry->value / USES == wider->value / USES ||
		    !address_is_public(&entry->cidr.address))
			continue;
		return error_set(err, ERROR_INPUT, "overlapping owners: %s of account %s lies in %s of account %s",
		                 cidr_format(&entry->cidr, text), inventory->accounts[entry->value / USES].id,
		                 cidr_format(&wider->cidr, wider_text), inventory->accounts[wider->value / USES].id);
	}
	return 0;
}

MUST_USE static int read_file(struct inventory *inventory, const char *path, struct error *err)
{
	static const char *const known[] = {"own", "affiliated", "trusted_egress", "suppressions"};
	CLEANUP_JSON json_t *file = NULL;
	const char *name;
	json_t *value;
	if (json_read_file(path, &file, err) < 0)
		return -1;
	if (!json_is_object(file))
		return error_set(err, ERROR_INPUT,
		                 "%s: expected an object with own, affiliated, trusted_egress, suppressions", path);
	json_object_foreach (file, name, value)
		if (name_index(known, ARRAY_LENGTH(known), name) < 0)
			return error_set(err, ERROR_INPUT, "%s: %.60s: unknown member", path, name);
	if (read_accounts(inventory, json_at(file, "own"), true, err) < 0 ||
	    read_accounts(inventory, json_at(file, "affiliated"), false, err) < 0 ||
	    read_trusted(inventory, json_at(file, "trusted_egress"), err) < 0 ||
	    suppressions_read(json_at(file, "suppressions"), &inventory->suppressions, err) < 0)
		return error_prefix(err, "%s", path);
	cidr_set_seal(&inventory->prefixes);
	cidr_set_seal(&inventory->trusted);
	if (check_owners(inventory, err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

int inventory_open(const char *path, struct inventory **ret, struct error *err)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));
	if (inventory == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for an inventory");
	if (path != NULL && read_file(inventory, path, err) < 0) {
		inventory_free(inventory);
		return -1;
	}
	*ret = inventory;
	return 0;
}

void inventory_free(struct inventory *inventory)
{
	if (inventory == NULL)
		return;
	map_done(&inventory->by_id);
	map_done(&inventory->by_name);
	map_done(&inventory->trusted_names);
	cidr_set_done(&inventory->prefixes);
	cidr_set_done(&inventory->trusted);
	suppressions_done(&inventory->suppressions);
	free(inventory->accounts);
	free(inventory);
}

/* ---- looking up */

static const struct inventory_account *find(const struct inventory *inventory, const struct map *map, const char *text)
{
	uint32_t found = map_find(map, text, strlen(text));
	return found != MAP_NONE ? &inventory->accounts[found] : NULL;
}

const struct inventory_account *inventory_account(const struct inventory *inventory, const char *account_id)
{
	return find(inventory, &inventory->by_id, account_id);
}

const struct inventory_account *inventory_endpoint(const struct inventory *inventory, const char *endpoint_id)
{
	return find(inventory, &inventory->by_name, endpoint_id);
}

const struct inventory_account *inventory_owner(const struct inventory *inventory, const struct address *address)
{
	const struct cidr_entry *entry = NULL;
	if (address_is_public(address))
		entry = cidr_set_find(&inventory->prefixes, address);
	return entry != NULL ? &inventory->accounts[entry->value / USES] : NULL;
}

bool inventory_use(const struct inventory *inventory, const char *account_id, const struct address *address,
                   enum inventory_use *ret)
{
	const struct cidr_entry *entry = cidr_set_find(&inventory->prefixes, address);
	for (; entry != NULL; entry = cidr_set_parent(&inventory->prefixes, entry))
		if (strcmp(inventory->accounts[entry->value / USES].id, account_id) == 0) {
			*ret = (enum inventory_use)(entry->value % USES);
			return true;
		}
	return false;
}

bool inventory_is_trusted(const struct inventory *inventory, const struct address *address)
{
	return cidr_set_find(&inventory->trusted, address) != NULL;
}

bool inventory_is_trusted_endpoint(const struct inventory *inventory, const char *endpoint_id)
{
	return map_find(&inventory->trusted_names, endpoint_id, strlen(endpoint_id)) != MAP_NONE;
}

const struct suppressions *inventory_suppressions(const struct inventory *inventory)
{
	return &inventory->suppressions;
}
