/* SPDX-License-Identifier: Apache-2.0 */

/* ASFF, the AWS Security Finding Format of Security Hub: what `aws securityhub batch-import-findings` takes. Bounds are
 * those of the format's reference. It has no place for the account on the other side: that stands in ProductFields,
 * under the names that GuardDuty's findings have there. */
#include "detector/output_form.h"

#include <string.h>

#include "common/text.h"
#include "detector/suspects.h"

#define ID_BYTES 512
#define TITLE_BYTES 256
#define DESCRIPTION_BYTES 1024
#define FIELD_BYTES 2047
#define FIELDS_MAX 50
#define SUSPECT_FIELDS_MAX 5 /* suspects that stand in ProductFields */
#define EVIDENCE_MAX 8
#define PROCESS_NAME_BYTES 64
#define PROCESS_PATH_BYTES 512
#define NOTE_BYTES 512

/* ---- ProductFields: texts, fifty of them */

static void put_field(json_t *fields, const char *key, const char *text)
{
	if (json_object_size(fields) < FIELDS_MAX)
		output_put(fields, key, output_text(text, FIELD_BYTES));
}

static void put_number(json_t *fields, const char *key, const json_t *value, const char *path)
{
	int64_t number;
	char text[24];
	if (!json_int_at(value, path, &number))
		return;
	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	put_field(fields, key, text);
}

static void put_suspects(json_t *fields, const json_t *finding)
{
	const json_t *suspects = json_at(finding, "suspects");
	char key[64];
	for (size_t i = 0; i < json_array_size(suspects) && i < SUSPECT_FIELDS_MAX; i++) {
		const json_t *suspect = json_array_get(suspects, i);
		CLEANUP_JSON json_t *command = output_command(json_at(suspect, "process"), FIELD_BYTES);
		(void)snprintf(key, sizeof(key), "keytrail/suspects/%zu/executable", i);
		put_field(fields, key, json_text_at(suspect, "process.exe"));
		(void)snprintf(key, sizeof(key), "keytrail/suspects/%zu/pid", i);
		put_number(fields, key, suspect, "process.pid");
		(void)snprintf(key, sizeof(key), "keytrail/suspects/%zu/command", i);
		put_field(fields, key, json_string_value(command));
		(void)snprintf(key, sizeof(key), "keytrail/suspects/%zu/deliveredAt", i);
		put_field(fields, key, json_text_at(suspect, "delivered_at"));
	}
}

#define GUARDDUTY "aws/guardduty/service/"
#define CALL GUARDDUTY "action/awsApiCallAction/"

static json_t *product_fields(const json_t *finding)
{
	static const struct {
		const char *key, *path;
	} texts[] = {
		{CALL "remoteAccountDetails/accountId", "remote.account_id"},
		{GUARDDUTY "eventFirstSeen", "first_seen"},
		{GUARDDUTY "eventLastSeen", "last_seen"},
		{"keytrail/type", "type"},
		{"keytrail/remote/relation", "remote.relation"},
		{"keytrail/remote/vpcEndpointId", "remote.vpc_endpoint_id"},
		{"keytrail/remote/network", "remote.network"},
	};
	json_t *fields = json_object();
	const char *relation = json_text_at(finding, "remote.relation"), *source;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		put_field(fields, texts[i].key, json_text_at(finding, texts[i].path));
	if (json_text_at(finding, "remote.account_id") != NULL)
		put_field(fields, CALL "remoteAccountDetails/affiliated",
		          relation != NULL && strcmp(relation, "affiliated") == 0 ? "true" : "false");
	if (output_source(finding, &source) == OUTPUT_SOURCE_V6)
		put_field(fields, CALL "remoteIpDetails/ipAddressV6", source);
	put_number(fields, GUARDDUTY "count", finding, "count");
	put_number(fields, "keytrail/rung", finding, "rung");
	put_suspects(fields, finding);

	const json_t *evidence = json_at(finding, "evidence");
	char key[64];
	for (size_t i = 0; i < json_array_size(evidence) && i < EVIDENCE_MAX; i++) {
		(void)snprintf(key, sizeof(key), "keytrail/evidence/%zu", i);
		put_field(fields, key, json_string_value(json_array_get(evidence, i)));
	}
	return fields;
}

