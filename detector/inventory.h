/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/cidr.h"
#include "detector/suppress.h"
#include "store/model.h"

/* inventory.json: which accounts, addresses and endpoints are ours. Its form stands in docs/findings.md. Read-only once
 * made; safe from any thread. */
struct inventory;

#define INVENTORY_DEFAULT_PATH "/etc/keytrail/inventory.json"

struct inventory_account {
	char id[ACCOUNT_BYTES];
	char name[64];
	bool is_own; /* else affiliated */
};

/* What an address is to the account that it belongs to. */
enum inventory_use {
	INVENTORY_EGRESS,  /* NAT gateways and proxies: any of its machines may leave by it */
	INVENTORY_NETWORK, /* ranges that its machines as a whole leave by */
	INVENTORY_ADDRESS, /* of single machines */
};

/* `path` NULL: an empty inventory. Unknown members, addresses or endpoints of two owners and whatever cannot be read
 * are ERROR_INPUT, naming what and where. */
MUST_USE int inventory_open(const char *path, struct inventory **ret, struct error *err);
void inventory_free(struct inventory *inventory);

/* All lookups: NULL or false where the inventory does not say. */
const struct inventory_account *inventory_account(const struct inventory *inventory, const char *account_id);
const struct inventory_account *inventory_endpoint(const struct inventory *inventory, const char *endpoint_id);

/* The account that a public address belongs to, by its longest prefix. */
const struct inventory_account *inventory_owner(const struct inventory *inventory, const struct address *address);

/* What the address, public or not, is to this account. */
MUST_USE bool inventory_use(const struct inventory *inventory, const char *account_id, const struct address *address,
                            enum inventory_use *ret);

/* Egress that everybody may use: addresses on premises, a hub's addresses and endpoints. */
bool inventory_is_trusted(const struct inventory *inventory, const struct address *address);
bool inventory_is_trusted_endpoint(const struct inventory *inventory, const char *endpoint_id);

/* Which findings are known and not to be counted. */
const struct suppressions *inventory_suppressions(const struct inventory *inventory);
