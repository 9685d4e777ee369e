/* SPDX-License-Identifier: Apache-2.0 */

/* For which requests the witness need not be asked who makes them. */
#include "tests/common/unit.h"

#include "common/clock.h"
#include "proxy/exchange.h"
#include "proxy/scope.h"

#define OWN_NETNS 4
#define LOCAL                                                                                                          \
	{                                                                                                              \
		.family = AF_INET, .port = 1, .address = { 127, 0, 0, 1 }                                              \
	}
#define BRIDGED                                                                                                        \
	{                                                                                                              \
		.family = AF_INET, .port = 1, .address = { 169, 254, 169, 1 }                                          \
	}
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

static const struct token_keys keys = {.now = {.bytes = {1, 2, 3}}};

/* The policy of all cases: `uid` decides on one path, nobody on another. */
#define UID_PATH "/latest/user-data"
#define DENIED_PATH "/latest/dynamic/fws/instance-monitoring"

enum brought { NO_TOKEN, GOOD, ANOTHERS, JUNK };
enum scope { BY_NETNS, BY_INSTANCE, BY_CGROUP, BY_PROCESS };

static const struct {
	const char *name, *method, *target;
	enum brought token;
	bool is_for_anybody;
	enum scope scope;
	int record;
	struct endpoint local; /* family 0: LOCAL */
	bool is_agents, is_malformed, is_from_elsewhere;
	const char *ttl; /* NULL: a good one */
} cases[] = {
#define GET .method = "GET", .target
#define PUT .method = "PUT", .target
#define PLAIN GET = "/latest/meta-data/instance-id", .token = GOOD
	{.name = "metadata", PLAIN, .is_for_anybody = true},
	{.name = "its head", .method = "HEAD", .target = "/latest/meta-data/", .token = GOOD, .is_for_anybody = true},
	{.name = "IPv6", PLAIN, .local = {.family = AF_INET6, .address = {[15] = 1}}, .is_for_anybody = true},
	{.name = "the list of roles", GET = ROLE_PATH, .token = GOOD, .is_for_anybody = true},
	{.name = "a role's credentials", GET = ROLE_PATH "web", .token = GOOD},
	{.name = "written otherwise", GET = "/latest/meta-data/iam//security%2dcredentials/w%65b", .token = GOOD},
	{.name = "without a token", GET = "/latest/meta-data/instance-id"},
	{.name = "another's token", GET = "/latest/meta-data/instance-id", .token = ANOTHERS},
	{.name = "no token of ours", GET = "/latest/meta-data/instance-id", .token = JUNK},
	{.name = "a bad target", GET = "/latest/../x", .token = GOOD},
	{.name = "no request", PLAIN, .is_malformed = true},
	{.name = "by a bridge", PLAIN, .local = BRIDGED, .is_from_elsewhere = true},
	{.name = "by a bridge, to our loopback address", PLAIN, .is_from_elsewhere = true},
	{.name = "everything has a row", PLAIN, .record = RECORD_ALL},
	{.name = "tokens have rows", PLAIN, .record = RECORD_TOKENS, .is_for_anybody = true},
	{.name = "for the whole instance", PLAIN, .scope = BY_INSTANCE, .is_for_anybody = true},
	{.name = "for a process", PLAIN, .scope = BY_PROCESS},
	{.name = "for a control group", PLAIN, .scope = BY_CGROUP},
	{.name = "a policy that goes by who asks", GET = UID_PATH, .token = GOOD},
	{.name = "a policy that refuses all", GET = DENIED_PATH, .token = GOOD},
	{.name = "an agent's", GET = "/v2/credentials/1", .token = GOOD, .is_agents = true},
	{.name = "a token", PUT = "/latest/api/token", .is_for_anybody = true},
	{.name = "a token, by a bridge", PUT = "/latest/api/token", .local = BRIDGED, .is_from_elsewhere = true},
	{.name = "a token, to our loopback address", PUT = "/latest/api/token", .is_from_elsewhere = true},
	{.name = "a token that has a row", PUT = "/latest/api/token", .record = RECORD_TOKENS},
	{.name = "a token for a process", PUT = "/latest/api/token", .scope = BY_PROCESS},
	{.name = "a token elsewhere", PUT = "/latest/api/token/"},
	{.name = "a token for too long", PUT = "/latest/api/token", .ttl = "21601"},
	{.name = "GET of a token", GET = "/latest/api/token", .token = GOOD},
};

