/* SPDX-License-Identifier: Apache-2.0 */

/* line_take: a row that is taken is written as a line that gives the same row, byte for byte; by its processes, too. */
#include "store/line.h"
#include "tests/fuzz/fuzz.h"

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void must_come_back(const struct line *line)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_LINE struct line again = {0};
	const struct packed *packed = &line->packed;
	const struct line_place place = {.ledger_id = line->ledger_id[0] != '\0' ? line->ledger_id : NULL,
	                                 .link = line->has_link ? line->link : NULL};
	MUST(packed->kind != NULL && packed->id != NULL && packed->body != NULL && json_is_object(line->tree));
	MUST(packed->actor_count <= ENTRY_ACTORS_MAX && (!packed->has_process || packed->actor_count > 0));
	MUST(line_of_packed(packed, line->seq, &place, &text, NULL) == 0);
	MUST(memchr(text.bytes, '\n', text.length) == text.bytes + text.length - 1);
	MUST(line_take(text.bytes, text.length, &again, NULL) == 0 && again.what == LINE_ROW);
	MUST(again.seq == line->seq && again.has_link == line->has_link &&
	     strcmp(again.ledger_id, line->ledger_id) == 0);
	MUST(again.packed.at_us == packed->at_us && is_same(again.packed.kind, packed->kind) &&
	     is_same(again.packed.id, packed->id) && is_same(again.packed.subject, packed->subject) &&
	     is_same(again.packed.access_key_id, packed->access_key_id) && is_same(again.packed.body, packed->body));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	CLEANUP_LINE struct line line = {0};
	struct error problem = {0};
	if (line_take(text, length, &line, &problem) < 0) {
		MUST(problem.code == ERROR_INPUT);
		return 0;
	}
	if (line.what == LINE_ROW)
		must_come_back(&line);
	else
		MUST(line.tree != NULL);
	return 0;
}
