/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/credential.h"
#include "proxy/exchange.h"
#include "proxy/route.h"

/* From what an exchange knows to rows of the ledger (docs/ledger.md has their fields). */

struct record_facts {
	const struct client *client;
	const struct request *request;
	const struct route *route;
	const char *path;   /* canonical; NULL: none was found */
	const char *reason; /* of a refusal */
	int status;         /* HTTP status that the client gets; 0: no answer */
	const bool *without_token;
	const struct attribution *attribution; /* may be NULL */
	struct policy_verdict policy;          /* its rule is NULL: not judged */
};

/* Keys that are about to be handed out, outcome `recorded`: queues their rows and gives their ids. wait->done is called
 * when it is known whether they are durable, perhaps before this returns. */
void record_deliveries(struct proxy *proxy, const struct record_facts *facts, const struct key *keys, int count,
                       char ret_ids[][ENTRY_ID_BYTES], struct writer_wait *wait);

/* What became of it. Not waited for. */
void record_outcome(struct proxy *proxy, const char *id, enum outcome outcome, const char *reason);

/* A request that carried no key: a refusal, or what `[ledger] record` asks for. Not waited for. */
void record_request(struct proxy *proxy, const struct record_facts *facts, enum outcome outcome);

/* Keys that upstream gave and the client did not get. Not waited for. */
void record_refused_keys(struct proxy *proxy, const struct record_facts *facts, const struct key *keys, int count);
