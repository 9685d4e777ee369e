/* SPDX-License-Identifier: Apache-2.0 */

/* Credentials found by content: the documents that IMDS, ECS and EKS are known to send, and what is none. */
#include "tests/common/unit.h"

#include "common/clock.h"
#include "proxy/credential.h"
#include "store/fingerprint.h"

#define ID "ASIAY34FZKBOKMUTVV7A"
#define ID_2 "ASIAQNZGKIQY56JQ7WML"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TOKEN "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////"

static const struct secret_key host_key = {{9, 8, 7}};

#define ROLE_DOCUMENT                                                                                                  \
	"{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2021-09-21T17:31:21Z\",\n  \"Type\" : \"AWS-HMAC\",\n"    \
	"  \"AccessKeyId\" : \"" ID "\",\n  \"SecretAccessKey\" : \"" SECRET "\",\n  \"Token\" : \"" TOKEN "\",\n"     \
	"  \"Expiration\" : \"2021-09-21T23:33:13Z\"\n}"

/* Bodies without a credential: none is found, and it is no error. */
static const struct {
	const char *name, *body;
} none[] = {
	{"empty", ""},
	{"role list", "app-role"},
	{"instance id", "i-0123456789abcdef0"},
	{"empty object", "{}"},
	{"null", "{\"AccessKeyId\":null}"},
	{"number", "{\"AccessKeyId\":1234567890123456}"},
	{"list", "{\"AccessKeyId\":[\"" ID "\"]}"},
	{"object", "{\"AccessKeyId\":{\"a\":\"b\"}}"},
	{"empty id", "{\"AccessKeyId\":\"\"}"},
	{"id too short", "{\"AccessKeyId\":\"ASIAY34FZKBOKMU\"}"},
	{"id with a space", "{\"AccessKeyId\":\"ASIA Y34FZKBOKMUTVV7\"}"},
	{"id with a quote", "{\"AccessKeyId\":\"ASIAY34FZKBO\\\"KMUTVV7\"}"},
	{"other case", "{\"accesskeyid\":\"" ID "\"}"},
	{"name as value", "{\"a\":\"AccessKeyId\"}"},
	{"name inside another", "{\"MyAccessKeyIdentity\":\"" ID "\"}"},
	{"name alone", "AccessKeyId"},
	{"name at the end", "my AccessKeyId\" : \""},
	{"id in small letters, no JSON", "AccessKeyId=asiay34fzkbokmutvv7a"},
	{"cut behind the id's start", "{\"AccessKeyId\" : \"ASIAY34F"},
	{"role not assumable",
         "{\n  \"Code\" : \"AssumeRoleUnauthorizedAccess\",\n  \"Message\" : \"EC2 cannot assume the role wooo.  "
         "Please see "
         "documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#x.\",\n"
         "  \"LastUpdated\" : \"2021-11-11T23:12:38Z\"\n}"},
	{"profile",
         "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2021-09-21T17:31:21Z\",\n  \"InstanceProfileArn\" : "
         "\"arn:aws:iam::123456789012:instance-profile/p\",\n  \"InstanceProfileId\" : \"AIPAY34FZKBOKMUTVV7AA\"\n}"},
	{"profile deleted", "{\n  \"Code\" : \"InstanceProfileNotFound\",\n  \"Message\" : \"x\"\n}"},
	{"identity", "{\n  \"accountId\" : \"123456789012\",\n  \"instanceId\" : \"i-0123456789abcdef0\"\n}"},
};

static void finds_none_where_there_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
		struct key keys[CREDENTIALS_MAX];
		struct error problem = {0};
		CHECK_NUMBER(none[i].name,
		             credential_find(none[i].body, strlen(none[i].body), &host_key, keys, &problem), 0);
		CHECK_NUMBER(none[i].name, problem.code, ERROR_NONE);
	}
}

