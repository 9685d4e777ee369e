/* SPDX-License-Identifier: Apache-2.0 */

/* Keys of fingerprints: read from where they may lie, changed without losing one. */
#include "tests/common/unit.h"

#include <dirent.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "store/host_keys.h"

#define NOW_US INT64_C(1700000000000000)

static char folder[PATH_MAX], path[PATH_MAX];

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

static void put_key(const char *name, uint8_t first)
{
	const struct secret_key key = {{first}};
	unit_write(unit_path(path, folder, name), key.bytes, sizeof(key.bytes));
}

/* Their first bytes, summed up. */
static int sum_of(const struct host_keys *keys)
{
	int sum = 0;
	for (size_t i = 0; i < keys->count; i++)
		sum += keys->keys[i].bytes[0];
	return sum;
}

static void reads_those_of_a_state_folder(void **state)
{
	CLEANUP_HOST_KEYS struct host_keys keys = {0};
	(void)state;
	assert_int_equal(host_keys_add_state(&keys, "/nonexistent", NULL), 0);
	assert_int_equal(host_keys_add_state(&keys, folder, NULL), 0);
	assert_int_equal(keys.count, 0);
	put_key("host.key", 1);
	put_key("host.key.kept-20260101T000000.000000Z", 2);
	put_key("host.key.77", 4); /* its making was interrupted */
	put_key("token.key", 8);
	assert_int_equal(host_keys_add_state(&keys, folder, NULL), 0);
	assert_int_equal(sum_of(&keys), 3);
	unit_write(unit_path(path, folder, "host.key"), "short", 5);
	assert_int_equal(host_keys_add_state(&keys, folder, NULL), -1);
}

static void reads_a_file_or_a_folder_of_many(void **state)
{
	CLEANUP_HOST_KEYS struct host_keys keys = {0};
	struct error problem = {0};
	char name[32];
	(void)state;
	assert_int_equal(host_keys_add(&keys, folder, &problem), -1);
	assert_non_null(strstr(problem.text, "no file of 32 bytes"));
	assert_int_equal(host_keys_add(&keys, unit_path(path, folder, "none"), &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "web-%d.key", i);
		put_key(name, 1);
	}
	unit_write(unit_path(path, folder, "README"), "hello", 5);
	assert_int_equal(host_keys_add(&keys, folder, NULL), 0);
	assert_int_equal(keys.count, 100);
	assert_int_equal(sum_of(&keys), 100);
	assert_int_equal(host_keys_add(&keys, unit_path(path, folder, "web-7.key"), NULL), 0);
	assert_int_equal(keys.count, 101);
}

static void changes_it_and_keeps_those_before(void **state)
{
	struct secret_key first = {{1, 2, 3}}, now;
	struct stat status;
	struct error problem = {0};
	(void)state;
	assert_int_equal(host_keys_rotate(folder, NOW_US, &problem), -1); /* there is none */
	assert_int_equal(problem.code, ERROR_MISSING);
	unit_write(unit_path(path, folder, "host.key"), first.bytes, sizeof(first.bytes));
	for (int i = 0; i < 3; i++) {
		CLEANUP_HOST_KEYS struct host_keys keys = {0};
		assert_int_equal(host_keys_rotate(folder, NOW_US + i, &problem), 0);
		assert_int_equal(host_keys_add_state(&keys, folder, NULL), 0);
		assert_int_equal(keys.count, i + 2);
		assert_int_equal(secret_key_read(unit_path(path, folder, "host.key"), &now, NULL), 0);
		assert_memory_not_equal(now.bytes, first.bytes, sizeof(now.bytes));
		bool has_first = false;
		for (size_t k = 0; k < keys.count; k++)
			has_first |= memcmp(keys.keys[k].bytes, first.bytes, sizeof(first.bytes)) == 0;
		assert_true(has_first);
	}
	assert_int_equal(stat(unit_path(path, folder, "host.key.kept-20231114T221320.000001Z"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(reads_those_of_a_state_folder),
		IN_A_FOLDER(reads_a_file_or_a_folder_of_many),
		IN_A_FOLDER(changes_it_and_keeps_those_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
