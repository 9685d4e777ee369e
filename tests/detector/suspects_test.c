/* SPDX-License-Identifier: Apache-2.0 */

/* Ranking of the receivers, on a ledger that the daemon's writer made. */
#include "tests/detector/support.h"

#include "detector/suspects.h"

#define OLD_KEY "ASIA5FLZVX4OAAAAAAAA"
#define SHELL                                                                                                          \
	"{\"pid\":30,\"exe\":\"/usr/bin/python3\",\"ancestors\":[{\"pid\":29,\"exe\":\"/usr/bin/bash\"},"              \
	"{\"pid\":28,\"exe\":\"/usr/sbin/sshd\"}]}"
#define SERVICE                                                                                                        \
	"{\"pid\":31,\"exe\":\"/usr/bin/agent\",\"ancestors\":[{\"pid\":29,\"exe\":\"/bin/"                            \
	"sh\"},{\"pid\":1,\"exe\":\"/sbin/init\"}]}"

static const struct support_row rows[] = {
	{"2020-09-13T20:00:00Z", "delivery", OLD_KEY,
         SUPPORT_DELIVERY(OLD_KEY, SUPPORT_PROCESS(10, "/usr/bin/agent"), "aws-cli/1")},
	{"2020-09-13T20:01:00Z", "delivery", OLD_KEY,
         SUPPORT_DELIVERY(OLD_KEY, SUPPORT_PROCESS(11, "/usr/bin/python3"), "aws-cli/1")},
	/* The key at hand: an old acquaintance, twice. */
	{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(10, "/usr/bin/agent"), "AWS-CLI/2.1 x")},
	{"2020-09-14T00:55:00Z", "delivery", OTRF_KEY,
         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(10, "/usr/bin/agent"), "AWS-CLI/2.1 x")},
	/* A stranger with another user agent. */
	{"2020-09-14T00:51:00Z", "delivery", OTRF_KEY,
         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(20, "/tmp/x"), "curl/8")},
	/* From a login. */
	{"2020-09-14T00:52:00Z", "delivery", OTRF_KEY, SUPPORT_DELIVERY(OTRF_KEY, SHELL, "aws-cli/1")},
	{"2020-09-14T00:53:00Z", "delivery", OTRF_KEY, SUPPORT_DELIVERY(OTRF_KEY, SERVICE, "aws-cli/1")},
	/* Within the slack, and behind it. */
	{"2020-09-14T01:04:00Z", "delivery", OTRF_KEY,
         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(40, "/usr/bin/agent"), "aws-cli/1")},
	{"2020-09-14T02:00:00Z", "delivery", OTRF_KEY,
         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(50, "/bin/bash"), "nc")},
	/* Not suspects: the daemon itself, and a refusal. */
	{"2020-09-14T00:50:30Z", "delivery", OTRF_KEY,
         "{\"access_key_id\":\"" OTRF_KEY "\",\"source\":\"self\",\"outcome\":\"delivered\"}"},
	{"2020-09-14T00:50:40Z", "delivery", OTRF_KEY,
         "{\"access_key_id\":\"" OTRF_KEY "\",\"source\":\"imds\",\"outcome\":\"refused\"}"},
};

#define FINDING(key)                                                                                                   \
	"{\"access_key_id\":" key ",\"first_seen\":\"2020-09-14T01:00:04.000000Z\",\"user_agents\":["                  \
	"{\"user_agent\":\"[aws-cli/1.18.136 Python/3.8.5]\",\"count\":11}]}"

static json_t *rank(const char *name, size_t row_count, const char *finding_text)
{
	struct ledger *ledger;
	struct error err = {0};
	json_t *finding = support_json(finding_text);
	if (ledger_open(support_ledger(name, rows, row_count), &ledger, &err) < 0 ||
	    suspects_put(finding, &ledger, 1, NULL, &err) < 0)
		fail_msg("%s", err.text);
	ledger_close(ledger);
	return finding;
}

static bool has_reason(const json_t *suspect, const char *text)
{
	const json_t *reasons = json_at(suspect, "reasons");
	for (size_t i = 0; i < json_array_size(reasons); i++)
		if (strstr(json_string_value(json_array_get(reasons, i)), text) != NULL)
			return true;
	return false;
}

static void test_nobody(void **state)
{
	static const char *const findings[] = {FINDING("null"), FINDING("\"ASIA5FLZVX4OUNKNOWNX\"")};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(findings); i++) {
		CLEANUP_JSON json_t *finding = rank(i == 0 ? "a.db" : "b.db", ARRAY_LENGTH(rows), findings[i]);
		assert_true(json_is_array(json_at(finding, "suspects")));
		assert_int_equal(json_array_size(json_at(finding, "suspects")), 0);
		assert_int_equal(json_integer_value(json_at(finding, "suspects_omitted")), 0);
	}
}

