/* SPDX-License-Identifier: Apache-2.0 */

/* Sockets in hand, from a witness that makes three at a time, and our own. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/connection.h"
#include "proxy/stock.h"
#include "proxy/witness/ebpf.h"
#include "proxy/witness/pass.h"
#include "proxy/witness/witness.h"
#include "tests/proxy/own_network.h"

#define AT_A_TIME 3

struct witness {
	int main_fd;
	pthread_t thread;
	int asked[2]; /* for IPv4, for IPv6 */
	bool has_none, marks;
};

static void *run(void *argument)
{
	struct witness *witness = argument;
	struct query query;
	int fds[PASS_MAX];
	size_t count;
	char byte;
	if (pass_receive(witness->main_fd, &byte, 1, fds, &count) != 1 || count != 1)
		return NULL;
	CLEANUP_FD int line = fds[0];
	while (recv(line, &query, sizeof(query), 0) == (ssize_t)sizeof(query)) {
		struct answer answer = {
			.magic = LINE_MAGIC, .sockets = witness->has_none ? 0 : AT_A_TIME, .marks = witness->marks};
		const struct iovec data = {&answer, sizeof(answer)};
		witness->asked[query.local.family == AF_INET6] += query.kind == QUERY_SOCKETS;
		for (uint32_t i = 0; i < answer.sockets; i++)
			fds[i] = socket(query.local.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!pass_send(line, &data, 1, fds, answer.sockets);
		for (uint32_t i = 0; i < answer.sockets; i++)
			(void)close(fds[i]);
	}
	return NULL;
}

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A stock with its witness. */
struct stage {
	struct witness witness;
	struct stock stock;
	int pair[2];
};

static void stage_open(struct stage *stage)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, stage->pair), 0);
	stage->witness.main_fd = stage->pair[1];
	assert_int_equal(pthread_create(&stage->witness.thread, NULL, run, &stage->witness), 0);
	assert_int_equal(line_open(stage->pair[0], &stage->stock.line, NULL), 0);
}

static void stage_close(struct stage *stage)
{
	stock_done(&stage->stock);
	line_close(stage->stock.line);
	assert_int_equal(pthread_join(stage->witness.thread, NULL), 0);
	(void)close(stage->pair[0]);
	(void)close(stage->pair[1]);
}

