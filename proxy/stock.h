/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/line.h"

/* Upstream sockets in hand: marked and not yet connected, a few for each address family, which the witness makes some
 * at a time. So no request waits for one to be made, but a worker's first. One thread uses a stock. */
struct stock {
	struct line *line; /* borrowed; asked for more */
	struct stock_family {
		int fds[LINE_SOCKETS_MAX];
		int count;
		bool is_wanted; /* it has been used, and is worth refilling */
	} families[2];
};

/* Is one in hand? */
bool stock_has(struct stock *stock, int family);

/* One socket, the caller's; from the witness if there is none in hand. -1: there is none to be had. */
MUST_USE int stock_take(struct stock *stock, int family, struct error *err);

/* Has families that have run out refilled. Not while the line owes an answer. */
void stock_refill(struct stock *stock);

/* Closes all. */
void stock_done(struct stock *stock);
