/* SPDX-License-Identifier: Apache-2.0 */

/* The metadata service is one hop away, so most calls are tried before they are waited for. Secrets pass through one
 * array on the stack, wiped behind them. */
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

/* Until there are bytes, or room for some; false: not in time. */
static bool wait_until(const struct transfer *transfer, short events)
{
	struct pollfd ready = {.fd = transfer->fd, .events = events};
	bool is_told = transfer->on_wait == NULL;
	for (;;) {
		int64_t left = left_ms(transfer);
		bool is_short = !is_told && left > TRANSFER_WHILE_MS;
		int got = left > 0 ? poll(&ready, 1, is_short ? TRANSFER_WHILE_MS : (int)left) : 0;
		if (got == 0 && is_short) {
			transfer->on_wait(transfer->wait_context);
			is_told = true;
		} else if (got >= 0 || errno != EINTR) {
			return got > 0;
		}
	}
}

/* The first byte also waits for the connection, and learns why there is none. */
MUST_USE static int send_until_deadline(const struct transfer *transfer, struct error *err)
{
	size_t sent = 0;
	while (sent < transfer->request_bytes) {
		const char *doing = sent == 0 ? "connect" : "send";
		ssize_t now = send(transfer->fd, transfer->request + sent, transfer->request_bytes - sent,
		                   MSG_NOSIGNAL | MSG_DONTWAIT);
		if (now >= 0)
			sent += (size_t)now;
		else if (errno == EAGAIN && !wait_until(transfer, POLLOUT))
			return too_late(doing, err);
		else if (errno != EAGAIN && errno != EINTR)
			return error_errno(err, "%s", doing);
	}
	return 0;
}

/* Waits for some bytes; 0: the connection has ended. */
MUST_USE static ssize_t receive_some(const struct transfer *transfer, char *to, size_t size, struct error *err)
{
	for (;;) {
		if (!wait_until(transfer, POLLIN))
			return too_late("receive", err);
		ssize_t got = recv(transfer->fd, to, size, MSG_DONTWAIT);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return error_errno(err, "receive");
	}
}

MUST_USE static int receive(const struct transfer *transfer, struct response *ret, struct error *err)
{
	struct response_reader reader;
	char bytes[16384];
	size_t touched = 0;
	int result = 0;
	response_begin(&reader, ret, transfer->is_head);
	while (result == 0 && !response_is_complete(&reader)) {
		ssize_t got = receive_some(transfer, bytes, sizeof(bytes), err);
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

int transfer_run(const struct transfer *transfer, struct response *ret, struct error *err)
{
	return send_until_deadline(transfer, err) < 0 ? -1 : receive(transfer, ret, err);
}
