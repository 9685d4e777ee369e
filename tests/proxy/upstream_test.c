/* SPDX-License-Identifier: Apache-2.0 */

/* The client of the metadata service, against one on loopback that does as each case says. */
#include "tests/common/unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/upstream.h"

/* ---- a metadata service */

struct service;
typedef void answer_function(struct service *service, int fd, const char *request);

#define REQUESTS_MAX 64

struct service {
	int listener, stop[2];
	char address[32];
	pthread_t thread;
	answer_function *answer;

	pthread_mutex_t mutex;
	int connections, count, puts; /* requests, and those for tokens among them */
	char requests[REQUESTS_MAX][1024];
};

struct visit {
	struct service *service;
	int fd;
};

static void say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

/* Reads one head, notes it, answers, closes. */
static void *serve_one(void *argument)
{
	struct visit *visit = argument;
	struct service *service = visit->service;
	char request[1024] = "";
	size_t length = 0;
	ssize_t got;
	while (strstr(request, "\r\n\r\n") == NULL &&
	       (got = read(visit->fd, request + length, sizeof(request) - 1 - length)) > 0) {
		length += (size_t)got;
		request[length] = '\0';
	}
	if (length == 0) { /* begun, and not needed */
		(void)close(visit->fd);
		free(visit);
		return NULL;
	}
	(void)pthread_mutex_lock(&service->mutex);
	(void)text_copy(service->requests[service->count++ % REQUESTS_MAX], sizeof(request), request);
	service->puts += strncmp(request, "PUT ", 4) == 0;
	(void)pthread_mutex_unlock(&service->mutex);
	service->answer(service, visit->fd, request);
	(void)close(visit->fd);
	free(visit);
	return NULL;
}

static void *serve(void *argument)
{
	struct service *service = argument;
	struct pollfd ready[] = {{.fd = service->listener, .events = POLLIN},
	                         {.fd = service->stop[0], .events = POLLIN}};
	while (poll(ready, 2, -1) > 0 && ready[1].revents == 0) {
		struct visit *visit = malloc(sizeof(*visit));
		pthread_t thread;
		if (visit == NULL)
			abort();
		*visit = (struct visit){service, accept(service->listener, NULL, NULL)};
		(void)pthread_mutex_lock(&service->mutex);
		service->connections++;
		(void)pthread_mutex_unlock(&service->mutex);
		if (pthread_create(&thread, NULL, serve_one, visit) != 0)
			abort();
		(void)pthread_detach(thread);
	}
	return NULL;
}

static void service_start(struct service *service, answer_function *answer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	*service = (struct service){.answer = answer, .listener = socket(AF_INET, SOCK_STREAM, 0)};
	(void)pthread_mutex_init(&service->mutex, NULL);
	if (bind(service->listener, (struct sockaddr *)&address, size) < 0 || listen(service->listener, 64) < 0 ||
	    getsockname(service->listener, (struct sockaddr *)&address, &size) < 0 || pipe(service->stop) < 0 ||
	    pthread_create(&service->thread, NULL, serve, service) != 0)
		fail_msg("no service on loopback");
	(void)snprintf(service->address, sizeof(service->address), "127.0.0.1:%u", ntohs(address.sin_port));
}

static void service_stop(struct service *service)
{
	(void)close(service->stop[1]);
	(void)pthread_join(service->thread, NULL);
	(void)close(service->stop[0]);
	(void)close(service->listener);
}

/* ---- answers */

#define LENGTH_0 "Content-Length: 0\r\n\r\n"

static bool is_put(const char *request)
{
	return strncmp(request, "PUT /latest/api/token ", 22) == 0;
}

static void give_token(struct service *service, int fd)
{
	char answer[256];
	(void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nX-Model: %d\r\nContent-Length: 6\r\n\r\ntoken%d",
	               service->puts % 10, service->puts % 10);
	say(fd, answer);
}

static void fine(struct service *service, int fd, const char *request)
{
	if (is_put(request))
		give_token(service, fd);
	else
		say(fd, "HTTP/1.1 200 OK\r\nDate: Thu, 27 Jun 2024 05:09:27 GMT\r\nContent-Length: 3\r\n\r\nabc");
}

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

