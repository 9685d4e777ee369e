# SPDX-License-Identifier: Apache-2.0
"""Secrets that pass through are nowhere afterwards: not in the ledger, its WAL, the journal, the shipped lines, the log, temporary
files, open files, or the memory of either process, taken between requests. But one: the proxy's own live token upstream."""

import contextlib
import hashlib
import json
import pathlib
import re
import sqlite3
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import memory
from agents import EKS_V4
from instance import DEADLINE_S, IMDS_V4, IMDS_V6, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, eventually, needs_world
from test_agents import ON, TASKS, Agents, jwt

pytestmark = needs_world

ROUNDS = 6
UPSTREAM_TOKEN = re.compile(rb"(?=([A-Za-z0-9_=-]{56}))")
ECS_V4 = "169.254.170.2"

# Asks in good and in bad ways, eight at a time, and prints what was handed out, and what it asked with: one a line.
CLIENT = f"""
import json, re, secrets, socket, sys, threading
IMDS = (("{IMDS_V4}", "{IMDS_V4}"), ("{IMDS_V6}", "[{IMDS_V6}]"))
lock = threading.Lock()
rounds, *tasks, pod = sys.stdin.readline().split()

def ask(address, *pieces, keep=True):
    answer = b""
    try:
        with socket.create_connection((address, 80), timeout=20) as client:
            for piece in pieces:
                client.sendall(piece.encode())
            while keep and (more := client.recv(65536)):
                answer += more
    except OSError:
        pass
    return answer.decode("latin-1")

def tell(*texts):
    with lock:
        for text in texts:
            print(text, flush=True)

def documents(answer):
    for name in ("SecretAccessKey", "Token"):
        tell(*re.findall(r'"%s" ?: ?"([^"]*)"' % name, answer))

def work(number):
    address, host = IMDS[number % 2]
    for _ in range(int(rounds)):
        token = ask(address, f"PUT /latest/api/token HTTP/1.1\\r\\nHost: {{host}}\\r\\n{TTL_HEADER}: 600\\r\\n\\r\\n").partition("\\r\\n\\r\\n")[2]
        mark = secrets.token_urlsafe(48)
        tell(token, mark)
        head = f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {{host}}\\r\\n{TOKEN_HEADER}: {{token}}\\r\\n"
        documents(ask(address, head + "\\r\\n"))
        documents(ask(address, head.replace("{ROLE_PATH}web-server", "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance") + "\\r\\n"))
        documents(ask(address, *(byte for byte in head + "\\r\\n")))             # in 300 packets
        ask(address, head + "\\r\\n", keep=False)                               # does not wait for the answer
        ask(address, head, keep=False)                                         # nor end its request
        ask(address, head + f"Authorization: Bearer {{mark}}\\r\\nCookie: {{mark}}\\r\\n\\r\\n")
        ask(address, head + f" {{mark}}\\r\\n\\r\\n")                             # folded
        ask(address, head + "X-Long: " + mark * 200 + "\\r\\n\\r\\n")            # too long
        ask(address, head.replace("GET", "POST") + f"Content-Length: {{len(mark)}}\\r\\n\\r\\n{{mark}}")
        ask(address, head + f"\\r\\nGET / HTTP/1.1\\r\\n{TOKEN_HEADER}: {{mark}}\\r\\n\\r\\n")  # pipelined
        ask(address, head.replace(token, mark + token[:8]) + "\\r\\n")         # garbage
        ask(address, head.replace("GET /", f"GET /{{mark}}/../") + "\\r\\n")    # in a path that is refused
        documents(ask("{ECS_V4}", f"GET /v2/credentials/{{tasks[number % 2]}} HTTP/1.1\\r\\nHost: {ECS_V4}\\r\\n\\r\\n"))
        documents(ask("{EKS_V4}", f"GET /v1/credentials HTTP/1.1\\r\\nHost: {EKS_V4}\\r\\nAuthorization: {{pod}}\\r\\n\\r\\n"))

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def logged_tokens(imds):
    """What upstream was asked with, as the first bytes of digests."""
    lines = [json.loads(line) for line in imds.log_path.read_text().splitlines()]
    return {line["headers"][TOKEN_HEADER.lower()].removeprefix("sha256:") for line in lines
            if TOKEN_HEADER.lower() in line["headers"]}


def upstream_tokens(sources, digests):
    """Each place where one of them is."""
    return [(where, hashlib.sha256(match[1]).hexdigest()[:16]) for where, content in sources
            for match in UPSTREAM_TOKEN.finditer(content) if hashlib.sha256(match[1]).hexdigest()[:16] in digests]


def marks_of(instance, token, pod):
    """A load of all kinds; all that was secret in it."""
    client = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", CLIENT], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, user="nobody")
    client.stdin.write(" ".join([str(ROUNDS), *TASKS, pod]) + "\n")
    client.stdin.flush()
    for _ in range(ROUNDS):  # the token stands on curl's command line, too
        document = json.loads(instance.get(ROLE_PATH + "web-server", token, user="nobody")[2])
        yield from (document["SecretAccessKey"], document["Token"])
        with contextlib.closing(sqlite3.connect(instance.ledger, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")  # so that the journal gets rows
            instance.get(ROLE_PATH + "web-server", token)
        instance.imds.rotate()
    output, _ = client.communicate(timeout=120)
    assert client.returncode == 0
    yield from output.split()


def test_secrets_are_nowhere_afterwards():
    settings = {**ON, "ledger": {"jsonl": "PLACE/shipped.jsonl", "record": "all"}, "imdsv2": {"put_response_hop_limit": 2}}
    instance = Agents(settings, tasks=",".join(TASKS))
    instance.settings["ledger"]["jsonl"] = str(instance.folder / "state" / "shipped.jsonl")
    with instance:
        token, pod = instance.token(ttl=600), jwt("system:serviceaccount:shop:secret")
        marks = [token, pod.split(".")[1], *TASKS, *marks_of(instance, token, pod)]
        stale = logged_tokens(instance.imds)
        instance.imds.expire_tokens()  # the proxy has to take another one
        instance.credentials()
        marks = [mark.removeprefix("IQoJb3JpZ2luX2Vj") for mark in marks if mark]
        assert len(set(marks)) > 100
        assert eventually(lambda: instance.status()["ledger"]["writable"], DEADLINE_S)
        wanted, pids = memory.pieces(marks), (instance.pid(), instance.witness_pid())
        def everywhere():
            yield from memory.files(instance.folder)
            for pid in pids:
                yield from memory.writable(pid)
                yield from memory.open_files(pid)
        for _ in range(4):  # until whoever asked last is gone; what was left behind does not go away by itself
            time.sleep(1)
            hits, looked = memory.find(everywhere(), wanted)
            if not hits:
                break
        print(f"{len(set(marks))} secrets; {looked >> 20} MiB looked at in files and memory: {len(hits)} hits")
        assert looked > 4 << 20
        assert hits == [], "\n".join(map(str, hits[:30]))

        # The one token that the proxy itself asks with is needed for the next request. No earlier one is left.
        digests = logged_tokens(instance.imds)
        found = upstream_tokens(everywhere(), digests)
        assert {digest for _, digest in found} <= digests - stale, found
        assert len(found) == 1 and found[0][0].startswith(f"memory of {pids[0]}"), found


def test_a_search_would_find_them():
    """The same search in a process that has them."""
    holder = subprocess.Popen([sys.executable, "-c", "import sys; text = sys.stdin.readline(); print('ready', flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    holder.stdin.write(f"{secret}\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "ready\n"
    hits, _ = memory.find(memory.writable(holder.pid), memory.pieces([secret[:30]]))
    holder.communicate("\n")
    assert hits
