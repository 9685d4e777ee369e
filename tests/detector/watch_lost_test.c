/* SPDX-License-Identifier: Apache-2.0 */

/* When is a file tried again that could not be read, and what happens when there are very many. */
#include "tests/detector/support.h"

#include "detector/watch_lost.h"

#define INTERVAL_MS 5000

static struct checkpoint_id id_of(unsigned number)
{
	struct checkpoint_id id = {{0}};
	memcpy(id.bytes, &number, sizeof(number));
	return id;
}

static struct watch_lost make(int64_t interval_ms)
{
	struct watch_lost lost;
	struct error err = {0};
	assert_int_equal(watch_lost_init(&lost, interval_ms, &err), 0);
	return lost;
}

static const struct {
	int64_t interval_ms;
	unsigned failures; /* in a row */
	int64_t wait_ms;   /* after the last */
} waits[] = {
	{INTERVAL_MS, 1, 5000},
	{INTERVAL_MS, 2, 10000},
	{INTERVAL_MS, 3, 20000},
	{INTERVAL_MS, 10, 2560000},
	{INTERVAL_MS, 11, WATCH_LOST_WAIT_MAX_MS},
	{INTERVAL_MS, 100, WATCH_LOST_WAIT_MAX_MS},
	{1, 13, 4096},
	{1, 100, 4096},
	{INT64_C(7) * 24 * 3600 * 1000, 1, WATCH_LOST_WAIT_MAX_MS},
};

static void test_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(waits); i++) {
		struct watch_lost lost = make(waits[i].interval_ms);
		const struct checkpoint_id id = id_of(1);
		const int64_t now_ms = 1000000, due_ms = now_ms + waits[i].wait_ms;
		for (unsigned k = 1; k <= waits[i].failures; k++)
			assert_int_equal(watch_lost_add(&lost, &id, now_ms), k);
		assert_int_equal(watch_lost_failures(&lost, &id), waits[i].failures);
		assert_true(watch_lost_waits(&lost, &id, due_ms - 1));
		assert_false(watch_lost_has_due(&lost, due_ms - 1));
		assert_false(watch_lost_waits(&lost, &id, due_ms));
		assert_true(watch_lost_has_due(&lost, due_ms));
		watch_lost_done(&lost);
	}
}

static void test_read_after_all(void **state)
{
	(void)state;
	struct watch_lost lost = make(INTERVAL_MS);
	const struct checkpoint_id first = id_of(1), second = id_of(2), third = id_of(3);
	(void)watch_lost_add(&lost, &first, 0);
	(void)watch_lost_add(&lost, &second, 1000);
	watch_lost_remove(&lost, &third);
	assert_int_equal(lost.count, 2);
	watch_lost_remove(&lost, &first);
	assert_int_equal(watch_lost_failures(&lost, &first), 0);
	assert_false(watch_lost_waits(&lost, &first, 0));
	assert_int_equal(watch_lost_failures(&lost, &second), 1);
	assert_false(watch_lost_has_due(&lost, INTERVAL_MS));
	assert_true(watch_lost_has_due(&lost, INTERVAL_MS + 1000));
	/* It fails anew: from the first wait on. */
	assert_int_equal(watch_lost_add(&lost, &first, 0), 1);
	watch_lost_done(&lost);
}

/* Of very many the oldest is forgotten, also when one was removed in between. */
static void test_very_many(void **state)
{
	(void)state;
	struct watch_lost lost = make(INTERVAL_MS);
	for (unsigned i = 0; i < WATCH_LOST_MAX; i++) {
		const struct checkpoint_id id = id_of(i);
		(void)watch_lost_add(&lost, &id, 0);
	}
	const struct checkpoint_id removed = id_of(7), oldest = id_of(0), next = id_of(1),
				   last = id_of(WATCH_LOST_MAX - 1);
	const struct checkpoint_id more[] = {id_of(WATCH_LOST_MAX), id_of(WATCH_LOST_MAX + 1)};
	watch_lost_remove(&lost, &removed);
	(void)watch_lost_add(&lost, &more[0], 0);
	assert_int_equal(watch_lost_failures(&lost, &oldest), 1);
	(void)watch_lost_add(&lost, &more[1], 0);
	assert_int_equal(lost.count, WATCH_LOST_MAX);
	assert_int_equal(watch_lost_failures(&lost, &oldest), 0);
	assert_int_equal(watch_lost_failures(&lost, &next), 1);
	assert_int_equal(watch_lost_failures(&lost, &last), 1);
	assert_int_equal(watch_lost_failures(&lost, &more[1]), 1);
	watch_lost_done(&lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_read_after_all),
		cmocka_unit_test(test_very_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
