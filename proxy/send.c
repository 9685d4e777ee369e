/* SPDX-License-Identifier: Apache-2.0 */

/* The only place from which bytes leave for a client. */
#include "proxy/send.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/clock.h"

enum sending send_now(int fd, const struct buffer *bytes, size_t *sent)
{
	while (*sent < bytes->length) {
		/* "More" is the end of the connection, which leaves in one packet with the last bytes. */
		ssize_t now =
			send(fd, bytes->bytes + *sent, bytes->length - *sent, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
		if (now > 0)
			*sent += (size_t)now;
		else if (errno != EINTR)
			return errno == EAGAIN ? SENDING_WAITS : SENDING_FAILED;
	}
	(void)shutdown(fd, SHUT_WR);
	return SENDING_DONE;
}

bool send_rest(int fd, const struct buffer *bytes, size_t *sent, int64_t deadline_ms)
{
	for (;;) {
		enum sending sending = send_now(fd, bytes, sent);
		if (sending != SENDING_WAITS)
			return sending == SENDING_DONE;
		int64_t left = deadline_ms - clock_monotonic_ms();
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		if (left <= 0 || poll(&ready, 1, (int)left) <= 0)
			return false;
	}
}

bool send_until(int fd, const struct buffer *bytes, int64_t deadline_ms)
{
	size_t sent = 0;
	return send_rest(fd, bytes, &sent, deadline_ms);
}

bool send_all(int fd, const struct buffer *bytes)
{
	return send_until(fd, bytes, clock_monotonic_ms() + SEND_TIMEOUT_MS);
}

void send_limit_hops(int fd, int family, int hops)
{
	if (hops < 1)
		return;
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	else
		(void)setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
}
