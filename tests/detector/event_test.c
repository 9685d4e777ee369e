/* SPDX-License-Identifier: Apache-2.0 */

/* Reading one record: odd fields first, then the forms that records come in. */
#include "tests/detector/support.h"

#include <dirent.h>

#include "detector/event.h"

static struct event read_event(const char *text)
{
	struct event event;
	if (!event_read(text, strlen(text), &event))
		fail_msg("cannot read %s", text);
	return event;
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {"",
	                                  "[]",
	                                  "\"x\"",
	                                  "{",
	                                  "{\"a\":1",
	                                  "{\"userIdentity\":{}",
	                                  "{a:1}",
	                                  "{\"eventID\":\"x}",
	                                  "{\"CloudTrailEvent\":\"{\"}"};
	struct event event;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		if (event_read(bad[i], strlen(bad[i]), &event))
			fail_msg("read %s", bad[i]);
}

static void test_odd_fields_are_unknown(void **state)
{
	const struct event event = read_event(
		"{\"eventTime\":12,\"@timestamp\":\"yesterday\",\"eventID\":null,\"sourceIPAddress\":\"253.252.51.07\","
		"\"vpcEndpointId\":\"vpce-0123456789ABCDEF0\",\"vpcEndpointAccountId\":\"AWS "
		"Internal\",\"eventName\":{\"x\":1},"
		"\"recipientAccountId\":12345678901,\"awsRegion\":[],\"addendum\":null,"
		"\"userIdentity\":{\"accountId\":\"12345678901a\",\"accessKeyId\":\"\",\"principalId\":\"AROA:i-"
		"786a3A8B5C0d92eF4\","
		"\"sessionContext\":\"none\",\"inScopeOf\":{\"issuerType\":\"AWS::Lambda::Function\","
		"\"credentialsIssuedTo\":"
		"\"arn:aws:ec2:x:1:instance/i-0123456789abcdef0\"}}}");
	(void)state;
	assert_int_equal(event.at_us, 0);
	assert_int_equal(event.source, EVENT_SOURCE_ODD);
	assert_int_equal(event.endpoint, EVENT_ENDPOINT_ODD);
	assert_string_equal(event.endpoint_account, "");
	assert_string_equal(event.account_id, "");
	assert_string_equal(event.recipient_account, "");
	assert_string_equal(event.name, "");
	assert_string_equal(event.region, "");
	assert_string_equal(event.session_instance, "");
	assert_string_equal(event.access_key_id, "");
	assert_false(event.is_addendum);
	assert_true(strncmp(event.id, "sha256:", 7) == 0 && strlen(event.id) == 7 + 64);
}

static void test_missing_identity(void **state)
{
	const struct event event = read_event("{\"eventTime\":\"2026-01-02T03:04:05Z\",\"userIdentity\":null}");
	(void)state;
	assert_string_equal(event.principal_id, "");
	assert_int_equal(event.source, EVENT_SOURCE_ABSENT);
	assert_int_equal(event.endpoint, EVENT_ENDPOINT_NONE);
}

static void test_too_long_is_unknown(void **state)
{
	char text[8000], longest[3000];
	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	(void)snprintf(text, sizeof(text), "{\"eventID\":\"id\",\"sourceIPAddress\":\"%.1000s\",\"userAgent\":\"%s\"}",
	               longest, longest);
	const struct event event = read_event(text);
	assert_string_equal(event.source_text, "");
	assert_int_equal(strlen(event.user_agent), sizeof(event.user_agent) - 1); /* cut, not dropped */
}

static void test_sources(void **state)
{
	static const struct {
		const char *text;
		enum event_source source;
	} cases[] = {
		{"", EVENT_SOURCE_ABSENT},
		{"1.2.3", EVENT_SOURCE_ODD},
		{"amazonaws.com", EVENT_SOURCE_ODD},
		{"ec2.amazonaws.com.evil.example", EVENT_SOURCE_ODD},
		{"AWS Internals", EVENT_SOURCE_ODD},
		{"253.201.144.253", EVENT_SOURCE_ADDRESS},
		{"::ffff:1.2.3.4", EVENT_SOURCE_ADDRESS},
		{"2600:1f18::1", EVENT_SOURCE_ADDRESS},
		{"ec2.amazonaws.com", EVENT_SOURCE_AWS},
		{"delivery.logs.amazonaws.com", EVENT_SOURCE_AWS},
		{"ec2.amazonaws.com.cn", EVENT_SOURCE_AWS},
		{"AWS Internal", EVENT_SOURCE_AWS},
		{"AWS Internal/3", EVENT_SOURCE_AWS},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char text[200];
		(void)snprintf(text, sizeof(text), "{\"sourceIPAddress\":\"%s\"}", cases[i].text);
		if (read_event(text).source != cases[i].source)
			fail_msg("%s", cases[i].text);
	}
}

