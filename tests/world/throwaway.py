# SPDX-License-Identifier: Apache-2.0
"""Throw-away servers and clients for tests in a world. Every answer is one line of JSON.

    throwaway.py imds                         metadata service: says who asked
    throwaway.py agent ADDRESS PORT           a credential agent: says who asked
    throwaway.py proxy [PORT]                 the proxy: says where the connection was going
    throwaway.py get ADDRESS PORT [--mark N]  one connection; prints the answer, or the error and how long it took
    throwaway.py hold ADDRESS PORT [--mark N] connects, says so, and sends its request for each line on stdin
    throwaway.py loop ADDRESS PORT --for N    one connection after the other for N seconds; prints how many, and the errors
    throwaway.py datagram ADDRESS PORT        one UDP packet; prints the answer or the error
"""

import errno
import json
import socket
import struct
import sys
import threading
import time

IMDS = (("169.254.169.254", 80), ("fd00:ec2::254", 80))
SO_ORIGINAL_DST = IP6T_SO_ORIGINAL_DST = 80
SO_MARK = 36
CLIENT_TIMEOUT_S = 10.0
REQUEST = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(address, port):
    listener = socket.socket(family_of(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # IP_FREEBIND: the redirect may put the address on lo later than this starts.
    listener.setsockopt(socket.IPPROTO_IP, 15, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


def original_destination(connection):
    if connection.family == socket.AF_INET:
        raw = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        return [socket.inet_ntop(socket.AF_INET, raw[4:8]), struct.unpack("!H", raw[2:4])[0]]
    raw = connection.getsockopt(socket.IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, 28)
    return [socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]]


def answer_imds(connection):
    return {"who": "imds", "peer": connection.getpeername()[0]}


def answer_agent(connection):
    return {"who": "agent", "peer": connection.getpeername()[0]}


def answer_proxy(connection):
    try:
        original = original_destination(connection)
    except OSError as error:
        original = errno.errorcode[error.errno]
    return {"who": "proxy", "peer": connection.getpeername()[0], "local": list(connection.getsockname()[:2]),
            "original": original}


def talk(connection, answer):
    with connection:
        try:
            while connection.recv(4096):
                connection.sendall(json.dumps(answer(connection)).encode() + b"\n")
        except OSError:
            pass


def accept_for_ever(listener, answer):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=talk, args=(connection, answer), daemon=True).start()


def serve(addresses, answer):
    listeners = [listen(*address) for address in addresses]
    threads = [threading.Thread(target=accept_for_ever, args=(listener, answer)) for listener in listeners]
    for thread in threads:
        thread.start()
    print("ready", flush=True)


def connect(address, port, mark):
    client = socket.socket(family_of(address), socket.SOCK_STREAM)
    client.settimeout(CLIENT_TIMEOUT_S)
    if mark:
        client.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    client.connect((address, port))
    return client


def exchange(client):
    client.sendall(REQUEST)
    return json.loads(client.makefile().readline())


def attempt(action):
    """Prints what action returned, or its error with the seconds that it took."""
    began = time.monotonic()
    try:
        result = action()
    except (OSError, ValueError) as error:
        name = errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)
        result = {"error": name}
    result["seconds"] = round(time.monotonic() - began, 3)
    print(json.dumps(result), flush=True)


def get(address, port, mark):
    attempt(lambda: exchange(connect(address, port, mark)))


def hold(address, port, mark):
    client = connect(address, port, mark)
    print("ready", flush=True)
    for _ in sys.stdin:
        attempt(lambda: exchange(client))


def loop(address, port, seconds):
    answers, errors = 0, []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with connect(address, port, 0) as client:
                answers += exchange(client)["who"] == "proxy"
        except (OSError, ValueError) as error:
            errors.append(repr(error))
        time.sleep(0.002)
    print(json.dumps({"answers": answers, "errors": errors}))


def datagram(address, port, _):
    def ask():
        client = socket.socket(family_of(address), socket.SOCK_DGRAM)
        client.settimeout(CLIENT_TIMEOUT_S)
        client.connect((address, port))
        client.send(b"?")
        return {"answer": client.recv(100).decode()}
    attempt(ask)


def main(arguments):
    extra = 0
    if len(arguments) > 2 and arguments[-2] in ("--mark", "--for"):
        extra = int(arguments[-1], 0)
        del arguments[-2:]
    what, rest = arguments[0], arguments[1:]
    if what == "imds":
        serve(IMDS, answer_imds)
    elif what == "agent":
        serve([(rest[0], int(rest[1]))], answer_agent)
    elif what == "proxy":
        port = int(rest[0]) if rest else 8775
        serve([(a, port) for a in ("127.0.0.1", "::1", "169.254.77.77", "fd6b:6579:7472:6c::77")], answer_proxy)
    else:
        {"get": get, "hold": hold, "loop": loop, "datagram": datagram}[what](rest[0], int(rest[1]), extra)


if __name__ == "__main__":
    main(sys.argv[1:])
