/* SPDX-License-Identifier: Apache-2.0 */

/* Whose name is it: ours, or that of the machine around us? */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proxy/witness/users.h"

static void names_are_ours_where_the_machine_is(void **state)
{
	char name[USERS_NAME_BYTES];
	(void)state;
	CLEANUP_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(users_name(root, 0, name));
	CHECK_TEXT("root", name, "root");
	assert_true(!users_name(root, 3999999999u, name));
	assert_true(!users_name(root, 3999999999u, name)); /* remembered */
}

static void names_are_the_machines_in_a_container(void **state)
{
	static const char list[] =
		"root:x:0:0::/:/bin/sh\nec2-user:x:4201:1000::/:/bin/sh\n"
		"a-name-that-is-longer-than-what-can-be-kept-of-it-in-the-ledger-of-deliveries:x:4202:1::/:/\n"
		"broken\nlast:x:4203:1::/:/bin/sh\n";
	static const struct {
		uid_t uid;
		const char *name; /* NULL: none */
	} cases[] = {{4201, "ec2-user"}, {4202, NULL}, {4203, "last"}, {65534, NULL}, {4204, NULL}};
	char folder[] = "/tmp/keytrail-users-XXXXXX", path[64], name[USERS_NAME_BYTES];
	(void)state;
	assert_true(mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof(path), "%s/etc", folder);
	assert_true(mkdir(path, 0700) == 0);
	(void)snprintf(path, sizeof(path), "%s/etc/passwd", folder);
	FILE *file = fopen(path, "w");
	assert_true(file != NULL && fputs(list, file) >= 0 && fclose(file) == 0);
	CLEANUP_FD int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		bool is_there = users_name(root, cases[i].uid, name);
		CHECK(cases[i].name != NULL ? cases[i].name : "nobody known",
		      is_there == (cases[i].name != NULL) && (!is_there || strcmp(name, cases[i].name) == 0));
	}
	assert_true(unlink(path) == 0);
	(void)snprintf(path, sizeof(path), "%s/etc", folder);
	assert_true(rmdir(path) == 0 && rmdir(folder) == 0);
}

/* ---- a list that somebody edits */

static char folder[PATH_MAX], list[PATH_MAX];
static int root;

static int make_list(void **state)
{
	char etc[PATH_MAX];
	(void)state;
	(void)unit_path(etc, unit_folder(folder), "etc");
	(void)unit_path(list, etc, "passwd");
	assert_int_equal(mkdir(etc, 0755), 0);
	root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0;
}

static int remove_list(void **state)
{
	(void)state;
	(void)close(root);
	unit_folder_remove(folder);
	return 0;
}

/* As its tools do: a new file in place of the old one. */
static void write_list(const char *text)
{
	char fresh[PATH_MAX + 8];
	(void)snprintf(fresh, sizeof(fresh), "%s.new", list);
	CLEANUP_FD int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(rename(fresh, list), 0);
}

/* One after the other; each asks for uid 4242. */
static const struct {
	const char *name, *list;
	const char *expected; /* NULL: nobody */
} cases[] = {
	{"empty", "", NULL},
	{"others only", "root:x:0:0::/:/bin/sh\n", NULL},
	{"a name", "root:x:0:0::/:/bin/sh\nada:x:4242:1::/:/bin/sh\n", "ada"},
	{"another name", "root:x:0:0::/:/bin/sh\nbob:x:4242:1::/:/bin/sh\n", "bob"},
	{"the first of two", "cem:x:4242:1::/:\ndot:x:4242:1::/:\n", "cem"},
	{"nobody any more", "root:x:0:0::/:/bin/sh\n", NULL},
	{"back again", "ada:x:4242:1::/:\n", "ada"},
	{"lines that are none", "ada\n:::\nada:x:forty:1::/:\nbob:x:4242:1::/:\n", "bob"},
	{"a name that is too long",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:x:4242:1::/:\n", NULL},
};

static void follows_the_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		write_list(cases[i].list);
		for (int again = 0; again < 2; again++) {
			char name[USERS_NAME_BYTES] = "";
			bool is_there = users_name(root, 4242, name);
			CHECK(cases[i].name, is_there == (cases[i].expected != NULL));
			if (is_there)
				CHECK_TEXT(cases[i].name, name, cases[i].expected);
		}
	}
}

/* Two that share a place in the table. */
static void confuses_nobody(void **state)
{
	char name[USERS_NAME_BYTES];
	(void)state;
	write_list("ada:x:4242:1::/:\nbob:x:4306:1::/:\n");
	for (int i = 0; i < 3; i++) {
		assert_true(users_name(root, 4242, name));
		assert_string_equal(name, "ada");
		assert_true(users_name(root, 4306, name));
		assert_string_equal(name, "bob");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_ours_where_the_machine_is),
		cmocka_unit_test(names_are_the_machines_in_a_container),
		cmocka_unit_test_setup_teardown(follows_the_list, make_list, remove_list),
		cmocka_unit_test_setup_teardown(confuses_nobody, make_list, remove_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
