/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of services. */
#include "proxy/service.h"

#include <stddef.h>

static const struct {
	bool is_agent;
	enum upstream_endpoint ipv4, ipv6;
	size_t setting; /* its switch, 0: always on */
} kinds[] = {
	[SERVICE_IMDS] = {false, ENDPOINT_IMDS_IPV4, ENDPOINT_IMDS_IPV6, 0},
	[SERVICE_ECS] = {true, ENDPOINT_ECS, ENDPOINT_ECS, offsetof(struct settings, ecs)},
	[SERVICE_EKS] = {true, ENDPOINT_EKS_IPV4, ENDPOINT_EKS_IPV6, offsetof(struct settings, eks)},
};

bool service_is_served(enum service service, const struct settings *settings)
{
	if (service == SERVICE_NONE || kinds[service].setting == 0)
		return service != SERVICE_NONE;
	return *(const int *)(const void *)((const char *)settings + kinds[service].setting) != 0;
}

bool service_is_agent(enum service service)
{
	return kinds[service].is_agent;
}

enum upstream_endpoint service_endpoint(enum service service, bool ipv6)
{
	return ipv6 ? kinds[service].ipv6 : kinds[service].ipv4;
}
