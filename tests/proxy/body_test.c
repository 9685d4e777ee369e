/* SPDX-License-Identifier: Apache-2.0 */

/* Where a body ends, and every form in which that could be doubted. */
#include "tests/common/unit.h"

#include "proxy/body.h"

static const struct screen chunked = {.verdict = SCREEN_GOOD, .is_chunked = true};

static struct screen of_length(size_t length)
{
	return (struct screen){.verdict = SCREEN_GOOD, .content_length = length};
}

static const struct {
	const char *name, *body;
	size_t bytes;
} good_chunks[] = {
	{"empty, as s3fs sends it", "0\r\n\r\n", 5},
	{"size of several zeros", "0000\r\n\r\n", 8},
	{"one chunk", "3\r\nabc\r\n0\r\n\r\n", 13},
	{"two chunks", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 18},
	{"hexadecimal, small", "a\r\n0123456789\r\n0\r\n\r\n", 20},
	{"hexadecimal, large", "A\r\n0123456789\r\n0\r\n\r\n", 20},
	{"line ends as bytes of a chunk", "4\r\n\r\n\r\n\r\n0\r\n\r\n", 14},
};

static const struct {
	const char *name, *body, *reason;
} bad_chunks[] = {
	{"no size", "\r\n\r\n", "bad-chunk"},
	{"a word", "zz\r\n\r\n", "bad-chunk"},
	{"negative", "-1\r\n\r\n", "bad-chunk"},
	{"with a sign", "+0\r\n\r\n", "bad-chunk"},
	{"with 0x", "0x0\r\n\r\n", "bad-chunk"},
	{"blank before", " 0\r\n\r\n", "bad-chunk"},
	{"blank behind", "0 \r\n\r\n", "bad-chunk"},
	{"tab behind", "0\t\r\n\r\n", "bad-chunk"},
	{"extension", "0;a=b\r\n\r\n", "bad-chunk"},
	{"extension with a bare LF", "0;\n\r\n\r\n", "bad-chunk"},
	{"trailer", "0\r\nX-Forwarded-For: a\r\n\r\n", "bad-chunk"},
	{"bare LF", "0\n\n", "bad-chunk"},
	{"LF behind the size", "0\n\r\n", "bad-chunk"},
	{"CR alone", "0\r\r\n\r\n", "bad-chunk"},
	{"LF behind the last chunk", "0\r\n\n", "bad-chunk"},
	{"chunk longer than said", "1\r\nab\r\n0\r\n\r\n", "bad-chunk"},
	{"chunk shorter than said", "3\r\na\r\n0\r\n\r\n", "bad-chunk"},
	{"LF behind a chunk", "1\r\na\n0\r\n\r\n", "bad-chunk"},
	{"five digits", "00000\r\n\r\n", "bad-chunk"},
	{"size that overflows 32 bits", "100000000\r\n\r\n", "bad-chunk"},
	{"size that overflows 64 bits", "fffffffffffffffff\r\n", "bad-chunk"},
};

static void finds_the_end_of_chunks_at_their_last_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good_chunks); i++) {
		const char *body = good_chunks[i].body;
		for (size_t length = 0; length < strlen(body); length++)
			CHECK_NUMBER(good_chunks[i].name, body_screen(&chunked, body, length).verdict, SCREEN_MORE);
		struct body found = body_screen(&chunked, body, strlen(body));
		CHECK_NUMBER(good_chunks[i].name, found.verdict, SCREEN_GOOD);
		CHECK_NUMBER(good_chunks[i].name, found.bytes, good_chunks[i].bytes);
		CHECK_NUMBER(good_chunks[i].name, found.has_extra, false);
	}
}

static void sees_what_is_behind_a_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good_chunks); i++) {
		char bytes[64];
		int length = snprintf(bytes, sizeof(bytes), "%sG", good_chunks[i].body);
		struct body found = body_screen(&chunked, bytes, (size_t)length);
		CHECK_NUMBER(good_chunks[i].name, found.bytes, good_chunks[i].bytes);
		CHECK_NUMBER(good_chunks[i].name, found.has_extra, true);
	}
	const struct screen none = of_length(0), three = of_length(3);
	assert_false(body_screen(&none, "", 0).has_extra);
	assert_true(body_screen(&none, "G", 1).has_extra);
	assert_false(body_screen(&three, "abc", 3).has_extra);
	assert_true(body_screen(&three, "abcG", 4).has_extra);
}

static void refuses_what_others_could_read_differently(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad_chunks); i++) {
		const char *body = bad_chunks[i].body;
		struct body found = body_screen(&chunked, body, strlen(body));
		CHECK_NUMBER(bad_chunks[i].name, found.verdict, SCREEN_BAD);
		CHECK_TEXT(bad_chunks[i].name, found.reason, bad_chunks[i].reason);
	}
}

static void counts_a_length(void **state)
{
	const struct screen three = of_length(3);
	(void)state;
	assert_int_equal(body_screen(&three, "ab", 2).verdict, SCREEN_MORE);
	assert_int_equal(body_screen(&three, "abc", 3).verdict, SCREEN_GOOD);
	assert_int_equal(body_screen(&three, "abc", 3).bytes, 3);
}

static void bounds_bodies(void **state)
{
	static char bytes[2 * BODY_BYTES_MAX];
	const struct screen longest = of_length(BODY_BYTES_MAX), longer = of_length(BODY_BYTES_MAX + 1);
	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	assert_int_equal(body_screen(&longest, bytes, BODY_BYTES_MAX).verdict, SCREEN_GOOD);
	assert_string_equal(body_screen(&longer, "", 0).reason, "body-too-long"); /* at once */

	/* Chunks: 4 digits, line ends and the last chunk take 13 bytes of the bound. */
	int start = snprintf(bytes, sizeof(bytes), "%04x\r\n", BODY_BYTES_MAX - 13);
	bytes[start] = 'a';
	memcpy(bytes + BODY_BYTES_MAX - 7, "\r\n0\r\n\r\n", 7);
	assert_int_equal(body_screen(&chunked, bytes, BODY_BYTES_MAX).verdict, SCREEN_GOOD);
	assert_int_equal(body_screen(&chunked, bytes, BODY_BYTES_MAX - 1).verdict, SCREEN_MORE);

	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, "ffff\r\n", 6);
	assert_int_equal(body_screen(&chunked, bytes, BODY_BYTES_MAX - 1).verdict, SCREEN_MORE);
	assert_string_equal(body_screen(&chunked, bytes, BODY_BYTES_MAX).reason, "body-too-long");
	for (size_t i = 0; i + 6 <= sizeof(bytes); i += 6)
		memcpy(bytes + i, "1\r\na\r\n", 6);
	assert_int_equal(body_screen(&chunked, bytes, BODY_BYTES_MAX - 1).verdict, SCREEN_MORE);
	assert_string_equal(body_screen(&chunked, bytes, sizeof(bytes)).reason, "body-too-long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_end_of_chunks_at_their_last_byte),
		cmocka_unit_test(sees_what_is_behind_a_request),
		cmocka_unit_test(refuses_what_others_could_read_differently),
		cmocka_unit_test(counts_a_length),
		cmocka_unit_test(bounds_bodies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
