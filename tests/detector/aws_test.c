/* SPDX-License-Identifier: Apache-2.0 */

/* What decides how AWS is spoken to, without a network: answers, verdicts, endpoints, shared files, credentials. */
#include "tests/detector/support.h"

#include "detector/aws_answer.h"
#include "detector/aws_credentials.h"
#include "detector/aws_endpoint.h"
#include "detector/aws_http.h"
#include "detector/aws_process.h"
#include "detector/aws_profile.h"
#include "detector/aws_verdict.h"

/* ---- answers */

static const struct {
	const char *text, *json; /* NULL: refused */
} answers[] = {
	{"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", NULL},
	{"<a><b></a>", NULL},
	{"<a>", NULL},
	{"<a/><b/>", NULL},
	{"{\"a\":", NULL},
	{"no answer", NULL},
	{"", "{}"},
	{" \n", "{}"},
	{"<a/>", "{}"},
	{"<a>text</a>", "{}"},
	{"{\"a\":1}", "{\"a\":1}"},
	{"<?xml version=\"1.0\"?>\n<r xmlns=\"u\"><b>1</b></r>", "{\"b\":\"1\"}"},
	{"<r><b/><c> x </c></r>", "{\"b\":\"\",\"c\":\" x \"}"},
	{"<r><b>1</b><b>2</b><b>3</b></r>", "{\"b\":[\"1\",\"2\",\"3\"]}"},
	{"<r> <b> <c>1</c> </b> <b><c>&amp;&#43;</c></b> </r>", "{\"b\":[{\"c\":\"1\"},{\"c\":\"&+\"}]}"},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
		CLEANUP_JSON json_t *answer = NULL;
		struct error err = {0};
		int result = aws_answer_read(answers[i].text, strlen(answers[i].text), &answer, &err);
		CLEANUP_FREE char *line = result == 0 ? json_line(answer) : NULL;
		if ((result == 0) != (answers[i].json != NULL) || (result < 0 && err.code != ERROR_INPUT) ||
		    (line != NULL && strcmp(line, answers[i].json) != 0))
			fail_msg("%s: %s%s", answers[i].text, line != NULL ? line : "", err.text);
	}
}

