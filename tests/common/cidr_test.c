/* SPDX-License-Identifier: Apache-2.0 */

/* Addresses and prefixes: what is refused first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cidr.h"

static void test_refuses_addresses(void **state)
{
	static const char *const bad[] = {
		"",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"253.252.51.07",
		"075.050.255.67",
		"01.2.3.4",
		"1.2.3.-4",
		"1.2.3.4/32",
		"1.2.3.4:80",
		"0x1.2.3.4",
		"::1%lo",
		"fe80::1%eth0",
		"1::2::3",
		":::",
		"g::1",
		"12345::",
		"AWS Internal",
		"ec2.amazonaws.com",
		"1.2.3.4\n",
		"16909060",
		"[::1]",
		"::ffff:1.2.3.04",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct address address = {{9}};
		if (address_parse(bad[i], &address))
			fail_msg("took \"%s\" for an address", bad[i]);
		assert_int_equal(address.bytes[0], 9);
	}
}

static void test_reads_addresses(void **state)
{
	static const char *const pairs[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"18.236.253.47", "18.236.253.47"},
		{"::ffff:18.236.253.47", "18.236.253.47"},
		{"::FFFF:12ec:fd2f", "18.236.253.47"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"::", "::"},
	};
	char text[ADDRESS_MAX_BYTES];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
		struct address address;
		assert_true(address_parse(pairs[i][0], &address));
		assert_string_equal(address_format(&address, text), pairs[i][1]);
	}
}

static void test_refuses_prefixes(void **state)
{
	static const char *const bad[] = {
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/08",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"10.0.0.1/8",
		"10.0.0/8",
		"2001:db8::/129",
		"2001:db8::1/32",
		"10.0.0.0/8 ",
		"10.0.0.0/0x8",
		"010.0.0.0/8",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct cidr cidr;
		if (cidr_parse(bad[i], &cidr))
			fail_msg("took \"%s\" for a prefix", bad[i]);
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *cidr, *address;
		bool is_in;
	} cases[] = {
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/9", "10.128.0.0", false},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"::/0", "10.1.2.3", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct cidr cidr;
		struct address address;
		assert_true(cidr_parse(cases[i].cidr, &cidr) && address_parse(cases[i].address, &address));
		if (cidr_contains(&cidr, &address) != cases[i].is_in)
			fail_msg("%s in %s", cases[i].address, cases[i].cidr);
	}
}

static void test_formats_prefixes(void **state)
{
	static const char *const same[] = {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0"};
	char text[CIDR_MAX_BYTES];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(same); i++) {
		struct cidr cidr;
		assert_true(cidr_parse(same[i], &cidr));
		assert_string_equal(cidr_format(&cidr, text), same[i]);
	}
}

static void test_public(void **state)
{
	static const struct {
		const char *address;
		bool is_public;
	} cases[] = {
		{"10.1.2.3", false},
		{"172.31.255.255", false},
		{"192.168.0.1", false},
		{"100.127.0.1", false},
		{"127.0.0.1", false},
		{"169.254.169.254", false},
		{"198.19.0.1", false},
		{"253.1.2.3", false},
		{"224.0.0.1", false},
		{"0.1.2.3", false},
		{"fd00:ec2::254", false},
		{"fe80::1", false},
		{"ff02::1", false},
		{"::1", false},
		{"::", false},
		{"::ffff:10.0.0.1", false},
		{"172.32.0.1", true},
		{"172.61.0.1", true},
		{"100.128.0.1", true},
		{"198.20.0.1", true},
		{"1.2.3.4", true},
		{"2600:1f18::1", true},
		{"203.0.113.1", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct address address;
		assert_true(address_parse(cases[i].address, &address));
		if (address_is_public(&address) != cases[i].is_public)
			fail_msg("%s", cases[i].address);
	}
}

static void test_longest_prefix(void **state)
{
	static const struct {
		const char *cidr;
		uint32_t value;
	} entries[] = {
		{"10.1.0.0/16", 2},  {"10.0.0.0/8", 1},    {"10.1.2.0/24", 3},     {"10.1.2.0/24", 4}, {"10.1.3.7", 5},
		{"192.0.2.0/24", 6}, {"2001:db8::/32", 7}, {"2001:db8:1::/48", 8}, {"3.0.0.0/10", 9},
	};
	static const struct {
		const char *address;
		uint32_t value; /* 0: none */
	} cases[] = {
		{"9.255.255.255", 0},   {"11.0.0.0", 0},
		{"2001:db9::", 0},      {"0.0.0.0", 0},
		{"255.255.255.255", 0}, {"10.200.0.1", 1},
		{"10.1.200.1", 2},      {"10.1.2.200", 4},
		{"10.1.3.7", 5},        {"10.1.3.8", 2},
		{"192.0.2.255", 6},     {"2001:db8:2::", 7},
		{"2001:db8:1:2::", 8},  {"::ffff:3.63.255.255", 9},
	};
	struct cidr_set set = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
		struct cidr cidr;
		assert_true(cidr_parse(entries[i].cidr, &cidr));
		assert_int_equal(cidr_set_add(&set, &cidr, entries[i].value, NULL), 0);
	}
	cidr_set_seal(&set);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct address address;
		assert_true(address_parse(cases[i].address, &address));
		const struct cidr_entry *found = cidr_set_find(&set, &address);
		if ((found != NULL ? found->value : 0) != cases[i].value)
			fail_msg("%s", cases[i].address);
	}
	struct address address;
	assert_true(address_parse("10.1.2.3", &address));
	const struct cidr_entry *entry = cidr_set_find(&set, &address);
	static const uint32_t chain[] = {4, 3, 2, 1};
	for (size_t i = 0; i < ARRAY_LENGTH(chain); i++, entry = cidr_set_parent(&set, entry))
		assert_int_equal(entry->value, chain[i]);
	assert_null(entry);
	cidr_set_done(&set);
	assert_null(cidr_set_find(&set, &address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_addresses), cmocka_unit_test(test_reads_addresses),
		cmocka_unit_test(test_refuses_prefixes),  cmocka_unit_test(test_contains),
		cmocka_unit_test(test_formats_prefixes),  cmocka_unit_test(test_public),
		cmocka_unit_test(test_longest_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
