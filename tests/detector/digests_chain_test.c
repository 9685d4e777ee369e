/* SPDX-License-Identifier: Apache-2.0 */

/* What is a digest, what of it is signed, and how one follows another. */
#include "tests/detector/support.h"

#include "detector/digests_chain.h"

#define NAME "/logs/210987654321_CloudTrail-Digest_us-east-1_trail_us-east-1_20200914T010000Z.json.gz"
#define OBJECT                                                                                                         \
	"AWSLogs/210987654321/CloudTrail-Digest/us-east-1/2020/09/14/"                                                 \
	"210987654321_CloudTrail-Digest_us-east-1_trail_us-east-1_20200914T010000Z.json.gz"
#define HASH "00ff"
#define HOUR_US (INT64_C(3600) * CLOCK_SECOND_US)
#define START_US (INT64_C(1600041600) * CLOCK_SECOND_US) /* 2020-09-14T00:00:00Z */

#define TIMES "\"digestStartTime\":\"2020-09-14T00:00:00Z\",\"digestEndTime\":\"2020-09-14T01:00:00Z\""
#define PLACE "\"digestS3Bucket\":\"b\",\"digestS3Object\":\"" OBJECT "\""
#define KEY "\"digestPublicKeyFingerprint\":\"f1\",\"digestSignatureAlgorithm\":\"SHA256withRSA\""

static const struct {
	const char *name, *inside;
	const char *problem; /* NULL: it is one */
	const char *text;    /* that is signed */
} documents[] = {
	{"the first of a chain", "{" TIMES "," PLACE "," KEY ",\"previousDigestSignature\":null}", NULL,
         "2020-09-14T01:00:00Z\nb/" OBJECT "\n" HASH "\nnull"},
	{"one behind another", "{" TIMES "," PLACE "," KEY ",\"previousDigestSignature\":\"abcd\"}", NULL,
         "2020-09-14T01:00:00Z\nb/" OBJECT "\n" HASH "\nabcd"},
	{"nothing", "", "near end of file", NULL},
	{"no JSON", "{\"digestEndTime\":", "near end of file", NULL},
	{"a log file", "{\"Records\":[]}", "no digest of CloudTrail's", NULL},
	{"an array", "[]", "no digest of CloudTrail's", NULL},
	{"no times", "{" PLACE "," KEY "}", "no digest of CloudTrail's", NULL},
	{"no place", "{" TIMES "," KEY "}", "no digest of CloudTrail's", NULL},
	{"no fingerprint", "{" TIMES "," PLACE ",\"digestSignatureAlgorithm\":\"SHA256withRSA\"}",
         "no digest of CloudTrail's", NULL},
	{"an end that is none", "{\"digestEndTime\":\"yesterday\"," PLACE "," KEY "}", "no digest of CloudTrail's",
         NULL},
	{"no beginning", "{\"digestEndTime\":\"2020-09-14T01:00:00Z\"," PLACE "," KEY "}",
         "digestStartTime: expected a time", NULL},
	{"no algorithm", "{" TIMES "," PLACE ",\"digestPublicKeyFingerprint\":\"f1\"}",
         "signed with nothing: expected SHA256withRSA", NULL},
	{"another algorithm",
         "{" TIMES "," PLACE ",\"digestPublicKeyFingerprint\":\"f1\",\"digestSignatureAlgorithm\":\"SHA1withRSA\"}",
         "signed with SHA1withRSA: expected SHA256withRSA", NULL},
	{"of another time", "{" TIMES ",\"digestS3Bucket\":\"b\",\"digestS3Object\":\"a/other.json.gz\"," KEY "}",
         "is the digest of another time or place, other.json.gz", NULL},
};

static void test_documents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(documents); i++) {
		struct digests_digest digest = {0};
		struct error err = {0};
		CLEANUP_BUFFER struct buffer inside = {0};
		assert_int_equal(buffer_append(&inside, documents[i].inside, strlen(documents[i].inside), NULL), 0);
		int result = digests_digest_read(&inside, NAME, HASH, &digest, &err);
		if (result != (documents[i].problem == NULL ? 0 : -1))
			fail_msg("%s: %s", documents[i].name, err.text);
		if (documents[i].problem == NULL) {
			assert_string_equal(digest.text.bytes, documents[i].text);
			assert_int_equal(digest.start_us, START_US);
			assert_int_equal(digest.end_us, START_US + HOUR_US);
		} else if (strstr(err.text, documents[i].problem) == NULL) {
			fail_msg("%s: %s", documents[i].name, err.text);
		}
		digests_digest_done(&digest);
	}
}

