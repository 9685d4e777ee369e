# SPDX-License-Identifier: Apache-2.0
"""Who asked: what rows say of real processes, also of those that would like to be taken for others."""

import contextlib
import csv
import hashlib
import io
import json
import os
import pathlib
import pwd
import shutil
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, ROLE_PATH, TOKEN_HEADER, Instance, eventually, needs_world

pytestmark = needs_world
NOBODY = pwd.getpwnam("nobody")
CURL = os.path.realpath("/usr/bin/curl")
PYTHON3 = "/usr/bin/python3"
PYTHON = os.path.realpath(PYTHON3)
KEYS = ROLE_PATH + "web-server"
UNIFIED = next((path for path in map(pathlib.Path, ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"])
                if (path / "cgroup.procs").exists()), None)

# The contract: present in every process, null where unknown.
NAMED = ["pid", "started_at", "uid", "user", "exe", "exe_sha256", "exe_foreign_mount", "cmdline", "unit", "container_id", "pod_uid"]

# A client in one process: token, then keys. GETs with a User-Agent by which its row is found.
FETCH = """#!/usr/bin/python3
import http.client, os, sys
def ask(method, path, headers):
    connection = http.client.HTTPConnection("169.254.169.254", timeout=60)
    connection.request(method, path, headers={"User-Agent": os.environ["AGENT"], **headers})
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    return answer.read().decode()
def fetch():
    token = ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return ask("GET", "%s", {"X-aws-ec2-metadata-token": token})
if __name__ == "__main__":
    fetch()
""" % KEYS

# Runs a file that it holds open, whatever its name is by now: argv are what that is to be told.
EXEC_FD = """
import os, sys
kind, path, *words = sys.argv[1:]
if kind == "memfd":
    fd = os.memfd_create("hidden", os.MFD_CLOEXEC)
    os.write(fd, open(path, "rb").read())
else:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if kind == "deleted":
        os.unlink(path)
    else:
        os.rename(path + ".new", path)
os.execve(fd, ["curl", *words], os.environ)
"""


@pytest.fixture(scope="module")
def instance():
    with Instance() as made:
        (made.folder / "fetch.py").write_text(FETCH)
        (made.folder / "fetch.py").chmod(0o755)
        yield made


class Asking:
    """Runs a program that fetches keys; the delivery of its User-Agent."""

    serial = 0

    def __init__(self, instance):
        Asking.serial += 1
        self.instance = instance
        self.agent = f"agent-{Asking.serial}"
        self.env = {**os.environ, "AGENT": self.agent}
        self.fetch = str(instance.folder / "fetch.py")

    def words(self):
        """curl's, to fetch the keys."""
        return ["-sS", "-m", "10", "-f", "-o", "/dev/null", "-A", self.agent, "-H",
                f"{TOKEN_HEADER}: {self.instance.token()}", f"http://169.254.169.254{KEYS}"]

    def run(self, *argv, **more):
        done = self.instance.world.run("host", list(argv), env=self.env, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.delivery()

    def delivery(self):
        def find():
            lines = self.instance.keytrail("deliveries", "--path", KEYS).stdout.splitlines()
            return [row for row in map(json.loads, lines) if row["user_agent"] == self.agent]
        rows = eventually(find, DEADLINE_S)
        assert len(rows) == 1, rows
        assert rows[0]["attribution"]["grade"] == "exact", rows[0]["attribution"]
        process = rows[0]["process"]
        for one in [process, *process["ancestors"]]:
            assert [name for name in NAMED if name not in one] == []
        return process

    def digest(self):
        """Once it is known."""
        return eventually(lambda: self.delivery()["exe_sha256"], DEADLINE_S)


@pytest.fixture
def asking(instance):
    return Asking(instance)


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def test_a_plain_program(asking):
    process = asking.run(CURL, *asking.words(), user="nobody")
    status = os.stat(CURL)
    assert (process["exe"], process["exe_inode"]) == (CURL, status.st_ino)
    assert process["exe_device"] == f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    assert (process["uid"], process["effective_uid"], process["gid"]) == (NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_gid)
    assert process["user"] == "nobody"
    for field in ("ns_pid", "ns_uid", "script"):
        assert process[field] is None, field
    for field in ("exe_deleted", "exe_memfd", "exe_foreign_mount"):
        assert process[field] is False, field
    assert process["ancestors"][0]["known_by"] == "parent" and process["ancestors"][0]["pid"] == os.getpid()


# ---- scripts

def test_a_script(asking):
    process = asking.run(asking.fetch)
    assert process["exe"] == PYTHON and process["cmdline"][1] == asking.fetch
    assert process["script"] == {"path": asking.fetch, "inode": os.stat(asking.fetch).st_ino, "known_by": "argument",
                                 "device": process["exe_device"]}


def test_a_script_that_its_interpreter_holds_open(asking):
    path = asking.instance.folder / "fetch.sh"
    path.write_text('exec 3<>/dev/tcp/169.254.169.254/80\n'
                    f'printf "GET {KEYS} HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\nUser-Agent: $AGENT\\r\\n'
                    f'{TOKEN_HEADER}: $TOKEN\\r\\n\\r\\n" >&3\n'
                    'read -r line <&3; while read -r -t 10 rest <&3; do :; done; [[ $line == *200* ]]\n')
    asking.env["TOKEN"] = asking.instance.token()
    process = asking.run("bash", str(path), user="nobody")
    assert process["exe"] == os.path.realpath("/bin/bash")
    assert (process["script"]["path"], process["script"]["known_by"]) == (str(path), "descriptor")
    assert process["script"]["inode"] == path.stat().st_ino


def test_code_on_a_command_line_is_no_script(asking):
    process = asking.run(PYTHON3, "-c", FETCH, asking.fetch)
    assert process["exe"] == PYTHON and process["script"] is None


# ---- files that run

@pytest.mark.parametrize("kind", ["deleted", "replaced"])
def test_an_executable_that_is_no_longer_there(asking, kind):
    path = shutil.copy(CURL, asking.instance.folder / f"curl-{kind}")
    with open(path, "ab") as file:
        file.write(kind.encode())  # a content of its own
    digest = sha256(path)
    shutil.copy("/bin/true", f"{path}.new")
    process = asking.run(PYTHON3, "-c", EXEC_FD, kind, path, *asking.words())
    assert (process["exe"], process["exe_deleted"], process["exe_memfd"]) == (str(path), True, False)
    assert process["exe_foreign_mount"] is False
    assert asking.digest() == digest != sha256("/bin/true")


def test_an_executable_that_never_had_a_path(asking):
    process = asking.run(PYTHON3, "-c", EXEC_FD, "memfd", CURL, *asking.words(), user="nobody")
    assert (process["exe"], process["exe_deleted"], process["exe_memfd"]) == ("/memfd:hidden", True, True)
    assert asking.digest() == sha256(CURL)


def test_digests_are_late_once(asking):
    """The first row has none in itself and gets it joined in; those after it have it."""
    path = shutil.copy(CURL, asking.instance.folder / "curl-late")
    with open(path, "ab") as file:
        file.write(os.urandom(16))
    asking.run(path, *asking.words())
    assert asking.digest() == sha256(path)
    second = Asking(asking.instance)
    second.run(path, *second.words())
    with sqlite3.connect(f"file:{asking.instance.ledger}?mode=ro", uri=True) as db:
        own = db.execute("SELECT json_extract(a.body,'$.exe_sha256') FROM record r JOIN actor a ON a.id=r.actor"
                         " WHERE json_extract(a.body,'$.exe')=? ORDER BY r.seq", [str(path)]).fetchall()
        late = db.execute("SELECT json_extract(body,'$.exe_sha256') FROM record WHERE kind='executable'"
                          " AND json_extract(body,'$.exe')=?", [str(path)]).fetchall()
        view = db.execute("SELECT DISTINCT exe_sha256 FROM v_deliveries WHERE exe=?", [str(path)]).fetchall()
    # On a quick machine the digest is there for the first row already: then no row comes after it.
    assert own[1:] == [(sha256(path),)] and view == [(sha256(path),)]
    assert late == ([] if own[0][0] else [(sha256(path),)])
    found = asking.instance.keytrail("processes", "--sha256", sha256(path)).stdout.splitlines()
    assert {json.loads(line)["exe"] for line in found} == {str(path)}
    parent = asking.delivery()["ancestors"][0]
    assert eventually(lambda: asking.delivery()["ancestors"][0]["exe_sha256"], DEADLINE_S) == sha256(parent["exe"])


# ---- users and namespaces

def test_a_setuid_program(asking):
    path = shutil.copy(CURL, asking.instance.folder / "curl-setuid")
    os.chmod(path, 0o4755)
    process = asking.run(path, *asking.words(), user="nobody")
    assert (process["uid"], process["effective_uid"], process["user"]) == (NOBODY.pw_uid, 0, "nobody")


def test_a_user_namespace(asking):
    process = asking.run("unshare", "-U", "-r", CURL, *asking.words(), user="nobody")
    assert (process["uid"], process["ns_uid"], process["user"]) == (NOBODY.pw_uid, 0, None)
    assert process["exe_foreign_mount"] is False  # it has the machine's mount namespace


def test_a_pid_namespace(asking):
    process = asking.run("unshare", "-p", "-f", CURL, *asking.words())
    assert process["ns_pid"] == 1 and process["pid"] > 1
    assert process["ancestors"][0]["exe"].endswith("/unshare")


def test_a_mount_namespace_that_shows_another_file(asking):
    other = shutil.copy(CURL, asking.instance.folder / "curl-other")
    process = asking.run("unshare", "-U", "-r", "-m", "sh", "-c", f'mount --bind {other} {CURL}; exec "$@"', "sh", CURL,
                         *asking.words(), user="nobody")
    assert (process["exe"], process["exe_foreign_mount"], process["user"]) == (CURL, True, None)
    assert process["exe_inode"] == os.stat(other).st_ino != os.stat(CURL).st_ino


def test_a_thread(asking):
    code = FETCH.split("if __name__")[0] + ("import threading, sys\nthread = threading.Thread(target=fetch)\nthread.start()\n"
                                            "thread.join()\nprint(os.getpid(), thread.native_id)")
    done = asking.instance.world.run("host", [PYTHON3, "-c", code], env=asking.env)
    pid, thread = map(int, done.stdout.split())
    assert asking.delivery()["pid"] == pid != thread


# ---- hostile texts

def harmless(text):
    assert not [c for c in text if ord(c) < 32 and c not in "\n\r" or ord(c) == 127], text


def show_everywhere(asking):
    """The forms that people and programs read hold nothing that acts upon a terminal, and are what they claim to be."""
    instance = asking.instance
    for form in ("table", "csv", "json", "jsonl"):
        shown = instance.keytrail("processes", "-o", form).stdout
        harmless(shown)
        if form == "csv":
            assert len({len(row) for row in csv.reader(io.StringIO(shown, newline=""))}) == 1
        elif form == "json":
            json.loads(shown)
        elif form == "jsonl":
            [json.loads(line) for line in shown.splitlines()]


def test_a_command_line_of_two_megabytes(asking):
    words = ["y" * 131000] * 14 + ["\n\x1b[2J"]
    process = asking.run(asking.fetch, *words)
    assert process["cmdline"][1] == asking.fetch and process["pid"] > 1
    assert sum(map(len, process["cmdline"])) <= 4096
    show_everywhere(asking)


def test_a_hostile_name_and_command_line(asking):
    code = ("import ctypes\nctypes.CDLL(None).prctl(15, b'\\n\\x1b[2J\\xff\\nUid:\\t0')\n" + FETCH)
    argv = [PYTHON3.encode(), b"-c", code.encode(), b"\x1b]0;x\x07", b"a\nb", b"\xff\xfe", b"=cmd|x",
            b"X-aws-ec2-metadata-token: AQAEsecret"]
    process = asking.run(*map(os.fsdecode, argv), user="nobody")
    assert process["uid"] == NOBODY.pw_uid  # not what its name says
    assert "\\xff" in process["comm"] and "\n" not in process["comm"]
    assert process["cmdline"][3:6] == ["\x1b]0;x\x07", "a\nb", "\\xff\\xfe"]
    assert "AQAEsecret" not in json.dumps(process)
    show_everywhere(asking)


# ---- control groups

@contextlib.contextmanager
def control_group(path):
    made = []
    try:
        for part in reversed([path, *path.parents]):
            if not part.exists():
                part.mkdir()
                made.append(part)
        yield path
    finally:
        for part in reversed(made):
            eventually(lambda: not (part / "cgroup.procs").read_text(), DEADLINE_S)
            part.rmdir()


ID = "0123456789abcdef" * 4
POD = "12345678-9abc-def0-1234-56789abcdef0"


@pytest.mark.skipif(UNIFIED is None, reason="no control groups of version 2")
@pytest.mark.parametrize("path, unit, container, pod", [
    ("web.service", "web.service", None, None),
    (f"docker-{ID}.scope", None, ID, None),
    (f"docker-{ID}.scope/system.slice/sshd.service", None, ID, None),
    (f"kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope", None, ID, POD),
    (f"user@1000.service/docker-{ID}.scope", "user@1000.service", None, None),
])
def test_control_groups(asking, path, unit, container, pod):
    with control_group(UNIFIED / f"kt-{os.getpid()}.slice" / path) as group:
        process = asking.run("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh", CURL, *asking.words())
    assert (process["unit"], process["container_id"], process["pod_uid"]) == (unit, container, pod)
    assert process["cgroup"] == f"/kt-{os.getpid()}.slice/{path}"


@pytest.mark.skipif(UNIFIED is None, reason="no control groups of version 2")
def test_every_filter_finds_what_was_recorded(asking):
    """Of both lists: what is there is found, what is not is not."""
    path = shutil.copy(CURL, asking.instance.folder / "curl-found")
    with open(path, "ab") as file:
        file.write(os.urandom(16))
    with control_group(UNIFIED / f"kt-{os.getpid()}.slice" / "found.service" / f"docker-{ID}.scope") as group:
        run = f'echo $$ >{group}/cgroup.procs && exec setpriv --reuid {NOBODY.pw_uid} --clear-groups "$@"'
        process = asking.run("sh", "-c", run, "sh", str(path), *asking.words())
    assert (process["unit"], process["container_id"]) == ("found.service", ID)
    assert asking.digest() == sha256(path)
    found = {"--unit": "found.service", "--container": ID, "--exe": str(path), "--sha256": sha256(path), "--grade": "exact",
             "--uid": str(NOBODY.pw_uid), "--user": "nobody", "--pid": str(process["pid"])}
    other = {"--unit": "other.service", "--container": ID[::-1], "--exe": "/usr/bin/other", "--sha256": "00" * 32,
             "--grade": "shared", "--uid": "12345", "--user": "sys", "--pid": "1"}
    for command in ("deliveries", "processes"):
        def pids(*words):
            lines = map(json.loads, asking.instance.keytrail(command, *words).stdout.splitlines())
            return {(row["process"] or {}).get("pid") if command == "deliveries" else row["pid"] for row in lines}
        for option, value in found.items():
            assert process["pid"] in pids(option, value), (command, option)
            assert process["pid"] not in pids(option, other[option]), (command, option)
        assert pids(*(word for pair in found.items() for word in pair)) == {process["pid"]}


# ---- ancestors

@pytest.mark.parametrize("orphan, known_by", [
    ('sleep 0.5; exec "$@"', ["session"]),
    ('sh -c \'sleep 0.5; "$@"; :\' sh "$@"; :', ["parent", "parent", "session"]),
])
def test_the_leader_of_a_session_is_remembered(asking, orphan, known_by):
    """Somebody in between has ended before it asks; the shell that all came from lives on, and stands before who adopted
    the rest."""
    (asking.instance.folder / "orphan.sh").write_text(orphan)
    leader = f'sh -c \'sh {asking.instance.folder}/orphan.sh "$@" & :\' sh "$@"; sleep 3'
    process = asking.run("setsid", "-w", "sh", "-c", leader, "sh", CURL, *asking.words())
    ancestors = process["ancestors"]
    assert [one["known_by"] for one in ancestors[:len(known_by)]] == known_by
    assert "sleep 3" in ancestors[len(known_by) - 1]["cmdline"][2] and len(ancestors) > len(known_by)


def test_a_parent_that_ends_before_the_answer(asking):
    code = f"""
import os, socket, sys, time
ours, theirs = os.pipe()
if os.fork() == 0:
    os.close(theirs)
    client = socket.create_connection(("169.254.169.254", 80), timeout=20)
    time.sleep(0.5)  # until the witness has looked
    os.read(ours, 1)
    time.sleep(0.1)  # until it is adopted
    client.sendall(b"GET {KEYS} HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\nUser-Agent: {asking.agent}\\r\\n"
                   b"{TOKEN_HEADER}: {asking.instance.token()}\\r\\n\\r\\n")
    assert b" 200 " in client.recv(65536)
    sys.exit(0)
time.sleep(1)
os._exit(0)
"""
    done = asking.instance.world.run("host", [PYTHON3, "-c", code], env=asking.env)
    assert done.returncode == 0, done.stderr
    parent = asking.delivery()["ancestors"][0]
    assert (parent["known_by"], parent["exe"], parent["uid"]) == ("accept", None, 0)
    assert parent["comm"] == "python3"


# ---- where the daemon runs

def test_the_daemon_in_a_namespace_of_its_own():
    """As in a hardened unit: other mounts than the machine's, which changes nothing in what it sees."""
    under = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /mnt && mount --bind /bin/true /bin/false && exec "$@"', "sh"]
    with Instance(under=under) as instance:
        (instance.folder / "fetch.py").write_text(FETCH)
        (instance.folder / "fetch.py").chmod(0o755)
        plain, hardened, other = (Asking(instance) for _ in range(3))
        process = plain.run(CURL, *plain.words(), user="nobody")
        assert (process["exe"], process["exe_foreign_mount"], process["user"]) == (CURL, False, "nobody")
        assert plain.digest() == sha256(CURL)
        process = hardened.run("unshare", "-m", CURL, *hardened.words())
        assert (process["exe"], process["exe_foreign_mount"], process["user"]) == (CURL, False, "root")
        copy = shutil.copy(CURL, instance.folder / "other")
        process = other.run("unshare", "-m", "sh", "-c", f'mount --bind {copy} {CURL}; exec "$@"', "sh", CURL, *other.words())
        assert (process["exe"], process["exe_foreign_mount"]) == (CURL, True)
