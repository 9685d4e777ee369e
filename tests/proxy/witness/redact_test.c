/* SPDX-License-Identifier: Apache-2.0 */

/* No live secret of a command line is stored, and what is none stays readable. */
#include "tests/common/unit.h"

#include "proxy/witness/redact.h"

#define TOKEN "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKg=="

static const struct {
	const char *name, *previous, *argument, *patterns, *stored; /* NULL: as it is */
} cases[] = {
	{"token header", "-H", "X-aws-ec2-metadata-token: " TOKEN, "", "X-aws-ec2-metadata-token: " REDACTED},
	{"token header in small letters", "-H", "x-aws-ec2-metadata-token:" TOKEN, "",
         "x-aws-ec2-metadata-token:" REDACTED},
	{"token header glued", NULL, "-HX-aws-ec2-metadata-token: " TOKEN, "", "-HX-aws-ec2-metadata-token: " REDACTED},
	{"token header with any value", "-H", "X-aws-ec2-metadata-token: abc", "",
         "X-aws-ec2-metadata-token: " REDACTED},
	{"header with spaces", "-H", "X-aws-ec2-metadata-token:  a b c", "", "X-aws-ec2-metadata-token:  " REDACTED},
	{"token by its shape", NULL, TOKEN, "", REDACTED},
	{"token inside", NULL, "x" TOKEN "/y", "", "x" REDACTED "/y"},
	{"two tokens", NULL, TOKEN " " TOKEN, "", REDACTED " " REDACTED},
	{"script", "-c", "curl -H \"X-aws-ec2-metadata-token: " TOKEN "\" http://169.254.169.254/", "",
         "curl -H \"X-aws-ec2-metadata-token: " REDACTED "\" http://169.254.169.254/"},
	{"script, single quotes", "-c", "curl -H 'Authorization: Bearer abc.def' x", "",
         "curl -H 'Authorization: " REDACTED "' x"},
	{"security token", "-H", "X-Amz-Security-Token: IQoJb3JpZ2lu", "", "X-Amz-Security-Token: " REDACTED},
	{"environment", NULL, "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "", "AWS_SECRET_ACCESS_KEY=" REDACTED},
	{"environment, quoted", NULL, "AWS_SESSION_TOKEN=\"IQoJb3Jp\"", "", "AWS_SESSION_TOKEN=\"" REDACTED "\""},
	{"environment, then more", "-c", "AWS_SESSION_TOKEN=IQoJ aws s3 ls", "",
         "AWS_SESSION_TOKEN=" REDACTED " aws s3 ls"},
	{"JSON", NULL, "{\"SecretAccessKey\" : \"wJalr\",\"Other\":\"x\"}", "",
         "{\"SecretAccessKey\" : \"" REDACTED "\",\"Other\":\"x\"}"},
	{"JSON, two", NULL, "{\"SecretAccessKey\":\"a1\",\"SessionToken\":\"b2\"}", "",
         "{\"SecretAccessKey\":\"" REDACTED "\",\"SessionToken\":\"" REDACTED "\"}"},
	{"option and value in one", NULL, "--token=abc", "", "--token=" REDACTED},
	{"form fields", "-d", "user=a&password=b&c=d", "", "user=a&password=" REDACTED "&c=d"},
	{"api key", NULL, "api_key=abc", "", "api_key=" REDACTED},
	{"API-Key", "-H", "API-Key: abc", "", "API-Key: " REDACTED},
	{"client secret", NULL, "client_secret=abc", "", "client_secret=" REDACTED},

	{"task", NULL, "http://169.254.170.2/v2/credentials/5f1d3b7c-0d2e", "",
         "http://169.254.170.2/v2/credentials/" REDACTED},
	{"task in a script", "-c", "curl '169.254.170.2/v2/credentials/5f1d' | jq .", "",
         "curl '169.254.170.2/v2/credentials/" REDACTED "' | jq ."},
	{"task, first version", NULL, "169.254.170.2/v1/credentials?id=5f1d&x=y", "",
         "169.254.170.2/v1/credentials?id=" REDACTED "&x=y"},
	{"task, by variable", "-c", "curl 169.254.170.2/v2/credentials/$ID", "", NULL},
	{"pod", NULL, "http://169.254.170.23/v1/credentials", "", NULL},
	{"role", NULL, "/latest/meta-data/iam/security-credentials/web", "", NULL},

	{"behind --secret", "--secret", "abc", "", REDACTED},
	{"behind --password", "--password", "abc", "", REDACTED},
	{"behind --Password", "--Password", "abc", "", REDACTED},
	{"behind --token", "--token", "abc", "", REDACTED},
	{"behind --secret-key", "--secret-key", "abc", "", REDACTED},
	{"behind --session-token", "--session-token", "abc", "", REDACTED},
	{"behind --secret-access-key", "--secret-access-key", "abc", "", REDACTED},
	{"behind --api-key", "--api-key", "abc", "", REDACTED},

	{"pattern", NULL, "hush-1", "hush-*", REDACTED},
	{"second pattern", NULL, "pin=1234", "hush-* pin=????", REDACTED},
	{"patterns with odd spaces", NULL, "b", "  a \t b ", REDACTED},
	{"pattern that matches in part", NULL, "my hush-1", "hush-*", NULL},
	{"pattern longer than the argument", NULL, "hush", "hush-*", NULL},
	{"empty pattern list", NULL, "x", "   ", NULL},

	{"empty", NULL, "", "", NULL},
	{"plain", NULL, "/usr/bin/curl", "", NULL},
	{"TTL header", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 21600", "", NULL},
	{"TTL header in small letters", "-H", "x-aws-ec2-metadata-token-ttl-seconds:21600", "", NULL},
	{"path of the token", NULL, "http://169.254.169.254/latest/api/token", "", NULL},
	{"path of a secret", NULL, "/etc/secret/password", "", NULL},
	{"variable", "-H", "X-aws-ec2-metadata-token: $TOKEN", "", NULL},
	{"option without a value", NULL, "--token", "", NULL},
	{"name without a value", NULL, "token=", "", NULL},
	{"header without a value", NULL, "Authorization:", "", NULL},
	{"taken out already", NULL, "token=" REDACTED, "", NULL},
	{"start of a token", NULL, "AQAEAIXkhdOR3sIqAVRdg0mV", "", NULL},
	{"word that ends like a name", NULL, "tokens=5", "", NULL},
	{"bytes above ASCII", NULL, "\xff\xfe token", "", NULL},
	{"behind another option", "--output", "json", "", NULL},
	{"behind an option's start", "--tok", "abc", "", NULL},
};

static void takes_secrets_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char to[512];
		bool any = redact_argument(cases[i].argument, cases[i].previous, cases[i].patterns, to, sizeof(to));
		const char *expected = cases[i].stored != NULL ? cases[i].stored : cases[i].argument;
		CHECK_TEXT(cases[i].name, to, expected);
		CHECK_NUMBER(cases[i].name, any, cases[i].stored != NULL);
	}
}

