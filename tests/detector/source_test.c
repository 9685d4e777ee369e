/* SPDX-License-Identifier: Apache-2.0 */

/* Which files are read, in which order, and which are only counted. */
#include "tests/detector/support.h"

#include "detector/source.h"

static struct {
	char files[2000];
	unsigned skipped, unreadable, outside;
	int result;
} seen;

static int on_file(void *context, const struct source_file *file, struct error *err)
{
	(void)context;
	size_t used = strlen(seen.files);
	const char *name =
		text_starts(file->name, support_folder) ? file->name + strlen(support_folder) + 1 : file->name;
	(void)snprintf(seen.files + used, sizeof(seen.files) - used, "%s:%d ", name, (int)file->size);
	return seen.result < 0 ? error_set(err, ERROR_LIMIT, "stop") : 0;
}

static void on_skipped(void *context, const char *path)
{
	(void)context;
	(void)path;
	seen.skipped++;
}

static void on_unreadable(void *context, const char *path, const char *why)
{
	(void)context;
	(void)path;
	(void)why;
	seen.unreadable++;
}

static void on_outside(void *context, const char *path)
{
	(void)context;
	(void)path;
	seen.outside++;
}

static const struct source_reader reader = {
	.file = on_file, .skipped = on_skipped, .outside = on_outside, .unreadable = on_unreadable};
static struct source_options options;

static int each(const char *name, struct error *err)
{
	CLEANUP_SOURCE struct log_source *source = NULL;
	assert_int_equal(source_open(name, &options, &source, err), 0);
	return source_each(source, &reader, err);
}

static void make_folder(const char *name)
{
	assert_int_equal(mkdir(support_path(name), 0700), 0);
}

