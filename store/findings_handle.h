/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/findings.h"
#include "store/statements.h"

/* What is behind a handle on findings, for other files of this layer. Borrowed. */
sqlite3 *findings_database(struct findings *findings);

/* A statement that may be wanted for the next finding as well. */
MUST_USE int findings_lend(struct findings *findings, const char *sql, struct lent_statement *ret, struct error *err);

/* A column that holds JSON. New reference. */
MUST_USE int findings_read_row(sqlite3_stmt *row, int column, json_t **ret, struct error *err);

/* A lesson of this run's: `body` is a line of JSON. */
MUST_USE int findings_put_lesson(struct findings *findings, const char *kind, const char *body, int64_t at_us,
                                 struct error *err);
