/* SPDX-License-Identifier: Apache-2.0 */

/* What each rule makes of an origin. */
#include "tests/detector/support.h"

#include "detector/finding.h"

#define EXPIRES 1000000000000000

static const struct tracked_key known = {.id = OTRF_KEY,
                                         .home_account = OTRF_ACCOUNT,
                                         .role = "web",
                                         .instance_id = OTRF_INSTANCE,
                                         .region = "",
                                         .expires_at_us = EXPIRES};
static const struct tracked_key everlasting = {
	.id = OTRF_KEY, .home_account = "", .role = "", .instance_id = "", .region = ""};

static const struct {
	const char *name;
	struct origin origin;
	const struct tracked_key *key;
	int64_t at_us;
	const char *found; /* "RULE SEVERITY" for each, a space behind */
} cases[] = {
	{"at home", {.verdict = VERDICT_HOME}, &known, EXPIRES, ""},
	{"AWS", {.verdict = VERDICT_AWS, .rung = -1}, &known, EXPIRES, ""},
	{"unknown", {.verdict = VERDICT_UNKNOWN, .rung = 7}, &known, EXPIRES, ""},
	{"AWS, after expiry", {.verdict = VERDICT_AWS, .rung = -1}, &known, 2 * EXPIRES, ""},
	{"at home, a little after expiry", {.verdict = VERDICT_HOME}, &known, EXPIRES + 4 * 60 * CLOCK_SECOND_US, ""},
	{"at home, expiry not known", {.verdict = VERDICT_HOME}, &everlasting, 2 * EXPIRES, ""},
	{"at home, key not known", {.verdict = VERDICT_HOME}, NULL, 2 * EXPIRES, ""},
	{"at home, after expiry",
         {.verdict = VERDICT_HOME},
         &known,
         EXPIRES + 6 * 60 * CLOCK_SECOND_US,
         "AfterExpiry LOW "},
	{"inside, account known",
         {.verdict = VERDICT_INSIDE, .rung = 1, .account_id = "210987654321", .relation = RELATION_UNAFFILIATED},
         &known,
         EXPIRES,
         "InsideAWS HIGH "},
	{"inside, affiliated",
         {.verdict = VERDICT_INSIDE, .rung = 1, .account_id = "210987654321", .relation = RELATION_AFFILIATED},
         &known,
         EXPIRES,
         "InsideAWS MEDIUM "},
	{"inside, unknown endpoint", {.verdict = VERDICT_INSIDE, .rung = 2}, &known, EXPIRES, "InsideAWS HIGH "},
	{"inside, by range alone", {.verdict = VERDICT_INSIDE, .rung = 5}, &known, EXPIRES, "InsideAWS MEDIUM "},
	{"outside", {.verdict = VERDICT_OUTSIDE, .rung = 6}, NULL, EXPIRES, "OutsideAWS HIGH "},
	{"outside, after expiry",
         {.verdict = VERDICT_OUTSIDE, .rung = 6},
         &known,
         2 * EXPIRES,
         "OutsideAWS HIGH AfterExpiry LOW "},
	{"elsewhere", {.verdict = VERDICT_ELSEWHERE, .rung = 4}, &known, EXPIRES, "OtherInstance MEDIUM "},
};

static void check_rules(const char *name, const struct use *use, const char *wanted)
{
	char found[200] = "";
	for (size_t rule = 0; rule < RULE_COUNT; rule++) {
		struct ruling ruling;
		size_t used = strlen(found);
		if (!rules[rule]->matches(use, &ruling))
			continue;
		(void)snprintf(found + used, sizeof(found) - used, "%s %s ", strrchr(rules[rule]->type, '.') + 1,
		               severity_names[ruling.severity]);
		assert_int_equal(ruling.rung, use->origin->rung);
	}
	if (strcmp(found, wanted) != 0)
		fail_msg("%s: %s", name, found);
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct event event = {.at_us = cases[i].at_us};
		const struct use use = {.event = &event,
		                        .origin = &cases[i].origin,
		                        .key = cases[i].key,
		                        .home_account = OTRF_ACCOUNT,
		                        .is_session_tracked = true};
		check_rules(cases[i].name, &use, cases[i].found);
	}
}

