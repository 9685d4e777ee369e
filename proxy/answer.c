/* SPDX-License-Identifier: Apache-2.0 */

/* Record, then answer. Nothing may weaken that order: what holds a key leaves in answer_deliver() only, which is
 * called when the writer has told what became of the rows that answer_record() gave it. */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/exchange_parts.h"
#include "proxy/parking.h"
#include "proxy/reply.h"
#include "proxy/send.h"
#include "proxy/tally.h"

void answer_look_again(struct exchange *exchange)
{
	struct error problem = {0};
	if (exchange->facts.attribution == NULL && client_who(exchange->client, &exchange->attribution, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "witness_failed", "reason=\"%s\"", problem.text);
	exchange->facts.attribution = &exchange->attribution;
}

/* While a client does not read, others may need its place. False: it has not read, and must not be waited for. */
static bool send_reply(struct exchange *exchange, bool may_wait)
{
	const struct client *client = exchange->client;
	if (!may_wait) {
		enum sending sending = send_now(client->fd, &exchange->reply, &exchange->sent);
		exchange->is_sent = sending == SENDING_DONE;
		return sending != SENDING_WAITS;
	}
	int64_t now_ms = clock_monotonic_ms();
	seat_waits(client->seat, now_ms);
	exchange->is_sent = send_rest(client->fd, &exchange->reply, &exchange->sent, now_ms + SEND_TIMEOUT_MS);
	seat_works(client->seat);
	return true;
}

/* ---- a key */

int answer_record(struct exchange *exchange)
{
	struct proxy *proxy = exchange->proxy;
	struct client *client = exchange->client;
	client->line = NULL; /* its worker's, who serves somebody else from now on */
	client->stock = NULL;
	seat_parks(client->seat);
	parking_enter(proxy->parking, client->parked);
	record_deliveries(proxy, &exchange->facts, exchange->keys, exchange->key_count, exchange->ids,
	                  &client->parked->wait);
	return PARKED;
}

static void record_outcomes(const struct exchange *exchange, enum outcome outcome, const char *reason)
{
	for (int i = 0; i < exchange->key_count; i++)
		if (exchange->client->parked->wait.is_durable[i])
			record_outcome(exchange->proxy, exchange->ids[i], outcome, reason);
}

static bool is_recorded(const struct exchange *exchange)
{
	const bool *is_durable = exchange->client->parked->wait.is_durable;
	bool all = exchange->key_count > 0;
	for (int i = 0; i < exchange->key_count; i++)
		all = all && is_durable[i];
	return all;
}

static int refuse_unrecorded(struct exchange *exchange)
{
	log_line(LOG_LEVEL_ERROR, "not_recorded", "key=%s reason=\"%s\"", exchange->keys[0].access_key_id,
	         exchange->client->parked->wait.problem.text);
	record_outcomes(exchange, OUTCOME_ABORTED, "ledger");
	exchange->key_count = 0;
	return refuse(exchange, 503, "ledger");
}

bool answer_deliver(struct exchange *exchange, bool may_wait, int *ret_status)
{
	seat_works(exchange->client->seat);
	*ret_status = is_recorded(exchange) ? GO_ON : refuse_unrecorded(exchange);
	if (*ret_status != GO_ON)
		return true;
	if (!send_reply(exchange, may_wait))
		return false;
	record_outcomes(exchange, exchange->is_sent ? OUTCOME_DELIVERED : OUTCOME_ABORTED,
	                exchange->is_sent ? NULL : "client-closed");
	return true;
}

/* ---- anything else */

void answer_relay(struct exchange *exchange)
{
	const struct settings *settings = exchange->settings;
	bool is_token = exchange->route.kind == ROUTE_TOKEN;
	if (is_token) /* where IMDS itself answered, the way through a bridge would have cost one hop */
		send_limit_hops(exchange->client->fd, exchange->client->local.family,
		                (int)settings->put_response_hop_limit - client_is_bridged(exchange->client));
	bool wanted = settings->record == RECORD_ALL || (settings->record == RECORD_TOKENS && is_token) ||
	              exchange->facts.policy.denies || /* what enforcing would have refused */
	              exchange->without_token;         /* and requiring a token */
	if (exchange->without_token)
		exchange->facts.reason = "no-token";
	if (wanted)
		answer_look_again(exchange);
	(void)send_reply(exchange, true);
	if (wanted)
		record_request(exchange->proxy, &exchange->facts,
		               exchange->is_sent ? OUTCOME_DELIVERED : OUTCOME_ABORTED);
}

static void answer_refusal(struct exchange *exchange, int status)
{
	struct error problem = {0};
	answer_look_again(exchange);
	buffer_clear(&exchange->reply);
	exchange->sent = 0;
	exchange->facts.status = status == SILENCE ? 0 : status;
	if (status != SILENCE &&
	    reply_refusal(&exchange->reply, exchange->client->service, status, clock_now_us(), &problem) == 0)
		(void)send_reply(exchange, exchange->client->line != NULL); /* who is parked is not waited for */
	if (exchange->key_count > 0)
		record_refused_keys(exchange->proxy, &exchange->facts, exchange->keys, exchange->key_count);
	else
		record_request(exchange->proxy, &exchange->facts, OUTCOME_REFUSED);
}

void answer_conclude(struct exchange *exchange, int status)
{
	if (status != GO_ON)
		answer_refusal(exchange, status);
	tally_add(&exchange->proxy->counts, &(struct tally){.facts = &exchange->facts,
	                                                    .refused = status,
	                                                    .is_sent = exchange->is_sent,
	                                                    .keys = exchange->key_count,
	                                                    .started_us = exchange->started_us});
	attribution_done(&exchange->attribution);
	response_done(&exchange->answer);
	buffer_wipe_done(&exchange->reply);
	exchange_drop(exchange);
}
