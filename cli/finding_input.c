/* SPDX-License-Identifier: Apache-2.0 */

/* Reads foreign findings. The same finding is camelCase on the wire and PascalCase from the AWS CLI: names are compared
 * with the first letter in either case. Where a field lies in which format stands in one table. */
#include "cli/finding_input.h"

#include <ctype.h>
#include <string.h>

#include "cli/access_key.h"
#include "common/text.h"

#define NAME_BYTES 128
#define DEEPEST 4 /* envelope, detail, findings, finding */

enum format { FORMAT_GUARDDUTY, FORMAT_ASFF, FORMAT_COUNT };
static const char *const format_names[FORMAT_COUNT] = {
	[FORMAT_GUARDDUTY] = "guardduty",
	[FORMAT_ASFF] = "securityhub",
};

/* Dots separate names; a name in a list's place means its first element. ASFF's ProductFields hold slashes, no dots. */
#define PRODUCT "productFields.aws/guardduty/service/"
static const struct {
	const char *to;
	const char *paths[FORMAT_COUNT][2]; /* the first that is there */
} fields[] = {
	{"id", {{"id"}, {"id"}}},
	{"type", {{"type"}, {"types"}}},
	{"severity", {{"severity"}, {"severity.label", "severity.normalized"}}},
	{"title", {{"title"}, {"title"}}},
	{"account_id", {{"accountId"}, {"awsAccountId"}}},
	{"first_seen", {{"service.eventFirstSeen", "createdAt"}, {PRODUCT "eventFirstSeen", "firstObservedAt"}}},
	{"last_seen", {{"service.eventLastSeen", "updatedAt"}, {PRODUCT "eventLastSeen", "lastObservedAt"}}},
	{"count", {{"service.count"}, {PRODUCT "count"}}},
};
static const struct {
	const char *to;
	const char *paths[FORMAT_COUNT][2];
} remote_fields[] = {
	{"account_id",
         {{"service.action.awsApiCallAction.remoteAccountDetails.accountId"},
          {PRODUCT "action/awsApiCallAction/remoteAccountDetails/accountId"}}},
	{"address",
         {{"service.action.awsApiCallAction.remoteIpDetails.ipAddressV4",
           "service.action.awsApiCallAction.remoteIpDetails.ipAddressV6"},
          {"action.awsApiCallAction.remoteIpDetails.ipAddressV4",
           PRODUCT "action/awsApiCallAction/remoteIpDetails/ipAddressV6"}}},
};

static const json_t *member(const json_t *object, const char *name)
{
	char other[NAME_BYTES];
	const json_t *value = json_object_get(object, name);
	if (value == NULL && text_copy(other, sizeof(other), name)) {
		other[0] = (char)(islower((unsigned char)other[0]) ? toupper((unsigned char)other[0])
		                                                   : tolower((unsigned char)other[0]));
		value = json_object_get(object, other);
	}
	return json_is_null(value) ? NULL : value;
}

static const json_t *member_at(const json_t *value, const char *path)
{
	while (value != NULL && *path != '\0') {
		char name[NAME_BYTES];
		size_t length = strcspn(path, ".");
		if (length >= sizeof(name))
			return NULL;
		memcpy(name, path, length);
		name[length] = '\0';
		value = member(value, name);
		path += length + (path[length] == '.');
	}
	return json_is_array(value) ? json_array_get(value, 0) : value;
}

static json_t *first_of(const json_t *finding, const char *const paths[2])
{
	for (size_t i = 0; i < 2 && paths[i] != NULL; i++) {
		const json_t *value = member_at(finding, paths[i]);
		if (json_is_string(value) || json_is_number(value))
			return json_deep_copy(value);
	}
	return json_null();
}

static bool has_members(const json_t *object, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (member(object, names[i]) == NULL)
			return false;
	return true;
}

static bool is_guardduty(const json_t *object)
{
	static const char *const names[] = {"type", "resource"};
	return has_members(object, names, ARRAY_LENGTH(names));
}

