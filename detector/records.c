/* SPDX-License-Identifier: Apache-2.0 */

/* The walk over a window: 64 bytes at a time, counting brackets outside of strings. Nearly all blocks lie wholly inside
 * a record, and the scan passes over them; only where a record can begin or end are single brackets looked at. The
 * text is not trusted: a line that is cut costs that line, a file that is cut what stands behind the cut. */
#include "detector/records.h"

#include <string.h>

#include "detector/sieve.h"

#define RESYNCS_MAX 1000 /* a file with more broken lines than this is not CloudTrail */

void records_begin(struct records *records, const struct records_reader *reader)
{
	*records = (struct records){.reader = reader, .scan = scan_best()->pass, .level = -1, .array = SIZE_MAX};
}

static void complain(struct records *records, size_t at, const char *expected)
{
	records->reader->broken(records->reader->context, records->number + 1, records->base + at, expected);
}

/* Between records only white space and commas may stand, and at the beginning a byte order mark. */
static bool may_stand_between(uint64_t offset, char c)
{
	static const char mark[] = "\xef\xbb\xbf";
	return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || (offset < 3 && c == mark[offset]);
}

/* What some shells of Windows make of a redirected output. */
static bool is_utf16(uint64_t offset, const char *bytes, size_t length)
{
	return offset == 0 && length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0);
}

static void check_gap(struct records *records, const char *bytes, size_t to)
{
	size_t i = records->gap;
	while (i < to && may_stand_between(records->base + i, bytes[i]))
		i++;
	if (i < to && is_utf16(records->base + i, bytes + i, to - i))
		complain(records, i, "UTF-8, and this is UTF-16: `iconv -f UTF-16 -t UTF-8` converts it");
	else if (i < to)
		complain(records, i, "a record, which is an object");
}

/* ---- one bracket */

static void open_top(struct records *records, const char *bytes, size_t at, size_t length)
{
	check_gap(records, bytes, at);
	records->gap = at + 1;
	if (bytes[at] == '[') {
		records->level = 1;
		return;
	}
	/* Undecided: as a record it is kept to the next window if it does not end in this one, and looked at again. */
	size_t array = 0;
	enum records_kind kind = records_look(bytes + at, length - at, &array);
	if (kind == RECORDS_OTHER)
		complain(records, at, "a record of CloudTrail, or an object with a list of them as Records or Events");
	records->level = kind == RECORDS_HOLDER ? -1 : 0;
	records->array = kind == RECORDS_HOLDER ? at + array : SIZE_MAX;
}

/* In JSON Lines a bracket that opens a line opens a record: one that has not ended by then was cut. Pretty-printed
 * records have their first line end elsewhere. */
static bool is_cut_line(const struct records *records, const char *bytes, size_t at)
{
	return records->in_record && !records->is_dropping && records->level == 0 && at > records->start + 2 &&
	       bytes[at] == '{' && bytes[at - 1] == '\n' &&
	       memchr(bytes + records->start, '\n', at - 1 - records->start) == NULL;
}

/* Those that need no looking at, as long as one stands directly behind the other. */
static bool pass_known(struct records *records, const char *bytes, size_t at, size_t length)
{
	size_t first = at, known;
	if (records->reader->known == NULL || at == records->asked)
		return false;
	while ((known = records->reader->known(records->reader->context, bytes + at, length - at)) > 0) {
		at += known;
		records->number++;
		records->gap = records->behind = at;
		if (length - at < 2 || bytes[at] != ',' || bytes[at + 1] != '{')
			break;
		at++;
	}
	records->asked = known > 0 ? SIZE_MAX : at;
	return at > first;
}

/* 1: the text is broken here. */
MUST_USE static int take_open(struct records *records, const char *bytes, size_t at, size_t length)
{
	if (records->state.depth == 0) {
		open_top(records, bytes, at, length);
	} else if (is_cut_line(records, bytes, at)) {
		return 1;
	} else if (records->state.depth == 1 && records->level < 0 && at == records->array) {
		records->level = 2;
		records->gap = at + 1;
		records->array = SIZE_MAX;
		records->state.depth++;
		return 0;
	}
	if (records->state.depth == records->level) {
		if (records->level > 0)
			check_gap(records, bytes, at);
		if (bytes[at] == '{' && pass_known(records, bytes, at, length))
			return 0;
		records->in_record = true;
		records->is_suspect = records->may_hide;
		records->is_object = bytes[at] == '{';
		records->start = at;
	}
	records->state.depth++;
	return 0;
}