/* ---- resources, action, process */

static json_t *key_resource(const json_t *finding)
{
	const char *key = json_text_at(finding, "access_key_id"), *principal = json_text_at(finding, "principal_id");
	json_t *details = json_object(), *resource = json_object();
	bool is_user = key != NULL && text_starts(key, "AKIA");
	output_put(resource, "Partition", json_string(output_partition(finding)));
	output_put(resource, "Region", json_string(output_region(finding)));
	if (key == NULL) {
		json_put_text(resource, "Type", "Other");
		json_put(resource, "Id", output_text(principal != NULL ? principal : OUTPUT_UNKNOWN, ID_BYTES));
		json_decref(details);
		return resource;
	}
	json_put_text(resource, "Type", "AwsIamAccessKey");
	json_put(resource, "Id", json_sprintf("AWS::IAM::AccessKey:%s", key));
	output_put(details, "AccessKeyId", output_text(key, ID_BYTES));
	output_put(details, "PrincipalId", output_text(principal, ID_BYTES));
	output_put(details, "PrincipalName", output_text(json_text_at(finding, "owner.role"), ID_BYTES));
	output_put(details, "PrincipalType", json_string(is_user ? "IAMUser" : "AssumedRole"));
	output_put(details, "AccountId", output_text(json_text_at(finding, "owner.account_id"), ID_BYTES));
	json_put(resource, "Details", json_pack("{s:o}", "AwsIamAccessKey", details));
	return resource;
}

static json_t *resources(const json_t *finding)
{
	json_t *list = json_pack("[o]", key_resource(finding));
	const char *instance = json_text_at(finding, "owner.instance_id");
	const char *region = json_text_at(output_first(finding, "suspects"), "host.region");
	const char *account = json_text_at(finding, "owner.account_id");
	char arn[ID_BYTES];
	if (instance == NULL)
		return list;
	/* Where the instance is, only its own ledger knows. */
	if (region != NULL && account != NULL)
		(void)snprintf(arn, sizeof(arn), "arn:%s:ec2:%s:%s:instance/%s", output_partition(finding), region,
		               account, instance);
	else
		(void)snprintf(arn, sizeof(arn), "%s", instance);
	(void)json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s}", "Type", "AwsEc2Instance", "Id",
	                                            output_text(arn, ID_BYTES), "Partition", output_partition(finding),
	                                            "Region", region != NULL ? region : output_region(finding)));
	return list;
}

static json_t *action(const json_t *finding)
{
	const json_t *call = output_first(finding, "calls");
	const char *text;
	enum output_source source = output_source(finding, &text);
	json_t *api = json_object();
	output_put(api, "Api", output_text(json_text_at(call, "name"), 128));
	output_put(api, "ServiceName", output_text(json_text_at(call, "service"), 128));
	output_put(api, "CallerType", json_string(source == OUTPUT_SOURCE_OTHER ? "domain" : "remoteip"));
	if (source == OUTPUT_SOURCE_V4)
		output_put(api, "RemoteIpDetails", json_pack("{s:o*}", "IpAddressV4", output_text(text, 64)));
	if (source == OUTPUT_SOURCE_OTHER)
		output_put(api, "DomainDetails", json_pack("{s:o*}", "Domain", output_text(text, 256)));
	output_put(api, "FirstSeen", output_text(json_text_at(finding, "first_seen"), 64));
	output_put(api, "LastSeen", output_text(json_text_at(finding, "last_seen"), 64));
	return json_pack("{s:s, s:o}", "ActionType", "AWS_API_CALL", "AwsApiCallAction", api);
}

/* The likeliest receiver, if there is one. */
static json_t *process(const json_t *finding)
{
	const json_t *process = json_at(suspects_first(finding), "process");
	const char *exe = json_text_at(process, "exe");
	int64_t pid;
	json_t *object = json_object();
	if (process == NULL) {
		json_decref(object);
		return NULL;
	}
	output_put(object, "Name", output_text(output_file_name(exe), PROCESS_NAME_BYTES));
	output_put(object, "Path", output_text(exe, PROCESS_PATH_BYTES));
	if (json_int_at(process, "pid", &pid))
		output_put(object, "Pid", json_integer(pid));
	if (json_int_at(output_first(process, "ancestors"), "pid", &pid))
		output_put(object, "ParentPid", json_integer(pid));
	output_put(object, "LaunchedAt", output_text(json_text_at(process, "started_at"), 64));
	return object;
}

