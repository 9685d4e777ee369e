# SPDX-License-Identifier: Apache-2.0
"""An instance whose metrics are read, and what they say."""

import re
import socket

from instance import Instance

SAMPLE = re.compile(r'^([a-z_]+)(?:\{([^}]*)\})? (\S+)$')
LABEL = re.compile(r'([a-z]+)="([^"\\]*)"(?:,|$)')
HEAD = "GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n"


class Watched(Instance):
    """An instance that serves metrics on a Unix socket, which needs no namespace to be asked."""

    def __init__(self, **more):
        super().__init__(**more)
        self.socket = self.folder / "run" / "metrics.sock"
        self.settings.setdefault("metrics", {}).setdefault("listen", f"unix:{self.socket}")

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.socket))
        return client

    def ask(self, head=HEAD):
        """(status, {lower-case name: value}, body)"""
        with self.connect() as client:
            client.sendall(head.encode("latin-1"))
            answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        return split(answer)

    def values(self):
        """{(name, labels as text): value}"""
        status, _, body = self.ask()
        assert status == 200
        return {(name, labels): value for name, labels, value in samples(body)}

    def value(self, name, labels=""):
        return self.values()[name, labels]


def split(answer):
    head, _, body = answer.partition("\r\n\r\n")
    lines = head.split("\r\n")
    return int(lines[0].split()[1]), {name.lower(): value for name, value in
                                      (line.split(": ", 1) for line in lines[1:])}, body


def samples(body):
    """Reads strictly: each line is a head, a sample, or the end."""
    lines = body.split("\n")
    assert lines[-2:] == ["# EOF", ""]
    for line in lines[:-2]:
        if line.startswith("# "):
            assert line.split()[1] in ("TYPE", "UNIT", "HELP"), line
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = match[2] or ""
        assert "".join(match.group(0) for match in LABEL.finditer(labels)) == labels, line
        yield match[1], labels, float(match[3])
