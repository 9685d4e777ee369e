/* SPDX-License-Identifier: Apache-2.0 */

/* Each step goes on or names a refusal. The last ones are in answer.c: record, then answer. */
#include "proxy/exchange.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/anybody.h"
#include "proxy/exchange_parts.h"
#include "proxy/guards.h"
#include "proxy/onward.h"
#include "proxy/reply.h"
#include "proxy/service.h"

#define CROWD 8          /* connections: more than there are workers that nothing holds up */
#define HOPS_TO_BRIDGE 2 /* what a client behind one bridge needs as put_response_hop_limit */

/* ---- the steps, in their order */

static bool is_agent(const struct exchange *exchange)
{
	return service_is_agent(exchange->client->service);
}

static int check_client(struct exchange *exchange)
{
	return service_is_served(exchange->client->service, exchange->settings)
	               ? GO_ON
	               : refuse(exchange, SILENCE, "not-redirected");
}

static int check_request(struct exchange *exchange)
{
	int status = guards_form(exchange->request, &exchange->facts.reason);
	if (status != GO_ON)
		return status;
	const char *problem = route_parse(exchange->client->service, exchange->request->target, &exchange->route);
	exchange->facts.path = problem == NULL ? exchange->route.path : NULL;
	return problem != NULL ? refuse(exchange, 400, problem) : GO_ON;
}

static int check_guards(struct exchange *exchange)
{
	return guards_origin(exchange->client->service, exchange->request, &exchange->facts.reason);
}

static int check_token(struct exchange *exchange)
{
	if (exchange->request->token == NULL) {
		exchange->without_token = true;
		return exchange->settings->imdsv2_mode == IMDSV2_AUDIT ? GO_ON : refuse(exchange, 401, "no-token");
	}
	const char *reason = token_refusal(scope_check(exchange->proxy, exchange->settings, exchange->client,
	                                               exchange->request->token, &exchange->token));
	return reason != NULL ? refuse(exchange, 401, reason) : GO_ON;
}

/* Is it known to be good before the witness has been asked? */
static bool is_good_here(struct exchange *exchange)
{
	return exchange->status == GO_ON && exchange->route.kind == ROUTE_OTHER && !is_agent(exchange) &&
	       exchange->request->token != NULL &&
	       scope_is_known(exchange->proxy, exchange->settings, exchange->client) &&
	       scope_check(exchange->proxy, exchange->settings, exchange->client, exchange->request->token,
	                   &exchange->token) == TOKEN_GOOD;
}

/* ---- upstream */

static struct upstream_request onward(const struct exchange *exchange)
{
	return onward_request(exchange->client, exchange->request, &exchange->route, exchange->without_token);
}

static int upstream_failed(struct exchange *exchange, const struct error *problem)
{
	log_line(LOG_LEVEL_WARNING, "upstream_failed", "reason=\"%s\"", problem->text);
	return refuse(exchange, 503, "upstream");
}

/* Gives out a token of ours, in the form of upstream's. */
static int make_token(struct exchange *exchange)
{
	struct proxy *proxy = exchange->proxy;
	struct error problem = {0};
	CLEANUP_BUFFER struct buffer model = {0};
	char scope[TOKEN_SCOPE_BYTES], token[TOKEN_TEXT_BYTES];
	int64_t ttl;
	int status = 200;
	if (!token_parse_ttl(exchange->request->ttl, &ttl))
		return refuse(exchange, 400, "ttl");
	if (client_is_bridged(exchange->client) && exchange->settings->put_response_hop_limit < HOPS_TO_BRIDGE)
		return refuse(exchange, 403, "hop-limit");
	const struct upstream_request how = onward(exchange);
	if (upstream_model(proxy->upstream, &how, &model, &status, &problem) < 0)
		return upstream_failed(exchange, &problem);
	if (status != 200)
		return refuse(exchange, status == 403 ? 403 : 503, "upstream-refused");

	CLEANUP_TOKEN_KEYS struct token_keys keys = keyring_keys(proxy->keyring);
	scope_of(exchange->proxy, exchange->settings, exchange->client, scope);
	if (token_make(&keys.now, scope, clock_boot_seconds(), ttl, token, &problem) < 0 ||
	    reply_token(&exchange->reply, &model, token, ttl, clock_now_us(), &problem) < 0)
		return refuse(exchange, 503, "internal");
	explicit_bzero(token, sizeof(token));
	exchange->facts.status = 200;
	return GO_ON;
}

