# SPDX-License-Identifier: Apache-2.0
"""Which process it was, by each backend: clients that share, pass on, exec, fork, change their user, and so on. What is said
must be true for every backend; where it is not known, it must be said so."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import egress
import refuse
from instance import IMDS_V4, IMDS_V6, ROLE_PATH, TOKEN_HEADER, Instance, binary, eventually, needs_world

pytestmark = needs_world

PRELUDE = f"""
import array, ctypes, os, signal, socket, struct, subprocess, sys, threading, time
token = sys.argv[1]
REQUEST = f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{token}}\\r\\n\\r\\n".encode()
def connect():
    return socket.create_connection(("{IMDS_V4}", 80), timeout=20)
def finish(client):
    answer = b""
    client.settimeout(20)
    while more := client.recv(65536):
        answer += more
    assert b"AccessKeyId" in answer, answer
def fetch(client):
    client.sendall(REQUEST)
    finish(client)
def tell(**facts):
    print(__import__("json").dumps(facts), flush=True)
"""

# Name -> (program, grades that are true, what must be so). A program prints facts: pid, the one who receives; holders, all
# pids that hold the socket then; others that had to do with it.
KINDS = {
    "plain": ("tell(pid=os.getpid()); fetch(connect())", {"exact"}),
    "v4-mapped": (f"""
client = socket.socket(socket.AF_INET6)
client.connect(("::ffff:{IMDS_V4}", 80))
tell(pid=os.getpid()); fetch(client)""", {"exact"}),
    "IPv6": (f"""
client = socket.create_connection(("{IMDS_V6}", 80), timeout=5)
tell(pid=os.getpid()); fetch(client)""", {"exact"}),
    "fast open": (f"""
client = socket.socket()
client.sendto(REQUEST, 0x20000000, ("{IMDS_V4}", 80))
tell(pid=os.getpid()); finish(client)""", {"exact"}),
    "non-blocking": (f"""
import select
client = socket.socket()
client.setblocking(False)
client.connect_ex(("{IMDS_V4}", 80))
select.select([], [client], [], 5)
tell(pid=os.getpid()); client.setblocking(True); fetch(client)""", {"exact"}),
    "epoll": ("""
import select
client = connect()
waiter = select.epoll(); waiter.register(client, select.EPOLLIN)
tell(pid=os.getpid())
client.sendall(REQUEST); waiter.poll(5); finish(client)""", {"exact"}),
    "bound to its interface": (f"""
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\\0")
client.connect(("{IMDS_V4}", 80))
tell(pid=os.getpid()); fetch(client)""", {"exact"}),
    "twice in one process": ("""
client = connect(); other = client.dup()
tell(pid=os.getpid()); fetch(client)""", {"exact"}),
    "a thread asks": ("""
client = connect()
tell(pid=os.getpid())
thread = threading.Thread(target=fetch, args=(client,)); thread.start(); thread.join()""", {"exact"}),
    "a thread connects": ("""
tell(pid=os.getpid())
thread = threading.Thread(target=lambda: fetch(connect())); thread.start(); thread.join()""", {"exact"}),
    "exec between": ("""
client = connect()
client.setblocking(True)
os.set_inheritable(client.fileno(), True)
tell(pid=os.getpid(), exe=os.path.realpath("/usr/bin/perl"))
os.execv("/usr/bin/perl", ["perl", "-e", "open(S, '+<&=', " + str(client.fileno()) + "); syswrite(S, $ARGV[0]); 1 while sysread(S, $b, 65536)",
                           REQUEST.decode()])""", {"exact"}),
    "setuid between": ("""
client = connect()
os.setgid(65534); os.setuid(65534)
tell(pid=os.getpid(), uid=65534); fetch(client)""", {"exact"}),
    "a child asks": ("""
client = connect()
child = os.fork()
if child == 0:
    fetch(client); os._exit(0)
tell(pid=os.getpid(), holders=[os.getpid(), child]); os.waitpid(child, 0)""", {"shared"}),
    "the parent exits": ("""
client = connect()
signal.signal(signal.SIGHUP, signal.SIG_IGN)
parent = os.getpid()
if os.fork() != 0:
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
tell(pid=os.getpid(), others=[parent]); fetch(client)""", {"shared"}),
    "a child that closed it": ("""
