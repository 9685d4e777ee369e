# SPDX-License-Identifier: Apache-2.0
"""A machine with twenty thousand other processes of twenty descriptors each: with eBPF an answer takes what it takes on an empty one,
and where all have to be looked at, its time is bounded, and it is said that not all were.
Only in the long form: other tests' looks through /proc would not come to an end beside it either."""

import collections
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, IMDS_V4, ROLE_PATH, TOKEN_HEADER, Instance, binary, eventually, needs_world

OTHERS = binary("keytraild").parent.parent / "tests" / "attribution_bench"
COUNT, ROUNDS = 20000, 15
LOOK_S = 0.25  # what a look at the descriptors of all may take. Without eBPF there are two
SLACK_S = 0.25  # of everything else, of a busy machine
SETTINGS = {"ebpf": {}, "no ebpf": {"witness": {"ebpf": "off"}}}

pytestmark = [needs_world, pytest.mark.long, pytest.mark.skipif(
    int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()) < COUNT * 1.5, reason="there are not as many process ids")]

# Asks ROUNDS times; says how long each took. `shared`: while a child holds the socket, too.
CLIENT = f"""
import os, signal, socket, sys, time
for _ in range({ROUNDS}):
    started = time.monotonic()
    client = socket.create_connection(("{IMDS_V4}", 80), {DEADLINE_S})
    child = os.fork() if sys.argv[2] == "shared" else None
    if child == 0:
        signal.pause()
    client.sendall(b"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: " + sys.argv[1].encode() + b"\\r\\n\\r\\n")
    answer = b""
    while more := client.recv(65536):
        answer += more
    assert b"AccessKeyId" in answer, answer
    print(time.monotonic() - started)
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


@contextlib.contextmanager
def others(count):
    with subprocess.Popen([str(OTHERS), "others", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "there\n"
            yield
        finally:
            process.stdin.close()
            assert process.wait(DEADLINE_S * 4) == 0


def ask(instance, kind):
    """(median seconds, attributions)"""
    before = len(instance.rows())
    done = instance.world.run("host", [sys.executable, "-I", "-S", "-c", CLIENT, instance.token(), kind], user="nobody")
    assert done.returncode == 0, done.stderr
    rows = instance.rows()[before:]
    assert len(rows) == ROUNDS and {row["outcome"] for row in rows} == {"delivered"}
    return statistics.median(map(float, done.stdout.split())), [json.loads(row["body"])["attribution"] for row in rows]


@pytest.mark.parametrize("name", SETTINGS)
def test_time_is_bounded(name):
    with Instance(SETTINGS[name]) as instance:
        if name == "ebpf" and not eventually(lambda: instance.status()["witness"]["ebpf"] == "on", DEADLINE_S):
            pytest.skip(instance.status()["witness"]["ebpf"])
        alone = {kind: ask(instance, kind)[0] for kind in ("plain", "shared")}
        with others(COUNT):
            for kind in alone:
                took, attributions = ask(instance, kind)
                grades = [said["grade"] for said in attributions]
                print(f"\n{name}, {kind}: median {alone[kind] * 1000:.1f} ms, beside {COUNT} others {took * 1000:.1f} ms,"
                      f" {dict(collections.Counter(grades))}")
                looks = 0 if (name, kind) == ("ebpf", "plain") else 1 if name == "ebpf" else 2
                assert took < alone[kind] + looks * LOOK_S + SLACK_S
                assert looks or set(grades) == {"exact"}
                for said in attributions:
                    assert said["complete"] or (said["grade"] in ("cgroup", "uid", "shared") and
                                                any("not all" in one for one in said["evidence"])), said
        assert ask(instance, "plain")[0] < alone["plain"] + SLACK_S
