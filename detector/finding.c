/* SPDX-License-Identifier: Apache-2.0 */

/* What a finding says about its remote party and its owner, and how certain it is. Everything in `facts` must follow
 * from the use alone, so that the order of the input cannot show. */
#include "detector/finding.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/map.h"

/* What is taken off the certainty when the ledger does not vouch for the key. */
#define KEY_UNKNOWN_COST 15
#define LEDGER_UNKNOWN_COST 30
#define PRESIGNED_COST 30
#define PRINCIPAL_COST 10 /* a derived key whose parent is known by its principal only */

static const char *or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

static const char *first_of(const char *first, const char *second)
{
	return or_null(first) != NULL ? first : second;
}

static json_t *owner_of(const struct use *use)
{
	const struct tracked_key *key = use->key;
	const struct derived *derived = use->derived;
	const char *instance = use->event->session_instance, *role = use->event->role;
	json_t *owner = json_object();
	if (key == NULL && derived != NULL) {
		key = derived->root_key;
		instance = derived->root_instance;
		role = NULL;
	}
	json_put_text(owner, "account_id", or_null(use->home_account));
	json_put_text(owner, "instance_id", or_null(first_of(key != NULL ? key->instance_id : NULL, instance)));
	json_put_text(owner, "role", or_null(first_of(key != NULL ? key->role : NULL, role)));
	return owner;
}

/* ---- lineage: from what was handed out down to what was used */

static json_t *root_step(const struct derived *derived)
{
	const struct tracked_key *key = derived->root_key;
	json_t *step = json_object();
	json_put_text(step, "access_key_id", key != NULL ? key->id : NULL);
	json_put_text(step, "principal_id", or_null(derived->root_principal));
	json_put_text(step, "user", NULL);
	json_put_text(step, "account_id", or_null(derived->root_account));
	json_put_text(step, "action", NULL);
	json_put_time(step, "at", key != NULL ? key->first_delivered_us : 0);
	json_put_text(step, "event_id", NULL);
	return step;
}

static json_t *derived_step(const struct derived *derived)
{
	json_t *step = json_object();
	bool is_login = derived->kind == LINK_LOGIN;
	json_put_text(step, "access_key_id", derived->kind == LINK_KEY ? derived->name : NULL);
	json_put_text(step, "principal_id", is_login ? NULL : or_null(derived->principal));
	json_put_text(step, "user", is_login ? derived->name : NULL);
	json_put_text(step, "account_id", or_null(derived->account));
	json_put_text(step, "action", derived->action);
	json_put_time(step, "at", derived->at_us);
	json_put_text(step, "event_id", derived->event_id);
	return step;
}

static json_t *lineage_of(const struct use *use)
{
	json_t *steps = json_array();
	const struct derived *derived = use->derived;
	for (const struct derived *at = derived; at != NULL;
	     at = at->parent != DERIVED_NONE ? &use->lineage->derived[at->parent] : NULL)
		(void)json_array_insert_new(steps, 0, derived_step(at));
	if (derived != NULL)
		(void)json_array_insert_new(steps, 0, root_step(derived));
	return steps;
}

static json_t *remote_of(const struct origin *origin)
{
	json_t *remote = json_object();
	json_put_text(remote, "account_id", or_null(origin->account_id));
	json_put_text(remote, "relation", relation_names[origin->relation]);
	json_put_text(remote, "address", or_null(origin->address));
	json_put_text(remote, "vpc_endpoint_id", or_null(origin->endpoint_id));
	json_put_text(remote, "network", or_null(origin->network));
	return remote;
}

/* MITRE ATT&CK: those of the rule, and of each step from the delivered key to the used one. */
static json_t *techniques_of(const struct rule *rule, const struct use *use)
{
	static const struct {
		enum link_kind kind;
		const char *action; /* NULL: any */
		const char *id;
	} steps[] = {
		{LINK_KEY, "iam:CreateAccessKey", "T1098.001"},
		{LINK_KEY, NULL, "T1550.001"},
		{LINK_USER, NULL, "T1136.003"},
		{LINK_LOGIN, NULL, "T1098.001"},
		{LINK_CONSOLE, NULL, "T1550.001"},
	};
	json_t *ids = json_array();
	bool is_done[ARRAY_LENGTH(steps)] = {false};
	for (size_t i = 0; i < RULE_TECHNIQUES && rule->techniques[i] != NULL; i++)
		(void)json_array_append_new(ids, json_string(rule->techniques[i]));
	for (const struct derived *at = use->derived; at != NULL;
	     at = at->parent != DERIVED_NONE ? &use->lineage->derived[at->parent] : NULL) {
		size_t i = 0;
		while (steps[i].kind != at->kind ||
		       (steps[i].action != NULL && strcmp(steps[i].action, at->action) != 0))
			i++;
		is_done[i] = true;
	}
	/* Passwords and access keys are one technique. */
	is_done[3] = is_done[3] && !is_done[0];
	is_done[4] = is_done[4] && !is_done[1];
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++)
		if (is_done[i])
			(void)json_array_append_new(ids, json_string(steps[i].id));
	return ids;
}

