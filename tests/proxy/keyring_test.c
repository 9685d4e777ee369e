/* SPDX-License-Identifier: Apache-2.0 */

/* Changing the key of the tokens: which tokens are good before, after, and six hours later. */
#include "tests/common/unit.h"

#include <sys/stat.h>

#include "proxy/keyring.h"

#define BOOT "0c1f5a1e-9a0b-4a53-8f3f-3a35d0a3b7a1"
#define OTHER_BOOT "0c1f5a1e-9a0b-4a53-8f3f-3a35d0a3b7a2"
#define SIX_HOURS TOKEN_TTL_MAX_SECONDS
#define CHANGED_AT 5000

static char folder[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static void put(const char *name, const void *bytes, size_t length)
{
	char path[PATH_MAX];
	unit_write(unit_path(path, folder, name), bytes, length);
}

static struct token_keys keys_now(const char *boot)
{
	struct token_keys keys = {0};
	struct error problem = {0};
	if (keyring_read(folder, boot, &keys, &problem) < 0)
		fail_msg("%s", problem.text);
	return keys;
}

static void make_token(int64_t at, int64_t ttl, char token[static TOKEN_TEXT_BYTES])
{
	const struct token_keys keys = keys_now(BOOT);
	assert_int_equal(token_make(&keys.now, "scope", at, ttl, token, NULL), 0);
}

static enum token_verdict check(const char *boot, int64_t at, const char *token)
{
	const struct token_keys keys = keys_now(boot);
	int64_t left = -7;
	enum token_verdict verdict = token_check_keys(&keys, "scope", at, token, &left);
	assert_true((verdict == TOKEN_GOOD) == (left > 0));
	return verdict;
}

static void makes_a_key_once(void **state)
{
	(void)state;
	const struct token_keys first = keys_now(BOOT), second = keys_now(BOOT);
	assert_memory_equal(&first.now, &second.now, sizeof(first.now));
	assert_int_equal(first.previous_until, 0);
}

static void keeps_tokens_good_until_their_end(void **state)
{
	char old[TOKEN_TEXT_BYTES], new[TOKEN_TEXT_BYTES];
	struct error problem = {0};
	(void)state;
	(void)keys_now(BOOT);
	make_token(CHANGED_AT - 10, SIX_HOURS, old);
	if (keyring_rotate(folder, BOOT, CHANGED_AT, &problem) < 0)
		fail_msg("%s", problem.text);
	make_token(CHANGED_AT + 10, SIX_HOURS, new);
	assert_int_equal(check(BOOT, CHANGED_AT, old), TOKEN_GOOD);
	assert_int_equal(check(BOOT, CHANGED_AT + SIX_HOURS - 11, old), TOKEN_GOOD);
	assert_int_equal(check(BOOT, CHANGED_AT + SIX_HOURS - 10, old), TOKEN_EXPIRED);
	assert_int_equal(check(BOOT, CHANGED_AT + 10, new), TOKEN_GOOD);
	assert_int_equal(check(OTHER_BOOT, CHANGED_AT, old), TOKEN_STRANGE); /* ended with its boot anyway */
}

/* Who has the old key can make what he likes with it, but only ends that the daemon could have given out. */
static void takes_no_forgery_with_the_old_key(void **state)
{
	char forged[TOKEN_TEXT_BYTES];
	(void)state;
	const struct token_keys stolen = keys_now(BOOT);
	assert_int_equal(keyring_rotate(folder, BOOT, CHANGED_AT, NULL), 0);
	assert_int_equal(token_make(&stolen.now, "scope", CHANGED_AT + 1, SIX_HOURS, forged, NULL), 0);
	assert_int_equal(check(BOOT, CHANGED_AT + 1, forged), TOKEN_STRANGE);
	assert_int_equal(token_make(&stolen.now, "scope", CHANGED_AT + SIX_HOURS - 1, 60, forged, NULL), 0);
	assert_int_equal(check(BOOT, CHANGED_AT + SIX_HOURS - 1, forged), TOKEN_STRANGE);
	assert_int_equal(token_make(&stolen.now, "scope", CHANGED_AT + SIX_HOURS + 1, 60, forged, NULL), 0);
	assert_int_equal(check(BOOT, CHANGED_AT + SIX_HOURS + 1, forged), TOKEN_STRANGE);
}

static void forgets_the_key_before_the_previous(void **state)
{
	char oldest[TOKEN_TEXT_BYTES], old[TOKEN_TEXT_BYTES];
	(void)state;
	make_token(CHANGED_AT, SIX_HOURS, oldest);
	assert_int_equal(keyring_rotate(folder, BOOT, CHANGED_AT, NULL), 0);
	make_token(CHANGED_AT, SIX_HOURS, old);
	assert_int_equal(keyring_rotate(folder, BOOT, CHANGED_AT, NULL), 0);
	assert_int_equal(check(BOOT, CHANGED_AT, oldest), TOKEN_STRANGE);
	assert_int_equal(check(BOOT, CHANGED_AT, old), TOKEN_GOOD);
}

static void writes_keys_for_the_owner_only(void **state)
{
	static const char *const names[] = {KEYRING_NOW, KEYRING_PREVIOUS};
	struct stat status;
	char path[PATH_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_int_equal(stat(unit_path(path, folder, names[i]), &status), 0);
		CHECK_NUMBER(names[i], status.st_mode & 07777, 0600);
	}
	assert_int_not_equal(stat(unit_path(path, folder, KEYRING_NOW ".new"), &status), 0);
}

static void has_nothing_to_change_at_first(void **state)
{
	struct error problem = {0};
	(void)state;
	assert_int_equal(keyring_rotate("/nonexistent", BOOT, 0, &problem), -1);
	assert_non_null(strstr(problem.text, "/nonexistent/token.key"));
}

#define KEY "0123456789abcdef0123456789abcdef"

static const struct {
	const char *name, *bytes;
	int64_t until; /* -1: an error */
} previous[] = {
	{"empty", "", -1},
	{"cut key", "0123456789abcdef", -1},
	{"key alone", KEY, -1},
	{"no line end", KEY BOOT " 9000", -1},
	{"no number", KEY BOOT " \n", -1},
	{"no boot", KEY "9000\n", -1},
	{"negative", KEY BOOT " -1\n", -1},
	{"more behind it", KEY BOOT " 9000\n\n", -1},
	{"a number beyond bounds", KEY BOOT " 18446744073709551615\n", -1},
	{"good", KEY BOOT " 9000\n", 9000},
	{"another boot", KEY OTHER_BOOT " 9000\n", 0},
};

static void reads_what_it_wrote_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(previous); i++) {
		struct token_keys keys = {.previous_until = 77};
		struct error problem = {0};
		put(KEYRING_PREVIOUS, previous[i].bytes, strlen(previous[i].bytes));
		bool good = previous[i].until >= 0;
		CHECK_NUMBER(previous[i].name, keyring_read(folder, BOOT, &keys, &problem), good ? 0 : -1);
		CHECK_NUMBER(previous[i].name, keys.previous_until, good ? previous[i].until : 77);
		CHECK(previous[i].name, good || strstr(problem.text, "token.key.previous: expected a key") != NULL);
	}
}

static void replaces_keys_in_use(void **state)
{
	struct keyring *keyring;
	const struct token_keys first = {.now = {{1}}}, second = {.now = {{2}}, .previous = {{1}}, .previous_until = 9};
	(void)state;
	assert_int_equal(keyring_new(&first, &keyring, NULL), 0);
	struct token_keys got = keyring_keys(keyring);
	assert_memory_equal(&got, &first, sizeof(got));
	keyring_replace(keyring, &second);
	got = keyring_keys(keyring);
	assert_memory_equal(&got, &second, sizeof(got));
	token_keys_done(&got);
	assert_int_equal(got.now.bytes[0], 0);
	keyring_free(keyring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_key_once),
		cmocka_unit_test(keeps_tokens_good_until_their_end),
		cmocka_unit_test(takes_no_forgery_with_the_old_key),
		cmocka_unit_test(forgets_the_key_before_the_previous),
		cmocka_unit_test(writes_keys_for_the_owner_only),
		cmocka_unit_test(has_nothing_to_change_at_first),
		cmocka_unit_test(reads_what_it_wrote_and_nothing_else),
		cmocka_unit_test(replaces_keys_in_use),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
