/* SPDX-License-Identifier: Apache-2.0 */

/* A marked socket alone is worth nothing to anybody but the proxy: it is not connected, and who connects it is the same
 * user that the redirect's owner match asks for. That a socket of our own is marked is never taken for granted: the
 * programs that do it may be gone since, or be told apart from others' by somebody's rules. */
#include "proxy/stock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/connection.h"
#include "proxy/witness/witness.h"

static struct stock_family *family_of(struct stock *stock, int family)
{
	return &stock->families[family == AF_INET6];
}

/* The request follows at once, and takes the handshake's last acknowledgement along. */
static void prepare(int fd)
{
	const int no = 0;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &no, sizeof(no));
}

MUST_USE static int begin(int fd, const struct sockaddr_storage *address, struct error *err)
{
	if (connect(fd, (const struct sockaddr *)address, connection_address_bytes(address)) < 0 &&
	    errno != EINPROGRESS)
		return error_errno(err, "connect");
	return 0;
}

/* ---- the witness's */

MUST_USE static int fill(struct stock *stock, int family, struct error *err)
{
	struct stock_family *kind = family_of(stock, family);
	if (line_sockets(stock->line, family, kind->fds, &kind->count, &stock->may_make, err) < 0)
		return -1;
	for (int i = 0; i < kind->count; i++)
		prepare(kind->fds[i]);
	return 0;
}

MUST_USE static int take(struct stock *stock, int family, struct error *err)
{
	struct stock_family *kind = family_of(stock, family);
	kind->is_wanted = true;
	if (kind->count == 0 && fill(stock, family, err) < 0)
		return -1;
	return kind->fds[--kind->count];
}

/* ---- ours */

static bool makes(const struct stock *stock, int64_t now_ms)
{
	return stock->may_make && now_ms >= stock->own_after_ms;
}

/* Only these are marked; upstream may be anywhere by its settings. */
static bool is_service(const struct sockaddr_storage *address)
{
	struct endpoint endpoint;
	endpoint_from_sockaddr(address, &endpoint);
	return endpoint_service(&endpoint) != SERVICE_NONE;
}

static bool is_marked(int fd)
{
	unsigned mark = 0;
	socklen_t size = sizeof(mark);
	return getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &size) == 0 && mark == WITNESS_MARK;
}

/* -1: not one of ours. */
static int connect_own(const struct sockaddr_storage *address)
{
	struct error ignored; /* the witness's meets the same, if it was not for the mark */
	CLEANUP_FD int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	prepare(fd);
	return begin(fd, address, &ignored) == 0 && is_marked(fd) ? steal_fd(&fd) : -1;
}

/* ---- either */

bool stock_has(const struct stock *stock, int family, int64_t now_ms)
{
	return makes(stock, now_ms) || stock->families[family == AF_INET6].count > 0;
}

int stock_connect(struct stock *stock, const struct sockaddr_storage *address, struct error *err)
{
	int64_t now_ms = clock_monotonic_ms();
	if (makes(stock, now_ms) && is_service(address)) {
		int own = connect_own(address);
		if (own >= 0)
			return own;
		stock->own_after_ms = now_ms + STOCK_PAUSE_MS;
	}
	CLEANUP_FD int fd = take(stock, address->ss_family, err);
	return fd < 0 || begin(fd, address, err) < 0 ? -1 : steal_fd(&fd);
}

void stock_refill(struct stock *stock)
{
	static const int families[] = {AF_INET, AF_INET6};
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		struct error ignored; /* whoever needs one asks again, and says so */
		const struct stock_family *kind = family_of(stock, families[i]);
		if (kind->is_wanted && kind->count == 0 && fill(stock, families[i], &ignored) < 0)
			return;
	}
}

void stock_done(struct stock *stock)
{
	for (size_t i = 0; i < ARRAY_LENGTH(stock->families); i++)
		while (stock->families[i].count > 0)
			(void)close(stock->families[i].fds[--stock->families[i].count]);
}
