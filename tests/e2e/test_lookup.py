# SPDX-License-Identifier: Apache-2.0
"""keytrail detect --lookup, against the small AWS of tests/support/aws.py."""

import json
import subprocess
import time

import pytest

from aws import Aws, Refusal
from test_bucket import LINES
from test_detect import ACCOUNT, INSTANCE, KEY, KEYTRAIL, MAKE_LEDGER, OTRF, delivery

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


# ---- what was made of the key

ROLE = "AROA5FLZVX4OAMSW6BCRH"


def ago(minutes):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes))


def event(number, minutes, service, name, key, principal, **fields):
    identity = dict(type="AssumedRole", principalId=principal, accountId=ACCOUNT, accessKeyId=key) | fields.pop("identity", {})
    return dict(eventVersion="1.08", eventID=f"00000000-0000-4000-8000-{number:012}", eventTime=ago(minutes), eventSource=service,
                eventName=name, awsRegion="us-east-1", sourceIPAddress="203.0.113.77", userAgent="aws-cli/2",
                recipientAccountId=ACCOUNT, eventType="AwsApiCall", eventCategory="Management", userIdentity=identity) | fields


def assume(number, minutes, parent, principal, child, to):
    return event(number, minutes, "sts.amazonaws.com", "AssumeRole", parent, principal, responseElements=dict(
        credentials=dict(accessKeyId=child, expiration=soon()), assumedRoleUser=dict(assumedRoleId=to)))


CHILD, GRANDCHILD, LONG = "ASIA5FLZVX4OLY6BJN4L", "ASIA5FLZVX4OWAQT7U3K", "AKIA5FLZVX4OWAQT7U3K"
USER = dict(type="IAMUser", userName="backdoor")


def chain():
    """Three deep, then a user with a key and a password; each descendant's calls are found by its own question alone."""
    return [
        assume(1, 50, KEY, f"{ROLE}:{INSTANCE}", CHILD, "AROAB:one"),
        assume(2, 45, CHILD, "AROAB:one", GRANDCHILD, "AROAC:two"),
        event(3, 40, "iam.amazonaws.com", "CreateUser", GRANDCHILD, "AROAC:two",
              responseElements=dict(user=dict(userId="AIDA5FLZVX4OBACKDOOR0", userName="backdoor"))),
        event(4, 39, "iam.amazonaws.com", "CreateLoginProfile", GRANDCHILD, "AROAC:two", requestParameters=dict(userName="backdoor")),
        event(5, 30, "iam.amazonaws.com", "CreateAccessKey", GRANDCHILD, "AROAC:two", requestParameters=dict(userName="backdoor"),
              responseElements=dict(accessKey=dict(accessKeyId=LONG, userName="backdoor"))),
        event(6, 20, "s3.amazonaws.com", "ListBuckets", LONG, "AIDA5FLZVX4OBACKDOOR0", identity=USER),
        event(7, 10, "signin.amazonaws.com", "ConsoleLogin", None, "AIDA5FLZVX4OBACKDOOR0", identity=USER,
              eventType="AwsConsoleSignIn"),
        event(8, 10, "s3.amazonaws.com", "ListBuckets", "AKIASOMEBODYELSE0000", "AIDASOMEBODYELSE00000",
              identity=dict(type="IAMUser", userName="somebody")),
    ]


def test_derived_keys_are_asked_for_too(ledger, aws, tmp_path):
    aws.events = {"us-east-1": chain()}
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps(dict(Records=chain())))
    path = ledger(soon())
    wanted = subprocess.run([KEYTRAIL, "detect", "--ledger", path, "--findings", "none", "-o", "jsonl", whole],
                            env=aws.environment(), capture_output=True).stdout.splitlines()
    start = time.monotonic()
    status, findings, said = lookup(path, aws.environment())
    assert status == 3 and findings == [json.loads(line) for line in wanted], said
    assert {finding["access_key_id"] for finding in findings} == {KEY, CHILD, GRANDCHILD, LONG, None}
    asked = [json.loads(body)["LookupAttributes"][0] for _, _, _, body in aws.requests if b"LookupAttributes" in body]
    assert sorted((one["AttributeKey"], one["AttributeValue"]) for one in asked) == sorted([
        ("AccessKeyId", KEY), ("Username", INSTANCE), ("AccessKeyId", CHILD), ("AccessKeyId", GRANDCHILD),
        ("AccessKeyId", LONG), ("Username", "backdoor")])
    assert time.monotonic() - start > 2.4  # two a second
    assert "4 keys, users and sessions were made of those, asked for in turn" in said


def test_derived_keys_are_bounded(ledger, aws):
    """A thousand questions, each in each region: the newest are asked, what is left is said, and is no clean bill."""
    children = [f"ASIA5FLZVX4O{n // 10:07}{'ABCDEFGHIJ'[n % 10]}" for n in range(23)]
    quiet = dict(sourceIPAddress="s3.amazonaws.com")
    aws.events = {"us-east-1": [assume(n, 60 - n, KEY, f"{ROLE}:{INSTANCE}", child, f"AROAB:{n}") | quiet
                                for n, child in enumerate(children)]}
    regions = ["us-east-1"] + [f"us-east-{n}" for n in range(2, 51)]
    status, findings, said = lookup(ledger(soon()), aws.environment(), *(part for name in regions for part in ("--region", name)))
    assert "20 keys, users and sessions were made of those" in said
    assert "3 derived ones were NOT asked for: more than 1000 questions" in said
    assert (status, findings) == (4, []), said
    asked = {json.loads(body)["LookupAttributes"][0]["AttributeValue"] for _, _, _, body in aws.requests if b"LookupAttributes" in body}
    assert asked == {KEY, INSTANCE, *children[3:]}


def test_derived_keys_that_ended_long_ago(ledger, aws):
    old = assume(1, 60, KEY, f"{ROLE}:{INSTANCE}", CHILD, "AROAB:one")
    old["responseElements"]["credentials"]["expiration"] = "Sep 14, 2020, 2:00:00 AM"
    aws.events = {"us-east-1": [old]}
    _, _, said = lookup(ledger(soon()), aws.environment())
    assert "1 key ended before what LookupEvents remembers" in said and aws.asked(CHILD) == 0
