/* SPDX-License-Identifier: Apache-2.0 */

/* Signatures that AWS has published: its test suite for Signature Version 4 (as aws-c-auth carries it), and the example
 * of Amazon S3's API reference. Of the suite those are left out that change a path before it is signed, which S3 never
 * does, and folded headers, which HTTP has given up. */
#include "tests/detector/support.h"

#include "detector/sigv4.h"

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define PAIRS_MAX 6

static const struct {
	const char *name, *method, *path;
	struct sigv4_pair query[PAIRS_MAX], headers[PAIRS_MAX];
	const char *token, *body;
	bool with_content_hash;
	const char *signed_headers, *signature, *target;
} suite[] = {
	{.name = "get-vanilla-query", .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{.name = "get-vanilla-with-session-token",
         .token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
         .signed_headers = "host;x-amz-date;x-amz-security-token",
         .signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
	{.name = "get-header-value-trim",
         .headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
         .signed_headers = "host;my-header1;my-header2;x-amz-date",
         .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{.name = "get-header-value-order",
         .headers = {{"My-Header1", "value4"},
                     {"My-Header1", "value1"},
                     {"My-Header1", "value3"},
                     {"My-Header1", "value2"}},
         .signed_headers = "host;my-header1;x-amz-date",
         .signature = "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{.name = "get-unreserved",
         .path = "/" UNRESERVED,
         .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
         .target = "/" UNRESERVED},
	{.name = "get-utf8",
         .path = "/\xe1\x88\xb4",
         .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
         .target = "/%E1%88%B4"},
	{.name = "get-space-unnormalized",
         .path = "/example space/",
         .signature = "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
         .target = "/example%20space/"},
	{.name = "get-slashes-unnormalized",
         .path = "//example//",
         .signature = "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
         .target = "//example//"},
	{.name = "get-relative-relative-unnormalized",
         .path = "/example1/example2/../..",
         .signature = "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b",
         .target = "/example1/example2/../.."},
	{.name = "get-vanilla-empty-query-key",
         .query = {{"Param1", "value1"}},
         .signature = "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
         .target = "/?Param1=value1"},
	{.name = "get-vanilla-query-order-key-case",
         .query = {{"Param2", "value2"}, {"Param1", "value1"}},
         .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
         .target = "/?Param1=value1&Param2=value2"},
	{.name = "get-vanilla-query-order-encoded",
         .query = {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\xe1\x88\xb4", "Value1"}},
         .signature = "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
         .target = "/?%E1%88%B4=Value1&Param=Value2&Param-3=Value3"},
	{.name = "get-vanilla-query-unreserved",
         .query = {{UNRESERVED, UNRESERVED}},
         .signature = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{.name = "get-vanilla-utf8-query",
         .query = {{"\xe1\x88\xb4", "bar"}},
         .signature = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
         .target = "/?%E1%88%B4=bar"},
	{.name = "post-vanilla-query",
         .method = "POST",
         .query = {{"Param1", "value1"}},
         .signature = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{.name = "post-x-www-form-urlencoded",
         .method = "POST",
         .headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Length", "13"}},
         .body = "Param1=value1",
         .with_content_hash = true,
         .signed_headers = "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
         .signature = "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
};

static size_t count_pairs(const struct sigv4_pair pairs[PAIRS_MAX])
{
	size_t count = 0;
	while (count < PAIRS_MAX && pairs[count].name != NULL)
		count++;
	return count;
}

static void set_credentials(struct aws_credentials *to, const char *id, const char *secret, const char *token)
{
	(void)snprintf(to->access_key_id, sizeof(to->access_key_id), "%s", id);
	assert_int_equal(secret_set(&to->secret_key, secret, strlen(secret), NULL), 0);
	if (token != NULL)
		assert_int_equal(secret_set(&to->session_token, token, strlen(token), NULL), 0);
}

static void test_suite(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(suite); i++) {
		CLEANUP_CREDENTIALS struct aws_credentials credentials = {0};
		CLEANUP_SIGNATURE struct sigv4_signature signature = {0};
		struct error err = {0};
		char wanted[400];
		const char *body = suite[i].body != NULL ? suite[i].body : "";
		const struct sigv4_request request = {
			.method = suite[i].method != NULL ? suite[i].method : "GET",
			.service = "service",
			.region = "us-east-1",
			.host = "example.amazonaws.com",
			.path = suite[i].path != NULL ? suite[i].path : "/",
			.query = suite[i].query,
			.query_count = count_pairs(suite[i].query),
			.headers = suite[i].headers,
			.header_count = count_pairs(suite[i].headers),
			.body = body,
			.body_length = strlen(body),
			.with_content_hash = suite[i].with_content_hash,
			.now_us = support_time("2015-08-30T12:36:00Z"),
		};
		set_credentials(&credentials, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		                suite[i].token);
		if (sigv4_sign(&request, &credentials, &signature, &err) < 0)
			fail_msg("%s: %s", suite[i].name, err.text);
		(void)snprintf(wanted, sizeof(wanted),
		               "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
		               "SignedHeaders=%s, Signature=%s",
		               suite[i].signed_headers != NULL ? suite[i].signed_headers : "host;x-amz-date",
		               suite[i].signature);
		if (strcmp(signature.authorization.bytes, wanted) != 0)
			fail_msg("%s: %s", suite[i].name, signature.authorization.bytes);
		assert_string_equal(signature.date, "20150830T123600Z");
		if (suite[i].target != NULL)
			assert_string_equal(signature.target.bytes, suite[i].target);
	}
}

static void test_s3(void **state)
{
	CLEANUP_CREDENTIALS struct aws_credentials credentials = {0};
	CLEANUP_SIGNATURE struct sigv4_signature signature = {0};
	const struct sigv4_pair range = {"Range", "bytes=0-9"};
	const struct sigv4_request request = {.method = "GET",
	                                      .service = "s3",
	                                      .region = "us-east-1",
	                                      .host = "examplebucket.s3.amazonaws.com",
	                                      .path = "/test.txt",
	                                      .headers = &range,
	                                      .header_count = 1,
	                                      .with_content_hash = true,
	                                      .now_us = support_time("2013-05-24T00:00:00Z")};
	(void)state;
	set_credentials(&credentials, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL);
	assert_int_equal(sigv4_sign(&request, &credentials, &signature, NULL), 0);
	assert_non_null(strstr(signature.authorization.bytes,
	                       "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
	                       "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
	assert_string_equal(signature.content_hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* What libraries have stumbled over: it must arrive as it was signed. */
static void test_target(void **state)
{
	CLEANUP_CREDENTIALS struct aws_credentials credentials = {0};
	CLEANUP_SIGNATURE struct sigv4_signature signature = {0};
	const struct sigv4_pair query[] = {{"continuation-token", "1+a/b=="}, {"list-type", "2"}, {"location", ""}};
	const struct sigv4_request request = {.method = "GET",
	                                      .service = "s3",
	                                      .region = "us-east-1",
	                                      .host = "h",
	                                      .path = "/b/a+b=c:d é\t%2F.json",
	                                      .query = query,
	                                      .query_count = ARRAY_LENGTH(query),
	                                      .now_us = 1};
	(void)state;
	set_credentials(&credentials, "A", "S", NULL);
	assert_int_equal(sigv4_sign(&request, &credentials, &signature, NULL), 0);
	assert_string_equal(signature.target.bytes, "/b/a%2Bb%3Dc%3Ad%20%C3%A9%09%252F.json"
	                                            "?continuation-token=1%2Ba%2Fb%3D%3D&list-type=2&location=");
}

static void test_bounds(void **state)
{
	struct sigv4_pair pairs[40];
	char region[300];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
		pairs[i] = (struct sigv4_pair){"n", "v"};
	memset(region, 'r', sizeof(region) - 1);
	region[sizeof(region) - 1] = '\0';
	const struct sigv4_request requests[] = {
		{.query = pairs, .query_count = ARRAY_LENGTH(pairs), .region = "r"},
		{.headers = pairs, .header_count = ARRAY_LENGTH(pairs), .region = "r"},
		{.region = region},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		CLEANUP_CREDENTIALS struct aws_credentials credentials = {0};
		CLEANUP_SIGNATURE struct sigv4_signature signature = {0};
		struct sigv4_request request = requests[i];
		struct error err = {0};
		request.method = "GET";
		request.service = "s3";
		request.host = "h";
		request.path = "/";
		assert_int_equal(sigv4_sign(&request, &credentials, &signature, &err), -1);
		assert_int_equal(err.code, ERROR_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_s3),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
