/* SPDX-License-Identifier: Apache-2.0 */

/* What a suppression hides, and what is refused as one. */
#include "tests/detector/support.h"

#include "detector/suppress.h"

#define NOW "2026-06-01T00:00:00Z"
#define OUTSIDE "InstanceCredentialExfiltration.OutsideAWS"
#define INSIDE "InstanceCredentialExfiltration.InsideAWS"
#define BY_ADDRESS(type, count, addresses)                                                                             \
	"{\"type\":\"" type "\",\"remote\":{\"account_id\":null,\"vpc_endpoint_id\":null},\"count\":" count            \
	",\"endpoints\":[],\"addresses\":[" addresses "]}"
#define AT(address) "{\"address\":\"" address "\",\"count\":1}"
#define BY(endpoint) "{\"vpc_endpoint_id\":\"" endpoint "\",\"count\":1}"
#define BY_ENDPOINTS(count, endpoints)                                                                                 \
	"{\"type\":\"" INSIDE "\",\"remote\":{\"account_id\":\"210987654321\",\"vpc_endpoint_id\":\"vpce-0aa\"},"      \
	"\"count\":" count ",\"endpoints\":[" endpoints "],\"addresses\":[" AT("192.0.2.9") "]}"
#define BY_ACCOUNT BY_ENDPOINTS("1", BY("vpce-0aa"))
#define RULE(type, remote, more) "[{\"type\":\"" type "\",\"remote\":\"" remote "\",\"reason\":\"known\"" more "}]"

static const struct {
	const char *name, *list, *finding;
	bool is_suppressed;
} cases[] = {
	{"an address", RULE(OUTSIDE, "192.0.2.9", ""), BY_ADDRESS(OUTSIDE, "1", AT("192.0.2.9")), true},
	{"a prefix", RULE(OUTSIDE, "192.0.2.0/24", ""), BY_ADDRESS(OUTSIDE, "2", AT("192.0.2.9") "," AT("192.0.2.8")),
         true},
	{"one address beside the prefix", RULE(OUTSIDE, "192.0.2.0/24", ""),
         BY_ADDRESS(OUTSIDE, "2", AT("192.0.2.9") "," AT("192.0.3.9")), false},
	{"IPv6", RULE(OUTSIDE, "2001:db8::/32", ""), BY_ADDRESS(OUTSIDE, "1", AT("2001:db8::9")), true},
	{"no address at all", RULE(OUTSIDE, "192.0.2.0/24", ""), BY_ADDRESS(OUTSIDE, "1", ""), false},
	{"another type", RULE(OUTSIDE, "192.0.2.9", ""), BY_ADDRESS(INSIDE, "1", AT("192.0.2.9")), false},
	{"every type", RULE("*", "192.0.2.9", ""), BY_ADDRESS(INSIDE, "1", AT("192.0.2.9")), true},
	{"an account", RULE(INSIDE, "210987654321", ""), BY_ACCOUNT, true},
	{"another account", RULE(INSIDE, "210987654322", ""), BY_ACCOUNT, false},
	{"an endpoint", RULE(INSIDE, "vpce-0aa", ""), BY_ACCOUNT, true},
	{"one endpoint of two", RULE(INSIDE, "vpce-0aa", ""), BY_ENDPOINTS("2", BY("vpce-0aa") "," BY("vpce-0bb")),
         false},
	{"an endpoint, and uses without one", RULE(INSIDE, "vpce-0aa", ""), BY_ENDPOINTS("2", BY("vpce-0aa")), false},
	{"the account, whatever its endpoints", RULE(INSIDE, "210987654321", ""),
         BY_ENDPOINTS("2", BY("vpce-0aa") "," BY("vpce-0bb")), true},
	{"more addresses than are listed", RULE(OUTSIDE, "192.0.2.0/24", ""), BY_ADDRESS(OUTSIDE, "2", AT("192.0.2.9")),
         false},
	{"an address that was chosen behind an endpoint", RULE(INSIDE, "192.0.2.9", ""), BY_ACCOUNT, false},
	{"still in force", RULE(INSIDE, "210987654321", ",\"expires\":\"2026-06-01T00:00:01Z\""), BY_ACCOUNT, true},
	{"over", RULE(INSIDE, "210987654321", ",\"expires\":\"2026-06-01T00:00:00Z\""), BY_ACCOUNT, false},
	{"over, as a date", RULE(INSIDE, "210987654321", ",\"expires\":\"2026-05-31\""), BY_ACCOUNT, false},
	{"until a date", RULE(INSIDE, "210987654321", ",\"expires\":\"2026-06-02\""), BY_ACCOUNT, true},
	{"null is for ever", RULE(INSIDE, "210987654321", ",\"expires\":null"), BY_ACCOUNT, true},
	{"none", "[]", BY_ACCOUNT, false},
};

static void test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *list = support_json(cases[i].list), *finding = support_json(cases[i].finding);
		CLEANUP(suppressions_done) struct suppressions suppressions = {0};
		struct error err = {0};
		if (suppressions_read(list, &suppressions, &err) < 0)
			fail_msg("%s: %s", cases[i].name, err.text);
		suppressions_put(&suppressions, finding, support_time(NOW));
		if (json_is_true(json_at(finding, "suppressed")) != cases[i].is_suppressed ||
		    (json_at(finding, "suppression") != NULL) != cases[i].is_suppressed)
			fail_msg("%s", cases[i].name);
		if (cases[i].is_suppressed)
			assert_string_equal(json_text_at(finding, "suppression.reason"), "known");
		assert_non_null(json_object_get(finding, "suppression"));
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *list, *says;
	} lists[] = {
		{"{}", "expected a list"},
		{"[1]", "entry 1: reason"},
		{"[{\"type\":\"" OUTSIDE "\",\"remote\":\"192.0.2.9\"}]", "reason"},
		{"[{\"type\":\"" OUTSIDE "\",\"remote\":\"192.0.2.9\",\"reason\":\"  \"}]", "reason"},
		{RULE("OutsideAWS", "192.0.2.9", ""), "type"},
		{"[{\"remote\":\"192.0.2.9\",\"reason\":\"x\"}]", "type"},
		{"[{\"type\":\"*\",\"reason\":\"x\"}]", "remote"},
		{RULE(OUTSIDE, "everything", ""), "remote"},
		{RULE(OUTSIDE, "0.0.0.0/0", ""), "wider"},
		{RULE(OUTSIDE, "192.0.2.9/24", ""), "remote"},
		{RULE(OUTSIDE, "192.0.2.9", ",\"until\":\"2027-01-01\""), "until: unknown member"},
		{RULE(OUTSIDE, "192.0.2.9", ",\"expires\":\"soon\""), "expires"},
		{RULE(OUTSIDE, "192.0.2.9", ",\"expires\":\"7d\""), "expires"},
		{RULE(OUTSIDE, "192.0.2.9", ",\"expires\":1767225600"), "expires"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		CLEANUP_JSON json_t *list = support_json(lists[i].list);
		struct suppressions suppressions = {0};
		struct error err = {0};
		if (suppressions_read(list, &suppressions, &err) == 0 || err.code != ERROR_INPUT ||
		    strstr(err.text, lists[i].says) == NULL)
			fail_msg("%s: %s", lists[i].list, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