client = connect()
child = os.fork()
if child == 0:
    client.close(); time.sleep(20); os._exit(0)
time.sleep(0.1)
tell(pid=os.getpid()); fetch(client); os.kill(child, signal.SIGKILL)""", {"exact"}),
    "a child with exec": ("""
client = connect()
child = subprocess.Popen(["sleep", "20"])
tell(pid=os.getpid()); fetch(client); child.kill()""", {"exact"}),
    "passed on": ("""
ours, theirs = socket.socketpair()
receiver = os.fork()
if receiver == 0:
    ours.close()
    control = theirs.recvmsg(1, 100)[1]
    theirs.recv(1)
    fetch(socket.socket(fileno=array.array("i", control[0][2])[0])); os._exit(0)
client = connect()
client.settimeout(None)
tell(pid=receiver, others=[os.getpid()])
ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [client.fileno()]))])
client.close(); ours.send(b"y"); os.waitpid(receiver, 0)""", {"shared"}),
    "another holds it quietly": ("""
ours, theirs = socket.socketpair()
quiet = os.fork()
if quiet == 0:
    ours.close()
    theirs.recvmsg(1, 100); theirs.send(b"y"); time.sleep(20); os._exit(0)
client = connect()
client.settimeout(None)
ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [client.fileno()]))])
ours.recv(1)
tell(pid=os.getpid(), holders=[os.getpid(), quiet]); fetch(client); os.kill(quiet, signal.SIGKILL)""", {"shared"}),
    "taken by pidfd_getfd": ("""
client = connect()
pid = os.getpid()
ready, done = os.pipe()
taker = os.fork()
if taker == 0:
    client.close()
    libc = ctypes.CDLL(None)
    libc.syscall(438, libc.syscall(434, pid, 0), client_fd := int(sys.argv[2]), 0)
    os.write(done, b"x"); time.sleep(20); os._exit(0)
os.read(ready, 1)
tell(pid=pid, holders=[pid, taker]); fetch(client); os.kill(taker, signal.SIGKILL)""", {"shared"}),
    "in another pid namespace": ("""
libc = ctypes.CDLL(None)
assert libc.unshare(0x20000000) == 0
child = os.fork()
if child == 0:
    fetch(connect()); os._exit(0)
