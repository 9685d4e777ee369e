/* SPDX-License-Identifier: Apache-2.0 */

/* What a head alone rules out, and that nothing else is ruled out. */
#include "tests/common/unit.h"

#include "proxy/guards.h"

#define IMDS_HOST .host = "169.254.169.254"
#define GET .method = "GET"

static const struct {
	const char *name;
	enum service service;
	struct request request;
	int status; /* 0: goes on */
	const char *reason;
} cases[] = {
	{"malformed", SERVICE_IMDS, {.malformed = "bare-lf"}, 400, "bare-lf"},
	{"expects 100", SERVICE_IMDS, {GET, IMDS_HOST, .expects_continue = true}, 417, "expect"},
	{"TRACE", SERVICE_IMDS, {.method = "TRACE", IMDS_HOST}, 400, "method"},
	{"get", SERVICE_IMDS, {.method = "get", IMDS_HOST}, 400, "method"},
	{"form before origin",
         SERVICE_IMDS,
         {.method = "TRACE", .host = "x", .has_forwarded_for = true},
         400,
         "method"},
	{"forwarded", SERVICE_IMDS, {GET, IMDS_HOST, .has_forwarded_for = true}, 403, "forwarded-for"},
	{"foreign host", SERVICE_IMDS, {GET, .host = "evil.example"}, 403, "foreign-host"},
	{"another service's host", SERVICE_IMDS, {GET, .host = "169.254.170.2"}, 403, "foreign-host"},
	{"a pod without a host", SERVICE_EKS, {GET}, 403, "foreign-host"},
	{"a pod with an empty host", SERVICE_EKS, {GET, .host = ""}, 403, "foreign-host"},
	{"PUT to an agent", SERVICE_ECS, {.method = "PUT", .host = "169.254.170.2"}, 405, "agent-method"},

	{"GET", SERVICE_IMDS, {GET, IMDS_HOST}, 0, NULL},
	{"PUT", SERVICE_IMDS, {.method = "PUT", IMDS_HOST}, 0, NULL},
	{"PATCH", SERVICE_IMDS, {.method = "PATCH", IMDS_HOST}, 0, NULL},
	{"no host", SERVICE_IMDS, {GET}, 0, NULL},
	{"empty host", SERVICE_IMDS, {GET, .host = ""}, 0, NULL},
	{"a task", SERVICE_ECS, {GET, .host = "169.254.170.2"}, 0, NULL},
	{"HEAD of a pod", SERVICE_EKS, {.method = "HEAD", .host = "169.254.170.23:80"}, 0, NULL},
};

static void refuses_by_the_head(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *reason = NULL;
		int status = guards_form(&cases[i].request, &reason);
		if (status == 0)
			status = guards_origin(cases[i].service, &cases[i].request, &reason);
		CHECK_NUMBER(cases[i].name, status, cases[i].status);
		if (status != 0)
			CHECK_TEXT(cases[i].name, reason, cases[i].reason);
		else
			CHECK(cases[i].name, reason == NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(refuses_by_the_head)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
