/* SPDX-License-Identifier: Apache-2.0 */

/* The client of the metadata service: what it asks, what it makes of the answer. */
#include "tests/proxy/upstream_service.h"

#include <arpa/inet.h>
#include <poll.h>

#include "common/clock.h"

/* The first token ends early. */
static void first_token_ended(struct service *service, int fd, const char *request)
{
	if (strstr(request, "token: token1\r\n") != NULL)
		say(fd, "HTTP/1.1 401 Unauthorized\r\n" LENGTH_0);
	else
		fine(service, fd, request);
}

static void no_token_is_good(struct service *service, int fd, const char *request)
{
	if (is_put(request))
		give_token(service, fd);
	else
		say(fd, "HTTP/1.1 401 Unauthorized\r\n" LENGTH_0);
}

/* As emulators do. */
static void same_token_is_never_good(struct service *service, int fd, const char *request)
{
	(void)service;
	if (is_put(request))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine");
	else
		say(fd, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
}

static void same_token_is_good_later(struct service *service, int fd, const char *request)
{
	if (is_put(request) || service->count == 2)
		same_token_is_never_good(service, fd, request);
	else
		fine(service, fd, request);
}

static void token_ends_at_once(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 0\r\nContent-Length: 4\r\n\r\nmine");
}

static void accepts_tokens(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nmine");
}

static void odd_token(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\r\nb");
}

static void closes(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)fd;
	(void)request;
}

static void malformed(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
}

static void silent_but_for_tokens(struct service *service, int fd, const char *request)
{
	if (is_put(request))
		give_token(service, fd);
	else
		wait_until_closed(fd);
}

/* A byte every 20 ms, for ever. */
static void drips(struct service *service, int fd, const char *request)
{
	struct pollfd closed = {.fd = fd, .events = POLLIN};
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 200 OK\r\nA: ");
	while (poll(&closed, 1, 20) == 0)
		say(fd, "a");
}

static const struct {
	const char *name;
	answer_function *answer;
	int status; /* 0: no answer */
	const char *body;
	enum error_code code;
	const char *problem;
	int requests, puts;
} cases[] = {
	{"fine", fine, 200, "abc", ERROR_NONE, NULL, 2, 1},
	{"token ended early", first_token_ended, 200, "abc", ERROR_NONE, NULL, 4, 2},
	{"no token is good", no_token_is_good, 401, "", ERROR_NONE, NULL, 4, 2},
	{"the same token is never good", same_token_is_never_good, 401, "no", ERROR_NONE, NULL, 4, 2},
	{"the same token is good later", same_token_is_good_later, 200, "abc", ERROR_NONE, NULL, 4, 2},
	{"a token that ends at once", token_ends_at_once, 0, NULL, ERROR_INPUT, "upstream: no token that is good", 1,
         1},
	{"another word for fine", accepts_tokens, 0, NULL, ERROR_INPUT, "upstream: no token that is good", 1, 1},
	{"refuses tokens", refuses_tokens, 403, NULL, ERROR_NONE, NULL, 1, 1},
	{"throttles", throttles, 503, NULL, ERROR_NONE, NULL, 2, 1},
	{"a token of two lines", odd_token, 0, NULL, ERROR_INPUT, "upstream: a token of 4 bytes", 1, 1},
	{"closes", closes, 0, NULL, ERROR_INPUT, "upstream: the answer ends too early", 1, 1},
	{"malformed", malformed, 0, NULL, ERROR_INPUT, "upstream: the answer ends too early", 1, 1},
	{"silent", silent, 0, NULL, ERROR_TIMEOUT, "upstream: receive: no answer in time", 1, 1},
	{"silent behind the token", silent_but_for_tokens, 0, NULL, ERROR_TIMEOUT,
         "upstream: receive: no answer in time", 2, 1},
	{"drips", drips, 0, NULL, ERROR_TIMEOUT, "upstream: receive: no answer in time", 1, 1},
};

