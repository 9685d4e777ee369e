/* SPDX-License-Identifier: Apache-2.0 */

/* Forms in which a credential leaks, and what of it is recognised. */
#include "tests/common/unit.h"

#include "cli/leaked.h"

#define KEY "ASIAY34FZKBOKMUTVV7A"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TOKEN "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJGMEQCIE+/abc=="

static const struct {
	const char *name, *text;
	const char *key, *secret, *token; /* of the first one */
	size_t count;
} cases[] = {
	{"IMDS",
         "{\n  \"Code\" : \"Success\",\n  \"AccessKeyId\" : \"" KEY "\",\n  \"SecretAccessKey\" : \"" SECRET "\",\n"
         "  \"Token\" : \"" TOKEN "\"\n}",
         KEY, SECRET, TOKEN, 1},
	{"sts assume-role",
         "{\"Credentials\":{\"AccessKeyId\":\"" KEY "\",\"SecretAccessKey\":\"" SECRET "\","
         "\"SessionToken\":\"" TOKEN "\"},\"AssumedRoleUser\":{\"Arn\":\"a\"}}",
         KEY, SECRET, TOKEN, 1},
	{"process credentials",
         "{\"Version\":1,\"AccessKeyId\":\"" KEY "\",\"SecretAccessKey\":\"" SECRET "\","
         "\"SessionToken\":\"" TOKEN "\"}",
         KEY, SECRET, TOKEN, 1},
	{"two in a list", "[{\"AccessKeyId\":\"" KEY "\"},{\"AccessKeyId\":\"" KEY "\"}]", KEY, "", "", 2},
	{"JSON without a token", "{\"AccessKeyId\":\"" KEY "\",\"SecretAccessKey\":\"" SECRET "\"}", KEY, SECRET, "",
         1},
	{"JSON with nulls", "{\"AccessKeyId\":\"" KEY "\",\"SecretAccessKey\":null,\"Token\":\"\"}", KEY, "", "", 1},
	{"broken JSON", "{ \"AccessKeyId\" : \"" KEY "\",\n \"SecretAccessKey\" : \"" SECRET "\",\n \"Tok", KEY, SECRET,
         "", 1},
	{"credentials file",
         "[default]\naws_access_key_id = " KEY "\naws_secret_access_key = " SECRET "\n"
         "aws_session_token = " TOKEN "\nregion = eu-west-1\n",
         KEY, SECRET, TOKEN, 1},
	{"two profiles", "[a]\naws_access_key_id=" KEY "\n[b]\naws_secret_access_key=x\n", KEY, "", "", 2},
	{"old security token", "aws_access_key_id=" KEY "\naws_security_token=" TOKEN "\n", KEY, "", TOKEN, 1},
	{"exports",
         "export AWS_ACCESS_KEY_ID=" KEY "\nexport AWS_SECRET_ACCESS_KEY=\"" SECRET "\"\n"
         "export AWS_SESSION_TOKEN='" TOKEN "'\n",
         KEY, SECRET, TOKEN, 1},
	{"PowerShell", "$Env:AWS_ACCESS_KEY_ID=\"" KEY "\"\r\n$Env:AWS_SECRET_ACCESS_KEY=\"" SECRET "\"\r\n", KEY,
         SECRET, "", 1},
	{"cmd", "set AWS_ACCESS_KEY_ID=" KEY "\r\nset AWS_SECRET_ACCESS_KEY=" SECRET "\r\n", KEY, SECRET, "", 1},
	{"YAML", "  accessKeyId: " KEY "\n  secretAccessKey: \"" SECRET "\"\n", KEY, SECRET, "", 1},
	{"one assignment", "AWS_SECRET_ACCESS_KEY=" SECRET, "", SECRET, "", 1},
	{"a lone secret", SECRET "\n", "", SECRET, SECRET, 1},
	{"a lone token", "  " TOKEN "  ", "", TOKEN, TOKEN, 1},
	{"a lone key id", KEY, KEY, "", "", 1},
	{"nothing", "", NULL, NULL, NULL, 0},
	{"white space", " \n\t", NULL, NULL, NULL, 0},
	{"prose", "nothing of that kind here\nat all", NULL, NULL, NULL, 0},
	{"other JSON", "{\"a\":{\"b\":[1,2]}}", NULL, NULL, NULL, 0},
	{"a name without a value", "aws_access_key_id =\n", NULL, NULL, NULL, 0},
};

static bool holds(const struct secret *secret, const char *text)
{
	return secret->length == strlen(text) && memcmp(secret->bytes, text, secret->length) == 0;
}

static void forms_are_recognised(void **state)
{
	static struct leaked found[LEAKED_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		size_t count = 0;
		struct error problem = {0};
		int result = leaked_read(cases[i].text, strlen(cases[i].text), found, &count, &problem);
		CHECK_NUMBER(cases[i].name, result, cases[i].count > 0 ? 0 : -1);
		CHECK_NUMBER(cases[i].name, count, cases[i].count);
		if (count == 0)
			continue;
		CHECK_TEXT(cases[i].name, found[0].access_key_id, cases[i].key);
		CHECK(cases[i].name, holds(&found[0].secret, cases[i].secret));
		CHECK(cases[i].name, holds(&found[0].token, cases[i].token));
		leaked_done(found, count);
		CHECK(cases[i].name, found[0].secret.length == 0 || found[0].secret.bytes[0] == 0);
	}
}

static void no_message_quotes_what_leaked(void **state)
{
	static const char *const inputs[] = {
		"{\"SecretKey\":{\"" SECRET "\":1},}",
		"[" SECRET,
		"a " SECRET " b",
		"AccessKeyId: " SECRET SECRET SECRET SECRET,
	};
	static struct leaked found[LEAKED_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(inputs); i++) {
		size_t count = 0;
		struct error problem = {0};
		if (leaked_read(inputs[i], strlen(inputs[i]), found, &count, &problem) == 0)
			leaked_done(found, count);
		CHECK(inputs[i], strstr(problem.text, "wJalr") == NULL);
	}
}

static void there_is_an_end_to_how_many(void **state)
{
	static struct leaked found[LEAKED_MAX];
	char text[64 * (LEAKED_MAX + 1) + 1] = "";
	size_t count = 0;
	struct error problem = {0};
	(void)state;
	for (int i = 0; i <= LEAKED_MAX; i++)
		(void)strcat(text, "aws_access_key_id=" KEY "\n");
	assert_int_equal(leaked_read(text, strlen(text), found, &count, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_are_recognised),
		cmocka_unit_test(no_message_quotes_what_leaked),
		cmocka_unit_test(there_is_an_end_to_how_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
