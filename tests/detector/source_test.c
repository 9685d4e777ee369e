/* SPDX-License-Identifier: Apache-2.0 */

/* Which files are read, in which order, and which are only counted. */
#include "tests/detector/support.h"

#include "detector/source.h"

static struct {
	char files[2000];
	unsigned skipped, unreadable;
	int result;
} seen;

static int on_file(void *context, const char *path, uint64_t size, struct error *err)
{
	(void)context;
	size_t used = strlen(seen.files);
	const char *name = text_starts(path, support_folder) ? path + strlen(support_folder) + 1 : path;
	(void)snprintf(seen.files + used, sizeof(seen.files) - used, "%s:%d ", name, (int)size);
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

static const struct source_reader reader = {on_file, on_skipped, on_unreadable, NULL};

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
	return 0;
}

static void test_missing(void **state)
{
	struct error err = {0};
	(void)state;
	assert_int_equal(source_each(support_path("nowhere"), &reader, &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);
	assert_non_null(strstr(err.text, "nowhere"));
}

static void test_reader_stops(void **state)
{
	struct error err = {0};
	(void)state;
	seen.result = -1;
	assert_int_equal(source_each(support_path("t"), &reader, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_folder(void **state)
{
	struct error err = {0};
	(void)state;
	assert_int_equal(source_each(support_path("t"), &reader, &err), 0);
	assert_string_equal(seen.files, "t/a/3.jsonl.gz:2 t/a/8.json:2 t/b/1.jsonl:2 t/b/2.json.gz:2 t/z.json:2 ");
	/* digest, insight, .json, notes.txt, 6.json.bz2, 7.gz, manifest, the loop, the link to nowhere */
	assert_int_equal(seen.skipped, 9);
	assert_int_equal(seen.unreadable, 0);
}

static void test_named(void **state)
{
	(void)state;
	assert_int_equal(source_each(support_path("t/CloudTrail-Digest/x/4.json.gz"), &reader, NULL), 0);
	assert_int_equal(source_each(support_path("t/manifest"), &reader, NULL), 0);
	assert_int_equal(source_each("-", &reader, NULL), 0);
	assert_string_equal(seen.files, "t/CloudTrail-Digest/x/4.json.gz:2 t/manifest:2 -:0 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_missing, reset),
		cmocka_unit_test_setup(test_reader_stops, reset),
		cmocka_unit_test_setup(test_folder, reset),
		cmocka_unit_test_setup(test_named, reset),
	};
	return cmocka_run_group_tests(tests, setup, support_teardown);
}
