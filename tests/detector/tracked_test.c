/* SPDX-License-Identifier: Apache-2.0 */

/* What the ledgers say: keys, asked for one by one; instances, and where they were when. */
#include "tests/detector/support.h"

#include <sqlite3.h>

#include "detector/tracked.h"

/* Ledgers stay open while keys are asked for. */
static struct ledger *opened[2];

static void load(struct tracked *tracked, const char *name, const struct support_row *rows, size_t count)
{
	struct error err = {0};
	struct ledger **ledger = &opened[opened[0] != NULL ? 1 : 0];
	if (ledger_open(support_ledger(name, rows, count), ledger, &err) < 0 ||
	    tracked_load(tracked, *ledger, &err) < 0)
		fail_msg("%s", err.text);
}

static void seal(struct tracked *tracked, struct sieve *sieve)
{
	assert_int_equal(tracked_seal(tracked, sieve, NULL), 0);
}

static void done(struct tracked *tracked)
{
	assert_int_equal(tracked_check(tracked, NULL), 0);
	tracked_done(tracked);
	for (size_t i = 0; i < ARRAY_LENGTH(opened); i++) {
		ledger_close(opened[i]);
		opened[i] = NULL;
	}
}

static void test_nothing(void **state)
{
	struct tracked tracked = {0};
	struct tracked_room room;
	size_t count;
	(void)state;
	assert_null(tracked_key(&tracked, OTRF_KEY, &room));
	load(&tracked, "empty.db", NULL, 0);
	seal(&tracked, NULL);
	assert_null(tracked_key(&tracked, OTRF_KEY, &room));
	assert_null(tracked_key(&tracked, "", &room));
	assert_false(tracked_may_know(&tracked, OTRF_KEY, strlen(OTRF_KEY)));
	assert_null(tracked_instance(&tracked, OTRF_INSTANCE, strlen(OTRF_INSTANCE)));
	assert_null(tracked_placements(&tracked, OTRF_INSTANCE, 1, &count));
	assert_null(tracked_placements(&tracked, "", 1, &count));
	done(&tracked);
}

static void test_keys(void **state)
{
	static const struct support_row rows[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(1, "/bin/a"), "curl/8")},
		{"2020-09-14T00:51:00Z", "delivery", "odd-key", SUPPORT_DELIVERY("odd-key", "null", "")},
		{"2020-09-14T00:51:30Z", "delivery", OTRF_KEY, /* again, later, and as another machine would have it */
	         "{\"access_key_id\":\"" OTRF_KEY
	         "\",\"expires_at\":\"2020-09-14T08:00:00.000000Z\",\"outcome\":\"recorded\",\"role\":\"db\"}"},
		{"2020-09-14T00:52:00Z", "delivery", "ASIA5FLZVX4OREFUSEDX",
	         "{\"access_key_id\":\"ASIA5FLZVX4OREFUSEDX\",\"outcome\":\"refused\"}"},
	};
	struct tracked tracked = {0};
	struct tracked_room room;
	struct sieve sieve;
	(void)state;
	load(&tracked, "keys.db", rows, 3);
	load(&tracked, "more.db", rows, 4); /* the same keys again */
	seal(&tracked, &sieve);
	const struct tracked_key *key = tracked_key(&tracked, OTRF_KEY, &room);
	assert_non_null(key);
	assert_string_equal(key->id, OTRF_KEY);
	assert_string_equal(key->home_account, ""); /* the newest delivery says whose it is */
	assert_string_equal(key->role, "db");
	assert_string_equal(key->instance_id, "");
	assert_int_equal(key->expires_at_us, support_time("2020-09-14T08:00:00Z"));
	assert_int_equal(key->first_delivered_us, support_time("2020-09-14T00:50:00Z"));
	assert_null(tracked_key(&tracked, "ASIA5FLZVX4OREFUSEDX", &room));
	assert_null(tracked_key(&tracked, "ASIA5FLZVX4OPVKKVBM", &room));
	assert_true(tracked_may_know(&tracked, OTRF_KEY "\"", strlen(OTRF_KEY)));
	assert_false(tracked_may_know(&tracked, OTRF_KEY, strlen(OTRF_KEY) - 1));
	assert_non_null(tracked_key(&tracked, "odd-key", &room));
	assert_string_equal(room.key.home_account, OTRF_ACCOUNT);
	assert_string_equal(room.key.instance_id, OTRF_INSTANCE);
	assert_string_equal(room.key.region, "us-east-1");
	assert_non_null(tracked_instance(&tracked, OTRF_INSTANCE, strlen(OTRF_INSTANCE)));
	assert_true(tracked_keys_are_odd(tracked.keys));
	assert_true(sieve_holds(&sieve, &OTRF_KEY[SIEVE_KEY_AT]));
	assert_true(sieve.lets_all); /* what is as short as the odd key cannot be told apart */
	sieve_done(&sieve);
	done(&tracked);
}

