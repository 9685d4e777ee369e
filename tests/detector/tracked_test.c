/* SPDX-License-Identifier: Apache-2.0 */

/* What the ledger says, in memory: keys, instances, and where they were when. */
#include "tests/detector/support.h"

#include "detector/tracked.h"

static void load(struct tracked *tracked, const char *name, const struct support_row *rows, size_t count)
{
	struct ledger *ledger;
	struct error err = {0};
	if (ledger_open(support_ledger(name, rows, count), &ledger, &err) < 0 ||
	    tracked_load(tracked, ledger, &err) < 0)
		fail_msg("%s", err.text);
	ledger_close(ledger);
	assert_int_equal(tracked_seal(tracked, &err), 0);
}

static void test_nothing(void **state)
{
	struct tracked tracked = {0};
	size_t count;
	(void)state;
	load(&tracked, "empty.db", NULL, 0);
	assert_null(tracked_key(&tracked, OTRF_KEY, strlen(OTRF_KEY)));
	assert_null(tracked_instance(&tracked, OTRF_INSTANCE, strlen(OTRF_INSTANCE)));
	assert_null(tracked_placements(&tracked, OTRF_INSTANCE, 1, &count));
	assert_null(tracked_placements(&tracked, "", 1, &count));
	tracked_done(&tracked);
}

static void test_keys(void **state)
{
	static const struct support_row rows[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(1, "/bin/a"), "curl/8")},
		{"2020-09-14T00:51:00Z", "delivery", "odd-key", SUPPORT_DELIVERY("odd-key", "null", "")},
		{"2020-09-14T00:52:00Z", "delivery", "ASIA5FLZVX4OREFUSEDX",
	         "{\"access_key_id\":\"ASIA5FLZVX4OREFUSEDX\",\"outcome\":\"refused\"}"},
	};
	struct tracked tracked = {0};
	(void)state;
	load(&tracked, "keys.db", rows, 2);
	load(&tracked, "more.db", rows, 3); /* the same keys again */
	const struct tracked_key *key = tracked_key(&tracked, OTRF_KEY, strlen(OTRF_KEY));
	assert_non_null(key);
	assert_string_equal(key->home_account, OTRF_ACCOUNT);
	assert_string_equal(key->role, "web");
	assert_string_equal(key->instance_id, OTRF_INSTANCE);
	assert_int_equal(key->expires_at_us, support_time("2020-09-14T07:10:27Z"));
	assert_int_equal(key->first_delivered_us, support_time("2020-09-14T00:50:00Z"));
	assert_null(tracked_key(&tracked, "ASIA5FLZVX4OREFUSEDX", 20));
	assert_null(tracked_key(&tracked, OTRF_KEY, strlen(OTRF_KEY) - 1));
	assert_non_null(tracked_instance(&tracked, OTRF_INSTANCE, strlen(OTRF_INSTANCE)));
	assert_true(tracked.has_odd_key);
	assert_int_equal(tracked.key_count, 2);
	tracked_done(&tracked);
}

static void check_places(const struct tracked *tracked, const char *at, const char *address, bool is_there)
{
	size_t count;
	struct address wanted;
	bool found = false;
	const struct placement *places = tracked_placements(tracked, OTRF_INSTANCE, support_time(at), &count);
	assert_true(address_parse(address, &wanted));
	for (size_t i = 0; i < count; i++)
		found = found || cidr_set_find(&places[i].addresses, &wanted) != NULL;
	if (found != is_there)
		fail_msg("%s at %s", address, at);
}

static void test_places(void **state)
{
	static const struct support_row rows[] = {
		{"2026-01-01T12:00:00Z", "placement", NULL,
	         SUPPORT_PLACEMENT("\"198.51.100.1\",\"10.0.0.0/16\",\"bad\",7")},
		{"2026-01-02T12:00:00Z", "placement", NULL, SUPPORT_PLACEMENT("\"198.51.100.2\",\"2600:1f18::1\"")},
		{"2026-01-03T12:00:00Z", "placement", NULL, SUPPORT_PLACEMENT("\"198.51.100.3\"")},
	};
	struct tracked tracked = {0};
	(void)state;
	load(&tracked, "places.db", rows, ARRAY_LENGTH(rows));
	check_places(&tracked, "2026-01-01T13:00:00Z", "198.51.100.2", false);
	check_places(&tracked, "2026-01-02T12:30:00Z", "198.51.100.1", false);
	check_places(&tracked, "2026-01-03T13:00:00Z", "198.51.100.1", false);
	check_places(&tracked, "2026-01-03T13:00:00Z", "198.51.100.2", false);
	check_places(&tracked, "2026-01-01T13:00:00Z", "198.51.100.1", true);
	check_places(&tracked, "2026-01-01T13:00:00Z", "10.0.3.4", true);
	check_places(&tracked, "2025-12-31T13:00:00Z", "198.51.100.1", true); /* before the first look */
	check_places(&tracked, "2026-01-02T12:05:00Z", "198.51.100.1", true); /* within the slack */
	check_places(&tracked, "2026-01-02T11:55:00Z", "198.51.100.2", true);
	check_places(&tracked, "2026-01-02T20:00:00Z", "2600:1f18::1", true);
	check_places(&tracked, "2027-01-02T20:00:00Z", "198.51.100.3", true);
	tracked_done(&tracked);
}

static void test_machines(void **state)
{
	static const struct support_row rows[] = {
		{"2020-09-14T01:00:00Z", "placement", NULL,
	         SUPPORT_PLACEMENT("\"198.51.100.10\",\"10.0.0.1\",\"172.61.0.0/16\"")},
		{"2020-09-14T02:00:00Z", "placement", NULL, SUPPORT_PLACEMENT("\"198.51.100.11\"")},
	};
	static const struct {
		const char *address, *at, *except;
		bool is_there;
	} asked[] = {
		{"198.51.100.10", "2020-09-14T01:30:00Z", "", true},
		{"198.51.100.10", "2020-09-14T01:30:00Z", OTRF_INSTANCE, false},
		{"198.51.100.10", "2020-09-14T00:55:00Z", "", true}, /* two clocks */
		{"198.51.100.10", "2020-09-14T00:45:00Z", "", false},
		{"198.51.100.10", "2020-09-14T02:05:00Z", "", true},
		{"198.51.100.10", "2020-09-14T02:15:00Z", "", false},
		{"198.51.100.11", "2020-09-15T02:15:00Z", "", true},
		{"10.0.0.1", "2020-09-14T01:30:00Z", "", false},   /* everybody's */
		{"172.61.0.1", "2020-09-14T01:30:00Z", "", false}, /* a network is no machine */
	};
	struct tracked tracked = {0};
	(void)state;
	load(&tracked, "machines.db", rows, ARRAY_LENGTH(rows));
	for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
		struct address address;
		assert_true(address_parse(asked[i].address, &address));
		const struct placement *found =
			tracked_machine(&tracked, &address, support_time(asked[i].at), asked[i].except);
		if ((found != NULL) != asked[i].is_there)
			fail_msg("%s at %s", asked[i].address, asked[i].at);
	}
	tracked_done(&tracked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_machines), cmocka_unit_test(test_nothing),
	                                   cmocka_unit_test(test_keys), cmocka_unit_test(test_places)};
	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
