/* SPDX-License-Identifier: Apache-2.0 */

/* Where a run of rows meets what is there already. */
#include "store/import_section.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"
#include "store/chain.h"
#include "store/store.h"

int import_refuse(struct taking *taking, enum import_fault fault, const struct line *line, const char *format, ...)
{
	struct import_result *result = taking->result;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(result->detail, sizeof(result->detail), format, arguments);
	va_end(arguments);
	result->fault = fault;
	result->line = lines_number(taking->lines);
	result->seq = line != NULL ? line->seq : 0;
	(void)text_copy(result->ledger_id, sizeof(result->ledger_id),
	                line != NULL && line->ledger_id[0] != '\0' ? line->ledger_id : taking->section.ledger_id);
	(void)text_copy(result->id, sizeof(result->id), line != NULL && line->packed.id != NULL ? line->packed.id : "");
	return 0;
}

/* What the merged ledger holds from `seq` on. */
int section_look_ahead(struct taking *taking, int64_t seq)
{
	struct section *section = &taking->section;
	static const enum import_sql which[] = {IMPORT_SEGMENT_AT, IMPORT_SEGMENT_NEXT};
	int64_t *const to[] = {&section->held_until, &section->held_from};
	for (size_t i = 0; i < ARRAY_LENGTH(which); i++) {
		sqlite3_stmt *statement = taking->importer->statements[which[i]];
		(void)sqlite3_bind_int64(statement, 1, section->origin);
		(void)sqlite3_bind_int64(statement, 2, seq);
		if (import_run(taking->importer, which[i], to[i], taking->err) < 0)
			return -1;
	}
	return 0;
}

/* The row of that number as it is held. 1: there is one, with its link, and *ret_fits says whether its link follows
 * from `link` (NULL: nobody asks); 0 or -1. */
int section_held_row(struct taking *taking, int64_t seq, uint8_t ret[static DIGEST_BYTES], const uint8_t *link,
                     bool *ret_fits)
{
	sqlite3_stmt *row = taking->importer->statements[IMPORT_ROW_FIND];
	int result = 0;
	(void)sqlite3_bind_int64(row, 1, taking->section.origin);
	(void)sqlite3_bind_int64(row, 2, seq);
	int code = sqlite3_step(row);
	if (code == SQLITE_ROW && sqlite3_column_bytes(row, 1) == DIGEST_BYTES) {
		memcpy(ret, sqlite3_column_blob(row, 1), DIGEST_BYTES);
		result = 1;
	}
	if (result == 1 && link != NULL) {
		uint8_t computed[DIGEST_BYTES];
		const struct chain_row as = {
			.seq = seq,
			.at_us = sqlite3_column_int64(row, 2),
			.id = (const char *)sqlite3_column_text(row, 3),
			.kind = (const char *)sqlite3_column_text(row, 4),
			.subject = (const char *)sqlite3_column_text(row, 5),
			.access_key_id = (const char *)sqlite3_column_text(row, 6),
			.body = (const char *)sqlite3_column_text(row, 7),
		};
		*ret_fits = chain_next(link, &as, computed, NULL) == 0 && memcmp(computed, ret, DIGEST_BYTES) == 0;
	}
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(taking->importer->db, taking->importer->path, taking->err);
	(void)sqlite3_reset(row);
	return result;
}

/* What came in since the last time becomes part of the ledger's segments. */
int section_connect(struct taking *taking)
{
	struct section *section = &taking->section;
	int64_t last = section->next - 1;
	if (!section->is_open || last < section->first || last == section->connected)
		return 0;
	int64_t first = section->connected > 0 ? section->connected + 1 : section->first;
	if (section->rows > 0 &&
	    import_connect(taking->importer, section->origin, first, last,
	                   section->connected == 0 && section->has_before ? section->before : NULL, taking->err) < 0)
		return -1;
	section->connected = last;
	return 0;
}