static void refuses_tokens(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 403 Forbidden\r\n" LENGTH_0);
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

static void wait_until_closed(int fd)
{
	char byte;
	(void)!read(fd, &byte, 1);
}

static void silent(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	wait_until_closed(fd);
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

static void throttles(struct service *service, int fd, const char *request)
{
	if (is_put(request))
		give_token(service, fd);
	else
		say(fd, "HTTP/1.1 503 Service Unavailable\r\n" LENGTH_0);
}

/* ---- asking */

#define TIMEOUT_MS 300
#define SLACK_MS 1500 /* on a busy machine */

static int take_socket(void *context, int family, struct error *err)
{
	int fd = context != NULL ? -1 : socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 ? fd : error_set(err, ERROR_SYSTEM, "no socket");
}

static struct upstream_options options_for(const char *address, int64_t cache_ms)
{
	return (struct upstream_options){.addresses = {[ENDPOINT_IMDS_IPV4] = address,
	                                               [ENDPOINT_IMDS_IPV6] = "[::1]:1",
	                                               [ENDPOINT_ECS] = address,
	                                               [ENDPOINT_EKS_IPV4] = address,
	                                               [ENDPOINT_EKS_IPV6] = "[::1]:1"},
	                                 .timeout_ms = TIMEOUT_MS,
	                                 .cache_ms = cache_ms};
}

static struct upstream *open_upstream(const char *address)
{
	struct upstream *upstream;
	const struct upstream_options options = options_for(address, 0);
	assert_int_equal(upstream_open(&options, &upstream, NULL), 0);
	return upstream;
}

static const struct upstream_request get = {.method = "GET", .target = "/latest/meta-data/?q", .socket = take_socket};

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
		struct upstream *upstream = open_upstream(service.address);
		int64_t started_ms = clock_monotonic_ms();
		int result = upstream_fetch(upstream, &get, &answer, &problem);
		CHECK(cases[i].name, clock_monotonic_ms() - started_ms < TIMEOUT_MS + SLACK_MS);
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

static void says_that_nobody_listens(void **state)
{
	struct error problem = {0};
	CLEANUP_RESPONSE struct response answer = {0};
	struct upstream *upstream = open_upstream("127.0.0.1:1");
	char no_socket;
	struct upstream_request without = get;
	(void)state;
	assert_int_equal(upstream_fetch(upstream, &get, &answer, &problem), -1);
	assert_string_equal(problem.text, "upstream: connect: Connection refused");
	without.socket_context = &no_socket;
	assert_int_equal(upstream_fetch(upstream, &without, &answer, &problem), -1);
	assert_string_equal(problem.text, "upstream: no socket");
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
	struct upstream *upstream = open_upstream(service.address);
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		struct upstream_request request = requests[i].request;
		request.socket = take_socket;
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
	static const struct upstream_request pod = {
		.endpoint = ENDPOINT_EKS_IPV4, .method = "GET", .target = "/v1/credentials", .socket = take_socket};
	struct service service;
	char reason[160];
	CLEANUP_RESPONSE struct response answer = {0};
	(void)state;
	service_start(&service, no_token_is_good);
	struct upstream *upstream = open_upstream(service.address);
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
	struct upstream *upstream = open_upstream(service.address);
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		struct error problem = {0};
		struct upstream_request request = requests[i].request;
		request.socket = take_socket;
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
	struct upstream *upstream = open_upstream(service.address);
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
	upstream = open_upstream(service.address);
	assert_int_equal(upstream_model(upstream, &get, &head, &status, NULL), 0);
	assert_int_equal(status, 403);
	upstream_close(upstream);
	service_stop(&service);
}

/* ---- many at once */

static void slow(struct service *service, int fd, const char *request)
{
	(void)poll(NULL, 0, 100);
	fine(service, fd, request);
}

#define MANY 8

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

static void joins_fetches_of_the_same(void **state)
{
	(void)state;
	for (int may_join = 0; may_join < 2; may_join++) {
		struct service service;
		struct asker askers[MANY];
		CLEANUP_RESPONSE struct response answer = {0};
		service_start(&service, slow);
		struct upstream *upstream = open_upstream(service.address);
		assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0); /* so that there is a token */
		ask_many(upstream, askers, may_join != 0);
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(askers[i].status, 200);
			assert_string_equal(askers[i].body, "abc");
		}
		int asked = service.count - 2;
		if (may_join ? asked < 2 || asked > MANY / 2 : asked != MANY)
			fail_msg("%d requests for %d that %s be joined", asked, MANY, may_join ? "may" : "may not");
		ask_many(upstream, askers, may_join != 0); /* what is over serves nobody */
		assert_true(service.count - 2 >= asked + (may_join ? 2 : MANY));
		upstream_close(upstream);
		service_stop(&service);
	}
}

