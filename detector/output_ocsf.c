/* SPDX-License-Identifier: Apache-2.0 */

/* OCSF: Detection Finding, class 2004, schema version 1.5.0, with the profile `cloud`. Times are milliseconds. What
 * OCSF has no attribute for stands in `unmapped`. */
#include "detector/output_form.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"

#define CLASS_UID 2004
#define MILLISECOND_US 1000
#define TEXT_BYTES 4096
#define EVIDENCES_MAX 20
#define EVENTS_MAX 100

/* A number with its caption, as OCSF pairs them. */
struct coded {
	const char *word; /* of ours */
	int id;
	const char *caption;
};

static const struct coded severities[] = {{"LOW", 2, "Low"}, {"MEDIUM", 3, "Medium"}, {"HIGH", 4, "High"}},
			  states[] = {{"new", 1, "New"}, {"acknowledged", 2, "In Progress"}, {"closed", 4, "Resolved"}},
			  activities[] = {{"new", 1, "Create"}, {"acknowledged", 2, "Update"}, {"closed", 3, "Close"}};
static const struct coded unknown = {"", 0, "Unknown"}, suppressed = {"", 3, "Suppressed"};

static const struct coded *code_of(const struct coded *table, size_t count, const char *word)
{
	for (size_t i = 0; i < count && word != NULL; i++)
		if (strcmp(table[i].word, word) == 0)
			return &table[i];
	return &unknown;
}

static void put_coded(json_t *object, const char *id, const char *caption, const struct coded *code)
{
	json_put_int(object, id, code->id);
	json_put_text(object, caption, code->caption);
}

static json_t *text_at(const json_t *value, const char *path)
{
	return output_text(json_text_at(value, path), TEXT_BYTES);
}

static json_t *account(const char *id)
{
	return id == NULL ? NULL : json_pack("{s:s, s:i, s:s}", "uid", id, "type_id", 10, "type", "AWS Account");
}

/* A user that is nothing but an account: OCSF's `owner`. */
static json_t *owner(const char *id)
{
	json_t *of = account(id);
	return of != NULL ? json_pack("{s:o}", "account", of) : NULL;
}

/* ---- evidences: the calls, and the receivers */

static json_t *caller(const json_t *finding)
{
	json_t *user = json_object(), *session = json_object();
	output_put(user, "credential_uid", text_at(finding, "access_key_id"));
	output_put(user, "uid_alt", text_at(finding, "principal_id"));
	output_put(user, "name", text_at(finding, "owner.role"));
	output_put(user, "account", account(json_text_at(finding, "owner.account_id")));
	output_put(session, "credential_uid", text_at(finding, "access_key_id"));
	output_put(session, "issuer", text_at(finding, "owner.role"));
	return json_pack("{s:o, s:o}", "user", user, "session", session);
}

/* NULL where nothing is known of it: an endpoint has to have something that names it. */
static json_t *source(const json_t *finding)
{
	const char *text;
	json_t *endpoint = json_object();
	bool is_address = output_source(finding, &text) != OUTPUT_SOURCE_OTHER;
	output_put(endpoint, is_address ? "ip" : "domain", output_text(text, TEXT_BYTES));
	output_put(endpoint, "uid", text_at(finding, "remote.vpc_endpoint_id"));
	if (json_object_size(endpoint) == 0) {
		json_decref(endpoint);
		return NULL;
	}
	output_put(endpoint, "owner", owner(json_text_at(finding, "remote.account_id")));
	return endpoint;
}

static json_t *call_evidence(const json_t *finding, const json_t *call)
{
	json_t *evidence = json_object(), *api = json_object();
	output_put(api, "operation", text_at(call, "name"));
	output_put(api, "service", json_pack("{s:o*}", "name", text_at(call, "service")));
	json_put_text(evidence, "name", "Calls with the key");
	json_put(evidence, "api", api);
	json_put(evidence, "actor", caller(finding));
	output_put(evidence, "src_endpoint", source(finding));
	const char *agent = json_text_at(output_first(finding, "user_agents"), "user_agent");
	if (agent != NULL)
		output_put(evidence, "http_request", json_pack("{s:o*}", "user_agent", output_text(agent, TEXT_BYTES)));
	json_put(evidence, "data", json_deep_copy(call));
	return evidence;
}

static json_t *file_of(const json_t *process)
{
	const char *exe = json_text_at(process, "exe"), *sha256 = json_text_at(process, "exe_sha256");
	if (exe == NULL)
		return NULL;
	json_t *file = json_pack("{s:o*, s:o*, s:i}", "name", output_text(output_file_name(exe), TEXT_BYTES), "path",
	                         output_text(exe, TEXT_BYTES), "type_id", 1);
	if (sha256 != NULL)
		output_put(file, "hashes",
		           json_pack("[{s:i, s:s, s:s}]", "algorithm_id", 3, "algorithm", "SHA-256", "value", sha256));
	return file;
}

