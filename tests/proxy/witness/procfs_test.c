/* SPDX-License-Identifier: Apache-2.0 */

/* From a socket's inode to who holds it, with real sockets and real children. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "proxy/witness/groups.h"
#include "proxy/witness/procfs.h"

static uint32_t inode_of(int fd)
{
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	return (uint32_t)status.st_ino;
}

static struct holder_search search_for(uint32_t inode)
{
	return (struct holder_search){
		.inode = inode, .uid = (uint32_t)getuid(), .groups = -1, .deadline_ms = clock_monotonic_ms() + 20000};
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	return fd;
}

/* A child that holds what we hold and waits to be told to end. */
static pid_t start_child(int *ret_end)
{
	int line[2];
	char byte = 0;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(line[1]);
		_exit(read(line[0], &byte, 1) < 0);
	}
	(void)close(line[0]);
	*ret_end = line[1];
	return child;
}

static void end_child(pid_t child, int end)
{
	(void)close(end);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void finds_nothing_for_no_inode(void **state)
{
	struct holder_search search = search_for(0);
	struct holders holders = {.count = 7};
	(void)state;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 0);
	assert_int_equal(holders.looked_at, 0);
	assert_false(holders.is_complete);
}

static void finds_nothing_without_time(void **state)
{
	CLEANUP_FD int fd = new_socket();
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	(void)state;
	search.deadline_ms = 0;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 0);
	assert_false(holders.is_complete);
}

static void finds_no_holder_of_a_closed_socket(void **state)
{
	int fd = new_socket();
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	(void)state;
	assert_int_equal(close(fd), 0);
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 0);
	assert_true(holders.looked_at > 0);
}

static void finds_this_process(void **state)
{
	CLEANUP_FD int fd = new_socket();
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	uint64_t start;
	(void)state;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	assert_int_equal(holders.items[0].pid, getpid());
	assert_int_equal(holders.items[0].fd, fd);
	assert_false(holders.items[0].is_relay);
	assert_true(procfs_start((uint32_t)getpid(), &start));
	assert_true(holders.items[0].start_ticks == start);
}

/* The wrong user only changes who is looked at first. */
static void finds_it_whatever_the_user(void **state)
{
	CLEANUP_FD int fd = new_socket();
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	(void)state;
	search.uid = 4294967294u;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	assert_int_equal(holders.items[0].pid, getpid());
}

static void names_a_process_once(void **state)
{
	CLEANUP_FD int fd = new_socket();
	CLEANUP_FD int copy = dup(fd);
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	(void)state;
	assert_true(copy >= 0);
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	assert_true(procfs_still_holds(&holders.items[0], search.inode));
}

static void finds_a_child_that_shares_it(void **state)
{
	CLEANUP_FD int fd = new_socket();
	int end;
	pid_t child = start_child(&end);
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	(void)state;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 2);
	/* In order of pids. */
	assert_true(holders.items[0].pid < holders.items[1].pid);
	assert_true(holders.items[0].pid == (uint32_t)getpid() || holders.items[1].pid == (uint32_t)getpid());
	assert_true(holders.items[0].pid == (uint32_t)child || holders.items[1].pid == (uint32_t)child);

	search.stop_at_first = true;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	assert_false(holders.is_complete); /* the others were not looked at */
	end_child(child, end);
}

static void counts_more_than_it_keeps(void **state)
{
	CLEANUP_FD int fd = new_socket();
	pid_t children[HOLDERS_MAX + 2];
	int ends[HOLDERS_MAX + 2];
	struct holders holders;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(children); i++)
		children[i] = start_child(&ends[i]);
	struct holder_search search = search_for(inode_of(fd));
	procfs_find(&search, &holders);
	/* Each child also holds the ends of those before it: from the last to the first they see their line closed. */
	for (size_t i = ARRAY_LENGTH(children); i-- > 0;)
		end_child(children[i], ends[i]);
	assert_int_equal(holders.count, ARRAY_LENGTH(children) + 1);
}