static void test_bounds(void **state)
{
	CLEANUP_BUFFER struct buffer deep = {0}, wide = {0};
	CLEANUP_JSON json_t *answer = NULL;
	struct error err = {0};
	(void)state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(buffer_append(&deep, "<a>", 3, NULL), 0);
	assert_int_equal(aws_answer_read(deep.bytes, deep.length, &answer, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
	assert_int_equal(buffer_append(&wide, "<a><b>", 6, NULL), 0);
	for (size_t i = 0; i <= AWS_XML_TEXT_BYTES; i++)
		assert_int_equal(buffer_append(&wide, "x", 1, NULL), 0);
	assert_int_equal(buffer_append(&wide, "</b></a>", 8, NULL), 0);
	err = (struct error){0};
	assert_int_equal(aws_answer_read(wide.bytes, wide.length, &answer, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_lists(void **state)
{
	static const struct {
		const char *json;
		size_t count;
	} lists[] = {{"{}", 0},
	             {"{\"l\":{}}", 0},
	             {"{\"l\":{\"item\":\"\"}}", 0},
	             {"{\"l\":{\"item\":\"x\"}}", 1},
	             {"{\"l\":{\"item\":{\"a\":\"b\"}}}", 1},
	             {"{\"l\":{\"item\":[\"x\",\"y\"]}}", 2}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_JSON json_t *answer = support_json(lists[i].json);
		size_t count = 0;
		while (aws_answer_list(answer, "l.item", count) != NULL)
			count++;
		assert_int_equal(count, lists[i].count);
	}
}

static const struct {
	const char *answer;
	long status;
	const char *code, *region;
	enum aws_verdict verdict;
} faults[] = {
	{"", 503, "", "", AWS_RETRY},
	{"", 500, "", "", AWS_RETRY},
	{"", 501, "", "", AWS_FAIL},
	{"", 301, "", "", AWS_REGION},
	{"<html>busy</html>", 502, "", "", AWS_RETRY},
	{"<Error><Code>SlowDown</Code><Message>m</Message></Error>", 503, "SlowDown", "", AWS_RETRY},
	{"<Error><Code>AccessDenied</Code></Error>", 403, "AccessDenied", "", AWS_FAIL},
	{"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>", 400,
         "AuthorizationHeaderMalformed", "eu-west-1", AWS_REGION},
	{"<Error><Code>ExpiredToken</Code></Error>", 400, "ExpiredToken", "", AWS_EXPIRED},
	{"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", 400, "Throttling", "", AWS_RETRY},
	{"<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>", 503,
         "RequestLimitExceeded", "", AWS_RETRY},
	{"{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}", 400, "QueueDoesNotExist", "",
         AWS_FAIL},
	{"{\"__type\":\"ThrottlingException\",\"Message\":\"m\"}", 400, "ThrottlingException", "", AWS_RETRY},
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
		struct aws_fault fault;
		aws_answer_fault(faults[i].answer, strlen(faults[i].answer), &fault);
		if (strcmp(fault.code, faults[i].code) != 0 || strcmp(fault.region, faults[i].region) != 0 ||
		    aws_verdict_of(faults[i].status, &fault) != faults[i].verdict)
			fail_msg("%s: code \"%s\", verdict %d", faults[i].answer, fault.code,
			         (int)aws_verdict_of(faults[i].status, &fault));
	}
	assert_int_equal(aws_verdict_wait_ms(1), 200);
	assert_int_equal(aws_verdict_wait_ms(3), 800);
	assert_int_equal(aws_verdict_wait_ms(15), 20000);
	assert_int_equal(aws_verdict_wait_ms(1000), 20000);
}

/* ---- endpoints */

static const struct {
	const char *service, *region, *bucket, *given;
	const char *base, *host, *folder, *signed_for; /* base NULL: refused */
} endpoints[] = {
	{"sts", NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{"sts", "", NULL, NULL, NULL, NULL, NULL, NULL},
	{"sts", "us-east-1.evil.example/", NULL, NULL, NULL, NULL, NULL, NULL},
	{"s3", "us-east-1", "a/b", NULL, NULL, NULL, NULL, NULL},
	{"s3", "us-east-1", "..", NULL, NULL, NULL, NULL, NULL},
	{"s3", "us-east-1", "bucket", "ftp://h", NULL, NULL, NULL, NULL},
	{"s3", "us-east-1", "bucket", "http://", NULL, NULL, NULL, NULL},
	{"s3", "us-east-1", "bucket", "http://h/p", NULL, NULL, NULL, NULL},
	{"s3", "us-east-1", "bucket", "http://user@h", NULL, NULL, NULL, NULL},
	{"sts", "eu-west-1", NULL, NULL, "https://sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com", "",
         "eu-west-1"},
	{"ec2", "cn-north-1", NULL, NULL, "https://ec2.cn-north-1.amazonaws.com.cn", "ec2.cn-north-1.amazonaws.com.cn",
         "", "cn-north-1"},
	{"organizations", "eu-west-1", NULL, NULL, "https://organizations.us-east-1.amazonaws.com",
         "organizations.us-east-1.amazonaws.com", "", "us-east-1"},
	{"s3", "eu-west-1", "trail-logs", NULL, "https://trail-logs.s3.eu-west-1.amazonaws.com",
         "trail-logs.s3.eu-west-1.amazonaws.com", "", "eu-west-1"},
	{"s3", "eu-west-1", "trail.logs", NULL, "https://s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com",
         "/trail.logs", "eu-west-1"},
	{"s3", "eu-west-1", "logs", "http://127.0.0.1:9000/", "http://127.0.0.1:9000", "127.0.0.1:9000", "/logs",
         "eu-west-1"},
	{"s3", "eu-west-1", "logs", "https://s3.example:443", "https://s3.example:443", "s3.example", "/logs",
         "eu-west-1"},
	{"s3", "eu-west-1", "logs", "http://s3.example:80", "http://s3.example:80", "s3.example", "/logs", "eu-west-1"},
};

static void test_endpoints(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++) {
		struct aws_endpoint endpoint;
		struct error err = {0};
		int result = aws_endpoint_of(endpoints[i].service, endpoints[i].region, endpoints[i].bucket,
		                             endpoints[i].given, &endpoint, &err);
		if ((result == 0) != (endpoints[i].base != NULL))
			fail_msg("row %zu: %s", i, err.text);
		if (result < 0)
			continue;
		assert_string_equal(endpoint.base, endpoints[i].base);
		assert_string_equal(endpoint.host, endpoints[i].host);
		assert_string_equal(endpoint.folder, endpoints[i].folder);
		assert_string_equal(endpoint.region, endpoints[i].signed_for);
	}
}

static void test_given_endpoints(void **state)
{
	(void)state;
	assert_null(aws_endpoint_given("s3"));
	assert_int_equal(setenv("AWS_ENDPOINT_URL", "http://all", 1), 0);
	assert_int_equal(setenv("AWS_ENDPOINT_URL_S3", "http://s3", 1), 0);
	assert_string_equal(aws_endpoint_given("s3"), "http://s3");
	assert_string_equal(aws_endpoint_given("sts"), "http://all");
	assert_int_equal(setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1), 0);
	assert_null(aws_endpoint_given("s3"));
	(void)unsetenv("AWS_ENDPOINT_URL");
	(void)unsetenv("AWS_ENDPOINT_URL_S3");
	(void)unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
}

/* ---- shared files */

static const struct {
	const char *name;
	bool is_config;
	const char *text;
	bool exists;
	const char *id, *secret, *token, *region, *unserved;
} profiles[] = {
	{"default", false, "", false, "", "", "", "", ""},
	{"p", false, "[default]\naws_access_key_id=A\n", false, "", "", "", "", ""},
	{"p", true, "[p]\nregion=r\n", false, "", "", "", "", ""},
	{"p", true, "[profilep]\nregion=r\n", false, "", "", "", "", ""},
	{"default", true, "[default]\nregion = eu-west-1\n", true, "", "", "", "eu-west-1", ""},
	{"p", true, "[ profile   p ]\nregion=r # here\ns3 =\n  region = nested\n[profile q]\nregion=x\n", true, "", "",
         "", "r", ""},
	{"p", false, "; c\n[p]\n# c\naws_access_key_id = A\r\nAWS_SECRET_ACCESS_KEY=S#=;1\naws_session_token=T==\n",
         true, "A", "S#=;1", "T==", "", ""},
	{"p", true, "[profile p]\nrole_arn = arn:x\nsource_profile = q\n", true, "", "", "", "", ""},
	{"p", true, "[profile p]\nsso_session = s\n", true, "", "", "", "", "sso_session"},
	{"p", false, "[p\naws_access_key_id=A\n", false, "", "", "", "", ""},
};

static void assert_secret(const struct secret *secret, const char *text)
{
	assert_int_equal(secret->length, strlen(text));
	assert_memory_equal(secret->bytes, text, secret->length);
}

static void test_profiles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(profiles); i++) {
		CLEANUP_PROFILE struct aws_profile profile = {0};
		CLEANUP_FREE char *text = strdup(profiles[i].text);
		struct error err = {0};
		(void)snprintf(profile.name, sizeof(profile.name), "%s", profiles[i].name);
		assert_int_equal(aws_profile_parse(text, profiles[i].is_config, &profile, &err), 0);
		if (profile.exists != profiles[i].exists)
			fail_msg("row %zu: exists %d", i, profile.exists);
		assert_string_equal(profile.access_key_id, profiles[i].id);
		assert_string_equal(profile.region, profiles[i].region);
		assert_string_equal(profile.unserved, profiles[i].unserved);
		assert_secret(&profile.secret_key, profiles[i].secret);
		assert_secret(&profile.session_token, profiles[i].token);
	}
}

/* ---- commands */

static const struct {
	const char *line;
	const char *words; /* with | between; NULL: refused */
} commands[] = {
	{"", NULL},
	{" \t ", NULL},
	{"'a", NULL},
	{"a \"b", NULL},
	{"a b", "a|b"},
	{"  a\t b  ", "a|b"},
	{"'a b' \"c d\"", "a b|c d"},
	{"a\\ b 'c\\ d' \"e\\ f\"", "a b|c\\ d|e\\ f"},
	{"a'b'\"c\"d", "abcd"},
	{"\"a\\\"b\\\\c\" '\"'", "a\"b\\c|\""},
	{"a '' \"\" b", "a|||b"},
	{"$HOME `b` ; c | d > e *", "$HOME|`b`|;|c|||d|>|e|*"},
	{"a\\", "a\\"},
};

static void test_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
		CLEANUP_FREE char *line = strdup(commands[i].line);
		CLEANUP_BUFFER struct buffer found = {0};
		char *words[AWS_PROCESS_WORDS + 1];
		struct error err = {0};
		if (aws_process_split(line, words, &err) < 0) {
			if (commands[i].words != NULL || err.text[0] == '\0')
				fail_msg("row %zu: %s", i, err.text);
			continue;
		}
		for (size_t w = 0; words[w] != NULL; w++)
			assert_int_equal(buffer_printf(&found, NULL, "%s%s", w > 0 ? "|" : "", words[w]), 0);
		assert_non_null(commands[i].words);
		assert_string_equal(found.bytes, commands[i].words);
	}
}

