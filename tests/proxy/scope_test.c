/* SPDX-License-Identifier: Apache-2.0 */

/* Whom a token is good for, and what may be guessed of that before the witness has answered. */
#include "tests/common/unit.h"

#include "common/clock.h"
#include "proxy/scope.h"

static const struct token_keys keys = {.now = {.bytes = {1, 2, 3}}};
static struct proxy proxy = {.boot_id = "0c1f5a1e-9a0b-4a53-8f3f-3a35d0a3b7a1"};

static int start(void **state)
{
	(void)state;
	return keyring_new(&keys, &proxy.keyring, NULL);
}

static int stop(void **state)
{
	(void)state;
	keyring_free(proxy.keyring);
	return 0;
}

#define FROM(last) .client = {.family = AF_INET, .address = {192, 0, 2, (last)}}

/* A token given to the one and brought by the other. */
static const struct {
	const char *name;
	int scope;
	struct sighting maker, bearer;
	bool is_good;
} cases[] = {
	{"the same namespace", TOKEN_SCOPE_NETNS, {.netns = 5}, {.netns = 5, .cgroup_id = 7}, true},
	{"another namespace", TOKEN_SCOPE_NETNS, {.netns = 5}, {.netns = 6}, false},
	{"namespace not known any more", TOKEN_SCOPE_NETNS, {.netns = 5}, {FROM(1)}, false},
	{"the same address", TOKEN_SCOPE_NETNS, {FROM(1)}, {FROM(1)}, true},
	{"another address", TOKEN_SCOPE_NETNS, {FROM(1)}, {FROM(2)}, false},
	{"the same control group",
         TOKEN_SCOPE_CGROUP,
         {.netns = 5, .cgroup_id = 7},
         {.netns = 6, .cgroup_id = 7},
         true},
	{"another control group",
         TOKEN_SCOPE_CGROUP,
         {.netns = 5, .cgroup_id = 7},
         {.netns = 5, .cgroup_id = 8},
         false},
	{"without one", TOKEN_SCOPE_CGROUP, {.netns = 5}, {.netns = 5}, true},
	{"instance", TOKEN_SCOPE_INSTANCE, {.netns = 5}, {FROM(2)}, true},
};

/* The sightings are the witness's words, so each case also says what is guessed of a client like its bearer. */
static void is_good_within_its_scope(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct settings settings = {.token_scope = cases[i].scope};
		struct client maker = {.sighting = cases[i].maker};
		struct client bearer = {.sighting = cases[i].bearer, .likely = &cases[i].bearer};
		struct checked checked = {.ttl_left = -1}, guessed = {.ttl_left = -1};
		char scope[TOKEN_SCOPE_BYTES], token[TOKEN_TEXT_BYTES];
		scope_of(&proxy, &settings, &maker, scope);
		assert_int_equal(token_make(&keys.now, scope, clock_boot_seconds(), 100, token, NULL), 0);
		CHECK_NUMBER(cases[i].name, scope_check(&proxy, &settings, &bearer, token, &checked),
		             cases[i].is_good ? TOKEN_GOOD : TOKEN_STRANGE);
		CHECK_NUMBER(cases[i].name, checked.ttl_left > 0, cases[i].is_good);
		CHECK_NUMBER(cases[i].name, scope_is_likely(&proxy, &settings, &bearer, token, &guessed),
		             cases[i].is_good);
	}
}

/* What was guessed of the client before must not stick to the next. */
static void decides_nothing_by_a_guess(void **state)
{
	static const struct settings settings = {.token_scope = TOKEN_SCOPE_NETNS};
	const struct sighting before = {.netns = 5};
	struct client thief = {.sighting = {.netns = 6}, .likely = &before}, owner = {.sighting = before};
	struct checked checked = {.ttl_left = -1};
	char scope[TOKEN_SCOPE_BYTES], token[TOKEN_TEXT_BYTES];
	(void)state;
	scope_of(&proxy, &settings, &owner, scope);
	assert_int_equal(token_make(&keys.now, scope, clock_boot_seconds(), 100, token, NULL), 0);
	assert_true(scope_is_likely(&proxy, &settings, &thief, token, &checked));
	assert_int_equal(scope_check(&proxy, &settings, &thief, token, &checked), TOKEN_STRANGE);
	assert_int_equal(checked.ttl_left, -1);
	assert_int_equal(scope_check(&proxy, &settings, &owner, token, &checked), TOKEN_GOOD);
}

/* The line owes an answer then: a process cannot be asked for. */
static void guesses_no_process(void **state)
{
	static const struct settings settings = {.token_scope = TOKEN_SCOPE_PROCESS};
	const struct sighting before = {.netns = 5, .pid = 9, .start_ticks = 1};
	struct client client = {.likely = &before};
	struct checked checked = {.ttl_left = -1};
	(void)state;
	assert_false(scope_is_likely(&proxy, &settings, &client, "", &checked));
	client.likely = NULL;
	assert_false(
		scope_is_likely(&proxy, &(struct settings){.token_scope = TOKEN_SCOPE_NETNS}, &client, "", &checked));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_good_within_its_scope),
		cmocka_unit_test(decides_nothing_by_a_guess),
		cmocka_unit_test(guesses_no_process),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
