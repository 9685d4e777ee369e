# SPDX-License-Identifier: Apache-2.0
"""State that was copied into another instance: baked images, restored disks. It starts anew, and nothing is mixed or lost."""

import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, ROLE_PATH, Instance, binary, eventually, needs_world

pytestmark = needs_world

OTHER = "i-0fedcba9876543210"
KEYS = ("host.key", "token.key")


def rows(path, kind):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return [json.loads(body) for body, in db.execute("SELECT body FROM record WHERE kind=? ORDER BY seq", (kind,))]


def first_kind(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT kind FROM record ORDER BY seq LIMIT 1").fetchone()[0]


def keys_of(instance):
    return {name: (instance.state / name).read_bytes() for name in KEYS}


def archives(instance):
    return sorted((instance.state / "archive").glob("*")) if (instance.state / "archive").exists() else []


def became(instance, id):
    known = instance.state / "instance"
    return eventually(lambda: known.exists() and known.read_text().strip() == id, DEADLINE_S)


def firmware_of(tmp_path, id):
    """Words that give a program this asset tag, as Nitro's firmware does; in a mount namespace of its own."""
    tag = tmp_path / "tag"
    tag.write_text(id + "\n")
    where = "/sys/devices/virtual/dmi/id"
    if not pathlib.Path(where).exists():
        # Kernels of virtual machines without DMI have no such folder: one above it is covered.
        script = ("mount -t tmpfs none /sys/devices/virtual && mkdir -p {0} && cp {1} {0}/board_asset_tag").format(where, tag)
    else:
        script = "mount --bind {1} {0}/board_asset_tag".format(where, tag)
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script + ' && exec "$@"', "sh"]


def test_the_same_instance_goes_on():
    with Instance() as instance:
        first = instance.credentials()["AccessKeyId"]
        assert became(instance, rows(instance.ledger, "placement")[0]["instance_id"])
        before = keys_of(instance)
        instance.stop()
        instance.start()
        assert instance.credentials()["AccessKeyId"] == first
        assert len(instance.rows("access_key_id IS NOT NULL")) == 2
        assert keys_of(instance) == before and archives(instance) == []
        (row,) = rows(instance.ledger, "instance")
        assert row["previous"] is None and row["archive"] is None


@pytest.mark.parametrize("how", ["by the service", "by the firmware"])
def test_another_instance_starts_anew(how, tmp_path):
    with Instance() as instance:
        old = rows_of_first_run(instance)
        before = keys_of(instance)
        token = instance.token()
        instance.stop()
        instance.imds.set("instance-id", OTHER)
        if how == "by the firmware":
            instance.under = firmware_of(tmp_path, OTHER)
        instance.start()
        assert became(instance, OTHER)
        assert instance.get("/latest/meta-data/instance-id", token)[0] == 401  # the image's tokens are worth nothing
        key = instance.credentials()["AccessKeyId"]

        (archive,) = archives(instance)
        assert archive.name.startswith(old + "-")
        (row,) = rows(instance.ledger, "instance")
        assert row == {"instance_id": OTHER, "previous": old, "archive": f"archive/{archive.name}"}
        assert first_kind(instance.ledger) == "instance"
        after = keys_of(instance)
        assert all(after[name] != before[name] for name in KEYS)
        assert (archive / "host.key").read_bytes() == before["host.key"] and not (archive / "token.key").exists()
        # Each ledger holds its own instance's rows, and its chain holds.
        (delivery,) = instance.rows("access_key_id IS NOT NULL")
        assert (delivery["instance_id"], delivery["access_key_id"]) == (OTHER, key)
        assert {row["instance_id"] for row in rows(instance.ledger, "placement")} == {OTHER}
        assert {row["instance_id"] for row in rows(archive / "ledger.db", "placement")} == {old}
        for path in (instance.ledger, archive / "ledger.db"):
            done = instance.keytrail("ledger", "verify") if path == instance.ledger else verify(instance, path)
            assert done.returncode == 0, done.stdout + done.stderr


def rows_of_first_run(instance):
    instance.credentials()
    old = rows(instance.ledger, "placement")[0]["instance_id"]
    assert became(instance, old) and old != OTHER
    return old


def verify(instance, path):
    return subprocess.run([str(binary("keytrail")), "ledger", "verify", "--ledger", str(path)], capture_output=True, text=True)


def test_a_fingerprint_is_of_the_new_key_even_for_the_first_client():
    with Instance() as instance:
        rows_of_first_run(instance)
        instance.stop()
        instance.imds.set("instance-id", OTHER)
        instance.start()
        # Comes in before, or while, the service is asked; tokens given out before that are worth nothing afterwards.
        answers = (instance.get(ROLE_PATH + "web-server", instance.token()) for _ in range(3))
        document = json.loads(next(body for status, _, body in answers if status == 200))
        done = instance.keytrail("verify", "-o", "jsonl", input=json.dumps(document))
        assert [json.loads(line)["match"] for line in done.stdout.splitlines()] == ["all"], done.stdout + done.stderr


def test_nothing_leaves_while_it_is_not_known_whose_the_ledger_is():
    with Instance() as instance:
        old = rows_of_first_run(instance)
        instance.stop()
        instance.imds.set("instance-id", OTHER)
        instance.imds.set("fault-path", "/latest/dynamic")
        instance.imds.set("get-status", 500)
        instance.start()
        token = instance.token()
        assert instance.get("/latest/meta-data/instance-id", token)[0] == 200  # no key in it
        status, _, body = instance.get("/latest/meta-data/iam/security-credentials/web-server", token)
        assert (status, body) == (503, "")
        assert len(instance.rows(settle=False)) == 1  # still the old one, as it was
        instance.imds.set("get-status", 0)
        assert instance.get("/latest/meta-data/iam/security-credentials/web-server", token)[0] in (200, 401)
        assert became(instance, OTHER)
        instance.credentials()
        # What was refused meanwhile stands in the ledger that it belongs to.
        assert eventually(lambda: "instance-unknown" in [row["reason"] for row in instance.rows(settle=False)], DEADLINE_S)
        (archive,) = archives(instance)
        assert archive.name.startswith(old) and len(rows(archive / "ledger.db", "delivery")) == 1


def test_an_archive_that_was_cut_short_is_finished():
    with Instance() as instance:
        old = rows_of_first_run(instance)
        instance.stop()
        moving = instance.state / "archive" / ".moving"
        moving.mkdir(parents=True)
        shutil.move(str(instance.state / "host.key"), moving)  # a crash, after the first file
        shutil.chown(instance.state / "archive", "keytrail", "keytrail")
        shutil.chown(moving, "keytrail", "keytrail")
        instance.imds.set("instance-id", OTHER)
        instance.start()
        assert became(instance, OTHER)
        (archive,) = archives(instance)
        assert archive.name.startswith(old) and (archive / "ledger.db").exists() and (archive / "host.key").exists()


def test_what_is_no_instance_id_is_refused():
    with Instance() as instance:
        rows_of_first_run(instance)
        instance.stop()
        (instance.state / "instance").write_text("../../etc\n")
        instance.start(wait=False)
        assert instance.daemon.wait(timeout=DEADLINE_S) == 2
        assert "expected an instance id" in instance.log.read_text()
