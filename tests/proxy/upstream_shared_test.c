/* SPDX-License-Identifier: Apache-2.0 */

/* Many that ask at once: fetches that are joined, one token for all, one deadline for all; and when a token is renewed.
 */
#include "tests/proxy/upstream_service.h"

#include <poll.h>

#include "common/clock.h"
#include "common/text.h"

static void slow(struct service *service, int fd, const char *request)
{
	(void)poll(NULL, 0, 100);
	fine(service, fd, request);
}

#define MANY 8
#define TRIES 20

struct asker {
	struct upstream *upstream;
	struct upstream_request request;
	int result, status;
	char body[16], problem[160];
	pthread_t thread;
};

static void *ask_once(void *argument)
{
	struct asker *asker = argument;
	struct error problem = {0};
	CLEANUP_RESPONSE struct response answer = {0};
	asker->result = upstream_fetch(asker->upstream, &asker->request, &answer, &problem);
	asker->status = answer.status;
	(void)text_copy(asker->body, sizeof(asker->body), answer.body.bytes != NULL ? answer.body.bytes : "");
	(void)text_copy(asker->problem, sizeof(asker->problem), problem.text);
	return NULL;
}

/* MANY at once, the last of them for another target. */
static void ask_many(struct upstream *upstream, struct asker askers[static MANY], bool may_join)
{
	for (int i = 0; i < MANY; i++) {
		askers[i] = (struct asker){.upstream = upstream, .request = get};
		askers[i].request.may_join = may_join;
		if (i == MANY - 1)
			askers[i].request.target = "/another";
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_once, &askers[i]), 0);
	}
	for (int i = 0; i < MANY; i++)
		(void)pthread_join(askers[i].thread, NULL);
}

/* How many requests MANY of them become. */
static int count_fetches(bool may_join)
{
	struct service service;
	struct asker askers[MANY];
	CLEANUP_RESPONSE struct response answer = {0};
	service_start(&service, slow);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0); /* so that there is a token */
	ask_many(upstream, askers, may_join);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(askers[i].status, 200);
		assert_string_equal(askers[i].body, "abc");
	}
	int asked = service.count - 2;
	ask_many(upstream, askers, may_join); /* what is over serves nobody */
	assert_true(service.count - 2 >= asked + (may_join ? 2 : MANY));
	upstream_close(upstream);
	service_stop(&service);
	return asked;
}

/* On a busy machine some may come when the first has its answer already: then it is tried again. */
static void joins_fetches_of_the_same(void **state)
{
	int asked = MANY;
	(void)state;
	assert_int_equal(count_fetches(false), MANY);
	for (int tries = 0; tries < TRIES && asked > 2; tries++) {
		asked = count_fetches(true);
		assert_true(asked >= 2);
	}
	assert_int_equal(asked, 2);
}

static void fetches_one_token_for_all(void **state)
{
	struct service service;
	struct asker askers[MANY];
	(void)state;
	service_start(&service, slow);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	ask_many(upstream, askers, false);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(askers[i].status, 200);
	upstream_close(upstream);
	service_stop(&service);
	assert_int_equal(service.puts, 1);
}

/* They wait together, not one behind the other. */
static void gives_up_on_silence_at_once(void **state)
{
	struct service service;
	struct asker askers[MANY];
	(void)state;
	service_start(&service, silent);
	struct upstream *upstream = open_upstream(service.address, SILENCE_MS);
	int64_t started_ms = clock_monotonic_ms();
	ask_many(upstream, askers, true);
	assert_true(clock_monotonic_ms() - started_ms < SILENCE_MS + SLACK_MS);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(askers[i].result, -1);
		assert_non_null(strstr(askers[i].problem, "no answer in time"));
	}
	upstream_close(upstream);
	service_stop(&service);
}

#define TOKEN_MS 6000

/* The first token is to be renewed after three seconds, and is good for three more; there is no second one. */
static void first_token_only(struct service *service, int fd, const char *request)
{
	if (!is_put(request))
		fine(service, fd, request);
	else if (service->puts == 1)
		say(fd,
		    "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 6\r\nContent-Length: 6\r\n\r\ntoken1");
	else
		say(fd, "HTTP/1.1 503 Service Unavailable\r\n" LENGTH_0);
}

/* Whether the machine was quick enough for the first token to be good until the end. */
static bool try_to_renew(void)
{
	struct service service;
	service_start(&service, first_token_only);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	int64_t started_ms = clock_monotonic_ms();
	bool is_first = true;
	for (int i = 0; i < 4; i++) {
		if (i == 1)
			(void)poll(NULL, 0, TOKEN_MS / 2 + 100);
		CLEANUP_RESPONSE struct response answer = {0};
		assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
		is_first = is_first && strstr(service.requests[service.count - 1], "token: token1\r\n") != NULL;
	}
	bool is_quick = clock_monotonic_ms() - started_ms < TOKEN_MS;
	upstream_close(upstream);
	service_stop(&service);
	if (is_quick) {
		assert_true(is_first);
		assert_int_equal(service.puts, 2); /* tried, and not again at once */
	}
	return is_quick;
}

static void keeps_a_good_token_when_there_is_no_newer(void **state)
{
	int tries = 0;
	(void)state;
	while (!try_to_renew() && ++tries < TRIES)
		continue;
	assert_true(tries < TRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_fetches_of_the_same),
		cmocka_unit_test(fetches_one_token_for_all),
		cmocka_unit_test(gives_up_on_silence_at_once),
		cmocka_unit_test(keeps_a_good_token_when_there_is_no_newer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
