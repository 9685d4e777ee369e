/* SPDX-License-Identifier: Apache-2.0 */

/* What may be kept and what may not, and for how long: with a clock that the cases move. */
#include "tests/common/unit.h"

#include <pthread.h>

#include "common/clock.h"
#include "proxy/cache.h"

#define META "/latest/meta-data/"
#define MAC META "network/interfaces/macs/0a:1b:2c:3d:4e:5f/"

static const struct {
	const char *target;
	bool is_known;
} targets[] = {
	{META "instance-id", true},
	{"/2021-07-15/meta-data/instance-id", true},
	{"/1.0/meta-data/ami-id", true},
	{META "instance-type", true},
	{META "local-ipv4", true},
	{META "mac", true},
	{META "placement/region", true},
	{META "placement/availability-zone", true},
	{META "services/domain", true},
	{MAC "vpc-id", true},
	{MAC "subnet-id", true},
	{MAC "owner-id", true},
	{"/latest/dynamic/instance-identity/document", true},
	{"/latest/dynamic/instance-identity/signature", true},

	{"", false},
	{"/", false},
	{"/latest", false},
	{"/latest/", false},
	{"meta-data/instance-id", false},
	{"/meta-data/instance-id", false},
	{"/latest/x/meta-data/instance-id", false},
	{META, false},
	{META "instance-id/", false},
	{META "instance-id?a", false},
	{META "instance-idx", false},
	{META "instance-i", false},
	{META "Instance-Id", false},
	{META "iam/info", false},
	{META "iam/security-credentials/", false},
	{META "iam/security-credentials/web-server", false},
	{META "iam/security-credentials-extended/web-server", false},
	{META "iam-ecs-1/security-credentials/a", false},
	{META "identity-credentials/ec2/info", false},
	{META "identity-credentials/ec2/security-credentials/ec2-instance", false},
	{META "managed-ssh-keys/active-keys/ubuntu", false},
	{META "public-keys/0/openssh-key", false},
	{META "spot/instance-action", false},
	{META "spot/termination-time", false},
	{META "events/recommendations/rebalance", false},
	{META "events/maintenance/scheduled", false},
	{META "events/maintenance/history", false},
	{META "autoscaling/target-lifecycle-state", false},
	{META "instance-action", false},
	{META "tags/instance/Name", false},
	{META "public-ipv4", false},
	{META "public-hostname", false},
	{META "hostname", false},
	{META "local-hostname", false},
	{META "security-groups", false},
	{META "block-device-mapping/ami", false},
	{META "placement/", false},
	{META "placement/else", false},
	{META "network/interfaces/macs/", false},
	{META "network/interfaces/macs/0a:1b:2c:3d:4e:5f", false},
	{META "network/interfaces/macs//vpc-id", false},
	{META "network/interfaces/macs/0a%3A1b/vpc-id", false},
	{META "network/interfaces/macs/0a:1b/x/vpc-id", false},
	{MAC, false},
	{MAC "device-number", false},
	{MAC "local-ipv4s", false},
	{MAC "public-ipv4s", false},
	{MAC "security-group-ids", false},
	{MAC "vpc-ipv4-cidr-blocks", false},
	{"/latest/user-data", false},
	{"/latest/api/token", false},
	{"/latest/dynamic/fws/instance-monitoring", false},
};

static void knows_its_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(targets); i++)
		CHECK_NUMBER(targets[i].target, cache_knows(targets[i].target), targets[i].is_known);
}

#define HEAD "HTTP/1.1 200 OK\r\nDate: Wed, 30 Jul 2025 12:00:00 GMT\r\nETag: a\r\n\r\n"
#define DATE_US INT64_C(1753876800000000)

static void make(struct response *answer, int status, const char *body, size_t length)
{
	response_done(answer);
	answer->status = status;
	answer->date_us = DATE_US;
	assert_int_equal(buffer_append(&answer->head, HEAD, strlen(HEAD), NULL), 0);
	assert_int_equal(buffer_append(&answer->body, body, length, NULL), 0);
}

