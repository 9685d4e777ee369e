/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/import.h"

/* What the files of the importer share; no other includes this. */

enum import_sql {
	IMPORT_ORIGIN_FIND,
	IMPORT_ORIGIN_ADD,
	IMPORT_ORIGIN_INSTANCE,
	IMPORT_INSTANCE_ADD,
	IMPORT_ROW_FIND,
	IMPORT_ROW_ADD,
	IMPORT_HOLDER,
	IMPORT_ACTOR_FIND,
	IMPORT_ACTOR_ADD,
	IMPORT_KEY,
	IMPORT_SEGMENT_AT,
	IMPORT_SEGMENT_NEXT,
	IMPORT_SEGMENT_JOIN,
	IMPORT_SEGMENT_DROP,
	IMPORT_SEGMENT_ADD,
	IMPORT_BEGUN,
	IMPORT_ENDED,
	IMPORT_FIRST,
	IMPORT_PRUNED_BY,
	IMPORT_COVERAGE_ROWS,
	IMPORT_HAS_HOLE,
	IMPORT_GAP_DROP,
	IMPORT_GAP_ADD,
	IMPORT_COVERED_FIRST,
	IMPORT_COVERED_LAST,
	IMPORT_COVERED,
	IMPORT_CARRIED,
	IMPORT_SQL_COUNT
};

struct importer {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *statements[IMPORT_SQL_COUNT];
};

/* Prepares all of them. */
MUST_USE int import_prepare(struct importer *importer, struct error *err);

/* Binds nothing; runs to the end. *ret (NULL: nobody wants to know): the first column of the first row; 0: no row. */
MUST_USE int import_run(struct importer *importer, enum import_sql which, int64_t *ret, struct error *err);

/* The machine's ledger by its id, made if it is new. */
MUST_USE int import_origin(struct importer *importer, const char *ledger_id, int64_t *ret, struct error *err);

/* Inserts a row with its processes and what is kept of its key. */
MUST_USE int import_row(struct importer *importer, int64_t origin, int64_t import, const struct line *line,
                        struct error *err);

/* Rows `first` to `last` are there, and connected with their neighbours as far as those are there; `before` is the link
 * in front of the first (NULL: not known). Brings segments and coverage up to date. */
MUST_USE int import_connect(struct importer *importer, int64_t origin, int64_t first, int64_t last,
                            const uint8_t *before, struct error *err);