/* How the key is known to be ours. */
static void say_subject(const struct use *use, json_t *evidence)
{
	const struct derived *derived = use->derived;
	char text[ORIGIN_EVIDENCE_BYTES], at[CLOCK_TEXT_BYTES];
	if (use->key != NULL)
		return;
	if (derived != NULL) {
		const char *root = derived->root_key != NULL ? derived->root_key->id : derived->root_principal;
		(void)snprintf(text, sizeof(text), "it descends from %s: %s at %s (event %s)%s", root, derived->action,
		               clock_format(derived->at_us, at), derived->event_id,
		               derived->by_key ? "" : "; the parent is known by its principal only");
		(void)json_array_append_new(evidence, json_from_bytes(text, strlen(text)));
	}
	if (derived != NULL)
		return;
	if (use->is_session_tracked)
		(void)json_array_append_new(evidence,
		                            json_string("the instance is in the ledger, but this key of its was not "
		                                        "handed out by the proxy there"));
	else
		(void)json_array_append_new(evidence,
		                            json_string("without a ledger: judged as a session of an instance, not "
		                                        "as a key known to have been handed out"));
}

static json_t *evidence_of(const struct use *use, const struct ruling *ruling)
{
	json_t *evidence = json_array();
	const struct origin *origin = use->origin;
	if (ruling->evidence[0] != '\0')
		(void)json_array_append_new(evidence, json_from_bytes(ruling->evidence, strlen(ruling->evidence)));
	for (size_t i = 0; i < origin->evidence_count; i++)
		(void)json_array_append_new(evidence,
		                            json_from_bytes(origin->evidence[i], strlen(origin->evidence[i])));
	if (use->event->is_presigned)
		(void)json_array_append_new(
			evidence, json_string("the request was signed in its URL (presigned): whoever was given that "
		                              "could send it, without the key"));
	say_subject(use, evidence);
	return evidence;
}

static int confidence_of(const struct use *use, const struct ruling *ruling)
{
	const struct derived *derived = use->derived;
	int cost = 0;
	if (use->key == NULL && derived == NULL)
		cost = use->is_session_tracked ? KEY_UNKNOWN_COST : LEDGER_UNKNOWN_COST;
	else if (derived != NULL)
		cost = (derived->root_key == NULL ? KEY_UNKNOWN_COST : 0) + (derived->by_key ? 0 : PRINCIPAL_COST);
	cost += use->event->is_presigned ? PRESIGNED_COST : 0;
	return ruling->confidence > cost ? ruling->confidence - cost : 1;
}

int finding_make(const struct rule *rule, const struct use *use, const struct ruling *ruling, struct finding *ret,
                 struct error *err)
{
	const struct event *event = use->event;
	const struct origin *origin = use->origin;
	const char *party = first_of(origin->account_id, first_of(origin->endpoint_id, origin->address));
	json_t *facts = json_object();
	if (facts == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a finding");
	json_put_text(facts, "type", rule->type);
	json_put_text(facts, "summary", rule->summary);
	json_put_text(facts, "access_key_id", or_null(event->access_key_id));
	json_put_text(facts, "principal_id", or_null(event->principal_id));
	json_put(facts, "owner", owner_of(use));
	json_put(facts, "remote", remote_of(origin));
	json_put(facts, "evidence", evidence_of(use, ruling));
	json_put(facts, "lineage", lineage_of(use));
	json_put(facts, "techniques", techniques_of(rule, use));

	*ret = (struct finding){.facts = facts};
	ret->use = (struct findings_use){
		.party = party,
		.type = rule->type,
		.subject = first_of(event->access_key_id, event->principal_id),
		.severity = ruling->severity,
		.rung = ruling->rung,
		.confidence = confidence_of(use, ruling),
		.service = event->service,
		.name = event->name,
		.error_code = event->error_code,
		.region = event->region,
		.user_agent = event->user_agent,
		.address = origin->address[0] != '\0' ? origin->address : event->source_text,
		.facts = facts,
	};
	return 0;
}

void finding_done(struct finding *finding)
{
	json_decref(finding->facts);
	finding->facts = NULL;
}

uint64_t finding_version(const struct event *event)
{
	const char *const texts[] = {
		event->access_key_id,     event->principal_id,     event->account_id, event->source_text,
		event->endpoint_id,       event->endpoint_account, event->service,    event->name,
		event->error_code,        event->user_agent,       event->region,     event->role_delivery,
		event->recipient_account, event->user_name,        event->shared_id,  event->request_id};
	uint64_t version = (uint64_t)event->at_us;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		version = version * UINT64_C(0x9e3779b97f4a7c15) ^ map_hash(texts[i], strlen(texts[i]));
	return version;
}
