/* SPDX-License-Identifier: Apache-2.0 */

/* State and notes of findings, in tables that the detector never writes. How many uses a finding had when its state was
 * set is kept with it, so that one that was closed and goes on shows so. */
#include "store/review.h"

#include <string.h>

#include "common/text.h"
#include "store/findings_handle.h"
#include "store/store.h"

const char *const review_state_names[REVIEW_STATE_COUNT] = {
	[REVIEW_NEW] = "new", [REVIEW_ACKNOWLEDGED] = "acknowledged", [REVIEW_CLOSED] = "closed"};

bool review_is_id(const char *text)
{
	size_t length = strlen(text);
	return length >= REVIEW_ID_PREFIX && length < DIGEST_HEX_BYTES && strspn(text, "0123456789abcdef") == length;
}

static void cleanup_statement(sqlite3_stmt **statement)
{
	(void)sqlite3_finalize(*statement);
}
#define CLEANUP_STATEMENT CLEANUP(cleanup_statement)

MUST_USE static int prepare(struct findings *findings, const char *sql, const char *id, sqlite3_stmt **ret,
                            struct error *err)
{
	sqlite3 *db = findings_database(findings);
	if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(*ret, 1, id, -1, SQLITE_TRANSIENT) != SQLITE_OK)
		return store_error(db, "findings", err);
	return 0;
}

/* *ret_row: there was a row. */
MUST_USE static int step(struct findings *findings, sqlite3_stmt *statement, bool *ret_row, struct error *err)
{
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return store_error(findings_database(findings), "findings", err);
	*ret_row = code == SQLITE_ROW;
	return 0;
}

int review_find(struct findings *findings, const char *prefix, char ret[static DIGEST_HEX_BYTES], struct error *err)
{
	CLEANUP_STATEMENT sqlite3_stmt *rows = NULL;
	bool has_row = false, has_other = false;
	if (prepare(findings, "SELECT id FROM v_findings WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2", prefix, &rows,
	            err) < 0 ||
	    step(findings, rows, &has_row, err) < 0)
		return -1;
	if (!has_row)
		return error_set(err, ERROR_MISSING,
		                 "finding %.64s: there is none, expected an id that `keytrail findings` lists", prefix);
	char id[DIGEST_HEX_BYTES];
	(void)text_copy(id, sizeof(id), (const char *)sqlite3_column_text(rows, 0));
	if (step(findings, rows, &has_other, err) < 0)
		return -1;
	if (has_other)
		return error_set(err, ERROR_USAGE, "finding %.64s: the beginning of several ids, expected more of it",
		                 prefix);
	memcpy(ret, id, DIGEST_HEX_BYTES);
	return 0;
}

/* ---- setting */

MUST_USE static int set_state(struct findings *findings, const struct review *review, struct error *err)
{
	CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
	bool has_row = false;
	if (prepare(findings,
	            "INSERT OR REPLACE INTO review(finding, state, at, uses)"
	            " VALUES(?1, ?2, ?3, (SELECT count(*) FROM use WHERE finding = ?1))",
	            review->id, &statement, err) < 0)
		return -1;
	(void)sqlite3_bind_text(statement, 2, review_state_names[review->state], -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, review->at_us);
	return step(findings, statement, &has_row, err);
}

MUST_USE static int check_room(struct findings *findings, const char *id, struct error *err)
{
	CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
	bool has_row = false;
	if (prepare(findings, "SELECT count(*) FROM note WHERE finding = ?1", id, &statement, err) < 0 ||
	    step(findings, statement, &has_row, err) < 0)
		return -1;
	if (sqlite3_column_int(statement, 0) >= REVIEW_NOTES_MAX)
		return error_set(err, ERROR_LIMIT, "finding %.64s: it has %d notes, which is the most", id,
		                 REVIEW_NOTES_MAX);
	return 0;
}

