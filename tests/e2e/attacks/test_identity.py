# SPDX-License-Identifier: Apache-2.0
"""Ways to get credentials unseen, or to be taken for somebody else."""

import json
import os
import pathlib
import pwd
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from instance import (IMDS_V4, QUICK_S, REDIRECT, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, binary, eventually, needs_world)

pytestmark = needs_world

# Connects from a given source port, says so, asks for the credentials when told to, prints the answer's key id.
BOUND = f"""
import re, socket, sys
port = int(sys.argv[1])
def connect():
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("10.77.0.2", port))
    client.settimeout(5)
    client.connect(("{IMDS_V4}", 80))
    return client
client = connect()
print("connected", flush=True)
sys.stdin.readline()
token = sys.argv[2]
client.sendall(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: a\\r\\n{TOKEN_HEADER}: {{token}}\\r\\n\\r\\n".replace("Host: a", "Host: {IMDS_V4}").encode())
answer = b""
while more := client.recv(65536):
    answer += more
print(re.search(rb'"AccessKeyId" : "([A-Z0-9]+)', answer).group(1).decode(), flush=True)
"""


def start_bound(instance, port, token):
    return instance.world.popen("host", [sys.executable, "-I", "-S", "-c", BOUND, str(port), token],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, user="nobody")


def test_port_clash_names_no_wrong_process():
    """A connection from (address, port) to the listener makes NAT give the next client of that port another one: the
    accepted port is then not the client's, and may be somebody else's."""
    first_port, clients = 42000, 12
    with Instance() as instance:
        token = instance.token(ttl=600)
        for port in range(first_port, first_port + clients):
            done = instance.world.run("host", [
                "conntrack", "-I", "-p", "tcp", "-s", "10.77.0.2", "-d", "127.0.0.1", "--sport", str(port), "--dport",
                "8775", "--state", "ESTABLISHED", "--timeout", "120", "-u", "ASSURED,SEEN_REPLY"])
            assert done.returncode == 0, done.stderr
        running = {}
        for port in range(first_port, first_port + clients):
            child = start_bound(instance, port, token)
            assert child.stdout.readline() == "connected\n"
            running[port] = child
        for child in running.values():
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline().startswith("ASIA")
            child.wait(timeout=60)
        rows = instance.rows("access_key_id IS NOT NULL")
        assert len(rows) == clients
        truth = {child.pid: port for port, child in running.items()}
        rewritten = 0
        for row in rows:
            evidence = json.loads(row["body"])["attribution"]["evidence"][0]
            rewritten += f"accepted port {row['client_port']} " not in evidence
            assert row["grade"] == "exact" and truth[row["pid"]] == row["client_port"], row
        assert rewritten == clients  # else the test has not made the clash that it is about


def test_proxys_user_without_its_mark_is_seen():
    with Instance() as instance:
        instance.credentials(user="keytrail")
        row = instance.row("access_key_id IS NOT NULL")
        assert (row["user"], row["exe"], row["grade"]) == ("keytrail", "/usr/bin/curl", "exact")


SENDS_AND_ENDS = f"""
import os, socket, sys
client = socket.create_connection(("{IMDS_V4}", 80), timeout=5)
client.sendall(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{sys.argv[1]}}\\r\\n\\r\\n".encode())
"""


def test_client_that_is_gone_is_not_delivered_to():
    with Instance() as instance:
        token = instance.token()
        assert instance.get("/latest/meta-data/", token)[0] == 200
        instance.imds.set("stall-get-ms", 300)
        instance.world.run("host", [sys.executable, "-I", "-S", "-c", SENDS_AND_ENDS, token])
        row = instance.row("access_key_id IS NOT NULL")
        assert (row["outcome"], row["reason"], row["grade"]) == ("refused", "client-gone", "gone")


SHARED = f"""
import os, re, socket, sys
client = socket.create_connection(("{IMDS_V4}", 80), timeout=5)
child = os.fork()
if child == 0:
    sys.stdin.readline()
    os._exit(0)
print(os.getpid(), child, flush=True)
client.sendall(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{sys.argv[1]}}\\r\\n\\r\\n".encode())
while client.recv(65536):
    pass
"""


def test_shared_socket_names_all_its_holders():
    with Instance() as instance:
        token = instance.token()
        child = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", SHARED, token], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        pids = {int(word) for word in child.stdout.readline().split()}
        row = instance.row("access_key_id IS NOT NULL")
        assert row["grade"] == "shared" and row["pid"] in pids
        assert len(json.loads(row["body"])["holders"]) == 2
        done = instance.keytrail("deliveries", "-o", "jsonl")
        holders = json.loads(done.stdout.splitlines()[-1])["holders"]
        assert {holder["pid"] for holder in holders} == pids
        child.stdin.close()