static void fetches_one_token_for_all(void **state)
{
	struct service service;
	struct asker askers[MANY];
	(void)state;
	service_start(&service, slow);
	struct upstream *upstream = open_upstream(service.address);
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
	struct upstream *upstream = open_upstream(service.address);
	int64_t started_ms = clock_monotonic_ms();
	ask_many(upstream, askers, true);
	assert_true(clock_monotonic_ms() - started_ms < TIMEOUT_MS + SLACK_MS);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(askers[i].result, -1);
		assert_non_null(strstr(askers[i].problem, "no answer in time"));
	}
	upstream_close(upstream);
	service_stop(&service);
}

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

static void keeps_a_good_token_when_there_is_no_newer(void **state)
{
	struct service service;
	(void)state;
	service_start(&service, first_token_only);
	struct upstream *upstream = open_upstream(service.address);
	for (int i = 0; i < 4; i++) {
		if (i == 1)
			(void)poll(NULL, 0, 3100);
		CLEANUP_RESPONSE struct response answer = {0};
		assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
		assert_int_equal(answer.status, 200);
		assert_non_null(strstr(service.requests[service.count - 1], "token: token1\r\n"));
	}
	upstream_close(upstream);
	service_stop(&service);
	assert_int_equal(service.puts, 2); /* tried, and not again at once */
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
	asked = open_upstream(service.address);
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
	struct upstream *upstream = open_upstream(services[0].address);
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

static void throttled_after_one(struct service *service, int fd, const char *request)
{
	if (is_put(request) || service->count == 2)
		fine(service, fd, request);
	else
		throttles(service, fd, request);
}

/* One answer of the service's, and from then on nothing but 503. */
static const struct {
	const char *name;
	struct upstream_request request;
	int cache_ms, status;
} kept[] = {
	{"kept", {.method = "GET", .target = "/latest/meta-data/ami-id", .may_keep = true}, 60000, 200},
	{"off", {.method = "GET", .target = "/latest/meta-data/ami-id", .may_keep = true}, 0, 503},
	{"not asked to", {.method = "GET", .target = "/latest/meta-data/ami-id"}, 60000, 503},
	{"HEAD", {.method = "HEAD", .target = "/latest/meta-data/ami-id", .may_keep = true}, 60000, 503},
	{"POST", {.method = "POST", .target = "/latest/meta-data/ami-id", .may_keep = true}, 60000, 503},
	{"another version", {.method = "GET", .target = "/1.0/meta-data/ami-id", .may_keep = true}, 60000, 503},
	{"without a token",
         {.method = "GET", .target = "/latest/meta-data/ami-id", .may_keep = true, .without_token = true},
         60000,
         503},
	{"another endpoint",
         {.endpoint = ENDPOINT_ECS, .method = "GET", .target = "/latest/meta-data/ami-id", .may_keep = true},
         60000,
         503},
	{"not in the table", {.method = "GET", .target = "/latest/user-data", .may_keep = true}, 60000, 503},
};

static void keeps_what_it_may(void **state)
{
	struct upstream_request first = kept[0].request;
	(void)state;
	first.socket = take_socket;
	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
		struct service service;
		CLEANUP_RESPONSE struct response answer = {0};
		service_start(&service, throttled_after_one);
		struct upstream *upstream = open_upstream(service.address);
		struct upstream_request request = kept[i].request;
		const struct upstream_options options = options_for(service.address, kept[i].cache_ms);
		assert_int_equal(upstream_change(upstream, &options, NULL), 0);
		(void)usleep(2000); /* what was asked for in the moment of a change is not kept */
		CHECK(kept[i].name, upstream_fetch(upstream, &first, &answer, NULL) == 0);
		CHECK_NUMBER(kept[i].name, answer.status, 200);
		request.socket = take_socket;
		for (int again = 0; again < 2; again++) {
			response_done(&answer);
			CHECK(kept[i].name, upstream_fetch(upstream, &request, &answer, NULL) == 0);
			CHECK_NUMBER(kept[i].name, answer.status, kept[i].status);
		}
		CHECK_NUMBER(kept[i].name, upstream_kept_answers(upstream), kept[i].status == 200 ? 2 : 0);
		if (kept[i].status == 200) { /* a reload forgets it */
			assert_int_equal(upstream_change(upstream, &options, NULL), 0);
			assert_int_equal(upstream_fetch(upstream, &request, &answer, NULL), 0);
			CHECK_NUMBER(kept[i].name, answer.status, 503);
		}
		upstream_close(upstream);
		service_stop(&service);
	}
}

