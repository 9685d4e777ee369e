/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "store/coverage.h"
#include "store/ledger_handle.h"

/* Coverage in a merged ledger, for store/ledger_coverage.c. An instance may have
 * several ledgers there, one after the other; it is covered where one of them says so. Gaps are `struct coverage_gap`.
 */

/* NULL: no instance; the only machine of the ledger, or nothing is covered. */
MUST_USE int merged_gaps(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us,
                         struct buffer *to, struct error *err);

/* instance_id NULL: the ledger does not say, and `ledger_id` stands for the machine. */
typedef int merged_visit(void *context, const char *instance_id, const char *ledger_id, const struct buffer *gaps,
                         struct error *err);
MUST_USE int merged_uncovered(struct ledger *ledger, int64_t from_us, int64_t until_us, int64_t *ret_machines,
                              merged_visit *visit, void *context, struct error *err);

/* A row of coverage with its number in its machine's ledger. From the columns number, time, body; what makes no sense
 * covers nothing. */
struct merged_row {
	int64_t seq;
	struct coverage_row row;
};
struct merged_row merged_row_read(sqlite3_stmt *from);

/* A query for rows of one machine and one kind says so too, or SQLite does not see that index record_of_kind serves. */
#define MERGED_RARE "NOT IN ('delivery','outcome')"

/* What was in force on machine ?1 when the rows before its first were forgotten, from that row on: its number and time,
 * and the coverage. */
#define MERGED_CARRIED_SQL                                                                                             \
	"SELECT f.origin_seq, f.at, json_extract(r.body,'$.coverage') FROM origin o JOIN record r ON "                 \
	"r.seq=o.pruned_by"                                                                                            \
	" JOIN record f ON f.origin=o.id AND f.origin_seq=(SELECT min(first) FROM segment WHERE origin=o.id)"          \
	" WHERE o.id=?1 AND json_extract(r.body,'$.coverage') IS NOT NULL"
