/* SPDX-License-Identifier: Apache-2.0 */

/* Findings in SQLite. A finding is made from its uses by queries whose order is fixed, so that the same uses give the
 * same bytes in whatever order, portions or repetitions they came. A run gathers its uses in temporary tables and
 * merges them at its end: a run that dies leaves no trace, and nobody waits for one. */
#include "store/findings.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/digest.h"
#include "store/findings_handle.h"
#include "store/findings_lists.h"
#include "store/findings_sql.h"
#include "store/store.h"

#define BUSY_TIMEOUT_MS 10000 /* another run's merging; nobody waits for an answer meanwhile */

const char *const severity_names[SEVERITY_COUNT] = {
	[SEVERITY_LOW] = "LOW", [SEVERITY_MEDIUM] = "MEDIUM", [SEVERITY_HIGH] = "HIGH"};

static const double severity_scores[SEVERITY_COUNT] = {
	[SEVERITY_LOW] = 2.0, [SEVERITY_MEDIUM] = 5.0, [SEVERITY_HIGH] = 8.0};

const struct schema findings_schema = {
	.what = "findings database",
	.application_id = 0x4b544644, /* "KTFD" */
	.migrations = findings_migrations,
	.count = (int)ARRAY_LENGTH(findings_migrations),
	.is_synced_late = true,
};

struct findings {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT]; /* made when the first event is judged */
	struct statements lent;                    /* the others */
	bool was_empty;                            /* no event was stored when it was opened */
	bool is_gathering;                         /* in one transaction, for speed; nothing of it is in the file */
};

/* ---- opening */

/* Readable for the group that reads the ledger, whoever runs the detector. */
MUST_USE static int make_file(const char *path, struct error *err)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat folder;
	if (fd < 0)
		return errno == EEXIST ? 0 : error_errno(err, "%s", path);
	(void)fchmod(fd, 0640);
	/* May be refused, where the folder is somebody else's: then it stays ours. */
	if (copy != NULL && stat(dirname(copy), &folder) == 0 &&
	    fchown(fd, geteuid() == 0 ? folder.st_uid : (uid_t)-1, folder.st_gid) < 0)
		errno = 0;
	return 0;
}

MUST_USE static int fill_in_tables(sqlite3 *db, struct error *err)
{
	int64_t tables;
	if (store_integer(db, "SELECT count(*) FROM main.sqlite_schema WHERE name = 'review'", &tables, err) < 0)
		return -1;
	return tables == 0 ? store_exec(db, absent_tables, err) : 0;
}

