/* SPDX-License-Identifier: Apache-2.0 */

/* The ladder of evidence, rung by rung. */
#include "tests/detector/support.h"

#include "detector/origin.h"

#define HOME OTRF_ACCOUNT
#define OTHER "210987654321"
#define FRIEND "444455556666"
#define HUB "777788889999"

static struct inventory *inventory, *no_inventory;
static struct ranges *ranges;
static struct placement place;

enum { NO_PLACE = 1, NO_INVENTORY = 2, NO_HOME = 4 };

static const struct {
	const char *name;
	int without;
	const char *record; /* members of the record */
	enum verdict verdict;
	int rung;
	const char *account;
	enum relation relation;
	const char *evidence; /* what one line of it must say */
} cases[] = {
	/* Unknown: never guessed. */
	{"no source", 0, "", VERDICT_UNKNOWN, 7, "", 0, "no source"},
	{"unreadable source, place unknown", NO_PLACE, "\"sourceIPAddress\":\"253.252.51.07\"", VERDICT_UNKNOWN, 7, "",
         0, "253.252.51.07"},
	{"private address, place unknown", NO_PLACE, "\"sourceIPAddress\":\"10.9.9.9\"", VERDICT_UNKNOWN, 7, "", 0,
         "10.9.9.9"},
	{"unreadable endpoint", 0, "\"sourceIPAddress\":\"198.51.100.10\",\"vpcEndpointId\":\"vpce-XYZ\"",
         VERDICT_UNKNOWN, 7, "", 0, "unreadable"},
	/* AWS acting for us. */
	{"a service", 0, "\"sourceIPAddress\":\"athena.amazonaws.com\"", VERDICT_AWS, -1, "", 0,
         "athena.amazonaws.com"},
	{"AWS Internal", 0, "\"sourceIPAddress\":\"AWS Internal\"", VERDICT_AWS, -1, "", 0, "AWS Internal"},
	{"invoked by a service", 0,
         "\"sourceIPAddress\":\"1.2.3.4\",\"userIdentity\":{\"invokedBy\":\"cloudformation.amazonaws.com\"}",
         VERDICT_AWS, -1, "", 0, "invokedBy"},
	{"the infrastructure role", 0,
         "\"sourceIPAddress\":\"1.2.3.4\",\"userIdentity\":{\"sessionContext\":{\"sessionIssuer\":"
         "{\"arn\":\"arn:aws:iam::" HOME ":role/aws:ec2-infrastructure\"}}}",
         VERDICT_AWS, -1, "", 0, "infrastructure"},
	{"a short endpoint of nobody's, public source", 0,
         "\"sourceIPAddress\":\"1.2.3.4\",\"vpcEndpointId\":\"vpce-f40dc59d\"", VERDICT_AWS, -1, "", 0, "AWS's own"},
	{"a short endpoint of nobody's, a service", 0,
         "\"sourceIPAddress\":\"logs.amazonaws.com\",\"vpcEndpointId\":\"vpce-ceb942a7\"", VERDICT_AWS, -1, "", 0,
         "AWS's own"},
	{"AWS's network as endpoint", 0, "\"sourceIPAddress\":\"1.2.3.4\",\"vpcEndpointId\":\"AWS Internal\"",
         VERDICT_AWS, -1, "", 0, "AWS's own"},
	/* Rung 0. */
	{"own public address", NO_INVENTORY, "\"sourceIPAddress\":\"198.51.100.10\"", VERDICT_HOME, 0, "", 0,
         "instance's own"},
	{"own address, mapped", NO_INVENTORY, "\"sourceIPAddress\":\"::ffff:198.51.100.10\"", VERDICT_HOME, 0, "", 0,
         "own"},
	{"own network that looks public", NO_INVENTORY, "\"sourceIPAddress\":\"172.61.3.4\"", VERDICT_HOME, 0, "", 0,
         "own"},
	{"own IPv6", NO_INVENTORY, "\"sourceIPAddress\":\"2600:1f18::10\"", VERDICT_HOME, 0, "", 0, "own"},
	{"own private address", 0, "\"sourceIPAddress\":\"10.0.1.2\"", VERDICT_HOME, 0, "", 0, "own"},
	{"trusted egress", 0, "\"sourceIPAddress\":\"203.0.113.5\"", VERDICT_HOME, 0, "", 0, "trusted"},
	{"a hub's trusted endpoint", 0,
         "\"sourceIPAddress\":\"10.9.9.9\",\"vpcEndpointId\":\"vpce-0eeeeeeeeeeeeeeee\",\"vpcEndpointAccountId\":\"" HUB
         "\"",
         VERDICT_HOME, 0, "", 0, "trusted"},
	{"an endpoint of AWS's own, by its owner", NO_INVENTORY,
         "\"sourceIPAddress\":\"10.9.9.9\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":"
         "\"s3.amazonaws.com\"",
         VERDICT_AWS, -1, "", 0, "AWS's own"},
	{"the home account's NAT", 0, "\"sourceIPAddress\":\"18.236.253.47\"", VERDICT_HOME, 0, "", 0, "inventory"},
	{"the home account's network", 0, "\"sourceIPAddress\":\"198.51.100.130\"", VERDICT_HOME, 0, "", 0,
         "inventory"},
	{"an endpoint of home's, by its owner", NO_INVENTORY,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":"
         "\"" HOME "\"",
         VERDICT_HOME, 0, "", 0, "vpce-0bbbbbbbbbbbbbbbb"},
	{"an endpoint of home's, by the inventory", 0,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0aaaaaaaaaaaaaaaa\"", VERDICT_HOME, 0, "", 0,
         "inventory"},
	{"an endpoint in a shared VPC", NO_INVENTORY,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":\"" HUB
         "\"",
         VERDICT_HOME, 0, "", 0, HUB},
	/* Rung 1. */
	{"another account's endpoint", NO_INVENTORY,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":"
         "\"" OTHER "\"",
         VERDICT_INSIDE, 1, OTHER, RELATION_UNAFFILIATED, OTHER},
	{"the same, showing the victim's public address", 0,
         "\"sourceIPAddress\":\"198.51.100.10\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":"
         "\"" OTHER "\"",
         VERDICT_INSIDE, 1, OTHER, RELATION_UNAFFILIATED, "vpce-0bbbbbbbbbbbbbbbb"},
	{"an affiliated account's endpoint", 0,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":"
         "\"" FRIEND "\"",
         VERDICT_INSIDE, 1, FRIEND, RELATION_AFFILIATED, FRIEND},
	{"an owner that is no account, endpoint of a friend's", 0,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0cccccccccccccccc\",\"vpcEndpointAccountId\":"
         "\"AWS\"",
         VERDICT_INSIDE, 2, FRIEND, RELATION_AFFILIATED, "inventory"},
	{"a short endpoint with an owner", 0,
         "\"sourceIPAddress\":\"1.2.3.4\",\"vpcEndpointId\":\"vpce-f40dc59d\",\"vpcEndpointAccountId\":\"" OTHER "\"",
         VERDICT_INSIDE, 1, OTHER, RELATION_UNAFFILIATED, OTHER},
	/* Rung 2. */
	{"a friend's endpoint", 0, "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0cccccccccccccccc\"",
         VERDICT_INSIDE, 2, FRIEND, RELATION_AFFILIATED, FRIEND},
	{"an unknown endpoint", 0,
         "\"eventVersion\":\"1.08\",\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0ddddddddddddddda\"",
         VERDICT_INSIDE, 2, "", 0, "1.08"},
	{"a short endpoint, private source", 0, "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-f40dc59d\"",
         VERDICT_INSIDE, 2, "", 0, "vpce-f40dc59d"},
	{"home not known", NO_HOME,
         "\"sourceIPAddress\":\"10.0.1.2\",\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":"
         "\"" OTHER "\"",
         VERDICT_INSIDE, 2, "", 0, "vpce-0bbbbbbbbbbbbbbbb"},
	/* Rung 4. */
	{"a friend's address", 0, "\"sourceIPAddress\":\"35.169.66.138\"", VERDICT_INSIDE, 4, FRIEND,
         RELATION_AFFILIATED, FRIEND},
	{"another machine of home's", 0, "\"sourceIPAddress\":\"198.51.100.200\"", VERDICT_ELSEWHERE, 4, HOME,
         RELATION_AFFILIATED, "another machine"},
	{"the same, place unknown", NO_PLACE, "\"sourceIPAddress\":\"198.51.100.200\"", VERDICT_HOME, 4, "", 0,
         "inventory"},
	/* Rung 5. */
	{"EC2, nobody's", NO_INVENTORY, "\"sourceIPAddress\":\"18.236.253.47\"", VERDICT_INSIDE, 5, "", 0,
         "NAT gateway missing"},
	{"EC2, place unknown", NO_INVENTORY | NO_PLACE, "\"sourceIPAddress\":\"18.236.253.47\"", VERDICT_INSIDE, 5, "",
         0, "not known"},
	/* Rung 6. */
	{"anywhere", 0, "\"sourceIPAddress\":\"1.2.3.4\"", VERDICT_OUTSIDE, 6, "", 0, "none of AWS's"},
	{"AWS's but not EC2's", 0, "\"sourceIPAddress\":\"13.224.0.1\"", VERDICT_OUTSIDE, 6, "", 0, "CLOUDFRONT"},
	{"another account's resource", 0, "\"sourceIPAddress\":\"198.51.100.10\",\"recipientAccountId\":\"" OTHER "\"",
         VERDICT_HOME, 0, "", 0, "own"},
	/* Rung 7. */
	{"a private address that is not the instance's", 0, "\"sourceIPAddress\":\"10.9.9.9\"", VERDICT_ELSEWHERE, 7,
         "", 0, "not among"},
	{"class E", 0, "\"sourceIPAddress\":\"253.201.144.253\"", VERDICT_ELSEWHERE, 7, "", 0, "253.201.144.253"},
};

