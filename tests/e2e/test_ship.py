# SPDX-License-Identifier: Apache-2.0
"""Rows for log shippers, of the real daemon under its filter of system calls: a file that is rotated, and the system's
journal, which here is a socket of the test's own where the daemon looks for journald's."""

import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, Instance, eventually, needs_world
from imds import binary  # noqa: E402

pytestmark = needs_world


def keytrail(*words, status=0):
    done = subprocess.run([str(binary("keytrail")), *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stdout


def entry(datagram):
    """An entry's fields, as journald reads them."""
    fields, at = {}, 0
    while at < len(datagram):
        end = datagram.index(b"\n", at)
        size, = struct.unpack_from("<Q", datagram, end + 1)
        fields[datagram[at:end].decode()] = datagram[end + 9:end + 9 + size].decode()
        assert datagram[end + 9 + size:end + 10 + size] == b"\n"
        at = end + 10 + size
    return fields


def test_lines_survive_a_rotation(tmp_path):
    instance = Instance()
    lines, rotated = instance.state / "rows.jsonl", instance.state / "rows.jsonl.1"
    instance.settings = {"ledger": {"jsonl": str(lines)}}
    with instance:
        key = instance.credentials()["AccessKeyId"]
        assert eventually(lambda: key in lines.read_text(), DEADLINE_S)
        os.rename(lines, rotated)
        # Settings that cannot be read are no hindrance.
        instance.config.write_text(instance.config.read_text() + "[nonsense]\n")
        instance.daemon.send_signal(signal.SIGHUP)
        assert eventually(lambda: "reload_refused" in instance.log.read_text(), DEADLINE_S)
        instance.credentials()
        assert eventually(lambda: lines.exists() and '"kind":"delivery"' in lines.read_text(), DEADLINE_S)
        instance.stop()
        fleet = tmp_path / "fleet.db"
        # Each file alone, in any order, and the ledger's own export on top: one chain, nothing missing.
        keytrail("ledger", "import", "--into", fleet, lines, status=4)
        keytrail("ledger", "import", "--into", fleet, rotated)
        keytrail("ledger", "export", "--ledger", instance.ledger, "--file", tmp_path / "all.jsonl")
        said = json.loads(keytrail("ledger", "import", "--into", fleet, tmp_path / "all.jsonl"))
        assert said["rows"] == 0 and said["known"] == len((tmp_path / "all.jsonl").read_text().splitlines()) - 2
        assert json.loads(keytrail("ledger", "verify", "--ledger", fleet))["rows"] == said["known"]
        alone = json.loads(keytrail("who", key, "--ledger", instance.ledger, "-o", "json"))["deliveries"]
        shipped = json.loads(keytrail("who", key, "--ledger", rotated, "-o", "json"))["deliveries"]
        # (Digests of executables may have come later, and stand in the other file.)
        assert {(one["id"], one["process"]["pid"]) for one in shipped} <= {(one["id"], one["process"]["pid"]) for one in alone}
        assert shipped


def test_the_journal_gets_each_row(tmp_path):
    path = tmp_path / "socket"
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(path))
    os.chmod(path, 0o666)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != pathlib.Path("/"):
            os.chmod(folder, folder.stat().st_mode | 0o055)
    journal.settimeout(DEADLINE_S)
    mount = ("mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/journal"
             f" && mount --bind {tmp_path} /run/systemd/journal && exec \"$@\"")
    with Instance(under=["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"]) as instance:
        key = instance.credentials()["AccessKeyId"]
        fields = {}
        while fields.get("KEYTRAIL_ACCESS_KEY_ID") != key:
            fields = entry(journal.recv(1 << 20))
        row = json.loads(fields["MESSAGE"])
        assert len(fields["MESSAGE_ID"]) == 32 and fields["KEYTRAIL_KIND"] == row["kind"] == "delivery"
        assert fields["KEYTRAIL_EXE"] == row["process"]["exe"] and fields["KEYTRAIL_PID"] == str(row["process"]["pid"])
        assert fields["KEYTRAIL_SEQ"] == str(row["seq"]) and len(row["link"]) == 64
        secrets = instance.credentials()
        assert secrets["SecretAccessKey"] not in str(fields) and secrets["Token"] not in str(fields)
        instance.stop()
