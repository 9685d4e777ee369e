/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/ledger.h"

/* Single keys of a ledger, for whoever cannot hold all of them: what `ledger_keys` says of one, by an index, whatever
 * the ledger's size. On a connection of its own, so it may be asked while another thread reads through `ledger`, which
 * must stay open. One thread at a time. */
struct ledger_lookup;

MUST_USE int ledger_lookup_open(struct ledger *ledger, struct ledger_lookup **ret, struct error *err);
/* NULL is fine. */
void ledger_lookup_close(struct ledger_lookup *lookup);

/* Of the database as it lies; 0: not known. */
uint64_t ledger_lookup_bytes(const struct ledger_lookup *lookup);

/* What is known of a key that was handed out. Texts are lent until the next question, NULL where unknown; times are
 * microseconds, 0 where unknown. */
struct ledger_key {
	const char *role, *instance_id, *host_account_id, *region;
	int64_t expires_at_us, first_delivered_us;
};

/* Not known: *ret_known false. */
MUST_USE int ledger_lookup_key(struct ledger_lookup *lookup, const char *id, struct ledger_key *ret, bool *ret_known,
                               struct error *err);

/* Each key that was handed out, by its id alone; in a machine's own ledger also those that were always refused. Reads
 * ids, and no rows. */
typedef int ledger_lookup_visit_id(void *context, const char *id, struct error *err);
MUST_USE int ledger_lookup_ids(struct ledger_lookup *lookup, ledger_lookup_visit_id *visit, void *context,
                               struct error *err);

/* Each instance that a key was handed out on, by such a key, some more than once. Those that are not wanted may be left
 * out, which is cheaper. */
struct ledger_lookup_visitor {
	bool (*is_wanted)(void *context, const char *instance_id);
	int (*instance)(void *context, const struct ledger_key *by, struct error *err);
	void *context;
};
MUST_USE int ledger_lookup_instances(struct ledger_lookup *lookup, const struct ledger_lookup_visitor *visitor,
                                     struct error *err);
