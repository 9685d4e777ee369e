# SPDX-License-Identifier: Apache-2.0
"""The daemon cannot be started any more: `[daemon] on_dead`, what clients get then, and what is left as a record."""

import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, IMDS_V6, QUICK_S, ROLE_PATH, Instance, binary, eventually, needs_world

pytestmark = needs_world


def give_up(instance, reason="it crashed nine times"):
    return instance.world.run("host", [str(binary("keytrail")), "dead", "-c", str(instance.config), reason])


def gap(instance):
    return json.loads((instance.state / "gap.json").read_text())


def status(instance):
    done = instance.world.run("host", [str(binary("keytrail")), "status", "-c", str(instance.config), "-o", "json"])
    return done.returncode, json.loads(done.stdout)


def ids(points):
    return [point["id"] for point in points]


def gap_rows(instance):
    with sqlite3.connect(f"file:{instance.ledger}?mode=ro", uri=True) as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM record WHERE kind = 'gap'")]


@pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6])
def test_closed_refuses_at_once(address):
    with Instance() as instance:
        instance.stop(signal.SIGKILL)
        done = give_up(instance)
        assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
        began = time.monotonic()
        answer = instance.curl("-X", "PUT", path="/latest/api/token", address=address)
        assert answer.returncode == 7 and time.monotonic() - began < QUICK_S, answer
        noted = gap(instance)
        assert (noted["on_dead"], noted["reason"]) == ("closed", "it crashed nine times")
        code, report = status(instance)
        assert code == 3 and "given-up" in ids(report["faults"]) and "daemon-down" in ids(report["bypasses"])
        instance.start()
        assert eventually(lambda: gap_rows(instance))
        row = gap_rows(instance)[0]
        assert row["reason"] == "it crashed nine times" and row["began_at"] < row["ended_at"]
        assert eventually(lambda: not (instance.state / "gap.json").exists())
        assert status(instance)[0] == 0
        assert instance.credentials()["AccessKeyId"] == instance.row("access_key_id IS NOT NULL")["access_key_id"]


def test_open_gives_the_service_back():
    with Instance(settings={"daemon": {"on_dead": "open"}}) as instance:
        instance.stop(signal.SIGKILL)
        done = give_up(instance)
        assert (done.returncode, done.stdout) == (0, "open\n"), done.stderr
        key = instance.credentials()["AccessKeyId"]
        code, report = status(instance)
        assert code == 3 and {"given-up", "redirect-not-whole"} <= set(ids(report["bypasses"]))
        assert report["gap"]["on_dead"] == "open"
        instance.redirect("up")
        instance.start()
        assert eventually(lambda: gap_rows(instance))[0]["on_dead"] == "open"
        assert instance.rows() == [] and key  # the time without rows is the gap's
        assert instance.credentials()["AccessKeyId"] == instance.row()["access_key_id"]


def test_mistakes_in_the_settings_do_not_hide_what_is_to_be_done():
    with Instance(settings={"daemon": {"on_dead": "open"}}) as instance:
        instance.stop()
        good = instance.config.read_text()
        instance.config.write_text(good + "[policy]\nmode = strict\n")
        ended = instance.world.run("host", [str(binary("keytraild")), "-c", str(instance.config)])
        assert ended.returncode == 2 and "mode = strict" in ended.stderr
        done = give_up(instance, "keytraild ended with status 2")
        assert done.stdout == "open\n" and "mode = strict" in done.stderr
        assert instance.credentials()["AccessKeyId"]
        code, report = status(instance)
        assert code == 3 and "settings-bad" in ids(report["faults"])
        instance.config.write_text(good)
        instance.redirect("up")
        instance.start()


def test_the_first_reason_stays():
    with Instance() as instance:
        instance.stop()
        give_up(instance, "first")
        began = gap(instance)["began_at"]
        give_up(instance, "second")
        assert (gap(instance)["reason"], gap(instance)["began_at"]) == ("first", began)
        instance.start()
        assert [row["reason"] for row in eventually(lambda: gap_rows(instance))] == ["first"]


def test_without_a_place_for_the_note_the_redirect_goes_down_all_the_same():
    with Instance(settings={"daemon": {"on_dead": "open"}}) as instance:
        instance.stop()
        (instance.state / "gap.json").mkdir()
        done = give_up(instance)
        assert (done.returncode, done.stdout) == (4, "open\n") and "not noted" in done.stderr
        assert instance.credentials()["AccessKeyId"]
        instance.redirect("up")
        instance.start()
        assert eventually(lambda: "gap_not_recorded" in instance.log.read_text())
        assert instance.credentials()["AccessKeyId"]


HOLDER = """
import socket, sys
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(("127.0.0.1", 8775))
listening.listen(4096)
print("ready", flush=True)
sys.stdin.readline()
"""


def test_closed_with_a_socket_that_was_held():
    """Clients that wait in a socket which the service manager held are let go when it is closed."""
    with Instance() as instance:
        instance.stop()
        holder = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", HOLDER], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        assert holder.stdout.readline() == "ready\n"
        waiting = instance.world.popen("host", ["curl", "-sS", "-m", "60", f"http://{IMDS_V4}{ROLE_PATH}"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert eventually(lambda: instance.world.run("host", ["ss", "-Htn", "state", "established", "dport = :80"])
                          .stdout)
        began = time.monotonic()
        give_up(instance)
        holder.stdin.close()
        assert waiting.wait(timeout=60) in (52, 56) and time.monotonic() - began < QUICK_S
        assert instance.curl(path=ROLE_PATH).returncode == 7
        instance.start()
