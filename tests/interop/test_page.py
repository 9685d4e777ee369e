# SPDX-License-Identifier: Apache-2.0
"""The page of `keytrail report` in Chromium, without a network: no fault for an accessibility checker (axe-core) and a
validator (html-validate), in light, dark, on a telephone and on paper; nothing fetched, nothing run, nothing too wide.
Pictures of each view are left in build/results/report."""

import json
import pathlib
import shutil

import pytest

import kits
from test_contain import CHILD, PRINCIPAL, record
from test_contain import found  # noqa: F401
from test_detect import ACCOUNT, KEY, delivery, ledger, run  # noqa: F401
from test_report import HOSTILE, INIT, process

CHROMIUM = shutil.which("chromium")
PICTURES = pathlib.Path(__file__).resolve().parents[2] / "build/results/report"

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
              pytest.mark.skipif(not kits.has("page"), reason=kits.why_not("page"))]


def look_at(page, name, *views):
    folder = PICTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    return json.loads(kits.node("page", "check.mjs", CHROMIUM, page, folder, *views))


def is_fine(seen, page):
    assert seen["faults"] == []
    for view in seen["seen"]:
        assert view["violations"] == [] and view["rules"] > 20, view
        assert view["fetched"] == [page.as_uri()] and view["said"] == [], view
        assert view["widest"] <= view["width"], view
    grounds = {view["view"]: view["ground"] for view in seen["seen"]}
    assert {ground for view, ground in grounds.items() if "dark" not in view} == {"rgb(255, 255, 255)"}
    assert "rgb(255, 255, 255)" not in {ground for view, ground in grounds.items() if "dark" in view}


def test_full_page(found, tmp_path):  # noqa: F811
    shell = dict(INIT, pid=900, exe="/usr/bin/bash", cmdline=["-bash"], user="deploy")
    bad = process(1400, "/tmp/" + HOSTILE, [shell, INIT], cmdline=["x", HOSTILE, "y" * 900], container_id="3f2a9b" * 10)
    good = process(1201, "/usr/bin/python3.11", [INIT], cmdline=["python3", "/srv/app/worker.py"], unit="worker.service")
    rows = [delivery(f"2020-09-14T00:{minute}:00Z", process=one, holders=[one], user_agent=HOSTILE)
            for minute, one in ((50, good), (52, bad), (55, good))]
    made = record(1, "2020-09-14T02:00:00Z", "sts.amazonaws.com", "AssumeRole", KEY, PRINCIPAL,
                  responseElements=dict(credentials=dict(accessKeyId=CHILD, expiration="Sep 14, 2020 3:00:00 AM"),
                                        assumedRoleUser=dict(assumedRoleId="AROACHILD:deploy",
                                                             arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/deploy")))
    used = [record(number, f"2020-09-14T02:{number:02}:05Z", "s3.amazonaws.com", "GetObject", CHILD, "AROACHILD:deploy",
                   userAgent=HOSTILE, errorCode="AccessDenied" if number % 3 else "") for number in range(2, 40)]
    path, findings = found([made, *used], *rows)
    run("findings", "ack", *(finding["id"] for finding in findings), "--note", HOSTILE, "--ledger", path)
    page = tmp_path / "full.html"
    assert run("report", CHILD, "--ledger", path, "--file", page).returncode == 0
    is_fine(look_at(page, "full"), page)


def test_empty_page(ledger, tmp_path):  # noqa: F811
    page = tmp_path / "empty.html"
    path = ledger(delivery("2020-09-14T00:50:00Z"))
    assert run("report", "ASIAY34FZKBOKMUTVV7A", "--ledger", path, "--file", page).returncode == 0
    is_fine(look_at(page, "empty", "light", "phone"), page)


def test_can_fail(tmp_path):
    """Each of the checks sees a fault of its kind."""
    page = tmp_path / "bad.html"
    page.write_text("<!DOCTYPE html><html><head><title>x</title></head><body><div id=a><p id=a></div>"
                    "<img src='nowhere.png'><p style='color:#ccc;width:3000px'>pale</p><script>alert(1)</script>")
    seen = look_at(page, "bad", "light")
    assert seen["faults"]
    light = seen["seen"][0]
    assert any("image-alt" in one for one in light["violations"]) and any("contrast" in one for one in light["violations"])
    assert len(light["fetched"]) > 1 and "1" in light["said"] and light["widest"] > light["width"]
