/* SPDX-License-Identifier: Apache-2.0 */

/* A file's lines, section by section: a run of rows of one ledger whose numbers follow each other. Within a section
 * every link is computed anew; at its ends it has to fit what the merged ledger holds already. */
#include "store/import.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "store/chain.h"
#include "store/import_section.h"
#include "store/store.h"

#define COMMIT_ROWS 20000 /* in one transaction */

const char *const import_fault_names[IMPORT_FAULT_COUNT] = {
	[IMPORT_GOOD] = "good",
	[IMPORT_NOT_JSON] = "not-json",
	[IMPORT_LINE_TOO_LONG] = "line-too-long",
	[IMPORT_NEWER] = "newer",
	[IMPORT_NO_CHAIN] = "no-chain",
	[IMPORT_GENESIS] = "genesis-forged",
	[IMPORT_CHANGED] = "changed",
	[IMPORT_MISSING] = "missing",
	[IMPORT_REORDERED] = "reordered",
	[IMPORT_FORKED] = "forked",
	[IMPORT_OTHER_INSTANCE] = "other-instance",
	[IMPORT_CUT_OFF] = "cut-off",
};

/* ---- heads */

MUST_USE static int take_head(struct taking *taking, const struct line *line)
{
	const char *genesis = json_text_at(line->tree, "genesis"), *before = json_text_at(line->tree, "before");
	int64_t format = 0, schema = 0, first = 0;
	uint8_t computed[DIGEST_BYTES], said[DIGEST_BYTES], front[DIGEST_BYTES];
	if (section_end(taking) < 0)
		return -1;
	if (!json_int_at(line->tree, "format", &format) || !json_int_at(line->tree, "first_seq", &first) || first < 1 ||
	    !json_int_at(line->tree, "schema_version", &schema) || genesis == NULL || before == NULL ||
	    !digest_from_hex(genesis, said) || !digest_from_hex(before, front) || line->ledger_id[0] == '\0')
		return import_refuse(
			taking, IMPORT_NOT_JSON, line,
			"the head of an export needs format, schema_version, ledger_id, genesis, first_seq and before");
	if (format > LINE_FORMAT || schema > ledger_schema.count)
		return import_refuse(taking, IMPORT_NEWER, line,
		                     "format %" PRId64 " of a ledger of schema version %" PRId64
		                     "; this program (" KEYTRAIL_VERSION ") knows format %d and versions up to %d",
		                     format, schema, LINE_FORMAT, ledger_schema.count);
	if (chain_genesis(line->ledger_id, computed, taking->err) < 0)
		return -1;
	if (memcmp(computed, said, DIGEST_BYTES) != 0 || (first == 1 && memcmp(computed, front, DIGEST_BYTES) != 0))
		return import_refuse(taking, IMPORT_GENESIS, line, "its genesis is not that of ledger %s",
		                     line->ledger_id);
	if (section_check_instance(taking, line) < 0)
		return -1;
	if (taking->result->fault != IMPORT_GOOD)
		return 0;
	if (section_begin(taking, line->ledger_id, first, front) < 0)
		return -1;
	taking->section.has_head = true;
	return section_check_front(taking, line);
}

/* ---- rows */

/* A row that shippers carried away, without a head: its section is whatever follows it. */
MUST_USE static int begin_without_head(struct taking *taking, const struct line *line)
{
	uint8_t genesis[DIGEST_BYTES];
	if (chain_genesis(line->ledger_id, genesis, taking->err) < 0 ||
	    section_begin(taking, line->ledger_id, line->seq, line->seq == 1 ? genesis : NULL) < 0)
		return -1;
	return section_check_front(taking, line);
}

