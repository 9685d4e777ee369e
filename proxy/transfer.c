/* SPDX-License-Identifier: Apache-2.0 */

/* The metadata service closes after each answer and is one hop away, so there is nothing to pool, and blocking calls
 * need the fewest of them. Secrets pass through one array on the stack, wiped behind them. */
#include "proxy/transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"

static int64_t left_ms(const struct transfer *transfer)
{
	int64_t left = transfer->deadline_ms - clock_monotonic_ms();
	return left > 0 ? left : 0;
}

static int too_late(const char *doing, struct error *err)
{
	return error_set(err, ERROR_TIMEOUT, "%s: no answer in time", doing);
}

/* How long connect and send may block. */
MUST_USE static int limit(const struct transfer *transfer, int fd, struct error *err)
{
	int64_t left = left_ms(transfer);
	const struct timeval most = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
	if (left == 0)
		return too_late("connect", err);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) < 0)
		return error_errno(err, "socket");
	return 0;
}

MUST_USE static int connect_until(const struct transfer *transfer, int fd, struct error *err)
{
	socklen_t size =
		transfer->address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (limit(transfer, fd, err) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)transfer->address, size) == 0)
		return 0;
	return errno == EINPROGRESS || errno == EAGAIN || errno == ETIMEDOUT ? too_late("connect", err)
	                                                                     : error_errno(err, "connect");
}

MUST_USE static int send_until_deadline(const struct transfer *transfer, int fd, struct error *err)
{
	size_t sent = 0;
	while (sent < transfer->request_bytes) {
		ssize_t now = send(fd, transfer->request + sent, transfer->request_bytes - sent, MSG_NOSIGNAL);
		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return errno == EAGAIN ? too_late("send", err) : error_errno(err, "send");
		sent += (size_t)now;
		if (sent < transfer->request_bytes && limit(transfer, fd, err) < 0)
			return -1;
	}
	return 0;
}

/* Waits for some bytes; 0: the connection has ended. */
MUST_USE static ssize_t receive_some(const struct transfer *transfer, int fd, char *to, size_t size, struct error *err)
{
	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left = left_ms(transfer);
		if (left == 0 || poll(&ready, 1, (int)left) == 0)
			return too_late("receive", err);
		ssize_t got = recv(fd, to, size, MSG_DONTWAIT);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return error_errno(err, "receive");
	}
}

MUST_USE static int receive(const struct transfer *transfer, int fd, struct response *ret, struct error *err)
{
	struct response_reader reader;
	char bytes[16384];
	size_t touched = 0;
	int result = 0;
	response_begin(&reader, ret, transfer->is_head);
	while (result == 0 && !response_is_complete(&reader)) {
		ssize_t got = receive_some(transfer, fd, bytes, sizeof(bytes), err);
		if (got < 0)
			result = -1;
		else if (got == 0)
			result = response_end(&reader, err);
		else
			result = response_take(&reader, bytes, (size_t)got, err);
		if (got > 0 && (size_t)got > touched)
			touched = (size_t)got;
	}
	explicit_bzero(bytes, touched);
	return result;
}

int transfer_parse_address(const char *text, struct sockaddr_storage *ret, struct error *err)
{
	char address[INET6_ADDRSTRLEN + 16];
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	char *colon = text_copy(address, sizeof(address), text) ? strrchr(address, ':') : NULL;
	uint64_t port;
	bool good = colon != NULL && colon > address && text_to_u64(colon + 1, 65535, &port);
	*ret = (struct sockaddr_storage){0};
	if (good && address[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		ipv6.sin6_port = htons((uint16_t)port);
		good = inet_pton(AF_INET6, address + 1, &ipv6.sin6_addr) == 1;
		memcpy(ret, &ipv6, sizeof(ipv6));
	} else if (good) {
		*colon = '\0';
		ipv4.sin_port = htons((uint16_t)port);
		good = inet_pton(AF_INET, address, &ipv4.sin_addr) == 1;
		memcpy(ret, &ipv4, sizeof(ipv4));
	}
	return good ? 0 : error_set(err, ERROR_INPUT, "upstream: %s is no ADDRESS:PORT", text);
}

MUST_USE static int local_port(int fd, uint16_t *ret, struct error *err)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} local;
	socklen_t size = sizeof(local);
	if (getsockname(fd, (struct sockaddr *)&local.any, &size) < 0)
		return error_errno(err, "connection");
	*ret = ntohs(local.any.ss_family == AF_INET6 ? local.ipv6.sin6_port : local.ipv4.sin_port);
	return 0;
}

int transfer_run(const struct transfer *transfer, struct response *ret, struct error *err)
{
	uint16_t port = 0;
	CLEANUP_FD int fd = transfer->socket(transfer->socket_context, transfer->address->ss_family, err);
	if (fd < 0 || connect_until(transfer, fd, err) < 0 || local_port(fd, &port, err) < 0)
		return -1;
	atomic_uchar *count = &transfer->ports->under_way[port];
	(void)atomic_fetch_add(count, 1);
	int result = send_until_deadline(transfer, fd, err);
	if (result == 0)
		result = receive(transfer, fd, ret, err);
	(void)atomic_fetch_sub(count, 1);
	return result;
}
