/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/keys.h"
#include "proxy/record.h"
#include "proxy/route.h"
#include "proxy/scope.h"

/* Between exchange.c, which decides, and answer.c, which records and answers. */

/* One request on its way. */
struct exchange {
	struct proxy *proxy;
	const struct settings *settings; /* in force when it began */
	struct client *client;
	const struct request *request;
	struct route route;
	bool without_token;   /* IMDSv1, in audit mode */
	struct checked token; /* the client's */
	bool is_good_here;    /* it is, and the witness need not be asked to know that */
	struct response answer;
	struct key keys[CREDENTIALS_MAX];
	int key_count;
	struct attribution attribution;
	struct record_facts facts;
	char ids[CREDENTIALS_MAX][ENTRY_ID_BYTES]; /* of the keys' rows */
	struct buffer reply;
	size_t sent;  /* bytes of that */
	bool is_sent; /* the socket took the last one */
	int status;   /* of the steps so far */
	int64_t started_us;
};

/* What a step decided: 0 to go on, SILENCE to close without a word, PARKED to go on when the rows are durable, else the
 * status of a refusal. */
#define GO_ON 0
#define SILENCE 1
#define PARKED 2

static inline int refuse(struct exchange *exchange, int status, const char *reason)
{
	exchange->facts.reason = reason;
	return status;
}

/* ---- the last steps */

/* Asks the witness who it is, unless that has been asked. */
void answer_look_again(struct exchange *exchange);

/* An answer without a key: sends it, and records what is to be recorded of it. */
void answer_relay(struct exchange *exchange);

/* RECORD: gives the keys' rows to the writer. PARKED, always: from then on another thread may be at it. */
int answer_record(struct exchange *exchange);

/* THEN ANSWER: sends it if each key's row is durable, and records what became of it. False: it would have to wait for
 * the client, and may not; to be called again. */
MUST_USE bool answer_deliver(struct exchange *exchange, bool may_wait, int *ret_status);

/* Whatever was decided: a refusal is answered and recorded, and all is counted. */
void answer_conclude(struct exchange *exchange, int status);
