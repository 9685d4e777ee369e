/* SPDX-License-Identifier: Apache-2.0 */

/* The only place from which bytes leave for a client. */
#include "proxy/send.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/clock.h"

bool send_all(int fd, const struct buffer *bytes)
{
	return send_until(fd, bytes, clock_monotonic_ms() + SEND_TIMEOUT_MS);
}

bool send_until(int fd, const struct buffer *bytes, int64_t deadline_ms)
{
	size_t sent = 0;
	while (sent < bytes->length) {
		ssize_t now = send(fd, bytes->bytes + sent, bytes->length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (now > 0) {
			sent += (size_t)now;
			continue;
		}
		if (errno == EINTR)
			continue;
		int64_t left = deadline_ms - clock_monotonic_ms();
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		if (errno != EAGAIN || left <= 0 || poll(&ready, 1, (int)left) <= 0)
			return false;
	}
	(void)shutdown(fd, SHUT_WR);
	return true;
}
