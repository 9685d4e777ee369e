/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/connection.h"
#include "proxy/parking.h"
#include "proxy/seats.h"
#include "proxy/stock.h"
#include "proxy/witness/line.h"

/* Who made a request, as far as is known. */
struct client {
	int fd;                      /* connected; stays the caller's */
	struct seat *seat;           /* its place among all */
	struct endpoint peer, local; /* as accepted */
	bool is_here;                /* its packets come over the loopback interface: nobody but our own network
	                                namespace sends any there */
	enum service service;       /* whose address its original destination is; SERVICE_NONE: it was not redirected */
	struct line *line;          /* to the witness; NULL once it is parked */
	bool is_asked, is_met;      /* the witness was asked whose socket this is, and has said it */
	bool is_lost;               /* it has not said it, and is not waited for again */
	struct sighting sighting;   /* before that: what can be seen from here */
	struct stock *stock;        /* of upstream sockets; NULL once it is parked */
	struct connection upstream; /* the caller ends it when all is over */
	struct parked *parked;      /* where it waits for its rows */
};

/* Comes from another network namespace, by a bridge: where the redirect sent it says so, also when the witness was not
 * asked or could not look for it. */
static inline bool client_is_bridged(const struct client *client)
{
	return !endpoint_is_loopback(&client->local);
}

/* A newly accepted one: fd, seat, peer, local, is_here, line, stock and parked are the caller's to give. */
void client_init(struct client *client);

/* Asks the witness whose socket it is, and does not wait. */
MUST_USE int client_ask(struct client *client, struct error *err);

/* Takes the answer to that, asking first if need be; does nothing once it is there, and fails at once when it has not
 * come before. */
MUST_USE int client_meet(struct client *client, struct error *err);

/* The questions that follow (line.h). Whom the line was asked about before is nobody's business here: a client that was
 * not met is met first. */
MUST_USE int client_first(struct client *client, struct error *err);
MUST_USE int client_who(struct client *client, struct attribution *ret, struct error *err);
