# SPDX-License-Identifier: Apache-2.0
"""The units under a systemd that has booted: their order, restarts, upgrade, watchdog, timers, failing for good, the next
boot, removal. In process, control group and network namespaces of its own, so without eBPF, which needs the first process
namespace; and with no kernel modules to load."""

import json
import re
import shutil
import time

import pytest

from booted import Booted
from instance import IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER
from machine import machine_of
from world import eventually

UNITS = ["keytrail.socket", "keytraild.service", "keytrail-redirect.service", "keytrail-check.timer", "keytrail-export.timer",
         "keytrail-first-boot.service"]
DEADLINE_S = 40
SYSTEM = ["systemd", "systemd-sysv", "dbus", "iproute2"]

# What a virtual network card does not have, and a machine's has: a bus. So `auto` would find it only by its routes.
SETTINGS = """
[listen]
container_interfaces = br0
[daemon]
on_dead = open
"""

FETCH = f"""#!/bin/sh
token=$(curl -sS -m 20 -X PUT -H '{TTL_HEADER}: 60' http://{IMDS_V4}/latest/api/token) || echo "no token: $?"
curl -sS -m 20 -H "{TOKEN_HEADER}: $token" http://{IMDS_V4}{ROLE_PATH}web-server | grep -q AccessKeyId && echo got || echo failed
"""
LOOP = """#!/bin/sh
while [ -e /run/go ]; do /root/fetch; done
"""
# As cloud-init does: it configures the network for itself, and asks.
EARLY = """[Unit]
DefaultDependencies=no
Wants=network-pre.target
After=systemd-remount-fs.service
Before=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/root/network-up
ExecStart=/root/fetch
[Install]
WantedBy=multi-user.target
"""
# Ordered behind nothing: it asks until it gets an answer.
HASTY = """[Service]
ExecStart=/bin/sh -c 'until /root/fetch | grep got; do sleep 0.1; done'
[Install]
WantedBy=multi-user.target
"""
EARLY_UNIT, HASTY_UNIT = "cloud-init-local.service", "hasty.service"


@pytest.fixture(scope="module")
def packs(packages):
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is not installed")
    return packages


@pytest.fixture(scope="module")
def machine(debian, packs):
    """Has booted with all units of the package, one that asks as early as cloud-init, and one that asks from the start."""
    with machine_of(debian, Booted) as made:
        made.install(*SYSTEM, *made.bring(*packs)[:1])
        with (made.root / "etc/keytrail/keytrail.conf").open("a") as settings:
            settings.write(SETTINGS)
        made.place("/root/fetch", FETCH, 0o755)
        made.place("/root/loop", LOOP, 0o755)
        made.place(f"/etc/systemd/system/{EARLY_UNIT}", EARLY)
        made.place(f"/etc/systemd/system/{HASTY_UNIT}", HASTY)
        made.enable(*UNITS, EARLY_UNIT, HASTY_UNIT)
        made.boot()
        yield made


def status(machine):
    return json.loads(machine.run("keytrail", "status", "-o", "json", check=False).stdout)


def rows(machine):
    return [json.loads(line) for line in machine.run("keytrail", "deliveries", "-o", "jsonl").stdout.splitlines()]


def deliveries(machine):
    return [row for row in rows(machine) if row["access_key_id"] is not None]


def ready(machine):
    """All that was enabled runs, and is whole."""
    return [machine.is_active(unit) for unit in UNITS[:5]] == ["active"] * 5 and status(machine)["whole"] is True


def since_boot(machine, unit, message):
    """When a unit's message with that text was logged, in microseconds since the machine came up."""
    lines = machine.run("journalctl", "-b", "-a", "-o", "json").stdout.splitlines()
    found = [int(entry["__MONOTONIC_TIMESTAMP"]) for entry in map(json.loads, lines)
             if entry.get("UNIT") == unit and message in entry["MESSAGE"]]
    assert found, f"{unit}: no {message}"
    return found[0]


