/* SPDX-License-Identifier: Apache-2.0 */

/* Findings of other tools, in each of the wrappings that they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/finding_input.h"

#define KEY "ASIAIOSFODNN7EXAMPLE"
#define OTHER "ASIAIOSFODNN7EXAMPL2"

#define WIRE(key)                                                                                                      \
	"{\"schemaVersion\":\"2.0\",\"accountId\":\"111122223333\",\"id\":\"f1\","                                     \
	"\"type\":\"UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS\",\"severity\":8,"            \
	"\"title\":\"t\",\"updatedAt\":\"u\",\"resource\":{\"resourceType\":\"AccessKey\",\"accessKeyDetails\":{"      \
	"\"accessKeyId\":\"" key "\"},\"instanceDetails\":{\"instanceId\":\"i-1\"}},\"service\":{\"count\":3,"         \
	"\"eventFirstSeen\":\"a\",\"eventLastSeen\":\"b\",\"action\":{\"awsApiCallAction\":{\"remoteIpDetails\":{"     \
	"\"ipAddressV4\":\"198.51.100.7\"},\"remoteAccountDetails\":{\"accountId\":\"444455556666\","                  \
	"\"affiliated\":false}}}}}"

#define CLI(key)                                                                                                       \
	"{\"AccountId\":\"111122223333\",\"Id\":\"f1\",\"Type\":\"T\",\"Severity\":8.0,\"Resource\":{"                 \
	"\"AccessKeyDetails\":{\"AccessKeyId\":\"" key "\"}},\"Service\":{\"EventFirstSeen\":\"a\",\"Action\":{"       \
	"\"AwsApiCallAction\":{\"RemoteIpDetails\":{\"IpAddressV4\":\"198.51.100.7\"},\"RemoteAccountDetails\":{"      \
	"\"AccountId\":\"444455556666\"}}}}}"

#define ASFF(resources)                                                                                                \
	"{\"SchemaVersion\":\"2018-10-08\",\"ProductArn\":\"arn:aws:securityhub:eu-west-1::product/aws/guardduty\","   \
	"\"Id\":\"f1\",\"AwsAccountId\":\"111122223333\",\"Types\":[\"Effects/Data Exfiltration/X\"],"                 \
	"\"Severity\":{\"Label\":\"HIGH\"},\"FirstObservedAt\":\"a\",\"LastObservedAt\":\"b\",\"Resources\":"          \
	"[" resources "],\"Action\":{\"AwsApiCallAction\":{\"RemoteIpDetails\":{\"IpAddressV4\":\"198.51.100.7\"}}},"  \
	"\"ProductFields\":{\"aws/guardduty/service/action/awsApiCallAction/remoteAccountDetails/accountId\":"         \
	"\"444455556666\",\"aws/guardduty/service/count\":\"3\"}}"
#define BY_DETAILS                                                                                                     \
	"{\"Type\":\"AwsIamAccessKey\",\"Id\":\"x\",\"Details\":{\"AwsIamAccessKey\":{\"AccessKeyId\":\"" KEY "\"}}}"
#define BY_ID(key) "{\"Type\":\"AwsIamAccessKey\",\"Id\":\"AWS::IAM::AccessKey:" key "\"}"
#define INSTANCE "{\"Type\":\"AwsEc2Instance\",\"Id\":\"arn:aws:ec2:eu-west-1:111122223333:instance/i-1\"}"

static const struct {
	const char *name, *document;
	size_t findings, reports;
	const char *remote_account;
} cases[] = {
	{"wire", WIRE(KEY), 1, 1, "444455556666"},
	{"command line", CLI(KEY), 1, 1, "444455556666"},
	{"get-findings", "{\"Findings\":[" CLI(KEY) "," CLI(OTHER) "]}", 2, 2, "444455556666"},
	{"list", "[" WIRE(KEY) "]", 1, 1, "444455556666"},
	{"EventBridge",
         "{\"version\":\"0\",\"id\":\"e\",\"detail-type\":\"GuardDuty Finding\",\"resources\":[],\"detail\":" WIRE(
		 KEY) "}",
         1, 1, "444455556666"},
	{"ASFF by details", ASFF(BY_DETAILS), 1, 1, "444455556666"},
	{"ASFF by id", "{\"Findings\":[" ASFF(BY_ID(KEY)) "]}", 1, 1, "444455556666"},
	{"ASFF, two keys and an instance", "[" ASFF(INSTANCE "," BY_ID(KEY) "," BY_ID(OTHER)) "]", 1, 2,
         "444455556666"},
	{"ASFF in EventBridge",
         "{\"detail-type\":\"Security Hub Findings - Imported\",\"detail\":{\"findings\":[" ASFF(BY_ID(KEY)) "]}}", 1,
         1, "444455556666"},
	{"no key",
         "{\"type\":\"T\",\"resource\":{\"resourceType\":\"Instance\",\"instanceDetails\":{\"instanceId\":\"i-1\"}}}",
         1, 0, NULL},
	{"bad key", WIRE("not a key"), 1, 0, NULL},
	{"key is null", "{\"type\":\"T\",\"resource\":{\"accessKeyDetails\":{\"accessKeyId\":null}}}", 1, 0, NULL},
	{"key is a number",
         "{\"type\":\"T\",\"resource\":{\"accessKeyDetails\":{\"accessKeyId\":12345678901234567890.0}}}", 1, 0, NULL},
	{"ASFF without a key", ASFF(INSTANCE), 1, 0, NULL},
	{"no remote account",
         "{\"type\":\"T\",\"resource\":{\"accessKeyDetails\":{\"accessKeyId\":\"" KEY "\"}},\"service\":{}}", 1, 1,
         NULL},
};

static const char *const no_findings[] = {
	"{}",
	"[]",
	"null",
	"\"" KEY "\"",
	"7",
	"{\"Findings\":[]}",
	"{\"findings\":{}}",
	"{\"detail\":{\"detail\":{}}}",
	"{\"access_key_id\":\"" KEY "\"}",
	"[[[[[[" WIRE(KEY) "]]]]]]",
	"{\"type\":\"T\"}",
};

static void finds_keys_in_every_wrapping(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *document = NULL;
		CLEANUP_JSON json_t *reports = NULL;
		struct error problem = {0};
		size_t findings = 0;
		assert_int_equal(json_read(cases[i].document, strlen(cases[i].document), &document, NULL), 0);
		if (finding_input_read(document, &reports, &findings, &problem) < 0)
			fail_msg("%s: %s", cases[i].name, problem.text);
		if (findings != cases[i].findings || json_array_size(reports) != cases[i].reports)
			fail_msg("%s: %zu findings, %zu reports", cases[i].name, findings, json_array_size(reports));
		const json_t *first = json_array_get(reports, 0);
		if (first == NULL)
			continue;
		assert_string_equal(json_text_at(first, "access_key_id"), KEY);
		const char *account = json_text_at(first, "remote.account_id");
		if (cases[i].remote_account == NULL)
			assert_null(account);
		else
			assert_string_equal(account, cases[i].remote_account);
	}
}

static void tells_what_the_finding_says(void **state)
{
	CLEANUP_JSON json_t *document = NULL;
	CLEANUP_JSON json_t *reports = NULL;
	size_t findings;
	int64_t count = 0;
	(void)state;
	assert_int_equal(json_read(WIRE(KEY), strlen(WIRE(KEY)), &document, NULL), 0);
	assert_int_equal(finding_input_read(document, &reports, &findings, NULL), 0);
	const json_t *report = json_array_get(reports, 0);
	assert_string_equal(json_text_at(report, "kind"), "reported");
	assert_string_equal(json_text_at(report, "format"), "guardduty");
	assert_string_equal(json_text_at(report, "type"),
	                    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS");
	assert_string_equal(json_text_at(report, "remote.address"), "198.51.100.7");
	assert_string_equal(json_text_at(report, "first_seen"), "a");
	assert_string_equal(json_text_at(report, "last_seen"), "b");
	assert_string_equal(json_text_at(report, "instance_id"), "i-1");
	assert_string_equal(json_text_at(report, "account_id"), "111122223333");
	assert_true(json_int_at(report, "count", &count));
	assert_int_equal(count, 3);
	/* Every named field is there, known or not. */
	assert_non_null(json_object_get(report, "severity"));
	assert_non_null(json_object_get(report, "title"));
}

