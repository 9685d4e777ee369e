/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/common/unit.h"

#include "common/array.h"

static void makes_room_for_one_more(void **state)
{
	CLEANUP_FREE uint64_t *numbers = NULL;
	size_t capacity = 0, moves = 0;
	(void)state;
	for (size_t count = 0; count < 10000; count++) {
		size_t before = capacity;
		assert_int_equal(array_reserve(&numbers, sizeof(*numbers), count, &capacity, "numbers", NULL), 0);
		assert_true(capacity > count);
		moves += capacity != before;
		numbers[count] = count;
	}
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(numbers[i], i);
	assert_in_range(moves, 1, 14); /* it doubles */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_room_for_one_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
