/* SPDX-License-Identifier: Apache-2.0 */

/* AWS's own example asks for the token with one `curl` and uses it with the next, so the default is the network
 * namespace: a container's token is worth nothing in another, and no program notices. */
#include "proxy/scope.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"

/* 0: not known. Those who came over the loopback interface are of our own, also when the witness did not find them. */
static uint64_t netns_of(const struct proxy *proxy, const struct client *client)
{
	return client->is_here && proxy->netns != 0 ? proxy->netns : client->sighting.netns;
}

bool scope_is_known(const struct proxy *proxy, const struct settings *settings, const struct client *client)
{
	return client->is_here && proxy->netns != 0 &&
	       (settings->token_scope == TOKEN_SCOPE_INSTANCE || settings->token_scope == TOKEN_SCOPE_NETNS);
}

void scope_of(const struct proxy *proxy, const struct settings *settings, struct client *client,
              char to[static TOKEN_SCOPE_BYTES])
{
	const char *boot = proxy->boot_id;
	const struct sighting *sighting = &client->sighting;
	const uint64_t netns = netns_of(proxy, client);
	int scope = settings->token_scope;
	char address[ADDRESS_TEXT_BYTES];
	struct error ignored;
	if (scope == TOKEN_SCOPE_PROCESS && client_first(client, &ignored) < 0)
		client->sighting.pid = 0;
	if (scope == TOKEN_SCOPE_PROCESS && sighting->pid != 0)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s process %u %llu", boot, sighting->pid,
		               (unsigned long long)sighting->start_ticks);
	else if (scope == TOKEN_SCOPE_INSTANCE)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s instance", boot);
	else if (scope == TOKEN_SCOPE_CGROUP && sighting->cgroup_id != 0)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s cgroup %llu", boot, (unsigned long long)sighting->cgroup_id);
	else if (netns != 0)
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s netns %llu", boot, (unsigned long long)netns);
	else
		(void)snprintf(to, TOKEN_SCOPE_BYTES, "%s address %s", boot, endpoint_text(&sighting->client, address));
}

enum token_verdict scope_check(const struct proxy *proxy, const struct settings *settings, struct client *client,
                               const char *token, struct checked *checked)
{
	char scope[TOKEN_SCOPE_BYTES];
	scope_of(proxy, settings, client, scope);
	if (strcmp(checked->scope, scope) == 0)
		return checked->verdict;
	CLEANUP_TOKEN_KEYS struct token_keys keys = keyring_keys(proxy->keyring);
	int64_t ttl_left = -1;
	checked->verdict = token_check_keys(&keys, scope, clock_boot_seconds(), token, &ttl_left);
	checked->ttl_left = ttl_left;
	(void)text_copy(checked->scope, sizeof(checked->scope), scope);
	return checked->verdict;
}
