/* SPDX-License-Identifier: Apache-2.0 */

/* Answers, byte for byte, in the forms of both generations of the metadata service. */
#include "tests/common/unit.h"

#include "proxy/reply.h"

#define AT INT64_C(1753876800000000) /* Wed, 30 Jul 2025 12:00:00 GMT */
#define DATE "Date: Wed, 30 Jul 2025 12:00:00 GMT\r\n"
#define REFUSAL "Content-Length: 0\r\n" DATE "Server: EC2ws\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"

static const struct {
	int status;
	const char *bytes;
} refusals[] = {
	{400, "HTTP/1.1 400 Bad Request\r\n" REFUSAL},
	{401, "HTTP/1.1 401 Unauthorized\r\n" REFUSAL},
	{403, "HTTP/1.1 403 Forbidden\r\n" REFUSAL},
	{405, "HTTP/1.1 405 Not Allowed\r\nAllow: OPTIONS, PUT\r\n" REFUSAL},
	{417, "HTTP/1.1 417 Expectation Failed\r\n" REFUSAL},
	{503, "HTTP/1.1 503 Service Unavailable\r\n" REFUSAL},
	{500, "HTTP/1.1 503 Service Unavailable\r\n" REFUSAL}, /* a status that we have no form for */
};

static void refuses_with_an_empty_body(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		assert_int_equal(reply_refusal(&to, SERVICE_IMDS, refusals[i].status, AT, NULL), 0);
		CHECK_TEXT("refusal", to.bytes, refusals[i].bytes);
	}
}

static const struct {
	enum service service;
	int status;
	const char *bytes;
} agent_refusals[] = {
	{SERVICE_ECS, 400, "HTTP/1.1 400 Bad Request\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n"},
	{SERVICE_EKS, 403, "HTTP/1.1 403 Forbidden\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n"},
	{SERVICE_EKS, 405,
         "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n" DATE
         "Content-Length: 0\r\nConnection: close\r\n\r\n"},
	{SERVICE_ECS, 503,
         "HTTP/1.1 503 Service Unavailable\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n"},
};

static void refuses_as_an_agent_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(agent_refusals); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		assert_int_equal(reply_refusal(&to, agent_refusals[i].service, agent_refusals[i].status, AT, NULL), 0);
		CHECK_TEXT("refusal", to.bytes, agent_refusals[i].bytes);
	}
}

#define TOKEN "AQAEAIXkhdOR3sIqAVRdg0mVAdHYRr_fkfFDU7SDzH9whlWZJwANKg=="

static const struct {
	const char *name, *model, *bytes;
} tokens[] = {
	{"no model", "",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Length: 56\r\n" DATE
         "Server: EC2ws\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n" TOKEN},
	{"current",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\nContent-Length: 56\r\n"
         "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: EC2ws\r\nConnection: close\r\nContent-Type: "
         "text/plain\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Length: 56\r\n" DATE
         "Server: EC2ws\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n" TOKEN},
	{"older",
         "HTTP/1.0 200 OK\r\nContent-Length: 56\r\nContent-Type: text/plain\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
         "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\nConnection: close\r\nServer: EC2ws\r\n\r\n",
         "HTTP/1.0 200 OK\r\nContent-Length: 56\r\nContent-Type: text/plain\r\n" DATE
         "X-aws-ec2-metadata-token-ttl-seconds: 60\r\nConnection: close\r\nServer: EC2ws\r\n\r\n" TOKEN},
	{"another length",
         "HTTP/1.0 200 OK\r\ncontent-length: 57\r\nServer: EC2ws\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 1\r\n\r\n",
         "HTTP/1.0 200 OK\r\ncontent-length: 56\r\nServer: EC2ws\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: "
         "60\r\n\r\n" TOKEN},
	{"without TTL and length", "HTTP/1.0 200 OK\r\nServer: EC2ws\r\n\r\n",
         "HTTP/1.0 200 OK\r\nServer: EC2ws\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Length: "
         "56\r\n\r\n" TOKEN},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Length: 56\r\n\r\n" TOKEN},
	{"TTL twice",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 1\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 2\r\n"
         "Content-Length: 1\r\n\r\n",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Length: 56\r\n\r\n" TOKEN},
};

static struct buffer text_buffer(const char *text)
{
	struct buffer made = {0};
	if (text != NULL)
		assert_int_equal(buffer_append(&made, text, strlen(text), NULL), 0);
	return made;
}

static void gives_a_token_in_the_form_of_upstream(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		CLEANUP_BUFFER struct buffer model = text_buffer(tokens[i].model);
		assert_int_equal(reply_token(&to, &model, TOKEN, 60, AT, NULL), 0);
		CHECK_TEXT(tokens[i].name, to.bytes, tokens[i].bytes);
	}
}

