# SPDX-License-Identifier: Apache-2.0
"""A ledger as a whole: checked, anchored, tampered with by plain SQL, cut off in the middle of its file."""

import datetime
import json
import os
import sqlite3
import subprocess

import pytest

from test_cli import KEYTRAIL, MAKE_LEDGER, ROWS, make_ledger

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    make_ledger(path)
    return path


def keytrail(*words, **more):
    return subprocess.run([str(KEYTRAIL), *map(str, words)], capture_output=True, text=True, timeout=60, **more)


def verify(path, *words, status):
    done = keytrail("ledger", "verify", "--ledger", path, *words, "-o", "json")
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def tamper(path, sql):
    with sqlite3.connect(path) as db:
        db.executescript(sql)


def test_a_ledger_as_it_was_written_is_whole(ledger):
    said = verify(ledger, status=0)
    assert said["whole"] is True and said["fault"] is None and said["detail"] is None
    assert said["rows"] == len(ROWS) == said["head"]["seq"]


@pytest.mark.parametrize("sql, fault, seq", [
    ("UPDATE record SET body=replace(body,'exact','none') WHERE seq=2", "changed", 2),
    ("DELETE FROM record WHERE seq=3", "missing", 4),
    ("UPDATE record SET seq=-seq WHERE seq>=3; UPDATE record SET seq=-seq+1 WHERE seq<0;"
     "INSERT INTO record SELECT 3,'ffffffffffffffff',at,kind,subject,access_key_id,actor,body,chain FROM record"
     " WHERE seq=1", "inserted", 3),
    ("UPDATE record SET seq=-1 WHERE seq=2; UPDATE record SET seq=2 WHERE seq=4; UPDATE record SET seq=4 WHERE seq=-1",
     "reordered", 2),
    ("UPDATE actor SET body=replace(body,'python3.11','python3.12')", "process-changed", None),
    ("DROP VIEW v_keys", "schema-changed", None),
], ids=["changed", "missing", "inserted", "reordered", "process", "view"])
def test_tampering_is_named(ledger, sql, fault, seq):
    tamper(ledger, sql)
    said = verify(ledger, status=3)
    assert (said["whole"], said["fault"], said["seq"]) == (False, fault, seq), said
    assert said["detail"]


@pytest.mark.parametrize("pages", [1, 3])
def test_a_file_that_was_cut_off_is_not_whole(ledger, pages):
    tamper(ledger, "PRAGMA journal_mode=DELETE; VACUUM")
    os.truncate(ledger, os.path.getsize(ledger) - pages * 4096)
    said = verify(ledger, status=3)
    assert said["fault"] == "unreadable" and "malformed" in said["detail"]


def test_what_is_no_ledger_is_an_error(tmp_path):
    other = tmp_path / "other"
    other.write_text("no database at all\n" * 1000)
    assert keytrail("ledger", "verify", "--ledger", other).returncode == 1


def test_an_anchor_shows_that_the_end_was_cut_off(ledger, tmp_path):
    anchors = tmp_path / "anchors"
    anchor = keytrail("ledger", "anchor", "--ledger", ledger, "-o", "jsonl")
    assert anchor.returncode == 0
    anchors.write_text(anchor.stdout)
    assert json.loads(anchor.stdout)["seq"] == len(ROWS)
    assert verify(ledger, "--anchor", anchors, status=0)["anchors"] == 1
    tamper(ledger, f"DELETE FROM record WHERE seq={len(ROWS)}")
    assert verify(ledger, status=0)["whole"] is True  # nobody can see it without
    said = verify(ledger, "--anchor", anchors, status=3)
    assert (said["fault"], said["seq"]) == ("missing", None) and "cut off" in said["detail"]


