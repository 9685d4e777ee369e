/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "proxy/witness/line.h"
#include "store/model.h"

/* From a request line's raw target to the one canonical path that both decisions and the upstream request are made of.
 * Pure. Facts of the paths: "Instance metadata categories" of the EC2 user guide. */

#define ROUTE_PATH_BYTES 2048 /* longer targets are refused; the longest real one is below 200 bytes */

enum route_kind {
	ROUTE_TOKEN,        /* /latest/api/token itself */
	ROUTE_TOKEN_ASTRAY, /* that path with another version or a slash behind it: IMDS refuses a PUT there */
	ROUTE_OTHER,
};

struct route {
	enum route_kind kind;
	/* Decoded, `//` collapsed, no query, slash at the end kept: what rules look at, and what is recorded. The
	 * credential id of an ECS task, which is all that one needs to get its credentials, is left out. */
	char path[ROUTE_PATH_BYTES];
	/* The same encoded again, with its query: what goes upstream. */
	char target[3 * ROUTE_PATH_BYTES];
	/* A credential document found under this path has this source. */
	enum source source;
	/* The role that the path names, "" if it names none. */
	char role[ROLE_BYTES];
};

/* Returns NULL and fills *ret, or says in a word why the target is refused with 400. `raw` is as the client wrote
 * it; absolute form is taken when its authority names the service. */
const char *route_parse(enum service service, const char *raw, struct route *ret);

/* Is this the value of a Host header (or an authority) under which the service is known? With or without a port, IPv6
 * with or without brackets (the CRT sends none). */
bool route_is_host(enum service service, const char *host);
