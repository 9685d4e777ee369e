# SPDX-License-Identifier: Apache-2.0
"""Ledgers of many machines: exported, imported, merged, and read by every command that reads one."""

import json
import os
import sqlite3
import subprocess

import pytest

from test_cli import KEYS, KEYTRAIL, MAKE_LEDGER, ROWS, make_ledger

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")


def keytrail(*words, status=0, **more):
    done = subprocess.run([str(KEYTRAIL), *map(str, words)], capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == status, (words, done.returncode, done.stdout[-2000:], done.stderr)
    return done


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def machines(tmp_path):
    paths = [tmp_path / f"machine-{n}.db" for n in range(3)]
    for path in paths:
        make_ledger(path)
    return paths


@pytest.fixture
def fleet(tmp_path, machines):
    for path in machines:
        keytrail("ledger", "export", "--ledger", path, "--file", f"{path}.jsonl")
    merged = tmp_path / "fleet.db"
    keytrail("ledger", "import", "--into", merged, *(f"{path}.jsonl" for path in machines))
    return merged


def test_an_export_can_be_checked_without_its_ledger(machines):
    said = lines(keytrail("ledger", "export", "--ledger", machines[0]).stdout)
    head, rows, end = said[0], said[1:-1], said[-1]
    assert head["kind"] == "export" and head["format"] == 1 and head["first_seq"] == 1
    assert head["before"] == head["genesis"]
    assert [row["seq"] for row in rows] == list(range(1, len(ROWS) + 1))
    assert all(row["ledger_id"] == head["ledger_id"] and len(row["link"]) == 64 for row in rows)
    assert (end["kind"], end["rows"], end["seq"], end["chain"]) == ("export-end", len(ROWS), len(ROWS), rows[-1]["link"])
    anchor = json.loads(keytrail("ledger", "anchor", "--ledger", machines[0], "-o", "jsonl").stdout)
    assert (anchor["seq"], anchor["chain"]) == (end["seq"], end["chain"])
    shown = {row["id"]: row for row in lines(keytrail("deliveries", "--ledger", machines[0]).stdout)}
    for row in rows:  # the same object as everywhere
        assert shown[row["id"]] == {name: value for name, value in row.items() if name not in ("ledger_id", "link")}


def test_an_export_goes_on_where_the_last_one_ended(machines, tmp_path):
    path, cursor, merged = machines[0], tmp_path / "cursor", tmp_path / "fleet.db"
    first, second, third = (tmp_path / name for name in ("1.jsonl", "2.jsonl", "3.jsonl"))
    export = ("ledger", "export", "--ledger", path, "--cursor", cursor, "--file")
    keytrail(*export, first)
    keytrail(*export, second)
    assert [line["kind"] for line in lines(second.read_text())] == ["export", "export-end"]
    make_ledger(path)  # as many rows again
    keytrail(*export, third)
    assert lines(third.read_text())[0]["first_seq"] == len(ROWS) + 1
    assert json.loads(cursor.read_text())["seq"] == 2 * len(ROWS)
    keytrail("ledger", "verify", "--ledger", path, "--anchor", cursor)  # a cursor is an anchor
    said = lines(keytrail("ledger", "import", "--into", merged, third, status=4).stdout)
    assert [(one["kind"], one.get("first_seq"), one.get("last_seq")) for one in said] == \
        [("import", None, None), ("missing", 1, len(ROWS))]
    keytrail("ledger", "verify", "--ledger", merged, status=4)
    said = lines(keytrail("ledger", "import", "--into", merged, third, second, first, first).stdout)
    assert [(one["rows"], one["known"]) for one in said] == [(0, 6), (0, 0), (6, 0), (0, 6)]
    assert json.loads(keytrail("ledger", "verify", "--ledger", merged, "--anchor", cursor).stdout)["rows"] == 2 * len(ROWS)


@pytest.mark.parametrize("sql, what", [
    ("DELETE FROM record WHERE seq=6", "cut off"),
    ("UPDATE record SET chain=zeroblob(32) WHERE seq=6", "rewritten"),
])
def test_a_cursor_shows_that_the_ledger_is_another_one(machines, tmp_path, sql, what):
    cursor = tmp_path / "cursor"
    keytrail("ledger", "export", "--ledger", machines[0], "--cursor", cursor, "--file", tmp_path / "a.jsonl")
    before = cursor.read_text()
    with sqlite3.connect(machines[0]) as db:
        db.executescript(sql)
    done = keytrail("ledger", "export", "--ledger", machines[0], "--cursor", cursor, "--file", tmp_path / "b.jsonl", status=1)
    assert what in done.stderr
    assert cursor.read_text() == before and not (tmp_path / "b.jsonl").exists() and not (tmp_path / "b.jsonl.new").exists()
    done = keytrail("ledger", "export", "--ledger", machines[1], "--cursor", cursor, "--file", tmp_path / "b.jsonl")
    assert "another ledger" in done.stderr and lines((tmp_path / "b.jsonl").read_text())[0]["first_seq"] == 1


@pytest.mark.parametrize("words, said", [
    (("ledger", "export", "-o", "csv"), "JSON Lines"),
    (("ledger", "export", "more"), "too much"),
    (("ledger", "import"), "--into"),
    (("ledger", "import", "--into", "x.db"), "no file"),
    (("ledger", "anchor", "--ledger", "FLEET"), "merged"),
    (("ledger", "export", "--ledger", "FLEET", "--cursor", "c"), "merged"),
    (("ledger", "prune", "--ledger", "FLEET", "--before", "2020-01-01"), "of many machines"),
])
def test_what_cannot_be_is_a_mistake_in_use(fleet, tmp_path, words, said):
    done = keytrail(*(fleet if word == "FLEET" else word for word in words), status=2, cwd=tmp_path)
    assert said in done.stderr


def test_what_is_no_export_changes_nothing(fleet, machines, tmp_path):
    (tmp_path / "text").write_text("hello\n")
    said = lines(keytrail("ledger", "import", "--into", fleet, tmp_path / "text", f"{machines[0]}.jsonl", status=3).stdout)
    assert [one["fault"] for one in said] == ["not-json", None]
    done = keytrail("ledger", "import", "--into", fleet, tmp_path / "missing", status=1)
    assert "missing" in done.stderr
    assert "not a merged ledger" in keytrail("ledger", "import", "--into", machines[0], f"{machines[1]}.jsonl", status=1).stderr
    keytrail("ledger", "verify", "--ledger", fleet)


def without_place(row):
    return {name: value for name, value in row.items() if name not in ("seq", "ledger_id")}


@pytest.mark.parametrize("form", ["merged", "export", "lines", "shuffled", "journal"])
def test_every_command_reads_it(machines, fleet, tmp_path, form):
    path = tmp_path / "read.jsonl"
    exported = (tmp_path / "machine-0.db.jsonl").read_text().splitlines()
    if form == "merged":
        path, count = fleet, 3
    else:
        count = 1
        if form == "shuffled":
            exported = exported[::-1] + exported[3:5]
        if form in ("lines", "journal"):  # as the daemon of an earlier version wrote them
            exported = [json.dumps({name: value for name, value in json.loads(line).items() if name not in ("seq", "link", "ledger_id")})
                        for line in exported[1:-1]]
        if form == "journal":
            exported = [json.dumps({"__CURSOR": "s=1", "MESSAGE": line, "PRIORITY": "6"}) for line in exported]
        path.write_text("\n".join(exported) + "\n" + exported[1][:50])  # the last one is being written
    alone = lines(keytrail("deliveries", "--ledger", machines[0]).stdout)
    shown = lines(keytrail("deliveries", "--ledger", path).stdout)
    assert len(shown) == count * len(alone)
    if count == 1:
        assert sorted(map(json.dumps, map(without_place, shown))) == sorted(map(json.dumps, map(without_place, alone)))
    who = json.loads(keytrail("who", KEYS[0], "--ledger", path, "-o", "json").stdout)
    assert len(who["deliveries"]) == count * sum(row["access_key_id"] == KEYS[0] for row in alone)
    assert lines(keytrail("keys", "--ledger", path).stdout)
    assert lines(keytrail("processes", "--ledger", path).stdout)
    assert KEYS[0] in keytrail("verify", "--ledger", path, input=KEYS[0], status=3).stdout
    (tmp_path / "trail.json").write_text(json.dumps({"Records": []}))
    keytrail("detect", tmp_path / "trail.json", "--ledger", path, "--findings", "none")
    keytrail("policy", "simulate", "/dev/null", "--ledger", path)
    if form not in ("lines", "journal"):
        assert json.loads(keytrail("ledger", "verify", "--ledger", path).stdout)["rows"] == count * len(ROWS)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(("-shm", "-wal")) and name.startswith("read")]


