/* SPDX-License-Identifier: Apache-2.0 */

#include "proxy/onward.h"

#include "proxy/service.h"

static int begin(void *context, const struct sockaddr_storage *address, struct error *err)
{
	return stock_connect(context, address, err);
}

/* It takes a while: who asks must be known before they give up, for a row that says so. */
static void meet(void *context)
{
	struct error ignored; /* whoever needs to know asks again */
	(void)client_meet(context, &ignored);
}

struct upstream_request onward_request(struct client *client, const struct request *request, const struct route *route,
                                       bool without_token)
{
	bool is_agent = service_is_agent(client->service);
	bool has_name = request->host != NULL && request->host[0] != '\0';
	return (struct upstream_request){
		.endpoint = service_endpoint(client->service, client->local.family == AF_INET6),
		.host = is_agent && has_name ? request->host : NULL,
		.authorization = is_agent ? request->authorization : NULL,
		.method = request->method,
		.target = route->target,
		.without_token = without_token,
		.may_join = route->role[0] != '\0',
		.may_keep = true,
		.connect = begin,
		.connect_context = client->stock,
		.connection = &client->upstream,
		.on_wait = meet,
		.wait_context = client,
	};
}
