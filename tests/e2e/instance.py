# SPDX-License-Identifier: Apache-2.0
"""One instance under Keytrail: a world, the simulator, the redirect, the daemon, and its ledger."""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile


import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "world"), str(ROOT / "tests" / "support")]

from imds import Imds, binary  # noqa: E402
from world import IMDS_V4, IMDS_V6, QUICK_S, World, eventually  # noqa: E402

REDIRECT = ROOT / "iptables" / "keytrail-redirect"
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aws-ec2-metadata-token"
DEADLINE_S = 30  # of what must happen; a busy machine may take its time
SETTLE_S = 10  # of outcomes, which may be missing for good where a daemon was killed


def missing():
    """Why these tests cannot run here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        pwd.getpwnam("keytrail")
    except KeyError:
        return "there is no user keytrail"
    return None


class Instance:
    """Use as a context manager. `settings` are further lines of keytrail.conf, given as {section: {key: value}}; `under` are
    words in front of the daemon's own: a program that execs it."""

    def __init__(self, settings=None, redirect=True, under=(), **imds_options):
        self.settings = settings or {}
        self.under = list(under)
        self.imds_options = imds_options
        self.with_redirect = redirect
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-test-"))
        self.folder.chmod(0o755)  # the proxy's user and other users go through
        self.state = self.folder / "state"
        self.ledger = self.state / "ledger.db"
        self.config = self.folder / "keytrail.conf"
        self.log = self.folder / "keytraild.log"
        self.environment = {}  # the daemon's, beside this process's
        self.world = self.imds = self.daemon = None

    def __enter__(self):
        try:
            self.world = World()
            self.imds = Imds(netns=f"{self.world.prefix}-imds", listen=[f"{IMDS_V4}:80", f"[{IMDS_V6}]:80"],
                             **self.imds_options)
            self.write_config()
            if self.with_redirect:
                self.redirect("up")
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.daemon is not None:
            self.stop()
        if self.imds is not None:
            self.imds.stop()
        if self.world is not None:
            self.world.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_config(self):
        sections = {"daemon": {"runtime": str(self.folder / "run")}, "ledger": {"path": str(self.ledger)},
                    "upstream": {"timeout_ms": "10000"}}  # imds-sim, too, has only its share of a busy machine
        for section, values in self.settings.items():
            sections.setdefault(section, {}).update(values)
        text = "".join(f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
                       for section, values in sections.items())
        self.config.write_text(text)

    def redirect(self, *words):
        done = self.world.run("host", [str(REDIRECT), "-c", str(self.config), *words], timeout=60)
        assert done.returncode == 0, done.stderr
        return done

    # ---- the daemon

    def command(self):
        return [str(binary("keytraild")), "-c", str(self.config)]

    def start(self, wait=True):
        with self.log.open("ab") as log:
            self.daemon = self.world.popen("host", [*self.under, *self.command()], stderr=log,
                                           stdout=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        if wait:
            before = self.log.read_text().count("notice ready") if self.log.exists() else 0
            eventually(lambda: self.daemon.poll() is not None or self.listens(), DEADLINE_S)
            assert self.daemon.poll() is None, self.log.read_text()
            assert before <= self.log.read_text().count("notice ready")

    def reload(self, settings):
        """Replaces the settings and has the daemon read them; returns what `status` says of that."""
        before = self.status()["reload"]["last_at"]
        self.settings = settings
        self.write_config()
        self.daemon.send_signal(signal.SIGHUP)
        assert eventually(lambda: self.status()["reload"]["last_at"] != before, DEADLINE_S), self.log.read_text()
        return self.status()["reload"]

    def status(self):
        """What the daemon says on its control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(DEADLINE_S)
            control.connect(str(self.folder / "run" / "control.sock"))
            with control.makefile() as answer:
                return json.loads(answer.read())

    def listens(self):
        with socket.socket(socket.AF_UNIX) as control:
            try:
                control.connect(str(self.folder / "run" / "control.sock"))
            except OSError:
                return False
            return control.recv(1) == b"{"

    def pid(self):
        """Of the proxy: nsenter and setpriv exec, so the child is the daemon itself."""
        return self.daemon.pid

    def witness_pid(self):
        children = pathlib.Path(f"/proc/{self.pid()}/task/{self.pid()}/children").read_text().split()
        return int(children[0])

    def stop(self, how=signal.SIGTERM):
        if self.daemon.poll() is None:
            self.daemon.send_signal(how)
        status = self.daemon.wait(timeout=DEADLINE_S)
        self.daemon = None
        return status

    # ---- clients

    def curl(self, *words, ns="host", user=None, address=IMDS_V4, path=""):
        host = f"[{address}]" if ":" in address else address
        url = [f"http://{host}{path}"] if path else []
        return self.bytes_of(ns, ["curl", "-sS", "-m", "20", "-i", *words, *url], user=user)

    def bytes_of(self, ns, argv, **more):
        """Runs a program; its output byte for byte, as latin-1 text (text mode would change line ends)."""
        done = self.world.run(ns, argv, text=False, **more)
        done.stdout, done.stderr = done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
        return done

    def token(self, ttl=60, **where):
        done = self.curl("-X", "PUT", "-H", f"{TTL_HEADER}: {ttl}", path="/latest/api/token", **where)
        head, _, body = done.stdout.partition("\r\n\r\n")
        assert " 200 " in head.splitlines()[0], done.stdout + done.stderr
        return body

    def get(self, path, token=None, headers=(), **where):
        """(status, {lower-case name: value}, body)"""
        words = [word for header in headers for word in ("-H", header)]
        if token is not None:
            words += ["-H", f"{TOKEN_HEADER}: {token}"]
        return parse(self.curl(*words, path=path, **where))

    def credentials(self, **where):
        """A whole fetch; the credential document."""
        token = self.token(**where)
        _, _, role = self.get(ROLE_PATH, token, **where)
        status, _, body = self.get(ROLE_PATH + role, token, **where)
        assert status == 200, (status, body)
        return json.loads(body)

    # ---- the ledger

    def rows(self, where="1", settle=True):
        """Deliveries and refusals, oldest first, as dictionaries. `settle`: wait until outcomes are written."""
        def read():
            with contextlib.closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as db:
                db.row_factory = sqlite3.Row
                return [dict(row) for row in db.execute(f"SELECT * FROM v_deliveries WHERE {where} ORDER BY seq")]
        if settle:
            eventually(lambda: all(row["outcome"] != "recorded" for row in read()), SETTLE_S)
        return read()

    def row(self, where="1"):
        """The one row there is (outcomes and refusals may be written a moment after the answer)."""
        eventually(lambda: self.rows(where, settle=False), DEADLINE_S)
        rows = self.rows(where)
        assert len(rows) == 1, rows
        return rows[0]

    def keytrail(self, *words, **more):
        return subprocess.run([str(binary("keytrail")), *words, "--ledger", str(self.ledger)], capture_output=True,
                              text=True, timeout=60, **more)


def parse(done):
    """curl -i's output as (status, headers, body); (None, {}, "") when there was no answer."""
    head, _, body = done.stdout.partition("\r\n\r\n")
    lines = head.splitlines()
    if not lines:
        return None, {}, ""
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}, body


needs_world = pytest.mark.skipif(missing() is not None, reason=str(missing()))


