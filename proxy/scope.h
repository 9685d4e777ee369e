/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/token.h"

/* Can it be said whom a client's token is good for before the witness has been asked who the client is? It can for
 * whoever came over the loopback interface, and so is of our own network namespace, unless control groups or processes
 * are told apart. */
bool scope_is_known(const struct proxy *proxy, const struct settings *settings, const struct client *client);

/* Whom it is good for, as text: the scope that [imdsv2] token_scope names, bound to this boot. Where it is not known,
 * the next wider one that is stands in: the network namespace, then the source address. May ask the witness which
 * process it is, and notes that in client->sighting. */
void scope_of(const struct proxy *proxy, const struct settings *settings, struct client *client,
              char to[static TOKEN_SCOPE_BYTES]);

/* A token's verdict, and for which scope it was reached. */
struct checked {
	char scope[TOKEN_SCOPE_BYTES]; /* "": not yet */
	enum token_verdict verdict;
	int64_t ttl_left; /* in seconds; -1: it is not good */
};

/* Is the token good for this client? What has been checked for the same scope before is not checked again. */
enum token_verdict scope_check(const struct proxy *proxy, const struct settings *settings, struct client *client,
                               const char *token, struct checked *checked);
