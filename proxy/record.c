/* SPDX-License-Identifier: Apache-2.0 */

/* Rows, field by field in the order of docs/ledger.md. Every named field is there, null where it is not known. */
#include "proxy/record.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"

#define USER_AGENT_BYTES 512 /* kept of it */

static const char *or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

static json_t *client_of(const struct client *client)
{
	char address[ADDRESS_TEXT_BYTES];
	const struct sighting *sighting = &client->sighting;
	const struct endpoint *end = sighting->client.family != 0 ? &sighting->client : &client->peer;
	json_t *object = json_object();
	json_put_text(object, "address", endpoint_text(end, address));
	json_put_int(object, "port", end->port);
	json_put(object, "netns", sighting->netns != 0 ? json_integer((json_int_t)sighting->netns) : NULL);
	return object;
}

static json_t *socket_of(const struct sighting *sighting)
{
	if (!sighting->is_found || sighting->is_ambiguous)
		return NULL;
	json_t *object = json_object();
	json_put_int(object, "inode", sighting->inode);
	json_put(object, "uid", sighting->inode != 0 ? json_integer(sighting->uid) : NULL);
	json_put_int(object, "cookie", (int64_t)sighting->cookie);
	json_put(object, "cgroup_id", sighting->cgroup_id != 0 ? json_integer((json_int_t)sighting->cgroup_id) : NULL);
	return object;
}

/* Null where there was nothing to take it of: the digest of an empty secret would match every empty one. */
static void put_digest(json_t *object, const char *name, const uint8_t digest[static DIGEST_BYTES], bool is_known)
{
	char hex[DIGEST_HEX_BYTES];
	json_put_text(object, name, is_known ? digest_hex(digest, DIGEST_BYTES, hex) : NULL);
}

static json_t *fingerprint_of(const struct key *key)
{
	json_t *object = json_object();
	bool is_made = key->fingerprint.key[0] != '\0';
	json_put_text(object, "key", is_made ? key->fingerprint.key : NULL);
	put_digest(object, "secret", key->fingerprint.secret, key->has_secret);
	put_digest(object, "token", key->fingerprint.token, key->has_token);
	put_digest(object, "whole", key->fingerprint.whole, key->has_secret && key->has_token);
	return object;
}

/* Fields of the key; all null without one. */
static void put_key(json_t *body, const struct record_facts *facts, const struct key *key)
{
	const char *role = key != NULL ? or_null(key->role) : NULL;
	json_put_text(body, "access_key_id", key != NULL ? key->access_key_id : NULL);
	json_put_text(body, "account_id", key != NULL ? or_null(key->account_id) : NULL);
	json_put_text(body, "role", role != NULL ? role : or_null(facts->route->role));
	json_put_text(body, "source", source_names[facts->route->source]);
	json_put_time(body, "updated_at", key != NULL ? key->updated_at_us : 0);
	json_put_time(body, "expires_at", key != NULL ? key->expires_at_us : 0);
	/* ec2:RoleDelivery is a matter of the metadata service alone. */
	bool has_version = key != NULL && facts->client->service == SERVICE_IMDS;
	json_put_text(body, "delivery_version", !has_version ? NULL : *facts->without_token ? "1.0" : "2.0");
	json_put(body, "fingerprint", key != NULL ? fingerprint_of(key) : NULL);
}

/* Where the witness has not answered. */
static void put_nobody(json_t *body)
{
	json_t *none = json_object();
	json_put_text(none, "grade", grade_names[GRADE_NONE]);
	json_put_text(none, "method", "none");
	json_put_bool(none, "complete", false);
	json_put(none, "evidence", json_pack("[s]", "witness: did not answer"));
	json_put(body, "attribution", none);
	json_put(body, "process", NULL);
	json_put(body, "holders", json_array());
}

/* NULL: it has not answered. */
static const struct entry_actors *actors_of(const struct record_facts *facts)
{
	bool has_answered = facts->attribution != NULL && facts->attribution->actors.attribution != NULL;
	return has_answered ? &facts->attribution->actors : NULL;
}

