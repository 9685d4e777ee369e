/* SPDX-License-Identifier: Apache-2.0 */

/* Either all addresses are bound, those of IPv6 where there is IPv6, or the daemon does not start. */
#include "proxy/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

#define BACKLOG 4096

#define INHERITED_FIRST 3 /* SD_LISTEN_FDS_START */

#define LOOPBACK_IFINDEX 1 /* lo, the first of each network namespace */

/* What connections inherit. A request is answered at once, and the answer takes its acknowledgement along: one packet
 * less for each. (visit.c takes it back for requests that come in pieces.) And each knows the interface that it came
 * over. */
static void prepare_connections(int fd)
{
	const int no = 0, yes = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &no, sizeof(no));
	(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)); /* for sockets_came_over_loopback() */
}

MUST_USE static int check_inherited(int fd, struct error *err)
{
	int listens = 0, type = 0;
	socklen_t size = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_errno(err, "inherited descriptor %d", fd);
	if (listens == 0 || type != SOCK_STREAM)
		return error_set(err, ERROR_INPUT, "inherited descriptor %d: expected a listening TCP socket", fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "inherited descriptor %d", fd);
	prepare_connections(fd);
	return 0;
}

int sockets_inherit(int sockets[static SOCKETS_MAX], struct error *err)
{
	const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
	uint64_t pid, count = 0;
	bool ours = pid_text != NULL && count_text != NULL && text_to_u64(pid_text, INT32_MAX, &pid) &&
	            (pid_t)pid == getpid() && text_to_u64(count_text, SOCKETS_MAX, &count);
	for (int i = 0; ours && i < (int)count; i++) {
		if (check_inherited(INHERITED_FIRST + i, err) < 0)
			return -1;
		sockets[i] = INHERITED_FIRST + i;
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return ours ? (int)count : 0;
}

MUST_USE static int bind_one(int family, const char *address, int64_t port, int *ret, struct error *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool ipv4 = family == AF_INET;
	int one = 1;
	(void)inet_pton(family, address, ipv4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
	CLEANUP_FD int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, "%s", address);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	prepare_connections(fd);
	/* The containers' address comes with the redirect, which may start later than we do. */
	(void)setsockopt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_FREEBIND : IPV6_FREEBIND, &one, sizeof(one));
	if (!ipv4)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ipv4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, ipv4 ? sizeof(v4) : sizeof(v6)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_errno(err, "cannot listen on %s port %lld", address, (long long)port);
	*ret = steal_fd(&fd);
	return 0;
}

int sockets_bind(int64_t port, int sockets[static SOCKETS_MAX], int *ret_count, struct error *err)
{
	static const struct {
		int family;
		const char *address;
	} addresses[] = {
		{AF_INET, "127.0.0.1"},
		{AF_INET, LISTEN_CONTAINER_IPV4},
		{AF_INET6, "::1"},
		{AF_INET6, LISTEN_CONTAINER_IPV6},
	};
	int count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
		if (bind_one(addresses[i].family, addresses[i].address, port, &sockets[count], err) == 0) {
			count++;
			continue;
		}
		if (addresses[i].family == AF_INET || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) {
			while (count > 0)
				(void)close(sockets[--count]);
			return -1;
		}
		log_line(LOG_LEVEL_NOTICE, "no_ipv6", "address=%s", addresses[i].address);
	}
	*ret_count = count;
	return 0;
}

/* ::1 the kernel takes from its loopback interface only, whatever the rules say. */
bool sockets_came_over_loopback(int fd, const struct endpoint *local)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
	} options;
	struct in_pktinfo info;
	socklen_t length = sizeof(options.bytes);
	if (!endpoint_is_loopback(local) || local->family != AF_INET)
		return endpoint_is_loopback(local);
	if (getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, &options, &length) < 0 || length < CMSG_LEN(sizeof(info)) ||
	    options.head.cmsg_level != IPPROTO_IP || options.head.cmsg_type != IP_PKTINFO)
		return false;
	memcpy(&info, CMSG_DATA(&options.head), sizeof(info));
	return info.ipi_ifindex == LOOPBACK_IFINDEX;
}