#define MANY 400

/* Each asked twice, its answer remembered or not; and strangers, of which few are asked for at all. */
static void test_many(void **state)
{
	static struct support_row rows[MANY];
	static char keys[MANY][24], bodies[MANY][128];
	struct tracked tracked = {0};
	struct tracked_room room;
	char stranger[24];
	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "ASIAQAAAAAAA%08X", i);
		(void)snprintf(bodies[i], sizeof(bodies[i]),
		               "{\"access_key_id\":\"%.23s\",\"outcome\":\"recorded\",\"role\":\"%u\"}", keys[i], i);
		rows[i] = (struct support_row){"2020-09-14T00:50:00Z", "delivery", keys[i], bodies[i]};
	}
	load(&tracked, "many.db", rows, MANY);
	seal(&tracked, NULL);
	assert_int_equal(tracked_keys_count(tracked.keys), MANY);
	unsigned let_through = 0;
	for (unsigned i = 0; i < 2 * MANY; i++) {
		const struct tracked_key *key = tracked_key(&tracked, keys[i % MANY], &room);
		(void)snprintf(stranger, sizeof(stranger), "ASIAQBBBBBBB%08X", i);
		assert_non_null(key);
		assert_int_equal(strtoul(key->role, NULL, 10), i % MANY);
		assert_null(tracked_key(&tracked, stranger, &room));
		let_through += tracked_may_know(&tracked, stranger, strlen(stranger));
	}
	assert_true(let_through < 2 * MANY / 50);
	done(&tracked);
}

static int count_key(void *context, const struct tracked_key *key, struct error *err)
{
	(void)err;
	*(unsigned *)context += strcmp(key->id, OTRF_KEY) == 0 ? 1 : 100;
	return 0;
}

/* A key that two ledgers know is one key, with what the first says. */
static void test_two_ledgers(void **state)
{
	static const struct support_row first[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         "{\"access_key_id\":\"" OTRF_KEY "\",\"outcome\":\"recorded\",\"role\":\"first\"}"},
	};
	static const struct support_row second[] = {
		{"2020-09-14T00:40:00Z", "delivery", OTRF_KEY,
	         "{\"access_key_id\":\"" OTRF_KEY "\",\"outcome\":\"recorded\",\"role\":\"second\"}"},
		{"2020-09-14T00:40:00Z", "delivery", "AKIA5FLZVX4OPVKKVBMX",
	         "{\"access_key_id\":\"AKIA5FLZVX4OPVKKVBMX\",\"outcome\":\"recorded\"}"},
	};
	struct tracked tracked = {0};
	struct tracked_room room;
	unsigned keys = 0;
	(void)state;
	load(&tracked, "first.db", first, ARRAY_LENGTH(first));
	load(&tracked, "second.db", second, ARRAY_LENGTH(second));
	seal(&tracked, NULL);
	assert_non_null(tracked_key(&tracked, OTRF_KEY, &room));
	assert_string_equal(room.key.role, "first");
	assert_non_null(tracked_key(&tracked, "AKIA5FLZVX4OPVKKVBMX", &room));
	assert_int_equal(tracked_keys_each(tracked.keys, count_key, &keys, NULL), 0);
	assert_int_equal(keys, 101);
	done(&tracked);
}

/* A ledger that cannot be read any more is no ledger without keys. */
static void test_damage(void **state)
{
	static const struct support_row rows[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         "{\"access_key_id\":\"" OTRF_KEY "\",\"outcome\":\"recorded\"}"},
	};
	struct tracked tracked = {0};
	struct tracked_room room;
	struct error err = {0};
	(void)state;
	load(&tracked, "damaged.db", rows, ARRAY_LENGTH(rows));
	seal(&tracked, NULL);
	assert_int_equal(tracked_check(&tracked, &err), 0);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(support_path("damaged.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE record SET body='{'", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_null(tracked_key(&tracked, OTRF_KEY, &room));
	assert_int_equal(tracked_check(&tracked, &err), -1);
	assert_non_null(strstr(err.text, "damaged.db"));
	tracked_done(&tracked);
	ledger_close(opened[0]);
	opened[0] = NULL;
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
	seal(&tracked, NULL);
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
	done(&tracked);
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
	seal(&tracked, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
		struct address address;
		assert_true(address_parse(asked[i].address, &address));
		const struct placement *found =
			tracked_machine(&tracked, &address, support_time(asked[i].at), asked[i].except);
		if ((found != NULL) != asked[i].is_there)
			fail_msg("%s at %s", asked[i].address, asked[i].at);
	}
	done(&tracked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_machines), cmocka_unit_test(test_nothing),
	                                   cmocka_unit_test(test_keys),     cmocka_unit_test(test_places),
	                                   cmocka_unit_test(test_many),     cmocka_unit_test(test_two_ledgers),
	                                   cmocka_unit_test(test_damage)};
	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