#define A_REST                                                                                                         \
	"Content-Type: text/plain\r\nAccept-Ranges: none\r\nLast-Modified: Thu, 27 Jun 2024 05:01:44 GMT\r\n"          \
	"Content-Length: 10\r\nDate: Thu, 27 Jun 2024 05:09:27 GMT\r\nServer: EC2ws\r\nConnection: close\r\n\r\n"
#define B_REST "Connection: close\r\nServer: EC2ws\r\n\r\n"

static const struct {
	const char *name, *head, *body;
	int64_t ttl_left;
	const char *bytes;
} relays[] = {
	{"current, with a token", "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21518\r\n" A_REST,
         "0123456789", 42, "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 42\r\n" A_REST "0123456789"},
	{"current, without a token", "HTTP/1.1 200 OK\r\n" A_REST, "0123456789", -1,
         "HTTP/1.1 200 OK\r\n" A_REST "0123456789"},
	{"client without a token, ours upstream",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21518\r\n" A_REST, "0123456789", -1,
         "HTTP/1.1 200 OK\r\n" A_REST "0123456789"},
	{"last second", "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21518\r\n" A_REST, "0123456789", 0,
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 0\r\n" A_REST "0123456789"},
	{"older",
         "HTTP/1.0 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: "
         "3\r\nx-aws-EC2-metadata-token-ttl-seconds:21518\r\n" B_REST,
         "abc", 7,
         "HTTP/1.0 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 3\r\nx-aws-EC2-metadata-token-ttl-seconds: "
         "7\r\n" B_REST "abc"},
	{"HEAD", "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21518\r\n" A_REST, NULL, 42,
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 42\r\n" A_REST},
	{"redirect",
         "HTTP/1.0 301 Moved Permanently\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\n" B_REST,
         "", 42,
         "HTTP/1.0 301 Moved Permanently\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\n" B_REST},
	{"odd headers stay", "HTTP/1.1 404 Not Found\r\nX-Odd:  a\t b \r\nx-odd:\r\nContent-Length: 1\r\n\r\n", "\n",
         -1, "HTTP/1.1 404 Not Found\r\nX-Odd:  a\t b \r\nx-odd:\r\nContent-Length: 1\r\n\r\n\n"},
	{"name that starts like the TTL's",
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds-More: 1\r\nContent-Length: 0\r\n\r\n", "", 42,
         "HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds-More: 1\r\nContent-Length: 0\r\n\r\n"},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: EC2ws\r\n\r\n", "abcdef", -1,
         "HTTP/1.1 200 OK\r\nServer: EC2ws\r\nContent-Length: 6\r\n\r\nabcdef"},
	{"chunked, empty", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", -1,
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"no length", "HTTP/1.0 200 OK\r\nServer: EC2ws\r\n\r\n", "abc", -1,
         "HTTP/1.0 200 OK\r\nServer: EC2ws\r\n\r\nabc"},
	{"head without its empty line", "HTTP/1.0 200 OK\r\nServer: EC2ws\r\n", "abc", -1,
         "HTTP/1.0 200 OK\r\nServer: EC2ws\r\n\r\nabc"},
};

static void relays_byte_for_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(relays); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		CLEANUP_BUFFER struct buffer head = text_buffer(relays[i].head);
		CLEANUP_BUFFER struct buffer body = text_buffer(relays[i].body);
		assert_int_equal(reply_relay(&to, SERVICE_IMDS, &head, relays[i].body != NULL ? &body : NULL,
		                             relays[i].ttl_left, NULL),
		                 0);
		CHECK_TEXT(relays[i].name, to.bytes, relays[i].bytes);
	}
}

