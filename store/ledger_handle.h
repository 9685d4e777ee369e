/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/ledger.h"
#include "store/snapshot.h"

/* What is behind a ledger's handle, for the other files that read ledgers. */
struct ledger {
	sqlite3 *db;
	char *path;
	struct snapshot *snapshot; /* the private copy being read, or NULL */
	bool is_merged;            /* many machines' (store/merged_sql.h): rows have an `origin` */
	bool is_loose; /* made of lines that shippers carried away: rows may lack their place in the chain */
	sqlite3_stmt *actor_by_digest, *digest_of_exe; /* ?1, and in merged ledgers ?2: the origin */
};

/* Borrowed. */
sqlite3 *ledger_database(struct ledger *ledger);
const char *ledger_path(const struct ledger *ledger);

/* `head` WHERE what the filter says, then `tail`: what the lists of deliveries, keys and processes ask. */
MUST_USE int ledger_prepare(struct ledger *ledger, const char *head, const struct ledger_filter *filter,
                            const char *tail, sqlite3_stmt **ret, struct error *err);

/* Does the filter let everything through? */
bool ledger_asks_for_all(const struct ledger_filter *filter);