int findings_open(const char *path, bool read_only, struct findings **ret, struct error *err)
{
	struct findings *findings = calloc(1, sizeof(*findings));
	int result = 0;
	if (findings == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for findings");
	int64_t events = 0;
	if (path != NULL && !read_only)
		result = make_file(path, err);
	/* An empty name is SQLite's for a database that is in memory as long as it is small, then in a temporary file.
	 */
	if (result == 0)
		result = read_only ? store_open_read(path != NULL ? path : "", &findings_schema, &findings->db, err)
		                   : store_open_write(path != NULL ? path : "", &findings_schema, &findings->db, err);
	if (result == 0 && !read_only && sqlite3_db_readonly(findings->db, "main") == 1)
		result = error_set(err, ERROR_SYSTEM, "%s: may not be written", path);
	if (result == 0 && !read_only)
		result = store_exec(findings->db, run_tables, err);
	if (result == 0 && read_only)
		result = fill_in_tables(findings->db, err);
	if (result == 0)
		result = store_integer(findings->db, "SELECT count(*) FROM (SELECT 1 FROM main.event LIMIT 1)", &events,
		                       err);
	findings->was_empty = events == 0;
	if (result < 0) {
		findings_close(findings);
		return -1;
	}
	(void)sqlite3_busy_timeout(findings->db, BUSY_TIMEOUT_MS);
	*ret = findings;
	return 0;
}

void findings_close(struct findings *findings)
{
	if (findings == NULL)
		return;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(findings->statements[i]);
	statements_done(&findings->lent);
	store_close(findings->db);
	free(findings);
}

sqlite3 *findings_database(struct findings *findings)
{
	return findings->db;
}

int findings_lend(struct findings *findings, const char *sql, struct lent_statement *ret, struct error *err)
{
	return statements_lend(&findings->lent, findings->db, sql, "findings", ret, err);
}

/* ---- statements */

static sqlite3_stmt *statement_of(struct findings *findings, enum statement which)
{
	sqlite3_stmt **statement = &findings->statements[which];
	if (*statement == NULL)
		(void)sqlite3_prepare_v3(findings->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, statement,
		                         NULL);
	else
		(void)sqlite3_reset(*statement);
	return *statement;
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	(void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* Runs to its end; *ret_row: there was a row. */
MUST_USE static int run(struct findings *findings, sqlite3_stmt *statement, bool *ret_row, struct error *err)
{
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return store_error(findings->db, "findings", err);
	*ret_row = code == SQLITE_ROW;
	return 0;
}

/* ---- a run's uses */

int findings_id(const struct findings_use *use, char ret[static DIGEST_HEX_BYTES], struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	uint8_t digest[DIGEST_BYTES];
	if (buffer_printf(&text, err, "%s\n%s\n%s", use->type, use->subject, use->party) < 0 ||
	    digest_of(text.bytes, text.length, digest, err) < 0)
		return -1;
	(void)digest_hex(digest, sizeof(digest), ret);
	return 0;
}

MUST_USE static int add_use(struct findings *findings, const struct findings_event *event,
                            const struct findings_use *use, struct error *err)
{
	char id[DIGEST_HEX_BYTES];
	bool row;
	CLEANUP_FREE char *facts = json_line(use->facts);
	if (facts == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a finding");
	if (findings_id(use, id, err) < 0)
		return -1;
	sqlite3_stmt *statement = statement_of(findings, ADD_FACTS);
	bind_text(statement, 1, facts);
	if (run(findings, statement, &row, err) < 0)
		return -1;

	const char *const texts[] = {use->service, use->name, use->error_code, use->region, use->user_agent,
	                             use->address, facts};
	statement = statement_of(findings, ADD_USE);
	bind_text(statement, 1, id);
	bind_text(statement, 2, event->id);
	(void)sqlite3_bind_int64(statement, 3, event->at_us);
	(void)sqlite3_bind_int(statement, 4, (int)use->severity);
	(void)sqlite3_bind_int(statement, 5, use->rung);
	(void)sqlite3_bind_int(statement, 6, use->confidence);
	for (int i = 0; i < (int)ARRAY_LENGTH(texts); i++)
		bind_text(statement, 7 + i, texts[i]);
	int result = run(findings, statement, &row, err);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return result;
}

/* One statement about an event; *ret_row: it gave a row. */
MUST_USE static int run_event(struct findings *findings, enum statement which, const struct findings_event *event,
                              bool *ret_row, struct error *err)
{
	sqlite3_stmt *statement = statement_of(findings, which);
	bind_text(statement, 1, event->id);
	(void)sqlite3_bind_int(statement, 2, event->is_addendum);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)event->version);
	(void)sqlite3_bind_int(statement, 4, !event->is_replayed);
	int result = run(findings, statement, ret_row, err);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return result;
}

MUST_USE static int gather(struct findings *findings, struct error *err)
{
	if (!findings->is_gathering && store_exec(findings->db, "BEGIN", err) < 0)
		return -1;
	findings->is_gathering = true;
	return 0;
}

int findings_put_lesson(struct findings *findings, const char *kind, const char *body, int64_t at_us, struct error *err)
{
	bool row;
	if (gather(findings, err) < 0)
		return -1;
	sqlite3_stmt *put = statement_of(findings, ADD_LESSON);
	bind_text(put, 1, kind);
	bind_text(put, 2, body);
	(void)sqlite3_bind_int64(put, 3, at_us);
	int result = run(findings, put, &row, err);
	(void)sqlite3_reset(put);
	(void)sqlite3_clear_bindings(put);
	return result;
}

int findings_judge(struct findings *findings, const struct findings_event *event, struct error *err)
{
	bool is_older = false, row;
	bool is_nothing = event->use_count == 0 && !event->is_addendum;
	if (is_nothing && findings->was_empty)
		return 0;
	if (gather(findings, err) < 0)
		return -1;
	if (is_nothing)
		return run_event(findings, CLEAR_EVENT, event, &row, err);
	if (run_event(findings, OLDER_VERSION, event, &is_older, err) < 0 || is_older)
		return is_older ? 0 : -1;
	if (run_event(findings, FORGET_USES, event, &row, err) < 0 ||
	    run_event(findings, ADD_EVENT, event, &row, err) < 0)
		return -1;
	for (size_t i = 0; i < event->use_count; i++)
		if (add_use(findings, event, &event->uses[i], err) < 0)
			return -1;
	return 0;
}

int findings_restart(struct findings *findings, struct error *err)
{
	return store_exec(findings->db, forget_run, err);
}

int findings_events(struct findings *findings, findings_visit_id *visit, void *context, struct error *err)
{
	sqlite3_stmt *rows = NULL;
	int code = SQLITE_ERROR, result = 0;
	if (sqlite3_prepare_v2(findings->db, "SELECT id FROM main.event", -1, &rows, NULL) == SQLITE_OK)
		while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW)
			result = visit(context, (const char *)sqlite3_column_text(rows, 0), err);
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(findings->db, "findings", err);
	(void)sqlite3_finalize(rows);
	return result;
}

/* ---- making findings from their uses */

int findings_read_row(sqlite3_stmt *row, int column, json_t **ret, struct error *err)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	*ret = text != NULL ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
	return *ret != NULL ? 0 : error_set(err, ERROR_INPUT, "findings: a row that is no JSON");
}