static void takes_no_secret(void **state)
{
	static const char large[CACHE_ENTRY_BYTES] = "";
	static const struct {
		const char *name;
		int status;
		const char *body;
		size_t length;
		bool is_taken;
	} answers[] = {
		{"text", 200, "ami-1", 5, true},
		{"nothing", 200, "", 0, true},
		{"not found", 404, "ami-1", 5, false},
		{"throttled", 503, "ami-1", 5, false},
		{"no content", 204, "", 0, false},
		{"credentials", 200, "{\"AccessKeyId\":\"A\"}", 19, false},
		{"credentials in other letters", 200, "{\"accesskeyid\":\"A\"}", 19, false},
		{"credentials escaped", 200, "{\"Access\\u004beyId\":\"A\"}", 24, false},
		{"credentials behind a NUL", 200, "a\0{\"AccessKeyId\":\"A\"}", 21, false},
		{"large", 200, large, sizeof(large), false},
	};
	CLEANUP_RESPONSE struct response answer = {0};
	CLEANUP_RESPONSE struct response got = {0};
	struct cache *cache;
	(void)state;
	assert_int_equal(cache_new(&cache, NULL), 0);
	cache_keep_for(cache, 1000, 0);
	for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
		make(&answer, answers[i].status, answers[i].body, answers[i].length);
		CHECK_NUMBER(answers[i].name, cache_takes(&answer), answers[i].is_taken);
		cache_put(cache, answers[i].name, 5, 5, &answer);
		CHECK_NUMBER(answers[i].name, cache_get(cache, answers[i].name, 6, &got), answers[i].is_taken);
	}
	cache_free(cache);
}

