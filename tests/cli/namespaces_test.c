/* SPDX-License-Identifier: Apache-2.0 */

/* By which device a namespace reaches the metadata service, and which devices lead past the machine. */
#include "tests/common/unit.h"

#include "cli/namespaces.h"

#define HEAD "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
#define DEFAULT(device, metric) device "\t00000000\t0100000A\t0003\t0\t0\t" metric "\t00000000\t0\t0\t0\n"

static const struct {
	const char *name, *routes, *device; /* NULL: nowhere */
} cases[] = {
	{"none", HEAD, NULL},
	{"empty", "", NULL},
	{"default", HEAD DEFAULT("eth0", "0"), "eth0"},
	{"another network", HEAD "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n", NULL},
	{"link local before default",
         HEAD DEFAULT("eth0", "0") "eth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n", "eth1"},
	{"the address itself before all",
         HEAD "eth2\tFEA9FEA9\t00000000\t0005\t0\t0\t9\tFFFFFFFF\t0\t0\t0\neth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t"
              "0000FFFF\t0\t0\t0\n" DEFAULT("eth0", "0"),
         "eth2"},
	{"smaller metric", HEAD DEFAULT("eth0", "200") DEFAULT("eth1", "100"), "eth1"},
	{"route that is down", HEAD "eth1\t00000000\t0100000A\t0002\t0\t0\t0\t00000000\t0\t0\t0\n" DEFAULT("eth0", "5"),
         "eth0"},
	{"no columns", HEAD "eth0 what\n", NULL},
};

static const struct {
	const char *driver;
	bool is_own;
} drivers[] = {
	{"veth", false},   {"tun", false},   {"bridge", false},    {"dummy", false}, {"", false},
	{"macvlan", true}, {"ipvlan", true}, {"virtio_net", true}, {"ena", true},    {"unknown", true},
};

static void ways_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char device[16] = "";
		bool found = namespaces_route(cases[i].routes, device, sizeof(device));
		CHECK(cases[i].name, found == (cases[i].device != NULL));
		if (found)
			CHECK_TEXT(cases[i].name, device, cases[i].device);
	}
}

static void devices_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(drivers); i++)
		CHECK(drivers[i].driver, namespaces_is_own_device(drivers[i].driver) == drivers[i].is_own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_are_found),
		cmocka_unit_test(devices_are_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
