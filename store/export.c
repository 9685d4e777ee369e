/* SPDX-License-Identifier: Apache-2.0 */

/* Rows out of a ledger. They are read in small batches, so that a long export keeps nobody's WAL from being emptied;
 * the chain shows if pruning took rows away in front of it meanwhile. Each line is read back before it is written: what
 * would not come back as it is goes out as a text. */
#include "store/export.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "store/audit_tables.h"
#include "store/chain.h"
#include "store/ledger_handle.h"
#include "store/line.h"
#include "store/store.h"

#define BATCH_ROWS "1000"

/* [merged]: rows behind ?1, in merged ledgers of origin ?2. */
static const char *const rows_sqls[] = {
	"SELECT seq, at, id, kind, subject, access_key_id, body, chain FROM record WHERE seq>?1 ORDER BY seq"
	" LIMIT " BATCH_ROWS,
	"SELECT origin_seq, at, id, kind, subject, access_key_id, body, chain FROM record WHERE origin=?2"
	" AND origin_seq>?1 ORDER BY origin_seq LIMIT " BATCH_ROWS,
};

static const char own_instance_sql[] =
	"SELECT coalesce((SELECT json_extract(body,'$.instance_id') FROM record WHERE kind='instance' ORDER BY seq "
	"DESC LIMIT 1),"
	" (SELECT json_extract(body,'$.instance_id') FROM record WHERE kind='placement' ORDER BY seq DESC LIMIT 1),"
	" (SELECT json_extract(r.body,'$.placement.instance_id') FROM meta m JOIN record r ON r.seq=m.value"
	" WHERE m.name='pruned_by'))";

struct section {
	struct anchor before; /* the row in front of the first one: its number, its link, and the ledger's id */
	int64_t last;
	int64_t origin;
	char instance_id[INSTANCE_BYTES];
};

struct exporting {
	struct ledger *ledger;
	const struct section *section;
	FILE *to;
	struct anchor at; /* the row written last */
	int64_t rows;
	struct buffer text;
	struct error *err;
};

/* ---- lines */

MUST_USE static int put_object(const struct exporting *e, const json_t *object)
{
	CLEANUP_FREE char *text = json_line(object);
	if (text == NULL)
		return error_set(e->err, ERROR_MEMORY, "no memory for a line");
	return fprintf(e->to, "%s\n", text) < 0 ? error_errno(e->err, "cannot write the export") : 0;
}

MUST_USE static int put_head(const struct exporting *e)
{
	const struct section *section = e->section;
	char hex[DIGEST_HEX_BYTES];
	uint8_t genesis[DIGEST_BYTES];
	CLEANUP_JSON json_t *head = json_object();
	if (chain_genesis(section->before.ledger_id, genesis, e->err) < 0)
		return -1;
	json_put_text(head, "kind", "export");
	json_put_int(head, "format", LINE_FORMAT);
	json_put_text(head, "program", KEYTRAIL_VERSION);
	json_put_int(head, "schema_version", ledger_schema.count);
	json_put_text(head, "ledger_id", section->before.ledger_id);
	json_put_text(head, "instance_id", section->instance_id[0] != '\0' ? section->instance_id : NULL);
	json_put_time(head, "exported_at", clock_now_us());
	json_put_int(head, "first_seq", section->before.seq + 1);
	json_put_text(head, "genesis", digest_hex(genesis, DIGEST_BYTES, hex));
	json_put_text(head, "before", digest_hex(section->before.chain, DIGEST_BYTES, hex));
	return put_object(e, head);
}

/* An anchor of the last row, and how many there were. */
MUST_USE static int put_end(const struct exporting *e)
{
	CLEANUP_JSON json_t *end = anchor_to_json(&e->at);
	json_put_text(end, "kind", "export-end");
	json_put_int(end, "rows", e->rows);
	return put_object(e, end);
}

