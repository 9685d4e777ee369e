# SPDX-License-Identifier: Apache-2.0
"""Session tokens that are somebody else's, worn out, made up, or replayed."""

import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from instance import IMDS_V6, TOKEN_HEADER, Instance, eventually, needs_world  # noqa: E402
from wire import Wire, request  # noqa: E402

pytestmark = needs_world
META = "/latest/meta-data/"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture(scope="module")
def instance():
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as running:
        running.wires = {ns: Wire(running.world, ns) for ns in ("host", "ctr1", "ctr2")}
        running.good = running.wires["host"].token()
        yield running


def changed(token, at):
    """Another character in one place."""
    return token[:at] + ALPHABET[(ALPHABET.index(token[at]) + 1) % 64] + token[at + 1:]


# name: (of the good token, what is sent), reason in the ledger
GARBAGE = {
    "empty": (lambda good: "", "token-malformed"),
    "word": (lambda good: "garbage", "token-malformed"),
    "one-short": (lambda good: good[:-1], "token-malformed"),
    "one-long": (lambda good: good + "A", "token-malformed"),
    "twice": (lambda good: good + good, "token-malformed"),
    "8000-bytes": (lambda good: "A" * 7000, "token-malformed"),
    "without-padding": (lambda good: good.rstrip("=") + "AA", "token-malformed"),
    "other-alphabet": (lambda good: good[:20] + "+/" + good[22:], "token-malformed"),
    "blank-within": (lambda good: good[:20] + " " + good[21:], "token-malformed"),
    "beyond-ascii": (lambda good: good[:20] + "\xe9" + good[21:], "token-malformed"),
    "quoted": (lambda good: f'"{good}"', "token-malformed"),
    "list": (lambda good: f"{good}, {good}", "token-malformed"),
    "bearer": (lambda good: f"Bearer {good}", "token-malformed"),
    "unused-bits-set": (lambda good: changed(good, 53), "token-malformed"),
    "all-zeros": (lambda good: "A" * 54 + "==", "token-malformed"),
    "marker-only": (lambda good: "AQAEAA" + "A" * 48 + "==", "token-out-of-scope"),
    "longer-life": (lambda good: changed(good, 14), "token-out-of-scope"),
    "other-nonce": (lambda good: changed(good, 18), "token-out-of-scope"),
    "other-mac": (lambda good: changed(good, 40), "token-out-of-scope"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(instance, name):
    make, reason = GARBAGE[name]
    mine = f"reason='{reason}'"
    written = len(instance.rows(mine, settle=False)) if instance.ledger.exists() else 0
    answer = instance.wires["host"].send(request("GET", META, f"{TOKEN_HEADER}: {make(instance.good)}"))
    assert answer.status == 401 and answer.is_empty_refusal, answer
    assert eventually(lambda: len(instance.rows(mine, settle=False)) == written + 1)
    assert instance.wires["host"].get(META, instance.good).status == 200


def test_every_changed_character_is_noticed(instance):
    wire = instance.wires["host"]
    pending = [wire.start(request("GET", META, f"{TOKEN_HEADER}: {changed(instance.good, at)}")) for at in range(54)]
    assert {answer.result().status for answer in pending} == {401}


def test_of_another_namespace(instance):
    tokens = {ns: wire.token() for ns, wire in instance.wires.items()}
    for mine, wire in instance.wires.items():
        for other, token in tokens.items():
            assert wire.get(META, token).status == (200 if mine == other else 401), (mine, other)
    assert instance.wires["host"].get(META, tokens["host"], address=IMDS_V6).status == 200


def test_upstreams_own(instance):
    """A token that the service itself gave out, where the proxy was not in between, is worth nothing here."""
    straight = Wire(instance.world, "imds").token()
    answer = instance.wires["host"].get(META, straight)
    assert answer.status == 401 and answer.is_empty_refusal
    assert Wire(instance.world, "imds").get(META, instance.good).status == 401  # nor ours there


def test_expired(instance):
    token = instance.wires["host"].token(1)
    time.sleep(2.1)
    answer = instance.wires["host"].get(META, token)
    assert answer.status == 401 and eventually(lambda: instance.rows("reason='token-expired'", settle=False))


def test_replay_after_restart(instance):
    """Tokens outlive a restart within their scope and their time; what they were not good for before, they are not after."""
    own, others, short = (instance.wires[ns].token(ttl) for ns, ttl in (("host", 600), ("ctr1", 600), ("host", 1)))
    instance.stop()
    instance.start()
    time.sleep(2.1)
    for token, status in ((own, 200), (others, 401), (short, 401)):
        assert instance.wires["host"].get(META, token).status == status
    assert instance.wires["ctr1"].get(META, others).status == 200


def test_replay_at_another_instance(instance):
    with Instance() as other:
        assert Wire(other.world).get(META, instance.good).status == 401
