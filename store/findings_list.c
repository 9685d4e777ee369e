/* SPDX-License-Identifier: Apache-2.0 */

/* Reading findings: which ones, in which order, with what people say of them. */
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "store/findings_handle.h"
#include "store/review.h"
#include "store/store.h"

/* A finding on a derived key is one on the key that it descends from. */
#define OF_ITS_DESCENDANTS                                                                                             \
	"EXISTS(SELECT 1 FROM json_each(body, '$.lineage') WHERE json_extract(value, '$.access_key_id') = ?1) OR "

/* Texts with `*` or `?` are globs, as in the ledger's lists. */
MUST_USE static int prepare_list(struct findings *findings, const struct findings_filter *filter, sqlite3_stmt **ret,
                                 struct error *err)
{
	const struct {
		const char *column, *text;
		const char *also; /* another condition that is enough */
	} texts[] = {
		{"access_key_id", filter->access_key_id, OF_ITS_DESCENDANTS},
		{"role", filter->role, NULL},
		{"type", filter->type, NULL},
		{"severity", filter->severity, NULL},
		{"id", filter->id, NULL},
		{"instance_id", filter->instance_id, NULL},
		{"remote_account_id", filter->remote_account, NULL},
		{"state", filter->state, NULL},
	};
	CLEANUP_BUFFER struct buffer sql = {0};
	if (buffer_printf(&sql, err, "SELECT body FROM v_findings WHERE 1%s",
	                  filter->of_this_run ? " AND id IN (SELECT finding FROM temp.shown)" : "") < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i].text != NULL &&
		    buffer_printf(&sql, err, " AND (%s%s %s ?%zu)", texts[i].also != NULL ? texts[i].also : "",
		                  texts[i].column, strpbrk(texts[i].text, "*?") != NULL ? "GLOB" : "=", i + 1) < 0)
			return -1;
	if ((filter->since_us != 0 && buffer_printf(&sql, err, " AND last_seen_us >= ?20") < 0) ||
	    (filter->until_us != 0 && buffer_printf(&sql, err, " AND last_seen_us < ?21") < 0) ||
	    buffer_printf(&sql, err, " ORDER BY severity_rank DESC, first_seen_us, id") < 0)
		return -1;

	sqlite3_stmt *rows;
	if (sqlite3_prepare_v2(findings_database(findings), sql.bytes, -1, &rows, NULL) != SQLITE_OK)
		return store_error(findings_database(findings), "findings", err);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i].text != NULL)
			(void)sqlite3_bind_text(rows, (int)i + 1, texts[i].text, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(rows, 20, filter->since_us);
	(void)sqlite3_bind_int64(rows, 21, filter->until_us);
	*ret = rows;
	return 0;
}

/* A suppression ends when it says, whenever the finding was made. */
static void put_suppressed(json_t *finding, int64_t now_us)
{
	const char *text = json_text_at(finding, "suppression.expires_at");
	int64_t expires_us = INT64_MAX;
	bool is_over = json_at(finding, "suppression") == NULL ||
	               (text != NULL && clock_parse(text, &expires_us) && expires_us <= now_us);
	json_put_bool(finding, "suppressed", !is_over);
	if (json_object_get(finding, "suppression") == NULL)
		json_put(finding, "suppression", NULL);
}

int findings_list(struct findings *findings, const struct findings_filter *filter, ledger_visit *visit, void *context,
                  struct error *err)
{
	sqlite3_stmt *rows = NULL;
	int code = SQLITE_DONE, result = 0;
	int64_t now_us = clock_now_us();
	if (prepare_list(findings, filter, &rows, err) < 0)
		return -1;
	while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		CLEANUP_JSON json_t *finding = NULL;
		result = findings_read_row(rows, 0, &finding, err);
		if (result == 0)
			put_suppressed(finding, now_us);
		if (result == 0)
			result = review_put(findings, finding, err);
		if (result == 0)
			result = visit(context, finding, err);
	}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(findings_database(findings), "findings", err);
	(void)sqlite3_finalize(rows);
	return result;
}
