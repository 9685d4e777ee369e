# SPDX-License-Identifier: Apache-2.0
"""Coverage: what the ledger claims to have seen is what the daemon and the redirect's checks left in it, after a crash too."""

import json
import pathlib
import signal
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, Instance, eventually, needs_world

pytestmark = needs_world


def rows(instance):
    with sqlite3.connect(f"file:{instance.ledger}?mode=ro", uri=True) as db:
        return [json.loads(body) for body, in db.execute("SELECT body FROM record WHERE kind='coverage' ORDER BY seq")]


def events(instance):
    return [row["event"] for row in rows(instance)]


def reasons(instance, key):
    said = json.loads(instance.keytrail("who", key, "-o", "json").stdout)
    (coverage,) = said["coverage"]
    assert coverage["complete"] is False and coverage["access_key_id"] == key
    return [gap["reason"] for gap in coverage["gaps"]]


def test_a_check_of_the_redirect_becomes_coverage():
    with Instance() as instance:
        assert eventually(lambda: events(instance) == ["start"], DEADLINE_S)
        assert rows(instance)[0]["redirect"] == {"checked_at": None, "whole": None}
        assert instance.status()["redirect"] == {"age_s": None, "checked_at": None, "whole": None}
        instance.redirect("check")
        assert eventually(lambda: events(instance) == ["start", "change"], 3 * DEADLINE_S)
        assert rows(instance)[1]["redirect"]["whole"] is True
        said = instance.status()["redirect"]
        assert said["whole"] is True and 0 <= said["age_s"] < 60

        instance.redirect("down")
        assert instance.world.run("host", [str(pathlib.Path(__file__).parents[2] / "iptables" / "keytrail-redirect"),
                                           "-c", str(instance.config), "-q", "check"]).returncode == 3
        assert eventually(lambda: rows(instance)[-1]["redirect"]["whole"] is False, 3 * DEADLINE_S)
        status = json.loads(instance.keytrail("status", "-c", str(instance.config), "-o", "json").stdout)
        assert "redirect-unchecked" in [gap["reason"] for gap in status["ledger"]["coverage"]["gaps"]]


def test_what_was_mended_at_once_was_broken():
    with Instance() as instance:
        instance.redirect("check")
        instance.stop()
        instance.start()
        assert rows(instance)[-1]["redirect"]["whole"] is True
        instance.redirect("down")
        check = [str(pathlib.Path(__file__).parents[2] / "iptables" / "keytrail-redirect"), "-c", str(instance.config), "-q", "check"]
        assert instance.world.run("host", check).returncode == 3
        instance.redirect("repair")
        assert eventually(lambda: [row["redirect"]["whole"] for row in rows(instance)][-2:] == [False, True], 4 * DEADLINE_S)


@pytest.mark.parametrize("how, event, reason", [(signal.SIGTERM, "stop", "daemon-down"), (signal.SIGKILL, "start", "daemon-died")])
def test_the_end_of_the_daemon_is_a_gap(how, event, reason):
    with Instance() as instance:
        key = instance.credentials()["AccessKeyId"]
        instance.stop(how)
        assert events(instance)[-1] == event
        instance.start()
        instance.credentials()
        assert events(instance)[-1] == "start" and len({row["run"] for row in rows(instance)}) == 2
        assert reason in reasons(instance, key)
        text = instance.keytrail("who", key, "-o", "table").stdout
        assert "Not covered" in text and reason in text


@pytest.mark.parametrize("how", ["of another user", "of another boot", "no JSON", "a link"])
def test_a_check_that_may_be_forged_is_not_believed(how):
    with Instance() as instance:
        instance.redirect("check")
        said = instance.folder / "run" / "redirect.json"
        good = said.read_text()
        said.unlink()
        if how == "a link":
            (instance.folder / "good").write_text(good)
            said.symlink_to(instance.folder / "good")
        else:
            boot = json.loads(good)["boot_id"]
            said.write_text({"of another boot": good.replace(boot, "0" * len(boot)), "no JSON": "true"}.get(how, good))
        if how == "of another user":
            import os
            os.chown(said, 65534, 65534)
        instance.stop()
        instance.start()
        assert instance.status()["redirect"]["whole"] is None
