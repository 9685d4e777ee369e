/* SPDX-License-Identifier: Apache-2.0 */

/* Fingerprints tell each part of a credential from every other. */
#include "tests/common/unit.h"

#include "store/fingerprint.h"

struct credential {
	uint8_t key;
	const char *id, *secret, *token;
};

static struct fingerprint of(const struct credential *credential)
{
	const struct secret_key key = {{credential->key}};
	struct secret secret, token;
	struct fingerprint made;
	assert_int_equal(secret_set(&secret, credential->secret, strlen(credential->secret), NULL), 0);
	assert_int_equal(secret_set(&token, credential->token, strlen(credential->token), NULL), 0);
	assert_int_equal(fingerprint_make(&key, credential->id, &secret, &token, &made, NULL), 0);
	return made;
}

static const struct credential base = {1, "ASIA1", "secret", "token"};

static const struct {
	const char *name;
	struct credential credential;
	bool secret, token, whole; /* the same as of `base` */
} cases[] = {
	{"the same", {1, "ASIA1", "secret", "token"}, true, true, true},
	{"another host", {2, "ASIA1", "secret", "token"}, false, false, false},
	{"another id", {1, "ASIA2", "secret", "token"}, true, true, false},
	{"another secret", {1, "ASIA1", "Secret", "token"}, false, true, false},
	{"another token", {1, "ASIA1", "secret", "tokens"}, true, false, false},
	{"a byte moved from the id", {1, "ASIA", "1secret", "token"}, false, true, false},
	{"a byte moved from the secret", {1, "ASIA1", "secre", "ttoken"}, false, false, false},
	{"no token", {1, "ASIA1", "secret", ""}, true, false, false},
	{"changed places", {1, "ASIA1", "token", "secret"}, false, false, false},
};

static void changes_with_what_it_stands_for(void **state)
{
	struct fingerprint expected = of(&base);
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct fingerprint made = of(&cases[i].credential);
		CHECK_NUMBER(cases[i].name, memcmp(made.secret, expected.secret, DIGEST_BYTES) == 0, cases[i].secret);
		CHECK_NUMBER(cases[i].name, memcmp(made.token, expected.token, DIGEST_BYTES) == 0, cases[i].token);
		CHECK_NUMBER(cases[i].name, memcmp(made.whole, expected.whole, DIGEST_BYTES) == 0, cases[i].whole);
	}
}

static void names_the_key(void **state)
{
	const struct credential other_host = {2, "ASIA1", "secret", "token"}, other_secret = {1, "ASIA2", "x", "y"};
	struct fingerprint one = of(&base), two = of(&other_host), three = of(&other_secret);
	(void)state;
	assert_int_equal(strspn(one.key, "0123456789abcdef"), FINGERPRINT_KEY_BYTES - 1);
	assert_string_not_equal(one.key, two.key);
	assert_string_equal(one.key, three.key);
}

static void tells_a_secret_from_a_token(void **state)
{
	const struct credential same = {1, "ASIA1", "value", "value"};
	struct fingerprint made = of(&same);
	(void)state;
	assert_memory_not_equal(made.secret, made.token, DIGEST_BYTES);
	assert_memory_not_equal(made.secret, made.whole, DIGEST_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_with_what_it_stands_for),
		cmocka_unit_test(names_the_key),
		cmocka_unit_test(tells_a_secret_from_a_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
