/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail policy simulate: what a policy would have done to the requests that the ledger has. Judged by the daemon's
 * own code (store/policy.h); requests that were refused for another reason are left out, as the daemon leaves them. */
#include <string.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/place.h"

#define TOKEN_PATH "/latest/api/token" /* not subject to policies */

struct simulation {
	struct settings settings; /* the policy to try */
	json_t *refused;          /* by rule, path, family and who: one object each, the last seen first */
	int64_t requests, refusals;
};

static void simulation_done(struct simulation *simulation)
{
	settings_done(&simulation->settings);
	json_decref(simulation->refused);
}

/* Would the daemon have come as far as the policy with this request? */
static bool was_judged(const json_t *row)
{
	const char *path = json_text_at(row, "path"), *outcome = json_text_at(row, "outcome");
	const char *reason = json_text_at(row, "reason");
	if (path == NULL || outcome == NULL || strcmp(path, TOKEN_PATH) == 0)
		return false;
	return strcmp(outcome, "refused") != 0 || (reason != NULL && strcmp(reason, "policy") == 0);
}

/* What makes two refusals the same for a reader: pids come and go. */
MUST_USE static int group_of(struct simulation *simulation, const struct policy_request *request, const char *rule,
                             const json_t *process, json_t **ret, struct error *err)
{
	static const char *const members[] = {"exe", "uid", "unit", "container_id"};
	CLEANUP_JSON json_t *parts = json_pack("[s,s,s]", rule, request->path, request->family);
	for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
		json_t *member = json_object_get(process, members[i]);
		(void)json_array_append_new(parts, member != NULL ? json_incref(member) : json_null());
	}
	CLEANUP_FREE char *name = json_line(parts);
	if (name == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a simulation");
	*ret = json_object_get(simulation->refused, name);
	if (*ret != NULL)
		return 0;
	*ret = json_object();
	json_put_text(*ret, "kind", "simulation");
	json_put_text(*ret, "rule", rule);
	json_put_text(*ret, "path", request->path);
	json_put_text(*ret, "family", request->family);
	json_put_int(*ret, "requests", 0);
	json_put(*ret, "process", process != NULL ? json_deep_copy(process) : NULL);
	json_put(simulation->refused, name, *ret);
	return 0;
}

static int judge_row(void *context, const json_t *row, struct error *err)
{
	struct simulation *simulation = context;
	bool has_key = json_text_at(row, "access_key_id") != NULL;
	const char *source = json_text_at(row, "source"), *at = json_text_at(row, "delivered_at");
	struct policy_request request = {
		.path = json_text_at(row, "path"),
		.family = has_key && source != NULL ? source : POLICY_NO_FAMILY,
		.socket_uid = -1,
		.seen = row,
	};
	const json_t *process;
	json_t *group = NULL;
	int64_t requests = 0;
	if (!was_judged(row))
		return 0;
	(void)json_int_at(row, "socket.uid", &request.socket_uid);
	struct policy_verdict verdict = policy_judge_request(simulation->settings.policy, &request, &process);
	simulation->requests++;
	if (!verdict.denies)
		return 0;
	simulation->refusals++;
	if (group_of(simulation, &request, verdict.rule, process, &group, err) < 0)
		return -1;
	(void)json_int_at(group, "requests", &requests);
	json_put_int(group, "requests", requests + 1);
	json_put_text(group, "first_at", at); /* rows come newest first */
	if (requests == 0)
		json_put_text(group, "last_at", at);
	return 0;
}

MUST_USE static int show(const struct arguments *arguments, json_t *refused, struct error *err)
{
	struct output_options options = {.form = arguments->form, .columns = &columns_simulation, .stream = stdout};
	CLEANUP_OUTPUT struct output *output = NULL;
	const char *name;
	json_t *group = NULL;
	if (output_open(&options, &output, err) < 0)
		return -1;
	json_object_foreach (refused, name, group)
		if (output_row(output, group, err) < 0)
			return -1;
	return output_close(steal_pointer(&output), err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP(simulation_done) struct simulation simulation = {.refused = json_object()};
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	struct place place;
	if (strcmp(arguments->operands[0], "simulate") != 0)
		return error_set(err, ERROR_USAGE, "policy %.80s: unknown, expected simulate", arguments->operands[0]);
	if (settings_load(arguments->operands[1], &simulation.settings, err) < 0)
		return error_prefix(err, "policy");
	if (simulation.settings.policy == NULL)
		complain("%s: there is no policy in it, nobody is refused", arguments->operands[1]);
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0 ||
	    ledger_deliveries(ledger, &arguments->rows, judge_row, &simulation, err) < 0 ||
	    show(arguments, simulation.refused, err) < 0)
		return -1;
	complain("%lld requests replayed, %lld would have been refused; others than those that were recorded "
	         "([ledger] record) cannot be replayed",
	         (long long)simulation.requests, (long long)simulation.refusals);
	*ret = simulation.refusals > 0 ? STATUS_FOUND : STATUS_FINE;
	return 0;
}

const struct command command_policy = {
	.name = "policy",
	.operands = "simulate FILE",
	.summary = "Who would have been refused by a policy",
	.details = "Applies the policy of the settings in FILE, as if its mode were enforce, to the requests in the "
		   "ledger, and lists who would have been refused, by which section and for which path, the last "
		   "seen first. Only what was recorded can be replayed: deliveries, and with [ledger] record = all "
		   "every request. Ends with 3 when somebody would have been refused.",
	.examples = "  keytrail policy simulate new.conf --since 7d\n"
		    "  keytrail policy simulate new.conf --unit web.service -o json\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_ROWS,
	.minimum = 2,
	.maximum = 2,
	.run = run,
};
