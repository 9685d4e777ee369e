# SPDX-License-Identifier: Apache-2.0
"""Raw requests from inside a namespace: one process for any number of connections, each with its bytes, its pauses and
its end as the test wants them. No HTTP library stands between a test and what is on the wire."""

import itertools
import json
import re
import subprocess
import threading

from instance import IMDS_V4, TOKEN_HEADER, TTL_HEADER

HOST = {IMDS_V4: "169.254.169.254"}
DATE = rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
CLIENT_TIMEOUT_S = 20.0

# Reads one JSON object a line, answers with one a line, in the order in which connections end.
AGENT = r"""
import json, resource, socket, struct, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
threading.stack_size(262144)
lock = threading.Lock()
held = []
def say(**what):
    with lock:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()
def connect(order):
    family = socket.AF_INET6 if ":" in order["address"] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(order["timeout"])
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect((order["address"], order["port"]))
    return client
def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
def talk(client, order):
    for text, pause in order["pieces"]:
        client.sendall(bytes.fromhex(text))
        time.sleep(pause)
    if order["then"] == "half-close":
        client.shutdown(socket.SHUT_WR)
def read(client, order):
    answer = b""
    until = time.monotonic() + order["timeout"]
    while True:
        client.settimeout(max(0.001, until - time.monotonic()))
        more = client.recv(65536)
        if not more:
            return answer, "eof"
        answer += more
        order["got"] = answer
def serve(order):
    began = time.monotonic()
    answer, end = b"", "closed"
    try:
        client = connect(order)
        port = client.getsockname()[1]
        try:
            talk(client, order)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it may have been answered before all was sent
        if order["then"] == "reset":
            reset(client)
        elif order["then"] == "hold":
            with lock:
                held.append(client)
        elif order["then"] != "close":
            answer, end = read(client, order)
    except ConnectionResetError:
        answer, end = order.get("got", b""), "reset"
    except socket.timeout:
        answer, end = order.get("got", b""), "timeout"
    except OSError as problem:
        end = type(problem).__name__
    if order["then"] not in ("reset", "hold") and "client" in locals():
        client.close()
    say(id=order["id"], answer=answer.hex(), end=end, seconds=time.monotonic() - began)
def hops(order):
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    sniffer.settimeout(2)
    order["then"], seen = "read", []
    client = connect(order)
    port = client.getsockname()[1]
    talk(client, order)
    answer, end = read(client, order)
    client.close()
    sniffer.setblocking(False)
    try:
        while True:
            packet, sender = sniffer.recvfrom(65536)
            if sender[2] == socket.PACKET_OUTGOING or sender[1] not in (0x0800, 0x86dd):
                continue
            is_v4 = sender[1] == 0x0800
            start = (packet[0] & 15) * 4 if is_v4 else 40
            total = struct.unpack("!H", packet[2:4])[0] if is_v4 else 40 + struct.unpack("!H", packet[4:6])[0]
            tcp = packet[start:total]
            if packet[9 if is_v4 else 6] != socket.IPPROTO_TCP or struct.unpack("!H", tcp[2:4])[0] != port:
                continue
            if len(tcp) > (tcp[12] >> 4) * 4:
                seen.append(packet[8 if is_v4 else 7])
    except BlockingIOError:
        pass
    say(id=order["id"], answer=answer.hex(), end=end, seconds=0, hops=seen)
for line in sys.stdin:
    order = json.loads(line)
    if order["then"] == "release":
        with lock:
            for client in held:
                client.close()
            held.clear()
        say(id=order["id"], answer="", end="closed", seconds=0)
        continue
    threading.Thread(target=hops if order["then"] == "hops" else serve, args=(order,), daemon=True).start()
"""


