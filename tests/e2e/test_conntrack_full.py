# SPDX-License-Identifier: Apache-2.0
"""conntrack's table has no room: what clients see, what is recorded, and that all is well as soon as there is room again."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fill_conntrack
from instance import DEADLINE_S, IMDS_V4, QUICK_S, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, needs_world
from watched import Watched

pytestmark = [needs_world, pytest.mark.skipif(fill_conntrack.missing() is not None, reason=str(fill_conntrack.missing()))]
KEYS = ROLE_PATH + "web-server"
TIMEOUT_MS = 1500
SILENCE_S = 1
OTHER = "172.30.0.1"  # of the host, on its bridge

# Connects, says so, and asks what it is given when its standard input ends.
CLIENT = f"""
import socket, sys
client = socket.create_connection(("{IMDS_V4}", 80), {DEADLINE_S})
print("there", flush=True)
client.sendall(sys.stdin.buffer.read())
while more := client.recv(65536):
    sys.stdout.buffer.write(more)
"""


class Waiting:
    """A client whose connection is older than the lack of room."""

    def __init__(self, instance, ns):
        self.child = instance.world.popen(ns, [sys.executable, "-I", "-S", "-c", CLIENT], user="nobody", stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE)
        assert self.child.stdout.readline() == "there\n"

    def ask(self, method, path, header):
        """(status, seconds)"""
        started = time.monotonic()
        answer, _ = self.child.communicate(f"{method} {path} HTTP/1.1\r\nHost: {IMDS_V4}\r\n{header}\r\n\r\n", DEADLINE_S)
        return int(answer.split()[1]), time.monotonic() - started


class Full:
    """An instance without room."""

    def __init__(self, instance):
        self.instance = instance
        self.tokens = {ns: instance.token(ttl=600, ns=ns) for ns in ("host", "ctr1")}
        instance.credentials()  # from here on it holds a token of the service's
        instance.world.serve("host", "agent", OTHER, 80)
        self.fill("bulk")
        self.fill("rest")

    def fill(self, part, what="fill"):
        self.instance.world.run("host", ["/usr/bin/python3", "-I", "-S", fill_conntrack.__file__, what, part], check=True)

    def waiting(self, ns):
        """A client that connected while there was room."""
        self.fill("rest", "empty")
        client = Waiting(self.instance, ns)
        self.fill("rest")
        return client

    def netns(self, ns):
        return os.stat(self.instance.world.path(ns)).st_ino


@pytest.fixture(scope="module")
def full():
    with Watched(settings={"upstream": {"timeout_ms": TIMEOUT_MS}, "imdsv2": {"put_response_hop_limit": 2}}) as instance:
        yield Full(instance)


PLACES = pytest.mark.parametrize("ns", ("host", "ctr1"))


@PLACES
def test_whoever_comes_new_meets_silence(full, ns):
    """As at any other address: here a server of the host's own."""
    instance = full.instance
    before = len(instance.rows())
    done = instance.curl("-m", str(SILENCE_S), ns=ns, path="/latest/meta-data/")
    assert (done.returncode, done.stdout) == (28, ""), done.stderr
    other = instance.curl("-m", str(SILENCE_S), ns=ns, address=OTHER, path="/")
    assert (other.returncode, other.stdout) == (28, ""), other.stderr
    assert len(instance.rows()) == before


@PLACES
def test_who_is_connected_gets_a_token(full, ns):
    status, seconds = full.waiting(ns).ask("PUT", "/latest/api/token", f"{TTL_HEADER}: 60")
    assert status == 200 and seconds < QUICK_S


@PLACES
def test_who_is_connected_is_told_that_there_is_no_answer(full, ns):
    """The connection to the metadata service is a new one. Who asked is known all the same."""
    status, seconds = full.waiting(ns).ask("GET", KEYS, f"{TOKEN_HEADER}: {full.tokens[ns]}")
    assert status == 503 and seconds < TIMEOUT_MS / 1000 + QUICK_S
    row = full.instance.row(f"path = '{KEYS}' AND outcome = 'refused' AND client_netns = {full.netns(ns)}")
    assert (row["reason"], row["grade"], row["user"]) == ("upstream", "exact", "nobody"), row


def test_status_says_so(full):
    assert not full.instance.status()["upstream"]["reachable"]


def test_all_is_well_as_soon_as_there_is_room(full):
    """The last one."""
    instance = full.instance
    full.fill("rest", "empty")
    for ns in ("host", "ctr1"):
        key = instance.credentials(ns=ns, user="nobody")["AccessKeyId"]
        row = instance.row(f"access_key_id = '{key}' AND client_netns = {full.netns(ns)} AND user = 'nobody'")
        assert (row["outcome"], row["grade"]) == ("delivered", "exact"), row
    assert instance.status()["upstream"]["reachable"]
