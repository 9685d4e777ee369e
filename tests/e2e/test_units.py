# SPDX-License-Identifier: Apache-2.0
"""The units of packaging/: in order for systemd, at boot ahead of whatever asks for credentials, and no hindrance to the
daemon. Under a systemd that has booted: tests/interop/test_booted.py."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import REDIRECT, ROOT, Instance, binary, eventually, needs_world

UNITS = sorted(path for path in (ROOT / "packaging").iterdir() if path.suffix in (".service", ".socket", ".timer"))
SYSTEM = pathlib.Path("/lib/systemd/system")
PROGRAMS = ["usr/sbin/keytraild", "usr/sbin/keytrail-redirect", "usr/bin/keytrail", "usr/share/keytrail/first-boot",
            "usr/bin/touch", "bin/sh", "bin/kill"]
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None or not SYSTEM.is_dir(),
                                   reason="systemd-analyze is not installed")

# What is on machines beside us, as its packages order it (cloud-init 22.4 and 24.3, nftables, netfilter-persistent).
OTHERS = {
    "cloud-init-local.service": "After=systemd-remount-fs.service\nBefore=network-pre.target sysinit.target shutdown.target\n",
    "cloud-init-main.service": "After=systemd-remount-fs.service\nBefore=cloud-init-local.service shutdown.target\n",
    "cloud-init.service": "After=cloud-init-local.service systemd-networkd-wait-online.service\n"
                          "Before=network-online.target sysinit.target shutdown.target\n",
    "nftables.service": "Before=network-pre.target shutdown.target\n",
    "netfilter-persistent.service": "After=systemd-modules-load.service local-fs.target\nBefore=network-pre.target\n",
    "systemd-networkd.service": "After=network-pre.target systemd-sysusers.service\nBefore=network.target\n",
}


def settings_of(name):
    """{key: [values]} of a unit of ours."""
    found = {}
    for line in (ROOT / "packaging" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def words_of(name, key):
    return [word for value in settings_of(name).get(key, []) for word in value.split()]


@pytest.fixture
def root(tmp_path):
    """A machine's files as far as systemd-analyze looks at them, with our units switched on."""
    system = tmp_path / "usr/lib/systemd/system"
    shutil.copytree(SYSTEM, system, symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    for unit in UNITS:
        shutil.copy(unit, system)
    for program in PROGRAMS:
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", tmp_path / program)
    for name, order in OTHERS.items():
        (system / name).write_text(f"[Unit]\nDefaultDependencies=no\n{order}[Service]\nType=oneshot\nExecStart=/bin/sh\n")
    for unit in UNITS:
        for target in re.findall(r"^WantedBy=(.*)", unit.read_text(), re.M):
            switch_on(tmp_path, unit.name, target)
    for name in OTHERS:
        switch_on(tmp_path, name, "multi-user.target")
    return tmp_path


def switch_on(root, name, target):
    wants = root / "etc/systemd/system" / f"{target}.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / name).symlink_to(f"/usr/lib/systemd/system/{name}")


def verify(root, *names):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}", *names], capture_output=True,
                          text=True, timeout=60)
    return done.stdout + done.stderr


@needs_systemd
def test_nothing_to_complain_about(root):
    assert [unit.name for unit in UNITS] == [
        "keytrail-check.service", "keytrail-check.timer", "keytrail-dead.service", "keytrail-export.service",
        "keytrail-export.timer", "keytrail-first-boot.service",
        "keytrail-redirect.service",
        "keytrail.socket", "keytraild.service"]
    assert verify(root, *(unit.name for unit in UNITS)) == ""


@needs_systemd
@pytest.mark.parametrize("line", ["Restart=sometimes", "NoSuchKey=1", "ExecStart=/usr/sbin/no-such-program"])
def test_mistakes_would_be_seen(root, line):
    unit = root / "usr/lib/systemd/system/keytraild.service"
    unit.write_text(unit.read_text() + f"[Service]\n{line}\n")
    assert verify(root, "keytraild.service") != ""


@needs_systemd
def test_boot_has_no_cycle(root):
    assert "cycle" not in verify(root, "multi-user.target")
    unit = root / "usr/lib/systemd/system/keytraild.service"
    unit.write_text(unit.read_text() + "[Unit]\nAfter=cloud-init.service\n")
    assert "cycle" in verify(root, "multi-user.target")  # it would be seen


@pytest.mark.parametrize("name", ["keytrail.socket", "keytrail-redirect.service", "keytraild.service"])
def test_first_at_boot(name):
    """Ahead of the network, and of cloud-init, which makes a network of its own before that."""
    before = words_of(name, "Before")
    assert settings_of(name)["DefaultDependencies"] == ["no"]
    assert "network-pre.target" in before and "network-pre.target" in words_of(name, "Wants")
    assert "cloud-init-local.service" in before or "keytraild.service" in before
    assert not [word for word in words_of(name, "After") if word in ("network.target", "network-online.target",
                                                                     "basic.target", "sysinit.target")]
    # A unit that fails must not hold up a boot: nothing of ours is required by another.
    assert not {"RequiredBy", "Requires", "BindsTo"} & set(settings_of(name))