/* A process, and its ancestors as its parents. */
static json_t *process_of(const json_t *process, const json_t *ancestors, size_t next)
{
	int64_t pid, uid;
	json_t *object = json_object(), *user = json_object();
	if (json_int_at(process, "pid", &pid))
		json_put_int(object, "pid", pid);
	else
		json_put_text(object, "uid", OUTPUT_UNKNOWN);
	output_put(object, "name", output_text(output_file_name(json_text_at(process, "exe")), TEXT_BYTES));
	output_put(object, "cmd_line", output_command(process, TEXT_BYTES));
	output_put(object, "created_time", output_time(process, "started_at", MILLISECOND_US));
	output_put(object, "file", file_of(process));
	output_put(user, "name", text_at(process, "user"));
	if (json_int_at(process, "uid", &uid))
		output_put(user, "uid", json_sprintf("%lld", (long long)uid));
	if (json_object_size(user) > 0)
		json_put(object, "user", user);
	else
		json_decref(user);
	if (next < json_array_size(ancestors))
		json_put(object, "parent_process", process_of(json_array_get(ancestors, next), ancestors, next + 1));
	return object;
}

static json_t *suspect_evidence(const json_t *suspect)
{
	static const char *const copied[] = {"rank",        "score",   "reasons",    "delivered_at",
	                                     "deliveries",  "outcome", "user_agent", "last_delivered_at",
	                                     "attribution", "client",  "host"};
	const json_t *process = json_at(suspect, "process"), *container = json_at(suspect, "process.container_id");
	json_t *evidence = json_object(), *data = json_object();
	json_put_text(evidence, "name", "A receiver of the key");
	if (process != NULL)
		json_put(evidence, "process", process_of(process, json_at(process, "ancestors"), 0));
	if (container != NULL)
		json_put(evidence, "container", json_pack("{s:o}", "uid", json_deep_copy(container)));
	for (size_t i = 0; i < ARRAY_LENGTH(copied); i++)
		output_put(data, copied[i], json_incref(json_object_get(suspect, copied[i])));
	json_put(evidence, "data", data);
	return evidence;
}

static json_t *evidences(const json_t *finding)
{
	json_t *list = json_array();
	const json_t *calls = json_at(finding, "calls"), *suspects = json_at(finding, "suspects");
	for (size_t i = 0; i < json_array_size(calls) && i < EVIDENCES_MAX; i++)
		(void)json_array_append_new(list, call_evidence(finding, json_array_get(calls, i)));
	for (size_t i = 0; i < json_array_size(suspects) && i < EVIDENCES_MAX; i++)
		(void)json_array_append_new(list, suspect_evidence(json_array_get(suspects, i)));
	return list;
}

/* ---- what is affected, what was found */

static json_t *resource(const json_t *finding, const char *type, const char *path)
{
	json_t *resource = json_pack("{s:s, s:o*}", "type", type, "uid", text_at(finding, path));
	output_put(resource, "owner", owner(json_text_at(finding, "owner.account_id")));
	json_put_text(resource, "region", output_region(finding));
	json_put_text(resource, "cloud_partition", output_partition(finding));
	return resource;
}

static json_t *resources(const json_t *finding)
{
	json_t *list = json_array();
	if (json_text_at(finding, "access_key_id") != NULL)
		(void)json_array_append_new(list, resource(finding, "AWS::IAM::AccessKey", "access_key_id"));
	if (json_text_at(finding, "owner.instance_id") != NULL)
		(void)json_array_append_new(list, resource(finding, "AWS::EC2::Instance", "owner.instance_id"));
	return list;
}

static json_t *related_events(const json_t *finding)
{
	json_t *list = json_array();
	const json_t *ids = json_at(finding, "event_ids");
	for (size_t i = 0; i < json_array_size(ids) && i < EVENTS_MAX; i++)
		(void)json_array_append_new(
			list, json_pack("{s:O, s:s}", "uid", json_array_get(ids, i), "type", "AWS CloudTrail"));
	return list;
}

/* ATT&CK: technique and sub-technique by the id that a rule names ("T1552.005"). */
static json_t *attacks(const json_t *finding)
{
	const json_t *techniques = json_at(finding, "techniques");
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(techniques); i++) {
		const char *id = json_string_value(json_array_get(techniques, i));
		size_t length = id != NULL ? strcspn(id, ".") : 0;
		if (length == 0)
			continue;
		json_t *attack = json_pack("{s:{s:s%}}", "technique", "uid", id, length);
		if (id[length] == '.')
			json_put(attack, "sub_technique", json_pack("{s:s}", "uid", id));
		(void)json_array_append_new(list, attack);
	}
	return list;
}

