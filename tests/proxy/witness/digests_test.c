/* SPDX-License-Identifier: Apache-2.0 */

/* Digests that come late, of files that stay, go, change, and are too many or too large. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "proxy/witness/digests.h"

static struct digests *digests;
static char folder[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	return digests_new(&digests, NULL);
}

static int stop(void **state)
{
	(void)state;
	digests_free(digests);
	unit_folder_remove(folder);
	return 0;
}

struct named {
	char path[PATH_MAX], file[DIGESTS_FILE_BYTES];
	int fd;
};

static void name_file(struct named *named)
{
	struct statx status;
	named->fd = open(named->path, O_PATH | O_CLOEXEC);
	assert_true(named->fd >= 0);
	assert_int_equal(statx(named->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status), 0);
	(void)digests_file(&status, named->file);
}

static void make_file(struct named *named, const char *name, const char *content)
{
	unit_write(unit_path(named->path, folder, name), content, strlen(content));
	name_file(named);
}

static bool find(const struct named *named, bool announce, char hex[static DIGEST_HEX_BYTES])
{
	const struct digests_query query = {
		.file = named->file, .path = named->path, .fd = named->fd, .announce = announce};
	return digests_find(digests, &query, hex);
}

static bool find_in_time(const struct named *named, int64_t most_ms, char hex[static DIGEST_HEX_BYTES])
{
	const int64_t deadline_ms = clock_monotonic_ms() + most_ms;
	while (!find(named, false, hex)) {
		if (clock_monotonic_ms() > deadline_ms)
			return false;
		(void)usleep(2000);
	}
	return true;
}

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-2, appendix B.1 */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void gives_what_it_knows(void **state)
{
	struct named named;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&named, "abc", "abc");
	assert_false(find(&named, false, hex)); /* asking waits for nothing */
	assert_true(find_in_time(&named, 10000, hex));
	assert_string_equal(hex, ABC);
	(void)close(named.fd);

	make_file(&named, "empty", "");
	assert_true(find_in_time(&named, 10000, hex));
	assert_string_equal(hex, EMPTY);
	(void)close(named.fd);
}

static void reads_what_is_deleted_meanwhile(void **state)
{
	struct named named;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&named, "gone", "abc");
	assert_int_equal(unlink(named.path), 0);
	/* Its link count is part of no name, but its ctime has moved. */
	struct statx status;
	assert_int_equal(statx(named.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status), 0);
	(void)digests_file(&status, named.file);
	assert_false(find(&named, false, hex));
	(void)close(named.fd); /* it keeps a descriptor of its own */
	named.fd = -1;
	assert_true(find_in_time(&named, 10000, hex));
	assert_string_equal(hex, ABC);
}

static void announces_what_came_late(void **state)
{
	struct named quiet, wanted;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&quiet, "quiet", "nobody stores this");
	make_file(&wanted, "wanted", "abc");
	assert_false(find(&quiet, false, hex));
	assert_false(find(&wanted, false, hex));
	assert_false(find(&wanted, true, hex));
	CLEANUP_JSON json_t *news = digests_next(digests);
	assert_string_equal(json_text_at(news, "exe"), wanted.path);
	assert_string_equal(json_text_at(news, "exe_file"), wanted.file);
	assert_string_equal(json_text_at(news, "exe_sha256"), ABC);
	(void)close(quiet.fd);
	(void)close(wanted.fd);
}

/* What was known when it was asked for needs no announcement: the next one is of another file. */
static void announces_nothing_twice(void **state)
{
	struct named known, other;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&known, "known", "known");
	assert_true(find_in_time(&known, 10000, hex));
	assert_true(find(&known, true, hex));
	make_file(&other, "other", "other");
	assert_false(find(&other, true, hex));
	CLEANUP_JSON json_t *news = digests_next(digests);
	assert_string_equal(json_text_at(news, "exe_file"), other.file);
	assert_true(find(&other, true, hex));
	struct named last;
	make_file(&last, "last", "last");
	assert_false(find(&last, true, hex));
	CLEANUP_JSON json_t *next = digests_next(digests);
	assert_string_equal(json_text_at(next, "exe_file"), last.file);
	(void)close(known.fd);
	(void)close(other.fd);
	(void)close(last.fd);
}

