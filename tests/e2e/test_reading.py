# SPDX-License-Identifier: Apache-2.0
"""Reading a ledger anywhere: of a machine that is dead, on a disk mounted read-only, its WAL unfinished; by members of the
ledger's group while the daemon is down; and out of a backup of an open one."""

import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from test_cli import KEYTRAIL, MAKE_LEDGER, ROWS, make_ledger, needs_root

pytestmark = [pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built"), needs_root]

GROUP = 12345  # nobody's, so that only it opens the file


@pytest.fixture
def dead(tmp_path):
    """A state folder as a crash left it: the last rows are in the WAL only."""
    live, folder = tmp_path / "live", tmp_path / "dead"
    live.mkdir()
    folder.mkdir()
    make_ledger(live / "ledger.db")
    with sqlite3.connect(live / "ledger.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    reader = sqlite3.connect(live / "ledger.db")  # holds the WAL as it is
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM record").fetchone()
    make_ledger(live / "ledger.db")
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copy(live / name, folder / name)
    reader.close()
    assert (folder / "ledger.db-wal").stat().st_size > 0
    with sqlite3.connect(f"file:{folder}/ledger.db?immutable=1", uri=True) as db:
        assert db.execute("SELECT count(*) FROM record").fetchone()[0] == len(ROWS)  # without its WAL it is half of it
    return folder


def count(text):
    return len(text.splitlines())


@pytest.mark.parametrize("way", ["a bind mount", "an image"])
def test_a_disk_mounted_read_only(dead, tmp_path, way):
    if way == "a bind mount":
        mount = f"mount --bind {dead} {dead} && mount -o remount,ro,bind {dead}"
    else:
        image, at = tmp_path / "disk.img", tmp_path / "mnt"
        at.mkdir()
        made = subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(dead), str(image), "16M"], capture_output=True, text=True)
        probe = subprocess.run(["unshare", "-m", "mount", "-o", "loop,ro,noload", str(image), str(at)], capture_output=True)
        if made.returncode != 0 or probe.returncode != 0:
            pytest.skip("no loop device, or no mke2fs")
        mount, dead = f"mount -o loop,ro,noload {image} {at}", at
    words = ["deliveries", "--ledger", dead / "ledger.db", "-o", "jsonl"]
    script = f"{mount} && ! touch {dead}/x 2>/dev/null && exec \"$@\""
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(KEYTRAIL), *map(str, words)],
                          capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode, count(done.stdout)) == (0, 2 * len(ROWS)), done.stderr
    assert not list(tmp_path.glob("keytrail-*"))  # the private copy is gone again


def as_member(*words):
    return subprocess.run(["setpriv", "--reuid=65534", f"--regid={GROUP}", "--clear-groups", str(KEYTRAIL), *map(str, words)],
                          capture_output=True, text=True, timeout=60)


def test_members_of_the_group_read_while_nobody_writes(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    make_ledger(folder / "ledger.db")
    for path in [folder, *folder.iterdir()]:
        os.chown(path, 0, GROUP)
        os.chmod(path, 0o750 if path == folder else 0o640)
    for parent in tmp_path.parents[:-1]:
        if parent.stat().st_mode & 0o005 != 0o005:
            os.chmod(parent, parent.stat().st_mode | 0o005)
    os.chmod(tmp_path, 0o755)
    before = sorted(path.name for path in folder.iterdir())
    done = as_member("deliveries", "--ledger", folder / "ledger.db")
    assert (done.returncode, count(done.stdout)) == (0, len(ROWS)), done.stderr
    assert as_member("ledger", "verify", "--ledger", folder / "ledger.db").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == before
    stranger = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(KEYTRAIL), "deliveries", "--ledger",
                               str(folder / "ledger.db")], capture_output=True, text=True, timeout=60)
    assert stranger.returncode == 1 and stranger.stdout == ""


@pytest.mark.parametrize("how", [".backup '{}'", "VACUUM INTO '{}'"])
def test_a_backup_of_an_open_ledger(tmp_path, how):
    ledger, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    writer = subprocess.Popen([str(MAKE_LEDGER), str(ledger)], stdin=subprocess.PIPE, text=True)
    writer.stdin.write("".join(json.dumps(row) + "\n" for row in ROWS))
    writer.stdin.flush()
    for _ in range(100):
        seen = subprocess.run([str(KEYTRAIL), "deliveries", "--ledger", str(ledger)], capture_output=True, text=True, timeout=60)
        if count(seen.stdout) == len(ROWS):
            break
    assert writer.poll() is None  # it is still open
    subprocess.run(["sqlite3", str(ledger), how.format(copy)], check=True, timeout=60)
    writer.stdin.close()
    assert writer.wait(timeout=30) == 0
    done = subprocess.run([str(KEYTRAIL), "ledger", "verify", "--ledger", str(copy)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["rows"] == len(ROWS)
