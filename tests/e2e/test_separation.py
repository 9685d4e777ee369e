# SPDX-License-Identifier: Apache-2.0
"""Somebody has taken over the proxy: what is out of reach all the same. A build for tests only (tests/separation) does what it
is told, inside the proxy process, once its privileges are gone and its filter stands."""

import json
import os
import pathlib
import pwd
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, Instance, binary, eventually, needs_world

pytestmark = needs_world
NOBODY = pwd.getpwnam("nobody")
KEYTRAIL = pwd.getpwnam("keytrail")


class TakenOver(Instance):
    def command(self):
        return [str(binary().parent.parent / "tests" / "keytraild-taken-over"), "-c", str(self.config)]

    def start(self, wait=True):
        with self.log.open("ab") as log:
            self.daemon = self.world.popen("host", [*self.under, *self.command()], stderr=log, stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE)
        assert eventually(lambda: self.daemon.poll() is not None or self.listens(), DEADLINE_S)
        assert self.daemon.poll() is None, self.log.read_text()

    def tell(self, *words):
        self.daemon.stdin.write(" ".join(map(str, words)) + "\n")
        self.daemon.stdin.flush()

    def attempt(self, *words):
        """What came of it; "": the process has ended."""
        self.tell(*words)
        return self.daemon.stdout.readline().strip()

    def refused(self):
        return self.status()["witness"]["refused"]


@pytest.fixture(scope="module")
def taken():
    with TakenOver() as made:
        make_files(made)
        yield made


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_payload_runs_as_the_proxy_does(taken):
    """Without this, all that follows would show nothing."""
    status = pathlib.Path(f"/proc/{taken.pid()}/status").read_text()
    assert f"Uid:\t{KEYTRAIL.pw_uid}\t{KEYTRAIL.pw_uid}\t{KEYTRAIL.pw_uid}\t{KEYTRAIL.pw_uid}\n" in status
    assert "CapEff:\t0000000000000000\n" in status and "CapPrm:\t0000000000000000\n" in status
    assert "CapBnd:\t0000000000000000\n" in status or "NoNewPrivs:\t1\n" in status
    assert "Seccomp:\t2\n" in status
    assert taken.attempt("open", taken.ledger, "read") == "ok"  # its own
    assert taken.attempt("tgkill", taken.pid(), 0) == "ok"


# ---- files

def make_files(made):
    """Files of others: {folder}/root-only, {folder}/nobodys, and a folder that anybody can look into but not write."""
    for name, owner in (("root-only", 0), ("nobodys", NOBODY.pw_uid)):
        path = made.folder / name
        path.write_text("secret")
        path.chmod(0o600)
        os.chown(path, owner, -1)
    (made.folder / "closed").mkdir(mode=0o700)
    (made.folder / "closed" / "file").write_text("secret")


FILES = {
    "a file of root's": ("open {folder}/root-only read", "EACCES"),
    "the same, for writing": ("open {folder}/root-only write", "EACCES"),
    "a file of another user's": ("open {folder}/nobodys read", "EACCES"),
    "the same, for writing ": ("open {folder}/nobodys truncate", "EACCES"),
    "a file in a closed folder": ("open {folder}/closed/file read", "EACCES"),
    "a closed folder": ("open {folder}/closed list", "EACCES"),
    "a new file in root's folder": ("open {folder}/new create", "EACCES"),
    "passwords": ("open /etc/shadow read", "EACCES"),
    "the list of users, for writing": ("open /etc/passwd write", "EACCES"),
    "its own settings, for writing": ("open {config} write", "EACCES"),
    "its own program, for writing": ("open {program} write", "EACCES"),
    "memory of the machine": ("open /dev/mem read", "EACCES"),
    "the kernel's": ("open /proc/kcore read", ("EACCES", "EPERM")),
    "the kernel's log": ("open /dev/kmsg write", "EACCES"),
    "sysctl": ("open /proc/sys/kernel/core_pattern write", "EACCES"),
    "control groups": ("open {cgroup}/cgroup.procs write", "EACCES"),
    "mode of root's file": ("chmod {folder}/root-only", "EPERM"),
    "owner of its own file": ("chown {ledger}", "EPERM"),
    "root's file away": ("unlink {folder}/root-only", "EACCES"),
    "root's file elsewhere": ("rename {folder}/root-only {state}/mine", "EACCES"),
    "a second name of another's file": ("link {folder}/nobodys {state}/mine", ("EPERM", "EACCES")),
}


