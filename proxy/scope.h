/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/token.h"

/* Whom a client's token is good for, as text: the scope that [imdsv2] token_scope names, bound to this boot. Where it
 * is not known, the next wider one that is stands in: the network namespace, then the source address. May ask the
 * witness which process it is, and notes that in client->sighting. */
void scope_of(const struct proxy *proxy, const struct settings *settings, struct client *client,
              char to[static TOKEN_SCOPE_BYTES]);