static bool says(const struct origin *origin, const char *text)
{
	for (size_t i = 0; i < origin->evidence_count; i++)
		if (strstr(origin->evidence[i], text) != NULL)
			return true;
	return false;
}

static void test_rungs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char record[1000];
		struct event event;
		struct origin origin;
		const struct origin_home home = {
			.account_id = (cases[i].without & NO_HOME) != 0 ? "" : HOME,
			.placements = &place,
			.placement_count = (cases[i].without & NO_PLACE) != 0 ? 0 : 1,
		};
		const struct origin_world world = {
			.inventory = (cases[i].without & NO_INVENTORY) != 0 ? no_inventory : inventory,
			.ranges = ranges,
		};
		(void)snprintf(record, sizeof(record), "{\"eventID\":\"x\"%s%s}", cases[i].record[0] != '\0' ? "," : "",
		               cases[i].record);
		if (!event_read(record, strlen(record), &event))
			fail_msg("%s: %s", cases[i].name, record);
		origin_judge(&event, &home, &world, &origin);
		if (origin.verdict != cases[i].verdict || origin.rung != cases[i].rung ||
		    strcmp(origin.account_id, cases[i].account) != 0 || origin.relation != cases[i].relation)
			fail_msg("%s: verdict %d, rung %d, account \"%s\", %s", cases[i].name, origin.verdict,
			         origin.rung, origin.account_id, relation_names[origin.relation]);
		if (!says(&origin, cases[i].evidence))
			fail_msg("%s: does not say \"%s\" but \"%s\"", cases[i].name, cases[i].evidence,
			         origin.evidence[0]);
		assert_true(origin.confidence > 0 && origin.confidence <= 100);
	}
}

