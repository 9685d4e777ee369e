# SPDX-License-Identifier: Apache-2.0
"""What clients were seen to send, as docs/clients.md: from the simulator's own log of a run without Keytrail."""

import datetime
import platform
import subprocess

from clients import NOT_TRIED

SHOWN = 8  # requests of a crawler; the rest is counted
INTRODUCTION = """# Clients

What real programs ask of the metadata service, as they sent it, and that they get the same through Keytrail. Made by
`sudo tests/interop/run --write` on {date}; each run of `tests/interop/run` checks it again, with the versions at hand.

Each client was run unmodified, with its default endpoint, in a network namespace, by an unprivileged user (s3fs by root):
first with the simulated metadata service alone, whose log is what stands below, then through redirect and proxy. A client
passes when

- both ways it asked the same and got the same answers,
- the key that it printed, or signed a request with, is the one that was served,
- the ledger has one row for each key that it was handed, with outcome `delivered`, grade `exact` or `shared`, and the
  client's own process and user,

before and after a rotation of the keys. The last {without} cannot use tokens: where they are required they are refused as by the
metadata service, and the ledger names them; what stands below is from where tokens are optional (`[imdsv2] mode = audit`).

The metadata service closes each connection after one answer, so every request is a connection of its own; where there were
more connections than requests, the client connected and sent nothing. Keys: how many a run is handed.
"""


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package], capture_output=True,
                          text=True)
    status, _, version = done.stdout.partition(" ")
    return version if status == "installed" else None


def cell(text):
    return str(text).replace("|", "\\|")


class Book:
    def __init__(self):
        self.pages = []    # (client, version, log, connections)
        self.absent = {}   # name of a client: reason

    def note(self, client, version, log, connections):
        self.pages.append((client, version, log, connections))

    def skip(self, client, reason):
        self.absent[client.name] = reason

    def write(self, path):
        without = sum(bool(client.refused) for client, *_ in self.pages)
        parts = [INTRODUCTION.format(date=datetime.date.today().isoformat(), without=without), self.overview(),
                 self.notes(), self.missing(), "## Requests\n\n" + self.transcripts()]
        path.write_text("\n".join(part for part in parts if part))

    def overview(self):
        lines = ["| client | version | from | user agent | TTL asked | requests | connections | keys |",
                 "|---|---|---|---|---|---|---|---|"]
        for client, version, log, connections in self.pages:
            handed = sum(line["access_key_id"] is not None for line in log)
            values = (client.name, version, client.source, ", ".join(agents(log)), ", ".join(ttls(log)), len(log),
                      connections, handed)
            lines.append("| " + " | ".join(map(cell, values)) + " |")
        return "\n".join(lines) + "\n"

    def notes(self):
        lines = [f"- {client.name}: {client.note}" for client, *_ in self.pages if client.note]
        return "\n".join(lines) + "\n" if lines else ""

    def missing(self):
        lines = [f"- {name}: {reason}" for name, reason in [*self.absent.items(), *NOT_TRIED]]
        return "## Not tried\n\n" + "\n".join(lines) + "\n"

    def transcripts(self):
        lines = ["Header names as the client spelled them, in its order. \"same\": as in the line above.", "",
                 "| client | request | answer | headers |", "|---|---|---|---|"]
        for client, _, log, _ in self.pages:
            lines += transcript(client.name, log)
        return "\n".join(lines) + "\n"


def agents(log):
    """Distinct ones; the kernel's release is the machine's affair."""
    found = dict.fromkeys(line["headers"].get("user-agent", "(none)") for line in log)
    return [agent.replace(platform.release(), "...") for agent in found]


def ttls(log):
    return list(dict.fromkeys(line["headers"].get("x-aws-ec2-metadata-token-ttl-seconds") for line in log
                              if line["method"] == "PUT")) or ["-"]


def transcript(name, log):
    shown = log if len(log) <= SHOWN + 2 else log[:SHOWN]
    above = None
    for line in shown:
        headers = ", ".join(line["header_names"])
        yield (f"| {cell(name)} | {line['method']} {cell(line['target'])} | {line['status'] or 'none'} "
               f"| {'same' if headers == above else cell(headers)} |")
        name, above = "", headers
    if len(shown) < len(log):
        yield f"| | and {len(log) - len(shown)} more | | |"