def test_socket_has_the_addresses_of_the_daemon():
    source = (ROOT / "proxy/sockets.h").read_text()
    addresses = {"127.0.0.1:8775", "[::1]:8775"}
    addresses |= {f"{address}:8775" for address in re.findall(r'LISTEN_CONTAINER_IPV4 "(.*)"', source)}
    addresses |= {f"[{address}]:8775" for address in re.findall(r'LISTEN_CONTAINER_IPV6 "(.*)"', source)}
    assert set(settings_of("keytrail.socket")["ListenStream"]) == addresses and len(addresses) == 4


STUB = """#!/bin/sh
echo "$(basename "$0") $*" >>{log}
[ "$(basename "$0")" = systemctl ] || {answer}
"""


@pytest.mark.parametrize("answer,stopped", [("echo open", ["keytrail-redirect.service", "keytrail.socket"]),
                                            ("echo closed", ["keytrail.socket"]), ("exit 1", ["keytrail.socket"])])
def test_dead_unit_does_what_the_command_says(tmp_path, answer, stopped):
    for program in ("keytrail", "systemctl"):
        (tmp_path / program).write_text(STUB.format(log=tmp_path / "log", answer=answer))
        (tmp_path / program).chmod(0o755)
    command = settings_of("keytrail-dead.service")["ExecStart"][0].replace("$$", "$").replace("/usr/bin/", f"{tmp_path}/")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "MONITOR_UNIT": "keytraild.service",
                   "MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "2"}
    subprocess.run(shlex.split(command), env=environment, check=True, timeout=60)
    calls = (tmp_path / "log").read_text().splitlines()
    assert calls[0] == "keytrail dead keytraild.service: exit-code, status 2"
    assert calls[1:] == [f"systemctl --no-block stop {name}" for name in stopped]


@needs_world
def test_export_unit_writes_what_is_new(tmp_path):
    """Its command, twice: the second time there is little to say."""
    exports = tmp_path / "exports"
    exports.mkdir()
    with Instance() as instance:
        command = settings_of("keytrail-export.service")["ExecStart"][0].replace("$$", "$").replace("%%", "%")
        command = command.replace("/var/spool/keytrail", str(exports))
        command = command.replace("/usr/bin/keytrail ", f"{binary('keytrail')} ").replace(" --cursor", f" --ledger {instance.ledger} --cursor")
        got = []
        for _ in range(2):
            key = instance.credentials()["AccessKeyId"]
            eventually(lambda: len(instance.rows()) == len(got) + 1)
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
            text = max(exports.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns).read_text()
            got.append(text.count('"kind":"delivery"'))
            assert key in text
            time.sleep(1)  # the files are named by the second
        assert got == [1, 1] and (exports / "cursor").exists()


# ---- the daemon under what its unit imposes


@needs_world
def test_capabilities_suffice():
    kept = kept_capabilities("keytraild.service")
    with Instance() as instance:
        instance.stop()
        shutil.rmtree(instance.state)  # it makes its folders, too
        shutil.rmtree(instance.folder / "run")
        instance.under = ["setpriv", "--bounding-set", "-all," + ",".join(f"+{name}" for name in kept)]
        instance.start()
        for where in ({}, {"user": "nobody"}):
            instance.credentials(**where)
        assert [(row["grade"], row["exe"]) for row in instance.rows()] == [("exact", "/usr/bin/curl")] * 2
        assert instance.reload({"imdsv2": {"mode": "audit"}})["refused"] is False
        assert "backend_failed" not in instance.log.read_text()


def test_reload_reaches_another_user():
    """Root without CAP_KILL may signal root's processes only, and the daemon's is not one."""
    [reload] = settings_of("keytraild.service")["ExecReload"]
    assert reload.startswith("+") or "CAP_KILL" in words_of("keytraild.service", "CapabilityBoundingSet")


@needs_world
def test_a_mount_namespace_of_its_own_is_no_hindrance():
    """What ProtectSystem= and ProtectHome= do."""
    with Instance() as instance:
        instance.stop()
        script = "mount --bind /usr /usr && mount -o remount,bind,ro /usr && mount -t tmpfs none /home && exec \"$@\""
        instance.under = ["unshare", "-m", "/bin/sh", "-c", script, "sh"]
        instance.start()
        instance.credentials(user="nobody")
        row = instance.row()
        assert (row["grade"], row["exe"], row["user"]) == ("exact", "/usr/bin/curl", "nobody")


