# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, silent, gone half-way, or many. Others are served meanwhile, and nothing is left behind."""

import os
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from instance import IMDS_V6, TOKEN_HEADER, TTL_HEADER, eventually, needs_world  # noqa: E402
from watched import Watched  # noqa: E402
from wire import Wire, request  # noqa: E402

pytestmark = needs_world
META = "/latest/meta-data/"
REQUEST_TIMEOUT_S = 5  # of the proxy, for a whole request
IDLE = [600, pytest.param(2000, marks=pytest.mark.long)]  # max_connections is 512
IDLE_USER = 60077


@pytest.fixture(scope="module")
def instance():
    with Watched() as running:
        running.wire = Wire(running.world)
        running.session = running.wire.token()
        yield running


def get(instance):
    return request("GET", META + "instance-id", f"{TOKEN_HEADER}: {instance.session}")


def assert_served(instance):
    answer = instance.wire.send(get(instance))
    assert answer.status == 200 and answer.seconds < REQUEST_TIMEOUT_S - 1, answer


def assert_let_go(instance):
    """No connection is being served any more."""
    assert eventually(lambda: instance.value("keytrail_connections") == 0)


# A client without TCP_NODELAY keeps back its second piece until the first is acknowledged.
TWO_PIECES = r"""
import socket, sys, time
head, times = bytes.fromhex(sys.argv[1]), []
for _ in range(60):
    client = socket.create_connection(("169.254.169.254", 80))
    began = time.monotonic()
    client.sendall(head[:40])
    client.sendall(head[40:])
    answer = b""
    while more := client.recv(65536):
        answer += more
    times.append(time.monotonic() - began)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
print(min(times))
"""
DELAYED_ACK_S = 0.040  # Linux's least


def test_a_second_piece_does_not_wait(instance):
    done = instance.bytes_of("host", [sys.executable, "-c", TWO_PIECES, get(instance).hex()])
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.75 * DELAYED_ACK_S


def test_cut_at_each_byte(instance):
    """A request in two packets, wherever the cut is, is the same request."""
    whole = request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    pending = [instance.wire.start((whole[:at], 0.05), whole[at:]) for at in range(1, len(whole))]
    assert {answer.result().status for answer in pending} == {200}


def test_byte_by_byte(instance):
    """As slow as the time that there is for a request allows."""
    whole = get(instance)
    pause = REQUEST_TIMEOUT_S * 0.6 / len(whole)
    pending = instance.wire.start(*((bytes([byte]), pause) for byte in whole))
    assert_served(instance)
    assert pending.result().status == 200


SLOW = {
    "head": (b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n",),
    "silent": (b"",),
    "body": (request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "Content-Length: 5", body=b"ab"),),
    "chunk": (request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "Transfer-Encoding: chunked", body=b"5\r\nab"),),
    "byte-a-second": tuple((bytes([byte]), 1) for byte in b"GET /la"),
}


def test_too_slow(instance):
    """Whatever is not there in time is let go, without an answer and without a reset of others."""
    pending = {name: instance.wire.start(*pieces) for name, pieces in SLOW.items()}
    assert_served(instance)
    for name, answer in ((name, waiting.result()) for name, waiting in pending.items()):
        assert answer.raw == b"" and answer.end in ("eof", "reset"), (name, answer)
        assert REQUEST_TIMEOUT_S - 0.5 < answer.seconds < REQUEST_TIMEOUT_S + 15, (name, answer)
    assert_let_go(instance)


GONE = {
    "probe": ((), "close"),
    "probe-and-reset": ((), "reset"),
    "half-a-head": ((b"GET /latest/meta-data/ HT",), "close"),
    "half-a-head-and-reset": ((b"GET /latest/meta-data/ HT",), "reset"),
    "half-closed-without-a-byte": ((), "half-close"),
    "half-closed-in-the-head": ((b"GET / HTTP/1.1\r\n",), "half-close"),
    "half-closed-in-the-body": ((request("PUT", "/latest/api/token", "Content-Length: 5", body=b"ab"),), "half-close"),
}


@pytest.mark.parametrize("name", GONE)
def test_gone(instance, name):
    """At once, without a row, and without a count as a refusal."""
    refused = instance.value("keytrail_requests_total", 'class="other",result="refused"')
    pieces, then = GONE[name]
    answer = instance.wire.send(*pieces, then=then)
    assert answer.raw == b"" and answer.seconds < REQUEST_TIMEOUT_S - 1, answer
    assert_let_go(instance)
    assert instance.value("keytrail_requests_total", 'class="other",result="refused"') == refused


def test_half_closed_behind_the_request(instance):
    """As netcat does: the answer comes all the same."""
    for address in ("169.254.169.254", IMDS_V6):
        answer = instance.wire.send(get(instance), then="half-close", address=address)
        assert answer.status == 200 and answer.end == "eof", answer


def test_reset_behind_the_request(instance):
    for _ in range(20):
        instance.wire.send(get(instance), then="reset")
    assert_served(instance)
    assert_let_go(instance)


def test_reader_that_does_not_read(instance):
    """The answer waits in the kernel: no worker waits with it."""
    pending = [instance.wire.start(get(instance), then="hold") for _ in range(50)]
    for waiting in pending:
        waiting.result()
    assert_served(instance)
    assert_let_go(instance)
    instance.wire.release()


@pytest.mark.parametrize("count", IDLE)
def test_idle_connections(instance, count):
    """Of one user. Others may have to wait until the silent ones are let go, and are served then; nothing leaks."""
    descriptors = len(os.listdir(f"/proc/{instance.pid()}/fd"))
    idle = Wire(instance.world, user=IDLE_USER)
    pending = [idle.start(then="hold") for _ in range(count)]
    for waiting in pending:
        assert waiting.result(60).end == "closed"
    started = time.monotonic()
    answer = instance.wire.send(get(instance), timeout=60)
    assert answer.status == 200 and answer.end == "eof", answer
    assert time.monotonic() - started < 8 * REQUEST_TIMEOUT_S
    idle.release()
    idle.close()
    assert_let_go(instance)
    assert eventually(lambda: len(os.listdir(f"/proc/{instance.pid()}/fd")) < descriptors + 60)
    assert_served(instance)
