# SPDX-License-Identifier: Apache-2.0
"""Settings read again on SIGHUP: all of them or none, and without one request refused meanwhile."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, ROLE_PATH, Instance, eventually, needs_world
from imds import Imds

pytestmark = needs_world
KEYS = ROLE_PATH + "web-server"
AMI = "/latest/meta-data/ami-id"


def keys_status(instance, **where):
    return instance.get(KEYS, instance.token(**where), **where)[0]


def test_policy():
    deny = {"policy": {"mode": "enforce"}, 'deny "nobody"': {"uid": "65534"}}
    with Instance(tokens="optional") as instance:
        assert keys_status(instance, user="nobody") == 200
        assert instance.reload(deny)["refused"] is False
        assert keys_status(instance, user="nobody") == 403
        assert keys_status(instance) == 200
        assert instance.reload({})["refused"] is False
        assert keys_status(instance, user="nobody") == 200
        assert instance.log.read_text().count("reloaded") == 2


def test_imdsv2_settings():
    with Instance(tokens="optional") as instance:
        assert instance.get(AMI)[0] == 401
        assert instance.curl("-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60", path="/latest/api/token",
                             ns="ctr1").stdout.startswith("HTTP/1.1 403")
        token = instance.token()
        instance.reload({"imdsv2": {"mode": "audit", "put_response_hop_limit": 2, "token_scope": "instance"}})
        assert instance.get(AMI)[0] == 200
        assert instance.get(AMI, token)[0] == 401  # a token of the scope before: as if it had ended
        token = instance.token(ns="ctr1")
        assert instance.get(AMI, token, ns="ctr2")[0] == 200


def test_what_is_recorded():
    with Instance(tokens="optional") as instance:
        instance.get(AMI, instance.token())
        instance.reload({"ledger": {"record": "all"}})
        instance.get(AMI, instance.token())
        assert eventually(lambda: [row["path"] for row in instance.rows()] == ["/latest/api/token", AMI])


def test_witness():
    argument = "X-Pin: 4711"
    by_proc = {"ebpf": "off"}  # with eBPF nobody looks through /proc for holders
    with Instance({"witness": by_proc}, tokens="optional") as instance:
        def cmdline():
            instance.get(KEYS, instance.token(), headers=[argument])
            return instance.rows()[-1]

        assert argument in cmdline()["cmdline"]
        assert instance.reload({"witness": {**by_proc, "redact": "X-Pin:*"}})["refused"] is False
        assert argument not in cmdline()["cmdline"]
        assert cmdline()["grade"] == "exact"
        instance.reload({"witness": {**by_proc, "proc_scan": "off"}})
        assert cmdline()["pid"] is None
        assert "proc_scan" not in instance.status()["witness"]["backends"]
        instance.reload({"witness": by_proc})
        assert cmdline()["grade"] == "exact"


def test_upstream():
    with Instance(tokens="optional") as instance:
        other = Imds(netns=f"{instance.world.prefix}-imds", listen=[f"{IMDS_V4}:81"], role="other-role")
        try:
            assert instance.get(ROLE_PATH, instance.token())[2] == "web-server"
            instance.reload({"upstream": {"ipv4": f"{IMDS_V4}:81"}})
            assert instance.get(ROLE_PATH, instance.token())[2] == "other-role"
        finally:
            other.stop()


# What is refused, and in which words. The line is counted in what Instance.write_config() makes of it.
REFUSED = [
    ("wrong value", {"imdsv2": {"mode": "audit"}, "policy": {"mode": "strict"}},
     r"keytrail\.conf:10: \[policy\] mode = strict: expected audit \| enforce"),
    ("unknown setting", {"imdsv2": {"mode": "audit", "tokens": "many"}},
     r"keytrail\.conf:9: \[imdsv2\] tokens: unknown setting"),
    ("section without a condition", {"imdsv2": {"mode": "audit"}, 'deny "all"': {}},
     r'keytrail\.conf:9: \[deny "all"\]: no condition'),
    ("user", {"daemon": {"user": "nobody"}, "imdsv2": {"mode": "audit"}},
     r"\[daemon\] user: is read at start only: restart to change it"),
    ("port", {"listen": {"port": 8776}, "imdsv2": {"mode": "audit"}},
     r"\[listen\] port: is read at start only: restart to change it"),
]


@pytest.mark.parametrize("settings,words", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused_whole(settings, words):
    with Instance(tokens="optional") as instance:
        good = instance.folder / "good.conf"
        shutil.copy(instance.config, good)
        answer = instance.reload(settings)
        assert answer["refused"] is True and re.search(words, answer["reason"]), answer
        assert re.search("reload_refused .*" + words.replace('"', r'\\?"'), instance.log.read_text())
        assert instance.get(AMI)[0] == 401  # `mode = audit` stood in a good line
        report = instance.keytrail("status", "-c", str(good), "-o", "json")
        assert "reload-refused" in [fault["id"] for fault in json.loads(report.stdout)["faults"]]
        assert instance.reload({"imdsv2": {"mode": "audit"}})["refused"] is False
        assert instance.get(AMI)[0] == 200


def test_file_that_has_gone():
    with Instance(tokens="optional") as instance:
        instance.config.unlink()
        instance.daemon.send_signal(signal.SIGHUP)
        assert eventually(lambda: "reload_refused" in instance.log.read_text())
        assert "No such file" in instance.status()["reload"]["reason"]
        assert instance.credentials()["AccessKeyId"]


def test_service_manager_is_told():
    with Instance(tokens="optional") as instance, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        instance.stop()
        manager.bind(str(instance.folder / "notify"))
        manager.settimeout(10)
        (instance.folder / "notify").chmod(0o777)
        instance.environment = {"NOTIFY_SOCKET": str(instance.folder / "notify")}
        instance.start()
        assert manager.recv(200).startswith(b"READY=1")
        instance.reload({"imdsv2": {"mode": "audit"}})
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(200))
        assert manager.recv(200).startswith(b"READY=1")
        instance.reload({"imdsv2": {"mode": "no"}})
        assert manager.recv(200).startswith(b"RELOADING=1")
        assert b"READY=1\nSTATUS=Settings refused" in manager.recv(200)
        instance.stop()
        assert manager.recv(200) == b"STOPPING=1"


def test_no_request_notices():
    """Reloads, good and bad in turn, while clients fetch: each is answered by the old or by the new settings."""
    with Instance(tokens="optional") as instance:
        stop, answers = threading.Event(), []

        def fetch():
            while not stop.is_set():
                answers.append(keys_status(instance, user="nobody"))

        threads = [threading.Thread(target=fetch) for _ in range(2)]
        [thread.start() for thread in threads]
        try:
            for number in range(10):
                deny = {"policy": {"mode": "enforce"}, 'deny "nobody"': {"uid": "65534"}}
                refused = instance.reload([deny, {"policy": {"mode": "no"}}, {}][number % 3])["refused"]
                assert refused == (number % 3 == 1)
        finally:
            stop.set()
            [thread.join() for thread in threads]
        assert answers and set(answers) <= {200, 403}
        instance.reload({})
        assert keys_status(instance, user="nobody") == 200


def test_witness_that_does_not_answer():
    with Instance(tokens="optional") as instance:
        witness = instance.witness_pid()
        subprocess.run(["kill", "-STOP", str(witness)], check=True)
        try:
            instance.settings = {"imdsv2": {"mode": "audit"}}
            instance.write_config()
            instance.daemon.send_signal(signal.SIGHUP)
            assert eventually(lambda: instance.status()["reload"]["refused"])
            assert "the witness does not answer" in instance.status()["reload"]["reason"]
        finally:
            subprocess.run(["kill", "-CONT", str(witness)], check=True)
        assert instance.get(AMI)[0] == 401
        assert instance.reload({"imdsv2": {"mode": "audit"}})["refused"] is False
        assert instance.get(AMI)[0] == 200