static void test_ranking(void **state)
{
	static const struct {
		int pid;
		const char *has[3], *has_not[3];
	} wanted[] = {
		{20,
	         {"before its first use", "new executable", "fetched with curl, used with aws-cli"},
	         {"shell", "", ""}},
		{30,
	         {"fetched and used with aws-cli", "interactive shell", "exact"},
	         {"new executable", "fetched with", ""}},
		{40, {"before its first use", "exact", ""}, {"new executable", "fetched with", "shell"}},
		{31, {"before its first use", "exact", ""}, {"new executable", "fetched with", "shell"}},
		{10, {"before its first use", "exact", ""}, {"new executable", "fetched with", "shell"}},
		{50, {"recorded after first use", "is a shell", "fetched with nc"}, {"before its", "", ""}},
	};
	CLEANUP_JSON json_t *finding = rank("c.db", ARRAY_LENGTH(rows), FINDING("\"" OTRF_KEY "\""));
	const json_t *list = json_at(finding, "suspects");
	(void)state;
	assert_int_equal(json_array_size(list), ARRAY_LENGTH(wanted));
	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
		const json_t *suspect = json_array_get(list, i);
		assert_int_equal(json_integer_value(json_at(suspect, "rank")), i + 1);
		if (json_integer_value(json_at(suspect, "process.pid")) != wanted[i].pid)
			fail_msg("rank %zu is pid %d", i + 1, (int)json_integer_value(json_at(suspect, "process.pid")));
		for (int n = 0; n < 3; n++) {
			const char *has = wanted[i].has[n], *not = wanted[i].has_not[n];
			if ((has[0] != '\0' && !has_reason(suspect, has)) ||
			    (not [0] != '\0' && has_reason(suspect, not )))
				fail_msg("pid %d: %s, %s", wanted[i].pid, has, not );
		}
	}
	const json_t *twice = json_array_get(list, 4);
	assert_int_equal(json_integer_value(json_at(twice, "deliveries")), 2);
	assert_string_equal(json_text_at(twice, "delivered_at"), "2020-09-14T00:50:00.000000Z");
	assert_string_equal(json_text_at(twice, "last_delivered_at"), "2020-09-14T00:55:00.000000Z");
}

/* What is said when the ranking has nothing to say. */
static void test_note(void **state)
{
#define TO(pid, exe) SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(pid, exe), "aws-cli/1")
	static const struct support_row all[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY, TO(10, "/usr/bin/one")},
		{"2020-09-14T00:51:00Z", "delivery", OTRF_KEY, TO(11, "/usr/bin/two")},
		{"2020-09-14T00:52:00Z", "delivery", OTRF_KEY, TO(12, "/bin/bash")},
		{"2020-09-14T03:00:00Z", "delivery", OTRF_KEY, TO(13, "/usr/bin/three")},
	};
	static const struct {
		size_t from, count;
		const char *note;
	} notes[] = {
		{0, 1, "the only process"},
		{0, 2, "nothing sets one apart"},
		{0, 3, NULL},
		{3, 1, "nobody is on record"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(notes); i++) {
		struct ledger *ledger;
		struct error err = {0};
		char name[20];
		(void)snprintf(name, sizeof(name), "note%zu.db", i);
		CLEANUP_JSON json_t *finding = support_json(FINDING("\"" OTRF_KEY "\""));
		assert_int_equal(ledger_open(support_ledger(name, all + notes[i].from, notes[i].count), &ledger, &err),
		                 0);
		assert_int_equal(suspects_put(finding, &ledger, 1, NULL, &err), 0);
		ledger_close(ledger);
		const char *note = json_text_at(finding, "suspects_note");
		if ((note != NULL) != (notes[i].note != NULL) || (note != NULL && strstr(note, notes[i].note) == NULL))
			fail_msg("%zu: %s", i, note != NULL ? note : "nothing");
	}
}

/* ---- nobody is accused who may be the wrong one */

#define HELD(process, holders, grade, outcome)                                                                         \
	"{\"access_key_id\":\"" OTRF_KEY "\",\"source\":\"imds\",\"outcome\":\"" outcome "\",\"attribution\":"         \
	"{\"grade\":\"" grade "\"},\"process\":" process ",\"holders\":[" holders                                      \
	"],\"host\":{\"instance_id\":\"" OTRF_INSTANCE "\"}}"
