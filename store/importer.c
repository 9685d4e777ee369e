/* SPDX-License-Identifier: Apache-2.0 */

/* The merged ledger's file, what is missing in it, and lines that are taken as they come. */
#include <string.h>

#include "common/clock.h"
#include "store/import_parts.h"
#include "store/lines.h"
#include "store/store.h"

int importer_open(const char *path, struct importer **ret, struct error *err)
{
	struct importer *importer = calloc(1, sizeof(*importer));
	if (importer == NULL || (importer->path = strdup(path)) == NULL) {
		importer_close(importer);
		return error_set(err, ERROR_MEMORY, "no memory for a merged ledger");
	}
	if (store_open_write(path, &merged_schema, &importer->db, err) < 0 ||
	    store_exec(importer->db, "PRAGMA cache_size=-131072; PRAGMA wal_autocheckpoint=16384", err) < 0 ||
	    import_prepare(importer, err) < 0) {
		importer_close(importer);
		return -1;
	}
	*ret = importer;
	return 0;
}

void importer_close(struct importer *importer)
{
	if (importer == NULL)
		return;
	for (int i = 0; i < IMPORT_SQL_COUNT; i++)
		(void)sqlite3_finalize(importer->statements[i]);
	/* The WAL stays beside the file (readers need no right to write), and each reader would have to go through it.
	 */
	if (importer->db != NULL)
		(void)sqlite3_wal_checkpoint_v2(importer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	store_close(importer->db);
	free(importer->path);
	free(importer);
}

/* ---- what is missing */

static const char missing_sql[] = "SELECT o.ledger_id, o.instance_id, coalesce(lag(s.last) OVER (PARTITION BY s.origin "
				  "ORDER BY s.first),0)+1 AS gap_from,"
				  " s.first-1 AS gap_to, o.pruned_by IS NOT NULL AND lag(s.last) OVER (PARTITION BY "
				  "s.origin ORDER BY s.first) IS NULL"
				  " AS is_pruned FROM segment s JOIN origin o ON o.id=s.origin ORDER BY o.id, s.first";

int importer_missing(struct importer *importer, ledger_visit *visit, void *context, struct error *err)
{
	sqlite3_stmt *rows = NULL;
	int code, result = 0;
	if (sqlite3_prepare_v2(importer->db, missing_sql, -1, &rows, NULL) != SQLITE_OK)
		return store_error(importer->db, importer->path, err);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		int64_t first = sqlite3_column_int64(rows, 2), last = sqlite3_column_int64(rows, 3);
		if (first > last || sqlite3_column_int(rows, 4) != 0)
			continue;
		CLEANUP_JSON json_t *object = json_object();
		json_put_text(object, "ledger_id", (const char *)sqlite3_column_text(rows, 0));
		json_put_text(object, "instance_id", (const char *)sqlite3_column_text(rows, 1));
		json_put_int(object, "first_seq", first);
		json_put_int(object, "last_seq", last);
		result = visit(context, object, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(importer->db, importer->path, err);
	(void)sqlite3_finalize(rows);
	return result;
}

/* ---- lines as they come */

/* Whose lines they are when they do not say: one machine's. */
#define NO_LEDGER "unknown"

struct loose {
	struct importer *importer;
	sqlite3_stmt *seen, *placed, *runs;
	int64_t import;
	struct error *err;
};

/* Is this the first time that the row comes? */
MUST_USE static int is_new(const struct loose *loose, int64_t origin, const struct line *line, bool *ret)
{
	(void)sqlite3_bind_int64(loose->seen, 1, origin);
	(void)sqlite3_bind_text(loose->seen, 2, line->packed.id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(loose->seen, 3, line->seq);
	int code = sqlite3_step(loose->seen);
	*ret = sqlite3_changes(loose->importer->db) > 0;
	(void)sqlite3_reset(loose->seen);
	return code == SQLITE_DONE ? 0 : store_error(loose->importer->db, loose->importer->path, loose->err);
}

/* A row that came without its place, and again with it: journalled first. */
MUST_USE static int put_in_place(const struct loose *loose, int64_t origin, const struct line *line)
{
	if (line->seq == 0 || !line->has_link)
		return 0;
	(void)sqlite3_bind_int64(loose->placed, 1, origin);
	(void)sqlite3_bind_text(loose->placed, 2, line->packed.id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(loose->placed, 3, line->seq);
	(void)sqlite3_bind_blob(loose->placed, 4, line->link, DIGEST_BYTES, SQLITE_STATIC);
	int code = sqlite3_step(loose->placed);
	(void)sqlite3_reset(loose->placed);
	return code == SQLITE_DONE ? 0 : store_error(loose->importer->db, loose->importer->path, loose->err);
}

MUST_USE static int take_one(const struct loose *loose, const char *text, size_t length)
{
	CLEANUP_LINE struct line line = {0};
	int64_t origin = 0;
	bool fresh = false;
	if (line_take(text, length, &line, loose->err) < 0 || line_check(&line, loose->err) < 0)
		return -1;
	if (line.what != LINE_ROW)
		return 0;
	if (import_origin(loose->importer, line.ledger_id[0] != '\0' ? line.ledger_id : NO_LEDGER, &origin,
	                  loose->err) < 0 ||
	    is_new(loose, origin, &line, &fresh) < 0)
		return -1;
	return fresh ? import_row(loose->importer, origin, loose->import, &line, loose->err)
	             : put_in_place(loose, origin, &line);
}

MUST_USE static int take_all(const struct loose *loose, struct lines *lines)
{
	enum lines_what what;
	const char *text;
	size_t length;
	for (bool has_any = false;; has_any = true) {
		if (lines_next(lines, &what, &text, &length, loose->err) < 0)
			return -1;
		if (what == LINES_END)
			return has_any ? 0 : error_set(loose->err, ERROR_INPUT, "no row of a ledger in it");
		if (what == LINES_TOO_LONG)
			return error_set(loose->err, ERROR_INPUT, "line %lld: longer than %d bytes",
			                 (long long)lines_number(lines), LINE_BYTES_MAX);
		if (take_one(loose, text, length) == 0)
			continue;
		if (what == LINES_CUT && loose->err->code == ERROR_INPUT && has_any)
			return 0; /* it is being written, or the shipper stopped there */
		return loose->err->code == ERROR_INPUT
		               ? error_prefix(loose->err, "line %lld", (long long)lines_number(lines))
		               : -1;
	}
}

/* Runs of numbers without a gap. */
MUST_USE static int connect_runs(const struct loose *loose)
{
	int code, result = 0;
	while (result == 0 && (code = sqlite3_step(loose->runs)) == SQLITE_ROW)
		result = import_connect(loose->importer, sqlite3_column_int64(loose->runs, 0),
		                        sqlite3_column_int64(loose->runs, 1), sqlite3_column_int64(loose->runs, 2),
		                        NULL, loose->err);
	return result < 0 || code == SQLITE_DONE ? result
	                                         : store_error(loose->importer->db, loose->importer->path, loose->err);
}

MUST_USE static int begin_loose(struct loose *loose, const char *name)
{
	sqlite3 *db = loose->importer->db;
	sqlite3_stmt *begun = loose->importer->statements[IMPORT_BEGUN];
	/* It is thrown away when it was read: nothing needs to last. */
	if (store_exec(db,
	               "PRAGMA synchronous=OFF; CREATE TEMP TABLE seen(origin, id TEXT, seq, PRIMARY KEY(origin, id)) "
	               "WITHOUT"
	               " ROWID; CREATE UNIQUE INDEX temp.seen_by_seq ON seen(origin, seq) WHERE seq>0; BEGIN IMMEDIATE",
	               loose->err) < 0)
		return -1;
	if (sqlite3_prepare_v2(db, "INSERT OR IGNORE INTO seen VALUES(?1,?2,?3)", -1, &loose->seen, NULL) !=
	            SQLITE_OK ||
	    sqlite3_prepare_v2(
		    db,
		    "UPDATE record SET origin_seq=?3, chain=?4 WHERE origin=?1 AND origin_seq IS NULL AND id=?2"
		    " AND NOT EXISTS(SELECT 1 FROM record WHERE origin=?1 AND origin_seq=?3)",
		    -1, &loose->placed, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(
		    db,
		    "SELECT origin, min(origin_seq), max(origin_seq) FROM (SELECT origin, origin_seq, origin_seq-"
		    "row_number() OVER (PARTITION BY origin ORDER BY origin_seq) AS run FROM record WHERE"
		    " origin_seq IS NOT NULL) GROUP BY origin, run ORDER BY 1, 2",
		    -1, &loose->runs, NULL) != SQLITE_OK)
		return store_error(db, loose->importer->path, loose->err);
	(void)sqlite3_bind_text(begun, 1, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(begun, 2, clock_now_us());
	if (import_run(loose->importer, IMPORT_BEGUN, NULL, loose->err) < 0)
		return -1;
	loose->import = sqlite3_last_insert_rowid(db);
	return 0;
}

int importer_take_loose(struct importer *importer, const char *name, int fd, struct error *err)
{
	struct error problem = {0};
	struct loose loose = {.importer = importer, .err = &problem};
	struct lines *lines = NULL;
	int result = lines_new(fd, &lines, &problem);
	if (result == 0)
		result = begin_loose(&loose, name);
	if (result == 0)
		result = take_all(&loose, lines);
	if (result == 0)
		result = connect_runs(&loose);
	(void)sqlite3_finalize(loose.seen);
	(void)sqlite3_finalize(loose.placed);
	(void)sqlite3_finalize(loose.runs);
	if (result == 0)
		result = store_exec(importer->db, "COMMIT", &problem);
	lines_free(lines);
	return result < 0 ? error_set(err, problem.code, "%s", problem.text) : 0;
}