static void sees_who_holds_it_still(void **state)
{
	CLEANUP_FD int fd = new_socket();
	int other = new_socket();
	struct holder_search search = search_for(inode_of(other));
	struct holders holders;
	(void)state;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	struct holder holder = holders.items[0];
	assert_true(procfs_still_holds(&holder, search.inode));
	assert_false(procfs_still_holds(&holder, inode_of(fd)));

	struct holder changed = holder;
	changed.start_ticks++; /* the pid was used again */
	assert_false(procfs_still_holds(&changed, search.inode));
	changed = holder;
	changed.fd = fd;
	assert_false(procfs_still_holds(&changed, search.inode));

	assert_int_equal(close(other), 0);
	assert_false(procfs_still_holds(&holder, search.inode));
	/* The number is used again for another socket. */
	assert_int_equal(dup2(fd, holder.fd), holder.fd);
	assert_false(procfs_still_holds(&holder, search.inode));
	assert_int_equal(close(holder.fd), 0);
}

static void knows_who_has_ended(void **state)
{
	CLEANUP_FD int fd = new_socket();
	int end;
	pid_t child = start_child(&end);
	struct holder holder = {.pid = (uint32_t)child, .fd = fd};
	uint64_t start;
	(void)state;
	assert_true(procfs_start(holder.pid, &holder.start_ticks));
	assert_true(procfs_still_holds(&holder, inode_of(fd)));
	end_child(child, end);
	assert_false(procfs_start(holder.pid, &start));
	assert_false(procfs_still_holds(&holder, inode_of(fd)));
}

/* The name of a process may hold spaces, parentheses and digits. */
static void reads_the_start_behind_any_name(void **state)
{
	static const char *const names[] = {"a b", ") S 1 1 1 1 1", "(((", ")))", "\n\t", "1 2 3 4 5 6 7"};
	char before[16];
	uint64_t expected, start;
	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_true(procfs_start((uint32_t)getpid(), &expected));
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
		CHECK(names[i], procfs_start((uint32_t)getpid(), &start));
		CHECK(names[i], start == expected);
	}
	assert_int_equal(prctl(PR_SET_NAME, before), 0);
}

static void knows_no_start_of_nobody(void **state)
{
	uint64_t start = 7;
	(void)state;
	assert_false(procfs_start(0, &start));
	assert_false(procfs_start(2147483647u, &start));
	assert_true(start == 7);
}

static void recognises_a_tun_device(void **state)
{
	CLEANUP_FD int fd = new_socket();
	CLEANUP_FD int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	(void)state;
	if (tun < 0) {
		print_message("skipped: /dev/net/tun cannot be opened here\n");
		skip();
	}
	struct holder_search search = search_for(inode_of(fd));
	struct holders holders;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	assert_true(holders.items[0].is_relay);
}

/* As a user who may not look at other users' descriptors: 0 complete, 1 not complete. */
static int search_as_nobody(void *context)
{
	(void)context;
	if (setgid(65534) < 0 || setuid(65534) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		return 2;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return 3;
	struct holder_search search = {
		.inode = (uint32_t)status.st_ino, .uid = 65534, .deadline_ms = clock_monotonic_ms() + 20000};
	struct holders holders;
	procfs_find(&search, &holders);
	if (holders.count != 1)
		return 4;
	return holders.is_complete ? 0 : 1;
}

static void admits_whom_it_could_not_look_at(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root, to become a user who may look at its own processes only\n");
		skip();
	}
	/* This very process, which is root's, cannot be looked at by the child: then nothing is excluded. */
	assert_int_equal(unit_in_child(search_as_nobody, NULL), 1);
}

/* ---- where to look first, and for how long */

static pid_t start_child_with_many(int *ret_end)
{
	int line[2], ready[2];
	char byte = 0;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit many;
		(void)close(line[1]);
		(void)getrlimit(RLIMIT_NOFILE, &many);
		many.rlim_cur = many.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &many);
		for (int i = 0; i < 60000 && dup(line[0]) >= 0; i++)
			continue;
		(void)close(ready[1]);
		_exit(read(line[0], &byte, 1) < 0);
	}
	(void)close(line[0]);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	(void)close(ready[0]);
	*ret_end = line[1];
	return child;
}

/* One process with so many descriptors that it takes longer to look at than there is time. It is the newest, so it is
 * looked at early. */
