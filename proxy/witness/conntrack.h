/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/line.h"

/* The client's own view of a redirected connection. The accepted source port may differ from the client's: when the
 * pair (address, port) to our listener is taken, NAT rewrites it, and a client can provoke that. Needs CAP_NET_ADMIN.
 * A handle belongs to one thread. */
struct conntrack;

MUST_USE int conntrack_open(struct conntrack **ret, struct error *err);
void conntrack_close(struct conntrack *conntrack);

/* Looks the connection up by its reply tuple (from our accepted `local` to `peer`). 1: found, 0: there is no such
 * connection, or it was not redirected, -1: error. */
MUST_USE int conntrack_original(struct conntrack *conntrack, const struct endpoint *peer, const struct endpoint *local,
                                struct endpoint *ret_client, struct endpoint *ret_destination, struct error *err);
