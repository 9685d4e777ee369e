# SPDX-License-Identifier: Apache-2.0
"""The ledger fails while the daemon runs, in every way that a disk, another program or an operator can bring about. For both
settings of on_failure: what the client saw, what status, log and metrics said, and what the ledger holds afterwards."""

import collections
import contextlib
import dataclasses
import json
import pathlib
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import disks
from imds import binary
from instance import DEADLINE_S, QUICK_S, ROLE_PATH, eventually, needs_world
from watched import Watched

pytestmark = needs_world



# ---- what goes wrong: each yields while it is wrong

def remove(instance, *names):
    for name in names:
        (instance.state / name).unlink()


@contextlib.contextmanager
def deleted(instance):
    remove(instance, "ledger.db", "ledger.db-wal", "ledger.db-shm")
    yield


@contextlib.contextmanager
def replaced(instance):
    remove(instance, "ledger.db-wal", "ledger.db-shm")
    instance.ledger.rename(instance.state / "elsewhere")
    instance.ledger.write_text("This was a ledger.\n" * 100)
    yield
    instance.ledger.unlink()


@contextlib.contextmanager
def wal_deleted(instance):
    remove(instance, "ledger.db-wal")
    yield


def overwrite(path, length):
    with path.open("r+b") as file:
        file.write(b"neither a ledger nor a log of one " * (length // 34))


@contextlib.contextmanager
def overwritten(instance):
    overwrite(instance.ledger, instance.ledger.stat().st_size)
    yield
    remove(instance, "ledger.db", "ledger.db-wal", "ledger.db-shm")


@contextlib.contextmanager
def wal_overwritten(instance):
    overwrite(instance.state / "ledger.db-wal", 4096)
    yield


@contextlib.contextmanager
def locked(instance):
    with contextlib.closing(sqlite3.connect(instance.ledger, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@contextlib.contextmanager
def locked_without_journal(instance):
    with locked(instance):
        (instance.state / "journal").unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def full(instance):
    instance.disk.full()
    yield
    instance.disk.mended()


@contextlib.contextmanager
def read_only(instance):
    instance.disk.read_only()
    yield
    instance.stop()  # a file system that the kernel has closed opens again by being mounted anew
    instance.disk.unmount()
    instance.disk.mount()
    instance.start()


@contextlib.contextmanager
def with_errors(instance):
    instance.disk.with_errors()
    yield
    instance.disk.without_errors()


@contextlib.contextmanager
def too_large(instance):
    """A file size limit, as a unit's LimitFSIZE=: the kernel's signal for it is not to end the daemon."""
    set_limit = ["setpriv", "--reuid=keytrail", "--regid=keytrail", "--clear-groups", "prlimit", f"--pid={instance.daemon.pid}"]
    size = (instance.state / "ledger.db-wal").stat().st_size
    subprocess.run([*set_limit, f"--fsize={size}:"], check=True)
    yield
    subprocess.run([*set_limit, "--fsize=unlimited:"], check=True)


def memory_disk(instance):
    return disks.Memory(instance.state, 8)


def block_disk(instance):
    return disks.Block(instance.state, instance.folder / "backing")


@dataclasses.dataclass
class Fault:
    """`said` stands in status and log meanwhile. `lost`: deliveries before are gone with the file. `mends`: by itself, within
    a second. `journal_fails`: the journal lies on the same disk. `disk`: what the state folder is on."""
    how: object
    said: str
    lost: bool = False
    mends: bool = False
    journal_fails: bool = False
    disk: object = None


FAULTS = {
    "deleted": Fault(deleted, "deleted or replaced", lost=True, mends=True),
    "replaced": Fault(replaced, "deleted or replaced", lost=True),
    "WAL deleted": Fault(wal_deleted, "deleted or replaced", mends=True),
    "overwritten": Fault(overwritten, "overwritten", lost=True),
    "WAL overwritten": Fault(wal_overwritten, "overwritten", lost=True, mends=True),
    "locked": Fault(locked, "locked"),
    "locked, journal deleted": Fault(locked_without_journal, "locked"),
    "disk full": Fault(full, "full", disk=memory_disk),
    "read-only": Fault(read_only, "(readonly|read-only|I/O error)", journal_fails=True, disk=block_disk),
    "too large": Fault(too_large, "(I/O error|full)"),
    "I/O errors": Fault(with_errors, "(I/O error|full)", journal_fails=True, disk=block_disk),
}


@contextlib.contextmanager
def running(fault, on_failure):
    instance = Watched(settings={"ledger": {"on_failure": on_failure}})
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, instance.folder, ignore_errors=True)
        if fault.disk is not None:
            instance.disk = stack.enter_context(disks.lent(fault.disk(instance)))
        yield stack.enter_context(instance)


def fetch(instance, token):
    """(status, body, seconds)"""
    began = time.monotonic()
    status, _, body = instance.get(ROLE_PATH + "web-server", token)
    return status, body, time.monotonic() - began


def fails(instance, token, fault, keeps_on):
    """Fetches until the fault shows: a disk may have room for a row in the last page that it has, and so may the journal. The
    answer then, and how many keys were handed out before."""
    for before in range(200):
        answer = fetch(instance, token)
        if re.search(f"ledger_failing.*{fault.said}", instance.log.read_text()) and (keeps_on or answer[0] != 200):
            return answer, before
    raise AssertionError("nothing failed")


def check_said(instance, fault, keeps_on):
    """What status and metrics say. (What has mended itself meanwhile is in the counts only.)"""
    said, values = instance.status()["ledger"], instance.values()
    if not fault.mends:
        assert said["writable"] is False and re.search(fault.said, said["last_error"]), said
        assert values["keytrail_ledger_writable", ""] == 0
    if keeps_on:
        assert said["journalled"] > 0 and said["dropped"] == 0
        assert values["keytrail_ledger_journalled_total", ""] >= said["journalled"]
    else:
        assert said["dropped"] > 0
        assert values["keytrail_ledger_dropped_total", ""] >= said["dropped"]
        # Counted when the answer is out, so perhaps a moment after the client has it.
        assert eventually(lambda: instance.values()["keytrail_refusals_total", 'reason="ledger"'] >= 1)


def outcomes(instance):
    return collections.Counter(row["outcome"] for row in instance.rows("access_key_id IS NOT NULL", settle=False))


@pytest.mark.parametrize("on_failure", ["journal", "refuse"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_ledger_that_fails(name, on_failure):
    fault = FAULTS[name]
    keeps_on = on_failure == "journal" and not fault.journal_fails
    with running(fault, on_failure) as instance:
        instance.credentials()
        instance.rows()
        token = instance.token(ttl=600)
        with fault.how(instance):
            (status, body, took), before = fails(instance, token, fault, keeps_on)
            assert took < QUICK_S
            assert (status, body) == (503, "") if not keeps_on else (status == 200 and "AccessKeyId" in body)
            check_said(instance, fault, keeps_on)
            again = fetch(instance, token)[0]
            assert again == status or (fault.mends and again == 200)  # and so it goes on
            assert instance.token()  # tokens need no ledger
        # It is taken up again by itself, and what the journal held is in it.
        assert eventually(lambda: instance.status()["ledger"]["writable"], DEADLINE_S), instance.log.read_text()
        assert fetch(instance, token)[0] == 200
        assert eventually(lambda: instance.value("keytrail_ledger_writable") == 1, DEADLINE_S)
        expected = (0 if fault.lost else 1 + before) + (status == 200) + (again == 200) + 1
        def settled():
            got = outcomes(instance)
            return got["delivered"] if got["delivered"] + got["recorded"] >= expected else 0
        # What became of the last answer before the fault may have been lost with it: it stays recorded. So may a row that was
        # refused because nobody could say where it went. Neither is ever delivered.
        assert eventually(lambda: settled() >= expected - (0 if keeps_on else 1), DEADLINE_S), outcomes(instance)
        after = outcomes(instance)
        assert after["delivered"] <= expected and after["recorded"] <= 3 and after["aborted"] == 0, after
        verified = instance.keytrail("ledger", "verify", "-o", "json")
        assert verified.returncode == 0 and json.loads(verified.stdout)["whole"] is True, verified.stdout
        print(f"{name}, {on_failure}: {status}, {len(body)} bytes, {took * 1000:.0f} ms; afterwards {dict(after)}")


def test_damage_inside_is_found_by_reading():
    """Pages that are not read any more are not missed by who writes, but `verify` names the damage."""
    with Watched() as instance:
        for _ in range(10):
            instance.credentials()
        instance.rows()
        instance.stop()
        with contextlib.closing(sqlite3.connect(instance.ledger)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or all pages would be read from the WAL
        instance.start()
        token = instance.token()
        with instance.ledger.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (instance.ledger.stat().st_size - 4096))
        assert fetch(instance, token)[0] == 200  # by the journal, if it was met
        done = instance.keytrail("ledger", "verify", "-o", "json")
        assert done.returncode == 3 and json.loads(done.stdout)["whole"] is False


def test_a_clock_that_is_set_back():
    """Rows stay in the order in which they came; status, log, metrics and coverage say that times came twice."""
    clock = None
    with Watched() as instance:
        instance.stop()
        clock = instance.folder / "clock"
        clock.write_bytes(struct.pack("=q", 0))
        instance.environment = {"LD_PRELOAD": str(binary("keytraild").parent.parent / "tests" / "testclock.so"),
                                "KEYTRAIL_TEST_CLOCK": str(clock)}
        instance.start()
        first = instance.credentials()["AccessKeyId"]
        with clock.open("r+b") as file:
            file.write(struct.pack("=q", -3600))
        token = instance.token()  # tokens count from boot
        assert fetch(instance, token)[0] == 200
        # A failing ledger is tried again after a second, not after an hour.
        with locked(instance):
            assert fetch(instance, token)[0] == 200
            assert instance.status()["ledger"]["writable"] is False
        assert eventually(lambda: instance.status()["ledger"]["writable"], DEADLINE_S)
        rows = instance.rows("access_key_id IS NOT NULL")
        assert len(rows) == 3 and rows[0]["at_us"] > rows[1]["at_us"] + 3500e6
        assert instance.status()["ledger"]["clock_set_back"] >= 1
        assert instance.value("keytrail_ledger_clock_set_back_total") >= 1
        assert "warning clock_set_back seconds=" in instance.log.read_text()
        assert eventually(lambda: b"change" in b"".join(coverage(instance)), DEADLINE_S)
        said = json.loads(instance.keytrail("who", first, "-o", "json").stdout)
        assert "clock-set-back" in [gap["reason"] for gap in said["coverage"][0]["gaps"]], said["coverage"]
        assert instance.keytrail("ledger", "verify").returncode == 0


def coverage(instance):
    with contextlib.closing(sqlite3.connect(f"file:{instance.ledger}?mode=ro", uri=True)) as db:
        return [body.encode() for body, in db.execute("SELECT body FROM record WHERE kind='coverage'")]
