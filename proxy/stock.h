/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/line.h"

/* Upstream sockets: our own, where the kernel marks them on the way (witness.bpf.c), else those that the witness makes
 * some at a time, a few of which are in hand for each address family. So no request waits for one to be made, but a
 * worker's first. One thread uses a stock. */
struct stock {
	struct line *line;    /* borrowed; asked for more */
	bool may_make;        /* the witness has said that ours are marked */
	int64_t own_after_ms; /* one was not: none is made before then */
	struct stock_family {
		int fds[LINE_SOCKETS_MAX];
		int count;
		bool is_wanted; /* it has been used, and is worth refilling */
	} families[2];
};

/* Is one to be had without the witness? */
bool stock_has(const struct stock *stock, int family, int64_t now_ms);

/* A socket that begins to connect, the caller's. One of ours that comes out without the mark is closed before a byte
 * was sent, and the witness's are used for a while. -1: there is none to be had, or it cannot connect. */
#define STOCK_PAUSE_MS 10000
MUST_USE int stock_connect(struct stock *stock, const struct sockaddr_storage *address, struct error *err);

/* Has families that have run out refilled. Not while the line owes an answer. */
void stock_refill(struct stock *stock);

/* Closes all. */
void stock_done(struct stock *stock);