def unified():
    return next(path for path in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(path + "/cgroup.procs"))


@pytest.mark.parametrize("name", FILES)
def test_no_file_of_others(taken, name):
    words, expected = FILES[name]
    words = words.format(folder=taken.folder, config=taken.config, ledger=taken.ledger, state=taken.state, cgroup=unified(),
                         program=taken.command()[0])
    if "/new " not in words and not os.path.lexists(words.split()[1]):
        pytest.skip(f"no {words.split()[1]}")
    assert taken.attempt(words) in (expected if isinstance(expected, tuple) else (expected,))
    assert (taken.folder / "root-only").read_text() == (taken.folder / "nobodys").read_text() == "secret"
    assert not (taken.state / "mine").exists()


# ---- processes

@pytest.fixture(scope="module")
def others(taken):
    """pids: the witness, root's first process, a process of another user and one of root's."""
    children = [taken.world.popen("host", ["sleep", "600"], user=user) for user in ("nobody", None)]
    yield {"witness": taken.witness_pid(), "init": 1, "nobody's": children[0].pid, "root's": children[1].pid}
    for child in children:
        child.kill()
        child.wait()


OTHERS = ["witness", "init", "nobody's", "root's"]
INSIDE = ["mem", "environ", "maps", "auxv", "stack", "syscall", "fd list", "map_files list", "task/{pid}/mem"]
LINKS = ["exe", "root", "cwd", "fd/0", "ns/net"]


@pytest.mark.parametrize("what", INSIDE)
@pytest.mark.parametrize("who", OTHERS)
def test_nothing_is_read_of_other_processes(taken, others, who, what):
    pid = others[who]
    name, _, mode = what.format(pid=pid).partition(" ")
    assert taken.attempt("open", f"/proc/{pid}/{name}", mode or "read") in ("EACCES", "EPERM")
    assert is_there(pid)


@pytest.mark.parametrize("what", LINKS)
@pytest.mark.parametrize("who", OTHERS)
def test_nothing_of_other_processes_is_entered(taken, others, who, what):
    assert taken.attempt("readlink", f"/proc/{others[who]}/{what}") in ("EACCES", "EPERM")
    assert taken.attempt("open", f"/proc/{others[who]}/{what}", "read") in ("EACCES", "EPERM")


@pytest.mark.parametrize("what", ["mem", "oom_score_adj", "uid_map", "clear_refs"])
def test_nothing_of_the_witness_is_written(taken, others, what):
    assert taken.attempt("open", f"/proc/{others['witness']}/{what}", "write") in ("EACCES", "EPERM")


@pytest.mark.parametrize("who", OTHERS)
def test_limits_of_other_processes_are_out_of_reach(taken, others, who):
    assert taken.attempt("prlimit", others[who]) == "EPERM"


@pytest.mark.parametrize("who", OTHERS[:1] + OTHERS[2:])
def test_the_kernel_sends_no_signal_for_it(taken, others, who):
    """The owner of a descriptor is signalled as if by whoever chose it."""
    assert taken.attempt("owner", others[who]) == "ok"  # it may choose, and nothing comes of it
    time.sleep(0.2)
    assert is_there(others[who])
    assert taken.daemon.poll() is None


# ---- privileges

PRIVILEGES = {
    "the mark of its upstream sockets": ("mark", "EPERM"),
    "an ambient capability": ("ambient", "EPERM"),
    "raw packets": (f"socket 2 3 1", "EPERM"),
    "raw packets of IPv6": (f"socket 10 3 58", "EPERM"),
}


@pytest.mark.parametrize("name", PRIVILEGES)
def test_no_privilege_comes_back(taken, name):
    words, expected = PRIVILEGES[name]
    assert taken.attempt(words) == expected


