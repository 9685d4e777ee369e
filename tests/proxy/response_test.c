/* SPDX-License-Identifier: Apache-2.0 */

/* Answers of upstream, whole and byte by byte: the way they are cut must not matter. */
#include "tests/common/unit.h"

#include "proxy/response.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define BYTES(text) (text), sizeof(text) - 1

enum ending { GOES_ON, CLOSES };

static const struct {
	const char *name, *bytes;
	size_t length;
	bool is_head;
	enum ending ending;
	const char *problem; /* part of the error's text; NULL: it is an answer */
	int status;
	const char *body;
} cases[] = {
	/* refused */
	{"nothing", BYTES(""), false, CLOSES, "ends too early", 0, NULL},
	{"empty lines", BYTES("\r\n\r\n"), false, GOES_ON, "bad-status-line", 0, NULL},
	{"another protocol", BYTES("SSH-2.0-OpenSSH\r\n\r\n"), false, GOES_ON, "bad-status-line", 0, NULL},
	{"HTTP/2", BYTES("HTTP/2 200\r\n\r\n"), false, GOES_ON, "bad-status-line", 0, NULL},
	{"HTTP/1.2", BYTES("HTTP/1.2 200 OK\r\n\r\n"), false, GOES_ON, "bad-status-line", 0, NULL},
	{"two spaces", BYTES("HTTP/1.1  200 OK\r\n\r\n"), false, GOES_ON, "bad-status", 0, NULL},
	{"two digits", BYTES("HTTP/1.1 20 OK\r\n\r\n"), false, GOES_ON, "bad-status", 0, NULL},
	{"four digits", BYTES("HTTP/1.1 2000\r\n\r\n"), false, GOES_ON, "bad-status", 0, NULL},
	{"status 099", BYTES("HTTP/1.1 099 OK\r\n\r\n"), false, GOES_ON, "bad-status", 0, NULL},
	{"control byte in the reason", BYTES("HTTP/1.1 200 O\x01K\r\n\r\n"), false, GOES_ON, "control-byte", 0, NULL},
	{"bare LF", BYTES("HTTP/1.1 200 OK\nA: b\r\n\r\n"), false, GOES_ON, "bare-lf", 0, NULL},
	{"bare CR", BYTES(OK "A: b\rC: d\r\n\r\n"), false, GOES_ON, "bare-cr", 0, NULL},
	{"NUL", BYTES(OK "A: \0\r\n\r\n"), false, GOES_ON, "nul-byte", 0, NULL},
	{"folded line", BYTES(OK "A: b\r\n c\r\n\r\n"), false, GOES_ON, "folded-line", 0, NULL},
	{"space before the colon", BYTES(OK "A : b\r\n\r\n"), false, GOES_ON, "space-before-colon", 0, NULL},
	{"no colon", BYTES(OK "A\r\n\r\n"), false, GOES_ON, "bad-header-name", 0, NULL},
	{"control byte in a header", BYTES(OK "A: \x7f\r\n\r\n"), false, GOES_ON, "control-byte", 0, NULL},
	{"two lengths", BYTES(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), false, CLOSES, "repeated-length",
         0, NULL},
	{"negative length", BYTES(OK "Content-Length: -1\r\n\r\n"), false, CLOSES, "bad-content-length", 0, NULL},
	{"length of words", BYTES(OK "Content-Length: 1 1\r\n\r\n"), false, CLOSES, "bad-content-length", 0, NULL},
	{"no length after all", BYTES(OK "Content-Length:\r\n\r\n"), false, CLOSES, "bad-content-length", 0, NULL},
	{"length above all bounds", BYTES(OK "Content-Length: 9999999999\r\n\r\n"), false, CLOSES, "bad-content-length",
         0, NULL},
	{"too long", BYTES(OK "Content-Length: 1048577\r\n\r\n"), false, GOES_ON, "1048577 bytes", 0, NULL},
	{"length and chunks", BYTES(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
         false, CLOSES, "length-and-encoding", 0, NULL},
	{"chunks in HTTP/1.0", BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), false, CLOSES,
         "length-and-encoding", 0, NULL},
	{"gzip", BYTES(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"), false, CLOSES, "bad-transfer-encoding", 0, NULL},
	{"chunked twice", BYTES(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), false,
         CLOSES, "bad-transfer-encoding", 0, NULL},
	{"less than its length", BYTES(OK "Content-Length: 4\r\n\r\nabc"), false, CLOSES, "ends too early", 0, NULL},
	{"more than its length", BYTES(OK "Content-Length: 2\r\n\r\nabc"), false, CLOSES, "bytes behind", 0, NULL},
	{"a body with 204", BYTES("HTTP/1.1 204 No Content\r\n\r\nabc"), false, CLOSES, "bytes behind", 0, NULL},
	{"head cut", BYTES(OK "Content-Length: 0\r\n"), false, CLOSES, "ends too early", 0, NULL},
	{"interim only", BYTES("HTTP/1.1 100 Continue\r\n\r\n"), false, CLOSES, "ends too early", 0, NULL},
	{"another protocol from here on", BYTES("HTTP/1.1 101 Switching Protocols\r\n\r\n"), false, CLOSES,
         "switching-protocols", 0, NULL},
	{"nine interim answers",
         BYTES("HTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\n"
               "HTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\n" OK "\r\n"),
         false, CLOSES, "too-many-interim", 0, NULL},
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
	{"chunk without size", BYTES(CHUNKED "\r\n\r\n"), false, CLOSES, "bad-chunk-size", 0, NULL},
	{"chunk size that is none", BYTES(CHUNKED "g\r\n"), false, CLOSES, "bad-chunk-size", 0, NULL},
	{"signed chunk size", BYTES(CHUNKED "-1\r\n"), false, CLOSES, "bad-chunk-size", 0, NULL},
	{"chunk size of seven digits", BYTES(CHUNKED "0000001\r\na\r\n0\r\n\r\n"), false, CLOSES, "bad-chunk-size", 0,
         NULL},
	{"chunk extension", BYTES(CHUNKED "1;a=b\r\na\r\n0\r\n\r\n"), false, CLOSES, "bad-chunk-size", 0, NULL},
	{"LF behind a chunk size", BYTES(CHUNKED "1\na\r\n0\r\n\r\n"), false, CLOSES, "bad-chunk-size", 0, NULL},
	{"CR behind a chunk size", BYTES(CHUNKED "1\rxa\r\n0\r\n\r\n"), false, CLOSES, "bad-chunk-size", 0, NULL},
	{"chunk longer than its size", BYTES(CHUNKED "1\r\nab\r\n0\r\n\r\n"), false, CLOSES, "bad-chunk", 0, NULL},
	{"LF behind a chunk", BYTES(CHUNKED "1\r\na\n0\r\n\r\n"), false, CLOSES, "bad-chunk", 0, NULL},
	{"CR CR behind a chunk", BYTES(CHUNKED "1\r\na\r\r0\r\n\r\n"), false, CLOSES, "bad-chunk", 0, NULL},
	{"trailer", BYTES(CHUNKED "1\r\na\r\n0\r\nA: b\r\n\r\n"), false, CLOSES, "trailer", 0, NULL},
	{"CR and no LF at the end", BYTES(CHUNKED "0\r\n\rx"), false, CLOSES, "trailer", 0, NULL},
	{"no last chunk", BYTES(CHUNKED "1\r\na\r\n"), false, CLOSES, "ends too early", 0, NULL},
	{"chunk cut", BYTES(CHUNKED "3\r\nab"), false, CLOSES, "ends too early", 0, NULL},
	{"bytes behind the last chunk", BYTES(CHUNKED "0\r\n\r\nx"), false, CLOSES, "bytes behind", 0, NULL},

	/* answers */
	{"current, with a length", BYTES(OK "Content-Length: 3\r\nServer: EC2ws\r\n\r\nabc"), false, GOES_ON, NULL, 200,
         "abc"},
	{"older, with a length", BYTES("HTTP/1.0 200 OK\r\ncontent-length:3\r\n\r\nabc"), false, GOES_ON, NULL, 200,
         "abc"},
	{"no length", BYTES("HTTP/1.0 401 Unauthorized\r\nServer: EC2ws\r\n\r\n<html>"), false, CLOSES, NULL, 401,
         "<html>"},
	{"no length, no body", BYTES(OK "\r\n"), false, CLOSES, NULL, 200, ""},
	{"length 0", BYTES("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), false, GOES_ON, NULL, 401, ""},
	{"no reason", BYTES("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na"), false, GOES_ON, NULL, 200, "a"},
	{"empty reason", BYTES("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\na"), false, GOES_ON, NULL, 200, "a"},
	{"reason in other letters", BYTES("HTTP/1.1 200 \xc3\xa9\r\nContent-Length: 1\r\n\r\na"), false, GOES_ON, NULL,
         200, "a"},
	{"odd headers", BYTES(OK "X-Odd:  a\t b \r\nx-odd:\r\nContent-Length: 1 \r\n\r\na"), false, GOES_ON, NULL, 200,
         "a"},
	{"HEAD", BYTES(OK "Content-Length: 10\r\n\r\n"), true, GOES_ON, NULL, 200, ""},
	{"HEAD with a body all the same", BYTES(OK "Content-Length: 3\r\n\r\nabc"), true, GOES_ON, NULL, 200, ""},
	{"HEAD of chunks", BYTES(CHUNKED), true, GOES_ON, NULL, 200, ""},
	{"HEAD of much", BYTES(OK "Content-Length: 99999999\r\n\r\n"), true, GOES_ON, NULL, 200, ""},
	{"204", BYTES("HTTP/1.1 204 No Content\r\n\r\n"), false, GOES_ON, NULL, 204, ""},
	{"304 with a length", BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"), false, GOES_ON, NULL,
         304, ""},
	{"after 100", BYTES("HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" OK "Content-Length: 1\r\n\r\na"), false, GOES_ON,
         NULL, 200, "a"},
	{"after 100 and 103", BYTES("HTTP/1.1 100\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" OK "\r\na"), false, CLOSES,
         NULL, 200, "a"},
	{"chunks", BYTES(CHUNKED "3\r\nabc\r\n000A\r\n0123456789\r\n0\r\n\r\n"), false, GOES_ON, NULL, 200,
         "abc0123456789"},
	{"chunks, small letters", BYTES(OK "transfer-encoding: Chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"), false,
         GOES_ON, NULL, 200, "0123456789"},
	{"no chunks", BYTES(CHUNKED "0\r\n\r\n"), false, GOES_ON, NULL, 200, ""},
	{"chunk with line ends", BYTES(CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n"), false, GOES_ON, NULL, 200, "\r\n\r\n"},
};

/* Feeds `step` bytes at a time: 0 when it is a whole answer. */
static int feed(struct response *response, const char *bytes, size_t length, size_t step, bool is_head,
                enum ending ending, struct error *problem)
{
	struct response_reader reader;
	response_begin(&reader, response, is_head);
	for (size_t at = 0; at < length; at += step)
		if (response_take(&reader, bytes + at, length - at < step ? length - at : step, problem) < 0)
			return -1;
	if (ending == CLOSES)
		return response_end(&reader, problem);
	return response_is_complete(&reader) ? 0 : error_set(problem, ERROR_NONE, "goes on");
}

static void check(size_t i, size_t step)
{
	CLEANUP_RESPONSE struct response response = {0};
	struct error problem = {0};
	const char *name = cases[i].name;
	int result =
		feed(&response, cases[i].bytes, cases[i].length, step, cases[i].is_head, cases[i].ending, &problem);
	CHECK(name, (result < 0) == (cases[i].problem != NULL));
	if (result < 0) {
		if (strstr(problem.text, cases[i].problem) == NULL)
			CHECK_TEXT(name, problem.text, cases[i].problem);
		return;
	}
	CHECK_NUMBER(name, response.status, cases[i].status);
	CHECK_TEXT(name, response.body.bytes != NULL ? response.body.bytes : "", cases[i].body);
	CHECK(name, strncmp(response.head.bytes, "HTTP/1.", 7) == 0);
	CHECK(name, strstr(response.head.bytes, "\r\n\r\n") == response.head.bytes + response.head.length - 4);
	CHECK(name, strstr(response.head.bytes, " 100") == NULL);
}

static void reads_answers_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t step = 1; step <= cases[i].length + 1; step++)
			check(i, step);
}

static void bounds_head_and_body(void **state)
{
	static char bytes[RESPONSE_BODY_BYTES + 65536];
	struct error problem = {0};
	CLEANUP_RESPONSE struct response response = {0};
	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, "HTTP/1.1 200 OK\r\nA: ", 20);
	assert_int_equal(feed(&response, bytes, RESPONSE_HEAD_BYTES - 1, 4096, false, GOES_ON, &problem), -1);
	assert_int_equal(problem.code, ERROR_NONE); /* it may go on */
	assert_int_equal(feed(&response, bytes, RESPONSE_HEAD_BYTES, 4096, false, GOES_ON, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);

	memcpy(bytes, "HTTP/1.0 200 OK\r\n\r\n", 19);
	assert_int_equal(feed(&response, bytes, 19 + RESPONSE_BODY_BYTES, 4096, false, CLOSES, &problem), 0);
	assert_int_equal(response.body.length, RESPONSE_BODY_BYTES);
	assert_int_equal(feed(&response, bytes, 20 + RESPONSE_BODY_BYTES, 4096, false, CLOSES, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);

	static const char many[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n";
	memcpy(bytes, many, sizeof(many) - 1);
	assert_int_equal(feed(&response, bytes, sizeof(bytes), 4096, false, GOES_ON, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
}

/* A body's first bytes come with the head's last ones, and must not stay in the head's memory. */
static void leaves_no_body_behind_the_head(void **state)
{
	static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nSecretSecret";
	CLEANUP_RESPONSE struct response response = {0};
	(void)state;
	assert_int_equal(feed(&response, bytes, sizeof(bytes) - 1, sizeof(bytes), false, GOES_ON, NULL), 0);
	assert_null(memmem(response.head.bytes, response.head.capacity, "Secret", 6));
	assert_string_equal(response.body.bytes, "SecretSecret");
}

static void reads_the_date(void **state)
{
	static const struct {
		const char *name, *head;
		int64_t date_us;
	} dates[] = {
		{"usual", OK "Date: Thu, 27 Jun 2024 05:09:27 GMT\r\n\r\n", INT64_C(1719464967000000)},
		{"no space", OK "date:Thu, 27 Jun 2024 05:09:27 GMT \r\n\r\n", INT64_C(1719464967000000)},
		{"none", OK "\r\n", 0},
		{"nonsense", OK "Date: yesterday\r\n\r\n", 0},
		{"too long", OK "Date: Thu, 27 Jun 2024 05:09:27 GMT or a little later\r\n\r\n", 0},
		{"of the final answer", "HTTP/1.1 100\r\nDate: Thu, 27 Jun 2024 05:09:27 GMT\r\n\r\n" OK "\r\n", 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(dates); i++) {
		CLEANUP_RESPONSE struct response response = {0};
		assert_int_equal(feed(&response, dates[i].head, strlen(dates[i].head), 7, false, CLOSES, NULL), 0);
		CHECK_NUMBER(dates[i].name, response.date_us, dates[i].date_us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_answers_however_they_are_cut),
		cmocka_unit_test(bounds_head_and_body),
		cmocka_unit_test(leaves_no_body_behind_the_head),
		cmocka_unit_test(reads_the_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
