/* SPDX-License-Identifier: Apache-2.0 */

/* When a database that failed is tried again. */
#include "tests/store/scratch.h"

#include "store/journal.h"
#include "store/sink.h"

#define ROW_BYTES (256 << 10)

/* One row of that size, written by itself. */
static struct sink_done write_row(struct sink *sink, unsigned number)
{
	CLEANUP_FREE char *text = calloc(1, ROW_BYTES + 1);
	struct sink_row row = {0};
	struct sink_done done;
	assert_non_null(text);
	memset(text, 'x', ROW_BYTES);
	CLEANUP_JSON json_t *body = json_pack("{s:s}", "outcome", text);
	struct entry entry = {.kind = "outcome", .subject = "1", .at_us = ROWS_START + number, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%016x", number);
	assert_int_equal(packed_make(&entry, &row.packed, NULL), 0);
	sink_write(sink, &row, &done);
	assert_int_equal(row.result, done.lost == 0 ? 0 : -1);
	packed_done(&row.packed);
	return done;
}

/* A lock of a moment ends within the second in which it is not tried again. */
static void tries_at_once_what_failed_when_the_journal_fills(void **state)
{
	const struct sink_options options = {.path = path, .use_journal = true};
	const unsigned half = JOURNAL_BYTES / 2 / ROW_BYTES;
	struct sink *sink;
	(void)state;
	assert_int_equal(sink_open(&options, &sink, NULL), 0);
	for (unsigned round = 0; round < 3; round++) {
		sqlite3 *lock = rows_lock(path);
		for (unsigned i = 0; i <= half; i++)
			assert_int_equal(write_row(sink, 100 * round + i).journalled, 1);
		(void)sqlite3_close(lock);
		assert_int_equal(write_row(sink, 100 * round + half + 1).rows, 1);
		assert_false(sink_is_behind(sink));
	}
	sink_close(sink);
	assert_int_equal(rows_number(path, "SELECT count(*) FROM record"), 3 * (half + 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tries_at_once_what_failed_when_the_journal_fills, start, stop)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
