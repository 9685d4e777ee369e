/* SPDX-License-Identifier: Apache-2.0 */

/* Where keytrail-redirect is looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "cli/redirect.h"

static char root[] = "/tmp/redirect_test.XXXXXX";

static int make_tree(void **state)
{
	char path[PATH_MAX];
	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/iptables", root);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/iptables/keytrail-redirect", root);
	FILE *file = fopen(path, "w");
	return file == NULL || fclose(file) != 0 || chmod(path, 0700) != 0;
}

static int remove_tree(void **state)
{
	char path[PATH_MAX];
	(void)state;
	(void)snprintf(path, sizeof(path), "%s/iptables/keytrail-redirect", root);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/iptables", root);
	(void)rmdir(path);
	return rmdir(root);
}

static const struct {
	const char *program; /* below the tree */
	bool is_found;
} cases[] = {
	{"build/release/bin/keytrail", true},
	{"build/asan/bin/keytrail", true},
	{"build/release/lib/keytrail", false},
	{"other/release/bin/keytrail", false},
	{"build/bin/keytrail", false},
	{"bin/keytrail", false},
	{"keytrail", false},
};

static void looks_in_the_tree_it_was_built_in(void **state)
{
	char expected[PATH_MAX];
	(void)state;
	(void)snprintf(expected, sizeof(expected), "%s/iptables/keytrail-redirect", root);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char program[PATH_MAX], found[PATH_MAX] = "";
		(void)snprintf(program, sizeof(program), "%s/%s", root, cases[i].program);
		int result = redirect_find(program, found, NULL);
		bool in_tree = result == 0 && strcmp(found, expected) == 0;
		if (in_tree != cases[i].is_found)
			fail_msg("%s: %s", cases[i].program, found);
	}
}

static void does_not_look_below_the_root_folder(void **state)
{
	static const char *const programs[] = {"/usr/bin/keytrail", "/bin/keytrail", "/keytrail", "keytrail", ""};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
		char found[PATH_MAX] = "";
		if (redirect_find(programs[i], found, NULL) == 0)
			assert_true(strncmp(found, "/usr/", 5) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_in_the_tree_it_was_built_in),
		cmocka_unit_test(does_not_look_below_the_root_folder),
	};
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