static struct policy *make_policy(void)
{
	struct policy *policy = policy_new();
	assert_non_null(policy);
	assert_int_equal(policy_begin(policy, true, "by user", NULL), 0);
	assert_int_equal(policy_add(policy, "path", UID_PATH, NULL), 0);
	assert_int_equal(policy_add(policy, "uid", "7", NULL), 0);
	assert_int_equal(policy_begin(policy, true, "nobody", NULL), 0);
	assert_int_equal(policy_add(policy, "path", DENIED_PATH, NULL), 0);
	return policy;
}

static void make_good_token(struct proxy *proxy, const struct settings *settings, struct client *client,
                            char token[static TOKEN_TEXT_BYTES])
{
	char scope[TOKEN_SCOPE_BYTES];
	scope_of(proxy, settings, client, scope);
	assert_int_equal(token_make(&keys.now, scope, clock_boot_seconds(), 100, token, NULL), 0);
}

static void knows_what_concerns_nobody(void **state)
{
	static const int scopes[] = {
		[BY_NETNS] = TOKEN_SCOPE_NETNS,
		[BY_INSTANCE] = TOKEN_SCOPE_INSTANCE,
		[BY_CGROUP] = TOKEN_SCOPE_CGROUP,
		[BY_PROCESS] = TOKEN_SCOPE_PROCESS,
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct proxy proxy = {.boot_id = "0c1f5a1e-9a0b-4a53-8f3f-3a35d0a3b7a1", .netns = OWN_NETNS};
		struct settings settings = {.token_scope = scopes[cases[i].scope],
		                            .record = cases[i].record,
		                            .ecs = 1,
		                            .policy = make_policy()};
		const struct endpoint here = LOCAL;
		struct client client = {.fd = -1,
		                        .local = cases[i].local.family != 0 ? cases[i].local : here,
		                        .is_here = !cases[i].is_from_elsewhere};
		struct client stranger = {.local = BRIDGED, .is_met = true, .sighting = {.netns = 5}};
		char token[TOKEN_TEXT_BYTES] = "AQAAAJunk==";
		client_init(&client);
		client.service = cases[i].is_agents ? SERVICE_ECS : SERVICE_IMDS;
		assert_int_equal(keyring_new(&keys, &proxy.keyring, NULL), 0);
		if (cases[i].token != JUNK && cases[i].scope != BY_PROCESS)
			make_good_token(&proxy, &settings, cases[i].token == ANOTHERS ? &stranger : &client, token);
		assert_int_equal(current_new(&settings, &proxy.current, NULL), 0);
		struct exchange *exchange = exchange_new(&proxy);
		assert_non_null(exchange);
		const struct request request = {.method = cases[i].method,
		                                .target = cases[i].target,
		                                .host = "169.254.169.254",
		                                .ttl = cases[i].ttl != NULL ? cases[i].ttl : "60",
		                                .malformed = cases[i].is_malformed ? "head" : NULL,
		                                .token = cases[i].token == NO_TOKEN ? NULL : token};
		exchange_begin(exchange, &client, &request);
		CHECK_NUMBER(cases[i].name, exchange_is_for_anybody(exchange), cases[i].is_for_anybody);
		exchange_drop(exchange);
		exchange_free(exchange);
		current_free(proxy.current);
		keyring_free(proxy.keyring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_concerns_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
