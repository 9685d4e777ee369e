/* SPDX-License-Identifier: Apache-2.0 */

/* Every reason for which a head is refused, and that a good one is recognised at its last byte and not before. */
#include "tests/common/unit.h"

#include "proxy/screen.h"

#define GET "GET /latest HTTP/1.1\r\n"
#define HOST "Host: 169.254.169.254\r\n"

struct piece {
	const char *bytes;
	size_t length;
};
#define BYTES(text)                                                                                                    \
	{                                                                                                              \
		(text), sizeof(text) - 1                                                                               \
	}

static const struct {
	const char *name;
	struct piece head;
	const char *reason;
} refused[] = {
	{"nothing before the empty line", BYTES("\r\n\r\n"), "bad-method"},
	{"no method", BYTES(" / HTTP/1.1\r\n\r\n"), "bad-method"},
	{"method alone", BYTES("GET\r\n\r\n"), "bad-method"},
	{"tab behind the method", BYTES("GET\t/ HTTP/1.1\r\n\r\n"), "bad-method"},
	{"slash in the method", BYTES("GE/T / HTTP/1.1\r\n\r\n"), "bad-method"},
	{"TLS greeting", BYTES("\x16\x03\x01\r\n\r\n"), "bad-method"},
	{"no target", BYTES("GET HTTP/1.1\r\n\r\n"), "bad-request-line"},
	{"two spaces before the target", BYTES("GET  / HTTP/1.1\r\n\r\n"), "bad-request-line"},
	{"HTTP/0.9", BYTES("GET /\r\n\r\n"), "bad-request-line"},
	{"empty target", BYTES("GET  HTTP/1.1\r\n\r\n"), "bad-request-line"},
	{"tab in the target", BYTES("GET /a\tb HTTP/1.1\r\n\r\n"), "bad-target"},
	{"control byte in the target", BYTES("GET /\x01 HTTP/1.1\r\n\r\n"), "bad-target"},
	{"DEL in the target", BYTES("GET /\x7f HTTP/1.1\r\n\r\n"), "bad-target"},
	{"UTF-8 in the target", BYTES("GET /\xc3\xa9 HTTP/1.1\r\n\r\n"), "bad-target"},
	{"space in the target", BYTES("GET /a b HTTP/1.1\r\n\r\n"), "bad-version"},
	{"space behind the version", BYTES("GET / HTTP/1.1 \r\n\r\n"), "bad-version"},
	{"no version", BYTES("GET / \r\n\r\n"), "bad-version"},
	{"HTTP/1.2", BYTES("GET / HTTP/1.2\r\n\r\n"), "bad-version"},
	{"HTTP/1.10", BYTES("GET / HTTP/1.10\r\n\r\n"), "bad-version"},
	{"HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "bad-version"},
	{"http/1.1", BYTES("GET / http/1.1\r\n\r\n"), "bad-version"},

	{"folded with a space", BYTES(GET "A: b\r\n c\r\n\r\n"), "folded-line"},
	{"folded with a tab", BYTES(GET "A: b\r\n\tc\r\n\r\n"), "folded-line"},
	{"first header folded", BYTES(GET " A: b\r\n\r\n"), "folded-line"},
	{"line of one space", BYTES(GET " \r\n\r\n"), "folded-line"},
	{"space before the colon", BYTES(GET "Host : x\r\n\r\n"), "space-before-colon"},
	{"tab before the colon", BYTES(GET "Host\t: x\r\n\r\n"), "space-before-colon"},
	{"space in a name", BYTES(GET "Ho st: x\r\n\r\n"), "space-before-colon"},
	{"no name", BYTES(GET ": x\r\n\r\n"), "bad-header-name"},
	{"no colon", BYTES(GET "Host\r\n\r\n"), "bad-header-name"},
	{"parenthesis in a name", BYTES(GET "Ho(st: x\r\n\r\n"), "bad-header-name"},
	{"control byte in a name", BYTES(GET "Ho\x01st: x\r\n\r\n"), "bad-header-name"},
	{"byte above ASCII in a name", BYTES(GET "H\xc3\xb6st: x\r\n\r\n"), "bad-header-name"},
	{"control byte in a value",
         BYTES(GET "A: b\x01"
                   "c\r\n\r\n"),
         "control-byte"},
	{"escape in a value", BYTES(GET "A: b\x1b[31m\r\n\r\n"), "control-byte"},
	{"DEL in a value", BYTES(GET "A: b\x7f\r\n\r\n"), "control-byte"},

	{"NUL in the request line", BYTES("GET /\0 HTTP/1.1\r\n\r\n"), "nul-byte"},
	{"NUL in a value", BYTES(GET "A: b\0c\r\n\r\n"), "nul-byte"},
	{"NUL in a name", BYTES(GET "A\0: b\r\n\r\n"), "nul-byte"},
	{"LF ends the request line", BYTES("GET / HTTP/1.1\nHost: x\r\n\r\n"), "bare-lf"},
	{"LF ends a header", BYTES(GET "A: b\nC: d\r\n\r\n"), "bare-lf"},
	{"LF ends the head", BYTES(GET "A: b\r\n\n"), "bare-lf"},
	{"LF first", BYTES("\nGET / HTTP/1.1\r\n\r\n"), "bare-lf"},
	{"CR in a value", BYTES(GET "A: b\rC: d\r\n\r\n"), "bare-cr"},
	{"CR CR LF", BYTES(GET "A: b\r\r\n\r\n"), "bare-cr"},
	{"CR in the request line", BYTES("GET /\r HTTP/1.1\r\n\r\n"), "bare-cr"},

	{"length of a word", BYTES(GET "Content-Length: one\r\n\r\n"), "bad-content-length"},
	{"length with a sign", BYTES(GET "Content-Length: +1\r\n\r\n"), "bad-content-length"},
	{"negative length", BYTES(GET "Content-Length: -1\r\n\r\n"), "bad-content-length"},
	{"empty length", BYTES(GET "Content-Length:\r\n\r\n"), "bad-content-length"},
	{"list of lengths", BYTES(GET "Content-Length: 0, 0\r\n\r\n"), "bad-content-length"},
	{"hexadecimal length", BYTES(GET "Content-Length: 0x10\r\n\r\n"), "bad-content-length"},
	{"length of ten digits", BYTES(GET "Content-Length: 1000000000\r\n\r\n"), "bad-content-length"},
	{"gzip encoding", BYTES(GET "Transfer-Encoding: gzip\r\n\r\n"), "bad-transfer-encoding"},
	{"identity encoding", BYTES(GET "Transfer-Encoding: identity\r\n\r\n"), "bad-transfer-encoding"},
	{"two encodings", BYTES(GET "Transfer-Encoding: gzip, chunked\r\n\r\n"), "bad-transfer-encoding"},
	{"chunked with a parameter", BYTES(GET "Transfer-Encoding: chunked;q=1\r\n\r\n"), "bad-transfer-encoding"},
	{"empty encoding", BYTES(GET "Transfer-Encoding: \r\n\r\n"), "bad-transfer-encoding"},
	{"length and encoding", BYTES(GET "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"),
         "length-and-encoding"},
	{"encoding and length", BYTES(GET "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"),
         "length-and-encoding"},
	{"encoding in HTTP/1.0", BYTES("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
         "bad-transfer-encoding"},
	{"two hosts", BYTES(GET HOST "host: x\r\n\r\n"), "repeated-header"},
	{"two equal hosts", BYTES(GET HOST HOST "\r\n"), "repeated-header"},
	{"two lengths", BYTES(GET "Content-Length: 0\r\ncontent-length: 0\r\n\r\n"), "repeated-header"},
	{"two encodings in two lines", BYTES(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
         "repeated-header"},
	{"two tokens", BYTES(GET "X-aws-ec2-metadata-token: a\r\nx-AWS-ec2-metadata-token: a\r\n\r\n"),
         "repeated-header"},
	{"two TTLs",
         BYTES(GET "X-aws-ec2-metadata-token-ttl-seconds: 1\r\nX-aws-ec2-metadata-token-ttl-seconds: 2\r\n\r\n"),
         "repeated-header"},
	{"two authorizations", BYTES(GET "Authorization: a\r\nHost: a\r\nauthorization: b\r\n\r\n"), "repeated-header"},
	{"the same authorization twice", BYTES(GET "Authorization: a\r\nAuthorization: a\r\n\r\n"), "repeated-header"},
	{"two expectations", BYTES(GET "Expect: 100-continue\r\nExpect: x\r\n\r\n"), "repeated-header"},
	{"websocket", BYTES(GET "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "upgrade"},
	{"HTTP/2 by upgrade", BYTES(GET "upgrade: h2c\r\n\r\n"), "upgrade"},
};

static void refuses_with_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		struct screen screen = screen_head(refused[i].head.bytes, refused[i].head.length);
		CHECK_NUMBER(refused[i].name, screen.verdict, SCREEN_BAD);
		CHECK_TEXT(refused[i].name, screen.reason, refused[i].reason);
	}
}

static const struct {
	const char *name;
	struct piece head;
	bool expects_continue, is_chunked;
	size_t content_length;
} good[] = {
	{"bare", BYTES("GET / HTTP/1.0\r\n\r\n"), false, false, 0},
	{"usual", BYTES(GET HOST "User-Agent: curl/8\r\nAccept: */*\r\n\r\n"), false, false, 0},
	{"token request",
         BYTES("PUT /latest/api/token HTTP/1.1\r\n" HOST "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n"), false,
         false, 0},
	{"length 0", BYTES("PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), false, false, 0},
	{"length 000", BYTES("PUT / HTTP/1.1\r\nContent-Length: 000\r\n\r\n"), false, false, 0},
	{"length 10", BYTES("PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\n"), false, false, 10},
	{"length of nine digits", BYTES("PUT / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n"), false, false,
         999999999},
	{"chunked", BYTES("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), false, true, 0},
	{"Chunked, other case", BYTES("PUT / HTTP/1.1\r\ntransfer-encoding:CHUNKED \t\r\n\r\n"), false, true, 0},
	{"expectation", BYTES("PUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"), true, false, 0},
	{"expectation of anything", BYTES("PUT / HTTP/1.1\r\nexpect:\r\n\r\n"), true, false, 0},
	{"empty value", BYTES(GET "A:\r\n\r\n"), false, false, 0},
	{"tab and bytes above ASCII in a value", BYTES(GET "A:\tb\tc\xc3\xa9 \r\n\r\n"), false, false, 0},
	{"unknown header twice", BYTES(GET "A: b\r\nA: c\r\n\r\n"), false, false, 0},
	{"forwarded for", BYTES(GET "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For:\r\n\r\n"), false, false, 0},
	{"absolute form", BYTES("GET http://169.254.169.254/ HTTP/1.1\r\n\r\n"), false, false, 0},
	{"asterisk form", BYTES("OPTIONS * HTTP/1.1\r\n\r\n"), false, false, 0},
	{"header whose name starts like a single one", BYTES(GET "Hosts: a\r\nHost: b\r\nHosts: c\r\n\r\n"), false,
         false, 0},
};

static void takes_good_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		struct screen screen = screen_head(good[i].head.bytes, good[i].head.length);
		if (screen.verdict != SCREEN_GOOD)
			fail_msg("%s: %s", good[i].name, screen.reason != NULL ? screen.reason : "not complete");
		CHECK_NUMBER(good[i].name, screen.head_bytes, good[i].head.length);
		CHECK_NUMBER(good[i].name, screen.expects_continue, good[i].expects_continue);
		CHECK_NUMBER(good[i].name, screen.is_chunked, good[i].is_chunked);
		CHECK_NUMBER(good[i].name, screen.content_length, good[i].content_length);
	}
}

static void waits_for_the_last_byte_of_a_good_head(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		for (size_t length = 0; length < good[i].head.length; length++) {
			struct screen screen = screen_head(good[i].head.bytes, length);
			if (screen.verdict != SCREEN_MORE)
				fail_msg("%s: a verdict after %zu bytes", good[i].name, length);
		}
}

/* What follows a head may change neither the verdict nor where the head ends. */
static void keeps_its_verdict_whatever_follows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		char bytes[1024];
		memcpy(bytes, refused[i].head.bytes, refused[i].head.length);
		memset(bytes + refused[i].head.length, 'x', sizeof(bytes) - refused[i].head.length);
		CHECK_NUMBER(refused[i].name, screen_head(bytes, sizeof(bytes)).verdict, SCREEN_BAD);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		char bytes[1024];
		memcpy(bytes, good[i].head.bytes, good[i].head.length);
		memset(bytes + good[i].head.length, '\0', sizeof(bytes) - good[i].head.length);
		struct screen screen = screen_head(bytes, sizeof(bytes));
		CHECK_NUMBER(good[i].name, screen.verdict, SCREEN_GOOD);
		CHECK_NUMBER(good[i].name, screen.head_bytes, good[i].head.length);
	}
}

static void ends_where_a_second_request_begins(void **state)
{
	static const char two[] = GET HOST "\r\n" GET HOST "\r\n";
	struct screen screen = screen_head(two, sizeof(two) - 1);
	(void)state;
	assert_int_equal(screen.verdict, SCREEN_GOOD);
	assert_int_equal(screen.head_bytes, (sizeof(two) - 1) / 2);
}

static size_t head_of(char *to, size_t headers)
{
	char *at = to + sprintf(to, GET);
	for (size_t i = 0; i < headers; i++)
		at += sprintf(at, "A%zu: b\r\n", i);
	at += sprintf(at, "\r\n");
	return (size_t)(at - to);
}

static void bounds_the_number_of_headers(void **state)
{
	char head[SCREEN_HEAD_BYTES];
	(void)state;
	struct screen screen = screen_head(head, head_of(head, SCREEN_HEADERS_MAX + 1));
	assert_int_equal(screen.verdict, SCREEN_BAD);
	assert_string_equal(screen.reason, "too-many-headers");
	screen = screen_head(head, head_of(head, SCREEN_HEADERS_MAX));
	if (screen.verdict != SCREEN_GOOD)
		fail_msg("%d headers: %s", SCREEN_HEADERS_MAX, screen.reason);
}

static void bounds_the_length(void **state)
{
	static const char start[] = GET "A: ";
	char head[SCREEN_HEAD_BYTES + 64];
	(void)state;
	memset(head, 'a', sizeof(head));
	memcpy(head, start, strlen(start));
	assert_int_equal(screen_head(head, SCREEN_HEAD_BYTES - 1).verdict, SCREEN_MORE);
	struct screen screen = screen_head(head, SCREEN_HEAD_BYTES);
	assert_int_equal(screen.verdict, SCREEN_BAD);
	assert_string_equal(screen.reason, "head-too-long");

	memcpy(head + SCREEN_HEAD_BYTES - 4, "\r\n\r\n", 4);
	assert_int_equal(screen_head(head, SCREEN_HEAD_BYTES).verdict, SCREEN_GOOD);

	/* Complete, but longer than a head may be. */
	memset(head + SCREEN_HEAD_BYTES - 4, 'a', 8);
	memcpy(head + SCREEN_HEAD_BYTES, "\r\n\r\n", 4);
	assert_int_equal(screen_head(head, SCREEN_HEAD_BYTES + 4).verdict, SCREEN_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_with_a_reason),
		cmocka_unit_test(takes_good_heads),
		cmocka_unit_test(waits_for_the_last_byte_of_a_good_head),
		cmocka_unit_test(keeps_its_verdict_whatever_follows),
		cmocka_unit_test(ends_where_a_second_request_begins),
		cmocka_unit_test(bounds_the_number_of_headers),
		cmocka_unit_test(bounds_the_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
