# SPDX-License-Identifier: Apache-2.0
"""A disk that does not answer while rows are on their way to it: not a byte of a key leaves before its row is there, nobody else
waits meanwhile, and each request comes to one end, whatever its client, the disk or the daemon does."""

import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import disks
from instance import DEADLINE_S, ROLE_PATH, TOKEN_HEADER, eventually, needs_world
from watched import Watched
from wire import Wire, request

pytestmark = needs_world

PARKED = 24
WORKERS = 8  # that there are, while nobody is slow
PATIENCE_S = 5  # of the daemon, with its disk
LARGE = 1000000  # bytes of a document: more than goes into sockets at once
KEY = re.compile(rb'"AccessKeyId" : "([A-Z0-9]{20})"')


class Frozen(Watched):
    """Its state is on a disk that can be made to stand still."""

    @contextlib.contextmanager
    def freeze(self):
        subprocess.run(["fsfreeze", "-f", str(self.state)], check=True)
        self.frozen_at = time.monotonic()
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "-u", str(self.state)], check=True)
            self.frozen_s = time.monotonic() - self.frozen_at

    def key_request(self):
        return request("GET", ROLE_PATH + "web-server", f"{TOKEN_HEADER}: {self.session}")

    def park(self, count=PARKED, beside=0):
        """Requests for keys, each with its row on the way to the disk; so many have been sent `beside` them."""
        pending = [self.wire.start(self.key_request()) for _ in range(count)]
        assert eventually(lambda: self.value("keytrail_connections") == count + beside, DEADLINE_S)
        return pending

    def threads(self):
        return len(list(pathlib.Path(f"/proc/{self.pid()}/task").iterdir()))

    def outcomes(self, since, **how):
        return [(row["outcome"], row["reason"]) for row in self.rows(f"seq > {since}", **how)]

    def last_seq(self):
        return max((row["seq"] for row in self.rows(settle=False)), default=0)


@contextlib.contextmanager
def frozen(**imds):
    instance = Frozen(**imds)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, instance.folder, ignore_errors=True)
        stack.enter_context(disks.lent(disks.Block(instance.state, instance.folder / "backing")))
        stack.enter_context(instance)
        instance.wire = Wire(instance.world)
        instance.session = instance.wire.token()
        instance.threads_at_start = instance.threads()
        yield instance


@pytest.fixture(scope="module")
def instance():
    with frozen() as running:
        yield running


def in_time(instance, attempt):
    """Does it again where the machine was too busy to be done before the daemon lost its patience."""
    for _ in range(5):
        result = attempt()
        if instance.frozen_s < PATIENCE_S - 1:
            return result
    raise AssertionError("the machine is too slow for this")


def test_a_key_waits_for_its_row_and_nobody_else_does(instance):
    def attempt():
        since = instance.last_seq()
        with instance.freeze():
            pending = instance.park()
            threads = instance.threads()
            began = time.monotonic()
            others = [instance.wire.get("/latest/meta-data/instance-id", instance.session), instance.wire.put()]
            took_s = time.monotonic() - began
            early = [one for one in pending if one.done.is_set()]
        return since, [one.result() for one in pending], others, took_s, early, threads

    since, answers, others, took_s, early, threads = in_time(instance, attempt)
    assert not early
    assert threads <= instance.threads_at_start + WORKERS  # no worker stands still for each of them
    assert [other.status for other in others] == [200, 200] and took_s < PATIENCE_S - 1
    assert {answer.status for answer in answers} == {200} and all(KEY.search(answer.body) for answer in answers)
    assert instance.outcomes(since) == [("delivered", None)] * PARKED


def test_a_client_that_goes_away_meanwhile(instance):
    def attempt():
        since = instance.last_seq()
        with instance.freeze():
            gone = instance.wire.start((instance.key_request(), 0.5), then="reset")
            pending = instance.park(3, beside=1)
            gone.result()
        return since, [one.result().status for one in pending]

    since, statuses = in_time(instance, attempt)
    assert statuses == [200] * 3
    assert sorted(instance.outcomes(since), key=str) == [("aborted", "client-closed")] + [("delivered", None)] * 3
    assert eventually(lambda: instance.value("keytrail_connections") == 0)