#define WEB SUPPORT_PROCESS(10, "/usr/bin/web")
#define ODD SUPPORT_PROCESS(66, "/tmp/odd")
#define ROW(at, body)                                                                                                  \
	{                                                                                                              \
		"2020-09-14T" at "Z", "delivery", OTRF_KEY, body                                                       \
	}

static const struct doubt {
	const char *name;
	struct support_row rows[3];
	int64_t clock_offset_ms;
	enum suspects_note note;
	int count, first; /* suspects; pid of the one to name, 0: none */
	const char *reason;
} doubts[] = {
	{"one, exactly",
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "delivered"))},
         0,
         SUSPECTS_ONLY,
         1,
         10,
         "attribution: exact"},
	{"two held it",
         {ROW("00:50:00", HELD(WEB, WEB "," ODD, "shared", "delivered"))},
         0,
         SUSPECTS_ONLY_UNSURE,
         1,
         0,
         "one of 2 processes that held the connection"},
	{"by itself, and then with another",
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "delivered")),
          ROW("00:51:00", HELD(WEB, WEB "," ODD, "shared", "delivered"))},
         0,
         SUSPECTS_ALIKE,
         2,
         0,
         NULL},
	{"a relay",
         {ROW("00:50:00", HELD(WEB, WEB, "relay", "delivered"))},
         0,
         SUSPECTS_ONLY_UNSURE,
         1,
         0,
         "passes connections on"},
	{"no process",
         {ROW("00:50:00", HELD("null", "", "netns", "delivered"))},
         0,
         SUSPECTS_ONLY_UNSURE,
         1,
         0,
         "attribution: netns"},
	{"two, of which one is surer", /* that is nothing against it */
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "delivered")), ROW("00:51:00", HELD(ODD, ODD, "uid", "delivered"))},
         0,
         SUSPECTS_ALIKE,
         2,
         0,
         NULL},
	{"a shell among the holders",
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "delivered")),
          ROW("00:51:00", HELD(ODD, ODD "," SHELL, "shared", "delivered"))},
         0,
         SUSPECTS_STAND_OUT,
         2,
         0,
         "interactive shell"},
	{"two shells, and one that is none",
         {ROW("00:50:00", HELD(SUPPORT_PROCESS(1, "/bin/sh"), "", "exact", "delivered")),
          ROW("00:51:00", HELD(SUPPORT_PROCESS(2, "/bin/sh"), "", "exact", "delivered")),
          ROW("00:52:00", HELD(WEB, "", "exact", "delivered"))},
         0,
         SUSPECTS_SOME_ALIKE,
         3,
         0,
         NULL},
	{"cut off",
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "aborted"))},
         0,
         SUSPECTS_ONLY,
         1,
         10,
         "not known to have received all"},
	{"nobody said what became of it",
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "recorded"))},
         0,
         SUSPECTS_ONLY,
         1,
         10,
         "not known to have received all"},
	{"later", {ROW("03:00:00", HELD(WEB, WEB, "exact", "delivered"))}, 0, SUSPECTS_NOBODY, 1, 0, "after first use"},
	{"by a fast clock",
         {ROW("03:00:00", HELD(WEB, WEB, "exact", "delivered"))},
         -2 * 3600 * 1000,
         SUSPECTS_ONLY,
         1,
         10,
         "clock was 7200 s fast"},
	{"by a slow clock",
         {ROW("00:50:00", HELD(WEB, WEB, "exact", "delivered"))},
         3600 * 1000,
         SUSPECTS_NOBODY,
         1,
         0,
         "clock was 3600 s slow"},
};

static json_t *rank_doubt(const struct doubt *doubt)
{
	struct support_row all[4];
	struct ledger *ledger;
	struct tracked tracked = {0};
	struct error err = {0};
	char name[40], place[400];
	size_t count = 1;
	json_t *finding = support_json(FINDING("\"" OTRF_KEY "\""));
	(void)snprintf(place, sizeof(place), "{\"instance_id\":\"%s\",\"addresses\":[],\"clock_offset_ms\":%lld}",
	               OTRF_INSTANCE, (long long)doubt->clock_offset_ms);
	all[0] = (struct support_row){"2020-09-14T00:40:00Z", "placement", NULL, place};
	for (size_t i = 0; i < ARRAY_LENGTH(doubt->rows) && doubt->rows[i].at != NULL; i++)
		all[count++] = doubt->rows[i];
	(void)snprintf(name, sizeof(name), "doubt%td.db", doubt - doubts);
	if (ledger_open(support_ledger(name, all, count), &ledger, &err) < 0 ||
	    tracked_load(&tracked, ledger, &err) < 0 || tracked_seal(&tracked, NULL, &err) < 0 ||
	    suspects_put(finding, &ledger, 1, &tracked, &err) < 0)
		fail_msg("%s", err.text);
	tracked_done(&tracked);
	ledger_close(ledger);
	return finding;
}

