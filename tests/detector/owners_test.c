/* SPDX-License-Identifier: Apache-2.0 */

/* Whose an address was and when, by records of EC2's in every order. */
#include "tests/detector/support.h"

#include "detector/owners.h"

#define HOME "111122223333"
#define OTHER "210987654321"
#define RECORDS_MAX 5

#define CALL(name, minute, account, more)                                                                              \
	"{\"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"" name "\",\"eventTime\":\"2026-01-01T10:" minute      \
	":00Z\",\"eventID\":\"" name minute "\",\"recipientAccountId\":\"" account "\"," more "}"
#define REQUEST(fields) "\"requestParameters\":{" fields "}"
#define ANSWER(fields) "\"responseElements\":{" fields "}"
#define ALLOCATE(minute, account)                                                                                      \
	CALL("AllocateAddress", minute, account,                                                                       \
	     ANSWER("\"publicIp\":\"198.51.100.7\",\"allocationId\":\"eipalloc-" account "\""))
#define ASSOCIATE(minute, holder)                                                                                      \
	CALL("AssociateAddress", minute, HOME,                                                                         \
	     REQUEST("\"allocationId\":\"eipalloc-" HOME                                                               \
	             "\"," holder) "," ANSWER("\"associationId\":\"eipassoc-" minute "\""))
#define TO_ONE "\"instanceId\":\"i-00000000000000001\""
#define TO_TWO "\"instanceId\":\"i-00000000000000002\""
#define RUN(minute, instance, fields)                                                                                  \
	CALL("RunInstances", minute, HOME,                                                                             \
	     ANSWER("\"instancesSet\":{\"items\":[{\"instanceId\":\"" instance "\"," fields "}]}"))

