/* SPDX-License-Identifier: Apache-2.0 */

/* Whom a token is good for, and for whom that is known before the witness has been asked. */
#include "tests/common/unit.h"

#include "common/clock.h"
#include "proxy/scope.h"

#define OWN_NETNS 4

static const struct token_keys keys = {.now = {.bytes = {1, 2, 3}}};
static struct proxy proxy = {.boot_id = "0c1f5a1e-9a0b-4a53-8f3f-3a35d0a3b7a1", .netns = OWN_NETNS};

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
#define LOCAL .local = {.family = AF_INET, .address = {127, 0, 0, 1}}, .is_here = true
#define ASTRAY .local = {.family = AF_INET, .address = {127, 0, 0, 1}} /* but not over the loopback interface */
#define BRIDGED .local = {.family = AF_INET, .address = {169, 254, 169, 1}}

/* A token given to the one and brought by the other. */
static const struct {
	const char *name;
	int scope;
	struct client maker, bearer;
	bool is_good, is_known; /* is_known: of the bearer, before the witness has been asked */
} cases[] = {
	{"the same namespace",
         TOKEN_SCOPE_NETNS,
         {BRIDGED, .sighting = {.netns = 5}},
         {BRIDGED, .sighting = {.netns = 5, .cgroup_id = 7}},
         true,
         false},
	{"another namespace",
         TOKEN_SCOPE_NETNS,
         {BRIDGED, .sighting = {.netns = 5}},
         {BRIDGED, .sighting = {.netns = 6}},
         false,
         false},
	{"namespace not known any more",
         TOKEN_SCOPE_NETNS,
         {BRIDGED, .sighting = {.netns = 5}},
         {BRIDGED, .sighting = {FROM(1)}},
         false,
         false},
	{"the same address",
         TOKEN_SCOPE_NETNS,
         {BRIDGED, .sighting = {FROM(1)}},
         {BRIDGED, .sighting = {FROM(1)}},
         true,
         false},
	{"another address",
         TOKEN_SCOPE_NETNS,
         {BRIDGED, .sighting = {FROM(1)}},
         {BRIDGED, .sighting = {FROM(2)}},
         false,
         false},
	{"ours, found and not found",
         TOKEN_SCOPE_NETNS,
         {LOCAL, .sighting = {.netns = OWN_NETNS}},
         {LOCAL, .sighting = {FROM(1)}},
         true,
         true},
	{"ours, not found and found",
         TOKEN_SCOPE_NETNS,
         {LOCAL, .sighting = {FROM(1)}},
         {LOCAL, .sighting = {.netns = OWN_NETNS}},
         true,
         true},
	{"ours, from a container",
         TOKEN_SCOPE_NETNS,
         {LOCAL, .sighting = {FROM(1)}},
         {BRIDGED, .sighting = {FROM(1)}},
         false,
         false},
	{"a container's, from here",
         TOKEN_SCOPE_NETNS,
         {BRIDGED, .sighting = {.netns = 5}},
         {LOCAL, .sighting = {FROM(1)}},
         false,
         true},
	{"ours, from a container that came to the loopback address",
         TOKEN_SCOPE_NETNS,
         {LOCAL, .sighting = {.netns = OWN_NETNS}},
         {ASTRAY, .sighting = {FROM(1)}},
         false,
         false},
	{"that container's, from here",
         TOKEN_SCOPE_NETNS,
         {ASTRAY, .sighting = {FROM(1)}},
         {LOCAL, .sighting = {FROM(1)}},
         false,
         true},
	{"the same control group",
         TOKEN_SCOPE_CGROUP,
         {BRIDGED, .sighting = {.netns = 5, .cgroup_id = 7}},
         {BRIDGED, .sighting = {.netns = 6, .cgroup_id = 7}},
         true,
         false},
	{"another control group",
         TOKEN_SCOPE_CGROUP,
         {LOCAL, .sighting = {.cgroup_id = 7}},
         {LOCAL, .sighting = {.cgroup_id = 8}},
         false,
         false},
	{"without one", TOKEN_SCOPE_CGROUP, {LOCAL}, {LOCAL}, true, false},
	{"instance", TOKEN_SCOPE_INSTANCE, {BRIDGED, .sighting = {.netns = 5}}, {LOCAL}, true, true},
	{"instance, from a container", TOKEN_SCOPE_INSTANCE, {LOCAL}, {BRIDGED, .sighting = {.netns = 5}}, true, false},
};

static void is_good_within_its_scope(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct settings settings = {.token_scope = cases[i].scope};
		struct client maker = cases[i].maker, bearer = cases[i].bearer;
		struct checked checked = {.ttl_left = -1};
		char scope[TOKEN_SCOPE_BYTES], token[TOKEN_TEXT_BYTES];
		scope_of(&proxy, &settings, &maker, scope);
		assert_int_equal(token_make(&keys.now, scope, clock_boot_seconds(), 100, token, NULL), 0);
		CHECK_NUMBER(cases[i].name, scope_check(&proxy, &settings, &bearer, token, &checked),
		             cases[i].is_good ? TOKEN_GOOD : TOKEN_STRANGE);
		CHECK_NUMBER(cases[i].name, checked.ttl_left > 0, cases[i].is_good);
		CHECK_NUMBER(cases[i].name, scope_is_known(&proxy, &settings, &bearer), cases[i].is_known);
	}
}

/* What was checked for one scope must not stick when the witness has named another. */
static void is_checked_anew_for_another_scope(void **state)
{
	static const struct settings settings = {.token_scope = TOKEN_SCOPE_NETNS};
	struct client owner = {LOCAL}, thief = {BRIDGED, .sighting = {.netns = 6}};
	struct checked checked = {.ttl_left = -1};
	char scope[TOKEN_SCOPE_BYTES], token[TOKEN_TEXT_BYTES];
	(void)state;
	scope_of(&proxy, &settings, &owner, scope);
	assert_int_equal(token_make(&keys.now, scope, clock_boot_seconds(), 100, token, NULL), 0);
	assert_int_equal(scope_check(&proxy, &settings, &owner, token, &checked), TOKEN_GOOD);
	assert_int_equal(scope_check(&proxy, &settings, &thief, token, &checked), TOKEN_STRANGE);
	assert_int_equal(checked.ttl_left, -1);
	assert_int_equal(scope_check(&proxy, &settings, &owner, token, &checked), TOKEN_GOOD);
}

/* Processes are told apart by the witness alone, and without our own namespace's number so are namespaces. */
static void is_not_known_without_the_witness(void **state)
{
	static const struct settings by_process = {.token_scope = TOKEN_SCOPE_PROCESS};
	static const struct settings by_netns = {.token_scope = TOKEN_SCOPE_NETNS};
	const struct proxy blind = {.netns = 0};
	const struct client client = {LOCAL};
	(void)state;
	assert_false(scope_is_known(&proxy, &by_process, &client));
	assert_false(scope_is_known(&blind, &by_netns, &client));
	assert_true(scope_is_known(&proxy, &by_netns, &client));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_good_within_its_scope),
		cmocka_unit_test(is_checked_anew_for_another_scope),
		cmocka_unit_test(is_not_known_without_the_witness),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
