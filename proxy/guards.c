/* SPDX-License-Identifier: Apache-2.0 */

/* What a head alone rules out, before anything is asked of anybody. */
#include "proxy/guards.h"

#include <string.h>

#include "proxy/route.h"
#include "proxy/service.h"

static int refuse(int status, const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return status;
}

int guards_form(const struct request *request, const char **ret_reason)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"};
	if (request->malformed != NULL)
		return refuse(400, request->malformed, ret_reason);
	if (request->expects_continue)
		return refuse(417, "expect", ret_reason);
	size_t i = 0;
	while (i < ARRAY_LENGTH(methods) && strcmp(methods[i], request->method) != 0)
		i++;
	return i < ARRAY_LENGTH(methods) ? 0 : refuse(400, "method", ret_reason);
}

int guards_origin(enum service service, const struct request *request, const char **ret_reason)
{
	if (request->has_forwarded_for)
		return refuse(403, "forwarded-for", ret_reason);
	/* An empty name is no name: a client that has none sends it so (RFC 9112 section 3.2). The EKS agent insists.
	 */
	bool has_name = request->host != NULL && request->host[0] != '\0';
	if (has_name ? !route_is_host(service, request->host) : service == SERVICE_EKS)
		return refuse(403, "foreign-host", ret_reason);
	bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
	return reads || !service_is_agent(service) ? 0 : refuse(405, "agent-method", ret_reason);
}
