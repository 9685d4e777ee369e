/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets: keyed digests whose pieces cannot run together, key files that are whole or refused. */
#include "tests/common/unit.h"

#include <sys/stat.h>

#include "common/buffer.h"
#include "common/digest.h"
#include "common/secret.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the vectors below have lengths with their small end first"
#endif

/* HMAC-SHA256 under 00 01 .. 1f, each piece behind its length in eight bytes; computed by Python's hmac module. */
static const struct {
	const char *name;
	struct secret_piece pieces[2];
	size_t count;
	const char *hex;
} vectors[] = {
	{"nothing", {{0}}, 0, "d38b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb"},
	{"one empty", {{"", 0}}, 1, "9f0cd9b94097fe4929918d2b8942b34439574261a35dc50163f06c67d4e48899"},
	{"abc and empty", {{"abc", 3}, {"", 0}}, 2, "cc42fccb2ecc37765d6477bdc196d3af7f6baadfa49dfecb3e2e14a0497941ea"},
	{"a and bc", {{"a", 1}, {"bc", 2}}, 2, "c3c9c3696dc367b58a693eb7dfa40171f48959648a28e1eeaf0d6225de005f6d"},
};

static struct secret_key counting_key(void)
{
	struct secret_key key;
	for (size_t i = 0; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)i;
	return key;
}

static void makes_known_digests(void **state)
{
	struct secret_key key = counting_key();
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		uint8_t mac[SECRET_MAC_BYTES];
		char hex[DIGEST_HEX_BYTES];
		assert_int_equal(secret_mac(&key, vectors[i].pieces, vectors[i].count, mac, NULL), 0);
		CHECK_TEXT(vectors[i].name, digest_hex(mac, sizeof(mac), hex), vectors[i].hex);
	}
}