/* The row's place within its section, or a new section where that may be. */
MUST_USE static int find_place(struct taking *taking, const struct line *line)
{
	const struct section *section = &taking->section;
	bool is_same = section->is_open && strcmp(section->ledger_id, line->ledger_id) == 0;
	if (is_same && line->seq == section->next)
		return 0;
	if (!is_same || !section->has_head)
		return begin_without_head(taking, line);
	if (line->seq > section->next)
		return import_refuse(taking, IMPORT_MISSING, line,
		                     "row(s) %" PRId64 " to %" PRId64 " are not in the file", section->next,
		                     line->seq - 1);
	return import_refuse(taking, IMPORT_REORDERED, line, "row %" PRId64 " where row %" PRId64 " belongs", line->seq,
	                     section->next);
}

MUST_USE static int check_link(struct taking *taking, const struct line *line)
{
	const struct section *section = &taking->section;
	uint8_t computed[DIGEST_BYTES];
	const struct chain_row row = {
		.seq = line->seq,
		.at_us = line->packed.at_us,
		.id = line->packed.id,
		.kind = line->packed.kind,
		.subject = line->packed.subject,
		.access_key_id = line->packed.access_key_id,
		.body = line->packed.body,
	};
	if (!section->has_link)
		return 0;
	if (chain_next(section->link, &row, computed, taking->err) < 0)
		return -1;
	if (memcmp(computed, line->link, DIGEST_BYTES) != 0)
		return import_refuse(taking, IMPORT_CHANGED, line,
		                     "row %" PRId64
		                     " or its link is not what was written, or a row in front of it was changed",
		                     line->seq);
	return 0;
}

/* One that is held already has to be the same. */
MUST_USE static int compare_held(struct taking *taking, const struct line *line)
{
	uint8_t link[DIGEST_BYTES] = {0};
	int is_held = section_held_row(taking, line->seq, link, NULL, NULL);
	if (is_held < 0)
		return -1;
	if (is_held == 0 || memcmp(link, line->link, DIGEST_BYTES) != 0)
		return import_refuse(taking, IMPORT_FORKED, line,
		                     "another row %" PRId64
		                     " is held of this ledger: two machines claim one genesis, or it was "
		                     "rewritten",
		                     line->seq);
	taking->section.known++;
	return 0;
}

MUST_USE static int insert(struct taking *taking, const struct line *line)
{
	struct section *section = &taking->section;
	if (section->held_from == line->seq + 1) {
		uint8_t link[DIGEST_BYTES];
		bool fits = false;
		int is_held = section_held_row(taking, line->seq + 1, link, line->link, &fits);
		if (is_held < 0)
			return -1;
		if (!fits)
			return import_refuse(taking, IMPORT_FORKED, line,
			                     "row %" PRId64
			                     ", which is held, does not follow this one: two machines claim one "
			                     "genesis, or it was rewritten",
			                     line->seq + 1);
	}
	if (import_row(taking->importer, section->origin, section->import, line, taking->err) < 0)
		return -1;
	section->rows++;
	taking->uncommitted++;
	return 0;
}

MUST_USE static int commit(struct taking *taking, bool goes_on)
{
	taking->uncommitted = 0;
	if (section_connect(taking) < 0 || store_exec(taking->importer->db, "COMMIT", taking->err) < 0)
		return -1;
	return goes_on ? store_exec(taking->importer->db, "BEGIN IMMEDIATE", taking->err) : 0;
}

MUST_USE static int take_row(struct taking *taking, const struct line *line)
{
	struct section *section = &taking->section;
	struct import_result *result = taking->result;
	if (line->ledger_id[0] == '\0' || line->seq == 0 || !line->has_link)
		return import_refuse(taking, IMPORT_NO_CHAIN, line, "a row without ledger_id, seq or link");
	if (find_place(taking, line) < 0 || (result->fault == IMPORT_GOOD && check_link(taking, line) < 0))
		return -1;
	if (result->fault != IMPORT_GOOD)
		return 0;
	bool is_held = line->seq <= section->held_until;
	if ((is_held ? compare_held(taking, line) : insert(taking, line)) < 0)
		return -1;
	if (result->fault != IMPORT_GOOD)
		return 0;
	*(is_held ? &result->known : &result->rows) += 1;
	memcpy(section->link, line->link, DIGEST_BYTES);
	section->has_link = true;
	section->next = line->seq + 1;
	if ((section->held_until > 0 && section->next > section->held_until) || section->next == section->held_from)
		if (section_look_ahead(taking, section->next) < 0)
			return -1;
	return taking->uncommitted >= COMMIT_ROWS ? commit(taking, true) : 0;
}