/* For every size: terminated, within bounds, and a prefix of the whole. */
static void is_bounded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char whole[512];
		(void)redact_argument(cases[i].argument, cases[i].previous, cases[i].patterns, whole, sizeof(whole));
		for (size_t size = 1; size < 80; size++) {
			char *to = malloc(size); /* on the heap, where writing too far is seen */
			assert_non_null(to);
			memset(to, 'x', size);
			(void)redact_argument(cases[i].argument, cases[i].previous, cases[i].patterns, to, size);
			CHECK(cases[i].name, strnlen(to, size) < size);
			CHECK(cases[i].name, strncmp(to, whole, strlen(to)) == 0);
			free(to);
		}
	}
}

/* `aws configure set NAME VALUE` has its secret behind a bare name. */
static void knows_names_whose_value_is_the_next_argument(void **state)
{
	static const char *const previous[] = {"aws_secret_access_key", "aws_session_token"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(previous); i++) {
		char to[128];
		CHECK(previous[i],
		      redact_argument("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", previous[i], "", to, sizeof(to)));
		CHECK_TEXT(previous[i], to, REDACTED);
	}
}

/* A variable is `$` and a name; a value may start with `$` as well. */
static void takes_no_secret_for_a_variable(void **state)
{
	char to[128];
	(void)state;
	assert_true(redact_argument("password=$2b$12$EXAMPLEEXAMPLEEXAMPLE", NULL, "", to, sizeof(to)));
	assert_string_equal(to, "password=" REDACTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_secrets_out),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(knows_names_whose_value_is_the_next_argument),
		cmocka_unit_test(takes_no_secret_for_a_variable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