int section_end(struct taking *taking)
{
	struct section *section = &taking->section;
	const struct import_result *result = taking->result;
	sqlite3_stmt *statement = taking->importer->statements[IMPORT_ENDED];
	if (!section->is_open)
		return 0;
	if (section_connect(taking) < 0)
		return -1;
	(void)sqlite3_bind_int64(statement, 1, section->import);
	if (section->next > section->first) {
		(void)sqlite3_bind_int64(statement, 2, section->first);
		(void)sqlite3_bind_int64(statement, 3, section->next - 1);
	}
	(void)sqlite3_bind_int64(statement, 4, section->rows);
	(void)sqlite3_bind_int64(statement, 5, section->known);
	if (result->fault != IMPORT_GOOD) {
		(void)sqlite3_bind_text(statement, 6, import_fault_names[result->fault], -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(statement, 7, result->detail, -1, SQLITE_STATIC);
	}
	*section = (struct section){0};
	return import_run(taking->importer, IMPORT_ENDED, NULL, taking->err);
}

int import_origin(struct importer *importer, const char *ledger_id, int64_t *ret, struct error *err)
{
	static const enum import_sql which[] = {IMPORT_ORIGIN_FIND, IMPORT_ORIGIN_ADD};
	*ret = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(which) && *ret == 0; i++) {
		(void)sqlite3_bind_text(importer->statements[which[i]], 1, ledger_id, -1, SQLITE_STATIC);
		if (import_run(importer, which[i], ret, err) < 0)
			return -1;
		if (i == 1)
			*ret = sqlite3_last_insert_rowid(importer->db);
	}
	return 0;
}

/* A section of that ledger whose first row has that number; `before` is the link in front of it, or NULL. */
int section_begin(struct taking *taking, const char *ledger_id, int64_t first, const uint8_t *before)
{
	struct importer *importer = taking->importer;
	struct section section = {.is_open = true, .first = first, .next = first};
	sqlite3_stmt *begun = importer->statements[IMPORT_BEGUN];
	if (section_end(taking) < 0 || import_origin(importer, ledger_id, &section.origin, taking->err) < 0)
		return -1;
	(void)text_copy(section.ledger_id, sizeof(section.ledger_id), ledger_id);
	(void)sqlite3_bind_text(begun, 1, taking->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(begun, 2, taking->begun_at_us);
	(void)sqlite3_bind_int64(begun, 3, section.origin);
	if (import_run(importer, IMPORT_BEGUN, NULL, taking->err) < 0)
		return -1;
	section.import = sqlite3_last_insert_rowid(importer->db);
	section.has_before = section.has_link = before != NULL;
	if (before != NULL) {
		memcpy(section.before, before, DIGEST_BYTES);
		memcpy(section.link, before, DIGEST_BYTES);
	}
	taking->section = section;
	taking->result->ledgers++;
	return section_look_ahead(taking, first);
}

/* Is what stands in front of the section's first row what is held there? */
int section_check_front(struct taking *taking, const struct line *line)
{
	struct section *section = &taking->section;
	uint8_t link[DIGEST_BYTES];
	int is_held = section->first > 1 ? section_held_row(taking, section->first - 1, link, NULL, NULL) : 0;
	if (is_held < 0)
		return -1;
	if (is_held == 0)
		return 0;
	if (section->has_link && memcmp(section->link, link, DIGEST_BYTES) != 0)
		return import_refuse(taking, IMPORT_FORKED, line,
		                     "what this file says of row %" PRId64
		                     " is not what is held of that ledger: two machines "
		                     "claim one genesis, or it was rewritten",
		                     section->first - 1);
	memcpy(section->link, link, DIGEST_BYTES);
	memcpy(section->before, link, DIGEST_BYTES);
	section->has_link = section->has_before = true;
	return 0;
}

int section_check_instance(struct taking *taking, const struct line *line)
{
	const char *instance = json_text_at(line->tree, "instance_id");
	sqlite3_stmt *find = NULL;
	int result = 0;
	if (instance == NULL)
		return 0;
	if (sqlite3_prepare_v2(taking->importer->db, "SELECT instance_id FROM origin WHERE ledger_id=?1", -1, &find,
	                       NULL) != SQLITE_OK)
		return store_error(taking->importer->db, taking->importer->path, taking->err);
	(void)sqlite3_bind_text(find, 1, line->ledger_id, -1, SQLITE_STATIC);
	const char *held = sqlite3_step(find) == SQLITE_ROW ? (const char *)sqlite3_column_text(find, 0) : NULL;
	if (held != NULL && strcmp(held, instance) != 0)
		result = import_refuse(
			taking, IMPORT_OTHER_INSTANCE, line,
			"it says that it is of instance %.40s, and what is held under this genesis is of %.40s",
			instance, held);
	(void)sqlite3_finalize(find);
	return result;
}
