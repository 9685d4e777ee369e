/* SPDX-License-Identifier: Apache-2.0 */

/* inventory.json: each refusal with a case that triggers it and what it names; then the lookups. */
#include "tests/detector/support.h"

#include "detector/inventory.h"

static struct inventory *open_text(const char *text, struct error *err)
{
	struct inventory *inventory = NULL;
	const char *path = support_write_text("inventory.json", text);
	return inventory_open(path, &inventory, err) == 0 ? inventory : NULL;
}

#define A "\"account_id\":\"111122223333\""
#define B "\"account_id\":\"444455556666\""

static void test_refuses(void **state)
{
	static const struct {
		const char *text;
		const char *names[2]; /* what the message must name */
	} cases[] = {
		{"", {"inventory.json", "line 1"}},
		{"[]", {"expected an object", ""}},
		{"{\"own\":[],\"own\":[]}", {"duplicate", ""}},
		{"{\"accounts\":[]}", {"accounts", "unknown member"}},
		{"{\"own\":{}}", {"own", "expected a list"}},
		{"{\"own\":[{}]}", {"entry 1", "account_id"}},
		{"{\"own\":[{\"account_id\":111122223333}]}", {"account_id", "12 digits"}},
		{"{\"own\":[{\"account_id\":\"11112222333\"}]}", {"account_id", "12 digits"}},
		{"{\"own\":[{" A ",\"ips\":[]}]}", {"ips: unknown member", "111122223333"}},
		{"{\"own\":[{" A ",\"name\":1}]}", {"name", "expected a string"}},
		{"{\"own\":[{" A ",\"egress\":\"1.2.3.4\"}]}", {"egress", "expected a list"}},
		{"{\"own\":[{" A ",\"egress\":[1]}]}", {"egress", "entry 1"}},
		{"{\"own\":[{" A ",\"egress\":[\"1.2.3.04\"]}]}", {"egress", "1.2.3.04"}},
		{"{\"own\":[{" A ",\"networks\":[\"10.0.0.1/8\"]}]}", {"networks", "10.0.0.1/8"}},
		{"{\"own\":[{" A ",\"networks\":[\"0.0.0.0/0\"]}]}", {"networks", "wider"}},
		{"{\"own\":[{" A ",\"networks\":[\"::/0\"]}]}", {"networks", "wider"}},
		{"{\"own\":[{" A ",\"endpoints\":[\"vpce-xyz\"]}]}", {"endpoints", "vpce-xyz"}},
		{"{\"own\":[{" A ",\"endpoints\":[\"vpc-0123456789abcdef0\"]}]}", {"endpoints", "vpce-"}},
		{"{\"own\":[{" A ",\"vpcs\":[\"vpc-123\"]}]}", {"vpcs", "vpc-123"}},
		{"{\"own\":[{" A "},{" A "}]}", {"111122223333", "twice"}},
		{"{\"own\":[{" A "}],\"affiliated\":[{" A "}]}", {"111122223333", "twice"}},
		{"{\"own\":[{" A ",\"endpoints\":[\"vpce-12345678\"]},{" B ",\"endpoints\":[\"vpce-12345678\"]}]}",
	         {"vpce-12345678", "111122223333 and 444455556666"}},
		{"{\"own\":[{" A ",\"networks\":[\"198.51.100.0/24\"]}],\"affiliated\":[{" B
	         ",\"egress\":[\"198.51.100.7\"]}]}",
	         {"198.51.100.7/32 of account 444455556666", "198.51.100.0/24 of account 111122223333"}},
		{"{\"own\":[{" A ",\"egress\":[\"198.51.100.7\"]},{" B ",\"egress\":[\"198.51.100.7\"]}]}",
	         {"overlapping owners", "111122223333"}},
		{"{\"trusted_egress\":\"1.2.3.4\"}", {"trusted_egress", "expected a list"}},
		{"{\"trusted_egress\":[\"x\"]}", {"trusted_egress", "\"x\""}},
		{"{\"trusted_egress\":[\"vpce-1\"]}", {"trusted_egress", "vpce- and 8 or 17"}},
		{"{\"trusted_egress\":[7]}", {"trusted_egress", "expected an address"}},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct error err = {0};
		if (open_text(cases[i].text, &err) != NULL)
			fail_msg("took %s", cases[i].text);
		assert_int_equal(err.code, ERROR_INPUT);
		for (int name = 0; name < 2; name++)
			if (cases[i].names[name] != NULL && strstr(err.text, cases[i].names[name]) == NULL)
				fail_msg("%s: %s", cases[i].text, err.text);
	}
}