static const char *process_of(void *context, const char hex[static DIGEST_HEX_BYTES - 1])
{
	const struct exporting *e = context;
	sqlite3_stmt *find = e->ledger->actor_by_digest;
	char text[DIGEST_HEX_BYTES];
	uint8_t digest[DIGEST_BYTES];
	(void)snprintf(text, sizeof(text), "%.64s", hex);
	(void)sqlite3_reset(find); /* what was lent before is not used any more */
	if (!digest_from_hex(text, digest))
		return NULL;
	(void)sqlite3_bind_blob(find, 1, digest, DIGEST_BYTES, SQLITE_TRANSIENT);
	if (e->ledger->is_merged)
		(void)sqlite3_bind_int64(find, 2, e->section->origin);
	return sqlite3_step(find) == SQLITE_ROW ? (const char *)sqlite3_column_text(find, 0) : NULL;
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool comes_back(const struct buffer *text, const struct chain_row *row)
{
	struct line line;
	if (memchr(text->bytes, '\n', text->length - 1) != NULL ||
	    line_take(text->bytes, text->length, &line, NULL) < 0)
		return false;
	bool good = line.what == LINE_ROW && line.seq == row->seq && line.packed.at_us == row->at_us &&
	            is_same(line.packed.id, row->id) && is_same(line.packed.kind, row->kind) &&
	            is_same(line.packed.subject, row->subject) &&
	            is_same(line.packed.access_key_id, row->access_key_id) && is_same(line.packed.body, row->body);
	line_done(&line);
	return good;
}

MUST_USE static int put_row(struct exporting *e, const struct chain_row *row, const uint8_t *link)
{
	const struct line_place place = {.ledger_id = e->section->before.ledger_id, .link = link};
	buffer_clear(&e->text);
	if (line_make(row, &place, process_of, e, &e->text, e->err) < 0)
		return -1;
	if (!comes_back(&e->text, row)) {
		buffer_clear(&e->text);
		if (line_make_raw(row, &place, &e->text, e->err) < 0)
			return -1;
	}
	if (fwrite(e->text.bytes, 1, e->text.length, e->to) != e->text.length)
		return error_errno(e->err, "cannot write the export");
	e->at.seq = row->seq;
	e->at.at_us = row->at_us;
	memcpy(e->at.chain, link, DIGEST_BYTES);
	e->rows++;
	return 0;
}

/* ---- sections */

/* Rows behind the one written last; *ret_more: there may be more. */
MUST_USE static int put_batch(struct exporting *e, sqlite3_stmt *rows, bool *ret_more)
{
	int code, result = 0;
	int64_t before = e->at.seq;
	(void)sqlite3_bind_int64(rows, 1, e->at.seq);
	if (e->ledger->is_merged)
		(void)sqlite3_bind_int64(rows, 2, e->section->origin);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		const struct chain_row row = {
			.seq = sqlite3_column_int64(rows, 0),
			.at_us = sqlite3_column_int64(rows, 1),
			.id = store_text(rows, 2),
			.kind = store_text(rows, 3),
			.subject = (const char *)sqlite3_column_text(rows, 4),
			.access_key_id = (const char *)sqlite3_column_text(rows, 5),
			.body = store_text(rows, 6),
		};
		if (row.seq > e->section->last)
			break;
		if (row.seq != e->at.seq + 1)
			result = error_set(e->err, ERROR_INPUT,
			                   "row(s) %" PRId64 " to %" PRId64
			                   " are not there: they were pruned meanwhile, or "
			                   "taken out (`ledger verify`)",
			                   e->at.seq + 1, row.seq - 1);
		else if (sqlite3_column_bytes(rows, 7) != DIGEST_BYTES)
			result = error_set(e->err, ERROR_INPUT, "row %" PRId64 " has no link (`ledger verify`)",
			                   row.seq);
		else
			result = put_row(e, &row, sqlite3_column_blob(rows, 7));
	}
	if (result == 0 && code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(e->ledger->db, e->ledger->path, e->err);
	(void)sqlite3_reset(rows);
	(void)sqlite3_reset(e->ledger->actor_by_digest);
	*ret_more = e->at.seq > before && e->at.seq < e->section->last;
	return result;
}

MUST_USE static int put_section(struct ledger *ledger, const struct section *section, FILE *to,
                                struct export_result *ret, struct error *err)
{
	struct exporting e = {.ledger = ledger, .section = section, .to = to, .at = section->before, .err = err};
	sqlite3_stmt *rows = NULL;
	bool more = true;
	if (sqlite3_prepare_v2(ledger->db, rows_sqls[ledger->is_merged ? 1 : 0], -1, &rows, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	int result = put_head(&e);
	while (result == 0 && more)
		result = put_batch(&e, rows, &more);
	if (result == 0 && e.at.seq != section->last)
		result = error_set(err, ERROR_INPUT, "row %" PRId64 " is not there (`ledger verify`)", e.at.seq + 1);
	if (result == 0)
		result = put_end(&e);
	(void)sqlite3_finalize(rows);
	buffer_done(&e.text);
	ret->rows += e.rows;
	ret->sections++;
	ret->head = e.at;
	return result;
}

/* ---- a machine's own ledger */

MUST_USE static int find_row(struct ledger *ledger, int64_t seq, uint8_t ret[static DIGEST_BYTES], bool *ret_found,
                             struct error *err)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(ledger->db, "SELECT chain FROM record WHERE seq=?1", -1, &row, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	(void)sqlite3_bind_int64(row, 1, seq);
	int code = sqlite3_step(row);
	*ret_found = code == SQLITE_ROW && sqlite3_column_bytes(row, 0) == DIGEST_BYTES;
	if (*ret_found)
		memcpy(ret, sqlite3_column_blob(row, 0), DIGEST_BYTES);
	else if (code != SQLITE_DONE && code != SQLITE_ROW)
		result = store_error(ledger->db, ledger->path, err);
	(void)sqlite3_finalize(row);
	return result;
}

/* Where the cursor stands in the ledger as it is now. */
MUST_USE static int go_to_cursor(struct ledger *ledger, const struct anchor *since, struct section *section,
                                 struct export_result *ret, struct error *err)
{
	uint8_t link[DIGEST_BYTES];
	bool is_there = since->seq == section->before.seq;
	if (strcmp(since->ledger_id, section->before.ledger_id) != 0) {
		ret->is_another = true;
		return 0;
	}
	if (since->seq < section->before.seq) {
		ret->forgotten = section->before.seq - since->seq;
		return 0;
	}
	memcpy(link, section->before.chain, sizeof(link));
	if (!is_there && find_row(ledger, since->seq, link, &is_there, err) < 0)
		return -1;
	if (!is_there || memcmp(link, since->chain, DIGEST_BYTES) != 0)
		return error_set(err, ERROR_INPUT,
		                 "row %" PRId64 " of the cursor is %s: the ledger was %s since (`ledger verify`)",
		                 since->seq, is_there ? "another one" : "not there",
		                 is_there ? "rewritten" : "cut off");
	section->before = *since;
	return 0;
}

MUST_USE static int read_instance(struct ledger *ledger, char to[static INSTANCE_BYTES], struct error *err)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(ledger->db, own_instance_sql, -1, &row, NULL) != SQLITE_OK ||
	    sqlite3_step(row) != SQLITE_ROW)
		result = store_error(ledger->db, ledger->path, err);
	else
		(void)text_copy(to, INSTANCE_BYTES, store_text(row, 0));
	(void)sqlite3_finalize(row);
	return result;
}

MUST_USE static int export_own(struct ledger *ledger, const struct anchor *since, FILE *to, struct export_result *ret,
                               struct error *err)
{
	struct section section = {0};
	if (audit_start(ledger->db, &section.before, NULL, err) < 0 ||
	    (since != NULL && go_to_cursor(ledger, since, &section, ret, err) < 0) ||
	    read_instance(ledger, section.instance_id, err) < 0 ||
	    store_integer(ledger->db, "SELECT coalesce(max(seq),0) FROM record", &section.last, err) < 0)
		return -1;
	if (section.last < section.before.seq)
		section.last = section.before.seq;
	return put_section(ledger, &section, to, ret, err);
}

/* ---- a merged one */

MUST_USE static int export_merged(struct ledger *ledger, FILE *to, struct export_result *ret, struct error *err)
{
	sqlite3_stmt *rows = NULL;
	int code = SQLITE_DONE, result = 0;
	/* Without the link in front of them rows prove nothing, so those go from the one behind on. */
	const char *sql = "SELECT s.origin, o.ledger_id, o.instance_id, s.first-(s.before IS NOT NULL), s.last,"
			  " coalesce(s.before, (SELECT chain FROM record WHERE origin=s.origin AND origin_seq=s.first))"
			  " FROM segment s JOIN origin o ON o.id=s.origin ORDER BY 1, 4";
	if (sqlite3_prepare_v2(ledger->db, sql, -1, &rows, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		struct section section = {.origin = sqlite3_column_int64(rows, 0),
		                          .last = sqlite3_column_int64(rows, 4)};
		section.before.seq = sqlite3_column_int64(rows, 3);
		(void)text_copy(section.before.ledger_id, sizeof(section.before.ledger_id), store_text(rows, 1));
		(void)text_copy(section.instance_id, sizeof(section.instance_id), store_text(rows, 2));
		if (sqlite3_column_bytes(rows, 5) != DIGEST_BYTES)
			continue;
		memcpy(section.before.chain, sqlite3_column_blob(rows, 5), DIGEST_BYTES);
		result = put_section(ledger, &section, to, ret, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(ledger->db, ledger->path, err);
	(void)sqlite3_finalize(rows);
	ret->head = (struct anchor){0};
	return result;
}

int ledger_export(struct ledger *ledger, const struct anchor *since, FILE *to, struct export_result *ret,
                  struct error *err)
{
	struct export_result result = {0};
	if (ledger->is_merged && since != NULL)
		return error_set(err, ERROR_USAGE,
		                 "a merged ledger has no cursor: its machines' ledgers have one each");
	if ((ledger->is_merged ? export_merged(ledger, to, &result, err)
	                       : export_own(ledger, since, to, &result, err)) < 0)
		return -1;
	*ret = result;
	return 0;
}
