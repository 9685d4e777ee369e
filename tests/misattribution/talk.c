/* SPDX-License-Identifier: Apache-2.0 */

/* What all kinds of clients do: say who they are, connect, ask, read. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/misattribution/client.h"

#define TIMEOUT_S 60
#define IMDS_V4 "169.254.169.254"

void check(bool good, const char *what)
{
	if (!good)
		err(1, "%s", what);
}

/* Field 22 of /proc/self/stat; the name before it may hold anything. */
static unsigned long long start_ticks(void)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	check(file != NULL, "/proc/self/stat");
	size_t got = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[got] = '\0';
	char *at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	check(at != NULL, "field 22");
	return strtoull(at, NULL, 10);
}

void tell(const struct run *run, const char *role)
{
	char line[256], pid[32] = "";
	struct stat exe = {0};
	check(readlink("/proc/self", pid, sizeof(pid) - 1) > 0, "/proc/self");
	check(stat("/proc/self/exe", &exe) == 0, "/proc/self/exe");
	int length =
		snprintf(line, sizeof(line), "%s\t%s\t%s\t%llu\t%u\t%u:%u\t%llu\n", run->nonce, role, pid,
	                 start_ticks(), getuid(), major(exe.st_dev), minor(exe.st_dev), (unsigned long long)exe.st_ino);
	check(write(run->out, line, (size_t)length) == length, "telling");
}

static socklen_t fill_address(const char *address, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;
	*ret = (struct sockaddr_storage){0};
	if (strchr(address, ':') == NULL) {
		*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		check(inet_pton(AF_INET, address, &v4->sin_addr) == 1, address);
		return sizeof(*v4);
	}
	*v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	check(inet_pton(AF_INET6, address, &v6->sin6_addr) == 1, address);
	return sizeof(*v6);
}

int connect_to(const char *address, uint16_t port, int source)
{
	struct sockaddr_storage to;
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	socklen_t size = fill_address(address, port, &to);
	int fd = source >= 0 ? source : socket(to.ss_family, SOCK_STREAM, 0);
	check(fd >= 0, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	check(connect(fd, (struct sockaddr *)&to, size) == 0, "connect");
	return fd;
}

int connect_imds(void)
{
	return connect_to(IMDS_V4, 80, -1);
}

int bound_socket(const char *address, uint16_t port)
{
	struct sockaddr_storage from;
	const int on = 1;
	socklen_t size = fill_address(address, port, &from);
	int fd = socket(from.ss_family, SOCK_STREAM, 0);
	check(fd >= 0, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	check(bind(fd, (struct sockaddr *)&from, size) == 0, "bind");
	return fd;
}

size_t request_text(const struct run *run, char *ret, size_t size)
{
	int length = snprintf(ret, size,
	                      "GET %s HTTP/1.1\r\nHost: " IMDS_V4 "\r\nUser-Agent: %s\r\n"
	                      "X-aws-ec2-metadata-token: %s\r\n\r\n",
	                      run->path, run->nonce, run->token);
	check(length > 0 && (size_t)length < size, "request");
	return (size_t)length;
}

void send_request(const struct run *run, int fd)
{
	char text[1024];
	size_t length = request_text(run, text, sizeof(text));
	check(send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length, "send");
}

/* Nothing is an answer too: the client of a doubtful grade may be refused. */
void finish(const struct run *run, int fd)
{
	char answer[8192];
	size_t length = 0;
	ssize_t got;
	while (length < sizeof(answer) - 1 && (got = recv(fd, answer + length, sizeof(answer) - 1 - length, 0)) > 0)
		length += (size_t)got;
	answer[length] = '\0';
	if (strstr(answer, "AccessKeyId") != NULL)
		tell(run, "answered");
}

void fetch(const struct run *run, int fd)
{
	tell(run, "asked");
	send_request(run, fd);
	finish(run, fd);
}

void nap(unsigned longest_us)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)usleep((useconds_t)((now.tv_nsec / 1000) % (longest_us + 1)));
}

void send_fd(int line, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 'x';
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	*head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(head), &fd, sizeof(int));
	check(sendmsg(line, &message, 0) == 1, "sendmsg");
}

int receive_fd(int line)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	int fd = -1;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	check(recvmsg(line, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL, "recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

void wait_for_byte(int fd)
{
	char byte;
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		continue;
}

void send_byte(int fd)
{
	(void)!write(fd, "x", 1);
}

void await(pid_t child)
{
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
}
