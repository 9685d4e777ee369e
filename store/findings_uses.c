/* SPDX-License-Identifier: Apache-2.0 */

/* Single uses, for time lines and for those who have to be told of each. */
#include "store/findings_uses.h"

#include "store/findings_handle.h"
#include "store/store.h"

static const char chosen[] =
	"SELECT event, at, finding, service, name, error, region, user_agent, address FROM main.use"
	" WHERE finding IN (SELECT value FROM json_each(?1)) ORDER BY at, event, finding";

/* Ids of the findings, as JSON for the query. Heap text. */
static char *ids_of(const json_t *list)
{
	CLEANUP_JSON json_t *ids = json_array();
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_text_at(json_array_get(list, i), "id");
		if (id != NULL)
			(void)json_array_append_new(ids, json_string(id));
	}
	return json_line(ids);
}

static json_t *object_of(sqlite3_stmt *row)
{
	static const struct {
		const char *name;
		int column;
	} texts[] = {{"event_id", 0},   {"finding", 2}, {"service", 3},    {"name", 4},
	             {"error_code", 5}, {"region", 6},  {"user_agent", 7}, {"address", 8}};
	json_t *use = json_object();
	json_put_text(use, "kind", "use");
	json_put_time(use, "at", sqlite3_column_int64(row, 1));
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		const char *text = (const char *)sqlite3_column_text(row, texts[i].column);
		json_put_text(use, texts[i].name, text != NULL && text[0] != '\0' ? text : NULL);
	}
	return use;
}

int findings_uses(struct findings *findings, const json_t *list, int64_t limit, ledger_visit *visit, void *context,
                  int64_t *ret_omitted, struct error *err)
{
	sqlite3 *db = findings_database(findings);
	sqlite3_stmt *rows = NULL;
	CLEANUP_FREE char *ids = ids_of(list);
	int64_t count = 0;
	int code = SQLITE_ERROR, result = 0;
	if (ids == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for ids");
	if (sqlite3_prepare_v2(db, chosen, -1, &rows, NULL) == SQLITE_OK &&
	    sqlite3_bind_text(rows, 1, ids, -1, SQLITE_STATIC) == SQLITE_OK)
		while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
			if (count++ >= limit)
				continue;
			CLEANUP_JSON json_t *use = object_of(rows);
			result = visit(context, use, err);
		}
	if (result == 0 && code != SQLITE_DONE)
		result = store_error(db, "findings", err);
	(void)sqlite3_finalize(rows);
	*ret_omitted = count > limit ? count - limit : 0;
	return result;
}
