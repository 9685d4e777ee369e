/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/connection.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/seats.h"
#include "proxy/stock.h"

/* THE PIPELINE of one request: what does it want, who is it, may it, what does upstream say, does that hold a
 * credential, is it still the same process, does the policy allow it, record, answer. One thread, straight line; one
 * exchange after the other. */
struct exchange;

struct client {
	int fd;                      /* connected; stays the caller's */
	struct seat *seat;           /* its place among all */
	struct endpoint peer, local; /* as accepted */
	struct line *line;           /* to the witness; has been asked about this client */
	struct sighting sighting;
	enum service service;       /* whose address its original destination is; SERVICE_NONE: it was not redirected */
	struct stock *stock;        /* of upstream sockets */
	struct connection upstream; /* the caller ends it when all is over */
	/* What the witness has said of the client before, where this one came the same way: a guess, by which nothing
	 * is decided but what to prepare. NULL: none. */
	const struct sighting *likely;
};

/* Comes from another network namespace, by a bridge: where the redirect sent it says so, also when the witness could
 * not look for it. */
static inline bool client_is_bridged(const struct client *client)
{
	return !endpoint_is_loopback(&client->local);
}

/* NULL: no memory. */
struct exchange *exchange_new(struct proxy *proxy);
void exchange_free(struct exchange *exchange);

/* Sees what the head alone decides. The witness may still owe its answer: client->sighting is not read. If by all that
 * is known the request goes on to upstream, a connection for it is begun. Client and request must stay until the end:
 * exchange_finish, or exchange_drop. */
void exchange_begin(struct exchange *exchange, struct client *client, const struct request *request);

/* Serves it and writes the answer, if there is to be one. Never fails: what goes wrong is answered, counted and logged.
 */
void exchange_finish(struct exchange *exchange);

/* Forgets what was begun. */
void exchange_drop(struct exchange *exchange);