static void test_many_words(void **state)
{
	char line[2 * (AWS_PROCESS_WORDS + 1) + 1];
	char *words[AWS_PROCESS_WORDS + 1];
	struct error err = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		line[i] = i % 2 == 0 ? 'a' : ' ';
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(aws_process_split(line, words, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_profile_bounds(void **state)
{
	CLEANUP_PROFILE struct aws_profile profile = {.name = "p"};
	CLEANUP_BUFFER struct buffer text = {0};
	struct error err = {0};
	(void)state;
	assert_int_equal(buffer_printf(&text, NULL, "[p]\naws_session_token="), 0);
	for (int i = 0; i <= SECRET_MAX_BYTES; i++)
		assert_int_equal(buffer_append(&text, "x", 1, NULL), 0);
	assert_int_equal(aws_profile_parse(text.bytes, false, &profile, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
	char region[] = "[p]\nregion=rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr";
	assert_int_equal(aws_profile_parse(region, false, &profile, &err), -1);
	assert_non_null(strstr(err.text, "region"));
}

/* ---- credentials */

static const struct {
	const char *json, *says; /* says NULL: taken */
} documents[] = {
	{"", "no JSON"},
	{"<a/>", "no JSON"},
	{"{\"Code\":\"Failed\"}", "the answer says Failed"},
	{"{\"AccessKeyId\":\"A\"}", "expected AccessKeyId and SecretAccessKey"},
	{"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}", "Expiration: expected a time"},
	{"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
         "\"Expiration\":\"2026-01-01T00:00:00Z\"}",
         NULL},
};

static void test_documents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(documents); i++) {
		CLEANUP_CREDENTIALS struct aws_credentials credentials = {.source = "a test"};
		struct error err = {0};
		int result = aws_credentials_parse(documents[i].json, strlen(documents[i].json), &credentials, &err);
		if ((result == 0) != (documents[i].says == NULL) ||
		    (result < 0 && strstr(err.text, documents[i].says) == NULL))
			fail_msg("%s: %s", documents[i].json, err.text);
		if (result < 0)
			continue;
		assert_secret(&credentials.secret_key, "S");
		assert_secret(&credentials.session_token, "T");
		assert_int_equal(credentials.expires_us, support_time("2026-01-01T00:00:00Z"));
		assert_string_equal(credentials.source, "a test");
	}
}

#define NOWHERE "http://127.0.0.1:1"

/* The rungs that need no answer, and where the container's token is never sent. */
static const struct {
	const char *variables[8]; /* name, value, ... */
	bool is_named;
	const char *id, *says;
} ladders[] = {
	{{NULL}, false, NULL, "no AWS credentials"},
	{{"AWS_ACCESS_KEY_ID", "A"}, false, NULL, "only one is set"},
	{{"AWS_ACCESS_KEY_ID", "A", "AWS_SECRET_ACCESS_KEY", "S"}, false, "A", NULL},
	{{"AWS_ACCESS_KEY_ID", "A", "AWS_SECRET_ACCESS_KEY", "S"}, true, NULL, "no AWS credentials"},
	{{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "no-path"}, false, NULL, "expected a path"},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/c"}, false, NULL, "expected a path"},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example.org/c"}, false, NULL, "expected a path"},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost.example.org/c"}, false, NULL, "expected a path"},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost@example.org/c"}, false, NULL, "expected a path"},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", NOWHERE "/c"}, false, NULL, "the container's credentials: "},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", NOWHERE "/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\nb: c"},
         false,
         NULL,
         "line break"},
	{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", NOWHERE "/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere"},
         false,
         NULL,
         "/nowhere"},
};

