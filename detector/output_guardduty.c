/* SPDX-License-Identifier: Apache-2.0 */

/* GuardDuty's own finding, as it is on the wire and in its exports: whatever reads those reads this, `who --finding`
 * too. The detector's id says whose it is; what GuardDuty has no field for stands in service.additionalInfo, and the
 * likeliest receiver of the key where Runtime Monitoring has its process. */
#include "detector/output_form.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/suspects.h"

#define TEXT_BYTES 1024
#define DETECTOR "keytrail"

static json_t *text_at(const json_t *value, const char *path)
{
	return output_text(json_text_at(value, path), TEXT_BYTES);
}

static json_t *int_at(const json_t *value, const char *path)
{
	int64_t number;
	return json_int_at(value, path, &number) ? json_integer(number) : NULL;
}

static json_t *resource(const json_t *finding)
{
	const char *key = json_text_at(finding, "access_key_id");
	json_t *details = json_object(), *resource = json_object();
	output_put(details, "accessKeyId", text_at(finding, "access_key_id"));
	output_put(details, "principalId", text_at(finding, "principal_id"));
	output_put(details, "userName", text_at(finding, "owner.role"));
	json_put_text(details, "userType", key != NULL && text_starts(key, "AKIA") ? "IAMUser" : "AssumedRole");
	json_put_text(resource, "resourceType", "AccessKey");
	json_put(resource, "accessKeyDetails", details);
	if (json_text_at(finding, "owner.instance_id") != NULL)
		json_put(resource, "instanceDetails",
		         json_pack("{s:o}", "instanceId", text_at(finding, "owner.instance_id")));
	return resource;
}

/* ---- what was called, from where */

/* An address, or what stood in its place. */
static void put_source(json_t *api, const json_t *finding)
{
	const char *text;
	enum output_source source = output_source(finding, &text);
	json_put_text(api, "callerType", source == OUTPUT_SOURCE_OTHER ? "Domain" : "Remote IP");
	if (source == OUTPUT_SOURCE_OTHER)
		output_put(api, "domainDetails", json_pack("{s:o*}", "domain", output_text(text, TEXT_BYTES)));
	else if (source != OUTPUT_SOURCE_NONE)
		output_put(api, "remoteIpDetails",
		           json_pack("{s:o*}", source == OUTPUT_SOURCE_V6 ? "ipAddressV6" : "ipAddressV4",
		                     output_text(text, TEXT_BYTES)));
}

static json_t *remote_account(const json_t *finding)
{
	const char *account = json_text_at(finding, "remote.account_id"),
		   *relation = json_text_at(finding, "remote.relation");
	if (account == NULL)
		return NULL;
	return json_pack("{s:s, s:b}", "accountId", account, "affiliated",
	                 relation != NULL && strcmp(relation, "affiliated") == 0);
}

static json_t *action(const json_t *finding)
{
	const json_t *call = output_first(finding, "calls");
	json_t *api = json_object();
	output_put(api, "api", text_at(call, "name"));
	output_put(api, "serviceName", text_at(call, "service"));
	put_source(api, finding);
	output_put(api, "userAgent", text_at(output_first(finding, "user_agents"), "user_agent"));
	output_put(api, "errorCode", text_at(output_first(finding, "errors"), "code"));
	output_put(api, "remoteAccountDetails", remote_account(finding));
	json_put(api, "affectedResources", json_object());
	return json_pack("{s:s, s:o}", "actionType", "AWS_API_CALL", "awsApiCallAction", api);
}

/* ---- who had received it */

/* What a process and its ancestors have in common. */
static json_t *process_core(const json_t *process)
{
	json_t *object = json_object();
	output_put(object, "name", output_text(output_file_name(json_text_at(process, "exe")), TEXT_BYTES));
	output_put(object, "executablePath", text_at(process, "exe"));
	output_put(object, "pid", int_at(process, "pid"));
	output_put(object, "namespacePid", int_at(process, "ns_pid"));
	output_put(object, "startTime", output_time(process, "started_at", CLOCK_SECOND_US));
	output_put(object, "userId", int_at(process, "uid"));
	output_put(object, "euid", int_at(process, "effective_uid"));
	return object;
}