static void reads_asff_fields(void **state)
{
	static const char text[] = ASFF(BY_DETAILS "," INSTANCE);
	CLEANUP_JSON json_t *document = NULL;
	CLEANUP_JSON json_t *reports = NULL;
	size_t findings;
	(void)state;
	assert_int_equal(json_read(text, strlen(text), &document, NULL), 0);
	assert_int_equal(finding_input_read(document, &reports, &findings, NULL), 0);
	const json_t *report = json_array_get(reports, 0);
	assert_string_equal(json_text_at(report, "format"), "securityhub");
	assert_string_equal(json_text_at(report, "type"), "Effects/Data Exfiltration/X");
	assert_string_equal(json_text_at(report, "severity"), "HIGH");
	assert_string_equal(json_text_at(report, "instance_id"), "i-1");
	assert_string_equal(json_text_at(report, "first_seen"), "a");
	assert_string_equal(json_text_at(report, "count"), "3");
}

static void refuses_what_holds_no_finding(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(no_findings); i++) {
		CLEANUP_JSON json_t *document = json_loads(no_findings[i], JSON_DECODE_ANY, NULL);
		json_t *reports = NULL;
		struct error problem = {0};
		size_t findings;
		assert_non_null(document);
		if (finding_input_read(document, &reports, &findings, &problem) == 0)
			fail_msg("%s: was taken", no_findings[i]);
		assert_int_equal(problem.code, ERROR_INPUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_keys_in_every_wrapping),
		cmocka_unit_test(tells_what_the_finding_says),
		cmocka_unit_test(reads_asff_fields),
		cmocka_unit_test(refuses_what_holds_no_finding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
