/* SPDX-License-Identifier: Apache-2.0 */

/* What is refused has a row, which says who it was: so what can be foreseen to be refused is for nobody. */
#include "proxy/anybody.h"

#include <string.h>

#include "proxy/token.h"
#include "store/policy.h"

static bool gets_token(const struct request *request)
{
	int64_t ttl;
	return strcmp(request->method, "PUT") == 0 && token_parse_ttl(request->ttl, &ttl);
}

static bool is_let_through(const struct policy *policy, const char *path)
{
	const struct policy_facts facts = {.fact = {[POLICY_PATH] = path, [POLICY_FAMILY] = POLICY_NO_FAMILY}};
	return !policy_needs_process(policy, path, POLICY_NO_FAMILY) && !policy_judge(policy, &facts).denies;
}

bool anybody_may_ask(const struct settings *settings, const struct request *request, const struct route *route,
                     bool is_good)
{
	if (route->kind == ROUTE_TOKEN)
		return settings->record == RECORD_CREDENTIALS && gets_token(request);
	return is_good && route->role[0] == '\0' && settings->record != RECORD_ALL &&
	       is_let_through(settings->policy, route->path);
}
