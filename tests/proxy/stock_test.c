/* SPDX-License-Identifier: Apache-2.0 */

/* Sockets in hand, from a witness that makes three at a time. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "proxy/stock.h"
#include "proxy/witness/pass.h"

#define AT_A_TIME 3

struct witness {
	int main_fd;
	pthread_t thread;
	int asked[2]; /* for IPv4, for IPv6 */
	bool has_none;
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
		struct answer answer = {.magic = LINE_MAGIC, .sockets = witness->has_none ? 0 : AT_A_TIME};
		const struct iovec data = {&answer, sizeof(answer)};
		witness->asked[query.local.family == AF_INET6] += query.kind == QUERY_SOCKETS;
		for (uint32_t i = 0; i < answer.sockets; i++)
			fds[i] = socket(query.local.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
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

static void take_all(struct stock *stock, int family, int count)
{
	for (int i = 0; i < count; i++) {
		int fd = stock_take(stock, family, NULL), domain = 0;
		socklen_t size = sizeof(domain);
		assert_true(fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0);
		assert_int_equal(domain, family);
		(void)close(fd);
	}
}

static void has_a_few_in_hand(void **state)
{
	struct witness witness = {0};
	struct stock stock = {0};
	struct error problem = {0};
	int pair[2], before = open_descriptors();
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	witness.main_fd = pair[1];
	assert_int_equal(pthread_create(&witness.thread, NULL, run, &witness), 0);
	assert_int_equal(line_open(pair[0], &stock.line, NULL), 0);

	stock_refill(&stock); /* of what nobody has wanted yet */
	assert_int_equal(witness.asked[0] + witness.asked[1], 0);
	assert_false(stock_has(&stock, AF_INET));
	take_all(&stock, AF_INET, 1);
	assert_true(stock_has(&stock, AF_INET));
	assert_false(stock_has(&stock, AF_INET6));
	stock_refill(&stock); /* there are some left */
	assert_int_equal(witness.asked[0], 1);
	take_all(&stock, AF_INET, AT_A_TIME - 1);
	stock_refill(&stock);
	assert_int_equal(witness.asked[0], 2);
	take_all(&stock, AF_INET, AT_A_TIME + 1); /* and one that is waited for */
	assert_int_equal(witness.asked[0], 3);
	take_all(&stock, AF_INET6, AT_A_TIME);
	assert_int_equal(witness.asked[1], 1);

	witness.has_none = true;
	stock_refill(&stock);
	assert_int_equal(witness.asked[1], 2);
	assert_int_equal(stock_take(&stock, AF_INET6, &problem), -1);
	assert_int_equal(problem.code, ERROR_SYSTEM);
	stock_done(&stock);
	line_close(stock.line);
	assert_int_equal(pthread_join(witness.thread, NULL), 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_a_few_in_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
