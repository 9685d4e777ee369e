/* SPDX-License-Identifier: Apache-2.0 */

/* Who is looked at first. */
#include "tests/common/unit.h"

#include "proxy/witness/order.h"

#define LENGTH_MAX 8

/* Lists end with 0. */
static const struct {
	const char *name;
	uint32_t pids[LENGTH_MAX], named[LENGTH_MAX], likely[LENGTH_MAX], expected[LENGTH_MAX];
} cases[] = {
	{"nobody", {0}, {0}, {0}, {0}},
	{"nobody, but somebody named", {0}, {7}, {7}, {0}},
	{"all alike", {9, 5, 3}, {0}, {0}, {9, 5, 3}},
	{"one named", {9, 5, 3}, {3}, {0}, {3, 9, 5}},
	{"one likely", {9, 5, 3}, {0}, {5}, {5, 9, 3}},
	{"named before likely", {9, 5, 3}, {3}, {9}, {3, 9, 5}},
	{"named and likely", {9, 5, 3}, {3}, {3, 5}, {3, 5, 9}},
	{"some of each, in their order", {9, 8, 5, 4, 3, 2}, {2, 8, 5}, {3, 9}, {8, 5, 2, 9, 3, 4}},
	{"named twice", {9, 5, 3}, {3, 3, 3}, {0}, {3, 9, 5}},
	{"named who is not there", {9, 5, 3}, {4, 3, 100}, {6}, {3, 9, 5}},
	{"all named", {9, 5, 3}, {3, 5, 9}, {0}, {9, 5, 3}},
	{"all likely", {9, 5, 3}, {0}, {9, 5, 3}, {9, 5, 3}},
};

static size_t length_of(const uint32_t *list)
{
	size_t length = 0;
	while (length < LENGTH_MAX && list[length] != 0)
		length++;
	return length;
}

static bool is_in(const void *context, uint32_t pid)
{
	const uint32_t *list = context;
	for (size_t i = 0; i < length_of(list); i++)
		if (list[i] == pid)
			return true;
	return false;
}

static void puts_the_likely_in_front(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		uint32_t pids[LENGTH_MAX];
		size_t count = length_of(cases[i].pids);
		memcpy(pids, cases[i].pids, sizeof(pids));
		order_pids(pids, count, cases[i].named, length_of(cases[i].named), is_in, cases[i].likely);
		CHECK_NUMBER(cases[i].name, count, length_of(cases[i].expected));
		for (size_t at = 0; at < count; at++)
			CHECK_NUMBER(cases[i].name, pids[at], cases[i].expected[at]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_the_likely_in_front),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
