# SPDX-License-Identifier: Apache-2.0
"""Proxy, witness or both are killed at random moments, while real clients fetch credentials: every key that a client has
seen a byte of is in the ledger, what is said to be delivered was received whole, and the chain holds.

KEYTRAIL_CRASH_SEED repeats the choices of a run."""

import collections
import contextlib
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

import supervisor
from instance import DEADLINE_S, IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, binary, eventually, needs_world

pytestmark = needs_world

KILLS, KILLS_LONG = 100, 2000
POWER_CUTS_LONG = 2000
VICTIMS = ("proxy", "witness", "both")
PATIENCE_S = 60  # of clients: they wait in the sockets that the supervisor holds

# Each client prints `got KEY` for a whole answer, `part KEY` for less of one. It ends when its standard input does.
PYTHON = f"""
import re, socket, sys, threading
stop, lock = threading.Event(), threading.Lock()

def ask(text):
    answer = b""
    try:
        with socket.create_connection(("{IMDS_V4}", 80), timeout={PATIENCE_S}) as client:
            client.sendall(text.encode())
            while more := client.recv(65536):
                answer += more
    except OSError:
        pass
    return answer

def work():
    token = ""
    while not stop.is_set():
        answer = ask(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{token}}\\r\\n\\r\\n")
        found = re.search(rb'"AccessKeyId" : "([A-Z0-9]{{20}})', answer)
        head, _, body = answer.partition(b"\\r\\n\\r\\n")
        length = re.search(rb"Content-Length: (\\d+)", head)
        if found:
            with lock:
                print("got" if length and len(body) == int(length[1]) else "part", found[1].decode(), flush=True)
        elif b" 401 " in answer[:20] or not token:
            answer = ask("PUT /latest/api/token HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TTL_HEADER}: 600\\r\\n\\r\\n")
            token = answer.partition(b"\\r\\n\\r\\n")[2].decode()

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
sys.stdin.read()
stop.set()
[thread.join() for thread in threads]
"""

# The curl of AWS's own example.
CURL = f"""
while read -r -t 0.01 _; [ $? -gt 128 ]; do
	token=$(curl -s -m {PATIENCE_S} -X PUT -H '{TTL_HEADER}: 60' http://{IMDS_V4}/latest/api/token) || continue
	word=got
	answer=$(curl -s -m {PATIENCE_S} -H "{TOKEN_HEADER}: $token" http://{IMDS_V4}{ROLE_PATH}web-server) || word=part
	key=$(sed -n 's/.*"AccessKeyId" : "\\(.*\\)".*/\\1/p' <<<"$answer")
	[ -z "$key" ] || echo "$word $key"
done
"""

BOTO = f"""
import select, sys
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import InstanceMetadataFetcher
while not select.select([sys.stdin], [], [], 0)[0]:
    found = InstanceMetadataProvider(InstanceMetadataFetcher(timeout={PATIENCE_S}, num_attempts=1)).load()
    if found:
        print("got", found.access_key, flush=True)
"""


class Clients:
    """All of them at once; what they received, by key."""

    def __init__(self, instance):
        self.whole, self.parts = collections.Counter(), collections.Counter()
        commands = [[sys.executable, "-I", "-S", "-c", PYTHON], ["/bin/bash", "-c", CURL], ["/usr/bin/python3", "-c", BOTO]]
        self.children = [instance.world.popen("host", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                              stderr=subprocess.DEVNULL, user="nobody") for command in commands]
        self.by_client = [0] * len(commands)
        self.readers = [threading.Thread(target=self.read, args=(number, child)) for number, child in enumerate(self.children)]
        for reader in self.readers:
            reader.start()

    def read(self, number, child):
        for line in child.stdout:
            word, key = line.split()
            (self.whole if word == "got" else self.parts)[key] += 1
            self.by_client[number] += 1

    def end(self):
        for child in self.children:
            child.stdin.close()
            child.stdin = None
        for reader in self.readers:
            reader.join(PATIENCE_S + DEADLINE_S)
            assert not reader.is_alive()