static json_t *runtime_details(const json_t *finding)
{
	const json_t *process = json_at(suspects_first(finding), "process");
	const json_t *ancestors = json_at(process, "ancestors");
	if (process == NULL)
		return NULL;
	json_t *object = process_core(process), *lineage = json_array();
	output_put(object, "executableSha256", text_at(process, "exe_sha256"));
	output_put(object, "user", text_at(process, "user"));
	for (size_t i = 0; i < json_array_size(ancestors); i++)
		(void)json_array_append_new(lineage, process_core(json_array_get(ancestors, i)));
	json_put(object, "lineage", lineage);
	return json_pack("{s:o}", "process", object);
}

/* A string that holds JSON, as GuardDuty has it. */
static json_t *additional_info(const json_t *finding)
{
	static const char *const copied[] = {"id",    "rung",     "evidence", "lineage", "remote",
	                                     "calls", "suspects", "state",    "notes"};
	CLEANUP_JSON json_t *value = json_object();
	for (size_t i = 0; i < ARRAY_LENGTH(copied); i++)
		output_put(value, copied[i], json_incref(json_object_get(finding, copied[i])));
	json_put_text(value, "product", "Keytrail");
	CLEANUP_FREE char *line = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	return line != NULL ? json_pack("{s:s, s:s}", "type", "default", "value", line) : NULL;
}

/* ---- all */

static json_t *service(const json_t *finding)
{
	bool is_suppressed = false;
	(void)json_bool_at(finding, "suppressed", &is_suppressed);
	json_t *service = json_object();
	json_put_text(service, "serviceName", "guardduty");
	json_put_text(service, "detectorId", DETECTOR);
	json_put(service, "action", action(finding));
	json_put_text(service, "resourceRole", "TARGET");
	json_put_bool(service, "archived", is_suppressed || output_has_state(finding, "closed"));
	output_put(service, "count", int_at(finding, "count"));
	output_put(service, "eventFirstSeen", text_at(finding, "first_seen"));
	output_put(service, "eventLastSeen", text_at(finding, "last_seen"));
	output_put(service, "runtimeDetails", runtime_details(finding));
	output_put(service, "additionalInfo", additional_info(finding));
	return service;
}

static int make(const json_t *finding, json_t *to, struct error *err)
{
	const char *region = output_region(finding), *account = output_account(finding);
	const char *id = json_text_at(finding, "id"), *type = json_text_at(finding, "type");
	int64_t confidence;
	json_t *object = json_object();
	json_put_text(object, "schemaVersion", "2.0");
	json_put_text(object, "accountId", account);
	json_put_text(object, "region", region);
	json_put_text(object, "partition", output_partition(finding));
	json_put_text(object, "id", id);
	json_put(object, "arn",
	         json_sprintf("arn:%s:guardduty:%s:%s:detector/" DETECTOR "/finding/%s", output_partition(finding),
	                      region, account, id != NULL ? id : OUTPUT_UNKNOWN));
	json_put(object, "type", json_sprintf("UnauthorizedAccess:IAMUser/%s", type != NULL ? type : OUTPUT_UNKNOWN));
	json_put(object, "severity", json_real(json_number_value(json_at(finding, "score"))));
	if (json_int_at(finding, "confidence", &confidence))
		json_put_int(object, "confidence", confidence);
	output_put(object, "createdAt", text_at(finding, "first_seen"));
	output_put(object, "updatedAt", output_text(output_updated(finding), TEXT_BYTES));
	output_put(object, "title", output_title(finding, TEXT_BYTES));
	output_put(object, "description", output_description(finding, 4 * TEXT_BYTES));
	json_put(object, "resource", resource(finding));
	json_put(object, "service", service(finding));
	return json_array_append_new(to, object) == 0 ? 0 : error_set(err, ERROR_MEMORY, "no memory for a finding");
}

const struct output_form output_guardduty = {.name = "guardduty", .make = make};