/* All ways to cut "abcd" into three pieces differ, and so does each from fewer pieces. */
static void tells_pieces_apart(void **state)
{
	static const char text[] = "abcd";
	uint8_t macs[64][SECRET_MAC_BYTES];
	struct secret_key key = counting_key();
	size_t count = 0;
	(void)state;
	for (size_t a = 0; a <= 4; a++) {
		struct secret_piece pieces[3] = {{text, a}, {text + a, 4 - a}};
		assert_int_equal(secret_mac(&key, pieces, 2, macs[count++], NULL), 0);
		for (size_t b = a; b <= 4; b++) {
			pieces[1].length = b - a;
			pieces[2] = (struct secret_piece){text + b, 4 - b};
			assert_int_equal(secret_mac(&key, pieces, 3, macs[count++], NULL), 0);
		}
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(macs[i], macs[k], SECRET_MAC_BYTES);
}

static void depends_on_every_bit_of_the_key(void **state)
{
	const struct secret_piece piece = {"x", 1};
	struct secret_key key = counting_key();
	uint8_t first[SECRET_MAC_BYTES], other[SECRET_MAC_BYTES];
	(void)state;
	assert_int_equal(secret_mac(&key, &piece, 1, first, NULL), 0);
	for (size_t bit = 0; bit < 8 * sizeof(key.bytes); bit++) {
		key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(secret_mac(&key, &piece, 1, other, NULL), 0);
		assert_memory_not_equal(first, other, SECRET_MAC_BYTES);
		key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void compares(void **state)
{
	(void)state;
	assert_true(secret_equal("abc", "abc", 3));
	assert_true(secret_equal("abx", "aby", 2));
	assert_true(secret_equal("a", "b", 0));
	assert_false(secret_equal("abc", "abd", 3));
	assert_false(secret_equal("xbc", "abc", 3));
}

static void bounds_a_secret(void **state)
{
	static const char bytes[SECRET_MAX_BYTES + 1];
	struct secret secret = {.length = 7};
	struct error problem = {0};
	(void)state;
	assert_int_equal(secret_set(&secret, bytes, sizeof(bytes), &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_int_equal(secret.length, 7);
	assert_int_equal(secret_set(&secret, bytes, SECRET_MAX_BYTES, &problem), 0);
	assert_int_equal(secret.length, SECRET_MAX_BYTES);
}

static void wipes(void **state)
{
	struct secret secret;
	struct secret_key key = counting_key();
	const struct secret no_secret = {0};
	const struct secret_key no_key = {0};
	(void)state;
	assert_int_equal(secret_set(&secret, "sesame", 6, NULL), 0);
	memset(secret.bytes + 6, 'x', sizeof(secret.bytes) - 6);
	secret_done(&secret);
	assert_memory_equal(&secret, &no_secret, sizeof(secret));
	secret_key_done(&key);
	assert_memory_equal(&key, &no_key, sizeof(key));
}

static void gives_random_bytes(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};
	(void)state;
	assert_int_equal(secret_random(a, sizeof(a), NULL), 0);
	assert_int_equal(secret_random(b, sizeof(b), NULL), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(secret_random(a, 0, NULL), 0);
	assert_int_equal(secret_random(a, (size_t)INT_MAX + 1, NULL), -1);
}

/* ---- key files */

static char folder[PATH_MAX], path[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_path(path, unit_folder(folder), "host.key");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static void refuses_a_key_that_is_not_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 31, 33, 64};
	char bytes[64] = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		struct secret_key key = counting_key();
		struct error problem = {0};
		struct stat status;
		unit_write(path, bytes, sizes[i]);
		assert_int_equal(secret_key_open(path, &key, &problem), -1);
		assert_int_equal(problem.code, ERROR_INPUT);
		assert_non_null(strstr(problem.text, path));
		assert_int_equal(key.bytes[31], 31); /* untouched */
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_size, sizes[i]); /* and not made anew */
	}
}

static void says_why_there_is_no_key(void **state)
{
	struct secret_key key;
	struct error problem = {0};
	char below[PATH_MAX];
	(void)state;
	assert_int_equal(secret_key_open(unit_path(below, folder, "missing/host.key"), &key, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_int_equal(secret_key_open(folder, &key, &problem), -1);
	assert_true(problem.code == ERROR_SYSTEM || problem.code == ERROR_INPUT);
}

static void makes_a_key_and_keeps_it(void **state)
{
	struct secret_key first, second;
	struct stat status;
	char other[PATH_MAX];
	(void)state;
	mode_t before = umask(0);
	assert_int_equal(secret_key_open(path, &first, NULL), 0);
	(void)umask(before);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_size, SECRET_KEY_BYTES);
	assert_int_equal(status.st_nlink, 1); /* no second name is left */
	assert_int_equal(secret_key_open(path, &second, NULL), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(secret_key_open(unit_path(other, folder, "token.key"), &second, NULL), 0);
	assert_memory_not_equal(&first, &second, sizeof(first));
}

/* What an earlier start that crashed may have left must neither be used nor be in the way. */
static void takes_no_left_over_for_a_key(void **state)
{
	struct secret_key key;
	char left[PATH_MAX + 32], zeros[SECRET_KEY_BYTES] = {0};
	(void)state;
	(void)snprintf(left, sizeof(left), "%s.%ld", path, (long)getpid());
	unit_write(left, zeros, sizeof(zeros));
	assert_int_equal(secret_key_open(path, &key, NULL), 0);
	assert_memory_not_equal(key.bytes, zeros, sizeof(zeros));
	assert_int_equal(access(left, F_OK), -1);
}

static int make_one(void *context)
{
	struct secret_key key;
	EXPECT(read(*(int *)context, &key, 1) == 0); /* all at once, when the line is closed */
	EXPECT(secret_key_open(path, &key, NULL) == 0);
	CLEANUP_BUFFER struct buffer file = {0};
	EXPECT(buffer_read_file(&file, path, NULL) == 0);
	EXPECT(file.length == sizeof(key) && memcmp(file.bytes, &key, sizeof(key)) == 0);
	return 0;
}

static void lets_one_of_many_makers_win(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		int line[2], status;
		assert_int_equal(pipe(line), 0);
		for (int i = 0; i < 8; i++) {
			pid_t child = fork();
			assert_true(child >= 0);
			if (child == 0) {
				(void)close(line[1]);
				_exit(make_one(&line[0]));
			}
		}
		(void)close(line[0]);
		(void)close(line[1]);
		for (int i = 0; i < 8; i++) {
			assert_true(wait(&status) > 0);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		}
		assert_int_equal(unlink(path), 0);
	}
}

/* ---- allocation for other libraries */

static void moves_and_keeps(void **state)
{
	(void)state;
	secret_free(NULL);
	char *text = secret_strdup("sesame");
	assert_string_equal(text, "sesame");
	text = secret_realloc(text, 100000);
	assert_non_null(text);
	assert_string_equal(text, "sesame");
	text[99999] = 'x';
	text = secret_realloc(text, 7);
	assert_string_equal(text, "sesame");
	secret_free(text);
	char *zeros = secret_calloc(4, 4);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(zeros[i], 0);
	secret_free(zeros);
	char *fresh = secret_realloc(NULL, 10);
	assert_non_null(fresh);
	secret_free(fresh);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(refuses_a_key_that_is_not_whole),
		IN_A_FOLDER(says_why_there_is_no_key),
		IN_A_FOLDER(makes_a_key_and_keeps_it),
		IN_A_FOLDER(takes_no_left_over_for_a_key),
		IN_A_FOLDER(lets_one_of_many_makers_win),
		cmocka_unit_test(bounds_a_secret),
		cmocka_unit_test(makes_known_digests),
		cmocka_unit_test(tells_pieces_apart),
		cmocka_unit_test(depends_on_every_bit_of_the_key),
		cmocka_unit_test(compares),
		cmocka_unit_test(wipes),
		cmocka_unit_test(gives_random_bytes),
		cmocka_unit_test(moves_and_keeps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