MUST_USE static int end_record(struct records *records, const char *bytes, size_t at, struct error *err)
{
	records->in_record = false;
	records->gap = at + 1;
	if (records->is_dropping) {
		records->is_dropping = false;
		records->number++;
		return 0;
	}
	if (!records->is_object) {
		complain(records, records->start, "a record, which is an object");
		return 0;
	}
	records->number++;
	struct record record = {
		.bytes = bytes + records->start,
		.length = at + 1 - records->start,
		.number = records->number,
		.offset = records->base + records->start,
		.is_suspect = records->is_suspect,
	};
	return records->reader->record(records->reader->context, &record, err);
}

/* -1: an error of the reader; 1: a closing bracket too many. */
MUST_USE static int take_close(struct records *records, const char *bytes, size_t at, struct error *err)
{
	if (records->state.depth == 0)
		return 1;
	records->state.depth--;
	if (records->in_record && records->state.depth == records->level)
		return end_record(records, bytes, at, err);
	if (!records->in_record && records->level > 0 && records->state.depth == records->level - 1) {
		check_gap(records, bytes, at);
		records->level = -1;
	}
	if (records->state.depth == 0)
		records->gap = at + 1;
	return 0;
}

/* ---- one block */

/* Nothing that matters begins within the first two bytes of a record. */
static void take_hint(struct records *records, const char *at, const char *from, const char *end)
{
	if (!records->in_record || records->is_suspect || records->is_dropping || at - from < 2)
		return;
	const char *start = sieve_find(records->reader->sieve, at);
	if (start != NULL)
		records->is_suspect = records->reader->hint(records->reader->hint_context, start, end);
}

struct view {
	const char *bytes;
	size_t length;
};

/* Those of blocks that were passed over, from the first byte `from`. */
static void take_hints(struct records *records, const struct view *view, const char *from,
                       const struct scan_hints *hints)
{
	for (size_t i = 0; i < hints->count; i++)
		for (uint64_t bits = hints->bits[i]; bits != 0; bits &= bits - 1)
			take_hint(records, from + hints->at[i] + __builtin_ctzll(bits), view->bytes + records->start,
			          view->bytes + view->length);
}

/* Where in the block the walk cannot go on (its bit), or 64. */
MUST_USE static int take_brackets(struct records *records, const struct view *view, size_t at,
                                  const struct scan_block *block, struct error *err)
{
	for (uint64_t bits = block->open | block->close | block->hint; bits != 0; bits &= bits - 1) {
		int i = __builtin_ctzll(bits);
		uint64_t bit = UINT64_C(1) << i;
		int result = 0;
		if ((block->open & bit) != 0)
			result = take_open(records, view->bytes, at + (size_t)i, view->length);
		else if ((block->close & bit) != 0)
			result = take_close(records, view->bytes, at + (size_t)i, err);
		else
			take_hint(records, view->bytes + at + i, view->bytes + records->start,
			          view->bytes + view->length);
		if (result != 0)
			return result < 0 ? -1 : i;
		if (records->behind > 0)
			break;
	}
	return SCAN_BLOCK_BYTES;
}

/* As take_brackets. */
MUST_USE static int take_block(struct records *records, const struct view *view, size_t at, struct scan_block *block,
                               struct error *err)
{
	int stop = SCAN_BLOCK_BYTES;
	if (block->broken != 0) {
		stop = __builtin_ctzll(block->broken);
		uint64_t valid = (UINT64_C(1) << stop) - 1;
		block->open &= valid;
		block->close &= valid;
		block->hint &= valid;
	}
	/* Whatever record an escape's block touches is suspect. */
	records->may_hide = block->may_hide;
	records->is_suspect = records->is_suspect || block->may_hide;
	int result = take_brackets(records, view, at, block, err);
	return result == SCAN_BLOCK_BYTES ? stop : result;
}