/* Two that are the same but for what a key has no room for. */
static void keeps_nothing_under_a_cut_key(void **state)
{
	char targets[2][512];
	struct service service;
	(void)state;
	(void)snprintf(targets[0], sizeof(targets[0]), "/%0400d/meta-data/ami-id", 0);
	(void)snprintf(targets[1], sizeof(targets[1]), "/%0400d/meta-data/instance-id", 0);
	service_start(&service, fine);
	const struct upstream_options options = options_for(service.address, 60000);
	struct upstream *upstream;
	assert_int_equal(upstream_open(&options, &upstream, NULL), 0);
	for (int i = 0; i < 4; i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		const struct upstream_request request = {
			.method = "GET", .target = targets[i % 2], .may_keep = true, .socket = take_socket};
		assert_int_equal(upstream_fetch(upstream, &request, &answer, NULL), 0);
	}
	assert_int_equal(service.count, 5);
	upstream_close(upstream);
	service_stop(&service);
}

/* Switched off upstream: that shall be seen. */
static void forbids_after_one(struct service *service, int fd, const char *request)
{
	if (service->count > 2)
		refuses_tokens(service, fd, request);
	else
		fine(service, fd, request);
}

static void a_403_forgets_what_was_kept(void **state)
{
	struct service service;
	struct upstream_request request = kept[0].request;
	CLEANUP_RESPONSE struct response answer = {0};
	(void)state;
	request.socket = take_socket;
	service_start(&service, forbids_after_one);
	const struct upstream_options options = options_for(service.address, 60000);
	struct upstream *upstream;
	assert_int_equal(upstream_open(&options, &upstream, NULL), 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(upstream_fetch(upstream, &request, &answer, NULL), 0);
		assert_int_equal(answer.status, 200);
	}
	assert_int_equal(service.count, 2);
	assert_int_equal(upstream_fetch(upstream, &get, &answer, NULL), 0);
	assert_int_equal(answer.status, 403);
	assert_int_equal(upstream_fetch(upstream, &request, &answer, NULL), 0);
	assert_int_equal(answer.status, 403);
	upstream_close(upstream);
	service_stop(&service);
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

/* ---- connections that are begun ahead */

static const struct {
	const char *name;
	struct upstream_request request;
	int64_t cache_ms;
	int wait_ms;     /* between the beginning and the request */
	bool moves;      /* upstream is somewhere else by then */
	bool is_begun;   /* ahead */
	int connections; /* in all; 0: of no interest */
} foreseen[] = {
	{"used", {.target = "/a"}, .is_begun = true, .connections = 1},
	{"too old", {.target = "/a"}, .wait_ms = CONNECTION_FRESH_MS + 50, .is_begun = true, .connections = 2},
	{"to another place", {.target = "/a"}, .moves = true, .is_begun = true},
	{"joined, perhaps", {.target = "/a", .may_join = true}, .connections = 1},
	{"kept, perhaps", {.target = "/latest/meta-data/ami-id", .may_keep = true}, .cache_ms = 1000, .connections = 1},
	{"never kept", {.target = "/a", .may_keep = true}, .cache_ms = 1000, .is_begun = true, .connections = 1},
	{"nothing is kept",
         {.target = "/latest/meta-data/ami-id", .may_keep = true},
         .is_begun = true,
         .connections = 1},
};

/* Whether the machine was quick enough for the case to mean what it says. */
static bool try_foreseen(size_t i)
{
	const char *name = foreseen[i].name;
	struct service service, other;
	struct connection connection = CONNECTION_NONE;
	CLEANUP_RESPONSE struct response answer = {0}, ignored = {0};
	struct upstream_request request = foreseen[i].request;
	struct upstream *upstream;
	service_start(&service, fine);
	service_start(&other, fine);
	const struct upstream_options options = options_for(service.address, foreseen[i].cache_ms);
	const struct upstream_options moved = options_for(other.address, foreseen[i].cache_ms);
	assert_int_equal(upstream_open(&options, &upstream, NULL), 0);
	assert_int_equal(upstream_fetch(upstream, &get, &ignored, NULL), 0); /* so that there is a token */
	request.method = "GET";
	request.socket = take_socket;
	request.connection = &connection;
	request.without_token = !request.may_keep;
	int connections = service.connections, count = service.count;
	int64_t started_ms = clock_monotonic_ms();
	upstream_foresee(upstream, &request);
	CHECK_NUMBER(name, connection.fd >= 0, foreseen[i].is_begun);
	(void)usleep((unsigned)foreseen[i].wait_ms * 1000);
	if (foreseen[i].moves)
		assert_int_equal(upstream_change(upstream, &moved, NULL), 0);
	CHECK_NUMBER(name, service.count + other.count, count); /* nothing is sent */
	CHECK_NUMBER(name, upstream_fetch(upstream, &request, &answer, NULL), 0);
	bool is_quick = clock_monotonic_ms() - started_ms < CONNECTION_FRESH_MS || foreseen[i].wait_ms > 0;
	CHECK_NUMBER(name, answer.status, 200);
	CHECK(name, connection.fd >= 0); /* the caller's to end */
	CHECK(name, upstream_is_own_port(upstream, connection.port));
	connection_done(&connection);
	service_stop(&service);
	service_stop(&other);
	if (is_quick && foreseen[i].connections > 0)
		CHECK_NUMBER(name, service.connections - connections, foreseen[i].connections);
	CHECK_NUMBER(name, other.count, foreseen[i].moves);
	upstream_close(upstream);
	return is_quick;
}

static void uses_what_was_begun(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(foreseen); i++) {
		int tries = 0;
		while (!try_foreseen(i) && ++tries < 20)
			continue;
		CHECK(foreseen[i].name, tries < 20);
	}
}