@pytest.fixture
def load(machine):
    """Clients that fetch without a pause, as units; called, it ends them and returns their lines, and how many rows that made."""
    names = ["load-1", "load-2"]
    before = len(deliveries(machine))
    machine.run("touch", "/run/go")
    for name in names:
        (machine.root / f"root/{name}.out").write_text("")
        machine.run("systemd-run", "-q", f"--unit={name}", "-p", f"StandardOutput=append:/root/{name}.out", "/root/loop")

    def ended():
        machine.run("rm", "-f", "/run/go")
        assert eventually(lambda: all(machine.is_active(name) != "active" for name in names), DEADLINE_S)
        lines = [(machine.root / f"root/{name}.out").read_text().splitlines() for name in names]
        return lines, len(deliveries(machine)) - before

    yield ended
    ended()


def test_boots_in_order(machine):
    assert eventually(lambda: ready(machine), DEADLINE_S), status(machine)
    assert "ordering cycle" not in machine.journal("-b")
    up = since_boot(machine, "keytrail-redirect.service", "Finished")
    daemon = since_boot(machine, "keytraild.service", "Started")
    early = since_boot(machine, EARLY_UNIT, "Starting")
    assert daemon < early and up < early
    # Each of them once: none has got what is not recorded.
    assert eventually(lambda: machine.is_active(HASTY_UNIT) == "inactive", DEADLINE_S)
    got = [(row["process"]["unit"], row["attribution"]["grade"], row["outcome"]) for row in deliveries(machine)]
    assert sorted(got) == [(unit, "exact", "delivered") for unit in (EARLY_UNIT, HASTY_UNIT)]


def test_first_boot_says_what_is_amiss(machine):
    lines = machine.journal("-u", "keytrail-first-boot", "-b").splitlines()
    points = [line for line in lines if line.startswith(("pass:", "mend:"))]
    assert len(points) > 8 and [line for line in points if line.startswith("mend:")] == [line for line in points if "eBPF" in line]
    assert "first pid namespace" in status(machine)["daemon"]["witness"]["ebpf"]
    failed = machine.systemctl("list-units", "--failed", "--plain", "--no-legend").split()
    assert failed[:1] == ["keytrail-first-boot.service"] and machine.state() == "degraded"


def test_the_journal_has_the_rows(machine):
    """Each of them, as JSON, with fields to select by."""
    key = deliveries(machine)[0]["access_key_id"]
    entries = [json.loads(line) for line in machine.run("journalctl", "-b", "-a", "-u", "keytraild", "-o", "json").stdout.splitlines()]
    named = [entry for entry in entries if key in entry["MESSAGE"] and "MESSAGE_ID" in entry]
    assert named and json.loads(named[0]["MESSAGE"])["access_key_id"] == key


def main_pid(machine):
    return machine.systemctl("show", "-P", "MainPID", "keytraild")


def is_another(machine, was):
    return eventually(lambda: main_pid(machine) not in (was, "0") and machine.is_active("keytraild") == "active", DEADLINE_S)


ACTS = {
    "reload": lambda machine, _: machine.systemctl("reload", "keytraild"),
    "restart": lambda machine, _: machine.systemctl("restart", "keytraild"),
    "redirect": lambda machine, _: machine.systemctl("reload", "keytrail-redirect"),
    "upgrade": lambda machine, packs: machine.run("dpkg", "-i", *machine.bring(*packs)[1:]),
}


@pytest.mark.parametrize("act", ACTS)
def test_no_request_fails_meanwhile(machine, packs, load, act):
    was = main_pid(machine)
    time.sleep(1)
    for _ in range(2 if act == "upgrade" else 3):
        ACTS[act](machine, packs)
        assert machine.is_active("keytraild") == "active" and ready(machine)
        time.sleep(0.5)
    lines, made = load()
    for of_one in lines:
        assert len(of_one) > 5 and set(of_one) == {"got"}, [line for line in of_one if line != "got"]
    assert made == sum(map(len, lines))
    assert (main_pid(machine) == was) == (act in ("reload", "redirect"))
    assert machine.run("keytrail", "ledger", "verify").returncode == 0


@pytest.mark.parametrize("who", ["main", "all"])
def test_killed(machine, who):
    was = main_pid(machine)
    machine.systemctl("kill", "-s", "KILL", f"--kill-who={who}", "keytraild")
    assert machine.run("/root/fetch").stdout == "got\n"
    assert is_another(machine, was) and ready(machine)