static int listen_at(const char *address, uint16_t port)
{
	struct sockaddr_storage at = address_of(address, port);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int yes = 1; /* the port may be in use by what was closed here first */
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, connection_address_bytes(&at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

/* How many connections something was sent on: one that was given up has nothing, and may not even be there. */
static int used_at(int listener)
{
	int count = 0, fd;
	char byte;
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		count += recv(fd, &byte, 1, 0) == 1;
		(void)close(fd);
	}
	return count;
}

static void use(struct stock *stock, const char *address, uint16_t port, int count)
{
	struct sockaddr_storage to = address_of(address, port);
	for (int i = 0; i < count; i++) {
		int fd = stock_connect(stock, &to, NULL);
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		assert_true(fd >= 0);
		assert_int_equal(poll(&ready, 1, 10000), 1);
		assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
		(void)close(fd);
	}
}

static void has_a_few_in_hand(void **state)
{
	struct stage stage = {0};
	struct stock *stock = &stage.stock;
	struct error problem = {0};
	(void)state;
	enter_own_network();
	int before = open_descriptors();
	int ipv4 = listen_at("127.0.0.1", 80), ipv6 = listen_at("::1", 80);
	struct sockaddr_storage to = address_of("::1", 80);
	stage_open(&stage);

	stock_refill(stock); /* of what nobody has wanted yet */
	assert_int_equal(stage.witness.asked[0] + stage.witness.asked[1], 0);
	assert_false(stock_has(stock, AF_INET, clock_monotonic_ms()));
	use(stock, "127.0.0.1", 80, 1);
	assert_true(stock_has(stock, AF_INET, clock_monotonic_ms()));
	assert_false(stock_has(stock, AF_INET6, clock_monotonic_ms()));
	stock_refill(stock); /* there are some left */
	assert_int_equal(stage.witness.asked[0], 1);
	use(stock, "127.0.0.1", 80, AT_A_TIME - 1);
	stock_refill(stock);
	assert_int_equal(stage.witness.asked[0], 2);
	use(stock, "127.0.0.1", 80, AT_A_TIME + 1); /* and one that is waited for */
	assert_int_equal(stage.witness.asked[0], 3);
	use(stock, "::1", 80, AT_A_TIME);
	assert_int_equal(stage.witness.asked[1], 1);
	assert_int_equal(used_at(ipv4), 2 * AT_A_TIME + 1);
	assert_int_equal(used_at(ipv6), AT_A_TIME);

	stage.witness.has_none = true;
	stock_refill(stock);
	assert_int_equal(stage.witness.asked[1], 2);
	assert_int_equal(stock_connect(stock, &to, &problem), -1);
	assert_int_equal(problem.code, ERROR_SYSTEM);
	stage_close(&stage);
	(void)close(ipv4);
	(void)close(ipv6);
	assert_int_equal(open_descriptors(), before);
}

/* Nothing marks anything here: an own socket comes out as it was made. */
static const struct {
	const char *name, *address;
	uint16_t port;
	bool marks;     /* what the witness says of it */
	bool has_tried; /* one of our own */
} unmarked_cases[] = {
	{"the witness does not say that ours are marked", "169.254.169.254", 80, false, false},
	{"ours are not marked", "169.254.169.254", 80, true, true},
	{"ours are not marked, over IPv6", "fd00:ec2::254", 80, true, true},
	{"upstream is no service", "127.0.0.1", 80, true, false},
	{"upstream is no service, at another port", "169.254.169.254", 81, true, false},
};

#define USED 5

static void falls_back_when_ours_are_not_marked(void **state)
{
	(void)state;
	enter_own_network();
	for (size_t i = 0; i < ARRAY_LENGTH(unmarked_cases); i++) {
		const char *name = unmarked_cases[i].name, *address = unmarked_cases[i].address;
		struct stage stage = {.witness = {.marks = unmarked_cases[i].marks}};
		int listener = listen_at(address, unmarked_cases[i].port), before = open_descriptors();
		stage_open(&stage);
		use(&stage.stock, address, unmarked_cases[i].port, USED);
		int64_t pause_ends_ms = stage.stock.own_after_ms;
		CHECK_NUMBER(name, pause_ends_ms > clock_monotonic_ms(), unmarked_cases[i].has_tried);
		CHECK_NUMBER(name, used_at(listener), USED);
		CHECK_NUMBER(name, stage.witness.asked[0] + stage.witness.asked[1], 2);
		CHECK_NUMBER(name, stock_has(&stage.stock, AF_INET, pause_ends_ms - 1), address[0] != 'f');
		CHECK_NUMBER(name, stock_has(&stage.stock, AF_INET, pause_ends_ms),
		             unmarked_cases[i].marks || address[0] != 'f');
		stage.stock.own_after_ms = 1; /* the pause is over */
		use(&stage.stock, address, unmarked_cases[i].port, 1);
		CHECK_NUMBER(name, stage.stock.own_after_ms > 1, unmarked_cases[i].has_tried);
		CHECK_NUMBER(name, used_at(listener), 1);
		stage_close(&stage);
		CHECK_NUMBER(name, open_descriptors(), before);
		(void)close(listener);
	}
}

static void uses_its_own_while_they_are_marked(void **state)
{
	const struct ebpf_proxy proxy = {.uid = getuid(), .mark = WITNESS_MARK};
	struct stage stage = {.witness = {.marks = true}};
	struct ebpf *ebpf;
	(void)state;
	enter_own_network();
	int listener = listen_at("169.254.169.254", 80);
	if (ebpf_open(16, &ebpf, NULL) < 0)
		skip();
	ebpf_mark_for(ebpf, (uint32_t)getpid(), &proxy);
	ebpf_trust(ebpf);
	stage_open(&stage);
	use(&stage.stock, "169.254.169.254", 80, 3 * AT_A_TIME);
	assert_int_equal(stage.witness.asked[0], 1);
	assert_int_equal(used_at(listener), 3 * AT_A_TIME);
	ebpf_close(ebpf); /* as when somebody has taken the programs away */
	use(&stage.stock, "169.254.169.254", 80, 3 * AT_A_TIME);
	assert_int_equal(stage.witness.asked[0], 4);
	assert_int_equal(used_at(listener), 3 * AT_A_TIME);
	stage_close(&stage);
	(void)close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_a_few_in_hand),
		cmocka_unit_test(falls_back_when_ours_are_not_marked),
		cmocka_unit_test(uses_its_own_while_they_are_marked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