static const struct {
	const char *name;
	const char *records[RECORDS_MAX];
	const char *address, *minute;
	const char *found; /* "ACCOUNT HOLDER;" for each tenure */
} cases[] = {
	{"nothing", {NULL}, "198.51.100.7", "30", ""},
	{"allocated", {ALLOCATE("15", HOME)}, "198.51.100.7", "30", HOME " ;"},
	{"before it was", {ALLOCATE("45", HOME)}, "198.51.100.7", "30", ""},
	{"within the slack", {ALLOCATE("39", HOME)}, "198.51.100.7", "30", HOME " ;"},
	{"another address", {ALLOCATE("15", HOME)}, "198.51.100.8", "30", ""},
	{"refused",
         {CALL("AllocateAddress", "15", HOME,
               "\"errorCode\":\"Client.Limit\"," ANSWER("\"publicIp\":\"198.51.100.7\""))},
         "198.51.100.7",
         "30",
         ""},
	{"not EC2's",
         {"{\"eventSource\":\"x.amazonaws.com\",\"eventName\":\"AllocateAddress\",\"eventTime\":\"2026-01-01T10:15:"
          "00Z\","
          "\"recipientAccountId\":\"" HOME "\"," ANSWER("\"publicIp\":\"198.51.100.7\"") "}"},
         "198.51.100.7",
         "30",
         ""},
	{"released",
         {ALLOCATE("05", HOME), CALL("ReleaseAddress", "15", HOME, REQUEST("\"allocationId\":\"eipalloc-" HOME "\""))},
         "198.51.100.7",
         "30",
         ""},
	{"released, EC2-Classic's way",
         {ALLOCATE("05", HOME), CALL("ReleaseAddress", "15", HOME, REQUEST("\"publicIp\":\"198.51.100.7\""))},
         "198.51.100.7",
         "30",
         ""},
	{"released, and another account's since",
         {ALLOCATE("05", HOME), CALL("ReleaseAddress", "10", HOME, REQUEST("\"allocationId\":\"eipalloc-" HOME "\"")),
          ALLOCATE("15", OTHER)},
         "198.51.100.7",
         "30",
         OTHER " ;"},
	{"the release is missing", {ALLOCATE("05", HOME), ALLOCATE("15", OTHER)}, "198.51.100.7", "30", OTHER " ;"},
	{"somebody else's release", /* of an address that they had before */
         {ALLOCATE("05", HOME), CALL("ReleaseAddress", "15", OTHER, REQUEST("\"publicIp\":\"198.51.100.7\""))},
         "198.51.100.7",
         "30",
         HOME " ;"},
	{"associated",
         {ALLOCATE("05", HOME), ASSOCIATE("15", TO_ONE)},
         "198.51.100.7",
         "30",
         HOME " i-00000000000000001;"},
	{"associated anew",
         {ALLOCATE("01", HOME), ASSOCIATE("05", TO_ONE), ASSOCIATE("15", TO_TWO)},
         "198.51.100.7",
         "30",
         HOME " i-00000000000000002;"},
	{"associated anew, just now: either",
         {ALLOCATE("01", HOME), ASSOCIATE("05", TO_ONE), ASSOCIATE("25", TO_TWO)},
         "198.51.100.7",
         "30",
         HOME " i-00000000000000001;" HOME " i-00000000000000002;"},
	{"disassociated",
         {ALLOCATE("01", HOME), ASSOCIATE("05", TO_ONE),
          CALL("DisassociateAddress", "15", HOME, REQUEST("\"associationId\":\"eipassoc-05\""))},
         "198.51.100.7",
         "30",
         HOME " ;"},
	{"its instance is gone",
         {ALLOCATE("01", HOME), ASSOCIATE("05", TO_ONE),
          CALL("TerminateInstances", "15", HOME, REQUEST("\"instancesSet\":{\"items\":[{" TO_ONE "}]}"))},
         "198.51.100.7",
         "30",
         HOME " ;"},
	{"an instance that had it before is gone",
         {ALLOCATE("01", HOME), ASSOCIATE("05", TO_ONE), ASSOCIATE("10", TO_TWO),
          CALL("TerminateInstances", "15", HOME, REQUEST("\"instancesSet\":{\"items\":[{" TO_ONE "}]}"))},
         "198.51.100.7",
         "30",
         HOME " i-00000000000000002;"},
	{"by its interface",
         {ALLOCATE("01", HOME), ASSOCIATE("10", "\"networkInterfaceId\":\"eni-1\""),
          CALL("AttachNetworkInterface", "05", HOME, REQUEST("\"networkInterfaceId\":\"eni-1\"," TO_ONE))},
         "198.51.100.7",
         "30",
         HOME " i-00000000000000001;"},
	{"an interface of nobody's",
         {ALLOCATE("01", HOME), ASSOCIATE("10", "\"networkInterfaceId\":\"eni-1\"")},
         "198.51.100.7",
         "30",
         HOME " eni-1;"},
	{"a NAT gateway",
         {ALLOCATE("01", HOME),
          CALL("CreateNatGateway", "10", HOME,
               ANSWER("\"CreateNatGatewayResponse\":{\"natGateway\":{\"natGatewayId\":\"nat-1\","
                      "\"natGatewayAddressSet\":{\"item\":{\"allocationId\":\"eipalloc-" HOME "\"}}}}"))},
         "198.51.100.7",
         "30",
         HOME " nat-1;"},
	{"a NAT gateway that is gone",
         {ALLOCATE("01", HOME),
          CALL("CreateNatGateway", "05", HOME,
               REQUEST("\"CreateNatGatewayRequest\":{\"AllocationId\":\"eipalloc-" HOME
                       "\"}") "," ANSWER("\"CreateNatGatewayResponse\":{\"natGateway\":{\"natGatewayId\":\"nat-1\"}}")),
          CALL("DeleteNatGateway", "15", HOME, REQUEST("\"DeleteNatGatewayRequest\":{\"NatGatewayId\":\"nat-1\"}"))},
         "198.51.100.7",
         "30",
         HOME " ;"},
	{"an instance's own address",
         {RUN("05", "i-00000000000000001", "\"ipAddress\":\"198.51.100.9\"")},
         "198.51.100.9",
         "30",
         HOME " i-00000000000000001;"},
	{"one of a stopped instance",
         {RUN("05", "i-00000000000000001", "\"ipAddress\":\"198.51.100.9\""),
          CALL("StopInstances", "15", HOME, REQUEST("\"instancesSet\":{\"items\":[{" TO_ONE "}]}"))},
         "198.51.100.9",
         "30",
         ""},
	{"an elastic one of a stopped instance",
         {ALLOCATE("01", HOME), ASSOCIATE("05", TO_ONE),
          CALL("StopInstances", "15", HOME, REQUEST("\"instancesSet\":{\"items\":[{" TO_ONE "}]}"))},
         "198.51.100.7",
         "30",
         HOME " i-00000000000000001;"},
	{"IPv6",
         {RUN("05", "i-00000000000000001",
              "\"networkInterfaceSet\":{\"items\":[{\"networkInterfaceId\":\"eni-1\",\"ipv6AddressesSet\":{\"items\":[{"
              "\"ipv6Address\":\"2600:1f18:0:0:0:0:0:10\"}]}}]}")},
         "2600:1f18::10",
         "30",
         HOME " i-00000000000000001;"},
	{"IPv6, assigned later",
         {CALL("AssignIpv6Addresses", "10", HOME,
               REQUEST("\"AssignIpv6AddressesRequest\":{\"NetworkInterfaceId\":\"eni-1\"}") "," ANSWER(
		       "\"AssignIpv6AddressesResponse\":{\"assignedIpv6Addresses\":{\"item\":\"2600:1f18::10\"}}")),
          RUN("05", "i-00000000000000001", "\"networkInterfaceSet\":{\"items\":[{\"networkInterfaceId\":\"eni-1\"}]}")},
         "2600:1f18::10",
         "30",
         HOME " i-00000000000000001;"},
	{"IPv6, taken away",
         {CALL("CreateNetworkInterface", "05", HOME,
               ANSWER("\"networkInterface\":{\"networkInterfaceId\":\"eni-1\",\"ipv6AddressesSet\":{\"item\":{"
                      "\"ipv6Address\":\"2600:1f18::10\"}}}")),
          CALL("UnassignIpv6Addresses", "15", HOME,
               REQUEST("\"UnassignIpv6AddressesRequest\":{\"Ipv6Addresses\":{\"content\":\"2600:1f18::10\"}}"))},
         "2600:1f18::10",
         "30",
         ""},
	{"a private address says nothing",
         {RUN("05", "i-00000000000000001", "\"ipAddress\":\"10.0.0.1\"")},
         "10.0.0.1",
         "30",
         ""},
};

