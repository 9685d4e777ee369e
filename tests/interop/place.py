# SPDX-License-Identifier: Apache-2.0
"""Where clients run: a world with the metadata service alone, or an instance under Keytrail; and what one run of a
client left: its output, and the keys that it printed or signed with."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from clients import PATH, PYTHON
from imds import Imds
from instance import Instance
from world import IMDS_V4, IMDS_V6, World, eventually

FOLDER = pathlib.Path(__file__).resolve().parent
BUILT = FOLDER.parents[1] / "build" / "interop"
PLAIN_PORT, TLS_PORT = 9480, 9443
KEY = re.compile(r"ASIA[A-Z0-9]{16}")


@dataclasses.dataclass
class Run:
    pid: int
    status: int
    output: str
    errors: str
    printed: list   # keys, in this order
    signed: set     # keys that requests to the stand-in for AWS were signed with


class Place:
    """A host of a world in which clients run, and the metadata service that they find there. `stage` is the folder with
    programs and what was built, readable for all."""

    def __init__(self, stage, world, imds):
        self.stage = stage
        self.world = world
        self.imds = imds
        self.folder = stage / ("homes-" + world.prefix)
        self.folder.mkdir()
        self.signatures = self.folder / "signatures.jsonl"
        self.shorten_the_way_out()
        with self.signatures.open("wb") as notes:
            world.popen("host", [PYTHON, str(FOLDER / "endpoint.py"), str(PLAIN_PORT), str(TLS_PORT),
                                 str(stage / "certificate.pem")], stdin=subprocess.DEVNULL, stdout=notes)
        assert eventually(lambda: self.signatures.stat().st_size), "the stand-in for AWS does not start"

    def shorten_the_way_out(self):
        """The world's default route is a silent dead end: a client that looks for AWS would wait for its time-outs."""
        host = f"{self.world.prefix}-host"
        for words in (["route", "add", f"{IMDS_V4}/32", "via", "10.77.0.1"], ["route", "del", "default"],
                      ["route", "add", "unreachable", "default"], ["-6", "route", "add", IMDS_V6, "via", "fd77::1"],
                      ["-6", "route", "del", "default"]):
            subprocess.run(["ip", "-n", host, *words], check=True)

    def run(self, client, between=lambda: None):
        """One run of a client to its end. `between` is called when one of kind `session` has printed its first key."""
        home = self.folder / re.sub(r"\W+", "-", client.name)
        words = self.words(home)
        furnish(home, client.user, {name: words(text) for name, text in client.files})
        environment = {"PATH": PATH, "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8",
                       **{name: words(value) for name, value in client.environment}}
        before = self.signatures.stat().st_size
        with open(f"{home}.errors", "w+b") as errors:
            child = self.world.popen("host", [words(word) for word in client.command], user=client.user, cwd=home,
                                     env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                     text=False, start_new_session=True)
            try:
                output = self.talk(child, client, between)
            finally:
                end_group(child)
            errors.seek(0)
            told = errors.read().decode(errors="replace")
        signed = {json.loads(line)["key"] for line in self.signatures.read_bytes()[before:].splitlines()} - {None}
        return Run(child.pid, child.returncode, output, told, KEY.findall(output), signed)

    @staticmethod
    def talk(child, client, between):
        output = b""
        try:
            if client.session:
                output = read_line(child.stdout, client.seconds)
                between()
            output += child.communicate(b"\n" if client.session else None, timeout=client.seconds)[0]
        except subprocess.TimeoutExpired as late:
            output += (late.stdout or b"") + f"\n(did not end within {client.seconds} s)".encode()
        return output.decode(errors="replace")

    def words(self, home):
        """A function that fills in what stands in braces."""
        plain = f"127.0.0.1:{PLAIN_PORT}"
        names = {"programs": self.stage / "programs", "built": self.stage / "built", "home": home,
                 "plain": f"http://{plain}", "plain_host": plain, "tls_port": TLS_PORT,
                 "tls": f"https://127.0.0.1:{TLS_PORT}"}
        return lambda text: re.sub(r"\{(%s)\}" % "|".join(names), lambda found: str(names[found[1]]), text)


def set_stage(folder):
    """Puts programs, what was built and a certificate where any user may read: the checkout may be root's alone."""
    folder.chmod(0o755)
    shutil.copytree(FOLDER / "programs", folder / "programs")
    if BUILT.is_dir():
        linked = subprocess.run(["cp", "-a", "--link", str(BUILT), str(folder / "built")], capture_output=True)
        if linked.returncode != 0:  # another file system
            subprocess.run(["cp", "-a", str(BUILT), str(folder)], check=True)
            (folder / BUILT.name).rename(folder / "built")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
                    "-out", str(folder / "cert.pem")], check=True, capture_output=True)
    (folder / "certificate.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())


@contextlib.contextmanager
def bare_place(stage):
    """The metadata service and nothing in between."""
    with World() as world, Imds(netns=f"{world.prefix}-imds", listen=[f"{IMDS_V4}:80", f"[{IMDS_V6}]:80"]) as imds:
        yield Place(stage, world, imds)


@contextlib.contextmanager
def kept_place(stage, **imdsv2):
    """The same under Keytrail, which writes down every request."""
    with Instance({"ledger": {"record": "all"}, "imdsv2": imdsv2}) as instance:
        place = Place(stage, instance.world, instance.imds)
        place.instance = instance
        yield place


def furnish(home, user, files):
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["chown", "-R", f"{user}:", str(home)], check=True)


def read_line(stream, seconds):
    line, deadline = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0, deadline - time.monotonic()))
        more = os.read(stream.fileno(), 4096) if ready else b""
        if not more:
            break
        line += more
    return line


def end_group(child):
    """Clients may leave children behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(timeout=10)
