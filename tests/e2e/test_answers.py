# SPDX-License-Identifier: Apache-2.0
"""Answers of a metadata service that is faulty or worse: what a client gets, and which keys are written down."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import QUICK_S, Instance, eventually, needs_world
from recorder import PORT, TOKEN, Recorder
from wire import Wire

pytestmark = needs_world
TIMEOUT_MS = 2000
KEY = "ASIARZPUZDIKAAAAAAAA"
DOCUMENT = json.dumps({"Code": "Success", "AccessKeyId": KEY, "SecretAccessKey": "x", "Token": "y"}).encode()


def answer(body, *lines, status="200 OK"):
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(head).encode() + body


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_LENGTH = b"HTTP/1.1 200 OK\r\n\r\n"

# name: (first bytes, bytes that follow again and again, seconds between them, how it ends), status, keys written down
ANSWERS = {
    "never-ending-body": ((NO_LENGTH, b"x" * 65536, 0, "close"), 503, []),
    "never-ending-head": ((b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 999 + b"\r\n", 0, "close"), 503, []),
    "never-ending-chunks": ((CHUNKS, b"1000\r\n" + b"x" * 4096 + b"\r\n", 0, "close"), 503, []),
    "interim-answers-for-ever": ((b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, "close"), 503, []),
    "body-byte-by-byte": ((b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x", 0.05, "close"), 503, []),
    "head-byte-by-byte": ((b"HTTP/1.1 200 OK\r\nA: ", b"x", 0.05, "close"), 503, []),
    "nothing": ((b"", b"", 0, "close"), 503, []),
    "silence": ((b"", b"", 0, "hold"), 503, []),
    "half-an-answer": ((answer(DOCUMENT)[:-1], b"", 0, "close"), 503, []),
    "half-an-answer-and-silence": ((answer(DOCUMENT)[:-1], b"", 0, "hold"), 503, []),
    "half-an-answer-and-reset": ((answer(DOCUMENT)[:-1], b"", 0, "reset"), 503, []),
    "more-than-it-says": ((answer(DOCUMENT) + b"x", b"", 0, "close"), 503, []),
    "two-lengths": ((answer(DOCUMENT, "Content-Length: 1"), b"", 0, "close"), 503, []),
    "too-many-keys": ((answer(b"[" + b",".join([DOCUMENT.replace(b"AAAA", b"%04d" % i) for i in range(9)]) + b"]"),
                       b"", 0, "close"), 503, []),
    "whole-and-reset": ((answer(DOCUMENT), b"", 0, "reset"), 200, [KEY]),
    "whole-and-held-open": ((answer(DOCUMENT), b"", 0, "hold"), 200, [KEY]),
    "in-chunks-of-a-byte": ((CHUNKS + b"".join(b"1\r\n%c\r\n" % byte for byte in DOCUMENT) + b"0\r\n\r\n", b"", 0, "hold"),
                            200, [KEY]),
    "behind-interim-answers": ((b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(DOCUMENT), b"", 0, "close"), 200, [KEY]),
    "until-the-end": ((NO_LENGTH + DOCUMENT, b"", 0, "close"), 200, [KEY]),
    "large": ((answer(b" " * 1000000 + DOCUMENT), b"", 0, "close"), 200, [KEY]),
    "deep": ((answer(b"[" * 100000 + DOCUMENT + b"]" * 100000), b"", 0, "close"), 200, [KEY]),
    "nul-first": ((answer(b"\0" + DOCUMENT), b"", 0, "close"), 200, [KEY]),
    "in-a-404": ((answer(DOCUMENT, status="404 Not Found"), b"", 0, "close"), 404, [KEY]),
    "in-a-203": ((answer(DOCUMENT, status="203 Non-Authoritative"), b"", 0, "close"), 203, [KEY]),
    "in-a-redirect": ((answer(DOCUMENT, "Location: /", status="302 Found"), b"", 0, "close"), 302, [KEY]),
    "in-a-500": ((answer(DOCUMENT, status="500 Internal Server Error"), b"", 0, "close"), 500, [KEY]),
    "unauthorized-for-ever": ((answer(b"no", status="401 Unauthorized"), b"", 0, "close"), 401, []),
}

PROGRAM = r"""
import json, socket, struct, sys, threading, time
port, token, plans = int(sys.argv[1]), sys.argv[2].encode(), json.loads(sys.stdin.readline())
def serve(client):
    with client:
        got = b""
        while b"\r\n\r\n" not in got:
            more = client.recv(65536)
            if not more:
                return
            got += more
        first, again, pause, end = plans.get(got.split(b" ")[1].decode().rsplit("/", 1)[-1], ("", "", 0, "close"))
        if got.startswith(b"PUT "):
            first = (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(token), token)).hex()
        try:
            client.sendall(bytes.fromhex(first))
            while again:
                client.sendall(bytes.fromhex(again))
                time.sleep(pause)
            if end == "hold":
                client.recv(1)
            if end == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
listener = socket.create_server(("169.254.169.254", port))
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""


class Faulty(Instance):
    def __init__(self):
        super().__init__(settings={"upstream": {**Recorder.settings, "timeout_ms": TIMEOUT_MS}})

    def start(self, **how):
        service = self.world.popen("imds", ["/usr/bin/python3", "-I", "-S", "-c", PROGRAM, str(PORT), TOKEN], stdin=-1, stdout=-1)
        plans = {name: (first.hex(), again.hex(), pause, end) for name, ((first, again, pause, end), _, _) in ANSWERS.items()}
        service.stdin.write(json.dumps(plans) + "\n")
        service.stdin.flush()
        assert service.stdout.readline() == "ready\n"
        super().start(**how)


@pytest.fixture(scope="module")
def faulty():
    with Faulty() as running:
        running.wire = Wire(running.world)
        running.given = running.wire.token()
        yield running


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(faulty, name):
    (first, _, _, _), status, keys = ANSWERS[name]
    written = len(faulty.rows("access_key_id IS NOT NULL"))
    got = faulty.wire.get(f"/latest/{name}", faulty.given)
    assert got.status == status and got.seconds < QUICK_S, got
    if status == 503:
        assert got.is_empty_refusal
    elif first.startswith(CHUNKS):
        assert got.body == DOCUMENT
    else:
        assert first.endswith(b"\r\n\r\n" + got.body)
    assert TOKEN.encode() not in got.raw
    rows = faulty.rows("access_key_id IS NOT NULL")[written:]
    assert [(row["access_key_id"], row["outcome"]) for row in rows] == [(key, "delivered") for key in keys]


def test_all_is_well_afterwards(faulty):
    assert faulty.wire.get("/latest/until-the-end", faulty.given).status == 200
    assert faulty.daemon.poll() is None
    assert eventually(lambda: faulty.keytrail("ledger", "verify").returncode == 0)
