# SPDX-License-Identifier: Apache-2.0
"""Thousands of clients whose identity is known, against each backend: never a wrong process, and with eBPF a named one
wherever that can be decided. --long takes twenty times as many."""

import copy
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "misattribution"))

import harness
import judge
import refuse
import table
from instance import needs_world

DECIDED_SHARE = 0.999


@pytest.fixture(scope="module", params=harness.BACKENDS)
def results(request):
    """(backend, {case: [(nonce, verdict, why)]})"""
    if harness.BACKENDS[request.param].refused and refuse.missing():
        pytest.skip(refuse.missing())
    with harness.Bench(request.param, harness.LONG if request.config.getoption("--long") else harness.SHORT) as bench:
        state = bench.ebpf()
        if request.param == "ebpf" and state != "on":
            pytest.skip(f"no eBPF here: {state}")
        for name in harness.CASES:
            if harness.missing(name, request.param) is None:
                bench.run(name)
        verdicts = bench.verdicts()
    print(table.markdown({request.param: table.sums(verdicts)}))
    return request.param, verdicts


@needs_world
@pytest.mark.parametrize("name", harness.CASES)
def test_nobody_is_named_wrongly(results, name):
    backend, verdicts = results
    if harness.missing(name, backend):
        pytest.skip(harness.missing(name, backend))
    found = verdicts[name]
    assert len(found) >= 8
    assert [one for one in found if one[1] == "wrong"] == []
    if backend == "ebpf" and harness.CASES[name].decided:
        right = sum(verdict == "right" for _, verdict, _ in found)
        assert right >= DECIDED_SHARE * len(found), [one for one in found if one[1] != "right"]
    if backend == "ebpf" and harness.CASES[name].handed_on:
        assert [one for one in found if one[1] == "right"] == []
    if backend in ("no-sock_diag", "no-conntrack", "nothing"):
        assert {verdict for _, verdict, _ in found} == {"unknown"}


# ---- the judge itself: what it would let through proves nothing

BOOT = 1_700_000_000_000_000
EXE = os.stat("/usr/bin/env")


def process(pid, ticks=5, **more):
    return {"pid": pid, "started_at": judge.datetime.datetime.fromtimestamp(
        (BOOT + ticks * judge.TICK_US) // 1_000_000, judge.datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") +
        f"{(BOOT + ticks * judge.TICK_US) % 1_000_000:06}Z", "uid": 7, "exe": "/usr/bin/env", "exe_inode": EXE.st_ino,
        "exe_foreign_mount": False, "exe_deleted": False, **more}


def told(role, pid, ticks=5, uid=7, inode=None):
    return judge.Witness("kt-1", role, pid, ticks, uid, "8:1", inode or EXE.st_ino)


ASKED = [told("asked", 1)]
SHARED = [told("asked", 1), told("held", 2)]
LEFT = [told("asked", 1), told("leaves", 1), told("held", 2)]
SAID = ["ebpf: connected by pid 1 (thread 1, \"x\"), uid 7"]
JUDGED = {
    "the one that asked": ("exact", process(1), [], [], ASKED, "right"),
    "another": ("exact", process(9), [], [], ASKED, "wrong"),
    "another, with doubt": ("shared", process(9), [process(1)], [], ASKED, "wrong"),
    "another that asked before": ("gone", process(9), [], [], ASKED, "wrong"),
    "its number, used again": ("exact", process(1, ticks=6), [], [], ASKED, "wrong"),
    "another user": ("exact", process(1, uid=8), [], [], ASKED, "wrong"),
    "another executable": ("exact", process(1, exe_inode=1), [], [], ASKED, "wrong"),
    "another's path": ("exact", process(1, exe="/usr/bin/ls"), [], [], ASKED, "wrong"),
    "another's path, called foreign": ("exact", process(1, exe="/usr/bin/ls", exe_foreign_mount=True), [], [], ASKED,
                                       "right"),
    "exact with two": ("exact", process(1), [], [], SHARED, "wrong"),
    "shared with two": ("shared", process(2), [process(2), process(1)], [], SHARED, "doubtful"),
    "shared without the asker": ("shared", process(2), [process(2)], SAID, SHARED, "wrong"),
    "shared without one that has ended": ("shared", process(2), [process(2)], SAID, LEFT, "doubtful"),
    "the same, not even said": ("shared", process(2), [process(2)], [], LEFT, "wrong"),
    "exact without a process": ("exact", None, [], [], ASKED, "wrong"),
    "nobody": ("none", None, [], [], ASKED, "unknown"),
    "a control group": ("cgroup", process(1), [], [], ASKED, "doubtful"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_judge(name):
    grade, named, holders, evidence, witnesses, expected = copy.deepcopy(JUDGED[name])
    row = {"process": named, "holders": holders, "attribution": {"grade": grade, "evidence": evidence}}
    assert judge.judge(row, judge.Truth(witnesses, BOOT))[0] == expected


@pytest.mark.parametrize("grade, exe, expected", [("relay", "/usr/bin/socat", "doubtful"), ("exact", "/usr/bin/socat", "wrong"),
                                                  ("relay", "/usr/bin/curl", "wrong")])
def test_judge_of_relays(grade, exe, expected):
    row = {"process": process(3, exe=exe), "holders": [], "attribution": {"grade": grade, "evidence": []}}
    assert judge.judge(row, judge.Truth(ASKED, BOOT, relay="socat"))[0] == expected


def test_credentials_without_a_row_are_wrong():
    found = list(judge.judge_all([], {"kt-1": [told("asked", 1), told("answered", 1)], "kt-2": [told("asked", 2)]}))
    assert [verdict for _, verdict, _ in found] == ["wrong", "unknown"]
