#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deliveries.py RESULTS FOLDER: makes the table of scripts/bench deliveries out of its measurements (where, case, clients, median, p99,
p99.9, requests, requests a second, errors, in the order in which they were made), beside one sync of a small write in FOLDER."""

import os
import statistics
import sys
import time

MEDIAN, P99, P999, _, RATE, ERRORS = range(6)
SYNCS = 400


def read(path):
    values = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            where, _, clients, *numbers = line.split()
            values.setdefault((int(clients), where), []).append([int(number) for number in numbers])
    return values


def syncs_us(folder):
    """What one commit at least costs: a few KB behind the end of a file, and fdatasync."""
    path, took = os.path.join(folder, "sync"), []
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for number in range(SYNCS):
        began = time.monotonic()
        os.pwrite(file, bytes(8192), number * 8192)
        os.fdatasync(file)
        took.append((time.monotonic() - began) * 1e6)
    os.close(file)
    os.unlink(path)
    return took


def spread(numbers, form):
    return f"{statistics.median(numbers):{form}} ({min(numbers):{form}} to {max(numbers):{form}})"


values, took = read(sys.argv[1]), syncs_us(sys.argv[2])
print("| clients | deliveries a second | the same, ledger in memory | median us | in memory us | added by the disk, ms | p99 us"
      " | in memory p99 us |")
print("|--:|--:|--:|--:|--:|--:|--:|--:|")
for clients in sorted({clients for clients, _ in values}):
    disk, memory = values[clients, "disk"], values[clients, "memory"]
    d, m = ([statistics.median(row[i] for row in rows) for i in range(6)] for rows in (disk, memory))
    more = [(one[MEDIAN] - other[MEDIAN]) / 1000 for one, other in zip(disk, memory)]
    print(f"| {clients} | {d[RATE]:.0f} | {m[RATE]:.0f} | {d[MEDIAN]:.0f} | {m[MEDIAN]:.0f} | {spread(more, '.2f')}"
          f" | {d[P99]:.0f} | {m[P99]:.0f} |")
median = statistics.median(took)
most = max(statistics.median(row[RATE] for row in rows) for (_, where), rows in values.items() if where == "disk")
print(f"\nOne write of 8 KB and its sync on that disk, nothing else going on: {median:.0f} us at the median, "
      f"{statistics.quantiles(took, n=100)[98]:.0f} at the 99th percentile: {1e6 / median:.0f} a second, one after the other. "
      f"The most deliveries a second above are {most * median / 1e6:.2f} for each of these.")
print(f"\nRequests that went wrong: {sum(row[ERRORS] for rows in values.values() for row in rows)}.")