static void test_missing(void **state)
{
	struct inventory *inventory;
	struct error err = {0};
	(void)state;
	assert_int_equal(inventory_open(support_path("nowhere.json"), &inventory, &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);
}

static const char *owner(const struct inventory *inventory, const char *text)
{
	struct address address;
	assert_true(address_parse(text, &address));
	const struct inventory_account *account = inventory_owner(inventory, &address);
	return account != NULL ? account->id : "";
}

static int use(const struct inventory *inventory, const char *account, const char *text)
{
	struct address address;
	enum inventory_use found;
	assert_true(address_parse(text, &address));
	return inventory_use(inventory, account, &address, &found) ? (int)found : -1;
}

static void test_lookups(void **state)
{
	struct error err = {0};
	struct address address;
	(void)state;
	struct inventory *inventory = open_text(
		"{\"own\":[{" A ",\"name\":\"prod\",\"egress\":[\"198.51.100.0/28\"],\"networks\":[\"10.0.0.0/8\","
		"\"198.51.100.128/25\"],\"addresses\":[\"198.51.100.200\"],\"endpoints\":[\"vpce-0123456789abcdef0\"],"
		"\"vpcs\":[\"vpc-0123456789abcdef0\"]}],"
		"\"affiliated\":[{" B
		",\"networks\":[\"10.0.0.0/16\"],\"egress\":null,\"addresses\":[\"2600:1f18::/48\"]}],"
		"\"trusted_egress\":[\"203.0.113.0/24\",\"vpce-0eeeeeeeeeeeeeeee\"]}",
		&err);
	if (inventory == NULL)
		fail_msg("%s", err.text);
	assert_string_equal(owner(inventory, "192.0.2.1"), "");
	assert_string_equal(owner(inventory, "10.0.0.1"), ""); /* private: nobody's */
	assert_string_equal(owner(inventory, "203.0.113.1"), "");
	assert_string_equal(owner(inventory, "198.51.100.3"), "111122223333");
	assert_string_equal(owner(inventory, "2600:1f18::7"), "444455556666");
	assert_int_equal(use(inventory, "444455556666", "198.51.100.3"), -1);
	assert_int_equal(use(inventory, "111122223333", "192.0.2.1"), -1);
	assert_int_equal(use(inventory, "", "198.51.100.3"), -1);
	assert_int_equal(use(inventory, "111122223333", "198.51.100.3"), INVENTORY_EGRESS);
	assert_int_equal(use(inventory, "111122223333", "198.51.100.130"), INVENTORY_NETWORK);
	assert_int_equal(use(inventory, "111122223333", "198.51.100.200"), INVENTORY_ADDRESS);
	assert_int_equal(use(inventory, "111122223333", "10.0.1.1"), INVENTORY_NETWORK);
	assert_int_equal(use(inventory, "444455556666", "10.0.1.1"), INVENTORY_NETWORK);
	assert_int_equal(use(inventory, "444455556666", "10.1.1.1"), -1);
	assert_null(inventory_endpoint(inventory, "vpce-0123456789abcdef1"));
	assert_string_equal(inventory_endpoint(inventory, "vpce-0123456789abcdef0")->id, "111122223333");
	assert_string_equal(inventory_account(inventory, "111122223333")->name, "prod");
	assert_true(inventory_account(inventory, "111122223333")->is_own);
	assert_false(inventory_account(inventory, "444455556666")->is_own);
	assert_null(inventory_account(inventory, "999988887777"));
	assert_true(inventory_is_trusted_endpoint(inventory, "vpce-0eeeeeeeeeeeeeeee"));
	assert_false(inventory_is_trusted_endpoint(inventory, "vpce-0123456789abcdef0"));
	assert_null(inventory_endpoint(inventory, "vpce-0eeeeeeeeeeeeeeee"));
	assert_true(address_parse("203.0.113.9", &address) && inventory_is_trusted(inventory, &address));
	assert_true(address_parse("203.0.114.9", &address) && !inventory_is_trusted(inventory, &address));
	inventory_free(inventory);
}

static void test_empty(void **state)
{
	struct inventory *inventory;
	(void)state;
	assert_int_equal(inventory_open(NULL, &inventory, NULL), 0);
	assert_string_equal(owner(inventory, "1.2.3.4"), "");
	assert_null(inventory_endpoint(inventory, "vpce-12345678"));
	inventory_free(inventory);
	inventory_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_refuses), cmocka_unit_test(test_missing),
	                                   cmocka_unit_test(test_lookups), cmocka_unit_test(test_empty)};
	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
