/* SPDX-License-Identifier: Apache-2.0 */

/* Which services are served, and where their requests go on to. */
#include "tests/common/unit.h"

#include "proxy/service.h"

static const struct {
	const char *name;
	enum service service;
	int ecs, eks;
	bool is_served, is_agent;
	enum upstream_endpoint ipv4, ipv6;
} cases[] = {
	{"IMDS", SERVICE_IMDS, 0, 0, true, false, ENDPOINT_IMDS_IPV4, ENDPOINT_IMDS_IPV6},
	{"ECS, off", SERVICE_ECS, 0, 1, false, true, ENDPOINT_ECS, ENDPOINT_ECS},
	{"ECS, on", SERVICE_ECS, 1, 0, true, true, ENDPOINT_ECS, ENDPOINT_ECS},
	{"EKS, off", SERVICE_EKS, 1, 0, false, true, ENDPOINT_EKS_IPV4, ENDPOINT_EKS_IPV6},
	{"EKS, on", SERVICE_EKS, 0, 1, true, true, ENDPOINT_EKS_IPV4, ENDPOINT_EKS_IPV6},
};

static void tells_the_services_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct settings settings = {.ecs = cases[i].ecs, .eks = cases[i].eks};
		CHECK_NUMBER(cases[i].name, service_is_served(cases[i].service, &settings), cases[i].is_served);
		CHECK_NUMBER(cases[i].name, service_is_agent(cases[i].service), cases[i].is_agent);
		CHECK_NUMBER(cases[i].name, service_endpoint(cases[i].service, false), cases[i].ipv4);
		CHECK_NUMBER(cases[i].name, service_endpoint(cases[i].service, true), cases[i].ipv6);
	}
}

static void serves_nobody_unknown(void **state)
{
	const struct settings all = {.ecs = 1, .eks = 1};
	(void)state;
	assert_false(service_is_served(SERVICE_NONE, &all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_nobody_unknown),
		cmocka_unit_test(tells_the_services_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
