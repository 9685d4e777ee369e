# SPDX-License-Identifier: Apache-2.0
"""The numbers as a table of docs/attribution.md."""

import collections

import judge


def sums(verdicts):
    """{case: Counter of verdicts}"""
    return {name: collections.Counter(verdict for _, verdict, _ in found) for name, found in verdicts.items()}


def cell(counter):
    return "-" if counter is None else " / ".join(str(counter[verdict]) for verdict in judge.VERDICTS)


def markdown(by_backend):
    """`by_backend`: {backend: sums}."""
    names = list(dict.fromkeys(name for found in by_backend.values() for name in found))
    lines = ["| clients | " + " | ".join(f"`{backend}`" for backend in by_backend) + " |", "|---|" + "---|" * len(by_backend)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(cell(found.get(name)) for found in by_backend.values()) + " |")
    totals = [sum(found.values(), collections.Counter()) for found in by_backend.values()]
    lines.append("| **all** | " + " | ".join(f"**{cell(total)}**" for total in totals) + " |")
    return "\n".join(lines)