tell(pid=child); os.waitpid(child, 0)""", {"exact"}),
}
# The descriptor number of the first socket is the same each time.
PREAMBLES = {"taken by pidfd_getfd": "first = socket.socket(); sys.argv.append(str(first.fileno())); first.close()\n"}
IN_CONTAINERS = {"bound to its interface"}
UNSEEN_AT_CONNECT = {"the parent exits", "passed on"}


def ebpf_state(instance):
    done = instance.keytrail("status", "-c", str(instance.config), "-o", "json")
    return json.loads(done.stdout)["daemon"]["witness"]


def wait_for_ebpf(instance):
    """False where the kernel has none."""
    def settled():
        state = ebpf_state(instance)
        return state if "redirect" not in state["ebpf"] and "not yet" not in state["ebpf"] else None
    state = eventually(settled)
    return state["ebpf"] == "on"


@pytest.fixture(scope="module", params=["auto", "off"])
def instance(request):
    with Instance({"witness": {"ebpf": request.param}, "imdsv2": {"put_response_hop_limit": 2}}) as made:
        made.by_ebpf = request.param == "auto" and wait_for_ebpf(made)
        if request.param == "auto" and not made.by_ebpf:
            pytest.skip("no eBPF here: " + ebpf_state(made)["ebpf"])
        yield made


def run_client(instance, program, ns="host", preamble=""):
    """The facts that the client told, and the row that came of it."""
    before = len(instance.rows("access_key_id IS NOT NULL", settle=False))
    done = instance.world.run(ns, ["/usr/bin/python3", "-I", "-S", "-c", PRELUDE + preamble + program,
                                   instance.token(ns=ns)])
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[0])
    eventually(lambda: len(instance.rows("access_key_id IS NOT NULL", settle=False)) > before)
    rows = instance.rows("access_key_id IS NOT NULL", settle=False)
    assert len(rows) == before + 1, rows[before:]
    return facts, rows[-1], json.loads(rows[-1]["body"])


def pids_of_holders(instance):
    done = instance.keytrail("deliveries", "-o", "jsonl")
    return {holder["pid"] for holder in json.loads(done.stdout.splitlines()[0])["holders"]}


# On the host the kernel takes no packets of the loopback interface for a socket that is bound to another.
@pytest.mark.parametrize("kind, ns", [(kind, "host") for kind in KINDS if kind not in IN_CONTAINERS] +
                         [(kind, "ctr1") for kind in ("plain", "passed on", "a child asks", *IN_CONTAINERS)])
def test_names_no_wrong_process(instance, kind, ns):
    program, grades = KINDS[kind]
    if not instance.by_ebpf and kind in UNSEEN_AT_CONNECT:
        grades = grades | {"exact"}  # of whoever has it; nobody saw who connected
    for _ in range(10):
        facts, row, body = run_client(instance, program, ns, PREAMBLES.get(kind, ""))
        attribution = body["attribution"]
        if instance.by_ebpf or row["grade"] not in ("cgroup", "uid"):
            break
        # The machine was too busy for a look at all processes in the time there is: said so, and nobody wrong is named.
        assert not attribution["complete"] and row["pid"] in (None, facts["pid"], *facts.get("holders", [])), attribution
    assert row["grade"] in grades, attribution
    if row["grade"] == "exact":
        assert row["pid"] == facts["pid"] and attribution["complete"], attribution
    else:
        assert row["pid"] in facts.get("holders", [facts["pid"]]), attribution
    if "holders" in facts:
        assert set(facts["holders"]) <= pids_of_holders(instance)
    if "exe" in facts:
        assert row["exe"] == facts["exe"]
    if "uid" in facts:
        assert row["uid"] == facts["uid"]
    assert ("ebpf" in attribution["method"]) == instance.by_ebpf, attribution


def test_most_clients_need_no_look_at_all_processes(instance):
    if not instance.by_ebpf:
        pytest.skip("that is what eBPF is for")
    _, _, body = run_client(instance, KINDS["plain"][0])
    assert body["attribution"]["evidence"][-1] == "ebpf: nothing else refers to the socket"
    instance.credentials()  # curl waits in poll(2), which holds a reference of its own
    last = instance.rows("access_key_id IS NOT NULL")[-1]
    assert json.loads(last["body"])["attribution"]["evidence"][-1] == "ebpf: nothing else refers to the socket"


def test_connection_from_before_the_daemon_is_named_all_the_same():
    """Nothing has noted who connected; who holds it can still be seen."""
    with Instance() as made:
        wait_for_ebpf(made)
        token = made.token(ttl=600)
        made.stop()
        # The service manager's part: a socket that listens while the daemon does not run.
        starter = ("import os, socket, sys, time\n"
                   "listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                   "listener.bind(('127.0.0.1', 8775)); listener.listen(16)\n"
                   "os.dup2(listener.fileno(), 3); os.set_inheritable(3, True)\n"
                   "print('listens', flush=True); sys.stdin.readline()\n"
                   "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
                   "os.execv(sys.argv[1], sys.argv[1:])\n")
        with made.log.open("ab") as log:
            made.daemon = made.world.popen("host", ["/usr/bin/python3", "-I", "-S", "-c", starter,
                                                    str(binary("keytraild")), "-c", str(made.config)],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert made.daemon.stdout.readline() == "listens\n"
        client = made.world.popen("host", ["/usr/bin/python3", "-I", "-S", "-c", PRELUDE + KINDS["plain"][0], token],
                                  stdout=subprocess.PIPE)
        pid = json.loads(client.stdout.readline())["pid"]
        made.daemon.stdin.write("\n")
        made.daemon.stdin.flush()
        row = made.row("access_key_id IS NOT NULL")
        assert (row["grade"], row["pid"]) == ("exact", pid), json.loads(row["body"])["attribution"]
        assert not any("connected by" in one for one in json.loads(row["body"])["attribution"]["evidence"])


def test_says_why_ebpf_is_not_used_yet():
    with Instance(redirect=False) as made:
        state = ebpf_state(made)
        if "redirect" not in state["ebpf"] and "not yet" not in state["ebpf"]:
            pytest.skip(state["ebpf"])
        before = made.imds.counters()["connections"]
        assert eventually(lambda: "waiting for the redirect" in ebpf_state(made)["ebpf"])
        made.redirect("up")
        assert eventually(lambda: ebpf_state(made)["ebpf"] == "on")
        # The test's connections reached nobody, and are no requests.
        status = json.loads(made.keytrail("status", "-c", str(made.config), "-o", "json").stdout)
        assert status["daemon"]["counters"]["requests"] == 0 and made.rows() == []
        assert made.imds.counters()["connections"] <= before + 2  # those of the daemon itself


@pytest.mark.skipif(refuse.missing() is not None, reason=str(refuse.missing()))
@pytest.mark.parametrize("wanted", ["auto", "on"])
def test_kernel_that_refuses(wanted):
    with Instance({"witness": {"ebpf": "off"}}) as made:
        made.stop()
        made.settings["witness"]["ebpf"] = wanted
        made.write_config()
        with made.log.open("ab") as log:
            made.daemon = made.world.popen("host", [*refuse.under("bpf"), str(binary("keytraild")), "-c", str(made.config)],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wanted == "on":
            assert made.daemon.wait(timeout=60) == 1
            assert "[witness] ebpf = on: the kernel does not load the programs" in made.log.read_text()
            return
        assert eventually(made.listens)
        assert ebpf_state(made)["ebpf"].startswith("off: the kernel does not load the programs")
        made.credentials()
        row = made.row("access_key_id IS NOT NULL")
        assert row["grade"] == "exact" and json.loads(row["body"])["attribution"]["method"] == "sock_diag+proc"


def run_in(instance, group):
    """A client in a control group; its row's grade and method."""
    before = len(instance.rows("access_key_id IS NOT NULL", settle=False))
    words = ["sh", "-c", f'echo $$ >{group.path}/cgroup.procs && exec "$@"', "sh", "/usr/bin/python3", "-I", "-S", "-c",
             PRELUDE + KINDS["plain"][0], instance.token()]
    done = instance.world.run("host", words)
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: len(instance.rows("access_key_id IS NOT NULL", settle=False)) > before)
    row = instance.rows("access_key_id IS NOT NULL", settle=False)[-1]
    assert row["pid"] == json.loads(done.stdout.splitlines()[0])["pid"]
    return row["grade"], json.loads(row["body"])["attribution"]["method"]