/* ---- the file */

MUST_USE static int take_line(struct taking *taking, const char *text, size_t length, bool is_cut)
{
	struct error problem = {0};
	CLEANUP_LINE struct line line = {0};
	if (line_take(text, length, &line, &problem) < 0 || line_check(&line, &problem) < 0) {
		if (problem.code != ERROR_INPUT)
			return error_set(taking->err, problem.code, "%s", problem.text);
		return import_refuse(taking, is_cut ? IMPORT_CUT_OFF : IMPORT_NOT_JSON, NULL, "%s%.200s",
		                     is_cut ? "it ends within a line: " : "", problem.text);
	}
	if (line.what == LINE_HEAD)
		return take_head(taking, &line);
	if (line.what == LINE_END) {
		taking->section.has_head = false; /* it has its end */
		return 0;
	}
	return take_row(taking, &line);
}

MUST_USE static int take_lines(struct taking *taking)
{
	enum lines_what what;
	const char *text;
	size_t length;
	bool is_empty = true;
	for (;;) {
		if (lines_next(taking->lines, &what, &text, &length, taking->err) < 0)
			return -1;
		if (what == LINES_TOO_LONG)
			return import_refuse(taking, IMPORT_LINE_TOO_LONG, NULL, "a line of more than %d bytes",
			                     LINE_BYTES_MAX);
		if (what == LINES_END)
			break;
		is_empty = false;
		if (take_line(taking, text, length, what == LINES_CUT) < 0)
			return -1;
		if (taking->result->fault != IMPORT_GOOD)
			return 0;
	}
	if (taking->section.has_head)
		return import_refuse(taking, IMPORT_CUT_OFF, NULL,
		                     "the export's last line is not there: it was cut off");
	if (is_empty)
		return import_refuse(taking, IMPORT_NOT_JSON, NULL, "an empty file");
	return 0;
}

/* A file of which nothing was taken is remembered, too. */
MUST_USE static int note_refusal(struct taking *taking)
{
	sqlite3_stmt *begun = taking->importer->statements[IMPORT_BEGUN];
	if (taking->result->fault == IMPORT_GOOD || taking->section.is_open)
		return 0;
	(void)sqlite3_bind_text(begun, 1, taking->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(begun, 2, taking->begun_at_us);
	if (import_run(taking->importer, IMPORT_BEGUN, NULL, taking->err) < 0)
		return -1;
	taking->section = (struct section){.is_open = true, .import = sqlite3_last_insert_rowid(taking->importer->db)};
	return 0;
}

int importer_take(struct importer *importer, const char *name, int fd, struct import_result *ret, struct error *err)
{
	struct import_result result = {0};
	struct error ignored;
	struct taking taking = {
		.importer = importer, .name = name, .result = &result, .begun_at_us = clock_now_us(), .err = err};
	if (lines_new(fd, &taking.lines, err) < 0)
		return -1;
	int done = store_exec(importer->db, "BEGIN IMMEDIATE", err);
	if (done == 0)
		done = take_lines(&taking);
	if (done == 0)
		done = note_refusal(&taking);
	if (done == 0)
		done = section_end(&taking);
	if (done == 0)
		done = commit(&taking, false);
	if (done < 0 && sqlite3_get_autocommit(importer->db) == 0)
		(void)store_exec(importer->db, "ROLLBACK", &ignored);
	lines_free(taking.lines);
	if (done == 0)
		*ret = result;
	return done;
}
