/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/exchange.h"

/* Reads one request from a connection and runs the exchange. Each belongs to one worker, with a line to the witness
 * of its own. */
struct listener;

MUST_USE int listener_new(struct proxy *proxy, int witness_fd, struct listener **ret, struct error *err);
void listener_free(struct listener *listener);

struct accepted {
	int fd;
	struct endpoint peer, local;
};

/* Serves an accepted connection, if its seat is granted, to its end or until it is parked. Takes the descriptor over,
 * and gives the seat back in the end. */
void listener_serve(struct listener *listener, const struct accepted *accepted, struct seats *seats, struct seat *seat);

/* Prepares for the next one, while nobody waits for an answer. */
void listener_rest(struct listener *listener);
