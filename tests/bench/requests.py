#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tables of scripts/bench proxy out of its measurements: way, case, clients, median, p99, p99.9, requests,
requests a second, errors, in the order in which they were made. A comparison is one of two measurements of the same
round; what is shown is the median of these, and in brackets the least and the most."""

import statistics
import sys

NAMES = {"metadata": "GET, no secret", "token": "PUT token", "credential": "GET credentials"}
MEDIAN, P99, P999, _, RATE, ERRORS = range(6)


def read(path):
    values = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            way, case, clients, *numbers = line.split()
            values.setdefault((case, int(clients), way), []).append([int(number) for number in numbers])
    return values


def spread(numbers, form):
    return f"{statistics.median(numbers):{form}} ({min(numbers):{form}} to {max(numbers):{form}})"


def main_table(values):
    print("| request | clients | direct us | nginx us | keytraild us | keytraild / nginx | direct req/s | nginx req/s"
          " | keytraild req/s | keytraild p99 us | nginx p99 us |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for case, clients in dict.fromkeys((case, clients) for case, clients, way in values if way == "nginx"):
        ways = [values[case, clients, way] for way in ("direct", "nginx", "keytraild")]
        d, n, k = ([statistics.median(row[i] for row in rows) for i in range(6)] for rows in ways)
        ratios = [keytraild[MEDIAN] / nginx[MEDIAN] for nginx, keytraild in zip(ways[1], ways[2])]
        print(f"| {NAMES[case]} | {clients} | {d[MEDIAN]:.0f} | {n[MEDIAN]:.0f} | {k[MEDIAN]:.0f} | {spread(ratios, '.2f')}"
              f" | {d[RATE]:.0f} | {n[RATE]:.0f} | {k[RATE]:.0f} | {k[P99]:.0f} | {n[P99]:.0f} |")


def added(values, case, clients, way, than, which):
    pairs = zip(values[case, clients, way], values[case, clients, than])
    return [(with_it[which] - without[which]) / 1000 for with_it, without in pairs]


def other_numbers(values, memory_kb):
    tail = max(rows[P999] for rows in values["token", 64, "keytraild"]) / 1000
    print("| what | measured | aim |")
    print("|---|--:|--:|")
    print("| PUT token, 64 clients, 99.9th percentile: added to the direct way's | "
          f"{spread(added(values, 'token', 64, 'keytraild', 'direct', P999), '.1f')} ms | under 100 ms |")
    print(f"| the same, the worst round's 99.9th percentile itself | {tail:.1f} ms | |")
    for clients in (1, 8, 64):
        print(f"| GET credentials, {clients} clients: its row on disk, against a ledger in memory, median | "
              f"{spread(added(values, 'credential', clients, 'keytraild', 'memory', MEDIAN), '.2f')} ms"
              " | at most 1.5 ms more |")
    print(f"| anonymous memory of both processes after 100,000 requests at 64 clients | {memory_kb / 1024:.1f} MiB"
          " | under 16 MiB |")


values = read(sys.argv[1])
main_table(values)
print()
other_numbers(values, int(sys.argv[2]))
print(f"\nRequests that went wrong: {sum(row[ERRORS] for rows in values.values() for row in rows)}.")
