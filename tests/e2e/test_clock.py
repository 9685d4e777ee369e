# SPDX-License-Identifier: Apache-2.0
"""The machine's clock jumps, forward and back. CLOCK_REALTIME has no namespace of its own, so the daemon runs under
Debian's libfaketime, which adds to that clock what stands in a file, read anew at each call, and to no other clock."""

import json
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import ROLE_PATH, TTL_HEADER, Instance, eventually, needs_world  # noqa: E402

pytestmark = needs_world
LIBRARIES = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
KEYS = ROLE_PATH + "web-server"
DAY_S = 86400
SLACK_S = 120  # busy machines, and the start of what is compared


class Jumping(Instance):
    def __init__(self):
        super().__init__()
        self.offset = self.folder / "offset"
        self.jump(0)
        self.environment = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(self.offset),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                            "FAKETIME_FORCE_MONOTONIC_FIX": "0"}  # a work-around for older C libraries

    def jump(self, seconds):
        """The daemon's clock is so far off from now on."""
        fresh = self.offset.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.chmod(0o644)
        fresh.rename(self.offset)


@pytest.fixture(scope="module")
def instance():
    if not LIBRARIES:
        pytest.skip("no libfaketime (scripts/deps --test)")
    with Jumping() as made:
        made.credentials()
        yield made


def newest(instance):
    rows = instance.rows("access_key_id IS NOT NULL")
    return rows[-1], len(rows)


def seconds_of(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


@pytest.mark.parametrize("seconds", [DAY_S, -DAY_S, 400 * DAY_S, 0])
def test_tokens_and_deliveries_survive(instance, seconds):
    """One after the other: each jump starts where the one before has ended."""
    token = instance.token(ttl=600)
    puts = sum("PUT" == line["method"] for line in instance.imds.log())
    _, before = newest(instance)
    instance.jump(seconds)
    status, head, body = instance.get(KEYS, token)
    assert status == 200 and 0 < int(head[TTL_HEADER.lower()]) <= 600
    assert instance.get(KEYS, instance.token(ttl=600))[0] == 200  # one that is made now, too
    delivery, count = newest(instance)
    assert count == before + 2
    # The row says what the machine's clock said, and the key's end as the document says it.
    assert abs(seconds_of(delivery["delivered_at"]) - time.time() - seconds) < SLACK_S
    assert seconds_of(delivery["expires_at"]) == seconds_of(json.loads(body)["Expiration"])
    # Neither was a token of upstream's taken for one that has ended.
    assert sum("PUT" == line["method"] for line in instance.imds.log()) == puts


def test_no_ended_token_is_revived(instance):
    short, long = instance.token(ttl=1), instance.token(ttl=600)
    assert eventually(lambda: instance.get(KEYS, short)[0] == 401)
    for seconds in (-DAY_S, DAY_S, 0):
        instance.jump(seconds)
        assert instance.get(KEYS, short)[0] == 401
        assert instance.get(KEYS, long)[0] == 200


def test_a_restart_in_another_time_ends_no_token(instance):
    token = instance.token(ttl=600)
    instance.stop()
    instance.jump(-DAY_S)
    instance.start()
    assert instance.get(KEYS, token)[0] == 200
    instance.jump(0)


def test_the_chain_holds(instance):
    """Rows are in their order by number, whatever their clocks say."""
    done = instance.keytrail("ledger", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
