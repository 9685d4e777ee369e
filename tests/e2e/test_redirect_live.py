# SPDX-License-Identifier: Apache-2.0
"""The redirect under way: rules that others flush or reorder, up and down, while clients with real tokens ask all the time."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from instance import (IMDS_V4, IMDS_V6, REDIRECT, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, eventually, needs_world,
                      parse)

pytestmark = needs_world

# Asks until its standard input ends: `kept` with one token as long as it is taken, `fresh` with a new one each time. Prints
# [when it began, when it ended, what came] of each attempt, on the clock that all processes of the machine share.
CLIENT = f"""
import http.client, json, select, sys, time
kind, address = sys.argv[1:3]
token, seen = None, []
def ask(method, path, headers):
    connection = http.client.HTTPConnection(address, 80, timeout=3)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
print("asking", flush=True)
while not select.select([sys.stdin], [], [], 0.005)[0]:
    began = time.monotonic()
    try:
        if token is None or kind == "fresh":
            status, body = ask("PUT", "/latest/api/token", {{"{TTL_HEADER}": "300"}})
            token = body.decode() if status == 200 else None
        if token is not None:
            status, body = ask("GET", "{ROLE_PATH}web-server", {{"{TOKEN_HEADER}": token}})
        if status == 401:
            token = None
        came = status if status != 200 or b"AccessKeyId" in body else "cut"
    except (OSError, http.client.HTTPException) as problem:
        came = type(problem).__name__
    seen.append([began, time.monotonic(), came])
