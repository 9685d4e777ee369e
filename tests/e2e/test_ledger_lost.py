# SPDX-License-Identifier: Apache-2.0
"""The ledger is taken away while the daemon runs: deleted, replaced, locked, made a folder of. What clients see, and what is kept."""

import contextlib
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, ROLE_PATH, Instance, eventually, needs_world

pytestmark = needs_world


@contextlib.contextmanager
def deleted(instance):
    for path in instance.state.glob("ledger.db*"):
        path.unlink()
    yield "deleted or replaced"


@contextlib.contextmanager
def replaced(instance):
    for path in instance.state.glob("ledger.db-*"):
        path.unlink()
    instance.ledger.rename(instance.state / "elsewhere")
    instance.ledger.write_text("This was a ledger.\n" * 100)
    yield "deleted or replaced"
    instance.ledger.unlink()


@contextlib.contextmanager
def locked(instance):
    with sqlite3.connect(instance.ledger, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        yield "locked"
        db.execute("ROLLBACK")


@pytest.mark.parametrize("on_failure", ["journal", "refuse"])
@pytest.mark.parametrize("how", [deleted, replaced, locked])
def test_no_key_leaves_on_the_word_of_a_file_that_is_not_there(how, on_failure):
    with Instance({"ledger": {"on_failure": on_failure}}) as instance:
        instance.credentials()
        token = instance.token()
        with how(instance) as problem:
            status, _, body = instance.get(ROLE_PATH + "web-server", token)
            said = instance.status()["ledger"]
            assert problem in said["last_error"] and said["writable"] is False
            assert "ledger_failing" in instance.log.read_text()
            if on_failure == "journal":
                assert status == 200 and said["journalled"] > 0
            else:
                assert (status, body) == (503, "") and said["dropped"] > 0
        # It is taken up again, and what was in the journal is in it.
        assert eventually(lambda: instance.status()["ledger"]["writable"], DEADLINE_S), instance.log.read_text()
        assert instance.get(ROLE_PATH + "web-server", token)[0] == 200
        expected = (1 if how is locked else 0) + (1 if on_failure == "journal" else 0) + 1
        assert len(instance.rows("access_key_id IS NOT NULL AND outcome <> 'refused'")) == expected
        assert instance.keytrail("ledger", "verify").returncode == 0


@pytest.mark.parametrize("on_failure", ["journal", "refuse"])
def test_a_full_disk(on_failure):
    instance = Instance({"ledger": {"on_failure": on_failure}})
    instance.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=750,uid=keytrail,gid=keytrail", "none", str(instance.state)],
                   check=True)
    try:
        with instance:
            instance.credentials()
            token = instance.token()
            filler = instance.state / "filler"
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], stderr=subprocess.DEVNULL)
            status, _, body = instance.get(ROLE_PATH + "web-server", token)
            said = instance.status()["ledger"]
            assert "full" in said["last_error"] and said["writable"] is False
            if on_failure == "journal":
                assert status == 200 and said["journalled"] > 0 and said["dropped"] == 0
            else:
                assert (status, body) == (503, "") and said["dropped"] > 0
            filler.unlink()
            assert eventually(lambda: instance.status()["ledger"]["writable"], DEADLINE_S), instance.log.read_text()
            assert instance.get(ROLE_PATH + "web-server", token)[0] == 200
            delivered = instance.rows("access_key_id IS NOT NULL AND outcome <> 'refused'")
            assert len(delivered) == (3 if on_failure == "journal" else 2)
            assert instance.keytrail("ledger", "verify").returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(instance.state)], check=True)
        shutil.rmtree(instance.folder, ignore_errors=True)
