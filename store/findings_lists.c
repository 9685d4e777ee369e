/* SPDX-License-Identifier: Apache-2.0 */

/* The lists of a finding, by queries whose order is complete. Most findings are of one use: then each list has one
 * entry at most, and the use says it. */
#include "store/findings_lists.h"

#include <string.h>

#include "common/json.h"
#include "store/store.h"

#define EVENT_IDS_MAX "1000"
#define REMOTE_ENDPOINT "json_extract(f.body,'$.remote.vpc_endpoint_id')"

/* Rows are JSON. */
/* clang-format off */
static const struct {
	const char *field, *sql;
} lists[] = {
	{"event_ids", "SELECT json_quote(event) FROM main.use WHERE finding=?1 ORDER BY at, event LIMIT " EVENT_IDS_MAX},
	{"calls", "SELECT json_object('service',service,'name',name,'count',count(*),'errors',sum(error<>''))"
	          " FROM main.use WHERE finding=?1 GROUP BY service, name ORDER BY count(*) DESC, service, name LIMIT 200"},
	{"errors", "SELECT json_object('code',error,'count',count(*)) FROM main.use WHERE finding=?1 AND error<>''"
	           " GROUP BY error ORDER BY count(*) DESC, error LIMIT 100"},
	{"user_agents", "SELECT json_object('user_agent',user_agent,'count',count(*)) FROM main.use WHERE finding=?1"
	                " AND user_agent<>'' GROUP BY user_agent ORDER BY count(*) DESC, user_agent LIMIT 100"},
	{"addresses", "SELECT json_object('address',address,'count',count(*)) FROM main.use WHERE finding=?1"
	              " AND address<>'' GROUP BY address ORDER BY count(*) DESC, address LIMIT 100"},
	{"endpoints", "SELECT json_object('vpc_endpoint_id',endpoint,'count',sum(uses)) FROM"
	              " (SELECT " REMOTE_ENDPOINT " AS endpoint, uses FROM"
	              "  (SELECT facts, count(*) AS uses FROM main.use WHERE finding=?1 GROUP BY facts) u JOIN main.facts f ON f.id=u.facts)"
	              " WHERE endpoint IS NOT NULL GROUP BY endpoint ORDER BY sum(uses) DESC, endpoint LIMIT 100"},
	{"regions", "SELECT json_object('region',region,'count',count(*)) FROM main.use WHERE finding=?1"
	            " AND region<>'' GROUP BY region ORDER BY count(*) DESC, region LIMIT 100"},
};
/* clang-format on */

MUST_USE static int put_list(struct findings *findings, const char *id, json_t *finding, size_t which,
                             struct error *err)
{
	CLEANUP_LENT struct lent_statement rows = {0};
	json_t *list = json_array(), *entry;
	int code = SQLITE_DONE, result = 0;
	json_put(finding, lists[which].field, list);
	if (findings_lend(findings, lists[which].sql, &rows, err) < 0)
		return -1;
	(void)sqlite3_bind_text(rows.sql, 1, id, -1, SQLITE_STATIC);
	while (result == 0 && (code = sqlite3_step(rows.sql)) == SQLITE_ROW &&
	       (result = findings_read_row(rows.sql, 0, &entry, err)) == 0)
		(void)json_array_append_new(list, entry);
	return result == 0 && code != SQLITE_DONE ? store_error(findings_database(findings), "findings", err) : result;
}

int findings_put_lists(struct findings *findings, const char *id, json_t *finding, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		if (put_list(findings, id, finding, i, err) < 0)
			return -1;
	return 0;
}

/* ---- of one use */

/* A list of one entry, which says the text and that it was there once; of none if the text is empty. */
static void put_text(json_t *finding, const char *field, const char *name, const char *text)
{
	json_t *list = json_array();
	json_put(finding, field, list);
	if (text == NULL || *text == '\0')
		return;
	json_t *entry = json_object();
	json_put_text(entry, name, text);
	json_put_int(entry, "count", 1);
	(void)json_array_append_new(list, entry);
}

void findings_put_single(const struct findings_single *use, json_t *finding)
{
	json_t *ids = json_array(), *calls = json_array(), *call = json_object();
	json_put(finding, "event_ids", ids);
	(void)json_array_append_new(ids, json_from_bytes(use->event, strlen(use->event)));
	json_put(finding, "calls", calls);
	(void)json_array_append_new(calls, call);
	json_put_text(call, "service", use->service);
	json_put_text(call, "name", use->name);
	json_put_int(call, "count", 1);
	json_put_int(call, "errors", use->error[0] != '\0');
	put_text(finding, "errors", "code", use->error);
	put_text(finding, "user_agents", "user_agent", use->user_agent);
	put_text(finding, "addresses", "address", use->address);
	put_text(finding, "endpoints", "vpc_endpoint_id", json_text_at(finding, "remote.vpc_endpoint_id"));
	put_text(finding, "regions", "region", use->region);
}
