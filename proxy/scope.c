/* SPDX-License-Identifier: Apache-2.0 */

/* AWS's own example asks for the token with one `curl` and uses it with the next, so the default is the network
 * namespace: a container's token is worth nothing in another, and no program notices. */
#include "proxy/scope.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"

static void write_scope(const struct proxy *proxy, int scope, const struct sighting *sighting,
                        char to[static TOKEN_SCOPE_BYTES])
{
	const char *boot = proxy->boot_id;
	char address[ADDRESS_TEXT_BYTES];
	if (scope == TOKEN_SCOPE_PROCESS && sighting->pid != 0)
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

void scope_of(const struct proxy *proxy, const struct settings *settings, struct client *client,
              char to[static TOKEN_SCOPE_BYTES])
{
	struct error ignored;
	if (settings->token_scope == TOKEN_SCOPE_PROCESS && line_first(client->line, &client->sighting, &ignored) < 0)
		client->sighting.pid = 0;
	write_scope(proxy, settings->token_scope, &client->sighting, to);
}

static enum token_verdict check(const struct proxy *proxy, const char *scope, const char *token,
                                struct checked *checked)
{
	if (strcmp(checked->scope, scope) == 0)
		return checked->verdict;
	CLEANUP_TOKEN_KEYS struct token_keys keys = keyring_keys(proxy->keyring);
	int64_t ttl_left = -1;
	checked->verdict = token_check_keys(&keys, scope, clock_boot_seconds(), token, &ttl_left);
	checked->ttl_left = ttl_left;
	(void)text_copy(checked->scope, sizeof(checked->scope), scope);
	return checked->verdict;
}

enum token_verdict scope_check(const struct proxy *proxy, const struct settings *settings, struct client *client,
                               const char *token, struct checked *checked)
{
	char scope[TOKEN_SCOPE_BYTES];
	scope_of(proxy, settings, client, scope);
	return check(proxy, scope, token, checked);
}

bool scope_is_likely(const struct proxy *proxy, const struct settings *settings, const struct client *client,
                     const char *token, struct checked *checked)
{
	char scope[TOKEN_SCOPE_BYTES];
	if (token == NULL || client->likely == NULL || settings->token_scope == TOKEN_SCOPE_PROCESS)
		return false;
	write_scope(proxy, settings->token_scope, client->likely, scope);
	return check(proxy, scope, token, checked) == TOKEN_GOOD;
}
