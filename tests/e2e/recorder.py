# SPDX-License-Identifier: Apache-2.0
"""A metadata service that keeps what it receives, byte for byte, in place of the simulator's own reading of it."""

import subprocess

from instance import IMDS_V4, IMDS_V6

PORT = 8080
TOKEN = "AQAEA" + "R" * 49 + "=="

# Prints what came, as hexadecimal, before it answers.
PROGRAM = r"""
import socket, sys, threading
port, token = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
def serve(client):
    with client:
        client.settimeout(5)
        got = b""
        while b"\r\n\r\n" not in got:
            more = client.recv(65536)
            if not more:
                return
            got += more
        client.settimeout(0.02)
        try:
            while more := client.recv(65536):
                got += more
        except socket.timeout:
            pass
        with lock:
            sys.stdout.write(got.hex() + "\n")
            sys.stdout.flush()
        body = token if got.startswith(b"PUT ") else "value"
        ttl = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\n"
        client.sendall((f"HTTP/1.1 200 OK\r\n{ttl}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                        "Server: EC2ws\r\nConnection: close\r\n\r\n" + body).encode())
def listen(address):
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()
for address in sys.argv[3:]:
    threading.Thread(target=listen, args=(address,)).start()
"""


class Recorder:
    """Started in a world's `imds`; `settings` make keytraild ask it."""

    settings = {"ipv4": f"{IMDS_V4}:{PORT}", "ipv6": f"[{IMDS_V6}]:{PORT}"}

    def __init__(self, world):
        self.child = world.popen("imds", ["/usr/bin/python3", "-I", "-S", "-c", PROGRAM, str(PORT), TOKEN, IMDS_V4,
                                          IMDS_V6], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def received(self, target):
        """The request for a target, which no other has: the daemon asks for things of its own in between."""
        wanted = f" {target} HTTP/1.1\r\n".encode()
        while line := self.child.stdout.readline():
            got = bytes.fromhex(line)
            if wanted in got:
                return got
        raise AssertionError(f"{target} was not asked for")
