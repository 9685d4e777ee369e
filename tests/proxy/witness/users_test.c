/* SPDX-License-Identifier: Apache-2.0 */

/* Whose name is it: ours, or that of the machine around us? */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proxy/witness/users.h"

/* Names are remembered by number alone: each case asks for numbers of its own. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_ours_where_the_machine_is),
		cmocka_unit_test(names_are_the_machines_in_a_container),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
