/* SPDX-License-Identifier: Apache-2.0 */

/* A marked socket alone is worth nothing to anybody but the proxy: it is not connected, and who connects it is the same
 * user that the redirect's owner match asks for. */
#include "proxy/stock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static struct stock_family *family_of(struct stock *stock, int family)
{
	return &stock->families[family == AF_INET6];
}

MUST_USE static int fill(struct stock *stock, int family, struct error *err)
{
	struct stock_family *kind = family_of(stock, family);
	const int no = 0;
	if (line_sockets(stock->line, family, kind->fds, &kind->count, err) < 0)
		return -1;
	/* The request follows at once, and takes the handshake's last acknowledgement along. */
	for (int i = 0; i < kind->count; i++)
		(void)setsockopt(kind->fds[i], IPPROTO_TCP, TCP_QUICKACK, &no, sizeof(no));
	return 0;
}

bool stock_has(struct stock *stock, int family)
{
	return family_of(stock, family)->count > 0;
}

int stock_take(struct stock *stock, int family, struct error *err)
{
	struct stock_family *kind = family_of(stock, family);
	kind->is_wanted = true;
	if (kind->count == 0 && fill(stock, family, err) < 0)
		return -1;
	return kind->fds[--kind->count];
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