def test_a_request_with_bytes_behind_it(instance):
    """They are taken out before the connection is closed, and nobody waits for that."""
    def attempt():
        since = instance.last_seq()
        with instance.freeze():
            piped = instance.wire.start(instance.key_request() + b"GET / HTTP/1.1\r\n\r\n")
            pending = instance.park(3, beside=1)
        return since, [one.result() for one in [piped, *pending]]

    since, answers = in_time(instance, attempt)
    assert [(answer.status, answer.end) for answer in answers] == [(200, "eof")] * 4
    assert instance.outcomes(since) == [("delivered", None)] * 4


def test_a_reload_meanwhile(instance):
    """Who is parked keeps the settings that it came with."""
    def attempt():
        with instance.freeze():
            pending = instance.park(3)
            said = instance.reload(instance.settings)
        return said, [one.result().status for one in pending]

    said, statuses = in_time(instance, attempt)
    assert said["refused"] is False and statuses == [200] * 3


def test_patience_has_an_end(instance):
    """Without a row there is no key; what the disk gets of it in the end is not said to be delivered."""
    failed, since = instance.status()["counters"]["ledger_failed"], instance.last_seq()
    said = instance.log.read_text().count("not_recorded")
    with instance.freeze():
        pending = instance.park()
        answers = [one.result() for one in pending]
        assert eventually(lambda: instance.status()["counters"]["ledger_failed"] == failed + PARKED, DEADLINE_S)
        assert instance.wire.get("/latest/meta-data/instance-id", instance.session).status == 200
    assert all(answer.status == 503 and answer.is_empty_refusal for answer in answers), answers
    assert all(answer.seconds > PATIENCE_S - 0.5 for answer in answers)
    assert instance.wire.send(instance.key_request()).status == 200
    assert eventually(lambda: instance.outcomes(since, settle=False).count(("delivered", None)) == 1, DEADLINE_S)
    outcomes = instance.outcomes(since, settle=False)
    assert outcomes.count(("refused", "ledger")) == PARKED
    assert {outcome for outcome, _ in outcomes} <= {"refused", "delivered", "recorded"}
    assert instance.log.read_text().count("not_recorded") == said + PARKED


def test_the_daemon_is_told_to_end_meanwhile(instance):
    """Who is parked gets its answer before it does."""
    def attempt():
        since = instance.last_seq()
        with instance.freeze():
            pending = instance.park()
            instance.daemon.send_signal(signal.SIGTERM)
            assert eventually(lambda: "notice ending" in instance.log.read_text().rpartition("notice ready")[2], DEADLINE_S)
        answers = [one.result() for one in pending]
        status = instance.stop()
        instance.start()
        return since, [answer.status for answer in answers], status

    since, statuses, status = in_time(instance, attempt)
    assert statuses == [200] * PARKED and status == 0
    assert instance.outcomes(since) == [("delivered", None)] * PARKED


def test_clients_that_never_read(tmp_path):
    """They hold up nobody: neither others whose rows are durable, nor the end of the daemon for longer than its patience."""
    document = tmp_path / "credentials"
    with frozen() as first:
        plain = first.wire.send(first.key_request()).body
    document.write_bytes(plain.rstrip(b"\n}") + b',\n  "Padding" : "' + b"x" * LARGE + b'"\n}')
    with frozen(credentials=str(document)) as instance:
        for _ in range(5):
            instance.wire.start(instance.key_request(), then="hold").result()
        assert eventually(lambda: len(instance.rows(settle=False)) == 5, DEADLINE_S)
        answers = [instance.wire.send(instance.key_request()) for _ in range(3)]
        assert [(answer.status, len(answer.body)) for answer in answers] == [(200, document.stat().st_size)] * 3
        assert max(answer.seconds for answer in answers) < PATIENCE_S
        assert instance.value("keytrail_connections") == 5  # they are still there
        instance.wire.release()
        outcomes = [(row["outcome"], row["reason"]) for row in instance.rows()]
        assert outcomes == [("aborted", "client-closed")] * 5 + [("delivered", None)] * 3
        assert eventually(lambda: instance.value("keytrail_connections") == 0, DEADLINE_S)
