/* SPDX-License-Identifier: Apache-2.0 */

/* AWS's ranges: a file of the user's that is not right, then the longest prefix, then the copy that is built in. */
#include "tests/detector/support.h"

#include "detector/ranges.h"

static void test_refuses(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{"", "line 1"},
		{"{}", "createDate"},
		{"{\"createDate\":\"x\",\"prefixes\":[]}", "ipv6_prefixes"},
		{"{\"createDate\":\"x\",\"prefixes\":[{}],\"ipv6_prefixes\":[]}", "entry 1: expected ip_prefix"},
		{"{\"createDate\":\"x\",\"prefixes\":[{\"ip_prefix\":\"3.0.0.1/"
	         "8\",\"region\":\"r\",\"service\":\"EC2\"}],"
	         "\"ipv6_prefixes\":[]}",
	         "3.0.0.1/8"},
		{"{\"createDate\":\"x\",\"prefixes\":[{\"ip_prefix\":\"3.0.0.0/8\",\"region\":\"a region with a name "
	         "of more than "
	         "forty bytes\",\"service\":\"EC2\"}],\"ipv6_prefixes\":[]}",
	         "too long"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct ranges *ranges;
		struct error err = {0};
		const char *path = support_write_text("ranges.json", cases[i].text);
		assert_int_equal(ranges_open(path, &ranges, &err), -1);
		if (err.code != ERROR_INPUT || strstr(err.text, cases[i].names) == NULL)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
	struct ranges *ranges;
	struct error err = {0};
	assert_int_equal(ranges_open(support_path("nowhere.json"), &ranges, &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);
}

struct wanted {
	const char *address, *service; /* NULL: none of AWS's */
	bool is_ec2;
};

static void check(const struct ranges *ranges, const struct wanted *wanted, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct address address;
		struct range range = {0};
		assert_true(address_parse(wanted[i].address, &address));
		bool found = ranges_find(ranges, &address, &range);
		if (found != (wanted[i].service != NULL) || (found && strcmp(range.service, wanted[i].service) != 0) ||
		    (range.runner != NULL) != wanted[i].is_ec2)
			fail_msg("%s: %s", wanted[i].address, found ? range.service : "none");
	}
}

#define P(prefix, service) "{\"ip_prefix\":\"" prefix "\",\"region\":\"eu-west-1\",\"service\":\"" service "\"}"

static void test_longest_prefix(void **state)
{
	static const struct wanted wanted[] = {
		{"4.0.0.1", NULL, false},      {"3.64.0.1", "AMAZON", false}, {"3.0.0.1", "EC2", true},
		{"3.5.0.1", "S3", false},      {"3.5.1.1", "EC2", true},      {"::ffff:3.0.0.1", "EC2", true},
		{"2600:1f18::1", "EC2", true}, {"2600:1f19::1", NULL, false},
	};
	struct ranges *ranges;
	struct error err = {0};
	(void)state;
	const char *path = support_write_text(
		"ranges.json",
		"{\"syncToken\":\"1\",\"createDate\":\"2030-01-02-03-04-05\",\"prefixes\":[" P("3.0.0.0/8", "AMAZON") "," P(
			"3.0.0.0/10",
			"AMAZON") "," P("3.5.0.0/24",
	                                "AMAZON") "," P("3.5.0.0/24",
	                                                "S3") "," P("3.0.0.0/10",
	                                                            "EC2") "," P("3.5.1.0/24",
	                                                                         "EC2") "," P("3.5.1.0/24",
	                                                                                      "S3") "," P("3.5.1.0/24",
	                                                                                                  "AMAZON") "],"
														    "\""
														    "ip"
														    "v6"
														    "_p"
														    "re"
														    "fi"
														    "xe"
														    "s"
														    "\""
														    ":["
														    "{"
														    "\""
														    "ip"
														    "v6"
														    "_p"
														    "re"
														    "fi"
														    "x"
														    "\""
														    ":"
														    "\""
														    "26"
														    "00"
														    ":1"
														    "f1"
														    "8:"
														    ":/"
														    "32"
														    "\""
														    ","
														    "\""
														    "re"
														    "gi"
														    "on"
														    "\""
														    ":"
														    "\""
														    "us"
														    "-e"
														    "as"
														    "t-"
														    "1"
														    "\""
														    ","
														    "\""
														    "se"
														    "rv"
														    "ic"
														    "e"
														    "\""
														    ":"
														    "\""
														    "EC"
														    "2"
														    "\""
														    "}]"
														    "}");
	if (ranges_open(path, &ranges, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(ranges_date(ranges), "2030-01-02-03-04-05");
	check(ranges, wanted, ARRAY_LENGTH(wanted));
	ranges_free(ranges);
}

static void test_built_in(void **state)
{
	static const struct wanted wanted[] = {
		{"1.2.3.4", NULL, false},       {"8.8.8.8", NULL, false},
		{"10.0.0.1", NULL, false},      {"203.0.113.1", NULL, false},
		{"18.236.253.47", "EC2", true}, {"35.169.66.138", "EC2", true},
		{"3.4.12.4", "AMAZON", false},  {"13.224.0.1", "CLOUDFRONT", false},
	};
	struct ranges *ranges;
	struct error err = {0};
	(void)state;
	if (ranges_open(NULL, &ranges, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(ranges_date(ranges), "2026-08-22-15-17-05");
	check(ranges, wanted, ARRAY_LENGTH(wanted));
	ranges_free(ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_refuses), cmocka_unit_test(test_longest_prefix),
	                                   cmocka_unit_test(test_built_in)};
	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