/* Nobody listens there: the request says so, not the beginning. */
static void foresees_no_failure(void **state)
{
	struct connection connection = CONNECTION_NONE;
	CLEANUP_RESPONSE struct response answer = {0};
	struct error problem = {0};
	struct upstream_request request = get;
	(void)state;
	struct upstream *upstream = open_upstream("127.0.0.1:1");
	request.without_token = true;
	request.connection = &connection;
	upstream_foresee(upstream, &request);
	assert_int_equal(upstream_fetch(upstream, &request, &answer, &problem), -1);
	assert_string_equal(problem.text, "upstream: connect: Connection refused");
	connection_done(&connection);
	request.socket_context = &request; /* no socket to be had */
	upstream_foresee(upstream, &request);
	assert_int_equal(connection.fd, -1);
	upstream_close(upstream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_an_agents_word),
		cmocka_unit_test(takes_addresses_only),
		cmocka_unit_test(keeps_what_it_may),
		cmocka_unit_test(keeps_nothing_under_a_cut_key),
		cmocka_unit_test(a_403_forgets_what_was_kept),
		cmocka_unit_test(gets_an_answer_or_says_why_not),
		cmocka_unit_test(says_that_nobody_listens),
		cmocka_unit_test(builds_its_requests),
		cmocka_unit_test(sends_one_line_only),
		cmocka_unit_test(models_tokens),
		cmocka_unit_test(joins_fetches_of_the_same),
		cmocka_unit_test(fetches_one_token_for_all),
		cmocka_unit_test(gives_up_on_silence_at_once),
		cmocka_unit_test(keeps_a_good_token_when_there_is_no_newer),
		cmocka_unit_test(knows_its_own_ports),
		cmocka_unit_test(moves_to_another_place),
		cmocka_unit_test(uses_what_was_begun),
		cmocka_unit_test(foresees_no_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
