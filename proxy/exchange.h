/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/seats.h"

/* THE PIPELINE of one request: who is it, what does it want, may it, what does upstream say, does that hold a
 * credential, is it still the same process, does the policy allow it, record, answer. One thread, straight line. */

struct client {
	int fd;                      /* connected; stays the caller's */
	struct seat *seat;           /* its place among all */
	struct endpoint peer, local; /* as accepted */
	struct line *line;           /* to the witness; has been asked about this client */
	struct sighting sighting;
	enum service service; /* whose address its original destination is; SERVICE_NONE: it was not redirected */
	int upstream_fd;      /* a fresh upstream socket, taken by the first fetch; -1: none */
};

/* Serves the request and writes the answer, if there is to be one. Never fails: what goes wrong is answered, counted
 * and logged. */
void exchange_run(struct proxy *proxy, struct client *client, const struct request *request);
