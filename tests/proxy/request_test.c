/* SPDX-License-Identifier: Apache-2.0 */

/* What is read out of a good head. */
#include "tests/common/unit.h"

#include "proxy/request.h"
#include "proxy/screen.h"

#define LINE "GET /latest/meta-data/ HTTP/1.1\r\n"

static const struct {
	const char *name, *head;
	struct request request;
} cases[] = {
	{"nothing but a line", "GET / HTTP/1.0\r\n\r\n", {.method = "GET", .target = "/"}},
	{"all that is looked at",
         "PUT /latest/api/token?a=b HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: curl/8\r\n"
         "X-aws-ec2-metadata-token-ttl-seconds: 60\r\nX-aws-ec2-metadata-token: abc==\r\nAuthorization: Basic x\r\n"
         "X-Forwarded-For: 1.2.3.4\r\nContent-Length: 0\r\n\r\n",
         {.method = "PUT",
          .target = "/latest/api/token?a=b",
          .host = "169.254.169.254",
          .user_agent = "curl/8",
          .ttl = "60",
          .token = "abc==",
          .authorization = "Basic x",
          .has_forwarded_for = true}},
	{"any case of letters",
         LINE "HOST: a\r\nx-AWS-ec2-METADATA-token: b\r\nuser-agent: c\r\n\r\n",
         {.method = "GET", .target = "/latest/meta-data/", .host = "a", .token = "b", .user_agent = "c"}},
	{"blanks around values",
         LINE "Host: \t a b \t\r\nUser-Agent:c\r\n\r\n",
         {.method = "GET", .target = "/latest/meta-data/", .host = "a b", .user_agent = "c"}},
	{"empty values",
         LINE "Host:\r\nX-aws-ec2-metadata-token: \r\n\r\n",
         {.method = "GET", .target = "/latest/meta-data/", .host = "", .token = ""}},
	{"the first of two",
         LINE "User-Agent: a\r\nUser-Agent: b\r\n\r\n",
         {.method = "GET", .target = "/latest/meta-data/", .user_agent = "a"}},
	{"names that are longer or shorter",
         LINE "Hosts: a\r\nX-aws-ec2-metadata-toke: b\r\nX-Forwarded: c\r\n\r\n",
         {.method = "GET", .target = "/latest/meta-data/"}},
	{"forwarded by nobody",
         LINE "x-forwarded-for:\r\n\r\n",
         {.method = "GET", .target = "/latest/meta-data/", .has_forwarded_for = true}},
	{"nothing is decoded",
         "GET /a%2Fb%00+c HTTP/1.1\r\nHost: %41\r\n\r\n",
         {.method = "GET", .target = "/a%2Fb%00+c", .host = "%41"}},
	{"absolute form",
         "GET http://169.254.169.254/ HTTP/1.1\r\n\r\n",
         {.method = "GET", .target = "http://169.254.169.254/"}},
};

static void check_text(const char *name, const char *actual, const char *expected)
{
	CHECK(name, (actual == NULL) == (expected == NULL));
	if (expected != NULL)
		CHECK_TEXT(name, actual, expected);
}

static void splits_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *name = cases[i].name;
		const struct request *wanted = &cases[i].request;
		size_t length = strlen(cases[i].head);
		struct request got;
		CHECK(name, screen_head(cases[i].head, length).verdict == SCREEN_GOOD);
		CLEANUP_FREE char *bytes = malloc(length); /* without a NUL behind it */
		assert_non_null(bytes);
		memcpy(bytes, cases[i].head, length);
		request_split(bytes, length, &got);
		check_text(name, got.method, wanted->method);
		check_text(name, got.target, wanted->target);
		check_text(name, got.host, wanted->host);
		check_text(name, got.token, wanted->token);
		check_text(name, got.ttl, wanted->ttl);
		check_text(name, got.user_agent, wanted->user_agent);
		check_text(name, got.authorization, wanted->authorization);
		CHECK(name, got.has_forwarded_for == wanted->has_forwarded_for);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
