/* SPDX-License-Identifier: Apache-2.0 */

/* What is kept and not fetched again, and connections that are begun ahead of the request. */
#include "tests/proxy/upstream_service.h"

#include "common/clock.h"

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
	first.connect = begin_to_connect;
	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
		struct service service;
		CLEANUP_RESPONSE struct response answer = {0};
		service_start(&service, throttled_after_one);
		struct upstream *upstream = open_upstream(service.address, TIMEOUT_MS);
		struct upstream_request request = kept[i].request;
		const struct upstream_options options = options_for(service.address, kept[i].cache_ms);
		assert_int_equal(upstream_change(upstream, &options, NULL), 0);
		(void)usleep(2000); /* what was asked for in the moment of a change is not kept */
		CHECK(kept[i].name, upstream_fetch(upstream, &first, &answer, NULL) == 0);
		CHECK_NUMBER(kept[i].name, answer.status, 200);
		request.connect = begin_to_connect;
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
			.method = "GET", .target = targets[i % 2], .may_keep = true, .connect = begin_to_connect};
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
	request.connect = begin_to_connect;
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
	request.connect = begin_to_connect;
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
	struct upstream *upstream = open_upstream("127.0.0.1:1", TIMEOUT_MS);
	request.without_token = true;
	request.connection = &connection;
	upstream_foresee(upstream, &request);
	assert_int_equal(upstream_fetch(upstream, &request, &answer, &problem), -1);
	assert_string_equal(problem.text, "upstream: connect: Connection refused");
	connection_done(&connection);
	request.connect_context = &request; /* no socket to be had */
	upstream_foresee(upstream, &request);
	assert_int_equal(connection.fd, -1);
	upstream_close(upstream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_it_may),           cmocka_unit_test(keeps_nothing_under_a_cut_key),
		cmocka_unit_test(a_403_forgets_what_was_kept), cmocka_unit_test(uses_what_was_begun),
		cmocka_unit_test(foresees_no_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