def test_it_holds_no_map_no_program_and_no_file_of_others(taken):
    held = taken.attempt("descriptors").split()
    assert held and not [one for one in held if "bpf" in one or "btf" in one or one.startswith("/proc/")]
    own = (str(taken.folder), "socket:[", "pipe:[", "anon_inode:[", "/dev/null", "/dev/urandom", "/dev/random")
    assert [one for one in held if not one.startswith(own)] == []


@pytest.mark.parametrize("path", ["/sys/fs/bpf", "/sys/kernel/debug", "/sys/kernel/tracing"])
def test_nothing_pinned_is_reached(taken, path):
    if not os.path.ismount(path):
        pytest.skip(f"nothing is mounted at {path}")
    assert taken.attempt("open", path, "list") == "EACCES"


# ---- the witness

IDLE = ("import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', 7070)); client = socket.create_connection(('127.0.0.1', 7070))\n"
        "accepted, _ = listener.accept(); accepted.sendall(b'x'); client.recv(1)\n"
        "print(client.getsockname()[1], flush=True); sys.stdin.read()\n")


def nobody_is_named(said):
    found = json.loads(said)
    assert (found["process"], found["holders"]) == (None, []), found
    return found


def test_sockets_that_it_does_not_hold_are_none_of_its_business(taken):
    """A connection between others, which connection tracking knows and whose holder sock_diag would find."""
    child = taken.world.popen("host", ["/usr/bin/python3", "-I", "-S", "-c", IDLE], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, user="nobody")
    port = child.stdout.readline().strip()
    found = nobody_is_named(taken.attempt("who", "127.0.0.1", port, "127.0.0.1", 7070))
    assert (found["is_found"], found["uid"], found["attribution"]["grade"]) == (False, -1, "none")
    child.communicate("")


WAITING = ("import socket, sys\n"
           "client = socket.create_connection(('169.254.169.254', 80))\n"
           "print(client.getsockname()[0], client.getsockname()[1], flush=True); sys.stdin.read()\n")


def test_one_that_was_brought_to_it_is_named(taken):
    """The same question where there is an answer."""
    child = taken.world.popen("host", ["/usr/bin/python3", "-I", "-S", "-c", WAITING], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, user="nobody")
    address, port = child.stdout.readline().split()
    found = json.loads(taken.attempt("who", address, port, "127.0.0.1", 8775))
    assert found["process"]["uid"] == NOBODY.pw_uid and found["attribution"]["grade"] == "exact"
    child.communicate("")


@pytest.mark.parametrize("tuple_of", [("127.0.0.1", 1, "127.0.0.1", 8775), ("::1", 1, "::1", 8775), ("0.0.0.0", 0, "0.0.0.0", 0),
                                      ("169.254.169.254", 80, "127.0.0.1", 8775)])
def test_connections_that_are_not_there_name_nobody(taken, tuple_of):
    assert nobody_is_named(taken.attempt("who", *tuple_of))["attribution"]["grade"] == "none"


def test_nobody_is_named_before_a_connection_is(taken):
    assert nobody_is_named(taken.attempt("who-first"))["attribution"]["grade"] == "none"


LOOK, FIRST, WHO, SOCKET, DIGESTS, STATUS = range(1, 7)

# Name -> magic, kind, bytes beyond a query's, how many at once; what comes back; what is counted.
QUERIES = {
    "too short": ("right", FIRST, -1, 1, "0, closed", "malformed"),
    "one byte": ("right", FIRST, -10**6, 1, "0, closed", "malformed"),
    "another magic": ("wrong", FIRST, 0, 1, "0, closed", "malformed"),
    "no kind": ("right", 0, 0, 1, "0, closed", "malformed"),
    "a kind that there is not": ("right", 7, 0, 1, "0, closed", "malformed"),
    "a byte too long": ("right", FIRST, 1, 1, "0, closed", "oversized"),
    "as long as can be": ("right", FIRST, 150000, 1, "0, closed", "oversized"),
    "a flood of the cheapest": ("right", FIRST, 0, 300, "0, closed", "flooding"),
    "a flood": ("right", LOOK, 0, 200, "0, closed", "flooding"),
    "a good one": ("right", FIRST, 0, 1, "1, open", None),
}