def test_lines_that_were_tampered_with_are_named(machines, fleet, tmp_path):
    text = (tmp_path / "machine-0.db.jsonl").read_text()
    path = tmp_path / "tampered.jsonl"
    path.write_text(text.replace("/usr/bin/curl", "/usr/bin/true"))
    said = json.loads(keytrail("ledger", "verify", "--ledger", path, status=3).stdout)
    assert said["fault"] == "changed"
    path.write_text(text.splitlines()[0] + "\nno JSON\n")
    assert "line 2" in keytrail("deliveries", "--ledger", path, status=1).stderr


@pytest.mark.parametrize("sql, fault", [
    ("UPDATE record SET body=replace(body,'exact','none') WHERE origin_seq=2 AND origin=2", "changed"),
    ("DELETE FROM record WHERE origin_seq=3 AND origin=2", "missing"),
    ("DELETE FROM record WHERE origin_seq=6 AND origin=2", "missing"),
    ("INSERT INTO record(origin,origin_seq,id,at,kind,given,body,chain,import) VALUES(2,7,'x',1,'x',0,'{}',zeroblob(32),1)", "inserted"),
    ("UPDATE record SET origin=3-origin WHERE origin_seq=1 AND origin=1", None),
    ("UPDATE actor SET body=replace(body,'python3.11','python3.12')", "process-changed"),
    ("DELETE FROM key", "table-changed"),
    ("UPDATE key SET secret='00'", "table-changed"),
    ("UPDATE record SET given=1-given WHERE kind='delivery'", "table-changed"),
    ("DROP VIEW v_keys", "schema-changed"),
], ids=["changed", "taken out", "cut off", "put in", "of another", "process", "keys", "fingerprint", "given", "view"])
def test_tampering_with_a_merged_ledger_is_named(fleet, sql, fault):
    with sqlite3.connect(fleet) as db:
        try:
            db.executescript(sql)
        except sqlite3.IntegrityError:
            assert fault is None  # a number of a machine's ledger is there once
            return
    said = json.loads(keytrail("ledger", "verify", "--ledger", fleet, status=3).stdout)
    assert said["fault"] == fault and said["detail"]


