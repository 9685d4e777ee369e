/* SPDX-License-Identifier: Apache-2.0 */

/* Each digest is first once, whatever the set has grown to and however many threads add to it; a full set says so. */
#include "tests/detector/support.h"

#include <pthread.h>

#include "detector/map.h"
#include "detector/seen.h"

#define MANY 200000
#define THREADS 4

static uint64_t digest_for(uint64_t number)
{
	return map_quick((const char *)&number, sizeof(number));
}

static void test_first_once(void **state)
{
	struct seen seen = {0};
	(void)state;
	assert_false(seen_holds(&seen, digest_for(0)));
	seen_expect(&seen, digest_for(0)); /* of an empty one, too */
	for (uint64_t i = 0; i < MANY; i++) {
		assert_true(seen_first(&seen, digest_for(i)));
		assert_false(seen_first(&seen, digest_for(i)));
	}
	for (uint64_t i = 0; i < MANY; i++) {
		assert_true(seen_holds(&seen, digest_for(i)));
		assert_false(seen_first(&seen, digest_for(i)));
		assert_false(seen_holds(&seen, digest_for(MANY + i)));
	}
	assert_false(seen.is_full);
	seen_done(&seen);
}

static void test_nothing_is_a_digest_too(void **state)
{
	struct seen seen = {0};
	(void)state;
	assert_true(seen_first(&seen, 0));
	assert_false(seen_first(&seen, 0));
	assert_true(seen_holds(&seen, 0));
	seen_done(&seen);
}

/* What is held stays held; of others it cannot be told any more. */
static void test_full(void **state)
{
	struct seen seen = {.max = 4096};
	uint64_t last = 0;
	(void)state;
	while (!seen.is_full && last < MANY)
		assert_true(seen_first(&seen, digest_for(last++)));
	assert_in_range(last, 2048, 8192);
	assert_true(seen_first(&seen, digest_for(last - 1)));
	for (uint64_t i = 0; i + 1 < last; i++)
		assert_true(seen_holds(&seen, digest_for(i)));
	seen_done(&seen);
	assert_int_equal(seen.max, 4096);
}

struct adder {
	pthread_t thread;
	struct seen *seen;
	uint64_t from, firsts;
};

/* Each adds all, from another one on. */
static void *add_all(void *context)
{
	struct adder *adder = context;
	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t digest = digest_for((adder->from + i) % MANY);
		seen_expect(adder->seen, digest);
		adder->firsts += seen_first(adder->seen, digest);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct seen seen = {0};
	struct adder adders[THREADS] = {0};
	uint64_t firsts = 0;
	(void)state;
	for (size_t i = 0; i < THREADS; i++) {
		adders[i].seen = &seen;
		adders[i].from = i * MANY / THREADS;
		assert_int_equal(pthread_create(&adders[i].thread, NULL, add_all, &adders[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		(void)pthread_join(adders[i].thread, NULL);
		firsts += adders[i].firsts;
	}
	assert_int_equal(firsts, MANY);
	seen_done(&seen);
}

/* Every byte of a text counts, and how many there are. */
static void test_hash_of_texts(void **state)
{
	char text[64], other[64];
	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	for (size_t length = 0; length < sizeof(text); length++) {
		uint64_t hash = map_quick(text, length);
		for (size_t i = 0; i < length; i++) {
			memcpy(other, text, sizeof(text));
			other[i] = (char)(other[i] ^ 1);
			assert_true(map_quick(other, length) != hash);
		}
		assert_true(map_quick(text, length + 1) != hash);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_once),    cmocka_unit_test(test_nothing_is_a_digest_too),
		cmocka_unit_test(test_full),          cmocka_unit_test(test_threads),
		cmocka_unit_test(test_hash_of_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
