/* SPDX-License-Identifier: Apache-2.0 */

/* Values of the chain for keeping elsewhere: what the ledger's writer cannot compute anew. */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "store/audit.h"
#include "store/audit_tables.h"
#include "store/ledger_handle.h"
#include "store/merged_audit.h"
#include "store/store.h"

/* The number, time and link of a row. 1, 0: there is none, or -1. */
MUST_USE static int read_link(sqlite3 *db, const char *sql, int64_t seq, struct anchor *ret, struct error *err)
{
	sqlite3_stmt *row = NULL;
	int result = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
		return store_error(db, "ledger", err);
	(void)sqlite3_bind_int64(row, 1, seq);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW && sqlite3_column_bytes(row, 2) == DIGEST_BYTES) {
		ret->seq = sqlite3_column_int64(row, 0);
		ret->at_us = sqlite3_column_int64(row, 1);
		memcpy(ret->chain, sqlite3_column_blob(row, 2), DIGEST_BYTES);
		result = 1;
	} else if (code == SQLITE_ROW) {
		result = error_set(err, ERROR_INPUT, "ledger: row %lld has no link", sqlite3_column_int64(row, 0));
	} else if (code != SQLITE_DONE) {
		result = store_error(db, "ledger", err);
	}
	(void)sqlite3_finalize(row);
	return result;
}

int anchor_take(struct ledger *ledger, struct anchor *ret, struct error *err)
{
	sqlite3 *db = ledger_database(ledger);
	struct anchor anchor;
	if (ledger->is_merged)
		return error_set(
			err, ERROR_USAGE,
			"a merged ledger has no chain of its own, expected one of a machine; each export's last line "
			"is an anchor");
	/* One statement after the other: rows that come in between make the anchor newer, not wrong. */
	if (audit_start(db, &anchor, NULL, err) < 0 ||
	    read_link(db, "SELECT seq, at, chain FROM record WHERE seq>?1 ORDER BY seq DESC LIMIT 1", anchor.seq,
	              &anchor, err) < 0)
		return -1;
	*ret = anchor;
	return 0;
}

static int fault(struct audit *audit, enum audit_fault what, int64_t seq, const char *detail)
{
	if (audit->fault != AUDIT_WHOLE)
		return 0;
	audit->fault = what;
	audit->seq = seq;
	(void)text_copy(audit->detail, sizeof(audit->detail), detail);
	return 0;
}

int audit_anchor(struct ledger *ledger, const struct anchor *anchor, struct audit *audit, struct error *err)
{
	sqlite3 *db = ledger_database(ledger);
	struct anchor start, now;
	char text[160];
	if (ledger->is_merged)
		return merged_audit_anchor(ledger, anchor, audit, err);
	if (audit_start(db, &start, NULL, err) < 0)
		return -1;
	if (strcmp(start.ledger_id, anchor->ledger_id) != 0)
		return error_set(err, ERROR_INPUT, "the anchor is of ledger %s, this is %s", anchor->ledger_id,
		                 start.ledger_id);
	if (anchor->seq < start.seq)
		return 0;
	now = start;
	int is_there = anchor->seq == start.seq ? 1
	                                        : read_link(db, "SELECT seq, at, chain FROM record WHERE seq=?1",
	                                                    anchor->seq, &now, err);
	if (is_there < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "row %" PRId64 " of the anchor %s", anchor->seq,
	               is_there == 0 ? "is not there: the ledger was cut off"
	                             : "has another link: rows up to it were rewritten");
	if (is_there == 0)
		return fault(audit, AUDIT_MISSING, anchor->seq, text);
	if (memcmp(now.chain, anchor->chain, DIGEST_BYTES) != 0)
		return fault(audit, AUDIT_REWRITTEN, anchor->seq, text);
	return 0;
}

json_t *anchor_to_json(const struct anchor *anchor)
{
	char hex[DIGEST_HEX_BYTES];
	json_t *object = json_object();
	json_put_text(object, "kind", "anchor");
	json_put_text(object, "ledger_id", anchor->ledger_id);
	json_put_int(object, "seq", anchor->seq);
	json_put_time(object, "at", anchor->at_us);
	json_put_text(object, "chain", digest_hex(anchor->chain, DIGEST_BYTES, hex));
	return object;
}

int anchor_from_json(const json_t *object, struct anchor *ret, struct error *err)
{
	struct anchor anchor = {0};
	const char *kind = json_text_at(object, "kind"), *id = json_text_at(object, "ledger_id");
	const char *chain = json_text_at(object, "chain"), *at = json_text_at(object, "at");
	if (kind == NULL || strcmp(kind, "anchor") != 0 || id == NULL || chain == NULL ||
	    !text_copy(anchor.ledger_id, sizeof(anchor.ledger_id), id) || !digest_from_hex(chain, anchor.chain) ||
	    !json_int_at(object, "seq", &anchor.seq) || anchor.seq < 0 ||
	    (at != NULL && !clock_parse(at, &anchor.at_us)))
		return error_set(err, ERROR_INPUT, "no anchor, expected what `keytrail ledger anchor` prints");
	*ret = anchor;
	return 0;
}