static void test_never_relayed(void **state)
{
	static const struct {
		const char *name;
		struct origin origin;
		struct bypass bypass;
		const char *found;
		const char *evidence;
		int confidence;
	} bypasses[] = {
		{"by EC2's record",
	         {.verdict = VERDICT_HOME},
	         {.issued_us = 1, .issue_event = "e-1", .is_covered = true},
	         "NeverRelayed HIGH ",
	         "(event e-1)",
	         90},
		{"by the session's own word",
	         {.verdict = VERDICT_OUTSIDE, .rung = 6},
	         {.issued_us = 1, .is_version_1 = true, .is_covered = true},
	         "OutsideAWS HIGH NeverRelayed HIGH ",
	         "ec2RoleDelivery 1.0",
	         85},
		{"by both",
	         {.verdict = VERDICT_UNKNOWN, .rung = 7},
	         {.issued_us = 1, .issue_event = "e-1", .is_version_1 = true, .is_covered = true},
	         "NeverRelayed HIGH ",
	         "ec2RoleDelivery 1.0",
	         95},
		{"not covered", {.verdict = VERDICT_HOME}, {.issued_us = 1, .issue_event = "e"}, "", "", 0},
		{"AWS acting for us",
	         {.verdict = VERDICT_AWS, .rung = -1},
	         {.issued_us = 1, .issue_event = "e", .is_covered = true},
	         "",
	         "",
	         0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bypasses); i++) {
		const struct event event = {.at_us = EXPIRES};
		const struct use use = {.event = &event,
		                        .origin = &bypasses[i].origin,
		                        .bypass = &bypasses[i].bypass,
		                        .home_account = OTRF_ACCOUNT,
		                        .is_session_tracked = true};
		struct ruling ruling = {0};
		check_rules(bypasses[i].name, &use, bypasses[i].found);
		(void)rule_never_relayed.matches(&use, &ruling);
		assert_int_equal(ruling.confidence, bypasses[i].confidence);
		assert_non_null(strstr(ruling.evidence, bypasses[i].evidence));
	}
}

static void test_rules_are_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < RULE_COUNT; i++) {
		assert_true(strncmp(rules[i]->type, "InstanceCredential", 18) == 0);
		assert_true(strlen(rules[i]->summary) > 20);
	}
}

static struct finding make(const struct tracked_key *key, bool is_session_tracked, const struct origin *origin)
{
	static const struct event event = {
		.access_key_id = OTRF_KEY, .principal_id = "AROA:" OTRF_INSTANCE, .session_instance = OTRF_INSTANCE};
	const struct use use = {.event = &event,
	                        .origin = origin,
	                        .key = key,
	                        .home_account = OTRF_ACCOUNT,
	                        .is_session_tracked = is_session_tracked};
	const struct ruling ruling = {.severity = SEVERITY_HIGH, .rung = 6, .confidence = 80};
	struct finding finding;
	assert_int_equal(finding_make(&rule_outside_aws, &use, &ruling, &finding, NULL), 0);
	return finding;
}

/* The less the ledger knows of a key, the weaker the finding, and it says so. */
static void test_confidence(void **state)
{
	const struct origin origin = {.address = "1.2.3.4"};
	(void)state;
	struct finding key = make(&known, true, &origin), session = make(NULL, true, &origin),
		       none = make(NULL, false, &origin);
	assert_int_equal(key.use.confidence, 80);
	assert_true(session.use.confidence < key.use.confidence);
	assert_true(none.use.confidence < session.use.confidence);
	assert_int_equal(json_array_size(json_at(key.facts, "evidence")), 0);
	assert_int_equal(json_array_size(json_at(session.facts, "evidence")), 1);
	assert_non_null(
		strstr(json_string_value(json_array_get(json_at(none.facts, "evidence"), 0)), "without a ledger"));
	finding_done(&key);
	finding_done(&session);
	finding_done(&none);
}

/* The account, else the endpoint, else the address. */
static void test_party(void **state)
{
	static const struct {
		struct origin origin;
		const char *party;
	} parties[] = {
		{{.address = "1.2.3.4", .endpoint_id = "vpce-1", .account_id = "210987654321"}, "210987654321"},
		{{.address = "1.2.3.4", .endpoint_id = "vpce-1"}, "vpce-1"},
		{{.address = "1.2.3.4"}, "1.2.3.4"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(parties); i++) {
		struct finding finding = make(&known, true, &parties[i].origin);
		assert_string_equal(finding.use.party, parties[i].party);
		finding_done(&finding);
	}
}

static void test_version(void **state)
{
	struct event one = {.at_us = 1, .name = "A"}, same = {.at_us = 1, .name = "A", .id = "x"},
		     other = {.at_us = 1, .name = "B"};
	(void)state;
	assert_true(finding_version(&one) == finding_version(&same));
	assert_true(finding_version(&one) != finding_version(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_never_relayed),
		cmocka_unit_test(test_rules_are_described),
		cmocka_unit_test(test_confidence),
		cmocka_unit_test(test_party),
		cmocka_unit_test(test_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
