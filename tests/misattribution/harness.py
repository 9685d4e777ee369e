# SPDX-License-Identifier: Apache-2.0
"""Clients of every kind against each backend of the witness, and what comes of it.

A case is one kind at one place; `decided` are those of which eBPF must make `exact`, `handed_on` those of which it must not: who
connected has let go before the request is sent. Clients tell who they are
(client.h), and their rows are found by a User-Agent that none of the others has."""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import engine
import judge
import refuse
from imds import binary
from instance import IMDS_V4, ROLE_PATH, Instance, eventually

CLIENT = "misattribution-client"
PATH = ROLE_PATH + "web-server"
LONG, SHORT = 600, 30  # clients of a case, before shares
TIMEOUT_S = 600
# Ports that no other case uses, below those that the kernel gives by itself.
CLASH_PORT, TWIN_PORT, FORGED_PORT, NESTED_PORT, DIND_PORT = 12000, 16000, 20000, 24000, 28000
FORGED = "172.30.0.11"  # ctr1's address
SMALL_SINCE = (6, 14)  # kernels from which on each pid namespace has a pid_max of its own

# Name -> settings of [witness], what the kernel refuses, share of the clients that it gets.
Backend = collections.namedtuple("Backend", "settings refused share")
BACKENDS = {
    "ebpf": Backend({}, (), 1),
    "no-ebpf": Backend({"ebpf": "off"}, (), 1),
    "no-scan": Backend({"ebpf": "off", "proc_scan": "off"}, (), 0.4),
    "no-sock_diag": Backend({}, ("sock_diag",), 0.2),
    "no-conntrack": Backend({}, ("conntrack",), 0.2),
    "nothing": Backend({"proc_scan": "off"}, ("bpf", "sock_diag", "conntrack"), 0.2),
}

# share: of the clients of a case. option: with {copy}, a second copy of the client's program.
Case = collections.namedtuple("Case", "kind place parallel decided share option handed_on",
                              defaults=("host", 8, False, 1, None, False))