static int fetch(struct exchange *exchange)
{
	struct error problem = {0};
	const struct upstream_request request = onward(exchange);
	if (upstream_fetch(exchange->proxy->upstream, &request, &exchange->answer, &problem) < 0)
		return upstream_failed(exchange, &problem);
	exchange->facts.status = exchange->answer.status;
	bool is_head = strcmp(exchange->request->method, "HEAD") == 0;
	if (reply_relay(&exchange->reply, exchange->client->service, &exchange->answer.head,
	                is_head ? NULL : &exchange->answer.body, exchange->token.ttl_left, &problem) < 0)
		return refuse(exchange, 503, "internal");
	return GO_ON;
}

static int find_credentials(struct exchange *exchange)
{
	struct error problem = {0};
	int count = keys_find(exchange->proxy->instance, &exchange->answer, exchange->keys, &exchange->facts.reason,
	                      &problem);
	exchange->key_count = count > 0 ? count : 0;
	if (count >= 0)
		return GO_ON;
	/* It may hold a key that could not be recorded, so it does not leave. */
	if (problem.code != ERROR_NONE)
		log_line(LOG_LEVEL_ERROR, "credential_unreadable", "reason=\"%s\"", problem.text);
	return 503;
}

/* ---- who receives it, and may it */

static int check_receiver(struct exchange *exchange)
{
	answer_look_again(exchange);
	if (exchange->attribution.grade == GRADE_GONE)
		return refuse(exchange, SILENCE, "client-gone");
	if (!attribution_is_named(&exchange->attribution) &&
	    exchange->settings->on_unattributed == ON_UNATTRIBUTED_REFUSE)
		return refuse(exchange, 403, "unattributed");
	return GO_ON;
}

/* Judged last, when all is known: who receives it and whether it holds a credential. Who that is is asked only if the
 * verdict depends on it. */
static int check_policy(struct exchange *exchange)
{
	const struct settings *settings = exchange->settings;
	const struct sighting *sighting = &exchange->client->sighting;
	const json_t *process;
	bool has_uid = sighting->is_found && !sighting->is_ambiguous && sighting->inode != 0;
	struct policy_request request = {
		.path = exchange->route.path,
		.family = exchange->key_count > 0 ? source_names[exchange->route.source] : POLICY_NO_FAMILY,
		.socket_uid = has_uid ? (int64_t)sighting->uid : -1,
	};
	CLEANUP_JSON json_t *seen = NULL;
	struct error ignored; /* then nobody is known, which is judged */
	if (policy_needs_process(settings->policy, request.path, request.family)) {
		answer_look_again(exchange);
		(void)!attribution_tree(&exchange->attribution, &seen, &ignored);
	}
	request.seen = seen;
	exchange->facts.policy = policy_judge_request(settings->policy, &request, &process);
	if (exchange->facts.policy.denies && settings->policy_mode == POLICY_ENFORCE)
		return refuse(exchange, 403, "policy");
	return GO_ON;
}

/* ---- the pipeline */

static int serve_token(struct exchange *exchange)
{
	if (strcmp(exchange->request->method, "PUT") != 0)
		return exchange->route.kind == ROUTE_TOKEN ? refuse(exchange, 405, "token-path")
		                                           : refuse(exchange, 403, "token-path");
	if (exchange->route.kind == ROUTE_TOKEN_ASTRAY)
		return refuse(exchange, 403, "token-path");
	int status = make_token(exchange);
	if (status == GO_ON)
		answer_relay(exchange);
	return status;
}

