/* SPDX-License-Identifier: Apache-2.0 */
/* Text to listening socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "sim/http.h"

enum { BACKLOG = 1024 };

static int split(const char *text, char ret_host[static 64], char ret_port[static 8])
{
	const char *colon = strrchr(text, ':');
	size_t host_length = colon != NULL ? (size_t)(colon - text) : 0;

	if (host_length == 0 || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
		return -1;
	if (*text == '[') {
		if (text[host_length - 1] != ']')
			return -1;
		text++;
		host_length -= 2;
	}
	if (host_length >= 64)
		return -1;
	(void)snprintf(ret_host, 64, "%.*s", (int)host_length, text);
	(void)snprintf(ret_port, 8, "%s", colon + 1);
	return 0;
}

static void name_of(int fd, char ret_address[static 64])
{
	struct sockaddr_storage address = {0};
	socklen_t bytes = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "", port[8] = "";

	(void)getsockname(fd, (struct sockaddr *)&address, &bytes);
	(void)getnameinfo((struct sockaddr *)&address, bytes, host, sizeof(host), port, sizeof(port),
	                  NI_NUMERICHOST | NI_NUMERICSERV);
	(void)snprintf(ret_address, 64, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int http_listen(const char *text, int *ret_fd, char ret_address[static 64], struct error *err)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found = NULL;
	char host[64], port[8];
	int on = 1;

	if (split(text, host, port) != 0 || getaddrinfo(host, port, &hints, &found) != 0)
		return error_set(err, "not ADDRESS:PORT or [ADDRESS]:PORT: '%s'", text);

	int family = found->ai_family;
	CLEANUP_FD int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool bound = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	             (family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
	             bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
	int reason = errno;
	freeaddrinfo(found);
	if (!bound)
		return error_set(err, "%s: %s", text, strerror(reason));

	name_of(fd, ret_address);
	*ret_fd = fd;
	fd = -1;
	return 0;
}