static json_t *finding_info(const json_t *finding)
{
	json_t *info = json_object();
	const char *type = json_text_at(finding, "type");
	output_put(info, "uid", text_at(finding, "id"));
	output_put(info, "title", output_title(finding, TEXT_BYTES));
	output_put(info, "desc", output_description(finding, TEXT_BYTES));
	json_put(info, "types", json_pack("[s]", type != NULL ? type : OUTPUT_UNKNOWN));
	output_put(info, "created_time", output_time(finding, "first_seen", MILLISECOND_US));
	output_put(info, "first_seen_time", output_time(finding, "first_seen", MILLISECOND_US));
	output_put(info, "last_seen_time", output_time(finding, "last_seen", MILLISECOND_US));
	output_put(info, "modified_time",
	           output_time(finding, json_text_at(finding, "state_at") != NULL ? "state_at" : "last_seen",
	                       MILLISECOND_US));
	json_put(info, "analytic",
	         json_pack("{s:s, s:o*, s:i, s:s}", "uid", type != NULL ? type : OUTPUT_UNKNOWN, "name",
	                   text_at(finding, "summary"), "type_id", 1, "type", "Rule"));
	json_put(info, "attacks", attacks(finding));
	json_put(info, "related_events", related_events(finding));
	return info;
}

static json_t *unmapped(const json_t *finding)
{
	static const char *const copied[] = {"rung", "evidence", "lineage", "remote", "owner", "new_uses", "notes"};
	json_t *object = json_object();
	for (size_t i = 0; i < ARRAY_LENGTH(copied); i++)
		output_put(object, copied[i], json_incref(json_object_get(finding, copied[i])));
	return object;
}

/* ---- all */

static void put_confidence(json_t *object, const json_t *finding)
{
	int64_t score;
	if (!json_int_at(finding, "confidence", &score))
		return;
	const struct coded code = score >= 80   ? (struct coded){"", 3, "High"}
	                          : score >= 50 ? (struct coded){"", 2, "Medium"}
	                                        : (struct coded){"", 1, "Low"};
	put_coded(object, "confidence_id", "confidence", &code);
	json_put_int(object, "confidence_score", score);
}

static int make(const json_t *finding, json_t *to, struct error *err)
{
	const char *state = json_text_at(finding, "state");
	const struct coded *activity = code_of(activities, ARRAY_LENGTH(activities), state != NULL ? state : "new");
	bool is_suppressed = false;
	(void)json_bool_at(finding, "suppressed", &is_suppressed);
	json_t *object = json_object();
	json_put_int(object, "class_uid", CLASS_UID);
	json_put_text(object, "class_name", "Detection Finding");
	json_put_int(object, "category_uid", CLASS_UID / 1000);
	json_put_text(object, "category_name", "Findings");
	put_coded(object, "activity_id", "activity_name", activity);
	json_put_int(object, "type_uid", CLASS_UID * 100 + activity->id);
	put_coded(object, "severity_id", "severity",
	          code_of(severities, ARRAY_LENGTH(severities), json_text_at(finding, "severity")));
	put_coded(object, "status_id", "status",
	          is_suppressed ? &suppressed : code_of(states, ARRAY_LENGTH(states), state != NULL ? state : "new"));
	put_confidence(object, finding);
	output_put(object, "time", output_time(finding, "first_seen", MILLISECOND_US));
	output_put(object, "start_time", output_time(finding, "first_seen", MILLISECOND_US));
	output_put(object, "end_time", output_time(finding, "last_seen", MILLISECOND_US));
	output_put(object, "count", json_incref(json_object_get(finding, "count")));
	output_put(object, "message", output_title(finding, TEXT_BYTES));
	json_put_bool(object, "is_alert", activity->id == 1 && !is_suppressed);
	json_put(object, "metadata",
	         json_pack("{s:s, s:{s:s, s:s, s:s}, s:[s]}", "version", "1.5.0", "product", "name", "Keytrail",
	                   "vendor_name", "Keytrail", "version", KEYTRAIL_VERSION, "profiles", "cloud"));
	json_put(object, "cloud",
	         json_pack("{s:s, s:o, s:s}", "provider", "AWS", "account", account(output_account(finding)), "region",
	                   output_region(finding)));
	json_put(object, "finding_info", finding_info(finding));
	json_put(object, "evidences", evidences(finding));
	json_put(object, "resources", resources(finding));
	json_put(object, "unmapped", unmapped(finding));
	return json_array_append_new(to, object) == 0 ? 0 : error_set(err, ERROR_MEMORY, "no memory for a finding");
}

const struct output_form output_ocsf = {.name = "ocsf", .make = make};
