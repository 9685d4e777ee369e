# SPDX-License-Identifier: Apache-2.0
"""The metadata service throttles, is silent, away, or has forgotten our token: what a client sees, what is recorded, and
that all is well again afterwards."""

import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import QUICK_S, ROLE_PATH, Instance, eventually, needs_world

pytestmark = needs_world
KEYS = ROLE_PATH + "web-server"
TIMEOUT_MS = 1500


@pytest.fixture
def instance():
    with Instance(settings={"upstream": {"timeout_ms": TIMEOUT_MS}}) as made:
        made.credentials()  # from here on it holds a token of the service's, and knows where the instance is
        yield made


def is_reachable(instance):
    return instance.status()["upstream"]["reachable"]


def expect_recovery(instance):
    assert eventually(lambda: instance.get(KEYS, instance.token())[0] == 200)
    assert is_reachable(instance)
    rows = instance.rows("access_key_id IS NOT NULL")
    assert all(row["outcome"] == "delivered" for row in rows)


def connections(instance):
    return instance.imds.counters()["connections"]


def test_one_connection_for_each_request(instance):
    """One that was begun early is the one that is used."""
    token = instance.token(ttl=600)
    instance.get("/latest/meta-data/instance-id", token)
    before = connections(instance)
    for _ in range(20):
        assert instance.get("/latest/meta-data/instance-id", token)[0] == 200
    assert connections(instance) == before + 20


REFUSED = {
    "no token": ((), 401),
    "another token": (("X-aws-ec2-metadata-token: " + "A" * 54 + "==",), 401),
    "forwarded": (("X-aws-ec2-metadata-token: {token}", "X-Forwarded-For: 1.2.3.4"), 403),
    "another host": (("X-aws-ec2-metadata-token: {token}", "Host: example.com"), 403),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_connection_for_what_is_refused(instance, name):
    """However early connections are begun: nobody without a good token makes a packet leave."""
    token = instance.token(ttl=600)
    headers, status = REFUSED[name]
    assert instance.get("/latest/meta-data/instance-id", token)[0] == 200
    before = connections(instance)
    for _ in range(10):
        assert instance.get("/latest/meta-data/instance-id",
                            headers=[line.format(token=token) for line in headers])[0] == status
    assert connections(instance) == before


def test_throttled_with_503(instance):
    token = instance.token(ttl=600)
    before = len(instance.rows("access_key_id IS NOT NULL"))
    instance.imds.set("throttle", 2)
    answers = [instance.get(KEYS, token) for _ in range(8)]
    instance.imds.set("throttle", 0)
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 503}, statuses
    delivered = instance.rows("access_key_id IS NOT NULL")[before:]
    assert len(delivered) == statuses.count(200)
    # What the service says goes through as it is: SDKs know it, and try again.
    assert all("AccessKeyId" not in body for status, _, body in answers if status == 503)
    expect_recovery(instance)


def test_throttled_with_silence(instance):
    token = instance.token(ttl=600)
    instance.imds.set("throttle-mode", "silence")
    instance.imds.set("throttle", 1)
    began = time.monotonic()
    answers = [instance.get(KEYS, token) for _ in range(3)]
    assert time.monotonic() - began < 3 * QUICK_S
    assert 503 in [status for status, _, _ in answers]
    refused = eventually(lambda: instance.rows("outcome = 'refused'"))
    assert {row["reason"] for row in refused} == {"upstream"} and refused[0]["exe"] == "/usr/bin/curl"
    instance.imds.set("throttle", 0)
    expect_recovery(instance)


def test_tokens_are_given_out_while_the_service_is_silent(instance):
    """Ours need nothing of the service's but the token that we hold: SDKs give up on a PUT after half a second."""
    instance.imds.set("stall-get-ms", 60000)
    instance.imds.set("stall-put-ms", 60000)
    began = time.monotonic()
    token = instance.token()
    assert time.monotonic() - began < QUICK_S
    began = time.monotonic()
    status, headers, body = instance.get(KEYS, token)
    assert (status, body) == (503, "") and time.monotonic() - began < QUICK_S
    assert not is_reachable(instance)
    assert "no answer in time" in instance.status()["upstream"]["last_error"]
    instance.imds.set("stall-get-ms", 0)
    instance.imds.set("stall-put-ms", 0)
    expect_recovery(instance)


def test_away_and_back(instance):
    token = instance.token(ttl=600)
    instance.imds.stop()
    assert instance.get(KEYS, token)[0] == 503
    assert not is_reachable(instance)
    instance.imds.start()
    assert instance.get(KEYS, token)[0] == 200
    expect_recovery(instance)


def test_away_at_start(instance):
    """Being ready needs no service."""
    token = instance.token(ttl=600)
    instance.stop()
    instance.imds.stop()
    instance.start()
    began = time.monotonic()
    assert instance.curl("-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60",
                         path="/latest/api/token").stdout.startswith("HTTP/1.1 503")
    assert time.monotonic() - began < QUICK_S
    instance.imds.start()
    assert instance.get(KEYS, token)[0] == 200
    expect_recovery(instance)


def test_service_has_forgotten_our_token(instance):
    instance.imds.expire_tokens()
    assert instance.get(KEYS, instance.token())[0] == 200
    expect_recovery(instance)


def test_says_who_gave_up(instance):
    """Who asks for what is the same for all need not be known, unless it goes wrong; and then they may be gone."""
    token = instance.token(ttl=600)
    assert instance.get("/latest/meta-data/instance-id", token)[0] == 200
    instance.imds.set("stall-get-ms", 60000)
    instance.curl("-m", str(TIMEOUT_MS / 2000), "-H", f"X-aws-ec2-metadata-token: {token}", path="/latest/meta-data/instance-id")
    assert instance.row("reason = 'upstream'")["exe"] == "/usr/bin/curl"