static int keep(void *context, const struct claim *claim, struct error *err)
{
	return owners_add(context, claim, err);
}

static void add(struct owners *owners, const char *record)
{
	struct record_text text;
	struct event event;
	struct error err = {0};
	assert_true(record_text_find(record, strlen(record), &text));
	assert_true(event_read(record, strlen(record), &event));
	if (claims_read(&text, &event, keep, owners, &err) < 0)
		fail_msg("%s", err.text);
}

static void check(size_t i, unsigned shuffle)
{
	struct owners owners = {0};
	const char *records[RECORDS_MAX];
	CLEANUP_BUFFER struct buffer found = {0};
	struct error err = {0};
	size_t count = 0, left;
	char at[40];
	memcpy(records, cases[i].records, sizeof(records));
	while (count < RECORDS_MAX && records[count] != NULL)
		count++;
	for (left = count; left > 0; left--) {
		size_t pick = shuffle % left;
		shuffle /= (unsigned)left;
		add(&owners, records[pick]);
		add(&owners, records[pick]); /* twice is once */
		records[pick] = records[left - 1];
	}
	if (owners_close(&owners, &err) < 0 || owners_close(&owners, &err) < 0)
		fail_msg("%s", err.text);
	(void)snprintf(at, sizeof(at), "2026-01-01T10:%s:00Z", cases[i].minute);
	const struct tenure *tenures = owners_of(&owners, cases[i].address, support_time(at), &count);
	assert_int_equal(buffer_append(&found, "", 0, NULL), 0);
	for (size_t j = 0; j < count; j++)
		assert_int_equal(buffer_printf(&found, NULL, "%s %s;", tenures[j].account, tenures[j].holder), 0);
	if (strcmp(found.bytes, cases[i].found) != 0)
		fail_msg("%s: %s", cases[i].name, found.bytes);
	owners_done(&owners);
}

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (unsigned shuffle = 0; shuffle < 24; shuffle++)
			check(i, shuffle);
}

static void test_endpoints(void **state)
{
	struct owners owners = {0};
	const char *event = NULL;
	(void)state;
	add(&owners, CALL("CreateVpcEndpoint", "10", HOME,
	                  ANSWER("\"CreateVpcEndpointResponse\":{\"vpcEndpoint\":{\"vpcEndpointId\":\"vpce-0aa\"}}")));
	assert_int_equal(owners_close(&owners, NULL), 0);
	assert_string_equal(owners_endpoint(&owners, "vpce-0aa", &event), HOME);
	assert_string_equal(event, "CreateVpcEndpoint10");
	assert_null(owners_endpoint(&owners, "vpce-0bb", &event));
	owners_done(&owners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_endpoints)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
