/* SPDX-License-Identifier: Apache-2.0 */

/* Tokens: one spelling, one scope, one key, up to one second. */
#include "tests/common/unit.h"

#include "proxy/token.h"

static const struct secret_key key = {{1, 2, 3, 4}}, other_key = {{1, 2, 3, 5}};
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const struct {
	const char *name, *text;
	int64_t seconds; /* 0: refused */
} ttls[] = {
	{"missing", NULL, 0},
	{"empty", "", 0},
	{"zero", "0", 0},
	{"many zeros", "00000", 0},
	{"one too many", "21601", 0},
	{"six digits", "000001", 0},
	{"huge", "99999999999999999999999", 0},
	{"2^64 + 1", "18446744073709551617", 0},
	{"negative", "-1", 0},
	{"with a plus", "+1", 0},
	{"word", "abc", 0},
	{"trailing word", "60s", 0},
	{"hexadecimal", "0x10", 0},
	{"fraction", "1.5", 0},
	{"leading space", " 60", 0},
	{"trailing space", "60 ", 0},
	{"list", "60,60", 0},
	{"other digits", "\xd9\xa1", 0},
	{"one", "1", 1},
	{"minute", "60", 60},
	{"leading zeros", "00060", 60},
	{"six hours", "21600", 21600},
};

static void parses_a_ttl_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ttls); i++) {
		int64_t seconds = -7;
		CHECK_NUMBER(ttls[i].name, token_parse_ttl(ttls[i].text, &seconds), ttls[i].seconds > 0);
		CHECK_NUMBER(ttls[i].name, seconds, ttls[i].seconds > 0 ? ttls[i].seconds : -7);
	}
}

static const struct {
	const char *name, *text;
} malformed[] = {
	{"empty", ""},
	{"word", "token"},
	{"one character", "A"},
	{"55 characters", "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKg="},
	{"57 characters", "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKg==="},
	{"no padding", "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKgAA"},
	{"padding inside", "AQAEAIXkhdOR3sIqAVRdg0m=AdHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"plus", "AQAEAIXkhdOR3sIqAVRdg0mV+dHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"slash", "AQAEAIXkhdOR3sIqAVRdg0mV/dHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"space", "AQAEAIXkhdOR3sIqAVRdg0mV dHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"control byte", "AQAEAIXkhdOR3sIqAVRdg0mV\ndHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"byte above ASCII", "AQAEAIXkhdOR3sIqAVRdg0mV\xff"
                             "dHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"bits left over", "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKh=="},
	{"another marker", "BQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKg=="},
	{"all A", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="},
};

static void refuses_what_is_no_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
		int64_t left = -7;
		CHECK_NUMBER(malformed[i].name, token_check(&key, "s", 0, malformed[i].text, &left), TOKEN_MALFORMED);
		CHECK_NUMBER(malformed[i].name, left, -7);
	}
}

static void refuses_a_token_of_ec2(void **state)
{
	int64_t left = -7;
	(void)state;
	/* Its form and its first bytes are those of ours; only the digest tells them apart. */
	enum token_verdict verdict =
		token_check(&key, "s", 0, "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKg==", &left);
	assert_int_equal(verdict, TOKEN_STRANGE);
	assert_int_equal(left, -7);
}

static void has_the_form_of_ec2(void **state)
{
	char token[TOKEN_TEXT_BYTES];
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(token_make(&key, "s", 1000000 + i, 21600, token, NULL), 0);
		assert_int_equal(strlen(token), 56);
		assert_memory_equal(token, "AQAEA", 5);
		assert_int_equal(strspn(token, alphabet), 54);
		assert_string_equal(token + 54, "==");
	}
}

static void makes_no_token_twice(void **state)
{
	char a[TOKEN_TEXT_BYTES], b[TOKEN_TEXT_BYTES];
	(void)state;
	assert_int_equal(token_make(&key, "s", 0, 60, a, NULL), 0);
	assert_int_equal(token_make(&key, "s", 0, 60, b, NULL), 0);
	assert_string_not_equal(a, b);
}

static const struct {
	const char *name;
	int64_t made, ttl, asked;
	enum token_verdict verdict;
	int64_t left;
} times[] = {
	{"at once", 1000, 60, 1000, TOKEN_GOOD, 60},
	{"in its last second", 1000, 60, 1059, TOKEN_GOOD, 1},
	{"at its end", 1000, 60, 1060, TOKEN_EXPIRED, 0},
	{"one second later", 1000, 60, 1061, TOKEN_EXPIRED, 0},
	{"long after", 1000, 60, INT64_C(1) << 40, TOKEN_EXPIRED, 0},
	{"one second of life", 0, 1, 0, TOKEN_GOOD, 1},
	{"one second of life, over", 0, 1, 1, TOKEN_EXPIRED, 0},
	{"six hours", 5, 21600, 5, TOKEN_GOOD, 21600},
	{"before it was made, within six hours", 100, 60, 50, TOKEN_GOOD, 110},
	{"more than six hours before its end", 1000000, 21600, 999999, TOKEN_EXPIRED, 0},
};

