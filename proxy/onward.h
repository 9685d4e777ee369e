/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/route.h"

/* What goes on to upstream of a client's request: its method, the canonical target and, to agents alone, which go by
 * them, Host and Authorization. The texts are lent. */
struct upstream_request onward_request(struct client *client, const struct request *request, const struct route *route,
                                       bool without_token);
