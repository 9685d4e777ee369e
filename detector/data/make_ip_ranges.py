#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes ip-ranges.txt, the address ranges that are built in, from AWS's ip-ranges.json.

    make_ip_ranges.py ip-ranges.json > ip-ranges.txt

A line `@ REGION SERVICE` says what the prefixes on the lines after it are. AMAZON stands for everything that AWS has:
it is written only where no other service claims the same prefix.
"""
import collections
import ipaddress
import json
import sys


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        ranges = json.load(file)
    services = collections.defaultdict(set)
    for entry in ranges["prefixes"]:
        services[ipaddress.ip_network(entry["ip_prefix"])].add((entry["region"], entry["service"]))
    for entry in ranges["ipv6_prefixes"]:
        services[ipaddress.ip_network(entry["ipv6_prefix"])].add((entry["region"], entry["service"]))

    groups = collections.defaultdict(list)
    for network, owners in services.items():
        named = {owner for owner in owners if owner[1] != "AMAZON"}
        for owner in named or owners:
            groups[owner].append(network)
    print("# Made by make_ip_ranges.py from https://ip-ranges.amazonaws.com/ip-ranges.json")
    print("date", ranges["createDate"])
    for (region, service), networks in sorted(groups.items()):
        print("@", region, service)
        for network in sorted(networks, key=lambda n: (n.version, n)):
            print(network)


main()