print(json.dumps(seen))
"""

BOTO = """
import json, select, sys, time
import botocore.session
from botocore.utils import InstanceMetadataFetcher
seen = []
print("asking", flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    found = InstanceMetadataFetcher(timeout=3, num_attempts=3).retrieve_iam_role_credentials()
    seen.append([began, time.monotonic(), 200 if found.get("access_key") else "none"])
print(json.dumps(seen))
"""


class Asking:
    """Clients that ask all the time; ended(): {name: attempts}."""

    def __init__(self, instance, **clients):
        self.running = {}
        for name, (ns, argv) in clients.items():
            child = instance.world.popen(ns, ["/usr/bin/python3", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         user="nobody")
            self.running[name] = child
        for child in self.running.values():
            assert child.stdout.readline() == "asking\n"

    def ended(self):
        return {name: json.loads(child.communicate("\n", timeout=60)[0]) for name, child in self.running.items()}


def client(kind, address=IMDS_V4, ns="host"):
    return ns, ["-I", "-S", "-c", CLIENT, kind, address]


def came(attempts, since=0.0, until=float("inf")):
    """What came of those that began at or after `since` and ended before `until`."""
    return [what for began, ended, what in attempts if began >= since and ended < until]


def redirect(instance, *words, env=None):
    return instance.world.run("host", [str(REDIRECT), "-c", str(instance.config), *words], timeout=60, env=env)


HOP_2 = {"imdsv2": {"put_response_hop_limit": 2}, "upstream": {"timeout_ms": 10000}}
STALL_MS = 3000  # an answer on its way: longer than `repair` takes on a busy machine

# What others do to the rules: commands, whether requests go on unharmed even before `repair`.
DISTURBANCES = {
    "filter flushed": (["iptables -F", "ip6tables -F"], True),
    "nat flushed": (["iptables -t nat -F", "ip6tables -t nat -F"], False),
    "everything flushed": (["nft flush ruleset"], False),
    "accepted ahead in filter": ([f"iptables -I OUTPUT 1 -d {IMDS_V4} -j ACCEPT", "iptables -I FORWARD 1 -j ACCEPT",
                                  "iptables -I INPUT 1 -j ACCEPT"], True),
    "returned ahead in nat": ([f"iptables -t nat -I OUTPUT 1 -d {IMDS_V4} -j RETURN",
                               f"ip6tables -t nat -I OUTPUT 1 -d {IMDS_V6} -j RETURN",
                               f"iptables -t nat -I PREROUTING 1 -d {IMDS_V4} -j RETURN"], False),
    "accepted ahead in nat": ([f"iptables -t nat -I OUTPUT 1 -d {IMDS_V4} -j ACCEPT",
                               "iptables -t nat -I PREROUTING 1 -p tcp -j ACCEPT"], False),
}


@pytest.mark.parametrize("name", DISTURBANCES)
def test_repair_mends_what_others_do_and_fails_no_request(name):
    """No request fails that begins once `repair` is done, none that was on its way through before, and none at all where
    the rules that are left carry it."""
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    commands, is_harmless = DISTURBANCES[name]
    with Instance(settings=HOP_2) as instance:
        token = instance.token(ttl=300)
        instance.imds.set("stall-get-ms", STALL_MS)
        sent = time.monotonic()
        downloads = [instance.world.popen(ns, ["curl", "-s", "-m", "20", "-i", "-H", f"{TOKEN_HEADER}: {use}",
                                               f"http://{host}{ROLE_PATH}web-server"], stdout=subprocess.PIPE)
                     for ns, host, use in (("host", IMDS_V4, token), ("host", f"[{IMDS_V6}]", token),
                                           ("ctr1", IMDS_V4, instance.token(ttl=300, ns="ctr1")))]
        eventually(lambda: instance.imds.counters()["connections"] >= 4)
        instance.imds.set("stall-get-ms", 0)
        asking = Asking(instance, host=client("fresh"), v6=client("fresh", IMDS_V6), container=client("fresh", ns="ctr1"))
        time.sleep(0.3)
        disturbed = time.monotonic()
        for command in commands:
            instance.world.run("host", command.split(), check=True)
        done = redirect(instance, "repair")
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
        mended = time.monotonic()
        time.sleep(4 if name == "everything flushed" else 1.5)  # some wait for an answer that was lost, 3 s
        assert redirect(instance, "check").returncode == 0
        for download in downloads:
            text = download.communicate(timeout=60)[0]
            # NAT itself is gone between `nft flush ruleset` and `repair`: what would have arrived then is lost.
            if name == "everything flushed" and mended - sent > STALL_MS / 1000:
                continue
            assert " 200 " in text.splitlines()[0] and "AccessKeyId" in text, text
        for who, attempts in asking.ended().items():
            assert len(came(attempts, mended)) > 0, who
            for one in (came(attempts, 0, disturbed), came(attempts, mended)) + ((came(attempts),) if is_harmless else ()):
                assert set(one) <= {200}, (who, one)
        # What went round the proxy in between did so for no longer than that.
        before = len(instance.rows("access_key_id IS NOT NULL"))
        instance.credentials()
        assert eventually(lambda: len(instance.rows("access_key_id IS NOT NULL")) == before + 1)


def test_up_and_down_with_clients_that_hold_tokens():
    """Before `up` clients hold the service's own tokens: 401 from the proxy, and a new one. After `down` they hold ours: 401
    from the service. Nobody is left hanging, and boto3 as it is notices at most the moment of the change."""
    with Instance(settings=HOP_2, redirect=False) as instance:
        instance.world.run("host", ["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "172.30.0.0/24", "-o", "eth0", "-j",
                                    "MASQUERADE"], check=True)
        instance.imds.set("hop-limit", 2)
        asking = Asking(instance, kept=client("kept"), v6=client("kept", IMDS_V6), fresh=client("fresh"),
                        container=client("kept", ns="ctr1"), boto=("host", ["-c", BOTO]))
        changes = [0.0]
        for verb in ("up", "down", "up", "down"):
            time.sleep(1.5)
            began = time.monotonic()
            assert redirect(instance, verb).returncode == 0
            changes += [began, time.monotonic()]
        time.sleep(1)
        changes.append(float("inf"))
        attempts = asking.ended()
        rows = instance.rows("access_key_id IS NOT NULL")
    steady = list(zip(changes[::2], changes[1::2]))
    for who, of_one in attempts.items():
        for number, (since, until) in enumerate(steady):
            during = came(of_one, since, until)
            # One 401 for a token of the other side, unless it fell into the change itself.
            refused = [what for what in during if what != 200]
            assert during.count(200) > 0, (who, number, during)
            assert refused in ([], [401]) and (number > 0 or not refused), (who, number, during)
            assert not refused or during[0] == 401, (who, number, during)
        quick = max(ended - began for began, ended, _ in of_one)
        assert quick < 3, (who, quick)
    for who in ("kept", "v6", "container"):
        assert came(attempts[who]).count(401) >= 3, who
    assert {row["user"] for row in rows} >= {"nobody"}


def test_an_up_that_is_killed_is_no_harm():
    """Whenever it ends, `down` leaves nothing behind and the service is reached; another `up` makes it whole."""
    with Instance() as instance:
        assert redirect(instance, "down").returncode == 0
        clean = rules_of(instance)
        for delay in (0.1, 0.3):
            for verb in ("up", "down"):
                if verb == "down":
                    assert redirect(instance, "up").returncode == 0
                child = instance.world.popen("host", [str(REDIRECT), "-c", str(instance.config), verb],
                                             stderr=subprocess.DEVNULL)
                time.sleep(delay)
                child.send_signal(signal.SIGKILL)
                child.wait(timeout=60)
                done = redirect(instance, "down")
                assert done.returncode == 0, done.stderr
                assert rules_of(instance) == clean, (verb, delay)
        token = parse(instance.curl("-X", "PUT", "-H", f"{TTL_HEADER}: 60", path="/latest/api/token"))[2]
        assert instance.get("/latest/meta-data/", token)[0] == 200
        assert token != "" and len(instance.rows()) == 0  # nobody was asked but the service itself
        assert redirect(instance, "up").returncode == 0
        assert redirect(instance, "check").returncode == 0
        assert instance.credentials()["AccessKeyId"]


def rules_of(instance):
    """Rules and chains without counters, and addresses of lo. Empty tables are no rules: a killed run cannot remove them."""
    text = "".join(instance.world.run("host", [tool]).stdout for tool in
                   ("iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"))
    lines = [line for line in text.splitlines() if line.startswith("-") or re.match(r":\S+ -", line)]
    return lines + [instance.world.run("host", ["ip", "-o", "address", "show", "dev", "lo"]).stdout]


def test_down_at_the_same_time_as_up_ends_in_one_of_both():
    """Runs wait for one another: never a half of each."""
    with Instance() as instance:
        runs = [instance.world.popen("host", [str(REDIRECT), "-c", str(instance.config), verb], stderr=subprocess.PIPE)
                for verb in ("up", "down", "repair", "down")]
        for run in runs:
            _, complaint = run.communicate(timeout=60)
            assert run.returncode == 0, complaint
        done = redirect(instance, "check")
        assert done.stdout in ("", "the redirect is not up: none of its rules is loaded\n")


# Connects from a port of its own, straight to the service while nothing redirects; says what comes once something does (a
# line on standard input), and what a new connection from the same port gets.
SAME_PORT = f"""
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
def opened():
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.settimeout(5)
    one.bind(("", port))
    one.connect((address, 80))
    return one
def asked(one):
    try:
        one.sendall(b"PUT /latest/api/token HTTP/1.1\\r\\nHost: x\\r\\n{TTL_HEADER}: 60\\r\\n\\r\\n".replace(b"x", address.encode()))
        return one.recv(15)[9:12].decode() or "closed"
    except OSError as problem:
        return type(problem).__name__
one = opened()
print("connected", flush=True)
sys.stdin.readline()
print(asked(one), flush=True)
one.close()
try:
    print(asked(opened()), flush=True)
except OSError as problem:
    print(type(problem).__name__, flush=True)
"""


@pytest.mark.parametrize("verb", ["up", "repair"])
def test_a_port_that_went_straight_before_is_redirected_after(verb):
    """The kernel remembers a connection that went straight, and would take the next one from its port the same way: the rules
    reset it. It is forgotten; upstream's own connections are not, and answers on their way arrive in spite of INPUT's policy."""
    if shutil.which("conntrack") is None:
        pytest.skip("conntrack is not installed")
    with Instance(settings=HOP_2, redirect=False) as instance:
        for command in ("iptables -t nat -A POSTROUTING -s 172.30.0.0/24 -o eth0 -j MASQUERADE", "iptables -P INPUT DROP",
                        "ip6tables -t nat -A POSTROUTING -o eth9 -j MASQUERADE", "iptables -A INPUT -i lo -j ACCEPT",
                        "iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"):
            instance.world.run("host", command.split(), check=True)
        downloads = []
        if verb == "repair":  # what went through the proxy before goes on
            assert redirect(instance, "up").returncode == 0
            token = instance.token(ttl=300)
            instance.imds.set("stall-get-ms", 2 * STALL_MS)
            before = instance.imds.counters()["connections"]
            downloads = [instance.world.popen("host", ["curl", "-s", "-m", "20", "-H", f"{TOKEN_HEADER}: {token}",
                                                       f"http://{host}{ROLE_PATH}web-server"], stdout=subprocess.PIPE)
                         for host in (IMDS_V4, f"[{IMDS_V6}]")]
            assert eventually(lambda: instance.imds.counters()["connections"] >= before + len(downloads))
            for command in ("iptables -t nat -F KEYTRAIL-OUT", "iptables -t nat -F KEYTRAIL-PRE", "iptables -F KEYTRAIL-LOC",
                            "iptables -F KEYTRAIL-FWD", "ip6tables -t nat -F KEYTRAIL-OUT", "ip6tables -F KEYTRAIL-LOC"):
                instance.world.run("host", command.split(), check=True)
        clients = {where: instance.world.popen(ns, ["/usr/bin/python3", "-I", "-S", "-c", SAME_PORT, address, port], user="nobody",
                                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                   for where, ns, address, port in (("host", "host", IMDS_V4, "45001"), ("v6", "host", IMDS_V6, "45002"),
                                                    ("container", "ctr1", IMDS_V4, "45003"))}
        for where, child in clients.items():
            assert child.stdout.readline() == "connected\n", where
        done = redirect(instance, verb)
        assert done.returncode == 0, done.stderr
        for where, child in clients.items():
            said = child.communicate("\n", timeout=60)[0].split()
            assert said in (["ConnectionResetError", "200"], ["closed", "200"]), (where, said)
        for download in downloads:
            text = download.communicate(timeout=60)[0]
            assert "AccessKeyId" in text, text


def test_a_connection_made_while_others_are_forgotten_is_not():
    """Upstream's connections that begin while the kernel still lists what it remembers are in that list, and stay."""
    if shutil.which("conntrack") is None:
        pytest.skip("conntrack is not installed")
    with Instance(settings=HOP_2) as instance:
        for command in ("iptables -P INPUT DROP", "iptables -A INPUT -i lo -j ACCEPT",
                        "iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"):
            instance.world.run("host", command.split(), check=True)
        tools = instance.folder / "tools"
        tools.mkdir()
        (tools / "conntrack").write_text(
            '#!/bin/sh\n[ "$1 $3" != "-L ipv4" ] || { touch "$0.lists"; while [ ! -e "$0.go" ]; do sleep 0.1; done; }\n'
            f'exec {shutil.which("conntrack")} "$@"\n')
        (tools / "conntrack").chmod(0o755)
        token = instance.token(ttl=300)
        repair = instance.world.popen("host", [str(REDIRECT), "-c", str(instance.config), "repair"],
                                      env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
        assert eventually((tools / "conntrack.lists").exists)
        time.sleep(0.5)  # for whatever else is asked at the same time
        instance.imds.set("stall-get-ms", STALL_MS)
        before = instance.imds.counters()["connections"]
        download = instance.world.popen("host", ["curl", "-s", "-m", "20", "-H", f"{TOKEN_HEADER}: {token}",
                                                 f"http://{IMDS_V4}{ROLE_PATH}web-server"], stdout=subprocess.PIPE)
        assert eventually(lambda: instance.imds.counters()["connections"] > before)
        (tools / "conntrack.go").touch()
        assert repair.wait(timeout=60) == 0
        text = download.communicate(timeout=60)[0]
        assert "AccessKeyId" in text, text


def test_a_connection_to_the_port_of_before_is_not_forgotten():
    """The settings name another port while the proxy still answers at the old one: that connection did not go straight."""
    if shutil.which("conntrack") is None:
        pytest.skip("conntrack is not installed")
    with Instance(settings=HOP_2) as instance:
        token = instance.token(ttl=300)
        instance.imds.set("stall-get-ms", 2 * STALL_MS)
        before = instance.imds.counters()["connections"]
        downloads = [instance.world.popen("host", ["curl", "-s", "-m", "20", "-H", f"{TOKEN_HEADER}: {token}",
                                                   f"http://{host}{ROLE_PATH}web-server"], stdout=subprocess.PIPE)
                     for host in (IMDS_V4, f"[{IMDS_V6}]")]
        assert eventually(lambda: instance.imds.counters()["connections"] >= before + len(downloads))
        text = instance.config.read_text()
        moved = instance.folder / "moved.conf"
        moved.write_text(re.sub(r"(?m)^port *=.*\n", "", text).replace("[listen]\n", "[listen]\nport = 8999\n")
                         if "[listen]" in text else text + "\n[listen]\nport = 8999\n")
        done = instance.world.run("host", [str(REDIRECT), "-c", str(moved), "repair"], timeout=60)
        assert done.returncode == 0, done.stderr
        rules = instance.world.run("host", ["iptables-save"]).stdout
        assert "--to-ports 8999" in rules
        entries = instance.world.run("host", ["conntrack", "-L", "-p", "tcp"]).stdout
        assert any("ESTABLISHED" in line and "sport=8775" in line for line in entries.splitlines()), entries
        for download in downloads:
            said = download.communicate(timeout=60)[0]
            assert "AccessKeyId" in said, said