def test_an_anchor_shows_that_rows_were_rewritten(ledger, tmp_path):
    anchors = tmp_path / "anchors"
    made = json.loads(keytrail("ledger", "anchor", "--ledger", ledger, "-o", "json").stdout)
    made["chain"] = "00" * 32
    anchors.write_text(json.dumps(made) + "\n")
    assert verify(ledger, "--anchor", anchors, status=3)["fault"] == "rewritten"


@pytest.mark.parametrize("text, words", [
    ("", "no anchor in it"), ("{}\n", "line 1: no anchor"), ("no json\n", "line 1"),
    ('{"kind":"anchor","ledger_id":"ab","seq":1,"at":null,"chain":"%s"}\n' % ("00" * 32), "of ledger ab"),
    ("x" * 5_000_000, "line 1: longer than any anchor"),
], ids=["empty", "no anchor", "no json", "another ledger", "no end"])
def test_what_is_no_anchor_of_this_ledger_is_an_error(ledger, tmp_path, text, words):
    anchors = tmp_path / "anchors"
    anchors.write_text(text)
    done = keytrail("ledger", "verify", "--ledger", ledger, "--anchor", anchors)
    assert done.returncode == 1 and words in done.stderr


def test_anchors_are_read_from_standard_input(ledger):
    anchor = keytrail("ledger", "anchor", "--ledger", ledger, "-o", "jsonl").stdout
    done = keytrail("ledger", "verify", "--ledger", ledger, "--anchor", "-", "-o", "json", input=anchor * 2)
    assert done.returncode == 0 and json.loads(done.stdout)["anchors"] == 2


def test_other_words_are_usage_errors(ledger):
    for words in (["ledger"], ["ledger", "frobnicate"], ["ledger", "verify", "more"]):
        assert keytrail(*words, "--ledger", ledger).returncode == 2


def prune(path, *words, status=0):
    done = keytrail("ledger", "prune", "--ledger", path, *words, "-o", "json")
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout) if status == 0 else done.stderr


def test_pruning_by_hand_leaves_a_chain_that_holds(ledger, tmp_path):
    anchors = tmp_path / "anchors"
    anchors.write_text(keytrail("ledger", "anchor", "--ledger", ledger, "-o", "jsonl").stdout)
    with sqlite3.connect(ledger) as db:
        times = [at for at, in db.execute("SELECT at FROM record ORDER BY seq")]
    cut = next(seq for seq, at in enumerate(times) if at > times[0] and seq > 1)
    before = datetime.datetime.fromtimestamp(times[cut] / 1e6, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    said = prune(ledger, "--before", before)
    assert said["rows"] > 0 and said["pruned_until"] >= said["rows"]
    whole = verify(ledger, "--anchor", anchors, status=0)
    assert whole["pruned_until"] == said["pruned_until"] and whole["rows"] == len(ROWS) - said["rows"] + 1
    assert prune(ledger, "--before", before)["rows"] == 0
    tamper(ledger, "DELETE FROM meta WHERE name='pruned_by'")
    assert verify(ledger, status=3)["fault"] == "missing"


@pytest.mark.parametrize("words, status", [([], 2), (["--before", "2999-01-01"], 2), (["--before", "soon"], 2)])
def test_pruning_needs_a_time_that_has_passed(ledger, words, status):
    assert "before" in prune(ledger, *words, status=status)
    assert verify(ledger, status=0)["pruned_until"] == 0


def test_pruning_makes_no_ledger(tmp_path):
    assert "there is none" in prune(tmp_path / "none.db", "--before", "1d", status=1)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("how", [".backup", "VACUUM INTO"])
def test_a_backup_of_an_open_ledger_is_whole(ledger, tmp_path, how):
    copy = tmp_path / "copy.db"
    with sqlite3.connect(ledger, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")  # somebody writes meanwhile
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as reader:
            if how == ".backup":
                with sqlite3.connect(copy) as to:
                    reader.backup(to)
            else:
                reader.execute("VACUUM INTO ?", (str(copy),))
        db.execute("ROLLBACK")
    assert verify(copy, status=0)["rows"] == len(ROWS)
