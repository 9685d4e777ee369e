/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/client.h"
#include "proxy/proxy.h"
#include "proxy/request.h"

/* THE PIPELINE of one request: what does it want, who is it, may it, what does upstream say, does that hold a
 * credential, is it still the same process, does the policy allow it, record, answer. A straight line: one thread as
 * far as the record of a key, which nobody stands still for; the one of parking.h goes on behind it. */
struct exchange;

/* NULL: no memory. */
struct exchange *exchange_new(struct proxy *proxy);
void exchange_free(struct exchange *exchange);

/* Sees what the head alone decides; the witness need not have been asked. Client and request must stay until the end:
 * of exchange_finish, exchange_resume, or exchange_drop. */
void exchange_begin(struct exchange *exchange, struct client *client, const struct request *request);

/* Will the answer be the same whoever asks, and nothing be written of it? Then the witness need not be asked: the way
 * that the client came says which network namespace it is of. If the answer holds a key after all, or there is to be a
 * row for another reason, the witness is asked then. */
bool exchange_is_for_anybody(const struct exchange *exchange);

/* While the witness looks: if by all that is known the request goes on to upstream, begins a connection for it. */
void exchange_foresee(struct exchange *exchange);

/* Serves it and writes the answer, if there is to be one. Never fails: what goes wrong is answered, counted and logged.
 * False: its rows are on their way to the disk, and nothing of exchange, client and request must be touched any more:
 * the thread that client->parked goes on in may have them. */
MUST_USE bool exchange_finish(struct exchange *exchange);

/* Goes on when it is known what became of the rows. False: it would have to wait for the client, and may not: call it
 * again where it may. */
MUST_USE bool exchange_resume(struct exchange *exchange, bool may_wait);

/* Forgets what was begun. */
void exchange_drop(struct exchange *exchange);
