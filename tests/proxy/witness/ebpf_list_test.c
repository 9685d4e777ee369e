/* SPDX-License-Identifier: Apache-2.0 */

/* From the rows of the kernel's list of descriptors to holders, and to "nobody else refers to it"; and that list
 * itself, where the kernel gives it. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "proxy/witness/ebpf_list.h"

#define SOCKET EBPF_ROW_SOCKET
#define TUN EBPF_ROW_TUN
#define TICK_NS 10000000u /* sysconf(_SC_CLK_TCK) is 100 wherever Linux runs */

/* What is looked for has inode 7 and cookie 70. */
#define ROW(pid_, fd_, references_, waits_)                                                                            \
	{                                                                                                              \
		.inode = 7, .cookie = 70, .start_boot_ns = 5 * TICK_NS + 1, .references = (references_),               \
		.waits = (waits_), .is_steady = 1, .pid = (pid_), .fd = (fd_), .kind = SOCKET                          \
	}

static const struct {
	const char *name;
	struct ebpf_row rows[4];
	size_t holders;
	bool is_explained, is_relay;
} cases[] = {
	{"nobody", {{0}}, 0, false, false},
	{"one, and more references than it accounts for", {ROW(1, 3, 2, 0)}, 1, false, false},
	{"one that waits, and more references", {ROW(1, 3, 3, 1)}, 1, false, false},
	{"fewer references than seen: it was let go meanwhile", {ROW(1, 3, 1, 1)}, 1, false, false},
	{"no references", {ROW(1, 3, 0, 0)}, 1, false, false},
	{"one of two is missing", {ROW(1, 3, 2, 0), ROW(1, 4, 3, 0)}, 1, false, false},
	{"waits that changed from one row to the next", {ROW(1, 3, 3, 0), ROW(1, 4, 3, 1)}, 1, false, false},
	{"numbers that were in motion",
         {{.inode = 7, .cookie = 70, .references = 1, .pid = 1, .fd = 3, .kind = SOCKET}},
         1,
         false,
         false},
	{"first in motion, then steady",
         {{.inode = 7, .cookie = 70, .references = 2, .pid = 1, .fd = 3, .kind = SOCKET}, ROW(1, 4, 2, 0)},
         1,
         false,
         false},
	{"another socket",
         {{.inode = 8, .cookie = 70, .references = 1, .is_steady = 1, .pid = 1, .fd = 3, .kind = SOCKET}},
         0,
         false,
         false},
	{"the same number, another socket",
         {{.inode = 7, .cookie = 71, .references = 1, .is_steady = 1, .pid = 1, .fd = 3, .kind = SOCKET}},
         0,
         false,
         false},
	{"a kind of row that nobody knows",
         {{.inode = 7, .cookie = 70, .references = 1, .is_steady = 1, .pid = 1, .fd = 3, .kind = 9}},
         0,
         false,
         false},
	{"a tun device alone", {{.pid = 1, .fd = 3, .kind = TUN}}, 0, false, false},
	{"one", {ROW(1, 3, 1, 0)}, 1, true, false},
	{"one that waits", {ROW(1, 3, 2, 1)}, 1, true, false},
	{"one, twice", {ROW(1, 3, 2, 0), ROW(1, 4, 2, 0)}, 1, true, false},
	{"two", {ROW(1, 3, 2, 0), ROW(2, 3, 2, 0)}, 2, true, false},
	{"two, both waiting", {ROW(1, 3, 4, 2), ROW(2, 3, 4, 2)}, 2, true, false},
	{"no cookie yet",
         {{.inode = 7,
           .references = 1,
           .is_steady = 1,
           .start_boot_ns = 5 * TICK_NS,
           .pid = 1,
           .fd = 3,
           .kind = SOCKET}},
         1,
         true,
         false},
	{"a tun device before it", {{.pid = 1, .fd = 2, .kind = TUN}, ROW(1, 3, 1, 0)}, 1, true, true},
	{"a tun device after it", {ROW(1, 3, 1, 0), {.pid = 1, .fd = 4, .kind = TUN}}, 1, true, true},
	{"another's tun device",
         {{.pid = 2, .fd = 2, .kind = TUN}, ROW(1, 3, 1, 0), {.pid = 3, .fd = 2, .kind = TUN}},
         1,
         true,
         false},
};