static const struct {
	const char *name, *body;
	const char *account, *role, *updated, *expires; /* of the first */
	int count;
	const char *ids[2];
	bool has_secret, has_token;
} found[] = {
	{"role",
         ROLE_DOCUMENT,
         "609629065308",
         "",
         "2021-09-21T17:31:21.000000Z",
         "2021-09-21T23:33:13.000000Z",
         1,
         {ID},
         true,
         true},
	{"extended",
         "{\"Code\":\"Success\",\"AccessKeyId\":\"" ID_2 "\",\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" TOKEN
         "\",\"AccountId\":\"123456789012\",\"Expiration\":\"2025-03-12T21:53:17.832308Z\"}",
         "123456789012",
         "",
         NULL,
         "2025-03-12T21:53:17.832308Z",
         1,
         {ID_2},
         true,
         true},
	{"escaped letters",
         "{\"\\u0041ccess\\u004BeyId\":\"\\u0041SIAY34FZKBOKMUTVV7A\",\"SecretAccessKey\":\"" SECRET
         "\",\"Token\":\"" TOKEN "\",\"AccountId\":\"123456789012\"}",
         "123456789012",
         "",
         NULL,
         NULL,
         1,
         {ID},
         true,
         true},
	{"ECS",
         "{\"RoleArn\":\"arn:aws:iam::123456789012:role/path/task-role\",\"AccessKeyId\":\"" ID
         "\",\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" TOKEN "\",\"Expiration\":\"2021-09-21T23:33:13Z\"}",
         "123456789012",
         "task-role",
         NULL,
         "2021-09-21T23:33:13.000000Z",
         1,
         {ID},
         true,
         true},
	{"EKS, nanoseconds",
         "{\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" TOKEN
         "\",\"AccountId\":\"210987654321\",\"Expiration\":\"2025-03-12T21:53:17.832308123Z\"}",
         "210987654321",
         "",
         NULL,
         "2025-03-12T21:53:17.832308Z",
         1,
         {ID},
         true,
         true},
	{"a RoleArn without an account",
         "{\"AccessKeyId\":\"" ID "\",\"RoleArn\":\"arn:aws:iam::12345678901x:role/r\",\"AccountId\":\"x\"}",
         "609629065308",
         "r",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"EKS",
         "{\"Token\":\"" TOKEN "\",\"AccountId\":\"1\",\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":\"" SECRET "\"}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         true,
         true},
	{"nested",
         "{\"a\":{\"b\":[0,null,{\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":\"" SECRET "\"}]}}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         true,
         false},
	{"in a list",
         "[{\"AccessKeyId\":\"" ID "\"},{\"AccessKeyId\":\"" ID_2 "\"}]",
         "609629065308",
         "",
         NULL,
         NULL,
         2,
         {ID, ID_2},
         false,
         false},
	{"one in another",
         "{\"AccessKeyId\":\"" ID "\",\"next\":{\"AccessKeyId\":\"" ID_2 "\"}}",
         "609629065308",
         "",
         NULL,
         NULL,
         2,
         {ID, ID_2},
         false,
         false},
	{"an error and a key",
         "{\"Code\":\"Failed\",\"AccessKeyId\":\"" ID "\"}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"older key id",
         "{\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\"}",
         "",
         "",
         NULL,
         NULL,
         1,
         {"AKIAIOSFODNN7EXAMPLE"},
         false,
         false},
	{"short key id",
         "{\"AccessKeyId\":\"abcdefgh_ABCDEF0\"}",
         "",
         "",
         NULL,
         NULL,
         1,
         {"abcdefgh_ABCDEF0"},
         false,
         false},
	{"bad times",
         "{\"AccessKeyId\":\"" ID "\",\"Expiration\":\"soon\",\"LastUpdated\":7}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"ARN without a path",
         "{\"AccessKeyId\":\"" ID "\",\"RoleArn\":\"role\"}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"numbers for secrets",
         "{\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":1,\"Token\":null}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},

	/* Not JSON: by the name alone. */
	{"cut document",
         "{\n  \"AccessKeyId\" : \"" ID "\",\n  \"SecretAccessKey\" : \"" SECRET "\",\n",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"shell", "AccessKeyId=" ID "\n", "609629065308", "", NULL, NULL, 1, {ID}, false, false},
	{"YAML",
         "AccessKeyId: " ID "\nSecretAccessKey: " SECRET "\n",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"behind garbage",
         "\xff\xfe\x01 AccessKeyId\t:\t\"" ID "\"",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
	{"document with text behind it", ROLE_DOCUMENT "x", "609629065308", "", NULL, NULL, 1, {ID}, false, false},
	{"repeated member",
         "{\"AccessKeyId\":\"" ID "\",\"AccessKeyId\":\"" ID "\"}",
         "609629065308",
         "",
         NULL,
         NULL,
         1,
         {ID},
         false,
         false},
};

static void finds_each_document(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(found); i++) {
		struct key keys[CREDENTIALS_MAX];
		struct error problem = {0};
		int count = credential_find(found[i].body, strlen(found[i].body), &host_key, keys, &problem);
		CHECK_NUMBER(found[i].name, count, found[i].count);
		for (int k = 0; k < count; k++)
			CHECK_TEXT(found[i].name, keys[k].access_key_id, found[i].ids[k]);
		CHECK_TEXT(found[i].name, keys[0].account_id, found[i].account);
		CHECK_TEXT(found[i].name, keys[0].role, found[i].role);
		char text[CLOCK_TEXT_BYTES];
		if (found[i].updated != NULL)
			CHECK_TEXT(found[i].name, clock_format(keys[0].updated_at_us, text), found[i].updated);
		else
			CHECK_NUMBER(found[i].name, keys[0].updated_at_us, 0);
		if (found[i].expires != NULL)
			CHECK_TEXT(found[i].name, clock_format(keys[0].expires_at_us, text), found[i].expires);
		else
			CHECK_NUMBER(found[i].name, keys[0].expires_at_us, 0);
	}
}

static void fingerprints_what_the_document_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(found); i++) {
		struct key keys[CREDENTIALS_MAX];
		struct fingerprint expected;
		struct secret secret = {0}, token = {0};
		assert_int_equal(secret_set(&secret, SECRET, found[i].has_secret ? strlen(SECRET) : 0, NULL), 0);
		assert_int_equal(secret_set(&token, TOKEN, found[i].has_token ? strlen(TOKEN) : 0, NULL), 0);
		assert_int_equal(fingerprint_make(&host_key, found[i].ids[0], &secret, &token, &expected, NULL), 0);
		assert_true(credential_find(found[i].body, strlen(found[i].body), &host_key, keys, NULL) > 0);
		CHECK(found[i].name, memcmp(&keys[0].fingerprint, &expected, sizeof(expected)) == 0);
		CHECK(found[i].name,
		      keys[0].has_secret == found[i].has_secret && keys[0].has_token == found[i].has_token);
	}
}