/* ---- all */

static const char *workflow(const json_t *finding)
{
	bool is_suppressed = false;
	if (json_bool_at(finding, "suppressed", &is_suppressed) && is_suppressed)
		return "SUPPRESSED";
	return output_has_state(finding, "closed")         ? "RESOLVED"
	       : output_has_state(finding, "acknowledged") ? "NOTIFIED"
	                                                   : "NEW";
}

static json_t *note(const json_t *finding)
{
	const json_t *notes = json_at(finding, "notes");
	const json_t *last = json_array_get(notes, json_array_size(notes) - 1);
	if (json_array_size(notes) == 0)
		return NULL;
	return json_pack("{s:o*, s:o*, s:o*}", "Text", output_text(json_text_at(last, "text"), NOTE_BYTES), "UpdatedBy",
	                 output_text(json_text_at(last, "by"), NOTE_BYTES), "UpdatedAt",
	                 output_text(json_text_at(last, "at"), 64));
}

static json_t *severity(const json_t *finding)
{
	const char *label = json_text_at(finding, "severity");
	const json_t *score = json_at(finding, "score");
	char original[16];
	(void)snprintf(original, sizeof(original), "%.1f", json_number_value(score));
	return json_pack("{s:s, s:i, s:s}", "Label", label != NULL ? label : "INFORMATIONAL", "Normalized",
	                 (int)(json_number_value(score) * 10), "Original", original);
}

static int make(const json_t *finding, json_t *to, struct error *err)
{
	const char *region = output_region(finding), *account = output_account(finding);
	const char *id = json_text_at(finding, "id"), *type = json_text_at(finding, "type");
	int64_t confidence;
	json_t *object = json_object();
	json_put_text(object, "SchemaVersion", "2018-10-08");
	json_put(object, "Id", json_sprintf("keytrail/%s", id != NULL ? id : OUTPUT_UNKNOWN));
	json_put(object, "ProductArn",
	         json_sprintf("arn:%s:securityhub:%s:%s:product/%s/default", output_partition(finding), region, account,
	                      account));
	json_put_text(object, "ProductName", "Keytrail");
	json_put_text(object, "CompanyName", "Keytrail");
	json_put_text(object, "GeneratorId", type != NULL ? type : OUTPUT_UNKNOWN);
	json_put_text(object, "Region", region);
	json_put_text(object, "AwsAccountId", account);
	json_put(object, "Types",
	         json_pack("[o]", json_sprintf("Effects/Data Exfiltration/UnauthorizedAccess:IAMUser-%s",
	                                       type != NULL ? type : OUTPUT_UNKNOWN)));
	json_put_text(object, "FirstObservedAt", json_text_at(finding, "first_seen"));
	json_put_text(object, "LastObservedAt", json_text_at(finding, "last_seen"));
	json_put_text(object, "CreatedAt", json_text_at(finding, "first_seen"));
	json_put_text(object, "UpdatedAt", output_updated(finding));
	json_put(object, "Severity", severity(finding));
	if (json_int_at(finding, "confidence", &confidence))
		json_put_int(object, "Confidence", confidence);
	output_put(object, "Title", output_title(finding, TITLE_BYTES));
	output_put(object, "Description", output_description(finding, DESCRIPTION_BYTES));
	json_put(object, "ProductFields", product_fields(finding));
	json_put(object, "Resources", resources(finding));
	json_put(object, "Action", action(finding));
	output_put(object, "Process", process(finding));
	output_put(object, "Note", note(finding));
	json_put(object, "Workflow", json_pack("{s:s}", "Status", workflow(finding)));
	json_put_text(object, "RecordState", output_has_state(finding, "closed") ? "ARCHIVED" : "ACTIVE");
	return json_array_append_new(to, object) == 0 ? 0 : error_set(err, ERROR_MEMORY, "no memory for a finding");
}

const struct output_form output_asff = {.name = "asff", .make = make};
