# SPDX-License-Identifier: Apache-2.0
"""keytrail detect --lookup, against the small AWS of tests/support/aws.py."""

import json
import subprocess
import time

import pytest

from aws import Aws, Refusal
from test_bucket import LINES
from test_detect import INSTANCE, KEY, KEYTRAIL, MAKE_LEDGER, OTRF, delivery

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")


@pytest.fixture
def aws():
    with Aws() as aws:
        aws.events = {"us-east-1": [json.loads(line) for line in LINES[:8]], "eu-west-1": [json.loads(line) for line in LINES[8:11]]}
        yield aws


@pytest.fixture
def ledger(tmp_path):
    def make(expires):
        path = tmp_path / "ledger.db"
        subprocess.run([MAKE_LEDGER, path], input=json.dumps(delivery("2020-09-14T00:50:00Z", expires_at=expires)),
                       text=True, check=True)
        return path
    return make


def soon():
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))


def lookup(ledger, environment, *arguments):
    result = subprocess.run([KEYTRAIL, "detect", "--lookup", "--findings", "none", "-o", "jsonl", "--ledger", ledger,
                             *map(str, arguments)], env=environment, capture_output=True, timeout=100)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()


def test_refusals(ledger, aws):
    assert lookup("none", aws.environment())[0] == 2
    status, _, said = lookup(ledger(soon()), aws.environment(AWS_SECRET_ACCESS_KEY="wrong"))
    assert status == 1 and "SignatureDoesNotMatch" in said
    status, _, said = lookup(ledger(soon()), {"PATH": "/usr/bin", "AWS_EC2_METADATA_DISABLED": "true"})
    assert status == 1 and "no AWS credentials" in said


def test_pages_and_regions(ledger, aws):
    path = ledger(soon())
    [wanted] = subprocess.run([KEYTRAIL, "detect", "--ledger", path, "--findings", "none", "-o", "jsonl", OTRF],
                              env=aws.environment(), capture_output=True).stdout.splitlines()
    aws.page = 3
    start = time.monotonic()
    status, [finding], said = lookup(path, aws.environment(), "--region", "us-east-1", "--region", "eu-west-1")
    assert status == 3 and finding == json.loads(wanted), said
    assert "LookupEvents: 1 key and 1 session in 2 regions" in said
    # Three pages for the key and three for the session in us-east-1, half a second apart.
    assert aws.asked("LookupEvents") == 8 and time.monotonic() - start > 2.4
    attributes = {(json.loads(body)["LookupAttributes"][0]["AttributeKey"], json.loads(body)["LookupAttributes"][0]["AttributeValue"])
                  for _, _, _, body in aws.requests if b"LookupAttributes" in body}
    assert attributes == {("AccessKeyId", KEY), ("Username", INSTANCE)}
    # The regions of the ledger, and where global services are.
    assert lookup(path, aws.environment())[1][0]["count"] == 8


def test_together_with_files(ledger, aws, tmp_path):
    (tmp_path / "more.json").write_bytes(b"".join(LINES[8:11]))
    status, [finding], _ = lookup(ledger(soon()), aws.environment(), tmp_path / "more.json")
    assert status == 3 and finding["count"] == 11


def test_times(ledger, aws):
    lookup(ledger(soon()), aws.environment(), "--since", "2020-09-14T00:00:00Z", "--until", "2020-09-15")
    asked = [json.loads(body) for _, _, _, body in aws.requests if b"LookupAttributes" in body]
    assert {(request["StartTime"], request["EndTime"]) for request in asked} == {(1600041600, 1600128000)}


def test_keys_that_are_too_old(ledger, aws):
    status, findings, said = lookup(ledger("2020-09-14T07:10:27.000000Z"), aws.environment())
    assert "1 key ended before what LookupEvents remembers" in said
    assert ("AccessKeyId", 1) not in [(body, 1) for _, _, _, body in aws.requests if b"AccessKeyId" in body]


def test_a_region_that_fails(ledger, aws):
    aws.fail("LookupEvents", Refusal(400, "AccessDeniedException"))
    status, findings, said = lookup(ledger(soon()), aws.environment(), "--region", "us-east-1")
    assert status == 3 and "AccessDeniedException" in said and "1 unreadable" in said
    aws.events, path = {"us-east-1": []}, ledger(soon())
    aws.fail("LookupEvents", Refusal(400, "ThrottlingException"), Refusal(400, "AccessDeniedException"))
    assert lookup(path, aws.environment(), "--region", "us-east-1")[:2] == (4, [])