CASES = {
    "plain": Case("plain", decided=True),
    "64 at a time": Case("plain", parallel=64, decided=True, share=2),
    "container": Case("plain", "ctr1", decided=True),
    "v4-mapped": Case("v4-mapped", decided=True),
    "IPv6": Case("ipv6", decided=True),
    "fast open": Case("fast-open", decided=True),
    "a thread asks": Case("thread-asks", decided=True),
    "a thread connects": Case("thread-connects", decided=True),
    "exec between": Case("exec", decided=True, option="{copy}"),
    "setuid between": Case("setuid", decided=True),
    "foreign mount": Case("foreign-mount", decided=True),
    "io_uring": Case("uring", decided=True),
    "io_uring, no descriptor": Case("uring-only"),
    "slow reader": Case("slow", decided=True),
    "exits at once": Case("exits"),
    "dies before the answer": Case("dies"),
    "a child asks": Case("child-asks"),
    "a child has it": Case("child-has-it", handed_on=True),
    "the parent exits": Case("parent-exits", handed_on=True),
    "the parent exits meanwhile": Case("parent-exits-meanwhile"),
    "two hold it": Case("two-hold"),
    "lent to a child": Case("lent"),
    "passed on, kept": Case("passes-keeps"),
    "passed on, closed": Case("passes-closes", handed_on=True),
    "passed on meanwhile": Case("passes-meanwhile"),
    "a copy in flight": Case("in-flight"),
    "the only one in flight": Case("only-in-flight"),
    "in a container, passed on": Case("passes-closes", "ctr1", handed_on=True),
    "pid used again": Case("reused", handed_on=True),
    "pid used again at once": Case("reused-at-once"),
    "few pids": Case("plain/small", decided=True, parallel=16, share=2),
    "few pids, parents exit": Case("parent-exits/small", parallel=16, handed_on=True),
    "port clash": Case("clash", decided=True, option=f"10.77.0.2,{CLASH_PORT}"),
    "behind NAT": Case("plain", "nested"),
    "behind NAT twice": Case("plain", "nested-twice"),
    "same tuple in two namespaces": Case("bound", "twins", option=f"172.30.0.12,{TWIN_PORT}"),
    "forged tuple": Case("bound", "forged", option=f"172.30.0.11,{FORGED_PORT}"),
    "forged tuple, behind NAT": Case("bound", "forged-nested", option=f"172.30.0.12,{NESTED_PORT}"),
    "socat": Case("relayed", "socat", share=0.4, option="8181"),
    "slirp4netns": Case("plain", "slirp4netns", share=0.4),
    "ssh -D": Case("socks", "ssh", share=0.4, option="8282"),
    "Docker in Docker": Case("plain", "dind"),
    "Docker in Docker, same tuple": Case("bound", "dind-twins", option=f"172.32.0.2,{DIND_PORT}"),
    "connected before the daemon": Case("plain", "early", parallel=64),
}
# The service manager's part: a socket that listens while the daemon does not run, then the daemon.
STARTER = """
import os, socket, sys
listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8775)); listener.listen(4096)
os.dup2(listener.fileno(), 3); os.set_inheritable(3, True)
print("listens", flush=True); sys.stdin.readline()
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""
RELAYS = {"socat": "socat", "slirp4netns": "slirp4netns", "ssh": "sshd"}
NEEDS = {"socat": ["socat"], "slirp4netns": ["slirp4netns"], "ssh": ["ssh", "/usr/sbin/sshd", "ssh-keygen"]}


def label(name):
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def missing(name, backend):
    """Why a case cannot run here; None when it can."""
    case = CASES[name]
    if case.place.startswith("dind"):
        if BACKENDS[backend].share < 1:
            return "Docker in Docker is tried with whole backends only"
        return engine.missing()
    for program in NEEDS.get(case.place, ()):
        if shutil.which(program) is None:
            return f"no {program}"
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    if case.kind.endswith("/small") and release < SMALL_SINCE:
        return "pid namespaces have no pid_max of their own"
    return None


class Place:
    """Namespaces and relays beyond those of the world. All of them end with its popen()."""

    def __init__(self, instance):
        self.instance, self.world = instance, instance.world
        self.pids = {}
        self.engine = None

    def enter(self, place, argv):
        if place in self.pids:
            return ["nsenter", f"--net=/proc/{self.pids[place]}/ns/net", "--", *argv]
        return self.world.argv(place if place in ("ctr1", "ctr2") else "host", argv)

    def run(self, place, *argv):
        done = subprocess.run(self.enter(place, argv), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def make(self, place):
        """A network namespace, not yet linked."""
        child = self.world.popen("host", ["unshare", "--net", "sleep", "infinity"])
        # Until then it lives in this process's namespace, then in the host's.
        others = {os.stat("/proc/self/ns/net").st_ino, os.stat(self.world.path("host")).st_ino}
        assert eventually(lambda: os.stat(f"/proc/{child.pid}/ns/net").st_ino not in others)
        self.pids[place] = child.pid

    def nest(self, place, outer, address, gateway):
        """A namespace behind another, which gives its own address to what comes from it."""
        if place in self.pids:
            return
        self.make(place)
        self.run(outer, "ip", "link", "add", "in0", "type", "veth", "peer", "name", "eth0", "netns", str(self.pids[place]))
        for words in (["address", "add", f"{gateway}/32", "dev", "in0"], ["link", "set", "in0", "up"],
                      ["route", "add", f"{address}/32", "dev", "in0"]):
            self.run(outer, "ip", *words)
        for words in (["link", "set", "lo", "up"], ["address", "add", f"{address}/32", "dev", "eth0"],
                      ["link", "set", "eth0", "up"], ["route", "add", f"{gateway}/32", "dev", "eth0"],
                      ["route", "add", "default", "via", gateway]):
            self.run(place, "ip", *words)
        self.run(outer, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.run(outer, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE")

    def nests(self):
        """Behind ctr1, one with ctr2's own address; behind that, another."""
        self.nest("nested", "ctr1", "172.30.0.12", "10.99.0.1")
        self.nest("nested-twice", "nested", "10.98.0.2", "10.98.0.1")

    @contextlib.contextmanager
    def forger(self, first_port, count):
        """A user's own namespace with the sockets of others in it."""
        names = (f"ip link set lo up && ip address add {FORGED}/32 dev lo && ip address add {IMDS_V4}/32 dev lo && "
                 f'exec "$0" forge 0 0 0 - - "{FORGED},{first_port},{count}"')
        child = self.world.popen("host", ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", names,
                                          str(client_program())], user="nobody", stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        assert child.stdout.readline() == "ready\n"
        yield
        child.stdin.close()
        child.wait(timeout=30)

    def dind(self):
        """Containers of an engine in a container of another; beside that one another container, with the address that the
        inner one has inside."""
        if self.engine is not None:
            return
        self.engine = engine.Engine(self.world).__enter__()
        self.engine.call("network", "create", "second", "--subnet", "172.32.0.0/24")
        self.pids["dind-second"] = engine.pid_of(self.engine.run("second", "--network", "second", command="exec sleep 600"))
        self.pids["dind"] = engine.pid_of(engine.Nested(self.engine).run("inner", command="exec sleep 600"))
        self.instance.redirect("repair")  # Docker has put its own jumps ahead

    def close(self):
        if self.engine is not None:
            self.engine.close()

    def relay(self, place):
        if place in self.pids:
            return
        {"socat": self.socat, "slirp4netns": self.slirp, "ssh": self.ssh}[place]()

    def wait_for_port(self, port):
        probe = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        assert eventually(lambda: self.world.run("host", ["/usr/bin/python3", "-I", "-S", "-c", probe]).returncode == 0)

    def socat(self):
        self.world.popen("host", ["socat", "TCP-LISTEN:8181,bind=127.0.0.1,fork,reuseaddr,backlog=512", f"TCP:{IMDS_V4}:80"])
        self.wait_for_port(8181)

    def slirp(self):
        self.make("slirp4netns")
        child = self.world.popen("host", ["slirp4netns", "--configure", "--ready-fd=1", str(self.pids["slirp4netns"]), "tap0"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdout.read(1) == "1"

    def ssh(self):
        folder = self.instance.folder / "ssh"
        folder.mkdir(mode=0o700)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:8222\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nUsePAM no\n"
            f"PidFile none\nStrictModes no\nPermitRootLogin prohibit-password\nMaxSessions 500\n")
        self.world.popen("host", ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL)
        self.wait_for_port(8222)
        self.world.popen("host", ["ssh", "-N", "-F", "none", "-i", str(folder / "user"), "-o", "StrictHostKeyChecking=no", "-o",
                                  "UserKnownHostsFile=/dev/null", "-D", "127.0.0.1:8282", "-p", "8222", "root@127.0.0.1"],
                         stderr=subprocess.DEVNULL)
        self.wait_for_port(8282)


def client_program():
    return binary().parent.parent / "tests" / CLIENT


class Bench:
    """One backend under test; use as a context manager."""

    def __init__(self, backend, scale):
        self.backend, self.scale = BACKENDS[backend], scale
        self.instance = Instance({"witness": dict(self.backend.settings),
                                  "imdsv2": {"put_response_hop_limit": 8, "token_scope": "instance"},
                                  "endpoints": {"ecs": "on"}}, under=refuse.under(*self.backend.refused))
        self.told = {}
        self.relays = {}

    def __enter__(self):
        self.instance.__enter__()
        self.copy = self.instance.folder / "another-client"
        shutil.copy(client_program(), self.copy)
        self.place = Place(self.instance)
        self.token = self.instance.token(ttl=21600)
        return self

    def __exit__(self, *_):
        self.place.close()
        self.instance.close()

    def ebpf(self):
        """What `status` says; where everything is there, once it is on, or has had time enough."""
        def state():
            return self.instance.status()["witness"]["ebpf"]
        if not self.backend.settings and not self.backend.refused:
            eventually(lambda: state() == "on")
        return state()

    def count(self, name):
        return max(8, int(self.scale * self.backend.share * CASES[name].share))

    def start(self, kind, place, option, parallel, count):
        argv = [str(client_program()), kind, str(count), str(min(parallel, count)), "0", self.token, PATH]
        return subprocess.Popen(self.place.enter(place, argv + ([option] if option else [])), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, name, child):
        text, problems = child.communicate(timeout=TIMEOUT_S)
        assert (child.returncode, problems) == (0, ""), (name, problems)
        self.told[name] = {**self.told.get(name, {}), **judge.read_lines(text)}

    def restart_behind(self, start, connected):
        """Starts the daemon again, on a socket to which `start` connects before."""
        instance = self.instance
        instance.stop()
        with instance.log.open("ab") as log:
            instance.daemon = instance.world.popen(
                "host", ["/usr/bin/python3", "-I", "-S", "-c", STARTER, *instance.under, str(binary("keytraild")), "-c",
                         str(instance.config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert instance.daemon.stdout.readline() == "listens\n"
        child = start()
        assert eventually(lambda: self.waiting() >= connected, 60)
        instance.daemon.stdin.write("\n")
        instance.daemon.stdin.flush()
        assert eventually(instance.listens, 30)
        return child

    def waiting(self):
        """Connections that nobody has accepted."""
        done = self.instance.world.run("host", ["ss", "-Hltn", "sport = :8775"])
        return int(done.stdout.split()[1])

    def run(self, name):
        """All clients of a case; what they told is kept."""
        case, count = CASES[name], self.count(name)
        option = case.option.format(copy=self.copy) if case.option else None
        places = {"twins": ["ctr2", "nested"], "dind-twins": ["dind-second", "dind"], "forged": ["ctr1"],
                  "forged-nested": ["nested"]}.get(case.place, [case.place])
        if case.place in ("nested", "nested-twice", "twins", "forged-nested"):
            self.place.nests()
        if case.place.startswith("dind"):
            self.place.dind()
        if case.place in RELAYS:
            self.place.relay(case.place)
        forged = {"forged": FORGED_PORT, "forged-nested": NESTED_PORT}.get(case.place)
        def start(place):
            kind = case.kind if "/" in case.kind else f"{case.kind}:{label(name)}-{place}"
            return self.start(kind, place, option, case.parallel, count)
        if case.place == "early":
            self.finish(name, self.restart_behind(lambda: start("early"), min(case.parallel, count)))
            self.instance.stop()
            self.instance.start()  # with all its sockets again
            return
        with self.place.forger(forged, count) if forged else contextlib.nullcontext():
            children = [start(place) for place in places]
            for child in children:
                self.finish(name, child)

    def rows(self):
        done = subprocess.run([str(binary("keytrail")), "deliveries", "-o", "jsonl", "--ledger", str(self.instance.ledger)],
                              capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def verdicts(self):
        """{case: [(nonce, verdict, why)]}"""
        self.instance.rows()
        rows = self.rows()
        by_agent = {row["user_agent"]: row for row in rows if row.get("user_agent")}
        return {name: list(judge.judge_all([by_agent[nonce] for nonce in told if nonce in by_agent], told,
                                           RELAYS.get(CASES[name].place)))
                for name, told in self.told.items()}