static void knows_chunking_in_any_case(void **state)
{
	CLEANUP_BUFFER struct buffer to = {0};
	CLEANUP_BUFFER struct buffer head =
		text_buffer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nServer: EC2ws\r\n\r\n");
	CLEANUP_BUFFER struct buffer body = text_buffer("abcdef");
	(void)state;
	assert_int_equal(reply_relay(&to, SERVICE_IMDS, &head, &body, -1, NULL), 0);
	assert_string_equal(to.bytes, "HTTP/1.1 200 OK\r\nServer: EC2ws\r\nContent-Length: 6\r\n\r\nabcdef");
}

static void relays_any_bytes(void **state)
{
	static const char bytes[] = "\0\xff\r\n\r\n\0HTTP/1.1 200 OK";
	CLEANUP_BUFFER struct buffer to = {0};
	CLEANUP_BUFFER struct buffer head = text_buffer("HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n");
	CLEANUP_BUFFER struct buffer body = {0};
	(void)state;
	assert_int_equal(buffer_append(&body, bytes, sizeof(bytes) - 1, NULL), 0);
	assert_int_equal(reply_relay(&to, SERVICE_IMDS, &head, &body, 1, NULL), 0);
	assert_int_equal(to.length, head.length + body.length);
	assert_memory_equal(to.bytes, head.bytes, head.length);
	assert_memory_equal(to.bytes + head.length, bytes, sizeof(bytes) - 1);
}

/* Go keeps connections open and says nothing of it, or that it does. */
static void closes_behind_an_agents_answer(void **state)
{
	static const struct {
		const char *head, *relayed;
	} heads[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
	         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"},
		{"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nContent-Length: 2\r\n\r\n",
	         "HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 2\r\n\r\n{}"},
		{"HTTP/1.1 429 Too Many Requests\r\nTransfer-Encoding: chunked\r\nX-Rate-Limit-Limit: 40.00\r\n\r\n",
	         "HTTP/1.1 429 Too Many Requests\r\nX-Rate-Limit-Limit: 40.00\r\nContent-Length: 2\r\nConnection: "
	         "close\r\n\r\n{}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
		CLEANUP_BUFFER struct buffer to = {0};
		CLEANUP_BUFFER struct buffer head = text_buffer(heads[i].head);
		CLEANUP_BUFFER struct buffer body = text_buffer("{}");
		assert_int_equal(reply_relay(&to, SERVICE_ECS, &head, &body, -1, NULL), 0);
		CHECK_TEXT(heads[i].head, to.bytes, heads[i].relayed);
	}
}

static void says_when_there_is_no_room(void **state)
{
	struct buffer to = {.limit = 20};
	struct error problem = {0};
	CLEANUP_BUFFER struct buffer head = text_buffer("HTTP/1.1 200 OK\r\nServer: EC2ws\r\n\r\n");
	CLEANUP_BUFFER struct buffer none = {0};
	(void)state;
	assert_int_equal(reply_relay(&to, SERVICE_IMDS, &head, NULL, -1, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	buffer_clear(&to);
	assert_int_equal(reply_refusal(&to, SERVICE_IMDS, 401, AT, &problem), -1);
	buffer_clear(&to);
	assert_int_equal(reply_token(&to, &none, TOKEN, 1, AT, &problem), -1);
	buffer_done(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_when_there_is_no_room),
		cmocka_unit_test(refuses_with_an_empty_body),
		cmocka_unit_test(gives_a_token_in_the_form_of_upstream),
		cmocka_unit_test(relays_byte_for_byte),
		cmocka_unit_test(knows_chunking_in_any_case),
		cmocka_unit_test(relays_any_bytes),
		cmocka_unit_test(refuses_as_an_agent_does),
		cmocka_unit_test(closes_behind_an_agents_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
