/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/audit.h"
#include "store/store.h"

/* Rows (seq) of which table `holder` does not say what they say themselves. */
#define AUDIT_HOLDERS_SAID                                                                                             \
	"SELECT r.seq AS seq, j.value AS hex FROM record r, json_each(r.body,'$.holders') j WHERE r.kind='delivery'"   \
	" AND j.value IS NOT NULL AND j.value IS NOT json_extract(r.body,'$.process')"
#define AUDIT_HOLDERS_KEPT                                                                                             \
	"SELECT h.record AS seq, lower(hex(a.digest)) AS hex FROM holder h LEFT JOIN actor a ON a.id=h.actor"
#define AUDIT_HOLDERS                                                                                                  \
	"SELECT seq FROM (" AUDIT_HOLDERS_SAID " EXCEPT " AUDIT_HOLDERS_KEPT ") UNION ALL SELECT seq FROM "            \
	"(" AUDIT_HOLDERS_KEPT " EXCEPT " AUDIT_HOLDERS_SAID ")"

/* What an audit looks at beside the links. Within the caller's transaction; a fault is noted, and no error. */

/* Tables, indices, views: are they exactly those of their version? Whoever can replace a view needs no row. */
MUST_USE int audit_schema(sqlite3 *db, const struct schema *schema, struct audit *audit, struct error *err);

/* The processes behind the rows, which the chain covers by their digests. */
MUST_USE int audit_digests(sqlite3 *db, struct audit *audit, struct error *err); /* only what they are */
MUST_USE int audit_processes(sqlite3 *db, struct audit *audit, struct error *err);

/* Where the chain begins: seq 0 and the genesis, or the last row that was pruned and its link. *ret_said (NULL: nobody
 * wants to know): a row of kind `prune` says the same, or nothing was pruned. */
MUST_USE int audit_start(sqlite3 *db, struct anchor *ret, bool *ret_said, struct error *err);
