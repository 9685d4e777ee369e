# SPDX-License-Identifier: Apache-2.0
"""Crowds of connections: whoever makes them, others are served, and what was refused is counted."""

import contextlib
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, eventually, needs_world  # noqa: E402
from watched import Watched  # noqa: E402

LIMIT = 64
CROWD = 300
PATIENCE_S = 4.5  # a request takes some ms; with nothing but a limit it would wait 5 s for each LIMIT of them

# Opens COUNT connections, begins a request on each in the way asked for, says so, and keeps at it: what is closed is
# opened again.
CROWD_PROGRAM = """
import selectors, socket, sys, time
address, count, first, more = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4].encode()
def one():
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex((address, 80))
    return client
clients = [one() for _ in range(count)]
started = time.monotonic()
said = False
while True:
    for i, client in enumerate(clients):
        try:
            if first:
                client.send(more if said else first)
            if client.recv(4096, socket.MSG_DONTWAIT) == b"":
                raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            client.close()
            clients[i] = one()
    if not said and time.monotonic() - started > 0.5:
        print("there", flush=True)
        said = True
    time.sleep(0.5)
"""
KINDS = {"idle": ("", ""), "slow writers": ("GET /latest/ HTTP/1.1\r\nX-Slow: ", "a")}


@contextlib.contextmanager
def crowd(instance, ns, user, kind="idle", count=CROWD):
    argv = [sys.executable, "-I", "-S", "-c", CROWD_PROGRAM, IMDS_V4, str(count), *KINDS[kind]]
    program = instance.world.popen(ns, argv, user=user, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline() == "there\n"
        assert eventually(lambda: instance.values()["keytrail_connections", ""] >= LIMIT // 8)
        yield
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


@pytest.fixture(scope="module")
def instance():
    with Watched(settings={"listen": {"max_connections": LIMIT}, "imdsv2": {"put_response_hop_limit": 2}}) as running:
        yield running


def slowest(instance, times=5, **where):
    longest = 0.0
    for _ in range(times):
        started = time.monotonic()
        assert instance.get("/latest/meta-data/", instance.token(**where), **where)[0] == 200
        longest = max(longest, time.monotonic() - started)
    return longest


def refused(instance, reason):
    return instance.values().get(("keytrail_refusals_total", f'reason="{reason}"'), 0)


@needs_world
@pytest.mark.parametrize("kind", KINDS)
def test_a_user_starves_nobody(instance, kind):
    made_room = refused(instance, "made-room")
    with crowd(instance, "host", "nobody", kind):
        assert slowest(instance, user="root") < PATIENCE_S
        assert slowest(instance, ns="ctr1") < PATIENCE_S
        assert refused(instance, "made-room") > made_room
        assert "crowded reason=" in instance.log.read_text()


@needs_world
@pytest.mark.parametrize("kind", KINDS)
def test_a_container_starves_nobody(instance, kind):
    with crowd(instance, "ctr1", None, kind):
        assert slowest(instance, user="root") < PATIENCE_S
        assert slowest(instance, ns="ctr2") < PATIENCE_S


@needs_world
def test_two_containers_and_a_user_starve_nobody(instance):
    with crowd(instance, "ctr1", None, count=100), crowd(instance, "ctr2", None, count=100), \
            crowd(instance, "host", "nobody", count=100):
        assert slowest(instance, user="root") < PATIENCE_S


@needs_world
def test_connections_are_given_back(instance):
    assert eventually(lambda: instance.values()["keytrail_connections", ""] == 0)
    assert slowest(instance) < PATIENCE_S


@needs_world
def test_the_limit_holds(instance):
    with crowd(instance, "host", "nobody"), crowd(instance, "ctr1", None):
        most = max(instance.values()["keytrail_connections", ""] for _ in range(20))
    assert most <= LIMIT + 4


@needs_world
def test_many_at_once_are_all_served(instance):
    """More requests at a time than there are seats: they wait, and none is refused."""
    token = instance.token()
    argv = ["curl", "-sS", "--no-progress-meter", "-Z", "--parallel-max", "200", "-H", f"X-aws-ec2-metadata-token: {token}", "-w",
            "%{stderr}%{http_code}\n", *[f"http://{IMDS_V4}/latest/meta-data/instance-id?{i}" for i in range(300)]]
    done = instance.world.run("host", argv, timeout=60)
    assert done.stderr.split() == ["200"] * 300