class Supervised:
    """The daemon under supervisor.py instead of instance.start()."""

    def __init__(self, instance):
        assert instance.stop() == 0
        self.instance = instance
        self.process = instance.world.popen(
            "host", [sys.executable, "-I", "-S", supervisor.__file__, str(binary("keytraild")), str(instance.config),
                     str(instance.log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.started()

    def started(self):
        word, number = self.process.stdout.readline().split()
        assert word == "started"
        return int(number)

    def witness_pid(self):
        with contextlib.suppress(OSError, IndexError):
            return int(pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def kill(self, victim):
        """True if there was somebody to kill: a witness that is not there yet cannot be."""
        pids = {"proxy": [self.pid], "witness": [self.witness_pid()], "both": [self.pid, self.witness_pid()]}[victim]
        if None in pids:
            return False
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        word, _ = self.process.stdout.readline().split()
        assert word == "ended"
        self.pid = self.started()
        return True

    def end(self):
        assert supervisor.end(self.process) == 0


def keep_rotating(instance, stop):
    """A new key every few milliseconds, so that nearly each request gets another one."""
    while not stop.is_set():
        instance.imds.rotate()
        time.sleep(0.001)


def kill_often(instance, clients, daemon, kills, chance):
    """Some while it starts, most while it serves."""
    done = collections.Counter()
    while done.total() < kills:
        if chance.random() < 0.25:
            time.sleep(chance.uniform(0, 0.1))
        else:
            assert eventually(instance.listens, 30), instance.log.read_text()[-2000:]
            time.sleep(chance.uniform(0.002, 0.15))
        victim = chance.choice(VICTIMS)
        done[victim] += daemon.kill(victim)
    assert eventually(instance.listens, 30)
    time.sleep(0.5)
    return done


def check(instance, clients):
    """What the clients say against what the ledger says."""
    with sqlite3.connect(f"file:{instance.ledger}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows, states = collections.Counter(), collections.Counter()
        for key, outcome in db.execute("SELECT access_key_id, outcome FROM v_deliveries WHERE access_key_id NOT NULL"):
            rows[key] += outcome != "refused"
            states[key, outcome] += 1
        orphans = db.execute("SELECT count(*) FROM record o WHERE o.kind='outcome' AND NOT EXISTS "
                             "(SELECT 1 FROM record d WHERE d.kind='delivery' AND d.id=o.subject)").fetchone()
        assert orphans == (0,)
    received = clients.whole + clients.parts
    assert {key for key, count in received.items() if rows[key] < count} == set()
    # Said to be delivered is only what arrived whole.
    assert {key for (key, outcome), count in states.items() if outcome == "delivered" and count > clients.whole[key]} == set()
    verified = json.loads(instance.keytrail("ledger", "verify", "-o", "json").stdout)
    assert verified["whole"] is True, verified
    totals = collections.Counter()
    for (_, outcome), count in states.items():
        totals[outcome] += count
    return verified["rows"], totals


@pytest.mark.parametrize("kills", [KILLS, pytest.param(KILLS_LONG, marks=pytest.mark.long)])
def test_every_key_that_left_is_recorded(kills):
    seed = int(os.environ.get("KEYTRAIL_CRASH_SEED", random.randrange(1 << 30)))
    with Instance() as instance:
        daemon = Supervised(instance)
        stop = threading.Event()
        rotation = threading.Thread(target=keep_rotating, args=(instance, stop))
        rotation.start()
        clients = Clients(instance)
        try:
            done = kill_often(instance, clients, daemon, kills, random.Random(seed))
            clients.end()
        finally:
            stop.set()
            rotation.join()
        daemon.end()
        rows, states = check(instance, clients)
        print(f"\n{done.total()} kills {dict(done)}, {clients.whole.total()} credentials received whole and "
              f"{clients.parts.total()} in part (Python, curl, boto3: {clients.by_client}), {rows} rows {dict(states)}, seed {seed}")
        assert min(done[victim] for victim in VICTIMS) > 0
        assert min(clients.by_client) > 0 and clients.whole.total() >= kills


@pytest.mark.long
def test_two_thousand_power_cuts():
    program = binary("keytraild").parent.parent / "tests" / "store_powercut_test"
    done = subprocess.run([str(program)], env={**os.environ, "KEYTRAIL_POWER_CUTS": str(POWER_CUTS_LONG)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print("\n".join(line for line in done.stdout.splitlines() if "cuts" in line))
    assert done.returncode == 0, done.stdout[-2000:]