/* Between here and its rows lies the witness's answer, which comes soon. In a crowd others' rows may wait for that:
 * more want to be served than can be at a time, so that whoever waits holds up nobody. */
static int serve_key(struct exchange *exchange)
{
	struct writer *writer = exchange->proxy->writer;
	struct writer_wait *wait = &exchange->client->parked->wait;
	if (atomic_load_explicit(&exchange->proxy->counts.connections, memory_order_relaxed) > CROWD)
		writer_foresee(writer, wait);
	int status = check_receiver(exchange);
	if (status == GO_ON)
		status = check_policy(exchange);
	if (status == GO_ON)
		return answer_record(exchange); /* exchange_resume() goes on */
	writer_forget(writer, wait);
	return status;
}

static int serve_metadata(struct exchange *exchange)
{
	int status = is_agent(exchange) ? GO_ON : check_token(exchange);
	if (status == GO_ON)
		status = fetch(exchange);
	if (status == GO_ON)
		status = find_credentials(exchange);
	if (status == GO_ON && exchange->key_count > 0)
		return serve_key(exchange);
	if (status == GO_ON)
		status = check_policy(exchange);
	if (status == GO_ON)
		answer_relay(exchange);
	return status;
}

void exchange_begin(struct exchange *exchange, struct client *client, const struct request *request)
{
	static int (*const steps[])(struct exchange *) = {check_client, check_request, check_guards};
	struct proxy *proxy = exchange->proxy;
	*exchange = (struct exchange){
		.proxy = proxy,
		.settings = current_take(proxy->current),
		.client = client,
		.request = request,
		.token = {.ttl_left = -1},
		.facts = {.client = client,
	                  .request = request,
	                  .route = &exchange->route,
	                  .without_token = &exchange->without_token},
		.started_us = clock_monotonic_us(),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(steps) && exchange->status == GO_ON; i++)
		exchange->status = steps[i](exchange);
	exchange->is_good_here = is_good_here(exchange);
}

bool exchange_is_for_anybody(const struct exchange *exchange)
{
	return exchange->status == GO_ON && !is_agent(exchange) &&
	       scope_is_known(exchange->proxy, exchange->settings, exchange->client) &&
	       anybody_may_ask(exchange->settings, exchange->request, &exchange->route, exchange->is_good_here);
}

/* Nobody without a good token makes a packet leave. */
void exchange_foresee(struct exchange *exchange)
{
	const struct upstream_request request = onward(exchange);
	if (exchange->is_good_here &&
	    stock_has(exchange->client->stock, exchange->client->local.family, clock_monotonic_ms()))
		upstream_foresee(exchange->proxy->upstream, &request);
}

bool exchange_finish(struct exchange *exchange)
{
	int status = exchange->status;
	if (status == GO_ON)
		status = exchange->route.kind == ROUTE_OTHER ? serve_metadata(exchange) : serve_token(exchange);
	if (status == PARKED)
		return false;
	answer_conclude(exchange, status);
	return true;
}

bool exchange_resume(struct exchange *exchange, bool may_wait)
{
	int status;
	if (!answer_deliver(exchange, may_wait, &status))
		return false;
	answer_conclude(exchange, status);
	return true;
}

void exchange_drop(struct exchange *exchange)
{
	struct proxy *proxy = exchange->proxy;
	current_give(proxy->current, exchange->settings);
	explicit_bzero(exchange, sizeof(*exchange)); /* the path of a task's credentials, perhaps */
	exchange->proxy = proxy;
}

struct exchange *exchange_new(struct proxy *proxy)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (exchange != NULL)
		exchange->proxy = proxy;
	return exchange;
}

void exchange_free(struct exchange *exchange)
{
	free(exchange);
}