static void gets_an_answer_or_says_why_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct service service;
		struct error problem = {0};
		char reason[160];
		CLEANUP_RESPONSE struct response answer = {0};
		service_start(&service, cases[i].answer);
		int64_t timeout_ms = cases[i].code == ERROR_TIMEOUT ? SILENCE_MS : TIMEOUT_MS;
		struct upstream *upstream = open_upstream(service.address, timeout_ms);
		int64_t started_ms = clock_monotonic_ms();
		int result = upstream_fetch(upstream, &get, &answer, &problem);
		CHECK(cases[i].name, clock_monotonic_ms() - started_ms < timeout_ms + SLACK_MS);
		CHECK(cases[i].name, (result == 0) == (cases[i].status != 0));
		CHECK(cases[i].name, upstream_is_reachable(upstream, reason, sizeof(reason)) == (result == 0));
		if (result == 0) {
			CHECK_NUMBER(cases[i].name, answer.status, cases[i].status);
		} else {
			CHECK_NUMBER(cases[i].name, problem.code, cases[i].code);
			CHECK_TEXT(cases[i].name, problem.text, cases[i].problem);
			CHECK_TEXT(cases[i].name, reason, cases[i].problem);
		}
		if (cases[i].body != NULL)
			CHECK_TEXT(cases[i].name, answer.body.length > 0 ? answer.body.bytes : "", cases[i].body);
		else if (result < 0)
			CHECK(cases[i].name, answer.body.length == 0 ||
			                             memmem(answer.body.bytes, answer.body.length, "mine", 4) == NULL);
		upstream_close(upstream);
		service_stop(&service);
		CHECK_NUMBER(cases[i].name, service.count, cases[i].requests);
		CHECK_NUMBER(cases[i].name, service.puts, cases[i].puts);
	}
}

static void count_wait(void *context)
{
	++*(int *)context;
}

/* A token that we do not have yet is something to wait for. */
static void tells_who_waits(void **state)
{
	static const struct {
		const char *name;
		answer_function *answer;
		int at_first, then; /* how often, while another token is had and then without that */
	} waits[] = {
		{"fine", fine, 1, 0},
		{"silent behind the token", silent_but_for_tokens, 2, 1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(waits); i++) {
		int count = 0;
		struct service service;
		struct upstream_request request = get;
		request.on_wait = count_wait;
		request.wait_context = &count;
		service_start(&service, waits[i].answer);
		struct upstream *upstream = open_upstream(service.address, SILENCE_MS);
		for (int time = 0; time < 2; time++) {
			CLEANUP_RESPONSE struct response answer = {0};
			struct error ignored;
			int before = count, expected = time == 0 ? waits[i].at_first : waits[i].then;
			(void)!upstream_fetch(upstream, &request, &answer, &ignored);
			CHECK(waits[i].name,
			      count - before >= expected); /* a busy machine takes a while for anything */
			CHECK(waits[i].name, count - before <= expected + 4);
		}
		upstream_close(upstream);
		service_stop(&service);
	}
}

static void says_that_nobody_listens(void **state)
{
	struct error problem = {0};
	CLEANUP_RESPONSE struct response answer = {0};
	struct upstream *upstream = open_upstream("127.0.0.1:1", TIMEOUT_MS);
	char no_socket;
	struct upstream_request without = get;
	(void)state;
	assert_int_equal(upstream_fetch(upstream, &get, &answer, &problem), -1);
	assert_string_equal(problem.text, "upstream: connect: Connection refused");
	without.connect_context = &no_socket;
	assert_int_equal(upstream_fetch(upstream, &without, &answer, &problem), -1);
	assert_string_equal(problem.text, "upstream: no socket");
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), -1); /* for who does not ask why */
	upstream_close(upstream);
}

#define REQUEST(method, target, host, lines)                                                                           \
	method " " target " HTTP/1.1\r\nHost: " host "\r\nAccept: */*\r\n" lines "\r\n"

