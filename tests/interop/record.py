# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/clients.jsonl anew: what real clients send, byte for byte, from runs against the simulated metadata
service with a relay in front that keeps each request as it came. Tokens become {token}; of crawlers the first requests only.

    sudo /usr/bin/python3 tests/interop/record.py [CLIENT...]"""

import contextlib
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("interop", "e2e", "world", "support")]

from clients import CLIENTS, WITHOUT_TOKENS  # noqa: E402
from imds import Imds  # noqa: E402
from place import Place, set_stage  # noqa: E402
from test_clients import version, why_not  # noqa: E402
from world import IMDS_V4, IMDS_V6, World  # noqa: E402

KEPT = 12  # requests of a client
BEHIND = 8081

RELAY = r"""
import socket, sys, threading
lock = threading.Lock()
def whole(got):
    head, separator, body = got.partition(b"\r\n\r\n")
    if not separator:
        return False
    low = head.lower()
    if b"expect:" in low:
        return True
    return b"transfer-encoding: chunked" not in low or body.endswith(b"0\r\n\r\n")
def serve(client, address, port):
    with client, socket.create_connection((address, port)) as server:
        got = b""
        while not whole(got):
            more = client.recv(65536)
            if not more:
                return
            got += more
        with lock:
            print(got.hex(), flush=True)
        server.sendall(got)
        while more := server.recv(65536):
            client.sendall(more)
def listen(address, port):
    listener = socket.create_server((address, 80), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, address, port), daemon=True).start()
for address in sys.argv[2:]:
    threading.Thread(target=listen, args=(address, int(sys.argv[1]))).start()
"""


def requests_of(client, stage):
    tokens = "optional" if client in WITHOUT_TOKENS else "required"
    with World() as world, Imds(netns=f"{world.prefix}-imds", tokens=tokens,
                                listen=[f"{IMDS_V4}:{BEHIND}", f"[{IMDS_V6}]:{BEHIND}"]) as imds:
        notes = stage / f"requests-{world.prefix}"
        with notes.open("wb") as output:
            world.popen("imds", ["/usr/bin/python3", "-I", "-S", "-c", RELAY, str(BEHIND), IMDS_V4, IMDS_V6],
                        stdin=subprocess.DEVNULL, stdout=output)
            with contextlib.suppress(ValueError):  # a note of the stand-in for AWS that is not yet whole
                Place(stage, world, imds).run(client)
        return [bytes.fromhex(line) for line in notes.read_text().split()]


def kept(raw):
    """As text, byte for byte: without tokens, and without the kernel of the machine at hand."""
    text = raw.decode("latin-1").replace(platform.release(), "6.1.0")
    return re.sub(r"(?i)(x-aws-ec2-metadata-token: *)AQAEA[\w=-]+", r"\1{token}", text)


def main(stage, names):
    table = ROOT / "tests" / "data" / "clients.jsonl"
    rows = {row["client"]: row for row in map(json.loads, table.read_text().splitlines())} if table.exists() else {}
    for client in CLIENTS:
        if (names and client.name not in names) or why_not(client) is not None:
            continue
        found = [kept(raw) for raw in requests_of(client, stage)]
        print(f"{client.name}: {len(found)}", flush=True)
        rows[client.name] = {"client": client.name, "version": version(client),
                             "requests": list(dict.fromkeys(found))[:KEPT]}
        table.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="keytrail-record-") as folder:
        set_stage(pathlib.Path(folder))
        main(pathlib.Path(folder), sys.argv[1:])
