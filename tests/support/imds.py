# SPDX-License-Identifier: Apache-2.0
"""Starts, steers and stops imds-sim for tests.

    with Imds(role="web-server", tokens="optional") as imds:
        imds.rotate()
        imds.set("stall-get-ms", 500)
        assert imds.counters()["requests"] == 0

Keyword arguments are the simulator's options with underscores for hyphens; True is a bare flag, a list repeats
the option. Without `listen` it takes any free port of 127.0.0.1; `imds.address` says which.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def binary(name="imds-sim"):
    """The built program: in $KEYTRAIL_BIN, else in the release build's folder."""
    return Path(os.environ.get("KEYTRAIL_BIN", ROOT / "build/release/bin")) / name


def arguments(options):
    for key, value in options.items():
        option = "--" + key.replace("_", "-")
        if value is True:
            yield option
        elif value is False:
            yield option + "=off"
        else:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                yield f"{option}={item}"


class Imds:
    """One running simulator. With `netns` it runs inside /run/netns/NAME (this needs root); its control socket
    is reached from outside all the same."""

    def __init__(self, netns=None, start=True, **options):
        self.folder = Path(tempfile.mkdtemp(prefix="imds-sim-"))
        self.control_path = self.folder / "control"
        self.log_path = Path(options.pop("log", self.folder / "log.jsonl"))
        self.netns = netns
        self.options = {"listen": "127.0.0.1:0", **options}
        self.process = None
        self.addresses = []
        if start:
            self.start()

    def start(self, timeout=10):
        prefix = ["nsenter", f"--net=/run/netns/{self.netns}"] if self.netns else []
        command = [*prefix, str(binary()), "--control", str(self.control_path), "--log", str(self.log_path)]
        self.process = subprocess.Popen([*command, *arguments(self.options)], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL)
        line = b""
        deadline = time.monotonic() + timeout
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            byte = os.read(self.process.stdout.fileno(), 1) if readable else b""
            if not byte:
                self.stop()
                raise RuntimeError(f"imds-sim did not become ready: {command} {self.options}")
            line += byte
        self.addresses = [self._split(word) for word in line.decode().split()[1:]]
        return self

    @staticmethod
    def _split(text):
        host, _, port = text.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        """(host, port) of the first listener."""
        return self.addresses[0]

    @property
    def url(self):
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def control(self, command):
        """Sends one command; returns its answer, an object where that is JSON. Raises on `error: ...`."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.control_path))
            client.sendall(command.encode() + b"\n")
            with client.makefile(encoding="utf-8") as reply:
                answer = reply.read().rstrip("\n")
        if answer.startswith("error: "):
            raise ValueError(answer.removeprefix("error: "))
        return json.loads(answer) if answer[:1] in ("{", "[") else answer

    def set(self, key, value):
        value = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
        return self.control(f"set {key} {value}")

    def rotate(self):
        return self.control("rotate")

    def reset(self):
        return self.control("reset")

    def expire_tokens(self):
        return self.control("expire-tokens")

    def keys(self):
        return self.control("keys")

    def counters(self):
        return self.control("counters")

    def log(self):
        """The last 256 requests; the file `log_path` has all."""
        return self.control("log")

    def stop(self, timeout=10):
        """Ends this very process; returns its exit status (a sanitizer's complaint shows in it)."""
        status = None
        if self.process is not None:
            self.process.terminate()
            try:
                status = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
            self.process.stdout.close()
            self.process = None
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        status = self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert status in (0, None), f"imds-sim ended with {status}"