def test_an_export_survives_pruning(machines, tmp_path):
    cursor, merged = tmp_path / "cursor", tmp_path / "fleet.db"
    export = ("ledger", "export", "--ledger", machines[0], "--cursor", cursor, "--file")
    keytrail(*export, tmp_path / "1.jsonl")
    make_ledger(machines[0])
    keytrail("ledger", "prune", "--ledger", machines[0], "--before", "2026-01-03")
    done = keytrail(*export, tmp_path / "2.jsonl", status=4)
    assert "were pruned" in done.stderr
    # All rows but the newest are gone; the new prefix was never exported, and that is told.
    said = lines(keytrail("ledger", "import", "--into", merged, tmp_path / "1.jsonl", tmp_path / "2.jsonl", status=4).stdout)
    assert said[-1]["kind"] == "missing" and said[-1]["first_seq"] == len(ROWS) + 1
    # Alone, the second one says itself that what was before was forgotten.
    other = tmp_path / "other.db"
    keytrail("ledger", "import", "--into", other, tmp_path / "2.jsonl")
    keytrail("ledger", "verify", "--ledger", other)


# ---- what no ledger saw

UP = dict(every_s=600, lost=0, run="x")


def beat(minute, event="beat"):
    at_us = 1767322800000000 + minute * 60_000_000  # 2026-01-02T03:00:00Z
    checked = f"2026-01-02T{3 + (minute - 1) // 60:02}:{(minute - 1) % 60:02}:00.000000Z"
    return dict(kind="coverage", at_us=at_us, body=dict(UP, event=event, redirect=dict(whole=True, checked_at=checked)))


