# SPDX-License-Identifier: Apache-2.0
"""Every client of clients.py: what it asks is noted without Keytrail; with it, the same requests get the same answers
and the keys of the moment, and the ledger has a row for each key, with the right process, before and after a rotation.
"""

import contextlib
import fnmatch
import json
import pwd
import re

import pytest

import transcript
from clients import CLIENTS
from instance import needs_world
from place import BUILT
from world import eventually

pytestmark = needs_world
ROW_SECONDS = 10


def why_not(client):
    """Why a client cannot be run here; None if it can."""
    if client.needs.startswith("{built}/"):
        folder = BUILT / client.needs.removeprefix("{built}/")
        if (folder / "ready").exists():
            return None
        reason = folder.with_suffix(".why")
        return reason.read_text().strip() if reason.exists() else "not fetched: tests/interop/run does that"
    return None if transcript.debian_version(client.needs) else f"Debian's {client.needs} is not installed"


def version(client):
    if client.needs.startswith("{built}/"):
        lines = (BUILT / client.needs.removeprefix("{built}/") / "versions").read_text().splitlines()
        return dict(line.split() for line in lines)[client.package]
    return transcript.debian_version(client.needs)


def keys_now(place, client):
    served = place.imds.keys()
    return [served[family]["v1" if client.refused else "v2"] for family in client.keys]


def canonical(target):
    return re.sub("/+", "/", target.partition("?")[0]).rstrip("/") or "/"


def asked(requests):
    """As the ledger has them: what was refused for its head has neither method nor path there."""
    return [(method, canonical(path), status) if status != 417 else (None, None, status)
            for method, path, status in requests]


def expected(texts):
    words = [text.split() for text in texts]
    return asked([(method, path, int(*status or [200])) for method, path, *status in words])


def check_requests(client, log):
    first, seen = expected(client.requests), asked(requests_of(log))
    assert seen[:len(first)] == first
    rest = seen[len(first):]
    assert len(rest) >= client.at_least and (client.crawls or not rest), rest
    assert all(method == "GET" and path.startswith(client.crawls) for method, path, _ in rest), rest


def requests_of(log):
    return [(line["method"], line["target"], line["status"]) for line in log]


def check_evidence(client, run, keys):
    assert client.status is None or run.status == client.status, (run.status, run.output, run.errors)
    if client.tells:
        assert run.printed and set(run.printed) <= set(keys), (run.output, run.errors)
    if client.signs:
        assert run.signed == {keys[0]}, (run.signed, run.output, run.errors)


def last_seq(place):
    rows = place.instance.rows()
    return rows[-1]["seq"] if rows else 0


def rows_since(place, seq, number):
    """As the command line prints them, oldest first, when `number` are there and all outcomes are known."""
    eventually(lambda: len(place.instance.rows(f"seq > {seq}", settle=False)) >= number, ROW_SECONDS)
    place.instance.rows()
    done = place.instance.keytrail("deliveries", "-o", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return sorted((row for row in rows if row["seq"] > seq), key=lambda row: row["seq"])


def check_process(client, run, row):
    process = row["process"]
    assert row["attribution"]["grade"] in ("exact", "shared") and row["attribution"]["evidence"], row["attribution"]
    assert process["uid"] == pwd.getpwnam(client.user).pw_uid and process["user"] in (client.user, None), process
    assert (process["user"] is None) == process["exe_foreign_mount"], process
    assert fnmatch.fnmatchcase(process["exe"], client.exe), process
    if client.forks:
        assert run.pid in [process["pid"], *(one["pid"] for one in process["ancestors"])], process
    else:
        assert process["pid"] == run.pid, process


def check_rows(client, runs, rows, delivery_version="2.0"):
    """Each key that was expected has its row, in order; no other was handed out."""
    delivered = [row for row in rows if row["access_key_id"] is not None]
    wanted = [(run, key) for run, keys in runs for key in keys]
    assert [row["access_key_id"] for row in delivered] == [key for _, key in wanted]
    for row, (run, _) in zip(delivered, wanted):
        assert row["outcome"] == "delivered" and row["delivery_version"] == delivery_version, row
        assert (row["user_agent"] or "(none)").startswith(client.agent), row["user_agent"]
        check_process(client, run, row)


def skip_without(client, book):
    reason = why_not(client)
    if reason:
        book.skip(client, reason)
        pytest.skip(reason)


def named(clients):
    return pytest.mark.parametrize("client", clients, ids=lambda client: client.name)


@named([client for client in CLIENTS if not client.refused])
def test_client(client, bare, kept, book):
    skip_without(client, book)
    log = without_keytrail(client, bare, book)
    seq = last_seq(kept)
    runs = across_a_rotation(client, kept)
    wanted = asked(requests_of(log)) * (1 if client.session else 2)
    rows = rows_since(kept, seq, len(wanted))
    check_rows(client, runs, rows)
    assert in_any_order(through(rows)) == in_any_order(wanted)


@named([client for client in CLIENTS if client.refused])
def test_client_without_tokens(client, bare, kept, audited, book):
    skip_without(client, book)
    seq = last_seq(kept)
    run = kept.run(client)
    refused = rows_since(kept, seq, len(client.refused))
    assert not run.printed and not run.signed
    assert in_any_order(through(refused)) == in_any_order(expected(client.refused))
    assert all(row["outcome"] == "refused" and row["access_key_id"] is None for row in refused), refused
    check_process(client, run, refused[-1])

    with tokens_optional(bare.imds):
        log = without_keytrail(client, bare, book)
    seq = last_seq(audited)
    runs = across_a_rotation(client, audited)
    wanted = asked(requests_of(log)) * 2
    rows = rows_since(audited, seq, len(wanted))
    check_rows(client, runs, rows, delivery_version="1.0")
    assert in_any_order(through(rows)) == in_any_order(wanted)


@contextlib.contextmanager
def tokens_optional(imds):
    imds.set("tokens", "optional")
    try:
        yield
    finally:
        imds.set("tokens", "required")


def in_any_order(requests):
    """Rows without a key are written after their answers, by many threads: the next request's may come first."""
    return sorted(requests, key=str)


def through(rows):
    return asked([(row["method"], row["path"], row["status"]) for row in rows])


def without_keytrail(client, place, book):
    """One run against the metadata service itself; its log."""
    place.imds.reset()
    run = place.run(client)
    log, counters = place.imds.log(), place.imds.counters()
    check_evidence(client, run, keys_now(place, client))
    check_requests(client, log)
    assert transcript.agents(log)[0].startswith(client.agent)
    assert transcript.ttls(log) in ([client.ttl], ["-"])
    book.note(client, version(client), log, counters["connections"])
    return log


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