PASSED_ON = f"""
import os, socket, sys, array
ours, theirs = socket.socketpair()
receiver = os.fork()
if receiver == 0:
    ours.close()
    _, control, _, _ = theirs.recvmsg(1, 100)
    fd = array.array("i", control[0][2])[0]
    theirs.recv(1)  # until the other one has let go of it
    client = socket.socket(fileno=fd)
    client.setblocking(True)
    client.sendall(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{sys.argv[1]}}\\r\\n\\r\\n".encode())
    while client.recv(65536):
        pass
    os._exit(0)
client = socket.create_connection(("{IMDS_V4}", 80), timeout=5)
import time
time.sleep(0.3)  # the first look finds this process
ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [client.fileno()]))])
client.close()
ours.send(b"x")
print(os.getpid(), receiver, flush=True)
os.waitpid(receiver, 0)
"""


def test_socket_passed_on_names_who_has_it():
    with Instance() as instance:
        token = instance.token()
        child = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", PASSED_ON, token],
                                     stdout=subprocess.PIPE)
        opener, receiver = map(int, child.stdout.readline().split())
        row = instance.row("access_key_id IS NOT NULL")
        assert row["grade"] == "shared" and row["pid"] == receiver
        holders = json.loads(instance.keytrail("deliveries", "-o", "jsonl").stdout.splitlines()[-1])["holders"]
        assert {holder["pid"] for holder in holders} == {opener, receiver}


@pytest.mark.parametrize("where", ["executable", "argument", "user agent"])
def test_hostile_names_are_bounded_and_clean(where):
    with Instance() as instance:
        token = instance.token()
        evil = b"\x1b[31m\n\xff\xfe=cmd|' /C calc'!A0"
        program = instance.folder / ("evil\x1b\n" if where == "executable" else "plain")
        program.write_bytes(pathlib.Path("/usr/bin/curl").read_bytes())
        program.chmod(0o755)
        words = [str(program), "-s", "-H", f"{TOKEN_HEADER}: {token}", f"http://{IMDS_V4}{ROLE_PATH}web-server"]
        if where == "argument":
            words += ["--cacert", evil, "--cacert", b"x" * 100000]
        if where == "user agent":
            words += ["-A", b"\xff\xfe\tx" * 300]
        instance.world.run("host", words, text=False)
        row = instance.row("access_key_id IS NOT NULL")
        assert row["grade"] == "exact" and len(row["cmdline"]) < 20000 and len(row["user_agent"] or "") < 3000
        for form in ("table", "csv", "jsonl"):
            done = instance.keytrail("deliveries", "-o", form)
            assert done.returncode == 0 and "\x1b" not in done.stdout and "\xff" not in done.stdout
        assert json.loads(done.stdout.splitlines()[-1])["process"]["exe"] == str(program)


def test_restart_does_not_lose_rows(tmp_path):
    with Instance() as instance:
        first = instance.credentials()["AccessKeyId"]
        instance.stop()
        assert instance.keytrail("who", first, "-o", "jsonl").stdout.count('"kind":"delivery"') == 1  # read while the daemon is down
        instance.start()
        instance.credentials()
        eventually(lambda: len(instance.rows("access_key_id IS NOT NULL", settle=False)) == 2)
        assert len(instance.rows("access_key_id IS NOT NULL")) == 2


def test_request_of_our_own_that_comes_back_is_not_served():
    """A redirect that exempts another user sends the proxy its own requests: no storm, a quick 503."""
    with Instance(redirect=False) as instance:
        other = instance.folder / "other.conf"
        other.write_text("[daemon]\nuser = nobody\n")
        done = instance.world.run("host", [str(REDIRECT), "-c", str(other), "up"], timeout=30)
        assert done.returncode == 0, done.stderr
        token = instance.token()  # the daemon got its own before the redirect stood
        started = time.monotonic()
        got, _, body = instance.get("/latest/meta-data/", token)
        assert (got, body) == (503, "") and time.monotonic() - started < QUICK_S
        assert "error loop" in instance.log.read_text()
        requests = json.loads(instance.keytrail("status", "-c", str(instance.config), "-o", "json").stdout)[
            "daemon"]["counters"]["requests"]
        assert requests < 10