static void test_logs(void **state)
{
	struct digests_digest digest = {0};
	struct digests_log log;
	struct error err = {0};
	CLEANUP_BUFFER struct buffer inside = {0};
	(void)state;
	assert_int_equal(buffer_printf(&inside, NULL,
	                               "{%s,%s,%s,\"logFiles\":[{\"s3Object\":\"a/b\",\"hashValue\":\"c\"},{}]}", TIMES,
	                               PLACE, KEY),
	                 0);
	assert_int_equal(digests_digest_read(&inside, NAME, HASH, &digest, &err), 0);
	assert_true(digests_digest_log(&digest, 0, &log));
	assert_string_equal(log.object, "a/b");
	assert_string_equal(log.hash, "c");
	assert_true(digests_digest_log(&digest, 1, &log));
	assert_null(log.object);
	assert_null(log.hash);
	assert_false(digests_digest_log(&digest, 2, &log));
	digests_digest_done(&digest);
}

static const struct {
	const char *first, *second;
	bool is_same;
} names[] = {
	{"/a/1_x_20200914T010000Z.json.gz", "/b/1_x_20200914T020000Z.json.gz", true},
	{"1_x_20200914T010000Z.json.gz", "/1_x_20200914T010000Z.json.gz", true},
	{"/a/1_x_20200914T010000Z.json.gz", "/a/1_y_20200914T010000Z.json.gz", false},
	{"/a/1_x_20200914T010000Z.json.gz", "/a/1_xx_20200914T010000Z.json.gz", false},
	{"short", "shorter", true}, /* nothing in front of a time: of no chain, and so of one */
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (digests_chain_is_same(names[i].first, names[i].second) != names[i].is_same)
			fail_msg("%s and %s", names[i].first, names[i].second);
}

#define BEFORE                                                                                                         \
	&(const struct digests_before)                                                                                 \
	{                                                                                                              \
		"/logs/before.json.gz", "aa", START_US                                                                 \
	}

static const struct {
	const char *name;
	const struct digests_before *before;
	int64_t start_us, since_us;
	const char *object, *hash; /* what it says of the one before */
	struct digests_step step;
} steps[] = {
	{"the first", NULL, START_US, 0, NULL, NULL, {0}},
	{"the first, in time", NULL, START_US, START_US, NULL, NULL, {0}},
	{"the first, too late",
         NULL,
         START_US,
         START_US - 1,
         NULL,
         NULL,
         {.gap_from_us = START_US - 1, .gap_until_us = START_US}},
	{"next", BEFORE, START_US, 0, "x/before.json.gz", "AA", {.is_next = true}},
	{"next, and what is wanted begins later",
         BEFORE,
         START_US,
         START_US + 1,
         "x/before.json.gz",
         "aa",
         {.is_next = true}},
	{"next, and overlapping", BEFORE, START_US - 1, 0, "before.json.gz", "aa", {.is_next = true}},
	{"next, changed", BEFORE, START_US, 0, "x/before.json.gz", "ab", {.is_next = true, .is_changed = true}},
	{"next, without a hash", BEFORE, START_US, 0, "x/before.json.gz", NULL, {.is_next = true, .is_changed = true}},
	{"next, and a gap",
         BEFORE,
         START_US + 5,
         0,
         "x/before.json.gz",
         "aa",
         {.is_next = true, .gap_from_us = START_US, .gap_until_us = START_US + 5}},
	{"one is missing",
         BEFORE,
         START_US + HOUR_US,
         0,
         "x/missing.json.gz",
         "bb",
         {.gap_from_us = START_US, .gap_until_us = START_US + HOUR_US}},
	{"of another chain", BEFORE, START_US, 0, "x/other.json.gz", "aa", {.is_stray = true}},
	{"speaks of none", BEFORE, START_US, 0, NULL, NULL, {.is_stray = true}},
};

static void test_steps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		const struct digests_digest now = {
			.start_us = steps[i].start_us, .before_object = steps[i].object, .before_hash = steps[i].hash};
		const struct digests_step step = digests_chain_step(steps[i].before, &now, steps[i].since_us);
		const struct digests_step *wanted = &steps[i].step;
		if (step.is_next != wanted->is_next || step.is_changed != wanted->is_changed ||
		    step.is_stray != wanted->is_stray || step.gap_from_us != wanted->gap_from_us ||
		    step.gap_until_us != wanted->gap_until_us)
			fail_msg("%s: next %d, changed %d, stray %d, a gap of %lld us", steps[i].name, step.is_next,
			         step.is_changed, step.is_stray, (long long)(step.gap_until_us - step.gap_from_us));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