static int setup(void **state)
{
	static const char *const folders[] = {
		"t", "t/b", "t/CloudTrail-Digest", "t/CloudTrail-Digest/x", "t/CloudTrail-Insight", "t/a"};
	static const char *const files[] = {
		"t/z.json",
		"t/b/2.json.gz",
		"t/b/1.jsonl",
		"t/a/3.jsonl.gz",
		"t/CloudTrail-Digest/x/4.json.gz",
		"t/CloudTrail-Insight/5.json.gz",
		"t/a/.json",
		"t/a/notes.txt",
		"t/a/6.json.bz2",
		"t/a/7.gz",
		"t/manifest",
	};
	if (support_setup(state) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
		make_folder(folders[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		(void)support_write_text(files[i], "{}");
	assert_int_equal(symlink("../b/1.jsonl", support_path("t/a/8.json")), 0);
	assert_int_equal(symlink("..", support_path("t/a/loop")), 0);
	assert_int_equal(symlink("nowhere", support_path("t/a/9.json")), 0);
	return 0;
}

static int reset(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&options, 0, sizeof(options));
	return 0;
}

static void test_missing(void **state)
{
	struct error err = {0};
	(void)state;
	assert_int_equal(each(support_path("nowhere"), &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);
	assert_non_null(strstr(err.text, "nowhere"));
}

static void test_reader_stops(void **state)
{
	struct error err = {0};
	(void)state;
	seen.result = -1;
	assert_int_equal(each(support_path("t"), &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_folder(void **state)
{
	struct error err = {0};
	(void)state;
	assert_int_equal(each(support_path("t"), &err), 0);
	assert_string_equal(seen.files, "t/a/3.jsonl.gz:2 t/a/8.json:2 t/b/1.jsonl:2 t/b/2.json.gz:2 t/z.json:2 ");
	/* digest, insight, .json, notes.txt, 6.json.bz2, 7.gz, manifest, the loop, the link to nowhere */
	assert_int_equal(seen.skipped, 9);
	assert_int_equal(seen.unreadable, 0);
}

static void test_named(void **state)
{
	(void)state;
	assert_int_equal(each(support_path("t/CloudTrail-Digest/x/4.json.gz"), NULL), 0);
	assert_int_equal(each(support_path("t/manifest"), NULL), 0);
	assert_int_equal(each("-", NULL), 0);
	assert_string_equal(seen.files, "t/CloudTrail-Digest/x/4.json.gz:2 t/manifest:2 -:0 ");
}

/* ---- CloudTrail's own layout */

#define ONE "111122223333"
#define TWO "444455556666"
#define LOGS "l/AWSLogs/"
#define FILE_OF(account, region, minute) account "_CloudTrail_" region "_" minute "_Abcdefghijklmnop.json.gz"

static const char *const layout[] = {
	LOGS ONE "/CloudTrail/us-east-1/2026/01/30/" FILE_OF(ONE, "us-east-1", "20260130T2355Z"),
	LOGS ONE "/CloudTrail/us-east-1/2026/01/31/" FILE_OF(ONE, "us-east-1", "20260131T0005Z"),
	LOGS ONE "/CloudTrail/us-east-1/2026/02/01/" FILE_OF(ONE, "us-east-1", "20260201T0005Z"),
	LOGS ONE "/CloudTrail/eu-west-1/2026/01/31/" FILE_OF(ONE, "eu-west-1", "20260131T1200Z"),
	LOGS "o-exampleorgid/" TWO "/CloudTrail/us-east-1/2026/01/31/" FILE_OF(TWO, "us-east-1", "20260131T1200Z"),
	LOGS ONE "/CloudTrail-Digest/us-east-1/2026/01/31/" ONE
		 "_CloudTrail-Digest_us-east-1_t_us-east-1_20260131T010000Z.json.gz",
	LOGS ONE "/Config/us-east-1/2026/1/31/ConfigHistory/x.json.gz",
	LOGS "hand-made.json", /* follows no layout: never left out */
};

static void make_layout(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(layout); i++) {
		char path[400];
		(void)snprintf(path, sizeof(path), "%s/%s", support_folder, layout[i]);
		for (char *slash = path + strlen(support_folder) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
			*slash = '\0';
			(void)mkdir(path, 0700);
			*slash = '/';
		}
		CLEANUP_FILE FILE *file = fopen(path, "w");
		assert_non_null(file);
	}
}

static const char *const one[] = {ONE}, *const frankfurt[] = {"eu-central-1"}, *const virginia[] = {"us-east-1"};

static const struct {
	const char *name, *since, *until;
	int64_t slack_us;
	const char *const *accounts, *const *regions;
	const char *wanted; /* indices in layout[] */
} layouts[] = {
	{"everything", NULL, NULL, 0, NULL, NULL, "01234 7"},
	{"an account", NULL, NULL, 0, one, NULL, "0123 7"},
	{"a region without files", NULL, NULL, 0, NULL, frankfurt, "7"},
	{"a region", NULL, NULL, 0, NULL, virginia, "0124 7"},
	{"since midnight, two clocks", "2026-01-31T00:00:00Z", NULL, 0, NULL, NULL, "01234 7"},
	{"since half past midnight", "2026-01-31T00:30:00Z", NULL, 0, NULL, NULL, "234 7"},
	{"until midnight, nothing is late", NULL, "2026-01-31T00:00:00Z", 0, NULL, NULL, "0 7"},
	{"until midnight, late by an hour", NULL, "2026-01-31T00:00:00Z", INT64_C(3600000000), NULL, NULL, "01 7"},
	{"one noon", "2026-01-31T11:00:00Z", "2026-01-31T13:00:00Z", 0, NULL, NULL, "34 7"},
	{"one noon of an account", "2026-01-31T11:00:00Z", "2026-01-31T13:00:00Z", 0, one, NULL, "3 7"},
	{"long before", NULL, "2001-01-01T00:00:00Z", 0, NULL, NULL, "7"},
};

static void test_layout(void **state)
{
	(void)state;
	make_layout();
	for (size_t i = 0; i < ARRAY_LENGTH(layouts); i++) {
		struct error err = {0};
		(void)reset(NULL);
		options.filter = (struct source_filter){
			.since_us = layouts[i].since != NULL ? support_time(layouts[i].since) : 0,
			.until_us = layouts[i].until != NULL ? support_time(layouts[i].until) : 0,
			.slack_us = layouts[i].slack_us,
			.accounts = layouts[i].accounts,
			.account_count = layouts[i].accounts != NULL,
			.regions = layouts[i].regions,
			.region_count = layouts[i].regions != NULL,
		};
		assert_int_equal(each(support_path("l"), &err), 0);
		for (size_t file = 0; file < ARRAY_LENGTH(layout); file++) {
			bool is_read = strstr(seen.files, layout[file]) != NULL;
			bool is_wanted = strchr(layouts[i].wanted, (int)('0' + file)) != NULL;
			if (is_read != is_wanted)
				fail_msg("%s: %s: read %d", layouts[i].name, layout[file], is_read);
		}
		assert_int_equal(source_filter_is_open(&options.filter), i == 0);
		assert_int_equal(seen.outside > 0, i > 0 && strcmp(layouts[i].wanted, "01234 7") != 0);
	}
}

static int on_digest(void *context, const struct source_file *file, struct error *err)
{
	*(unsigned *)context += strstr(file->name, "CloudTrail-Digest") != NULL;
	(void)err;
	return 0;
}

static void test_digests(void **state)
{
	CLEANUP_SOURCE struct log_source *source = NULL;
	unsigned digests = 0;
	struct source_reader asks = reader;
	struct error err = {0};
	(void)state;
	asks.digest = on_digest;
	asks.context = &digests;
	assert_int_equal(source_open(support_path("l"), &options, &source, &err), 0);
	assert_int_equal(source_each(source, &asks, &err), 0);
	assert_int_equal(digests, 1);
	assert_int_equal(seen.skipped, 1); /* Config's */
}

static const struct {
	const char *path;
	enum source_kind kind;
	const char *account, *region, *from, *until;
} places[] = {
	{"", SOURCE_LOG, "", "", NULL, NULL},
	{"trail.json", SOURCE_LOG, "", "", NULL, NULL},
	{"s3://b/p/AWSLogs/" ONE, SOURCE_LOG, ONE, "", NULL, NULL},
	{"AWSLogs/o-abcdefghij/" ONE "/CloudTrail/us-gov-west-1", SOURCE_LOG, ONE, "us-gov-west-1", NULL, NULL},
	{"AWSLogs/o-SHORT/" ONE "/CloudTrail", SOURCE_LOG, "", "", NULL, NULL},
	{"AWSLogs/11112222333x/CloudTrail/us-east-1", SOURCE_LOG, "", "", NULL, NULL},
	{"AWSLogs/" ONE "/CloudTrail/US-EAST-1/2026", SOURCE_LOG, ONE, "", NULL, NULL},
	{"AWSLogs/" ONE "/CloudTrail/us-east-1/2026", SOURCE_LOG, ONE, "us-east-1", "2026-01-01T00:00:00Z",
         "2027-01-01T00:00:00Z"},
	{"AWSLogs/" ONE "/CloudTrail/us-east-1/2026/12", SOURCE_LOG, ONE, "us-east-1", "2026-12-01T00:00:00Z",
         "2027-01-01T00:00:00Z"},
	{"AWSLogs/" ONE "/CloudTrail/us-east-1/2024/02/29", SOURCE_LOG, ONE, "us-east-1", "2024-02-29T00:00:00Z",
         "2024-03-01T00:00:00Z"},
	{"AWSLogs/" ONE "/CloudTrail/us-east-1/2026/13/01", SOURCE_LOG, ONE, "us-east-1", NULL, NULL},
	{"AWSLogs/" ONE "/CloudTrail/us-east-1/2026/1/01", SOURCE_LOG, ONE, "us-east-1", "2026-01-01T00:00:00Z",
         "2027-01-01T00:00:00Z"},
	{"AWSLogs/AWSLogs/" ONE "/CloudTrail-Insight/us-east-1/x.json", SOURCE_OTHER, ONE, "", NULL, NULL},
	{"CloudTrail-Insight/x.json", SOURCE_OTHER, "", "", NULL, NULL},
	{"AWSLogs/" ONE "/vpcflowlogs/us-east-1/x.json", SOURCE_OTHER, ONE, "", NULL, NULL},
	{"AWSLogs/" ONE "/x.json", SOURCE_LOG, ONE, "", NULL, NULL},
	{"x/" FILE_OF(ONE, "ap-southeast-1", "20260131T2359Z"), SOURCE_LOG, ONE, "ap-southeast-1",
         "2026-01-31T23:59:00Z", "2026-02-01T00:00:00Z"},
	{FILE_OF(ONE, "us-east-1", "20260131T2460Z"), SOURCE_LOG, "", "", NULL, NULL},
	{FILE_OF(ONE, "us-east-1", "20260131T"), SOURCE_LOG, "", "", NULL, NULL},
	{ONE "_CloudTrail_", SOURCE_LOG, "", "", NULL, NULL},
	{ONE "_CloudTrail_us-east-1", SOURCE_LOG, "", "", NULL, NULL},
	{"./" ONE "_CloudTrail-Digest_us-east-1_t_us-east-1_20260131T010000Z.json.gz", SOURCE_LOG, "", "", NULL, NULL},
};

static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		struct source_place place = source_place_of(places[i].path);
		int64_t from_us = places[i].from != NULL ? support_time(places[i].from) : 0;
		int64_t until_us = places[i].until != NULL ? support_time(places[i].until) : 0;
		if (place.kind != places[i].kind || strcmp(place.account, places[i].account) != 0 ||
		    strcmp(place.region, places[i].region) != 0 || place.from_us != from_us ||
		    place.until_us != until_us)
			fail_msg("%s: kind %d, account \"%s\", region \"%s\", from %lld until %lld", places[i].path,
			         (int)place.kind, place.account, place.region, (long long)place.from_us,
			         (long long)place.until_us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_missing, reset), cmocka_unit_test_setup(test_reader_stops, reset),
		cmocka_unit_test_setup(test_folder, reset),  cmocka_unit_test_setup(test_named, reset),
		cmocka_unit_test_setup(test_layout, reset),  cmocka_unit_test_setup(test_digests, reset),
		cmocka_unit_test_setup(test_places, reset),
	};
	return cmocka_run_group_tests(tests, setup, support_teardown);
}
