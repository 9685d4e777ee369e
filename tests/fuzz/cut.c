/* SPDX-License-Identifier: Apache-2.0 */

/* Any text, cut into records: the same ones by each form of the scan and in windows of any size; none is too long, none
 * reaches beyond the text; and what is taken in at a glance says what the parser reads. The first byte chooses how
 * large the windows are. */
#include "common/buffer.h"
#include "detector/event.h"
#include "detector/glance.h"
#include "detector/inflate.h"
#include "detector/records.h"
#include "detector/sieve.h"
#include "tests/fuzz/fuzz.h"

struct cut {
	struct buffer records;
	const char *window;
	size_t length;
	size_t form;
	uint64_t count;
	bool knows; /* that some records need no looking at */
};

static void check_text(const struct glance_text *seen, const char *read)
{
	MUST(seen->length == strlen(read) && (seen->length == 0 || memcmp(seen->text, read, seen->length) == 0));
}

/* Looked at from behind its caller on, with what follows in the window: the same. */
static void check_going_on(const struct cut *cut, const struct record *record, const struct glance *wanted)
{
	const struct glance_text *identity = &wanted->fields[GLANCE_IDENTITY];
	struct glance glance;
	size_t ends = 0, left = (size_t)(cut->window + cut->length - record->bytes);
	if (record->length < GLANCE_HEAD_BYTES || !glance_has_head(record->bytes) ||
	    identity->text != record->bytes + GLANCE_HEAD_BYTES)
		return;
	MUST(glance_go_on(scan_form(cut->form)->outline, record->bytes, left, identity->length, &glance, &ends));
	MUST(ends == record->length && glance.at_us == wanted->at_us && glance.id_hash == wanted->id_hash);
	for (size_t i = 0; i < GLANCE_FIELDS; i++)
		MUST(glance.fields[i].text == wanted->fields[i].text &&
		     glance.fields[i].length == wanted->fields[i].length);
}

static void check_glance(const struct cut *cut, const struct record *record)
{
	struct glance glance;
	struct event event;
	bool is_read = event_read(record->bytes, record->length, &event);
	if (!glance_read(scan_form(cut->form)->outline, record->bytes, record->length, &glance) || !is_read)
		return;
	check_going_on(cut, record, &glance);
	MUST(glance.at_us == event.at_us);
	/* A NUL in a text is read as a space, what is no UTF-8 as question marks. */
	for (size_t i = 0; i < record->length; i++)
		if (record->bytes[i] <= 0)
			return;
	check_text(&glance.fields[GLANCE_SOURCE], event.source_text);
	check_text(&glance.fields[GLANCE_ENDPOINT], event.endpoint_id);
	check_text(&glance.fields[GLANCE_ID], event.id);
	check_text(&glance.fields[GLANCE_NAME], event.name);
}

static int on_record(void *context, const struct record *record, struct error *err)
{
	struct cut *cut = context;
	MUST(record->bytes >= cut->window && record->bytes + record->length <= cut->window + cut->length);
	MUST(record->length >= 2 && record->bytes[0] == '{' && strchr("}]", record->bytes[record->length - 1]) != NULL);
	check_glance(cut, record);
	cut->count++;
	return buffer_append(&cut->records, record->bytes, record->length, err);
}

/* Some of those that are whole and plain. */
static size_t on_known(void *context, const char *at, size_t length)
{
	struct cut *cut = context;
	struct scan_outline outline;
	if (!cut->knows || !scan_form(cut->form)->outline(at, 0, length, &outline))
		return 0;
	size_t known = outline.end[outline.count - 1] + 1;
	MUST(known <= length);
	if (known % 4 == 0)
		return 0;
	cut->count++;
	MUST(buffer_append(&cut->records, at, known, NULL) == 0);
	return known;
}

static void on_broken(void *context, uint64_t number, uint64_t offset, const char *expected)
{
	(void)context;
	(void)number;
	(void)offset;
	MUST(expected[0] != '\0');
}

static bool on_hint(const void *context, const char *at, const char *end)
{
	(void)context;
	return at < end;
}

static void cut_text(const char *bytes, size_t length, size_t step, size_t form, bool knows, struct cut *ret)
{
	static uint64_t word;
	static const struct sieve sieve = {.words = &word, .lets_all = true};
	const struct records_reader reader = {on_record, on_broken, on_hint, ret, NULL, &sieve, on_known};
	struct records records;
	size_t start = 0, held = 0;
	*ret = (struct cut){.form = form, .knows = knows};
	records_begin(&records, &reader);
	records.scan = scan_form(form)->pass;
	for (bool is_last = false; !is_last;) {
		size_t end = start + held + step < length ? start + held + step : length, used = 0;
		held = end - start;
		is_last = end == length;
		/* A window of its own, so that reading behind its padding is seen. */
		CLEANUP_FREE char *window = calloc(1, held + INFLATE_PADDING);
		MUST(window != NULL);
		if (held > 0)
			memcpy(window, bytes + start, held);
		ret->window = window;
		ret->length = held;
		MUST(records_feed(&records, window, held, is_last, &used, NULL) == 0 && used <= held);
		start += used;
		held -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct cut whole, other;
	if (length == 0)
		return 0;
	const char *bytes = (const char *)input + 1;
	size_t step = (size_t)input[0] % 200 + 1;
	length--;
	cut_text(bytes, length, length + 1, 0, false, &whole);
	for (size_t i = 1; scan_form(i / 2) != NULL; i++) {
		cut_text(bytes, length, length + 1, i / 2, i % 2 != 0, &other);
		MUST(other.count == whole.count && other.records.length == whole.records.length);
		MUST(whole.records.length == 0 ||
		     memcmp(whole.records.bytes, other.records.bytes, whole.records.length) == 0);
		buffer_done(&other.records);
	}
	cut_text(bytes, length, step, 2, true, &other);
	buffer_done(&other.records);
	buffer_done(&whole.records);
	return 0;
}