static void test_ladders(void **state)
{
	struct aws_http *http = NULL;
	const struct aws_profile profile = {.name = "default"};
	(void)state;
	assert_int_equal(aws_http_new(NULL, &http, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(ladders); i++) {
		CLEANUP_CREDENTIALS struct aws_credentials credentials = {0};
		struct error err = {0};
		assert_int_equal(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
		for (size_t at = 0; at < 8 && ladders[i].variables[at] != NULL; at += 2)
			assert_int_equal(setenv(ladders[i].variables[at], ladders[i].variables[at + 1], 1), 0);
		int result = aws_credentials_find(http, &profile, ladders[i].is_named, NULL, &credentials, &err);
		if ((result == 0) != (ladders[i].says == NULL) ||
		    (result < 0 && strstr(err.text, ladders[i].says) == NULL))
			fail_msg("row %zu: %s", i, err.text);
		if (result == 0)
			assert_string_equal(credentials.access_key_id, ladders[i].id);
		for (size_t at = 0; at < 8 && ladders[i].variables[at] != NULL; at += 2)
			(void)unsetenv(ladders[i].variables[at]);
	}
	aws_http_free(http);
}

/* No proxy, profile or instance of whoever runs the tests. */
static int setup(void **state)
{
	extern char **environ;
	for (char **entry = environ; *entry != NULL;) {
		char name[128];
		size_t length = strcspn(*entry, "=");
		(void)snprintf(name, sizeof(name), "%.*s", (int)length, *entry);
		if (text_starts(name, "AWS_") || strstr(name, "_proxy") != NULL)
			(void)unsetenv(name);
		else
			entry++;
	}
	(void)state;
	return setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),   cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_lists),     cmocka_unit_test(test_faults),
		cmocka_unit_test(test_endpoints), cmocka_unit_test(test_given_endpoints),
		cmocka_unit_test(test_profiles),  cmocka_unit_test(test_profile_bounds),
		cmocka_unit_test(test_commands),  cmocka_unit_test(test_many_words),
		cmocka_unit_test(test_documents), cmocka_unit_test(test_ladders),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