/* A note tells the state that it left the finding in. */
MUST_USE static int add_note(struct findings *findings, const struct review *review, struct error *err)
{
	CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
	CLEANUP_FREE char *text = text_to_utf8(review->note, strlen(review->note));
	CLEANUP_FREE char *by = text_to_utf8(review->by, strlen(review->by));
	bool has_row = false;
	if (text == NULL || by == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a note");
	if (check_room(findings, review->id, err) < 0 ||
	    prepare(findings,
	            "INSERT INTO note(finding, at, by, state, text) VALUES(?1, ?2, ?3,"
	            " coalesce((SELECT state FROM review WHERE finding = ?1), 'new'), ?4)",
	            review->id, &statement, err) < 0)
		return -1;
	(void)sqlite3_bind_int64(statement, 2, review->at_us);
	(void)sqlite3_bind_text(statement, 3, by, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 4, text, -1, SQLITE_STATIC);
	return step(findings, statement, &has_row, err);
}

int review_set(struct findings *findings, const struct review *review, struct error *err)
{
	sqlite3 *db = findings_database(findings);
	if (review->note != NULL && strlen(review->note) > REVIEW_NOTE_BYTES)
		return error_set(err, ERROR_LIMIT, "a note of more than %d bytes", REVIEW_NOTE_BYTES);
	if (store_exec(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	int result = review->sets_state ? set_state(findings, review, err) : 0;
	if (result == 0 && review->note != NULL)
		result = add_note(findings, review, err);
	if (result == 0)
		result = store_exec(db, "COMMIT", err);
	if (result < 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return result;
}

/* ---- reading */

/* Asked for each finding of a list. */
MUST_USE static int lend(struct findings *findings, const char *sql, const char *id, struct lent_statement *ret,
                         struct error *err)
{
	if (findings_lend(findings, sql, ret, err) < 0)
		return -1;
	(void)sqlite3_bind_text(ret->sql, 1, id, -1, SQLITE_STATIC);
	return 0;
}

MUST_USE static int put_state(struct findings *findings, const char *id, json_t *finding, struct error *err)
{
	CLEANUP_LENT struct lent_statement row = {0};
	bool has_row = false;
	int64_t count = 0;
	if (lend(findings, "SELECT state, at, uses FROM review WHERE finding = ?1", id, &row, err) < 0 ||
	    step(findings, row.sql, &has_row, err) < 0)
		return -1;
	const char *state = has_row ? (const char *)sqlite3_column_text(row.sql, 0) : review_state_names[REVIEW_NEW];
	bool is_new = strcmp(state, review_state_names[REVIEW_NEW]) == 0;
	(void)json_int_at(finding, "count", &count);
	int64_t since = has_row ? count - sqlite3_column_int64(row.sql, 2) : 0;
	json_put_text(finding, "state", state);
	json_put_time(finding, "state_at", has_row ? sqlite3_column_int64(row.sql, 1) : 0);
	json_put(finding, "new_uses", is_new ? NULL : json_integer(since > 0 ? since : 0));
	return 0;
}

MUST_USE static int put_notes(struct findings *findings, const char *id, json_t *finding, struct error *err)
{
	CLEANUP_LENT struct lent_statement rows = {0};
	json_t *notes = json_array();
	bool has_row = false;
	json_put(finding, "notes", notes);
	if (lend(findings, "SELECT at, by, state, text FROM note WHERE finding = ?1 ORDER BY id", id, &rows, err) < 0)
		return -1;
	while (step(findings, rows.sql, &has_row, err) == 0 && has_row) {
		json_t *note = json_object();
		json_put_time(note, "at", sqlite3_column_int64(rows.sql, 0));
		json_put_text(note, "by", (const char *)sqlite3_column_text(rows.sql, 1));
		json_put_text(note, "state", (const char *)sqlite3_column_text(rows.sql, 2));
		json_put_text(note, "text", (const char *)sqlite3_column_text(rows.sql, 3));
		(void)json_array_append_new(notes, note);
	}
	return has_row ? -1 : 0;
}

int review_put(struct findings *findings, json_t *finding, struct error *err)
{
	const char *id = json_text_at(finding, "id");
	if (id == NULL)
		return error_set(err, ERROR_INPUT, "findings: a finding without an id");
	return put_state(findings, id, finding, err) < 0 || put_notes(findings, id, finding, err) < 0 ? -1 : 0;
}