MUST_USE static int put_lists(struct findings *findings, const char *id, sqlite3_stmt *sum, sqlite3_stmt *best,
                              json_t *finding, struct error *err)
{
	if (sqlite3_column_int64(sum, 0) > 1)
		return findings_put_lists(findings, id, finding, err);
	const struct findings_single use = {.event = store_text(best, 3),
	                                    .service = store_text(best, 4),
	                                    .name = store_text(best, 5),
	                                    .error = store_text(best, 6),
	                                    .user_agent = store_text(best, 7),
	                                    .address = store_text(best, 8),
	                                    .region = store_text(best, 9)};
	findings_put_single(&use, finding);
	return 0;
}

/* `sum` and `best` stand on their rows. */
MUST_USE static int make_finding(struct findings *findings, const char *id, sqlite3_stmt *sum, sqlite3_stmt *best,
                                 json_t **ret, struct error *err)
{
	CLEANUP_JSON json_t *finding = NULL;
	int severity = sqlite3_column_int(sum, 3);
	if (findings_read_row(best, 2, &finding, err) < 0)
		return -1;
	json_put_text(finding, "kind", "finding");
	json_put_text(finding, "id", id);
	json_put_text(finding, "severity", severity_names[severity]);
	json_put(finding, "score", json_real(severity_scores[severity]));
	json_put_int(finding, "rung", sqlite3_column_int(best, 0));
	json_put_int(finding, "confidence", sqlite3_column_int(best, 1));
	json_put_int(finding, "count", sqlite3_column_int64(sum, 0));
	json_put_time(finding, "first_seen", sqlite3_column_int64(sum, 1));
	json_put_time(finding, "last_seen", sqlite3_column_int64(sum, 2));
	json_put(finding, "suspects", json_array());
	if (put_lists(findings, id, sum, best, finding, err) < 0)
		return -1;
	*ret = steal_pointer(&finding);
	return 0;
}

MUST_USE static int put_finding(struct findings *findings, const char *id, sqlite3_stmt *sum, const json_t *finding,
                                struct error *err)
{
	bool row;
	CLEANUP_FREE char *body = json_line(finding);
	if (body == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a finding");
	sqlite3_stmt *put = statement_of(findings, PUT_FINDING);
	bind_text(put, 1, id);
	(void)sqlite3_bind_int(put, 2, sqlite3_column_int(sum, 3));
	(void)sqlite3_bind_int64(put, 3, sqlite3_column_int64(sum, 1));
	(void)sqlite3_bind_int64(put, 4, sqlite3_column_int64(sum, 2));
	bind_text(put, 5, body);
	int result = run(findings, put, &row, err);
	(void)sqlite3_reset(put);
	return result;
}

/* Makes one finding anew; one without uses is gone. */
MUST_USE static int refresh(struct findings *findings, const char *id, findings_complete *complete, void *context,
                            struct error *err)
{
	CLEANUP_JSON json_t *finding = NULL;
	sqlite3_stmt *sum = statement_of(findings, SUM), *best = statement_of(findings, BEST);
	bool has_sum = false, has_best = false, row;
	bind_text(sum, 1, id);
	bind_text(best, 1, id);
	if (run(findings, sum, &has_sum, err) < 0 || run(findings, best, &has_best, err) < 0)
		return -1;
	if (!has_best) {
		sqlite3_stmt *drop = statement_of(findings, DROP_FINDING);
		bind_text(drop, 1, id);
		return run(findings, drop, &row, err);
	}
	if (make_finding(findings, id, sum, best, &finding, err) < 0 || complete(context, finding, err) < 0)
		return -1;
	return put_finding(findings, id, sum, finding, err);
}

MUST_USE static int refresh_touched(struct findings *findings, findings_complete *complete, void *context,
                                    struct error *err)
{
	sqlite3_stmt *touched = statement_of(findings, ALL_TOUCHED);
	int code = SQLITE_DONE, result = 0;
	while (result == 0 && (code = sqlite3_step(touched)) == SQLITE_ROW)
		result = refresh(findings, (const char *)sqlite3_column_text(touched, 0), complete, context, err);
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(findings->db, "findings", err);
	for (int i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_reset(findings->statements[i]);
	return result;
}

int findings_commit(struct findings *findings, findings_complete *complete, void *context, struct error *err)
{
	int result = 0;
	if (findings->is_gathering)
		result = store_exec(findings->db, "COMMIT", err);
	findings->is_gathering = false;
	if (result == 0)
		result = store_exec(findings->db, merge, err);
	if (result == 0)
		result = refresh_touched(findings, complete, context, err);
	if (result == 0)
		result = store_exec(findings->db, "COMMIT", err);
	if (result < 0)
		(void)sqlite3_exec(findings->db, "ROLLBACK", NULL, NULL, NULL);
	return result;
}
