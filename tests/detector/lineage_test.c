/* SPDX-License-Identifier: Apache-2.0 */

/* Who descends from whom, from records in every order. */
#include "tests/detector/support.h"

#include "detector/lineage.h"

#define INSTANCE_PRINCIPAL "AROAHOME:" OTRF_INSTANCE
#define HOME OTRF_ACCOUNT
#define OTHER "210987654321"
#define RECORDS_MAX 6

static struct tracked tracked;

#define AT(minute) "\"eventTime\":\"2020-09-14T01:" minute ":00Z\""
#define KEYED(key, principal)                                                                                          \
	"\"userIdentity\":{\"type\":\"AssumedRole\",\"principalId\":\"" principal "\",\"accountId\":\"" HOME           \
	"\",\"accessKeyId\":\"" key "\"}"
#define KEYLESS(principal, account)                                                                                    \
	"\"userIdentity\":{\"type\":\"AWSAccount\",\"principalId\":\"" principal "\",\"accountId\":\"" account "\"}"
#define STS(name) "\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"" name "\""
#define IAM(name) "\"eventSource\":\"iam.amazonaws.com\",\"eventName\":\"" name "\""
#define GIVES(key, principal)                                                                                          \
	"\"responseElements\":{\"credentials\":{\"accessKeyId\":\"" key                                                \
	"\",\"expiration\":\"Sep 14, 2020, 2:30:00 AM\"},\"assumedRoleUser\":{\"assumedRoleId\":\"" principal "\"}}"
#define ASSUMES(id, minute, from, as, gives, to)                                                                       \
	"{\"eventID\":\"" id "\"," AT(minute) "," STS("AssumeRole") "," KEYED(from, as) "," GIVES(                     \
		gives, to) ",\"recipientAccountId\":\"" HOME "\"}"

