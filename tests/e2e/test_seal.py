# SPDX-License-Identifier: Apache-2.0
"""`keytrail seal`: what is baked into an image has no keys and no history."""

import json
import os
import pathlib
import pty
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import Instance, binary, needs_world

FILES = ("ledger.db", "ledger.db-wal", "journal", "host.key", "token.key", "instance", "findings.db")


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    (folder / "archive" / "i-01234567-20260101T000000Z").mkdir(parents=True)
    (folder / "archive" / "i-01234567-20260101T000000Z" / "ledger.db").write_text("x")
    for name in FILES:
        (folder / name).write_text("x")
    (folder / "mine.txt").write_text("x")
    (tmp_path / "keytrail.conf").write_text(f"[daemon]\nruntime = {tmp_path}/run\n[ledger]\npath = {folder}/ledger.db\n")
    return folder


def seal(state, *words, **more):
    return subprocess.run([str(binary("keytrail")), "seal", "-c", str(state.parent / "keytrail.conf"), *words], text=True,
                          capture_output=True, timeout=30, **more)


def test_everything_of_ours_is_gone(state):
    done = seal(state, "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["kind"], said["removed"], said["others"]) == ("seal", len(FILES) + 1, 1)
    assert [entry.name for entry in state.iterdir()] == ["mine.txt"]
    assert json.loads(seal(state, "--yes", "-o", "json").stdout)["removed"] == 0


def test_without_anybody_to_ask_nothing_is_removed(state):
    done = seal(state, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "") and "--yes" in done.stderr
    assert (state / "ledger.db").exists()


@pytest.mark.parametrize("answer, status", [("yes\n", 0), ("y\n", 1), ("\n", 1)])
def test_it_asks_in_a_terminal(state, answer, status):
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = seal(state, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == status and "for good?" in done.stderr
    assert (state / "ledger.db").exists() == (status != 0)


@needs_world
def test_it_refuses_while_the_daemon_runs():
    with Instance() as instance:
        instance.credentials()
        words = ["seal", "-c", str(instance.config), "--yes"]
        done = instance.keytrail(*words)
        assert done.returncode == 1 and "running" in done.stderr
        assert (instance.state / "host.key").exists()
        instance.stop()
        assert instance.keytrail(*words).returncode == 0
        assert list(instance.state.iterdir()) == []
        instance.start()
        instance.credentials()
        assert len(instance.rows("access_key_id IS NOT NULL")) == 1