@pytest.mark.parametrize("name", QUERIES)
def test_bad_queries_are_refused_and_counted(taken, name):
    magic, kind, more, times, expected, counted = QUERIES[name]
    size = int(taken.attempt("size"))
    before = taken.refused()
    said = taken.attempt("query", magic, kind, max(1, size + more), times)
    after = taken.refused()
    # Of several at once the first may have been answered before the next was there.
    assert said == expected or (counted == "flooding" and said.endswith(", closed") and int(said.split(",")[0]) < times), said
    assert {key for key in after if after[key] != before[key]} == ({counted} if counted else set())


@pytest.mark.parametrize("words, counted", [("main 2", "malformed"), ("main 100", "malformed"), ("main 150000", "oversized"),
                                            ("change", "malformed"), ("line-of-a-file /etc/passwd", "malformed"),
                                            ("line-of-a-file /proc/self/stat", "malformed")])
def test_bad_messages_to_its_main_thread_are_refused_and_counted(taken, words, counted):
    before = taken.refused()[counted]
    taken.attempt(words)
    assert eventually(lambda: taken.refused()[counted] == before + 1, DEADLINE_S), taken.refused()


def test_a_line_that_is_given_up_is_no_attack(taken):
    """A proxy whose witness was late closes the line with the answer in it; status must not speak of refused queries then."""
    before, ends = taken.refused(), time.monotonic() + 1
    assert taken.attempt("give-up") == "ok"
    while time.monotonic() < ends:
        assert taken.refused() == before


def test_lines_are_bounded_and_those_beyond_are_counted(taken):
    before = taken.refused()["too_many_lines"]
    served = int(taken.attempt("many-lines"))
    assert 0 < served <= 512 + 8
    assert taken.refused()["too_many_lines"] - before >= 2000 - 512 - 8


def test_status_says_that_queries_were_refused(taken):
    done = taken.keytrail("status", "-c", str(taken.config), "-o", "json")
    assert "queries-refused" in [point["id"] for point in json.loads(done.stdout)["faults"]]
    assert done.returncode == 3


def test_all_works_as_before(taken):
    """After all that was tried: nothing was lost over it, and it is counted for monitoring, too."""
    assert taken.credentials()["Code"] == "Success"
    assert taken.rows()[-1]["grade"] == "exact"
    assert is_there(taken.witness_pid())


# ---- what ends the process at once

def test_no_other_process_is_signalled(taken, others):
    """By tgkill(2), which a process needs for itself: another's number ends it."""
    for who in OTHERS:
        with_daemon(taken, ("tgkill", others[who] if who != "witness" else taken.witness_pid(), 0))
        assert who == "witness" or is_there(others[who])


def with_daemon(taken, words):
    """The attempt ends the proxy, and with it the witness; both are started again."""
    witness = taken.witness_pid()
    assert taken.attempt(*words) == ""
    assert taken.daemon.wait(timeout=DEADLINE_S) == -signal.SIGSYS
    assert eventually(lambda: not is_there(witness), DEADLINE_S)
    taken.start()


CALLS = ["ptrace", "process_vm_readv", "process_vm_writev", "kill", "tkill", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
         "process_madvise", "kcmp", "bpf", "perf_event_open", "execve", "execveat", "unshare", "setns", "mount", "move_mount",
         "open_by_handle_at", "chroot", "setuid", "setresuid", "setgroups", "setfsuid", "capset", "io_uring_setup", "keyctl",
         "init_module", "finit_module", "kexec_load", "userfaultfd", "memfd_create", "mknodat", "name_to_handle_at",
         "personality", "seccomp", "shmget", "timer_create", "setpriority"]
ATTEMPTS = [("call", call) for call in CALLS] + [("fork",), ("socket", 16, 3, 4), ("socket", 16, 3, 0), ("socket", 17, 3, 0),
                                                ("socket", 38, 5, 0), ("socket", 40, 1, 0)]


@pytest.mark.parametrize("words", ATTEMPTS, ids=lambda words: "-".join(map(str, words)))
def test_calls_that_end_it(taken, words):
    with_daemon(taken, words)
