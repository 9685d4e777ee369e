/* SPDX-License-Identifier: Apache-2.0 */

/* The settings in force: who has taken a snapshot keeps it, whatever replaces it meanwhile. */
#include "tests/common/unit.h"

#include <pthread.h>

#include "proxy/current.h"

static struct settings settings_of(int64_t hop_limit, bool with_policy)
{
	struct settings settings = {.put_response_hop_limit = hop_limit};
	if (with_policy) {
		settings.policy = policy_new();
		assert_non_null(settings.policy);
		policy_set_default(settings.policy, true);
	}
	return settings;
}

static bool denies(const struct settings *settings)
{
	const struct policy_facts facts = {0};
	return policy_judge(settings->policy, &facts).denies;
}

static void keeps_what_was_taken(void **state)
{
	struct settings first = settings_of(1, true), second = settings_of(2, false), third = settings_of(3, true);
	struct current *current;
	(void)state;
	assert_int_equal(current_new(&first, &current, NULL), 0);
	assert_null(first.policy); /* taken over */
	const struct settings *early = current_take(current);
	assert_int_equal(current_replace(current, &second, NULL), 0);
	const struct settings *late = current_take(current);
	assert_int_equal(current_replace(current, &third, NULL), 0);
	assert_null(third.policy);

	assert_int_equal(early->put_response_hop_limit, 1);
	assert_true(denies(early));
	assert_int_equal(late->put_response_hop_limit, 2);
	assert_false(denies(late));
	current_give(current, early);
	current_give(current, late);
	const struct settings *now = current_take(current);
	assert_int_equal(now->put_response_hop_limit, 3);
	assert_true(denies(now));
	current_give(current, now);
	current_free(current);
}

static void remembers_the_last_reload(void **state)
{
	struct settings first = settings_of(1, false), second = settings_of(2, false);
	struct current *current;
	(void)state;
	assert_int_equal(current_new(&first, &current, NULL), 0);
	assert_int_equal(current_last(current).at_us, 0);
	int64_t since_us = current_since_us(current);
	const struct reload_result refused = {.at_us = 7, .refused = true, .reason = "a line"};
	current_note(current, &refused);
	assert_int_equal(current_since_us(current), since_us);
	assert_true(current_last(current).refused);
	assert_string_equal(current_last(current).reason, "a line");
	assert_int_equal(current_replace(current, &second, NULL), 0);
	assert_true(current_since_us(current) >= since_us);
	current_free(current);
}

#define ROUNDS 2000

/* Number and default of the policy go together in what the writer puts in force: odd ones deny. */
static void *take_and_compare(void *argument)
{
	struct current *current = argument;
	for (int i = 0; i < ROUNDS; i++) {
		const struct settings *taken = current_take(current);
		bool odd = taken->put_response_hop_limit % 2 == 1;
		bool good = odd == denies(taken);
		current_give(current, taken);
		if (!good)
			return current;
	}
	return NULL;
}

static void is_whole_for_every_thread(void **state)
{
	struct settings first = settings_of(1, true);
	struct current *current;
	pthread_t threads[4];
	(void)state;
	assert_int_equal(current_new(&first, &current, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_compare, current), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct settings next = settings_of(i, i % 2 == 1);
		assert_int_equal(current_replace(current, &next, NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
		void *torn;
		assert_int_equal(pthread_join(threads[i], &torn), 0);
		assert_null(torn);
	}
	current_free(current);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_was_taken),
		cmocka_unit_test(remembers_the_last_reload),
		cmocka_unit_test(is_whole_for_every_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