static void keeps_no_secret(void **state)
{
	struct key keys[CREDENTIALS_MAX];
	(void)state;
	memset(keys, 0, sizeof(keys));
	assert_int_equal(credential_find(ROLE_DOCUMENT, strlen(ROLE_DOCUMENT), &host_key, keys, NULL), 1);
	assert_non_null(memmem(keys, sizeof(keys), ID, strlen(ID)));
	assert_null(memmem(keys, sizeof(keys), SECRET, 8));
	assert_null(memmem(keys, sizeof(keys), TOKEN, 8));
}

static size_t documents(char *to, size_t count)
{
	char *at = to + sprintf(to, "[");
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s{\"AccessKeyId\":\"ASIA%016zu\"}", i > 0 ? "," : "", i);
	at += sprintf(at, "]");
	return (size_t)(at - to);
}

static void bounds_how_many_there_are(void **state)
{
	char body[1024];
	struct key keys[CREDENTIALS_MAX];
	struct error problem = {0};
	(void)state;
	assert_int_equal(credential_find(body, documents(body, CREDENTIALS_MAX), &host_key, keys, &problem),
	                 CREDENTIALS_MAX);
	assert_int_equal(credential_find(body, documents(body, CREDENTIALS_MAX + 1), &host_key, keys, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
}

/* A secret too long to be fingerprinted must not pass as if it were none. */
static void refuses_a_secret_that_is_too_long(void **state)
{
	static const char *const members[] = {"SecretAccessKey", "Token"};
	char body[SECRET_MAX_BYTES + 128], value[SECRET_MAX_BYTES + 2];
	struct key keys[CREDENTIALS_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
		struct error problem = {0};
		memset(value, 'x', sizeof(value));
		value[SECRET_MAX_BYTES] = '\0';
		(void)snprintf(body, sizeof(body), "{\"AccessKeyId\":\"" ID "\",\"%s\":\"%s\"}", members[i], value);
		CHECK_NUMBER(members[i], credential_find(body, strlen(body), &host_key, keys, &problem), 1);
		value[SECRET_MAX_BYTES] = 'x';
		value[SECRET_MAX_BYTES + 1] = '\0';
		(void)snprintf(body, sizeof(body), "{\"AccessKeyId\":\"" ID "\",\"%s\":\"%s\"}", members[i], value);
		CHECK_NUMBER(members[i], credential_find(body, strlen(body), &host_key, keys, &problem), -1);
		CHECK_NUMBER(members[i], problem.code, ERROR_LIMIT);
	}
}

static void looks_into_a_body_that_has_no_end(void **state)
{
	static const char text[] = "AccessKeyId=" ID;
	struct key keys[CREDENTIALS_MAX];
	(void)state;
	/* Every cut: found when the id is whole, and never a byte behind the end is read. */
	for (size_t length = 0; length < sizeof(text); length++) {
		char *cut = malloc(length + 1);
		assert_non_null(cut);
		memcpy(cut, text, length);
		int count = credential_find(cut, length, &host_key, keys, NULL);
		free(cut);
		assert_in_range(count, 0, 1);
		assert_int_equal(count, length >= strlen("AccessKeyId=") + 16);
	}
}

/* What clients would find must be recorded, however it is wrapped. */
static const struct {
	const char *name, *body;
} hidden[] = {
	{"no JSON, behind the bare name", "the AccessKeyId is\nAccessKeyId=" ID "\n"},
	{"no JSON, behind an id that is none", "AccessKeyId=none\nAccessKeyId=" ID "\n"},
	{"repeated member, the first is none", "{\"AccessKeyId\":\"\",\"AccessKeyId\":\"" ID "\"}"},
};

static void finds_what_is_hidden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hidden); i++) {
		struct key keys[CREDENTIALS_MAX];
		CHECK_NUMBER(hidden[i].name,
		             credential_find(hidden[i].body, strlen(hidden[i].body), &host_key, keys, NULL), 1);
		CHECK_TEXT(hidden[i].name, keys[0].access_key_id, ID);
	}
}