static void gives_up_in_the_middle_of_a_process(void **state)
{
	struct holders holders;
	int end;
	(void)state;
	CLEANUP_FD int fd = new_socket();
	struct holder_search search = search_for(inode_of(fd));
	pid_t child = start_child_with_many(&end);
	bool is_bounded = false;
	for (int i = 0; i < 5 && !is_bounded; i++) { /* others may be given the processor in between */
		int64_t started_us = clock_monotonic_us();
		search.deadline_ms = started_us / 1000 + 2;
		procfs_find(&search, &holders);
		int64_t short_us = clock_monotonic_us() - started_us;
		assert_false(holders.is_complete);
		search.deadline_ms = clock_monotonic_ms() + 60000;
		started_us = clock_monotonic_us();
		procfs_find(&search, &holders);
		is_bounded = short_us < (clock_monotonic_us() - started_us) / 2;
	}
	assert_true(is_bounded);
	end_child(child, end);
}

static bool move_to(const char *group, pid_t pid)
{
	char path[PATH_MAX + 16];
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && dprintf(fd, "%d", (int)pid) > 0;
}

/* The group's path below the unified hierarchy, made; false: it cannot be. */
static bool make_group(int root, char path[static PATH_MAX])
{
	char link[64], point[PATH_MAX / 2];
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	ssize_t length = root >= 0 ? readlink(link, point, sizeof(point) - 1) : -1;
	point[length > 0 ? length : 0] = '\0';
	(void)snprintf(path, PATH_MAX, "%s/kt-procfs-%d", point, (int)getpid());
	return length > 0 && mkdir(path, 0755) == 0;
}

static void looks_first_where_the_socket_was_made(void **state)
{
	char group[PATH_MAX];
	struct stat status;
	struct holders holders;
	uint32_t pids[4];
	int end;
	(void)state;
	CLEANUP_FD int root = groups_open();
	if (geteuid() != 0 || !make_group(root, group)) {
		print_message("skipped: needs root and control groups of version 2\n");
		skip();
	}
	assert_int_equal(stat(group, &status), 0);
	assert_int_equal(groups_members(root, status.st_ino, pids, ARRAY_LENGTH(pids)), 0);
	/* Somebody holds it who is older than most, and of another user than the search says. */
	int fd = new_socket();
	struct holder_search search = search_for(inode_of(fd));
	pid_t child = start_child(&end);
	(void)close(fd);
	assert_true(move_to(group, child));
	assert_int_equal(groups_members(root, status.st_ino, pids, ARRAY_LENGTH(pids)), 1);
	assert_int_equal(pids[0], child);
	assert_int_equal(groups_members(root, status.st_ino, pids, 0), 0);
	assert_int_equal(groups_members(root, status.st_ino + 1000000, pids, ARRAY_LENGTH(pids)), 0);
	assert_int_equal(groups_members(-1, status.st_ino, pids, ARRAY_LENGTH(pids)), 0);
	search.groups = root;
	search.cgroup_id = status.st_ino;
	search.uid = 12345;
	search.stop_at_first = true;
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 1);
	assert_int_equal(holders.items[0].pid, child);
	CHECK("few were looked at", holders.looked_at <= 16 + 1); /* those remembered, then the group */
	/* Once it is known, nobody is looked at: its descriptor is. And in a look at all it comes first. */
	procfs_find(&search, &holders);
	assert_int_equal(holders.items[0].pid, child);
	assert_int_equal(holders.looked_at, 0);
	end_child(child, end);
	procfs_find(&search, &holders);
	assert_int_equal(holders.count, 0);
	assert_int_equal(rmdir(group), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_for_no_inode),
		cmocka_unit_test(finds_nothing_without_time),
		cmocka_unit_test(finds_no_holder_of_a_closed_socket),
		cmocka_unit_test(admits_whom_it_could_not_look_at),
		cmocka_unit_test(finds_this_process),
		cmocka_unit_test(finds_it_whatever_the_user),
		cmocka_unit_test(names_a_process_once),
		cmocka_unit_test(finds_a_child_that_shares_it),
		cmocka_unit_test(counts_more_than_it_keeps),
		cmocka_unit_test(sees_who_holds_it_still),
		cmocka_unit_test(knows_who_has_ended),
		cmocka_unit_test(knows_no_start_of_nobody),
		cmocka_unit_test(reads_the_start_behind_any_name),
		cmocka_unit_test(gives_up_in_the_middle_of_a_process),
		cmocka_unit_test(looks_first_where_the_socket_was_made),
		cmocka_unit_test(recognises_a_tun_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
