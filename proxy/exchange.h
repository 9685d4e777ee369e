/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/proxy.h"
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

struct request {
	const char *method, *target;                 /* as on the request line */
	const char *host, *token, *ttl, *user_agent; /* NULL: no such header */
	const char *authorization;                   /* a secret; NULL: no such header */
	bool has_forwarded_for, expects_continue;
	bool has_extra;        /* bytes came behind it, which nobody reads */
	const char *malformed; /* why the head is refused, or NULL; then all the others may be NULL */
};

/* Serves the request and writes the answer, if there is to be one. Never fails: what goes wrong is answered, counted
 * and logged. */
void exchange_run(struct proxy *proxy, struct client *client, const struct request *request);