def machine(path, instance, last_minute):
    rows = [dict(kind="instance", at_us=1767322800000000, body=dict(instance_id=instance))]
    rows += [beat(minute, "start" if minute == 1 else "beat") for minute in range(1, last_minute + 1, 10)]
    subprocess.run([str(MAKE_LEDGER), str(path)], input="".join(json.dumps(row) + "\n" for row in rows), text=True, check=True)
    keytrail("ledger", "export", "--ledger", path, "--file", f"{path}.jsonl")
    return f"{path}.jsonl"


def test_who_says_which_machines_were_not_covered(machines, tmp_path):
    merged = tmp_path / "fleet.db"
    keytrail("ledger", "export", "--ledger", machines[0], "--file", f"{machines[0]}.jsonl")  # without any coverage
    keytrail("ledger", "import", "--into", merged, f"{machines[0]}.jsonl", machine(tmp_path / "up", "i-0aaaaaaaaaaaaaaaa", 91),
             machine(tmp_path / "short", "i-0bbbbbbbbbbbbbbbb", 31))
    times = ("--since", "2026-01-02T03:10:00Z", "--until", "2026-01-02T04:10:00Z")
    for key in (KEYS[0], "ASIAZZZZZZZZZZZZZZZZ"):  # the second nobody was handed
        for form in ("json", "jsonl"):
            said = keytrail("who", key, *times, "--ledger", merged, "-o", form).stdout
            (coverage,) = json.loads(said)["coverage"] if form == "json" else \
                [line for line in lines(said) if line["kind"] == "coverage"]
            assert (coverage["machines"], coverage["complete"], coverage["access_key_id"]) == (3, False, key)
            names = [other["instance_id"] for other in coverage["uncovered"]]
            assert names == (["i-0bbbbbbbbbbbbbbbb"] if key == KEYS[0] else ["i-0123456789abcdef0", "i-0bbbbbbbbbbbbbbbb"])
            gaps = {other["instance_id"]: other["gaps"] for other in coverage["uncovered"]}["i-0bbbbbbbbbbbbbbbb"]
            assert [(gap["reason"], gap["from"]) for gap in gaps] == [("not-yet-known", "2026-01-02T03:31:00.000000Z")]
        assert "i-0bbbbbbbbbbbbbbbb" in keytrail("who", key, *times, "--ledger", merged, "-o", "table").stdout
    rows = keytrail("who", KEYS[0], "--ledger", merged, "-o", "csv").stdout.splitlines()
    assert rows[0].startswith("kind,") and rows[1].startswith("delivery,") and rows[-1].startswith("coverage,")
    quiet = ("--since", "2026-01-02T03:10:00Z", "--until", "2026-01-02T03:20:00Z")
    said = keytrail("who", "ASIAZZZZZZZZZZZZZZZZ", *quiet, "--ledger", tmp_path / "up", "-o", "jsonl").stdout
    assert [(line["kind"], line["complete"], line["gaps"]) for line in lines(said)] == [("coverage", True, [])]