class Answer:
    """What came back: `raw`, and how it ended: eof, reset, timeout, or the name of an error."""

    def __init__(self, raw, end, seconds, hops=()):
        self.raw, self.end, self.seconds, self.hops = raw, end, seconds, list(hops)
        self.head, separator, self.body = raw.partition(b"\r\n\r\n")
        self.line, *lines = self.head.decode("latin-1").split("\r\n")
        self.headers = [tuple(line.split(": ", 1)) for line in lines]
        self.status = int(self.line.split(" ")[1]) if separator else None

    def __getitem__(self, name):
        """A header's value by its name in any case; None: there is none. Two of one name are an error."""
        found = [value for other, value in self.headers if other.lower() == name.lower()]
        assert len(found) < 2, self.raw
        return found[0] if found else None

    @property
    def is_empty_refusal(self):
        return (self.body == b"" and self["content-length"] == "0" and self["connection"] == "close" and
                self["server"] == "EC2ws" and self.end == "eof")

    def __repr__(self):
        return f"<{self.end} after {self.seconds:.3f} s: {self.raw[:400]!r}>"


class Pending:
    def __init__(self, pieces):
        self.pieces = pieces
        self.done = threading.Event()
        self.answer = None

    def result(self, timeout_s=30):
        assert self.done.wait(timeout_s), self.pieces
        return self.answer


class Wire:
    """Requests from a namespace and, if given, a user of the world. Close it, or let the world do so."""

    def __init__(self, world, ns="host", user=None):
        self.child = world.popen(ns, ["/usr/bin/python3", "-I", "-S", "-c", AGENT], user=user, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        self.numbers = itertools.count()
        self.waiting = {}
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self):
        return self.child.pid

    def _read(self):
        for line in self.child.stdout:
            got = json.loads(line)
            pending = self.waiting.pop(got["id"])
            pending.answer = Answer(bytes.fromhex(got["answer"]), got["end"], got["seconds"], got.get("hops", ()))
            pending.done.set()

    def start(self, *pieces, address=IMDS_V4, port=80, then="read", timeout=CLIENT_TIMEOUT_S):
        """`pieces` are bytes, or (bytes, seconds to wait behind them). `then`: read, half-close, close, reset, hold (until
        release), hops (and say what times to live the answer's packets had)."""
        pieces = [piece if isinstance(piece, tuple) else (piece, 0) for piece in pieces]
        pending = Pending(pieces)
        number = next(self.numbers)
        self.waiting[number] = pending
        order = {"id": number, "pieces": [(data.hex(), pause) for data, pause in pieces], "address": address,
                 "port": port, "then": then, "timeout": timeout}
        self.child.stdin.write(json.dumps(order) + "\n")
        self.child.stdin.flush()
        return pending

    def send(self, *pieces, **how):
        return self.start(*pieces, **how).result()

    def release(self):
        self.send(then="release")

    def put(self, ttl=21600, *headers, path="/latest/api/token", **how):
        lines = headers if ttl is None else (f"{TTL_HEADER}: {ttl}", *headers)
        return self.send(request("PUT", path, *lines), **how)

    def token(self, ttl=21600, **how):
        answer = self.put(ttl, **how)
        assert answer.status == 200, answer
        return answer.body.decode()

    def get(self, path, token=None, *headers, method="GET", **how):
        lines = headers if token is None else (f"{TOKEN_HEADER}: {token}", *headers)
        return self.send(request(method, path, *lines), **how)

    def close(self):
        self.child.stdin.close()
        self.child.wait(timeout=60)


def request(method, path, *headers, version="HTTP/1.1", host="169.254.169.254", body=b""):
    lines = [f"{method} {path} {version}", *([f"Host: {host}"] if host is not None else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def steady(raw, is_token=False):
    """An answer without what differs from one to the next: dates, and a token's remaining seconds (and the token)."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nDate: " + DATE, rb"\r\nDate: DATE", head)
    head = re.sub(rb"(?i)(\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds): \d+", rb"\1: TTL", head)
    if is_token:
        body = re.sub(rb"^AQAEA[A-Za-z0-9_-]{49}==$", b"TOKEN", body)
    return head + separator + body