@pytest.mark.skipif(egress.missing() is not None, reason=str(egress.missing()))
@pytest.mark.parametrize("where", ["in the same group", "in a group below"])
def test_programs_of_others_displace_nothing_and_change_nothing(where):
    """Attached later than ours, beside it or below; those that see every connect() are listed."""
    with Instance() as made:
        if not wait_for_ebpf(made):
            pytest.skip(ebpf_state(made)["ebpf"])
        is_root = where == "in the same group"
        with egress.Root() if is_root else egress.Group() as group:
            group.attach(egress.connect_passes(), "somebodys")
            assert run_in(made, group) == ("exact", "ebpf+sock_diag")
            listed = ebpf_state(made)["foreign_connect_programs"]
            assert any(one.startswith("somebodys (id ") for one in listed) == is_root, listed
        assert run_in(made, egress.Root()) == ("exact", "ebpf+sock_diag")
        assert not any(one.startswith("somebodys") for one in ebpf_state(made)["foreign_connect_programs"])


def test_full_map_is_counted_and_names_nobody_wrong():
    """More connections at once than the map has room for: those that were pushed out are found without it."""
    many = 100  # below a quarter of all seats: beyond that, those that wait longest give way to newer ones of their user
    holder = PRELUDE + f"""
clients = [connect() for _ in range({many})]
tell(pid=os.getpid())
sys.stdin.readline()
for client in clients[:5]:
    fetch(client)
"""
    settings = {"witness": {"ebpf_connections": 64}, "listen": {"max_connections": 1024}}  # no share is used up
    with Instance(settings) as made:
        if not wait_for_ebpf(made):
            pytest.skip(ebpf_state(made)["ebpf"])
        client = made.world.popen("host", ["/usr/bin/python3", "-I", "-S", "-c", holder, made.token()],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        pid = json.loads(client.stdout.readline())["pid"]
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.wait(timeout=60) == 0
        rows = made.rows("access_key_id IS NOT NULL")
        assert [(row["grade"], row["pid"]) for row in rows] == [("exact", pid)] * 5
        assert ebpf_state(made)["map"]["evicted"] >= many - 64