static void tells_holders_from_rows(void **state)
{
	static const struct ebpf_search search = {.cookie = 70, .inode = 7};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct holders holders = {0};
		struct ebpf_tally tally = {.search = &search, .holders = &holders};
		for (size_t k = 0; k < ARRAY_LENGTH(cases[i].rows) && cases[i].rows[k].pid != 0; k++)
			ebpf_tally_add(&tally, &cases[i].rows[k]);
		CHECK_NUMBER(cases[i].name, holders.count, cases[i].holders);
		CHECK_NUMBER(cases[i].name, ebpf_tally_is_explained(&tally), cases[i].is_explained);
		CHECK_NUMBER(cases[i].name, holders.items[0].is_relay, cases[i].is_relay);
		if (holders.count > 0 && cases[i].is_explained)
			CHECK_NUMBER(cases[i].name, holders.items[0].start_ticks, 5);
	}
}

static void counts_more_holders_than_it_keeps(void **state)
{
	static const struct ebpf_search search = {.cookie = 70, .inode = 7};
	struct holders holders = {0};
	struct ebpf_tally tally = {.search = &search, .holders = &holders};
	(void)state;
	for (uint32_t pid = 1; pid <= HOLDERS_MAX + 3; pid++) {
		const struct ebpf_row row = ROW(pid, 3, HOLDERS_MAX + 3, 0);
		ebpf_tally_add(&tally, &row);
	}
	assert_int_equal(holders.count, HOLDERS_MAX + 3);
	assert_int_equal(holders.items[HOLDERS_MAX - 1].pid, HOLDERS_MAX);
	assert_true(ebpf_tally_is_explained(&tally));
}

/* ---- the kernel's list */

#define MANY 3000 /* before the socket and after it: more than are looked at before the clock is */
#define LONG_MS 60000

static void take_descriptors(int *ret, int count)
{
	ret[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 1; i < count; i++)
		ret[i] = fcntl(ret[0], F_DUPFD_CLOEXEC, 0);
}

static void stops_when_its_time_is_over(void **state)
{
	static int others[2][MANY];
	struct rlimit limit;
	struct stat status;
	struct error problem = {0};
	struct ebpf_list *list;
	struct holders holders;
	bool is_explained;
	struct ebpf_search search = {.pid = 0};
	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < 3 * MANY || ebpf_list_open(&list, &problem) < 0)
		skip();
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	take_descriptors(others[0], MANY);
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	take_descriptors(others[1], MANY);
	socklen_t size = sizeof(search.cookie);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &search.cookie, &size), 0);
	assert_int_equal(fstat(fd, &status), 0);
	search.inode = (uint32_t)status.st_ino;
	for (int alone = 0; alone < 2; alone++) {
		search.pid = alone ? (uint32_t)getpid() : 0;
		search.deadline_ms = clock_monotonic_ms() + LONG_MS;
		assert_int_equal(ebpf_list_holders(list, &search, &holders, &is_explained, &problem), 0);
		assert_int_equal(holders.count, 1);
		assert_int_equal(holders.items[0].pid, getpid());
		assert_true(holders.is_complete);
		assert_true(is_explained);
		search.deadline_ms = clock_monotonic_ms();
		assert_int_equal(ebpf_list_holders(list, &search, &holders, &is_explained, &problem), 0);
		assert_int_equal(holders.count, 0);
		assert_false(holders.is_complete);
		assert_false(is_explained);
	}
	for (int i = 0; i < MANY; i++) {
		(void)close(others[0][i]);
		(void)close(others[1][i]);
	}
	ebpf_list_close(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_holders_from_rows),
		cmocka_unit_test(counts_more_holders_than_it_keeps),
		cmocka_unit_test(stops_when_its_time_is_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
