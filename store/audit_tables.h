/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/audit.h"
#include "store/store.h"

/* What an audit looks at beside the links. Within the caller's transaction; a fault is noted, and no error. */

/* Tables, indices, views: are they exactly those of their version? Whoever can replace a view needs no row. */
MUST_USE int audit_schema(sqlite3 *db, const struct schema *schema, struct audit *audit, struct error *err);

/* The processes behind the rows, which the chain covers by their digests. */
MUST_USE int audit_digests(sqlite3 *db, struct audit *audit, struct error *err); /* only what they are */
MUST_USE int audit_processes(sqlite3 *db, struct audit *audit, struct error *err);

/* Where the chain begins: seq 0 and the genesis, or the last row that was pruned and its link. *ret_said (NULL: nobody
 * wants to know): a row of kind `prune` says the same, or nothing was pruned. */
MUST_USE int audit_start(sqlite3 *db, struct anchor *ret, bool *ret_said, struct error *err);