#define RECORD                                                                                                         \
	"{\"eventVersion\":\"1.11\",\"eventTime\":\"2026-01-02T03:04:05Z\",\"eventID\":\"e-1\",\"eventSource\":"       \
	"\"s3.amazonaws.com\",\"eventName\":\"GetObject\",\"errorCode\":\"AccessDenied\",\"awsRegion\":\"eu-west-1\"," \
	"\"userAgent\":\"[aws-cli]\",\"recipientAccountId\":\"111122223333\",\"sourceIPAddress\":\"10.0.0.1\","        \
	"\"vpcEndpointId\":\"vpce-0123456789abcdef0\",\"vpcEndpointAccountId\":\"444455556666\",\"addendum\":{"        \
	"\"reason\":\"UPDATED_DATA\",\"originalEventID\":\"e-0\"},\"userIdentity\":{\"type\":\"AssumedRole\","         \
	"\"principalId\":\"AROA:i-0317f6c6b66ae9c40\",\"accountId\":\"111122223333\",\"accessKeyId\":\"" OTRF_KEY      \
	"\","                                                                                                          \
	"\"invokedBy\":\"x.amazonaws.com\",\"sessionContext\":{\"ec2RoleDelivery\":\"2.0\",\"sessionIssuer\":{"        \
	"\"arn\":"                                                                                                     \
	"\"arn:aws:iam::111122223333:role/"                                                                            \
	"aws:ec2-infrastructure\",\"userName\":\"web\"}},\"inScopeOf\":{\"issuerType\":"                               \
	"\"AWS::EC2::Instance\",\"sourceAccount\":\"111122223333\",\"credentialsIssuedTo\":"                           \
	"\"arn:aws:ec2:eu-west-1:111122223333:instance/i-0aaaaaaaaaaaaaaaa\"}}}"

static void check_record(const struct event *event)
{
	assert_int_equal(event->at_us, support_time("2026-01-02T03:04:05Z"));
	assert_string_equal(event->id, "e-1");
	assert_string_equal(event->version, "1.11");
	assert_string_equal(event->service, "s3.amazonaws.com");
	assert_string_equal(event->name, "GetObject");
	assert_string_equal(event->error_code, "AccessDenied");
	assert_string_equal(event->region, "eu-west-1");
	assert_string_equal(event->user_agent, "[aws-cli]");
	assert_string_equal(event->recipient_account, "111122223333");
	assert_string_equal(event->endpoint_account, "444455556666");
	assert_int_equal(event->endpoint, EVENT_ENDPOINT_ID);
	assert_int_equal(event->source, EVENT_SOURCE_ADDRESS);
	assert_true(event->is_addendum);
	assert_string_equal(event->replaces, "e-0");
	assert_string_equal(event->access_key_id, OTRF_KEY);
	assert_string_equal(event->session_instance, "i-0317f6c6b66ae9c40");
	assert_string_equal(event->scope_account, "111122223333");
	assert_string_equal(event->role, "web");
	assert_string_equal(event->role_delivery, "2.0");
	assert_true(event->is_invoked_by_aws);
	assert_true(event->is_infrastructure);
}

static void test_forms(void **state)
{
	(void)state;
	struct event event = read_event(RECORD);
	check_record(&event);
	event = read_event(
		"{\"version\":\"0\",\"id\":\"other\",\"detail-type\":\"AWS API Call via CloudTrail\",\"detail\":" RECORD
		",\"region\":\"x\"}");
	check_record(&event);

	CLEANUP_JSON json_t *lookup = json_pack("{s:s, s:s}", "EventId", "other", "CloudTrailEvent", RECORD);
	CLEANUP_FREE char *text = json_dumps(lookup, 0);
	event = read_event(text);
	check_record(&event);
}

static void test_scope_names_the_instance(void **state)
{
	const struct event event = read_event(
		"{\"userIdentity\":{\"principalId\":\"AROA:someone\",\"inScopeOf\":{\"issuerType\":\"AWS::EC2::"
		"Instance\","
		"\"credentialsIssuedTo\":\"arn:aws:ec2:eu-west-1:111122223333:instance/i-0aaaaaaaaaaaaaaaa\"}}}");
	(void)state;
	assert_string_equal(event.session_instance, "i-0aaaaaaaaaaaaaaaa");
}