def test_a_daemon_that_hangs_is_restarted(machine):
    machine.place("/etc/systemd/system/keytraild.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "keytraild")
    was = main_pid(machine)
    machine.systemctl("kill", "-s", "STOP", "--kill-who=main", "keytraild")
    # It waits, and is served by the next one.
    assert machine.run("/root/fetch").stdout == "got\n"
    assert is_another(machine, was)
    assert "watchdog" in machine.journal("-b", "-u", "keytraild").lower()
    shutil.rmtree(machine.root / "etc/systemd/system/keytraild.service.d")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "keytraild")


def test_the_timer_mends_the_redirect(machine):
    timers = machine.systemctl("list-timers", "--no-legend")
    assert "keytrail-check.timer" in timers and "keytrail-export.timer" in timers
    machine.run("iptables", "-t", "nat", "-F")
    assert status(machine)["whole"] is False
    machine.systemctl("start", "keytrail-check.service")
    assert ready(machine)
    # Not after it was taken down on purpose.
    machine.systemctl("stop", "keytrail-redirect.service")
    machine.systemctl("start", "keytrail-check.service", check=False)
    assert status(machine)["redirect"]["whole"] is not True
    assert "KEYTRAIL" not in "".join(machine.rules())
    machine.systemctl("start", "keytrail-redirect.service")
    assert ready(machine)


def test_the_export_timer_writes_what_is_new(machine):
    machine.systemctl("start", "keytrail-export.service")
    spool = machine.root / "var/spool/keytrail"
    [first] = spool.glob("*.jsonl")
    keys = re.findall(r'"access_key_id":"(ASIA\w+)"', first.read_text())
    assert set(keys) >= {row["access_key_id"] for row in deliveries(machine)}
    machine.run("keytrail", "ledger", "import", "--ledger", "/root/merged.db", f"/var/spool/keytrail/{first.name}")
    assert machine.run("keytrail", "who", keys[0], "--ledger", "/root/merged.db").returncode == 0


@pytest.mark.parametrize("on_dead", ["open", "closed"])
def test_failing_for_good(machine, on_dead):
    settings = machine.root / "etc/keytrail/keytrail.conf"
    good = settings.read_text()
    bad = good.replace("on_dead = open", f"on_dead = {on_dead}") + "no_such = 1\n"
    settings.write_text(bad)
    machine.systemctl("restart", "keytraild", check=False)
    assert eventually(lambda: machine.is_active("keytrail.socket") == "inactive", DEADLINE_S), machine.journal("-b", "-u", "keytrail-dead")
    assert machine.is_active("keytraild") == "failed"
    assert (machine.is_active("keytrail-redirect") == "active") == (on_dead == "closed")
    # In either case nobody waits.
    begun = time.monotonic()
    direct = machine.run("curl", "-s", "-m", "20", "-o", "/dev/null", f"http://{IMDS_V4}/", check=False)
    assert time.monotonic() - begun < 15 and (direct.returncode == 0) == (on_dead == "open")
    settings.write_text(good)
    machine.systemctl("start", "keytraild.service")
    assert eventually(lambda: ready(machine), DEADLINE_S), status(machine)
    assert machine.run("/root/fetch").stdout == "got\n"


def test_the_next_boot(machine):
    before = deliveries(machine)
    begun = time.monotonic()
    machine.power_off()
    assert time.monotonic() - begun < 20  # the daemon holds up no shutdown
    machine.boot()
    assert eventually(lambda: ready(machine) and machine.is_active(HASTY_UNIT) == "inactive", DEADLINE_S), status(machine)
    after = deliveries(machine)
    assert len(after) == len(before) + 2
    assert {row["process"]["unit"] for row in after[:2]} == {EARLY_UNIT, HASTY_UNIT}
    assert machine.run("keytrail", "ledger", "verify").returncode == 0


def test_removal_from_a_running_system(machine):
    machine.run("dpkg", "-r", "keytrail")
    assert "KEYTRAIL" not in "".join(machine.rules())
    assert "keytraild" not in machine.processes()
    assert not machine.systemctl("list-units", "--failed", "--plain", "--no-legend")
    assert machine.run("curl", "-s", "-m", "5", f"http://{IMDS_V4}/", check=False).returncode == 0
