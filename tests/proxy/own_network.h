/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A network namespace with the metadata addresses on its loopback interface, and no way out: for tests that connect to
 * one. Include after unit.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static inline struct sockaddr_storage address_of(const char *text, uint16_t port)
{
	struct sockaddr_storage address = {.ss_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	if (address.ss_family == AF_INET) {
		assert_int_equal(inet_pton(AF_INET, text, &ipv4.sin_addr), 1);
		memcpy(&address, &ipv4, sizeof(ipv4));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
		memcpy(&address, &ipv6, sizeof(ipv6));
	}
	return address;
}

/* The kernel makes the route that brings packets to an IPv6 address of ours a moment later, by itself. */
static inline void await_address(const char *text)
{
	const struct sockaddr_storage address = address_of(text, 9);
	for (int i = 0; i < 1000; i++) {
		int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool is_there = connect(fd, (const struct sockaddr *)&address, sizeof(struct sockaddr_in6)) < 0 &&
		                errno == ECONNREFUSED; /* nobody listens there */
		(void)close(fd);
		if (is_there)
			return;
		(void)usleep(10 * 1000);
	}
	fail_msg("no route to %s", text);
}

/* The calling thread's from now on, and that of threads and processes that it starts; skips the test without root. */
static inline void enter_own_network(void)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up && ip addr add 169.254.169.254/32 dev lo && "
	                        "ip -6 addr add fd00:ec2::254/128 dev lo nodad"),
	                 0);
	await_address("fd00:ec2::254");
}
