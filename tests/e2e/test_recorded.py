# SPDX-License-Identifier: Apache-2.0
"""[ledger] record: what has a row beside deliveries. Refusals always have."""

import contextlib
import json
import pathlib
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, ROLE_PATH, Instance, eventually, needs_world

pytestmark = needs_world

KEY = ("GET", ROLE_PATH + "web-server", "delivered")
REFUSED = ("GET", "/latest/meta-data/ami-id", "refused")
TOKEN = ("PUT", "/latest/api/token", "delivered")
LIST = ("GET", ROLE_PATH, "delivered")
OTHER = ("GET", "/latest/meta-data/ami-id", "delivered")


@pytest.mark.parametrize("record, expected", [
    (None, [KEY, REFUSED]),
    ("credentials", [KEY, REFUSED]),
    ("tokens", [TOKEN, KEY, TOKEN, REFUSED]),
    ("all", [TOKEN, LIST, KEY, TOKEN, OTHER, REFUSED]),
])
def test_what_has_a_row(record, expected):
    with Instance({"ledger": {"record": record}} if record else None) as instance:
        instance.credentials()
        assert instance.get("/latest/meta-data/ami-id", instance.token())[0] == 200
        assert instance.get("/latest/meta-data/ami-id")[0] == 401

        assert eventually(lambda: rows(instance) == expected, DEADLINE_S), rows(instance)


def test_what_mode_audit_lets_pass_has_a_row():
    """Else nobody would know who has to be mended before tokens are required."""
    with Instance({"imdsv2": {"mode": "audit"}}, tokens="optional") as instance:
        instance.credentials()
        for path, status in (("/latest/meta-data/ami-id", 200), ("/latest/no-such-thing", 404), (ROLE_PATH + "web-server", 200)):
            assert instance.get(path)[0] == status
        assert eventually(lambda: rows(instance) == [KEY, OTHER, ("GET", "/latest/no-such-thing", "delivered"), KEY],
                          DEADLINE_S), rows(instance)
        told = instance.rows()
        assert [row["reason"] for row in told] == [None, "no-token", "no-token", None]
        assert {row["exe"] for row in told} == {"/usr/bin/curl"}
        assert [json.loads(row["body"])["delivery_version"] for row in told] == ["2.0", None, None, "1.0"]
        assert instance.status()["counters"]["refused"] == 0 and instance.status()["counters"]["without_token"] == 3


def rows(instance):
    sql = "SELECT json_extract(body, '$.method'), path, outcome FROM v_deliveries ORDER BY seq"
    with contextlib.closing(sqlite3.connect(f"file:{instance.ledger}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()
