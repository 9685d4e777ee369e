/* SPDX-License-Identifier: Apache-2.0 */

/* The state folder: whose it is, putting it aside, emptying it. */
#include <sys/stat.h>

#include "store/state.h"
#include "tests/common/unit.h"

static char folder[PATH_MAX], ledger[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_path(ledger, unit_folder(folder), "my.db");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static const struct {
	const char *name;
	bool archived, sealed; /* else it stays */
} files[] = {
	{"my.db", true, true},           {"my.db-wal", true, true},       {"my.db-shm", true, true},
	{"my.db.version-2", true, true}, {"journal", true, true},         {"gap.json", true, true},
	{"findings.db", true, true},     {"findings.db-wal", true, true}, {"watch.db", true, true},
	{"watch.db-wal", true, true},    {"host.key", true, true},        {"host.key.kept-1", true, true},
	{"host.key.77", false, true},    {"token.key", false, true},      {"token.key.previous", false, true},
	{"instance", false, true},       {"ledger.db", false, false},     {"notes.txt", false, false},
	{"my.dbx", false, false},
};

static void fill(void)
{
	char path[PATH_MAX];
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		unit_write(unit_path(path, folder, files[i].name), "x", 1);
}

static bool is_there(const char *below, const char *name)
{
	char path[PATH_MAX], there[2 * PATH_MAX];
	struct stat status;
	(void)snprintf(there, sizeof(there), "%s%s%s", below, below[0] != '\0' ? "/" : "", name);
	return stat(unit_path(path, folder, there), &status) == 0;
}

static void knows_instance_ids(void **state)
{
	static const struct {
		const char *text;
		bool is_id;
	} cases[] = {{"i-0123456789abcdef0", true}, {"i-01234567", true},    {"i-0123456", false},    {"i-", false},
	             {"I-01234567", false},         {"i-0123456G", false},   {"i-01234567\n", false}, {"", false},
	             {"../i-01234567", false},      {"Not Specified", false}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CHECK_NUMBER(cases[i].text, state_is_instance_id(cases[i].text), cases[i].is_id);
}

static void remembers_whose_it_is(void **state)
{
	char id[INSTANCE_BYTES] = "x", path[PATH_MAX];
	struct error problem = {0};
	(void)state;
	assert_int_equal(state_instance_read(folder, id, NULL), 0);
	assert_string_equal(id, "");
	assert_int_equal(state_instance_write(folder, "i-01234567", NULL), 0);
	assert_int_equal(state_instance_write(folder, "i-0123456789abcdef0", NULL), 0);
	assert_int_equal(state_instance_read(folder, id, NULL), 0);
	assert_string_equal(id, "i-0123456789abcdef0");
	unit_write(unit_path(path, folder, "instance"), "somebody\n", 9);
	assert_int_equal(state_instance_read(folder, id, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
}

static void takes_the_firmwares_word_if_it_is_an_id(void **state)
{
	char id[INSTANCE_BYTES], path[PATH_MAX];
	(void)state;
	state_instance_of_firmware(unit_path(path, folder, "none"), id);
	assert_string_equal(id, "");
	unit_write(unit_path(path, folder, "tag"), "i-01234567\n", 11);
	state_instance_of_firmware(path, id);
	assert_string_equal(id, "i-01234567");
	unit_write(path, "Not Specified\n", 14);
	state_instance_of_firmware(path, id);
	assert_string_equal(id, "");
}

static void puts_aside_what_belongs_to_an_instance(void **state)
{
	char name[STATE_ARCHIVE_BYTES];
	(void)state;
	fill();
	assert_int_equal(state_archive(ledger, "i-01234567", INT64_C(1700000000000000), name, NULL), 0);
	assert_string_equal(name, "archive/i-01234567-20231114T221320Z");
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		CHECK_NUMBER(files[i].name, is_there(name, files[i].name), files[i].archived);
		bool stays = !files[i].sealed || strcmp(files[i].name, "instance") == 0;
		CHECK_NUMBER(files[i].name, is_there("", files[i].name), stays);
	}
	assert_int_equal(state_archive(ledger, "i-01234567", INT64_C(1700000001000000), name, NULL), 0);
	assert_string_equal(name, ""); /* there is nothing left */
}

static void goes_on_where_it_was_cut_short(void **state)
{
	char name[STATE_ARCHIVE_BYTES], path[PATH_MAX];
	(void)state;
	assert_int_equal(mkdir(unit_path(path, folder, "archive"), 0750), 0);
	assert_int_equal(mkdir(unit_path(path, folder, "archive/.moving"), 0750), 0);
	unit_write(unit_path(path, folder, "archive/.moving/my.db"), "x", 1);
	unit_write(unit_path(path, folder, "my.db-wal"), "x", 1);
	assert_int_equal(state_archive(ledger, "i-01234567", INT64_C(1700000000000000), name, NULL), 0);
	assert_true(is_there(name, "my.db") && is_there(name, "my.db-wal"));
	assert_false(is_there("", "archive/.moving"));
}

static void empties_all_that_is_ours(void **state)
{
	char name[STATE_ARCHIVE_BYTES];
	int removed, others;
	(void)state;
	fill();
	assert_int_equal(state_archive(ledger, "i-01234567", INT64_C(1700000000000000), name, NULL), 0);
	fill();
	assert_int_equal(state_empty(ledger, &removed, &others, NULL), 0);
	assert_int_equal(others, 3);
	assert_int_equal(removed, ARRAY_LENGTH(files) - 3 + 1); /* and the archives */
	assert_false(is_there("", "archive"));
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		CHECK_NUMBER(files[i].name, is_there("", files[i].name), !files[i].sealed);
	assert_int_equal(state_empty(ledger, &removed, &others, NULL), 0);
	assert_int_equal(removed, 0);
}

static void has_one_user_at_a_time(void **state)
{
	struct error problem = {0};
	int lock, other, removed, others;
	(void)state;
	fill();
	assert_int_equal(state_lock(folder, &lock, NULL), 0);
	assert_int_equal(state_lock(folder, &other, &problem), -1);
	assert_non_null(strstr(problem.text, "another keytraild is using it"));
	assert_int_equal(state_empty(ledger, &removed, &others, &problem), -1);
	assert_true(is_there("", "my.db"));
	assert_int_equal(close(lock), 0);
	assert_int_equal(state_lock(folder, &lock, NULL), 0);
	assert_int_equal(close(lock), 0);
	assert_int_equal(state_lock("/nowhere", &lock, &problem), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_instance_ids),
		cmocka_unit_test_setup_teardown(remembers_whose_it_is, start, stop),
		cmocka_unit_test_setup_teardown(takes_the_firmwares_word_if_it_is_an_id, start, stop),
		cmocka_unit_test_setup_teardown(puts_aside_what_belongs_to_an_instance, start, stop),
		cmocka_unit_test_setup_teardown(goes_on_where_it_was_cut_short, start, stop),
		cmocka_unit_test_setup_teardown(has_one_user_at_a_time, start, stop),
		cmocka_unit_test_setup_teardown(empties_all_that_is_ours, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