/* What is written of an event is read as the same event. */
static void check_written(const struct event *event)
{
	CLEANUP_JSON json_t *record = event_write(event);
	CLEANUP_FREE char *text = json_line(record);
	struct event again;
	assert_true(event_read(text, strlen(text), &again));
	if (memcmp(event, &again, sizeof(again)) != 0)
		fail_msg("not as it was: %s", text);
}

static void test_written(void **state)
{
	static const char *const records[] = {
		"{}",
		"{\"eventTime\":\"2020-09-14T01:02:03.456789Z\",\"sharedEventID\":\"s\",\"requestID\":\"r\","
		"\"eventCategory\":\"NetworkActivity\",\"sessionCredentialFromConsole\":\"true\",\"addendum\":{"
		"\"reason\":"
		"\"DELIVERY_DELAY\",\"originalEventID\":\"o\"},\"vpcEndpointId\":\"odd\",\"sourceIPAddress\":\"AWS "
		"Internal/7\"}",
		"{\"eventType\":\"AwsVpceEvent\",\"userAgent\":\"a\\u0001\\n\\\"b\",\"userIdentity\":{\"invokedBy\":"
		"\"AWS Internal\","
		"\"sessionContext\":{\"sessionIssuer\":{\"arn\":\"arn:aws:iam::1:role/"
		"aws:ec2-infrastructure\",\"userName\":\"r\"},"
		"\"attributes\":{\"creationDate\":\"2020-09-14T01:00:00Z\"},\"ec2RoleDelivery\":\"1.0\"},\"inScopeOf\":"
		"{\"issuerType\":\"AWS::EC2::Instance\",\"sourceAccount\":\"111122223333\",\"credentialsIssuedTo\":"
		"\"arn:aws:ec2:x:1:instance/i-0123456789abcdef0\"}}}",
		"{\"eventID\":\"e\",\"userIdentity\":{\"principalId\":\"AROA:i-0123456789abcdef0\",\"accountId\":"
		"\"111122223333\"}}",
		"{\"userIdentity\":{\"inScopeOf\":{\"issuerType\":\"AWS::EC2::Instance\",\"sourceAccount\":"
		"\"111122223333\"}}}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(records); i++) {
		const struct event event = read_event(records[i]);
		check_written(&event);
	}
}

/* Fields of real records, as jansson reads them. */
static void compare(const json_t *record)
{
	CLEANUP_FREE char *text = json_dumps(record, 0);
	const struct event event = read_event(text);
	const struct {
		const char *path, *text;
	} fields[] = {
		{"eventID", event.id},
		{"eventName", event.name},
		{"eventSource", event.service},
		{"errorCode", event.error_code},
		{"sourceIPAddress", event.source_text},
		{"userIdentity.accessKeyId", event.access_key_id},
		{"userIdentity.principalId", event.principal_id},
		{"userIdentity.sessionContext.sessionIssuer.userName", event.role},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
		const char *wanted = json_text_at(record, fields[i].path);
		assert_string_equal(fields[i].text, wanted != NULL ? wanted : "");
	}
	assert_true(event.at_us > 0);
	check_written(&event);
}

static void test_real_records(void **state)
{
	CLEANUP_BUFFER struct buffer lines = {0};
	DIR *all = opendir(TEST_DATA "/cloudtrail/stratus");
	size_t count = 0;
	(void)state;
	assert_int_equal(buffer_read_file(&lines, OTRF_FILE, NULL), 0);
	for (char *line = strtok(lines.bytes, "\n"); line != NULL; line = strtok(NULL, "\n"), count++) {
		CLEANUP_JSON json_t *record = support_json(line);
		compare(record);
	}
	for (const struct dirent *entry; (entry = readdir(all)) != NULL;) {
		char path[512];
		CLEANUP_JSON json_t *file = NULL;
		(void)snprintf(path, sizeof(path), TEST_DATA "/cloudtrail/stratus/%s", entry->d_name);
		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		assert_int_equal(json_read_file(path, &file, NULL), 0);
		for (size_t i = 0; i < json_array_size(file); i++, count++)
			compare(json_array_get(file, i));
	}
	closedir(all);
	assert_int_equal(count, 103 + 310);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_odd_fields_are_unknown),
		cmocka_unit_test(test_missing_identity),
		cmocka_unit_test(test_too_long_is_unknown),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_scope_names_the_instance),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_real_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
