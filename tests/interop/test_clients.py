# SPDX-License-Identifier: Apache-2.0
"""Every client of clients.py: what it asks is noted without Keytrail; with it, the same requests get the same answers
and the keys of the moment, and the ledger has a row for each key, with the right process, on both sides of a rotation."""

import fnmatch
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

import transcript
from clients import CLIENTS
from instance import needs_world
from place import USER, bare_place, kept_place

pytestmark = needs_world
ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "interop"


def why_not(client):
    """Why a client cannot be run here; None if it can."""
    if client.needs.startswith("{built}/"):
        folder = BUILT / client.needs.removeprefix("{built}/")
        if (folder / "ready").exists():
            return None
        reason = folder.with_suffix(".why")
        return reason.read_text().strip() if reason.exists() else "tests/interop/run fetches it"
    return None if transcript.debian_version(client.needs) else f"Debian's {client.needs} is not installed"


@pytest.fixture(scope="session")
def stage():
    """Where any user may read: the checkout may be root's alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-interop-"))
    try:
        furnish(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def furnish(folder):
    folder.chmod(0o755)
    shutil.copytree(ROOT / "tests/interop/programs", folder / "programs")
    if BUILT.is_dir():
        linked = subprocess.run(["cp", "-a", "--link", str(BUILT), str(folder / "built")], capture_output=True)
        if linked.returncode != 0:  # another file system
            subprocess.run(["cp", "-a", str(BUILT), str(folder)], check=True)
            (folder / BUILT.name).rename(folder / "built")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
                    "-out", str(folder / "cert.pem")], check=True, capture_output=True)
    (folder / "certificate.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())


def version(client):
    if client.needs.startswith("{built}/"):
        return (BUILT / client.needs.removeprefix("{built}/") / "version").read_text().strip()
    return transcript.debian_version(client.needs)


@pytest.fixture(scope="session")
def bare(stage):
    with bare_place(stage) as place:
        yield place


@pytest.fixture(scope="session")
def kept(stage):
    with kept_place(stage) as place:
        yield place


@pytest.fixture(scope="session")
def book(request):
    """What was seen, for docs/clients.md."""
    pages = transcript.Book()
    yield pages
    if request.config.getoption("--write"):
        pages.write(ROOT / "docs" / "clients.md")


def keys_now(place, client):
    served = place.imds.keys()
    return [served[family]["v2" if client.tokens else "v1"] for family in client.keys]


def canonical(target):
    return re.sub("/+", "/", target.partition("?")[0]).rstrip("/") or "/"


def asked(requests):
    return [(method, canonical(path), status) for method, path, status in requests]


def expected(client):
    for text in client.requests:
        method, path, *status = text.split()
        yield method, canonical(path), int(*status or [200])


def check_requests(client, requests):
    first, seen = list(expected(client)), asked(requests)
    assert seen[:len(first)] == first
    rest = seen[len(first):]
    assert len(rest) >= client.at_least and (client.crawls or not rest), rest
    assert all(method == "GET" and path.startswith(client.crawls) for method, path, _ in rest), rest


def check_evidence(client, run, keys):
    assert client.status is None or run.status == client.status, (run.status, run.output, run.errors)
    if client.tells:
        assert run.printed and set(run.printed) <= set(keys) and keys[0] in run.printed, (run.output, run.errors)
    if client.signs:
        assert run.signed == {keys[0]}, (run.signed, run.output, run.errors)


def last_seq(place):
    rows = place.instance.rows()
    return rows[-1]["seq"] if rows else 0


def rows_since(place, seq):
    """As the command line prints them, oldest first, when all outcomes are known."""
    place.instance.rows()
    done = place.instance.keytrail("deliveries", "-o", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return sorted((row for row in rows if row["seq"] > seq), key=lambda row: row["seq"])


def check_process(client, run, row):
    process = row["process"]
    assert row["attribution"]["grade"] in ("exact", "shared") and row["attribution"]["evidence"], row["attribution"]
    assert process["user"] == USER and fnmatch.fnmatchcase(process["exe"], client.exe), process
    if client.forks:
        assert run.pid in [process["pid"], *(one["pid"] for one in process["ancestors"])], process
    else:
        assert process["pid"] == run.pid, process


def check_rows(client, runs, rows):
    """Each key that was expected has its row, in order; no other was handed out."""
    delivered = [row for row in rows if row["access_key_id"] is not None]
    wanted = [(run, key) for run, keys in runs for key in keys]
    assert [row["access_key_id"] for row in delivered] == [key for _, key in wanted]
    for row, (run, _) in zip(delivered, wanted):
        assert row["outcome"] == "delivered" and row["delivery_version"] == "2.0", row
        assert (row["user_agent"] or "(none)").startswith(client.agent), row["user_agent"]
        check_process(client, run, row)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_client(client, bare, kept, book):
    if why_not(client):
        book.skip(client, why_not(client))
        pytest.skip(why_not(client))
    log = without_keytrail(client, bare, book)
    seq = last_seq(kept)
    runs = across_a_rotation(client, kept)
    rows = rows_since(kept, seq)
    check_rows(client, runs, rows)
    through = [(row["method"], row["path"], row["status"]) for row in rows]
    assert asked(through) == asked(log) * (1 if client.session else 2)


def without_keytrail(client, place, book):
    """One run against the metadata service itself; its log."""
    place.imds.reset()
    run = place.run(client)
    log, counters = place.imds.log(), place.imds.counters()
    requests = [(line["method"], line["target"], line["status"]) for line in log]
    check_evidence(client, run, keys_now(place, client))
    check_requests(client, requests)
    book.note(client, version(client), log, counters["connections"])
    return requests


def across_a_rotation(client, place):
    """Two fetches, by two processes or by one; [(run, keys that it was to get)]."""
    before = keys_now(place, client)
    run = place.run(client, between=place.imds.rotate)
    if client.session:
        after = keys_now(place, client)
        assert run.printed == [before[0], after[0]], (run.output, run.errors)
        return [(run, before), (run, after)]
    check_evidence(client, run, before)
    place.imds.rotate()
    after = keys_now(place, client)
    assert not set(before) & set(after)
    again = place.run(client)
    check_evidence(client, again, after)
    return [(run, before), (again, after)]