static const struct {
	const char *name;
	const char *records[RECORDS_MAX];
	struct caller caller; /* who is asked about */
	const char *found;    /* the names from the root down, each with a space behind; "" unknown */
} cases[] = {
	{"nothing", {NULL}, {.key = "ASIACHILD"}, ""},
	{"a child",
         {ASSUMES("1", "00", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIACHILD", "AROAB:s")},
         {.key = "ASIACHILD"},
         OTRF_KEY " ASIACHILD "},
	{"nobody's child",
         {ASSUMES("1", "00", "ASIANOBODY", "AROAX:x", "ASIACHILD", "AROAB:s")},
         {.key = "ASIACHILD"},
         ""},
	{"refused",
         {"{\"eventID\":\"1\",\"errorCode\":\"AccessDenied\"," AT("00") "," STS("AssumeRole") "," KEYED(
		 OTRF_KEY, INSTANCE_PRINCIPAL) "," GIVES("ASIACHILD", "AROAB:s") "}"},
         {.key = "ASIACHILD"},
         ""},
	{"three deep",
         {ASSUMES("1", "00", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIAONE", "AROAB:s"),
          ASSUMES("2", "01", "ASIAONE", "AROAB:s", "ASIATWO", "AROAC:s"),
          ASSUMES("3", "02", "ASIATWO", "AROAC:s", "ASIATHREE", "AROAD:s")},
         {.key = "ASIATHREE"},
         OTRF_KEY " ASIAONE ASIATWO ASIATHREE "},
	{"an instance's session with a key that no ledger knows",
         {ASSUMES("1", "00", "ASIAUNKNOWN", INSTANCE_PRINCIPAL, "ASIACHILD", "AROAB:s")},
         {.key = "ASIACHILD"},
         INSTANCE_PRINCIPAL " ASIACHILD "},
	{"a key counts more than the principal",
         {ASSUMES("1", "00", "ASIAUNKNOWN", INSTANCE_PRINCIPAL, "ASIACHILD", "AROAB:s"),
          ASSUMES("2", "01", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIAUNKNOWN", INSTANCE_PRINCIPAL)},
         {.key = "ASIACHILD"},
         OTRF_KEY " ASIAUNKNOWN ASIACHILD "},
	{"the earliest of two",
         {ASSUMES("2", "01", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIACHILD", "AROAB:s"),
          ASSUMES("1", "00", "ASIAONE", "AROAB:s", "ASIACHILD", "AROAB:s"),
          ASSUMES("3", "00", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIAONE", "AROAB:s")},
         {.key = "ASIACHILD"},
         OTRF_KEY " ASIACHILD "},
	{"a circle",
         {ASSUMES("1", "00", "ASIAONE", "AROAB:s", "ASIATWO", "AROAC:s"),
          ASSUMES("2", "00", "ASIATWO", "AROAC:s", "ASIAONE", "AROAB:s")},
         {.key = "ASIAONE"},
         ""},
	{"a key of the ledger's is nobody's child",
         {ASSUMES("1", "00", OTRF_KEY, INSTANCE_PRINCIPAL, OTRF_KEY, "AROAB:s")},
         {.key = OTRF_KEY},
         ""},
	{"across accounts, two records",
         {"{\"eventID\":\"1\",\"sharedEventID\":\"S\"," AT("00") "," STS("AssumeRole") "," KEYED(
		  OTRF_KEY, INSTANCE_PRINCIPAL) "}",
          "{\"eventID\":\"2\",\"sharedEventID\":\"S\"," AT("00") "," STS("AssumeRole") "," KEYLESS(
		  "AROAELSE:x", HOME) "," GIVES("ASIACHILD", "AROAB:s") ",\"recipientAccountId\":\"" OTHER "\"}"},
         {.key = "ASIACHILD"},
         OTRF_KEY " ASIACHILD "},
	{"across accounts, the target's record alone",
         {"{\"eventID\":\"2\",\"sharedEventID\":\"S\"," AT("00") "," STS("AssumeRole") "," KEYLESS(
		 INSTANCE_PRINCIPAL, HOME) "," GIVES("ASIACHILD", "AROAB:s") "}"},
         {.key = "ASIACHILD"},
         INSTANCE_PRINCIPAL " ASIACHILD "},
	{"across accounts, somebody else's key with the same session name",
         {"{\"eventID\":\"1\",\"sharedEventID\":\"S\"," AT("00") "," STS("AssumeRole") "," KEYED("ASIAELSE",
                                                                                                 "AROAB:s") "}",
          "{\"eventID\":\"2\",\"sharedEventID\":\"S\"," AT("00") "," STS("AssumeRole") "," KEYLESS(
		  "AROAB:s", HOME) "," GIVES("ASIACHILD", "AROAC:s") "}",
          ASSUMES("3", "00", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIAONE", "AROAB:s")},
         {.key = "ASIACHILD"},
         ""},
	{"three deep across accounts, by principal",
         {ASSUMES("1", "00", OTRF_KEY, INSTANCE_PRINCIPAL, "ASIAONE", "AROAB:s"),
          "{\"eventID\":\"2\"," AT("01") "," STS("AssumeRole") "," KEYLESS("AROAB:s", OTHER) "," GIVES("ASIATWO",
                                                                                                       "AROAC:s") "}",
          "{\"eventID\":\"3\"," AT("02") "," STS("AssumeRole") "," KEYLESS("AROAC:s", OTHER) "," GIVES("ASIATHREE",
                                                                                                       "AROAD:s") "}"},
         {.key = "ASIATHREE"},
         OTRF_KEY " ASIAONE ASIATWO ASIATHREE "},
	{"a federated session",
         {"{\"eventID\":\"1\"," AT("00") "," STS("GetFederationToken") "," KEYED(
		 OTRF_KEY, INSTANCE_PRINCIPAL) ",\"responseElements\":{\"credentials\":{\"accessKeyId\":\"ASIAFED\"},"
                                               "\"federatedUser\":{\"federatedUserId\":\"" HOME ":bob\"}}}"},
         {.key = "ASIAFED"},
         OTRF_KEY " ASIAFED "},
	{"a user's key",
         {"{\"eventID\":\"1\"," AT("00") "," IAM("CreateAccessKey") "," KEYED(
		 OTRF_KEY, INSTANCE_PRINCIPAL) ",\"responseElements\":{\"accessKey\":{\"accessKeyId\":\"AKIANEW\"}}}"},
         {.key = "AKIANEW"},
         OTRF_KEY " AKIANEW "},
	{"a user, whatever key it has",
         {"{\"eventID\":\"1\"," AT("00") "," IAM("CreateUser") "," KEYED(
		 OTRF_KEY, INSTANCE_PRINCIPAL) ",\"responseElements\":{\"user\":{\"userId\":\"AIDANEW\"}}}"},
         {.key = "AKIAELSE", .principal = "AIDANEW"},
         OTRF_KEY " AIDANEW "},
	{"a password",
         {"{\"eventID\":\"1\",\"recipientAccountId\":\"" HOME "\"," AT("00") "," IAM("CreateLoginProfile") "," KEYED(
		 OTRF_KEY, INSTANCE_PRINCIPAL) ",\"requestParameters\":{\"userName\":\"eve\"},"
                                               "\"responseElements\":{\"loginProfile\":{\"userName\":\"eve\"}}}"},
         {.key = "", .user = HOME "/eve", .is_console = true},
         OTRF_KEY " " HOME "/eve "},
	{"a password is no key",
         {"{\"eventID\":\"1\",\"recipientAccountId\":\"" HOME "\"," AT("00") "," IAM("CreateLoginProfile") "," KEYED(
		 OTRF_KEY, INSTANCE_PRINCIPAL) ",\"requestParameters\":{\"userName\":\"eve\"}}"},
         {.key = "AKIAOFEVE", .user = HOME "/eve"},
         ""},
	{"the console",
         {"{\"eventID\":\"1\",\"eventSource\":\"signin.amazonaws.com\",\"eventName\":\"GetSigninToken\"," AT(
		 "00") "," KEYED(OTRF_KEY, INSTANCE_PRINCIPAL) "}"},
         {.key = "ASIACONSOLE", .principal = INSTANCE_PRINCIPAL, .is_console = true},
         OTRF_KEY " " INSTANCE_PRINCIPAL " "},
	{"not the console",
         {"{\"eventID\":\"1\",\"eventSource\":\"signin.amazonaws.com\",\"eventName\":\"GetSigninToken\"," AT(
		 "00") "," KEYED(OTRF_KEY, INSTANCE_PRINCIPAL) "}"},
         {.key = "ASIAELSE", .principal = INSTANCE_PRINCIPAL},
         ""},
	{"default host management",
         {"{\"eventID\":\"1\",\"eventSource\":\"ssm.amazonaws.com\",\"eventName\":"
          "\"RequestManagedInstanceRoleToken\"," AT("00") "," KEYED(
		  OTRF_KEY, INSTANCE_PRINCIPAL) ",\"responseElements\":{\"accessKeyId\":\"ASIAHOST\"}}"},
         {.key = "ASIAHOST"},
         OTRF_KEY " ASIAHOST "},
};

static void add(struct lineage *lineage, const char *record)
{
	struct record_text text;
	struct event event;
	struct link_room room;
	struct link link;
	struct error err = {0};
	assert_true(record_text_find(record, strlen(record), &text));
	assert_true(event_read(record, strlen(record), &event));
	if (link_read(&text, &event, &room, &link) && lineage_add(lineage, &link, &err) < 0)
		fail_msg("%s", err.text);
}

static void name_all(const struct lineage *lineage, const struct derived *derived, struct buffer *to)
{
	if (derived->parent != DERIVED_NONE) {
		name_all(lineage, &lineage->derived[derived->parent], to);
	} else {
		const char *root = derived->root_key != NULL ? derived->root_key->id : derived->root_principal;
		assert_int_equal(buffer_printf(to, NULL, "%s ", root), 0);
	}
	assert_int_equal(buffer_printf(to, NULL, "%s ", derived->name), 0);
}

static const char *filled(const char *text)
{
	return text != NULL ? text : "";
}

/* Asks about one case, its records in the order that `shuffle` picks. Returns the digest. */
static uint64_t check(size_t i, unsigned shuffle)
{
	struct lineage lineage = {.tracked = &tracked};
	CLEANUP_BUFFER struct buffer found = {0};
	const char *records[RECORDS_MAX] = {0};
	struct error err = {0};
	size_t count = 0;
	while (count < RECORDS_MAX && cases[i].records[count] != NULL)
		count++;
	memcpy(records, cases[i].records, sizeof(records));
	for (size_t left = count; left > 0; left--) {
		size_t pick = shuffle % left;
		shuffle /= (unsigned)left;
		add(&lineage, records[pick]);
		records[pick] = records[left - 1];
	}
	if (lineage_close(&lineage, &err) < 0)
		fail_msg("%s", err.text);
	struct caller caller = cases[i].caller;
	caller.at_us = support_time("2020-09-14T01:10:00Z");
	caller.key = filled(caller.key);
	caller.principal = filled(caller.principal);
	caller.user = filled(caller.user);
	caller.instance = caller.account = "";
	const struct derived *derived = lineage_find(&lineage, &caller);
	assert_int_equal(buffer_append(&found, "", 0, NULL), 0);
	if (derived != NULL)
		name_all(&lineage, derived, &found);
	if (strcmp(found.bytes, cases[i].found) != 0)
		fail_msg("%s: %s", cases[i].name, found.bytes);
	uint64_t digest = lineage_digest(&lineage);
	lineage_done(&lineage);
	return digest;
}

static void test_lineage(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		uint64_t digest = check(i, 0);
		for (unsigned shuffle = 1; shuffle < 6; shuffle++)
			assert_int_equal(check(i, shuffle), digest);
	}
}

/* Far more links than matter, and a chain of two hundred, deepest first. */
static void test_depth(void **state)
{
	struct lineage lineage = {.tracked = &tracked};
	struct error err = {0};
	char key[40], child[40], event[40];
	(void)state;
	for (int i = 200; i-- > 0;) {
		(void)snprintf(key, sizeof(key), i == 0 ? OTRF_KEY : "ASIADEEP%d", i);
		(void)snprintf(child, sizeof(child), "ASIADEEP%d", i + 1);
		(void)snprintf(event, sizeof(event), "%d", i);
		const struct link link = {
			.kind = LINK_KEY,
			.parent = {.key = key, .principal = "", .instance = "", .account = "", .user = ""},
			.event_id = event,
			.shared_id = "",
			.action = "sts:AssumeRole",
			.child = child,
			.child_principal = "",
			.child_account = ""};
		assert_int_equal(lineage_add(&lineage, &link, &err), 0);
	}
	assert_int_equal(lineage_close(&lineage, &err), 0);
	assert_int_equal(lineage.count, 200);
	const struct derived *deepest = lineage_key(&lineage, "ASIADEEP200", strlen("ASIADEEP200"));
	assert_non_null(deepest);
	assert_string_equal(deepest->root_key->id, OTRF_KEY);
	assert_int_equal(lineage_close(&lineage, &err), 0); /* once more: the same */
	assert_int_equal(lineage.count, 200);
	lineage_done(&lineage);
}

static void test_times(void **state)
{
	static const struct {
		const char *text, *is;
	} times[] = {
		{"Jul 10, 2023, 6:30:22 PM", "2023-07-10T18:30:22Z"},
		{"Jul 29, 2021 9:12:33 AM", "2021-07-29T09:12:33Z"},
		{"Nov 26, 2026, 12:00:01\xe2\x80\xaf"
	         "AM",
	         "2026-11-26T00:00:01Z"},
		{"Nov 26, 2026, 12:00:01 PM", "2026-11-26T12:00:01Z"},
		{"2026-11-26T12:00:01Z", "2026-11-26T12:00:01Z"},
		{"", NULL},
		{"Jul 10, 2023, 16:30:22 PM", NULL},
		{"Jul 10, 2023, 6:30:22", NULL},
		{"ulA 10, 2023, 6:30:22 AM", NULL},
		{"1689013822", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
		int64_t us = 0;
		bool is_time = link_parse_time(times[i].text, &us);
		if (is_time != (times[i].is != NULL) || (is_time && us != support_time(times[i].is)))
			fail_msg("%s", times[i].text);
	}
}

static struct ledger *ledger;

static int setup(void **state)
{
	static const struct support_row row = {"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	                                       "{\"access_key_id\":\"" OTRF_KEY
	                                       "\",\"outcome\":\"recorded\",\"role\":\"web\",\"host\":{"
	                                       "\"account_id\":\"" HOME "\",\"instance_id\":\"" OTRF_INSTANCE "\"}}"};
	return support_setup(state) + ledger_open(support_ledger("lineage.db", &row, 1), &ledger, NULL) +
	       tracked_load(&tracked, ledger, NULL) + tracked_seal(&tracked, NULL, NULL);
}

static int teardown(void **state)
{
	tracked_done(&tracked);
	ledger_close(ledger);
	return support_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lineage), cmocka_unit_test(test_depth),
	                                   cmocka_unit_test(test_times)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
