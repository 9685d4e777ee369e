/* SPDX-License-Identifier: Apache-2.0 */

/* AWS's own example asks for the token with one `curl` and uses it with the next, so the default is the network
 * namespace: a container's token is worth nothing in another, and no program notices. */
#include "proxy/scope.h"

void scope_of(const struct proxy *proxy, const struct settings *settings, struct client *client,
              char to[static TOKEN_SCOPE_BYTES])
{
	struct sighting *sighting = &client->sighting;
	const char *boot = proxy->boot_id;
	struct error problem = {0};
	char address[ADDRESS_TEXT_BYTES];
	int scope = settings->token_scope;
	if (scope == TOKEN_SCOPE_PROCESS && line_first(client->line, sighting, &problem) == 0 && sighting->pid != 0)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s process %u %llu", boot, sighting->pid,
		               (unsigned long long)sighting->start_ticks);
	else if (scope == TOKEN_SCOPE_INSTANCE)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s instance", boot);
	else if (scope == TOKEN_SCOPE_CGROUP && sighting->cgroup_id != 0)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s cgroup %llu", boot, (unsigned long long)sighting->cgroup_id);
	else if (sighting->netns != 0)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s netns %llu", boot, (unsigned long long)sighting->netns);
	else
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s address %s", boot, endpoint_text(&sighting->client, address));
}