# From the port of a request of the proxy's to upstream, which takes long: over IPv6, where it is another port.
FROM_ITS_PORT = r"""
import socket, time
until = time.monotonic() + 10
ports = []
while not ports and time.monotonic() < until:
    lines = [line.split() for line in open("/proc/net/tcp").readlines()[1:]]
    ports = [int(line[1][-4:], 16) for line in lines if line[2] == "FEA9FEA9:0050" and int(line[7]) == UID]
client = socket.socket(socket.AF_INET6)
client.bind(("fd77::2", ports[0]))
client.connect(("fd00:ec2::254", 80))
client.sendall(b"GET /latest/meta-data/ HTTP/1.1\r\nHost: [fd00:ec2::254]\r\n\r\n")
print(client.recv(100).split(b"\r\n")[0].decode())
"""


def test_a_client_with_our_port_is_not_us():
    with Instance(settings={"upstream": {"timeout_ms": 20000}}) as instance:
        token = instance.token()
        instance.get("/latest/meta-data/", token)
        instance.imds.set("stall-get-ms", 6000)
        slow = instance.world.popen("host", ["curl", "-s", "-o", "/dev/null", "-H", f"{TOKEN_HEADER}: {token}",
                                             f"http://{IMDS_V4}/latest/meta-data/"])
        program = FROM_ITS_PORT.replace("UID", str(pwd.getpwnam("keytrail").pw_uid))
        done = instance.bytes_of("host", [sys.executable, "-c", program])
        assert done.stdout.strip() == "HTTP/1.1 401 Unauthorized", done.stderr
        assert slow.wait(timeout=60) == 0
        assert "error loop" not in instance.log.read_text()


def without_digests(value):
    """Digests of executables come late, in lines of their own; listed rows have them."""
    if isinstance(value, dict):
        return {name: without_digests(of) for name, of in value.items() if name != "exe_sha256"}
    return [without_digests(one) for one in value] if isinstance(value, list) else value


def test_shipped_lines_are_the_same_objects():
    with Instance() as instance:
        instance.stop()
        shipped = instance.state / "shipped.jsonl"
        instance.settings.setdefault("ledger", {})["jsonl"] = str(shipped)
        instance.write_config()
        instance.start()
        key = instance.credentials()["AccessKeyId"]
        instance.row("access_key_id IS NOT NULL")
        lines = [json.loads(line) for line in shipped.read_text().splitlines()]
        delivery = next(line for line in lines if line["kind"] == "delivery")
        listed = json.loads(instance.keytrail("who", key, "-o", "jsonl").stdout.splitlines()[0])
        assert delivery["outcome"] == "recorded" and listed["outcome"] == "delivered"
        assert delivery.pop("ledger_id") and delivery.pop("link")  # its place in the chain
        assert without_digests({**delivery, "outcome": "delivered", "seq": listed["seq"]}) == without_digests(listed)
        outcome = next(line for line in lines if line["kind"] == "outcome")
        assert (outcome["subject"], outcome["outcome"]) == (delivery["id"], "delivered")


# Starts a program under a filter that refuses sock_diag: socket(AF_NETLINK, any, NETLINK_SOCK_DIAG) gives EPERM.
WITHOUT_SOCK_DIAG = """
import ctypes, os, struct, sys
def step(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
program = b"".join([step(LOAD, 0, 0, 0), step(EQUAL, 0, 5, 41), step(LOAD, 0, 0, 16), step(EQUAL, 0, 3, 16),
                    step(LOAD, 0, 0, 32), step(EQUAL, 0, 1, 4), step(RETURN, 0, 0, 0x00050001),
                    step(RETURN, 0, 0, 0x7fff0000)])
code = ctypes.create_string_buffer(program, len(program))
filter = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.create_string_buffer(filter, len(filter)), 0, 0) != 0:
    sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter has the system call numbers of x86_64")
def test_without_sock_diag_clients_are_served_and_the_doubt_is_said():
    """Not to be able to look is no sign that the client has gone, nor that it sits behind a bridge."""
    with Instance() as instance:
        instance.stop()
        with instance.log.open("ab") as log:
            instance.daemon = instance.world.popen(
                "host", ["/usr/bin/python3", "-I", "-S", "-c", WITHOUT_SOCK_DIAG, str(binary("keytraild")), "-c",
                         str(instance.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert eventually(instance.listens)
        assert instance.credentials()["AccessKeyId"]
        row = instance.row("access_key_id IS NOT NULL")
        assert (row["outcome"], row["grade"], row["pid"]) == ("delivered", "none", None)
        assert "backend_failed" in instance.log.read_text()
        # Containers stay behind the hop limit.
        assert instance.curl("-X", "PUT", "-H", f"{TTL_HEADER}: 60", path="/latest/api/token",
                             ns="ctr1").stdout.startswith("HTTP/1.1 403 ")