static json_t *policy_of(const struct policy_verdict *verdict)
{
	if (verdict->rule == NULL)
		return NULL;
	json_t *object = json_object();
	json_put_text(object, "verdict", verdict->denies ? "deny" : "allow");
	json_put_text(object, "rule", verdict->rule);
	return object;
}

static json_t *body_of(struct proxy *proxy, const struct record_facts *facts, const struct key *key,
                       enum outcome outcome)
{
	const struct request *request = facts->request;
	json_t *body = json_object();
	put_key(body, facts, key);
	json_put_text(body, "path", facts->path);
	json_put_text(body, "method", request->method);
	json_put(body, "status", facts->status != 0 ? json_integer(facts->status) : NULL);
	json_put_text(body, "outcome", outcome_names[outcome]);
	json_put_text(body, "reason", facts->reason);
	json_put(body, "policy", policy_of(&facts->policy));
	json_put(body, "client", client_of(facts->client));
	json_put(body, "socket", socket_of(&facts->client->sighting));
	if (actors_of(facts) == NULL)
		put_nobody(body);
	json_put(body, "user_agent",
	         request->user_agent != NULL
	                 ? json_from_bytes(request->user_agent, strnlen(request->user_agent, USER_AGENT_BYTES))
	                 : NULL);
	json_put(body, "host", placement_host(proxy->placement));
	return body;
}

MUST_USE static int entry_of(struct proxy *proxy, const struct record_facts *facts, const struct key *key,
                             enum outcome outcome, struct entry *ret, json_t **ret_body, struct error *err)
{
	struct entry entry = {
		.kind = "delivery", .at_us = clock_now_us(), .access_key_id = key != NULL ? key->access_key_id : NULL};
	if (entry_id_make(entry.id, err) < 0)
		return -1;
	*ret_body = body_of(proxy, facts, key, outcome);
	entry.body = *ret_body;
	entry.actors = actors_of(facts);
	*ret = entry;
	return 0;
}

void record_deliveries(struct proxy *proxy, const struct record_facts *facts, const struct key *keys, int count,
                       char ret_ids[][ENTRY_ID_BYTES], struct writer_wait *wait)
{
	_Static_assert(CREDENTIALS_MAX <= WRITER_TOGETHER_MAX, "the keys of one answer are written together");
	struct entry entries[CREDENTIALS_MAX];
	json_t *bodies[CREDENTIALS_MAX] = {NULL};
	struct error problem = {0};
	int made = 0;
	while (made < count &&
	       entry_of(proxy, facts, &keys[made], OUTCOME_RECORDED, &entries[made], &bodies[made], &problem) == 0) {
		memcpy(ret_ids[made], entries[made].id, ENTRY_ID_BYTES);
		made++;
	}
	if (made == count) {
		writer_append_then(proxy->writer, entries, (size_t)count, wait);
	} else {
		wait->problem = problem;
		writer_forget(proxy->writer, wait);
		wait->done(wait);
	}
	for (int i = 0; i < made; i++)
		json_decref(bodies[i]);
}

static void record_later(struct proxy *proxy, const struct record_facts *facts, const struct key *key,
                         enum outcome outcome)
{
	struct entry entry;
	struct error problem = {0};
	CLEANUP_JSON json_t *body = NULL;
	if (entry_of(proxy, facts, key, outcome, &entry, &body, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	else
		writer_append_later(proxy->writer, &entry);
}

void record_request(struct proxy *proxy, const struct record_facts *facts, enum outcome outcome)
{
	record_later(proxy, facts, NULL, outcome);
}

void record_refused_keys(struct proxy *proxy, const struct record_facts *facts, const struct key *keys, int count)
{
	for (int i = 0; i < count; i++)
		record_later(proxy, facts, &keys[i], OUTCOME_REFUSED);
}

void record_outcome(struct proxy *proxy, const char *id, enum outcome outcome, const char *reason)
{
	struct error problem = {0};
	CLEANUP_JSON json_t *body = json_object();
	struct entry entry = {.kind = "outcome", .subject = id, .at_us = clock_now_us(), .body = body};
	json_put_text(body, "outcome", outcome_names[outcome]);
	json_put_text(body, "reason", reason);
	if (entry_id_make(entry.id, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	else
		writer_append_later(proxy->writer, &entry);
}