def calls_in(words):
    """System calls; groups are resolved by systemd-analyze."""
    calls, waiting = set(), list(words)
    while waiting:
        name = waiting.pop()
        if not name.startswith("@"):
            calls.add(name)
            continue
        done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        waiting += [line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return calls


def allowed_calls(unit):
    """What SystemCallFilter= leaves, line by line."""
    calls = set()
    for line in settings_of(unit)["SystemCallFilter"]:
        if line.startswith("~"):
            calls -= calls_in(line[1:].split())
        else:
            calls |= calls_in(line.split())
    return calls


def kept_capabilities(unit):
    return [word.lower().removeprefix("cap_") for word in words_of(unit, "CapabilityBoundingSet")]


@needs_world
@needs_systemd
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_system_calls_suffice():
    with Instance() as instance:
        instance.stop()
        trace = instance.folder / "trace"
        instance.under = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=all", "-e", "signal=none"]
        with instance.log.open("ab") as log:
            tracer = instance.world.popen("host", [*instance.under, *instance.command()], stderr=log, stdout=log)
        assert eventually(instance.listens, 30)
        instance.get("/latest/meta-data/", instance.token(ns="host"))
        daemon = int(pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split()[0])
        os.kill(daemon, 1)
        assert eventually(lambda: instance.status()["reload"]["last_at"])
        os.kill(daemon, 15)
        tracer.wait(timeout=30)
        used = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
        assert {"accept4", "setns", "fork", "clone", "clone3"} & used
        assert used - allowed_calls("keytraild.service") - {"execve", "arch_prctl"} == set()


@needs_world
@needs_systemd
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_redirect_needs_no_more_than_its_unit_has():
    """Capabilities, no new privileges, a file system that is read-only but for /run, system calls."""
    unit = "keytrail-redirect.service"
    assert settings_of(unit)["ProtectSystem"] == ["strict"] and words_of(unit, "ReadWritePaths") == ["/run"]
    with Instance(redirect=False) as instance:
        trace = instance.folder / "trace"
        writable = " && ".join(f"mount --bind {path} {path}" for path in ("/", "/run", instance.folder))
        kept = ",".join(f"+{name}" for name in kept_capabilities(unit))
        confined = ["unshare", "-m", "/bin/sh", "-c", f'{writable} && mount -o remount,bind,ro / && exec "$@"', "sh",
                    "setpriv", "--bounding-set", f"-all,{kept}", "--no-new-privs",
                    "strace", "-f", "-qq", "-o", str(trace), "-e", "trace=all", "-e", "signal=none"]
        for verb in ("up", "check", "repair", "down"):
            done = instance.world.run("host", [*confined, str(REDIRECT), "-c", str(instance.config), verb], timeout=60)
            assert done.returncode == 0, (verb, done.stderr)
            if verb == "repair":
                instance.credentials()
            used = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
            assert {"execve", "sendmsg"} & used
            assert used - allowed_calls(unit) - {"execve", "arch_prctl"} == set(), verb
        assert len(instance.rows()) == 1


def open_points(unit):
    """What `systemd-analyze security` complains about, by its names."""
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", str(ROOT / "packaging" / unit)],
                          capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, timeout=60)
    assert "Overall exposure level" in done.stdout, done.stderr
    return {line.split()[1] for line in done.stdout.splitlines() if line.startswith("\N{BALLOT X}")}


@needs_systemd
def test_the_export_has_nothing_to_lose():
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true",
                           str(ROOT / "packaging/keytrail-export.service")], capture_output=True, text=True, timeout=60)
    assert float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1]) <= 2.0


@needs_systemd
@pytest.mark.parametrize("unit,column", [("keytraild.service", 0), ("keytrail-redirect.service", 1)])
def test_what_the_units_leave_open_is_explained(unit, column):
    text = (ROOT / "docs/threat-model.md").read_text().partition("## What the units leave open")[2].partition("\n## ")[0]
    explained = set()
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if line.startswith("| `") and cells[column + 1].strip("| ") == "open":
            explained |= set(re.findall(r"`([^`]+)`", cells[0].replace("\\|", "|")))
    assert open_points(unit) == explained


# ---- the watchdog


@needs_world
def test_watchdog_is_told_while_there_are_workers():
    with Instance(settings={"listen": {"max_connections": 1}}) as instance, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        instance.stop()
        manager.bind(str(instance.folder / "notify"))
        (instance.folder / "notify").chmod(0o777)
        manager.settimeout(10)
        instance.environment = {"NOTIFY_SOCKET": str(instance.folder / "notify"), "WATCHDOG_USEC": "1000000"}
        instance.start()
        assert manager.recv(100) == b"READY=1"
        assert [manager.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        # All workers wait for a witness that does not answer, for longer than two turns of the watchdog.
        witness = instance.witness_pid()
        os.kill(witness, signal.SIGSTOP)
        try:
            clients = [instance.world.popen("host", ["curl", "-s", "-m", "20", "http://169.254.169.254/"],
                                            stdout=subprocess.DEVNULL) for _ in range(20)]
            assert eventually(lambda: "workers_stuck" in instance.log.read_text())
        finally:
            os.kill(witness, signal.SIGCONT)
        for client in clients:
            client.wait(timeout=30)
        time.sleep(0.1)
        manager.setblocking(False)
        try:
            while True:
                manager.recv(100)
        except BlockingIOError:
            manager.settimeout(10)
        assert manager.recv(100) == b"WATCHDOG=1"  # again
