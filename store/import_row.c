/* SPDX-License-Identifier: Apache-2.0 */

/* One row into a merged ledger: the row as it is, its processes, and what queries for a key or an instance need. */
#include <string.h>

#include "store/import_parts.h"
#include "store/store.h"

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	if (text != NULL)
		(void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

MUST_USE static int add_process(struct importer *importer, int64_t origin, const struct packed_actor *actor,
                                int64_t *ret, struct error *err)
{
	for (int i = 0; i < 2; i++) {
		enum import_sql which = i == 0 ? IMPORT_ACTOR_FIND : IMPORT_ACTOR_ADD;
		sqlite3_stmt *statement = importer->statements[which];
		(void)sqlite3_bind_int64(statement, 1, origin);
		(void)sqlite3_bind_blob(statement, 2, actor->digest, DIGEST_BYTES, SQLITE_STATIC);
		if (i == 1)
			bind_text(statement, 3, actor->body);
		if (import_run(importer, which, ret, err) < 0)
			return -1;
		if (i == 0 && *ret != 0)
			return 0;
	}
	*ret = sqlite3_last_insert_rowid(importer->db);
	return 0;
}

/* The instance of a row that names one. */
static const char *instance_of(const struct line *line)
{
	static const struct {
		const char *kind, *path;
	} paths[] = {
		{"delivery", "host.instance_id"},
		{"instance", "instance_id"},
		{"placement", "instance_id"},
		{"prune", "placement.instance_id"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		if (strcmp(line->packed.kind, paths[i].kind) == 0)
			return json_text_at(line->tree, paths[i].path);
	return NULL;
}

MUST_USE static int add_instance(struct importer *importer, int64_t origin, const char *instance, struct error *err)
{
	static const enum import_sql which[] = {IMPORT_INSTANCE_ADD, IMPORT_ORIGIN_INSTANCE};
	for (size_t i = 0; i < ARRAY_LENGTH(which); i++) {
		(void)sqlite3_bind_int64(importer->statements[which[i]], 1, origin);
		bind_text(importer->statements[which[i]], 2, instance);
		if (import_run(importer, which[i], NULL, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int add_key(struct importer *importer, int64_t origin, const struct line *line, bool given,
                            struct error *err)
{
	static const char *const paths[] = {"account_id",      "role",        "source",     "host.instance_id",
	                                    "host.account_id", "host.region", "updated_at", "expires_at"};
	static const char *const prints[] = {"fingerprint.secret", "fingerprint.token", "fingerprint.whole"};
	sqlite3_stmt *statement = importer->statements[IMPORT_KEY];
	bind_text(statement, 1, line->packed.access_key_id);
	(void)sqlite3_bind_int64(statement, 2, origin);
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		bind_text(statement, (int)i + 3, json_text_at(line->tree, paths[i]));
	if (given)
		(void)sqlite3_bind_int64(statement, 11, line->packed.at_us);
	(void)sqlite3_bind_int(statement, 12, given ? 1 : 0);
	for (size_t i = 0; i < ARRAY_LENGTH(prints); i++)
		bind_text(statement, (int)i + 13, json_text_at(line->tree, prints[i]));
	return import_run(importer, IMPORT_KEY, NULL, err);
}

MUST_USE static int add_record(struct importer *importer, int64_t origin, int64_t import, const struct line *line,
                               int64_t process, bool given, struct error *err)
{
	const struct packed *packed = &line->packed;
	sqlite3_stmt *statement = importer->statements[IMPORT_ROW_ADD];
	(void)sqlite3_bind_int64(statement, 1, origin);
	if (line->seq > 0)
		(void)sqlite3_bind_int64(statement, 2, line->seq);
	bind_text(statement, 3, packed->id);
	(void)sqlite3_bind_int64(statement, 4, packed->at_us);
	bind_text(statement, 5, packed->kind);
	bind_text(statement, 6, packed->subject);
	bind_text(statement, 7, packed->access_key_id);
	if (process != 0)
		(void)sqlite3_bind_int64(statement, 8, process);
	(void)sqlite3_bind_int(statement, 9, given ? 1 : 0);
	bind_text(statement, 10, packed->body);
	if (line->has_link)
		(void)sqlite3_bind_blob(statement, 11, line->link, DIGEST_BYTES, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 12, import);
	return import_run(importer, IMPORT_ROW_ADD, NULL, err);
}

/* Of the row just inserted: the processes behind the first one. */
MUST_USE static int add_holders(struct importer *importer, const struct packed *packed, const int64_t *ids,
                                struct error *err)
{
	int64_t record = sqlite3_last_insert_rowid(importer->db);
	for (size_t i = packed->has_process ? 1 : 0; i < packed->actor_count; i++) {
		(void)sqlite3_bind_int64(importer->statements[IMPORT_HOLDER], 1, record);
		(void)sqlite3_bind_int64(importer->statements[IMPORT_HOLDER], 2, ids[i]);
		if (import_run(importer, IMPORT_HOLDER, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int import_row(struct importer *importer, int64_t origin, int64_t import, const struct line *line, struct error *err)
{
	const struct packed *packed = &line->packed;
	const char *outcome = json_text_at(line->tree, "outcome"), *instance = instance_of(line);
	bool is_delivery = strcmp(packed->kind, "delivery") == 0;
	bool has_key = is_delivery && packed->access_key_id != NULL;
	bool given = has_key && (outcome == NULL || strcmp(outcome, "refused") != 0);
	int64_t ids[ENTRY_ACTORS_MAX];
	for (size_t i = 0; i < packed->actor_count; i++)
		if (add_process(importer, origin, &packed->actors[i], &ids[i], err) < 0)
			return -1;
	if (add_record(importer, origin, import, line, packed->has_process ? ids[0] : 0, given, err) < 0 ||
	    add_holders(importer, packed, ids, err) < 0 || (has_key && add_key(importer, origin, line, given, err) < 0))
		return -1;
	return instance != NULL ? add_instance(importer, origin, instance, err) : 0;
}