static void finds_at_any_depth(void **state)
{
	static const char body[] = "[[[[[[[[[[{\"AccessKeyId\":\"" ID "\"}]]]]]]]]]]";
	struct key keys[CREDENTIALS_MAX];
	(void)state;
	assert_int_equal(credential_find(body, strlen(body), &host_key, keys, NULL), 1);
	assert_string_equal(keys[0].access_key_id, ID);
}

static void finds_two_in_what_is_no_json(void **state)
{
	static const char body[] = "AccessKeyId=" ID "\nAccessKeyId=" ID_2 "\n";
	struct key keys[CREDENTIALS_MAX];
	(void)state;
	assert_int_equal(credential_find(body, strlen(body), &host_key, keys, NULL), 2);
	assert_string_equal(keys[0].access_key_id, ID);
	assert_string_equal(keys[1].access_key_id, ID_2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_none_where_there_is_none),
		cmocka_unit_test(refuses_a_secret_that_is_too_long),
		cmocka_unit_test(bounds_how_many_there_are),
		cmocka_unit_test(finds_each_document),
		cmocka_unit_test(fingerprints_what_the_document_says),
		cmocka_unit_test(keeps_no_secret),
		cmocka_unit_test(looks_into_a_body_that_has_no_end),
		cmocka_unit_test(finds_what_is_hidden),
		cmocka_unit_test(finds_at_any_depth),
		cmocka_unit_test(finds_two_in_what_is_no_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
