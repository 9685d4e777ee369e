/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Statements of one connection that are asked again and again with other values: those used last are kept prepared. */
#define STATEMENTS_KEPT 12
struct statements {
	sqlite3_stmt *kept[STATEMENTS_KEPT]; /* none of them runs */
	size_t next;                         /* gives way when there is no room */
};

/* One on loan: of nobody else until it is returned. */
struct lent_statement {
	struct statements *from;
	sqlite3_stmt *sql;
};
void statements_return(struct lent_statement *lent);
#define CLEANUP_LENT CLEANUP(statements_return)

/* Without values, at its beginning; prepared if none of this text is kept. `what` names the connection in errors. */
MUST_USE int statements_lend(struct statements *from, sqlite3 *db, const char *text, const char *what,
                             struct lent_statement *ret, struct error *err);

/* Before the connection is closed, when all are back. */
void statements_done(struct statements *statements);