static void builds_its_requests(void **state)
{
	static const struct {
		const char *name;
		struct upstream_request request;
		const char *bytes;
	} requests[] = {
		{"GET",
	         {.method = "GET", .target = "/a?b"},
	         REQUEST("GET", "/a?b", "169.254.169.254", "X-aws-ec2-metadata-token: token1\r\n")},
		{"HEAD",
	         {.method = "HEAD", .target = "/"},
	         REQUEST("HEAD", "/", "169.254.169.254", "X-aws-ec2-metadata-token: token1\r\n")},
		{"without a token",
	         {.method = "GET", .target = "/", .without_token = true},
	         REQUEST("GET", "/", "169.254.169.254", "")},
		{"a task",
	         {.endpoint = ENDPOINT_ECS, .method = "GET", .target = "/v2/credentials/a"},
	         REQUEST("GET", "/v2/credentials/a", "169.254.170.2", "")},
		{"a pod",
	         {.endpoint = ENDPOINT_EKS_IPV4,
	          .method = "GET",
	          .target = "/v1/credentials",
	          .host = "[fd00:ec2::23]:80",
	          .authorization = "a.b.c"},
	         REQUEST("GET", "/v1/credentials", "[fd00:ec2::23]:80", "Authorization: a.b.c\r\n")},
		{"another host, authorized",
	         {.method = "GET", .target = "/", .without_token = true, .host = "x:1", .authorization = "Basic a"},
	         REQUEST("GET", "/", "x:1", "Authorization: Basic a\r\n")},
	};
	struct service service;
	(void)state;
	service_start(&service, fine);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		struct upstream_request request = requests[i].request;
		request.connect = begin_to_connect;
		CHECK(requests[i].name, upstream_fetch(upstream, &request, &answer, NULL) == 0);
		CHECK_TEXT(requests[i].name, service.requests[service.count - 1], requests[i].bytes);
	}
	assert_string_equal(service.requests[0], REQUEST("PUT", "/latest/api/token", "169.254.169.254",
	                                                 "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
	upstream_close(upstream);
	service_stop(&service);
	assert_int_equal(service.puts, 1);
}

/* It knows no tokens, its 401 is not about ours, and `status` does not speak of it. */
static void takes_an_agents_word(void **state)
{
	static const struct upstream_request pod = {.endpoint = ENDPOINT_EKS_IPV4,
	                                            .method = "GET",
	                                            .target = "/v1/credentials",
	                                            .connect = begin_to_connect};
	struct service service;
	char reason[160];
	CLEANUP_RESPONSE struct response answer = {0};
	(void)state;
	service_start(&service, no_token_is_good);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	assert_int_equal(upstream_fetch(upstream, &pod, &answer, NULL), 0);
	assert_int_equal(answer.status, 401);
	assert_int_equal(service.count, 1);
	assert_int_equal(service.puts, 0);
	assert_false(upstream_is_reachable(upstream, reason, sizeof(reason)));
	assert_string_equal(reason, "not asked yet");
	upstream_close(upstream);
	service_stop(&service);
}

static void sends_one_line_only(void **state)
{
	static const struct {
		const char *name;
		struct upstream_request request;
	} requests[] = {
		{"target", {.method = "GET", .target = "/\r\nA: b"}},
		{"host", {.method = "GET", .target = "/", .host = "x\r\nA: b"}},
		{"authorization", {.method = "GET", .target = "/", .authorization = "\x7f"}},
	};
	struct service service;
	(void)state;
	service_start(&service, fine);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		struct error problem = {0};
		struct upstream_request request = requests[i].request;
		request.connect = begin_to_connect;
		request.without_token = true;
		CHECK(requests[i].name, upstream_fetch(upstream, &request, &answer, &problem) < 0);
		CHECK_TEXT(requests[i].name, problem.text, "upstream: a control byte in a request");
	}
	static char long_target[20000];
	memset(long_target, 'a', sizeof(long_target) - 1);
	CLEANUP_RESPONSE struct response answer = {0};
	struct error problem = {0};
	struct upstream_request request = get;
	request.target = long_target;
	request.without_token = true;
	assert_int_equal(upstream_fetch(upstream, &request, &answer, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	upstream_close(upstream);
	service_stop(&service);
	assert_int_equal(service.count, 0);
}

static void models_tokens(void **state)
{
	struct service service;
	CLEANUP_BUFFER struct buffer head = {0};
	int status = 0;
	(void)state;
	service_start(&service, fine);
	struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
	for (int i = 0; i < 2; i++) {
		buffer_clear(&head);
		assert_int_equal(upstream_model(upstream, &get, &head, &status, NULL), 0);
		assert_int_equal(status, 200);
		assert_string_equal(head.bytes, "HTTP/1.1 200 OK\r\nX-Model: 1\r\nContent-Length: 6\r\n\r\n");
	}
	upstream_close(upstream);
	service_stop(&service);
	assert_int_equal(service.count, 1);

	service_start(&service, refuses_tokens);
	upstream = open_upstream(service.address, TIMEOUT_MS);
	assert_int_equal(upstream_model(upstream, &get, &head, &status, NULL), 0);
	assert_int_equal(status, 403);
	upstream_close(upstream);
	service_stop(&service);
}

/* Asks from the service's side, before it answers. */
static struct upstream *asked;
static bool was_own;

static void is_it_ours(struct service *service, int fd, const char *request)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
		was_own = upstream_is_own_port(asked, ntohs(peer.sin_port));
	fine(service, fd, request);
}

static void knows_its_own_ports(void **state)
{
	struct service service;
	CLEANUP_RESPONSE struct response answer = {0};
	int own = 0;
	(void)state;
	service_start(&service, is_it_ours);
	asked = open_upstream(service.address, TIMEOUT_MS);
	assert_int_equal(upstream_fetch(asked, &get, &answer, NULL), 0);
	assert_true(was_own);
	for (int port = 0; port < 65536; port++)
		own += upstream_is_own_port(asked, (uint16_t)port);
	assert_int_equal(own, 0);
	upstream_close(asked);
	service_stop(&service);
}

static void moves_to_another_place(void **state)
{
	struct service services[2];
	CLEANUP_RESPONSE struct response answer = {0};
	struct upstream_options options = {.addresses = {[ENDPOINT_ECS] = "127.0.0.1:1",
	                                                 [ENDPOINT_EKS_IPV4] = "127.0.0.1:1",
	                                                 [ENDPOINT_EKS_IPV6] = "[::1]:1"},
	                                   .timeout_ms = TIMEOUT_MS};
	(void)state;
	service_start(&services[0], fine);
	service_start(&services[1], fine);
	struct upstream *upstream = open_upstream(services[0].address, TIMEOUT_MS);
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
	options.addresses[ENDPOINT_IMDS_IPV4] = services[1].address;
	options.addresses[ENDPOINT_IMDS_IPV6] = "nonsense";
	assert_int_equal(upstream_change(upstream, &options, NULL), -1);
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
	assert_int_equal(services[0].count, 3);
	options.addresses[ENDPOINT_IMDS_IPV6] = "[::1]:1";
	assert_int_equal(upstream_change(upstream, &options, NULL), 0);
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
	assert_int_equal(services[0].count, 3);
	assert_int_equal(services[1].count, 2); /* with a token of its own */
	assert_int_equal(upstream_change(upstream, &options, NULL), 0);
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
	assert_int_equal(services[1].count, 3);
	upstream_close(upstream);
	service_stop(&services[0]);
	service_stop(&services[1]);
}

static void takes_addresses_only(void **state)
{
	static const char *const bad[] = {"",
	                                  "localhost:80",
	                                  "1.2.3.4",
	                                  "1.2.3.4:",
	                                  "1.2.3.4:65536",
	                                  "1.2.3.4:a",
	                                  ":1",
	                                  "[::1]",
	                                  "[::1:80",
	                                  "::1]:80",
	                                  "[::1]x:80",
	                                  "[]:80",
	                                  "1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0:80"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct upstream *upstream;
		struct error problem = {0};
		const struct upstream_options options = {
			.addresses = {[ENDPOINT_IMDS_IPV4] = "127.0.0.1:80", [ENDPOINT_IMDS_IPV6] = bad[i]}};
		CHECK(bad[i], upstream_open(&options, &upstream, &problem) < 0);
		CHECK_NUMBER(bad[i], problem.code, ERROR_INPUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_an_agents_word),
		cmocka_unit_test(takes_addresses_only),
		cmocka_unit_test(gets_an_answer_or_says_why_not),
		cmocka_unit_test(tells_who_waits),
		cmocka_unit_test(says_that_nobody_listens),
		cmocka_unit_test(builds_its_requests),
		cmocka_unit_test(sends_one_line_only),
		cmocka_unit_test(models_tokens),
		cmocka_unit_test(knows_its_own_ports),
		cmocka_unit_test(moves_to_another_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
