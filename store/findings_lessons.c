/* SPDX-License-Identifier: Apache-2.0 */

/* What the detector learned in one run and wants to know in the next: rows of its own making, each once. They become
 * part of the file with the run's findings, or not at all. */
#include <string.h>

#include "store/findings_handle.h"
#include "store/store.h"

static void cleanup_statement(sqlite3_stmt **statement)
{
	(void)sqlite3_finalize(*statement);
}
#define CLEANUP_STATEMENT CLEANUP(cleanup_statement)

MUST_USE static int prepare(struct findings *findings, const char *sql, const char *kind, sqlite3_stmt **ret,
                            struct error *err)
{
	sqlite3 *db = findings_database(findings);
	if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(*ret, 1, kind, -1, SQLITE_STATIC) != SQLITE_OK)
		return store_error(db, "findings", err);
	return 0;
}

int findings_lesson_put(struct findings *findings, const char *kind, const json_t *body, int64_t at_us,
                        struct error *err)
{
	CLEANUP_FREE char *text = json_line(body);
	if (text == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for what was learned");
	return findings_put_lesson(findings, kind, text, at_us, err);
}

MUST_USE static int each(struct findings *findings, const char *sql, const char *kind, ledger_visit *visit,
                         void *context, struct error *err)
{
	CLEANUP_STATEMENT sqlite3_stmt *rows = NULL;
	int code = SQLITE_ERROR, result = 0;
	if (prepare(findings, sql, kind, &rows, err) < 0)
		return -1;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		CLEANUP_JSON json_t *body = NULL;
		result = findings_read_row(rows, 0, &body, err);
		if (result == 0)
			result = visit(context, body, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		return store_error(findings_database(findings), "findings", err);
	return result;
}

int findings_lessons(struct findings *findings, const char *kind, ledger_visit *visit, void *context, struct error *err)
{
	return each(findings, "SELECT body FROM main.lesson WHERE kind=?1", kind, visit, context, err);
}

int findings_lessons_of_others(struct findings *findings, const char *kind, ledger_visit *visit, void *context,
                               struct error *err)
{
	return each(findings,
	            "SELECT body FROM main.lesson WHERE kind=?1 AND body NOT IN"
	            " (SELECT body FROM temp.run_lesson WHERE kind=?1)",
	            kind, visit, context, err);
}

int findings_lessons_trim(struct findings *findings, const char *kind, int most, struct error *err)
{
	CLEANUP_STATEMENT sqlite3_stmt *trim = NULL;
	if (prepare(findings,
	            "DELETE FROM temp.run_lesson WHERE kind=?1 AND (at, body) < (SELECT at, body FROM temp.run_lesson"
	            " WHERE kind=?1 ORDER BY at DESC, body DESC LIMIT 1 OFFSET ?2 - 1)",
	            kind, &trim, err) < 0)
		return -1;
	(void)sqlite3_bind_int(trim, 2, most);
	return sqlite3_step(trim) == SQLITE_DONE ? 0 : store_error(findings_database(findings), "findings", err);
}