static void keeps_for_a_time(void **state)
{
	static const struct {
		const char *name;
		int64_t keep_ms, asked_ms, answered_ms, forgotten_ms, get_ms;
		bool is_kept;
		const char *date;
	} cases[] = {
		{"at once", 2000, 100, 100, 0, 100, true, "12:00:00"},
		{"at the end", 2000, 100, 100, 0, 2099, true, "12:00:01"},
		{"over", 2000, 100, 100, 0, 2100, false, NULL},
		{"counted from the question", 2000, 100, 1500, 0, 2100, false, NULL},
		{"dated from the answer", 2000, 100, 1500, 0, 2099, true, "12:00:00"},
		{"long", 60000, 100, 100, 0, 60099, true, "12:00:59"},
		{"answered too late", 2000, 100, 2100, 0, 2100, false, NULL},
		{"asked before all was forgotten", 2000, 100, 200, 100, 200, false, NULL},
		{"asked after all was forgotten", 2000, 101, 200, 100, 200, true, "12:00:00"},
		{"off", 0, 100, 100, 0, 100, false, NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		CLEANUP_RESPONSE struct response got = {0};
		struct cache *cache;
		assert_int_equal(cache_new(&cache, NULL), 0);
		cache_keep_for(cache, cases[i].keep_ms, 0);
		if (cases[i].forgotten_ms > 0)
			cache_forget(cache, cases[i].forgotten_ms);
		make(&answer, 200, "abc", 3);
		cache_put(cache, "a", cases[i].asked_ms, cases[i].answered_ms, &answer);
		CHECK(cases[i].name, !cache_get(cache, "b", cases[i].get_ms, &got));
		CHECK(cases[i].name, !cache_get(cache, "", cases[i].get_ms, &got));
		CHECK_NUMBER(cases[i].name, cache_get(cache, "a", cases[i].get_ms, &got), cases[i].is_kept);
		CHECK_NUMBER(cases[i].name, cache_hits(cache), cases[i].is_kept);
		if (cases[i].is_kept) {
			char head[256];
			(void)snprintf(head, sizeof(head),
			               "HTTP/1.1 200 OK\r\nDate: Wed, 30 Jul 2025 %s GMT\r\nETag: a\r\n\r\n",
			               cases[i].date);
			CHECK_TEXT(cases[i].name, got.head.bytes, head);
			CHECK_TEXT(cases[i].name, got.body.bytes, "abc");
			CHECK_NUMBER(cases[i].name, got.date_us,
			             DATE_US + (cases[i].get_ms - cases[i].answered_ms) * 1000);
		}
		cache_forget(cache, cases[i].get_ms);
		CHECK(cases[i].name, !cache_get(cache, "a", cases[i].get_ms, &got));
		cache_free(cache);
	}
}

static int count_kept(struct cache *cache, int keys, int64_t now_ms)
{
	int count = 0;
	for (int i = 0; i < keys; i++) {
		CLEANUP_RESPONSE struct response got = {0};
		char key[16];
		(void)snprintf(key, sizeof(key), "%d", i);
		count += cache_get(cache, key, now_ms, &got);
	}
	return count;
}

/* The oldest go first, by number and by bytes; the same key takes no second place. */
static void is_bounded(void **state)
{
	static char text[CACHE_ENTRY_BYTES - sizeof(HEAD)];
	static const struct {
		const char *name;
		size_t body_bytes;
		int most;
	} cases[] = {{"entries", 10, CACHE_ENTRIES}, {"bytes", sizeof(text), CACHE_BYTES / (CACHE_ENTRY_BYTES - 1)}};
	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		CLEANUP_RESPONSE struct response got = {0};
		char key[CACHE_KEY_BYTES + 1];
		struct cache *cache;
		assert_int_equal(cache_new(&cache, NULL), 0);
		cache_keep_for(cache, 60000, 0);
		make(&answer, 200, text, cases[i].body_bytes);
		for (int number = 0; number < 2 * CACHE_ENTRIES; number++) {
			(void)snprintf(key, sizeof(key), "%d", number);
			cache_put(cache, key, 1 + number, 1 + number, &answer);
			cache_put(cache, key, 1 + number, 1 + number, &answer);
		}
		CHECK_NUMBER(cases[i].name, count_kept(cache, 2 * CACHE_ENTRIES, 200), cases[i].most);
		CHECK(cases[i].name, cache_get(cache, key, 200, &got));
		CHECK(cases[i].name, !cache_get(cache, "0", 200, &got));
		memset(key, 'k', CACHE_KEY_BYTES);
		key[CACHE_KEY_BYTES] = '\0';
		cache_put(cache, key, 300, 300, &answer);
		CHECK(cases[i].name, !cache_get(cache, key, 300, &got));
		cache_free(cache);
	}
}

static void *work(void *argument)
{
	struct cache *cache = argument;
	for (int i = 0; i < 2000; i++) {
		CLEANUP_RESPONSE struct response answer = {0};
		CLEANUP_RESPONSE struct response got = {0};
		char key[16];
		(void)snprintf(key, sizeof(key), "%d", i % (CACHE_ENTRIES + 8));
		answer.status = 200;
		if (buffer_append(&answer.head, HEAD, strlen(HEAD), NULL) < 0 ||
		    buffer_append(&answer.body, key, strlen(key), NULL) < 0)
			abort();
		cache_put(cache, key, 1 + i, 1 + i, &answer);
		if (cache_get(cache, key, 1 + i, &got) && strcmp(got.body.bytes, key) != 0)
			return cache;
		if (i % 500 == 0)
			cache_forget(cache, i);
	}
	return NULL;
}

static void serves_many_threads(void **state)
{
	pthread_t threads[4];
	struct cache *cache;
	(void)state;
	assert_int_equal(cache_new(&cache, NULL), 0);
	cache_keep_for(cache, 60000, 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, cache), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
		void *wrong;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(cache_hits(cache) > 0);
	cache_free(cache);
	cache_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_its_table),     cmocka_unit_test(takes_no_secret),
		cmocka_unit_test(keeps_for_a_time),    cmocka_unit_test(is_bounded),
		cmocka_unit_test(serves_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
