# SPDX-License-Identifier: Apache-2.0
"""`[upstream] cache_ms`: what is kept is asked for once, what is not is asked for each time, and a client sees no difference
but that. The simulator's log says what was asked."""

import email.utils
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V6, ROLE_PATH, Instance, eventually, needs_world
from watched import Watched

pytestmark = needs_world
META = "/latest/meta-data/"
LONG_MS = 60000
AMI = META + "ami-id"

KEPT = [AMI, META + "instance-id", META + "instance-type", META + "placement/region", META + "services/domain",
        META + "local-ipv4", "/latest/dynamic/instance-identity/document", "/latest/dynamic/instance-identity/pkcs7",
        "/2021-07-15/meta-data/mac"]
NEVER = [ROLE_PATH, ROLE_PATH + "web-server", META + "iam/info", META + "spot/instance-action", META + "spot/termination-time",
         META + "identity-credentials/ec2/info", META + "identity-credentials/ec2/security-credentials/ec2-instance",
         META + "events/maintenance/scheduled", META + "events/recommendations/rebalance", META + "tags/instance/Name",
         META + "public-keys/0/openssh-key", META + "public-ipv4", META + "autoscaling/target-lifecycle-state",
         META + "network/interfaces/macs/", "/latest/user-data", META, AMI + "?a=b"]


def asked(instance, path):
    """How often the metadata service was, by GET."""
    return sum(line["method"] == "GET" and line["target"] == path for line in instance.imds.log())


@pytest.fixture(scope="module")
def keeping():
    with Watched(settings={"upstream": {"cache_ms": LONG_MS}, "imdsv2": {"mode": "audit"}}, tokens="optional") as made:
        # The proxy's own question, which is not answered from what is kept.
        assert eventually(lambda: asked(made, "/latest/dynamic/instance-identity/document"))
        yield made


@pytest.mark.parametrize("path", KEPT)
def test_kept(keeping, path):
    token = keeping.token()
    before = asked(keeping, path)
    answers = [keeping.get(path, token) for _ in range(2)]
    assert asked(keeping, path) == before + 1
    assert answers[0][0] == answers[1][0] == 200 and answers[0][2] == answers[1][2] != ""
    assert list(answers[0][1]) == list(answers[1][1])


@pytest.mark.parametrize("path", NEVER)
def test_never_kept(keeping, path):
    token = keeping.token()
    keeping.imds.reset()
    answers = [keeping.get(path, token) for _ in range(2)]
    assert asked(keeping, path) == 2
    assert answers[0][0] == answers[1][0]


def test_each_client_has_its_own_seconds_and_a_date_of_now(keeping):
    path = META + "reservation-id"
    keeping.get(path, keeping.token(ttl=600))
    hits = keeping.value("keytrail_upstream_cached_total")
    time.sleep(1.1)
    _, headers, _ = keeping.get(path, keeping.token(ttl=60))
    assert keeping.value("keytrail_upstream_cached_total") == hits + 1
    assert 50 <= int(headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 60
    assert abs(email.utils.parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 5


def test_without_a_token_it_is_asked_each_time(keeping):
    path = META + "system"
    keeping.get(path, keeping.token())
    before = asked(keeping, path)
    for _ in range(2):
        status, headers, _ = keeping.get(path)
        assert status == 200 and "x-aws-ec2-metadata-token-ttl-seconds" not in headers
    assert asked(keeping, path) == before + 2


def test_the_other_family_is_asked_for_itself(keeping):
    path = META + "instance-life-cycle"
    before = asked(keeping, path)
    for _ in range(2):
        keeping.get(path, keeping.token())
        keeping.get(path, keeping.token(address=IMDS_V6), address=IMDS_V6)
    assert asked(keeping, path) == before + 2


def test_a_refusal_stays_one(keeping):
    keeping.get(AMI, keeping.token())
    assert keeping.get(AMI, "x" * 56)[0] == 401
    assert keeping.get(AMI, keeping.token(), headers=["X-Forwarded-For: 192.0.2.1"])[0] == 403


def test_rotation_is_seen_at_once(keeping):
    first = keeping.credentials()["AccessKeyId"]
    keeping.imds.rotate()
    assert keeping.credentials()["AccessKeyId"] != first


def test_for_so_long_and_no_longer():
    with Instance(settings={"upstream": {"cache_ms": 3000}}) as instance:
        token = instance.token(ttl=600)
        began = time.monotonic()
        instance.get(AMI, token)
        while asked(instance, AMI) == 1 and time.monotonic() - began < 30:
            instance.get(AMI, token)
        assert asked(instance, AMI) == 2 and time.monotonic() - began >= 3
        assert instance.reload({"upstream": {"cache_ms": LONG_MS}, "policy": {"mode": "enforce"},
                                'deny "ami"': {"path": AMI, "uid": "65534"}})["refused"] is False
        time.sleep(0.01)
        before = asked(instance, AMI)
        assert [instance.get(AMI, token)[0] for _ in range(2)] == [200, 200]
        assert instance.get(AMI, token, user="nobody")[0] == 403  # whatever is kept
        assert asked(instance, AMI) == before + 1
        assert instance.reload({})["refused"] is False
        assert [instance.get(AMI, token)[0] for _ in range(2)] == [200, 200]
        assert asked(instance, AMI) == before + 3


def test_against_throttling():
    with Instance(settings={"upstream": {"cache_ms": LONG_MS}}) as instance:
        token = instance.token(ttl=600)
        assert instance.get(AMI, token)[0] == 200
        instance.imds.set("throttle", 1)
        assert [instance.get(AMI, token)[0] for _ in range(8)] == [200] * 8