/* Less evidence, less certainty. */
static void test_confidence_falls(void **state)
{
	static const char *const records[] = {
		"{\"vpcEndpointId\":\"vpce-0bbbbbbbbbbbbbbbb\",\"vpcEndpointAccountId\":\"" OTHER "\"}",
		"{\"sourceIPAddress\":\"35.169.66.138\"}", /* rung 4 */
		"{\"vpcEndpointId\":\"vpce-0ddddddddddddddda\"}",
	};
	int before = 101;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(records); i++) {
		struct event event;
		struct origin origin;
		const struct origin_home home = {.account_id = HOME, .placements = &place, .placement_count = 1};
		const struct origin_world world = {.inventory = inventory, .ranges = ranges};
		assert_true(event_read(records[i], strlen(records[i]), &event));
		origin_judge(&event, &home, &world, &origin);
		assert_true(origin.confidence < before);
		before = origin.confidence;
	}
}

static int setup(void **state)
{
	static const char *const own[] = {"198.51.100.10", "10.0.0.0/16", "172.61.0.0/16", "2600:1f18::10"};
	static const char *owners[] = {HOME, HUB, NULL};
	struct error err = {0};
	if (support_setup(state) < 0)
		return -1;
	const char *path = support_write_text(
		"inventory.json",
		"{\"own\":[{\"account_id\":\"" HOME
		"\",\"egress\":[\"18.236.253.47\"],\"networks\":[\"198.51.100.128/25\"],"
		"\"addresses\":[\"198.51.100.200\"],\"endpoints\":[\"vpce-0aaaaaaaaaaaaaaaa\"]}],"
		"\"affiliated\":[{\"account_id\":\"" FRIEND "\",\"egress\":[\"35.169.66.138\"],\"endpoints\":"
		"[\"vpce-0cccccccccccccccc\"]}],\"trusted_egress\":[\"203.0.113.0/24\",\"vpce-0eeeeeeeeeeeeeeee\"]}");
	if (inventory_open(path, &inventory, &err) < 0 || inventory_open(NULL, &no_inventory, &err) < 0 ||
	    ranges_open(NULL, &ranges, &err) < 0)
		fail_msg("%s", err.text);
	place = (struct placement){.owners = owners};
	for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
		struct cidr cidr;
		assert_true(cidr_parse(own[i], &cidr));
		assert_int_equal(cidr_set_add(&place.addresses, &cidr, 0, NULL), 0);
	}
	cidr_set_seal(&place.addresses);
	return 0;
}

static int teardown(void **state)
{
	inventory_free(inventory);
	inventory_free(no_inventory);
	ranges_free(ranges);
	cidr_set_done(&place.addresses);
	return support_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rungs), cmocka_unit_test(test_confidence_falls)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