static void believes_no_file_that_has_changed(void **state)
{
	struct named named;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&named, "changing", "abc");
	(void)usleep(30000); /* its ctime moves on */
	unit_write(named.path, "xyz", 3);
	assert_false(find(&named, false, hex));
	assert_false(find_in_time(&named, 300, hex));
	(void)close(named.fd);
	name_file(&named);
	assert_true(find_in_time(&named, 10000, hex));
	assert_string_not_equal(hex, ABC);
	(void)close(named.fd);
}

static void reads_no_giant(void **state)
{
	struct named named, small;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&named, "giant", "abc");
	assert_int_equal(truncate(named.path, (off_t)DIGESTS_SIZE_MAX + 1), 0); /* sparse */
	(void)close(named.fd);
	name_file(&named);
	assert_false(find(&named, false, hex));
	make_file(&small, "small", "abc");
	assert_true(find_in_time(&small, 10000, hex)); /* so the giant's turn is over */
	assert_false(find(&named, false, hex));
	(void)close(named.fd);
	(void)close(small.fd);
}

static void keeps_to_its_rate(void **state)
{
	struct named named;
	char hex[DIGEST_HEX_BYTES];
	(void)state;
	make_file(&named, "large", "");
	assert_int_equal(truncate(named.path, DIGESTS_BYTES_PER_SECOND / 4), 0);
	(void)close(named.fd);
	name_file(&named);
	const int64_t start_us = clock_monotonic_us();
	assert_true(find_in_time(&named, 60000, hex));
	assert_true(clock_monotonic_us() - start_us > CLOCK_SECOND_US / 5);
	(void)close(named.fd);
}

/* More files than wait at once, and more than the table holds: asking never blocks, and those asked for again are known
 * in the end. */
static void bounds_what_waits(void **state)
{
	char hex[DIGEST_HEX_BYTES], name[32];
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct named named;
		(void)snprintf(name, sizeof(name), "many-%d", i);
		make_file(&named, name, name);
		assert_false(find(&named, false, hex));
		if (i % 50 == 49)
			assert_true(find_in_time(&named, 30000, hex));
		(void)close(named.fd);
	}
}

static void compares_what_names_a_file(void **state)
{
	const struct statx one = {.stx_dev_major = 8,
	                          .stx_dev_minor = 1,
	                          .stx_ino = 77,
	                          .stx_size = 100,
	                          .stx_nlink = 1,
	                          .stx_mtime = {.tv_sec = 1700000000, .tv_nsec = 5},
	                          .stx_ctime = {.tv_sec = 1700000001, .tv_nsec = 6}};
	struct statx others[] = {one, one, one, one, one, one, one, one, one};
	char name[DIGESTS_FILE_BYTES], other[DIGESTS_FILE_BYTES];
	(void)state;
	others[1].stx_dev_major++;
	others[2].stx_dev_minor++;
	others[3].stx_ino++;
	others[4].stx_size++;
	others[5].stx_mtime.tv_sec++;
	others[6].stx_mtime.tv_nsec++;
	others[7].stx_ctime.tv_sec++;
	others[8].stx_ctime.tv_nsec++;
	others[0].stx_nlink++; /* of no account */
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		bool is_same = strcmp(digests_file(&one, name), digests_file(&others[i], other)) == 0;
		assert_int_equal(is_same, i == 0);
		assert_int_equal(digests_is_same_file(&one, &others[i]), is_same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares_what_names_a_file),
		cmocka_unit_test(gives_what_it_knows),
		cmocka_unit_test(reads_what_is_deleted_meanwhile),
		cmocka_unit_test(announces_what_came_late),
		cmocka_unit_test(announces_nothing_twice),
		cmocka_unit_test(believes_no_file_that_has_changed),
		cmocka_unit_test(reads_no_giant),
		cmocka_unit_test(keeps_to_its_rate),
		cmocka_unit_test(bounds_what_waits),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
