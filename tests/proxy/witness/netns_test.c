/* SPDX-License-Identifier: Apache-2.0 */

/* Network namespaces as children make them: as root, as a user, with and without a link to where the test is. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sched.h>

#include "proxy/witness/netns.h"

static const struct {
	const char *name;
	int flags;
	const char *peer; /* where in relation to the test's own namespace a link of that ends; NULL: there is none */
	bool leads_here;
} cases[] = {
	{"root's, not linked", CLONE_NEWNET, NULL, true},
	{"root's, linked", CLONE_NEWNET, "child", true},
	{"a user's, not linked", CLONE_NEWUSER | CLONE_NEWNET, NULL, false},
	{"a user's, linked", CLONE_NEWUSER | CLONE_NEWNET, "child", true},
	{"a user's, linked to another", CLONE_NEWUSER | CLONE_NEWNET, "own", false},
};

/* A child in namespaces of its own, which ends with its standard input's other end. */
static pid_t start_child(int flags, int *ret_end)
{
	int line[2], ready[2];
	char byte;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(line[1]);
		if (unshare(flags) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(line[0], &byte, 1) != 0);
	}
	(void)close(line[0]);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	*ret_end = line[1];
	return child;
}

static bool leads_here(size_t i)
{
	char path[64], command[128];
	int end, status;
	pid_t child = start_child(cases[i].flags, &end);
	if (cases[i].peer != NULL) {
		int length = snprintf(command, sizeof(command), "ip link add kt0 type veth peer name kt1 netns %d",
		                      strcmp(cases[i].peer, "child") == 0 ? (int)child : (int)getpid());
		assert_in_range(length, 1, sizeof(command) - 1);
		assert_int_equal(system(command), 0);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)child);
	CLEANUP_FD int namespace = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(namespace >= 0);
	bool result = netns_leads_here(namespace);
	(void)close(end);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (cases[i].peer != NULL)
		assert_int_equal(system("ip link delete kt0"), 0);
	return result;
}

/* In a namespace of its own: the links that it makes are nobody else's. */
static int try_case(void *context)
{
	size_t i = *(const size_t *)context;
	return unshare(CLONE_NEWNET) < 0 ? 2 : leads_here(i);
}

static void tells_namespaces_apart(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* network namespaces */
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CHECK_NUMBER(cases[i].name, unit_in_child(try_case, &i), cases[i].leads_here);
}

static void trusts_nothing_that_is_no_namespace(void **state)
{
	CLEANUP_FD int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)state;
	assert_false(netns_leads_here(file));
	assert_false(netns_leads_here(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_namespaces_apart),
		cmocka_unit_test(trusts_nothing_that_is_no_namespace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