/* ---- a window */

/* Inside of a record all is passed over that does not end it. */
static struct scan_aim aim_of(const struct records *records)
{
	return (struct scan_aim){
		.every = !records->in_record,
		.floor = records->level,
		.lines = records->level == 0,
	};
}

/* Blocks begin at multiples of their size, as the text does: behind records that were passed over comes a part of one.
 */
static size_t end_of_step(const struct view *view, size_t at)
{
	size_t next = at + SCAN_BLOCK_BYTES - at % SCAN_BLOCK_BYTES;
	return at % SCAN_BLOCK_BYTES != 0 && next < view->length ? next : view->length;
}

/* From `at` to the end of the window, or to where the text is broken (then *ret_broken). */
MUST_USE static int walk_window(struct records *records, const struct view *view, size_t *at, bool *ret_broken,
                                struct error *err)
{
	while (*at < view->length) {
		struct scan_block block;
		const struct scan_aim aim = aim_of(records);
		struct scan_hints hints;
		const char *from = view->bytes + *at;
		size_t end = end_of_step(view, *at);
		hints.count = 0;
		*at += records->scan(from, end - *at, &records->state, &aim, &hints, &block);
		take_hints(records, view, from, &hints);
		if (*at == end)
			continue;
		int stop = take_block(records, view, *at, &block, err);
		if (stop < 0)
			return -1;
		if (records->behind > 0) {
			*at = records->behind;
			records->behind = 0;
			records->state = (struct scan_state){.depth = records->level};
			continue;
		}
		*ret_broken = stop < SCAN_BLOCK_BYTES;
		*at += (size_t)stop;
		if (*ret_broken)
			return 0;
		if (*at > end)
			*at = end;
	}
	return 0;
}

/* Behind a broken place: in JSON Lines the next line is as good as any; elsewhere nothing can be trusted any more. */
static void resync(struct records *records, const struct view *view, size_t *at)
{
	bool is_lines = records->level == 0 || records->state.depth == 0;
	size_t from = records->in_record && !records->is_dropping ? records->start : *at;
	const char *line = is_lines ? memchr(view->bytes + from, '\n', view->length - from) : NULL;
	complain(records, from, is_lines ? "one whole record a line" : "whole JSON text up to its end");
	records->is_given_up = !is_lines || records->resyncs++ >= RESYNCS_MAX;
	*at = line != NULL ? (size_t)(line - view->bytes) + 1 : view->length;
	records->gap = *at;
	records->level = -1;
	records->in_record = records->is_dropping = false;
	records->state = (struct scan_state){0};
}

/* A cut record is kept from its beginning: it is walked again when there is more of it. */
static size_t keep(struct records *records, const struct view *view)
{
	size_t used = view->length;
	if (records->is_dropping) {
		records->start = 0;
	} else if (records->in_record) {
		used = records->start;
		records->in_record = false;
		records->state = (struct scan_state){.depth = records->level};
	} else if (records->state.depth == 0 || records->level > 0) {
		check_gap(records, view->bytes, view->length);
	}
	records->base += used;
	return used;
}

void records_drop(struct records *records)
{
	complain(records, 0, "a record of at most 16 MiB");
	records->is_dropping = true;
}

int records_feed(struct records *records, const char *bytes, size_t length, bool is_last, size_t *ret_used,
                 struct error *err)
{
	struct view view = {bytes, length};
	size_t at = 0;
	records->gap = records->behind = 0;
	records->asked = SIZE_MAX;
	records->is_suspect = false;
	while (at < length && !records->is_given_up) {
		bool is_broken = false;
		if (walk_window(records, &view, &at, &is_broken, err) < 0)
			return -1;
		if (is_broken || (at == length && is_last && (records->state.depth > 0 || records->state.in_string)))
			resync(records, &view, &at);
	}
	if (is_last && length == 0 && (records->state.depth > 0 || records->state.in_string))
		resync(records, &view, &at);
	if (records->is_given_up) {
		*ret_used = length;
		return 0;
	}
	*ret_used = keep(records, &view);
	return 0;
}
