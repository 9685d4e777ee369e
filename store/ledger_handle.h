/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/ledger.h"
#include "store/snapshot.h"
#include "store/statements.h"

/* What is behind a ledger's handle, for the other files that read ledgers. */
struct ledger {
	sqlite3 *db;
	char *path;
	struct snapshot *snapshot; /* the private copy being read, or NULL */
	bool is_merged;            /* many machines' (store/merged_sql.h): rows have an `origin` */
	bool is_loose; /* made of lines that shippers carried away: rows may lack their place in the chain */
	sqlite3_stmt *actor_by_digest, *digest_of_exe; /* ?1, and in merged ledgers ?2: the origin */
	struct statements lent;                        /* the others */
};

/* Borrowed. */
sqlite3 *ledger_database(struct ledger *ledger);
const char *ledger_path(const struct ledger *ledger);

/* `head` FROM the deliveries that the filter lets through, then `tail`. What it says of a process must hold of one that
 * held the socket, whether or not it is the first. */
MUST_USE int ledger_prepare(struct ledger *ledger, const char *head, const struct ledger_filter *filter,
                            const char *tail, struct lent_statement *ret, struct error *err);

/* The same for lists of processes: a delivery comes once for each that held the socket, with only these `columns`, of
 * which `actor` and what the view takes from the process are that one's. */
MUST_USE int ledger_prepare_each(struct ledger *ledger, const char *head, const char *columns,
                                 const struct ledger_filter *filter, const char *tail, struct lent_statement *ret,
                                 struct error *err);

/* Did several processes hold the socket of any row? Nobody did, mostly, and older ledgers do not say: then queries stay
 * simple. */
bool ledger_has_holders(const struct ledger *ledger);

/* Does the filter let everything through? */
bool ledger_asks_for_all(const struct ledger_filter *filter);