static void test_doubts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(doubts); i++) {
		const struct doubt *doubt = &doubts[i];
		CLEANUP_JSON json_t *finding = rank_doubt(doubt);
		const json_t *list = json_at(finding, "suspects");
		int64_t first = 0;
		(void)json_int_at(suspects_first(finding), "process.pid", &first);
		if (suspects_note_of(finding) != doubt->note || (int)json_array_size(list) != doubt->count ||
		    first != doubt->first)
			fail_msg("%s: %s; %zu suspects, first %lld", doubt->name,
			         json_text_at(finding, "suspects_note"), json_array_size(list), (long long)first);
		if (doubt->reason != NULL && !has_reason(json_array_get(list, 0), doubt->reason))
			fail_msg("%s: not said: %s", doubt->name, doubt->reason);
	}
}

/* The same rows in two ledgers are the same deliveries. */
static void test_ledgers_overlap(void **state)
{
	struct ledger *ledgers[2];
	(void)state;
	CLEANUP_JSON json_t *finding = support_json(FINDING("\"" OTRF_KEY "\""));
	const char *path = support_ledger("overlap.db", rows, ARRAY_LENGTH(rows));
	for (int i = 0; i < 2; i++)
		assert_int_equal(ledger_open(path, &ledgers[i], NULL), 0);
	assert_int_equal(suspects_put(finding, ledgers, 2, NULL, NULL), 0);
	const json_t *twice = json_array_get(json_at(finding, "suspects"), 4);
	assert_int_equal(json_integer_value(json_at(twice, "process.pid")), 10);
	assert_int_equal(json_integer_value(json_at(twice, "deliveries")), 2);
	for (int i = 0; i < 2; i++)
		ledger_close(ledgers[i]);
}

/* Of a derived key, by the one that it descends from and the time at which it was made. */
static void test_derived(void **state)
{
	static const char finding_text[] =
		"{\"access_key_id\":\"ASIACHILD\",\"first_seen\":\"2020-09-14T05:00:00.000000Z\",\"user_agents\":[],"
		"\"lineage\":[{\"access_key_id\":\"" OTRF_KEY "\",\"at\":\"2020-09-14T00:50:00.000000Z\"},"
		"{\"access_key_id\":\"ASIACHILD\",\"at\":\"2020-09-14T01:00:04.000000Z\"}]}";
	(void)state;
	CLEANUP_JSON json_t *finding = rank("derived.db", ARRAY_LENGTH(rows), finding_text);
	const json_t *list = json_at(finding, "suspects"), *last = json_array_get(list, 5);
	assert_int_equal(json_array_size(list), 6);
	assert_int_equal(json_integer_value(json_at(last, "process.pid")), 50);
	assert_true(has_reason(last, "recorded after first use"));
}

/* Every field is there, and lists are lists. */
static void test_form(void **state)
{
	static const char *const fields[] = {"rank",       "score",   "reasons", "delivered_at", "last_delivered_at",
	                                     "deliveries", "outcome", "path",    "user_agent",   "attribution",
	                                     "process",    "holders", "client",  "host"};
	static const struct support_row bare[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         "{\"access_key_id\":\"" OTRF_KEY "\",\"outcome\":\"delivered\"}"},
	};
	struct ledger *ledger;
	struct error err = {0};
	CLEANUP_JSON json_t *finding = support_json(FINDING("\"" OTRF_KEY "\""));
	(void)state;
	assert_int_equal(ledger_open(support_ledger("bare.db", bare, 1), &ledger, &err), 0);
	assert_int_equal(suspects_put(finding, &ledger, 1, NULL, &err), 0);
	ledger_close(ledger);
	const json_t *suspect = json_array_get(json_at(finding, "suspects"), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		if (json_object_get(suspect, fields[i]) == NULL)
			fail_msg("no %s", fields[i]);
	assert_true(json_is_array(json_at(suspect, "holders")));
	assert_true(json_is_null(json_object_get(suspect, "process")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nobody),         cmocka_unit_test(test_ranking),
	                                   cmocka_unit_test(test_note),           cmocka_unit_test(test_derived),
	                                   cmocka_unit_test(test_form),           cmocka_unit_test(test_doubts),
	                                   cmocka_unit_test(test_ledgers_overlap)};
	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