static bool is_asff(const json_t *object)
{
	static const char *const names[] = {"productArn", "resources"};
	return has_members(object, names, ARRAY_LENGTH(names));
}

/* ASFF names resources by type; their ids are prefixed in the case of keys and ARNs in that of instances. */
static const char *resource_name(const json_t *resource, const char *type, const char *path, const char *before_id)
{
	const char *is = json_string_value(member(resource, "type"));
	const char *id = json_string_value(member(resource, "id"));
	const char *named = json_string_value(member_at(resource, path));
	if (is == NULL || strcmp(is, type) != 0)
		return NULL;
	if (named != NULL)
		return named;
	const char *found = id != NULL ? strstr(id, before_id) : NULL;
	return found != NULL ? found + strlen(before_id) : id;
}

static const char *instance_of(const json_t *finding, enum format format)
{
	if (format == FORMAT_GUARDDUTY)
		return json_string_value(member_at(finding, "resource.instanceDetails.instanceId"));
	size_t index;
	const json_t *resources = member(finding, "resources");
	for (index = 0; index < json_array_size(resources); index++) {
		const char *id =
			resource_name(json_array_get(resources, index), "AwsEc2Instance", "details.none", ":instance/");
		if (id != NULL)
			return id;
	}
	return NULL;
}

/* Adds what one finding says of one key, once. */
static void add_report(json_t *reports, const json_t *finding, enum format format, const char *key)
{
	if (key == NULL || !access_key_is_valid(key))
		return;
	json_t *report = json_object(), *remote = json_object();
	json_put_text(report, "kind", "reported");
	json_put_text(report, "format", format_names[format]);
	json_put_text(report, "access_key_id", key);
	json_put_text(report, "instance_id", instance_of(finding, format));
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		json_put(report, fields[i].to, first_of(finding, fields[i].paths[format]));
	for (size_t i = 0; i < ARRAY_LENGTH(remote_fields); i++)
		json_put(remote, remote_fields[i].to, first_of(finding, remote_fields[i].paths[format]));
	json_put(report, "remote", remote);
	(void)json_array_append_new(reports, report);
}

static void take_finding(json_t *reports, const json_t *finding, enum format format)
{
	if (format == FORMAT_GUARDDUTY) {
		add_report(reports, finding, format,
		           json_string_value(member_at(finding, "resource.accessKeyDetails.accessKeyId")));
		return;
	}
	const json_t *resources = member(finding, "resources");
	for (size_t i = 0; i < json_array_size(resources); i++)
		add_report(reports, finding, format,
		           resource_name(json_array_get(resources, i), "AwsIamAccessKey",
		                         "details.awsIamAccessKey.accessKeyId", "AWS::IAM::AccessKey:"));
}

/* Looks through lists, `Findings` and EventBridge's `detail`; returns how many findings there were. */
static size_t look_through(json_t *reports, const json_t *value, int depth)
{
	size_t found = 0;
	if (depth > DEEPEST)
		return 0;
	if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++)
			found += look_through(reports, json_array_get(value, i), depth + 1);
		return found;
	}
	if (is_guardduty(value) || is_asff(value)) {
		take_finding(reports, value, is_guardduty(value) ? FORMAT_GUARDDUTY : FORMAT_ASFF);
		return 1;
	}
	static const char *const inside[] = {"findings", "detail"};
	for (size_t i = 0; i < ARRAY_LENGTH(inside) && json_is_object(value); i++)
		if (member(value, inside[i]) != NULL)
			found += look_through(reports, member(value, inside[i]), depth + 1);
	return found;
}

int finding_input_read(const json_t *document, json_t **ret, size_t *ret_findings, struct error *err)
{
	CLEANUP_JSON json_t *reports = json_array();
	if (reports == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a finding");
	size_t findings = look_through(reports, document, 0);
	if (findings == 0)
		return error_set(err, ERROR_INPUT,
		                 "no finding in it, expected JSON of GuardDuty or of Security Hub (ASFF)");
	*ret = steal_pointer(&reports);
	*ret_findings = findings;
	return 0;
}
