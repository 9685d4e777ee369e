# SPDX-License-Identifier: Apache-2.0
"""The daemon killed at random moments under load: every key that a client has seen a byte of is in the ledger."""

import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, needs_world

pytestmark = needs_world

CREDENTIALS = int(os.environ.get("KEYTRAIL_CRASH_CREDENTIALS", "500"))
LONGEST_S = 240

# Eight threads fetch credentials over and over and print each key id of which they saw anything.
CLIENT = f"""
import re, socket, sys, threading
wanted, lock, seen = int(sys.argv[1]), threading.Lock(), []

def ask(text):
    answer = b""
    try:
        with socket.create_connection(("{IMDS_V4}", 80), timeout=3) as client:
            client.sendall(text.encode())
            while more := client.recv(65536):
                answer += more
    except OSError:
        pass
    return answer

def work():
    token = ""
    while len(seen) < wanted:
        answer = ask(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{token}}\\r\\n\\r\\n")
        found = re.search(rb'"AccessKeyId" : "([A-Z0-9]{{20}})', answer)
        if found:
            with lock:
                seen.append(found.group(1).decode())
                print(found.group(1).decode(), flush=True)
        elif b" 401 " in answer[:20] or not token:
            answer = ask("PUT /latest/api/token HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TTL_HEADER}: 600\\r\\n\\r\\n")
            token = answer.partition(b"\\r\\n\\r\\n")[2].decode()

threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def keep_rotating(instance, stop):
    """A new key every few milliseconds, so that nearly each request gets another one."""
    while not stop.is_set():
        instance.imds.rotate()
        time.sleep(0.001)


@pytest.mark.parametrize("victim", ["proxy", "witness"])
def test_every_key_that_left_is_recorded(victim):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    wanted = CREDENTIALS // 2
    with Instance() as instance:
        stop = threading.Event()
        rotation = threading.Thread(target=keep_rotating, args=(instance, stop))
        rotation.start()
        kills = 0
        client = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", CLIENT, str(wanted)],
                                      stdout=subprocess.PIPE, user="nobody")
        received = []
        reader = threading.Thread(target=lambda: received.extend(line.strip() for line in client.stdout))
        reader.start()
        try:
            deadline = time.monotonic() + LONGEST_S
            while client.poll() is None and time.monotonic() < deadline:
                time.sleep(chance.uniform(0.01, 0.12))
                os.kill(instance.pid() if victim == "proxy" else instance.witness_pid(), signal.SIGKILL)
                instance.daemon.wait(timeout=10)
                kills += 1
                instance.start()
        finally:
            stop.set()
            rotation.join()
            client.kill()
            reader.join()
        assert instance.stop() == 0
        print(f"{len(received)} credentials received, {len(set(received))} keys, {kills} kills, seed {seed}")
        assert len(received) >= wanted and kills >= 5
        with sqlite3.connect(f"file:{instance.ledger}?mode=ro", uri=True) as db:
            recorded = {key for key, in db.execute("SELECT access_key_id FROM record WHERE access_key_id NOT NULL")}
            assert set(received) - recorded == set(), seed
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            numbers = [seq for seq, in db.execute("SELECT seq FROM record ORDER BY seq")]
            assert numbers == list(range(1, len(numbers) + 1))
            # A key said to be delivered was recorded before it left.
            for subject, body in db.execute("SELECT subject, body FROM record WHERE kind='outcome'"):
                assert json.loads(body)["outcome"] in ("delivered", "aborted")
                assert db.execute("SELECT 1 FROM record WHERE id=? AND kind='delivery'", (subject,)).fetchone()
