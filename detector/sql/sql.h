/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"

/* The detector's join for engines that outgrow one machine: schema, load and query as text. What is the same for all is
 * written once (join.sql, nets.sql); what differs is a table of words (sql.c), and where things lie (one file an
 * engine). Evaluated are the rungs 0, 1, 2 and 4 to 7 by ledger, inventory and AWS's ranges, with the types InsideAWS,
 * OutsideAWS, OtherInstance and AfterExpiry; not derived keys, not what logs teach of addresses (docs/findings.md). */

enum sql_engine { SQL_CLICKHOUSE, SQL_ATHENA, SQL_DUCKDB, SQL_ENGINE_COUNT };
extern const char *const sql_engine_names[SQL_ENGINE_COUNT];

/* Where things lie: a path, a pattern or a URL that the engine reads; NULL: a name to be replaced. */
struct sql_options {
	enum sql_engine engine;
	const char *trail;     /* CloudTrail */
	const char *rows;      /* lines of ledgers */
	const char *ranges;    /* ip-ranges.json */
	const char *inventory; /* inventory.json, read now: it becomes part of the text; NULL: none */
};

/* Appends the text. ERROR_INPUT for an inventory that is not one, and for names that no literal may hold. */
MUST_USE int sql_write(const struct sql_options *options, struct buffer *to, struct error *err);