static void ends_at_the_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
		char token[TOKEN_TEXT_BYTES];
		int64_t left = -7;
		assert_int_equal(token_make(&key, "s", times[i].made, times[i].ttl, token, NULL), 0);
		CHECK_NUMBER(times[i].name, token_check(&key, "s", times[i].asked, token, &left), times[i].verdict);
		CHECK_NUMBER(times[i].name, left, times[i].verdict == TOKEN_GOOD ? times[i].left : -7);
	}
}

static const struct {
	const char *made, *asked;
} scopes[] = {
	{"a", ""},
	{"", "a"},
	{"a", "b"},
	{"a", "aa"},
	{"netns:1", "netns:10"},
	{"netns:10", "netns:1"},
	{"boot1 netns:1", "boot2 netns:1"},
	{"a", "A"},
	{"a", "a "},
};

static void is_good_in_its_scope_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(scopes); i++) {
		char token[TOKEN_TEXT_BYTES];
		int64_t left = -7;
		assert_int_equal(token_make(&key, scopes[i].made, 0, 60, token, NULL), 0);
		CHECK_NUMBER(scopes[i].asked, token_check(&key, scopes[i].asked, 0, token, &left), TOKEN_STRANGE);
		/* Over and out of scope: whether it is over is nobody's business. */
		CHECK_NUMBER(scopes[i].asked, token_check(&key, scopes[i].asked, 60, token, &left), TOKEN_STRANGE);
		CHECK_NUMBER(scopes[i].asked, token_check(&other_key, scopes[i].made, 0, token, &left), TOKEN_STRANGE);
		CHECK_NUMBER(scopes[i].asked, left, -7);
		CHECK_NUMBER(scopes[i].made, token_check(&key, scopes[i].made, 0, token, &left), TOKEN_GOOD);
	}
}

/* Every bit of the 40 bytes, by changing each character to each of the 63 others. */
static void fails_when_any_bit_changes(void **state)
{
	char token[TOKEN_TEXT_BYTES], changed[TOKEN_TEXT_BYTES];
	int64_t left;
	(void)state;
	assert_int_equal(token_make(&key, "s", 0, 21600, token, NULL), 0);
	for (size_t at = 0; at < strlen(token); at++)
		for (const char *c = alphabet; *c != '\0'; c++) {
			memcpy(changed, token, sizeof(changed));
			changed[at] = *c;
			enum token_verdict verdict = token_check(&key, "s", 0, changed, &left);
			if ((verdict == TOKEN_GOOD) != (*c == token[at]))
				fail_msg("character %zu as %c: %d", at, *c, verdict);
		}
}

static void has_one_spelling(void **state)
{
	char token[TOKEN_TEXT_BYTES], changed[TOKEN_TEXT_BYTES + 2];
	int64_t left;
	int good = 0;
	(void)state;
	assert_int_equal(token_make(&key, "s", 0, 21600, token, NULL), 0);
	memcpy(changed, token, sizeof(token));
	for (const char *c = alphabet; *c != '\0'; c++) {
		changed[53] = *c; /* holds two bits, and four that must be 0 */
		good += token_check(&key, "s", 0, changed, &left) == TOKEN_GOOD;
	}
	assert_int_equal(good, 1);
	(void)snprintf(changed, sizeof(changed), " %s", token);
	assert_int_equal(token_check(&key, "s", 0, changed, &left), TOKEN_MALFORMED);
	(void)snprintf(changed, sizeof(changed), "%s\n", token);
	assert_int_equal(token_check(&key, "s", 0, changed, &left), TOKEN_MALFORMED);
	(void)snprintf(changed, sizeof(changed), "%.54s", token);
	assert_int_equal(token_check(&key, "s", 0, changed, &left), TOKEN_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_a_ttl_strictly),     cmocka_unit_test(refuses_what_is_no_token),
		cmocka_unit_test(refuses_a_token_of_ec2),    cmocka_unit_test(fails_when_any_bit_changes),
		cmocka_unit_test(is_good_in_its_scope_only), cmocka_unit_test(has_one_spelling),
		cmocka_unit_test(ends_at_the_second),        cmocka_unit_test(has_the_form_of_ec2),
		cmocka_unit_test(makes_no_token_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
