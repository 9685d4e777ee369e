# SPDX-License-Identifier: Apache-2.0
"""docs/runbook.md from top to bottom: each command that it shows is run, and must print what is printed there.

`/usr/bin/python3 tests/e2e/test_runbook.py --write` puts what the commands print today into the page; read the change."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KEYTRAIL_BIN", ROOT / "build/release/bin"))
MAKE_LEDGER = BIN.parent / "tests" / "make_ledger"
PAGE = ROOT / "docs/runbook.md"
WIDTH = 100
COMMAND_S = 60

pytestmark = pytest.mark.skipif(not (BIN / "keytrail").exists() or not MAKE_LEDGER.exists(), reason="not built")

# ---- the case: a web application's instance, a web shell on it, its key in somebody else's account

HOME, THIEF = "123456789012", "210987654321"
INSTANCE, REGION, ROLE, ROLE_ID = "i-0a1b2c3d4e5f60718", "eu-west-1", "shop-web", "AROARZPUZDIKEXAMPLE01"
KEY, DERIVED = "ASIARZPUZDIKGB2VALC4", "ASIARZPUZDIKOTHERKEY"
DAY_US = 1793145600_000000  # 2026-10-28T00:00:00Z
OWN_ADDRESS, OWN_RANGE, ENDPOINT = "203.0.113.20", "10.0.0.0/16", "vpce-0f1e2d3c4b5a69788"


def at(clock):
    """(microseconds, RFC 3339) of a time of that day."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return DAY_US + ((hours * 60 + minutes) * 60 + seconds) * 1000000, f"2026-10-28T{clock}Z"


def micro(clock):
    return at(clock)[1].replace("Z", ".000000Z")


def process(pid, started, exe, cmdline, uid=33, user="www-data", unit=None, ancestors=(), digest="3c" * 32):
    return dict(pid=pid, started_at=micro(started), uid=uid, gid=uid, user=user, exe=exe, exe_sha256=digest,
                exe_foreign_mount=False, cmdline=cmdline, unit=unit, container_id=None, pod_uid=None, ancestors=list(ancestors))


INIT = process(1, "00:00:01", "/usr/lib/systemd/systemd", ["/sbin/init"], 0, "root")
FPM = process(812, "00:00:09", "/usr/sbin/php-fpm8.2", ["php-fpm: pool www"], unit="php8.2-fpm.service", ancestors=[INIT])
SHELL = process(20417, "03:11:52", "/usr/bin/dash", ["sh", "-c", "curl -s http://169.254.169.254/latest/meta-data/iam/"])
APPLICATION = process(1044, "00:00:12", "/usr/bin/python3.11", ["python3", "-m", "shop.worker"], 1001, "shop", "shop-worker.service",
                      [INIT], "a7" * 32)
CURL = process(20418, "03:11:52", "/usr/bin/curl", ["curl", "-s", "-H", "X-aws-ec2-metadata-token: [redacted]",
                                                    f"http://169.254.169.254/latest/meta-data/iam/security-credentials/{ROLE}"],
               unit="php8.2-fpm.service", ancestors=[SHELL, FPM, INIT], digest="5d" * 32)


def delivery(clock, who, agent):
    host = dict(instance_id=INSTANCE, account_id=HOME, region=REGION)
    body = dict(access_key_id=KEY, account_id=HOME, role=ROLE, source="imds", outcome="delivered", reason=None,
                path=f"/latest/meta-data/iam/security-credentials/{ROLE}", expires_at=micro("07:02:11"), updated_at=micro("00:40:00"),
                delivery_version="2.0", client=dict(address="10.0.3.17", port=40000 + who["pid"] % 9999, netns=4026531840),
                attribution=dict(grade="exact", method="ebpf+sock_diag", evidence=["ebpf: the process that connected holds the socket"]),
                process=who, holders=[who], user_agent=agent, host=host)
    return dict(kind="delivery", at_us=at(clock)[0], access_key_id=KEY, body=body)


def rows():
    yield dict(kind="placement", at_us=at("00:00:03")[0], access_key_id=None,
               body=dict(account_id=HOME, region=REGION, instance_id=INSTANCE, addresses=[OWN_ADDRESS, OWN_RANGE], vpc_ids=["vpc-0c1"],
                         owner_ids=[HOME], clock_offset_ms=4))
    for minute in range(0, 600, 10):
        clock = f"{minute // 60:02}:{minute % 60:02}:05"
        yield dict(kind="coverage", at_us=at(clock)[0], access_key_id=None,
                   body=dict(event="start" if minute == 0 else "beat", run="5f" * 8, every_s=600, lost=0,
                             redirect=dict(whole=True, checked_at=micro(clock))))
    yield delivery("00:41:07", APPLICATION, "Boto3/1.34.46 md/Botocore#1.34.46 lang/python#3.11.2")
    yield delivery("03:11:53", CURL, "curl/7.88.1")


def record(number, clock, service, name, session=None, **fields):
    role = f"arn:aws:iam::{HOME}:role/{ROLE}"
    identity = dict(type="AssumedRole", principalId=f"{ROLE_ID}:{INSTANCE}", accountId=HOME, accessKeyId=KEY,
                    arn=f"arn:aws:sts::{HOME}:assumed-role/{ROLE}/{INSTANCE}",
                    sessionContext=dict(ec2RoleDelivery="2.0", attributes=dict(creationDate=at("00:40:00")[1], mfaAuthenticated="false"),
                                        sessionIssuer=dict(type="Role", accountId=HOME, userName=ROLE, arn=role, principalId=ROLE_ID)))
    identity.update(session or {})
    values = dict(eventVersion="1.11", eventTime=at(clock)[1], eventSource=f"{service}.amazonaws.com", eventName=name, awsRegion=REGION,
                  sourceIPAddress=OWN_ADDRESS, userAgent="Boto3/1.34.46 md/Botocore#1.34.46 lang/python#3.11.2", readOnly=True,
                  eventID=f"5e1f0000-0000-4000-8000-{number:012d}", eventType="AwsApiCall", managementEvent=True,
                  recipientAccountId=HOME, eventCategory="Management", requestParameters=None, responseElements=None,
                  userIdentity=identity)
    values.update(fields)
    return values


ABROAD = dict(sourceIPAddress="172.31.9.8", vpcEndpointId=ENDPOINT, vpcEndpointAccountId=THIEF,
              userAgent="aws-cli/2.15.30 Python/3.11.8 Linux/6.1 exe/x86_64 prompt/off")


def records():
    yield record(1, "00:42:00", "s3", "ListBuckets")
    yield record(2, "03:15:20", "sts", "GetCallerIdentity", **ABROAD)
    yield record(3, "03:15:41", "iam", "ListRoles", errorCode="AccessDenied", errorMessage="not authorized", **ABROAD)
    yield record(4, "03:16:02", "s3", "ListBuckets", **ABROAD)
    yield record(5, "03:16:30", "secretsmanager", "GetSecretValue", **ABROAD)
    derived = dict(accessKeyId=DERIVED, sessionToken="gone", expiration="Oct 28, 2026, 4:17:05 AM")
    yield record(6, "03:17:05", "sts", "AssumeRole", readOnly=True,
                 requestParameters=dict(roleArn=f"arn:aws:iam::{HOME}:role/backup", roleSessionName="x"),
                 responseElements=dict(credentials=derived, assumedRoleUser=dict(
                     assumedRoleId="AROARZPUZDIKEXAMPLE02:x", arn=f"arn:aws:sts::{HOME}:assumed-role/backup/x")), **ABROAD)
    issuer = dict(type="Role", accountId=HOME, userName="backup", arn=f"arn:aws:iam::{HOME}:role/backup",
                  principalId="AROARZPUZDIKEXAMPLE02")
    yield record(7, "03:18:44", "s3", "GetObject", **ABROAD, session=dict(
        principalId="AROARZPUZDIKEXAMPLE02:x", accessKeyId=DERIVED, arn=f"arn:aws:sts::{HOME}:assumed-role/backup/x",
        sessionContext=dict(attributes=dict(creationDate=at("03:17:05")[1], mfaAuthenticated="false"), sessionIssuer=issuer)))
    yield record(8, "03:40:00", "s3", "ListBuckets")


def guardduty():
    """As GuardDuty reports it, cut to what it says of our question."""
    return dict(schemaVersion="2.0", accountId=HOME, region=REGION, partition="aws", id="8ac0000000000000000000000000demo",
                arn=f"arn:aws:guardduty:{REGION}:{HOME}:detector/1/finding/8ac", createdAt=at("03:31:00")[1], updatedAt=at("03:31:00")[1],
                type="UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS", severity=8,
                title="Credentials for the EC2 instance role were used from a remote AWS account.",
                resource=dict(resourceType="AccessKey", accessKeyDetails=dict(accessKeyId=KEY, principalId=f"{ROLE_ID}:{INSTANCE}",
                                                                              userName=ROLE, userType="AssumedRole"),
                              instanceDetails=dict(instanceId=INSTANCE)),
                service=dict(serviceName="guardduty", count=5, eventFirstSeen=at("03:15:20")[1], eventLastSeen=at("03:17:05")[1],
                             resourceRole="TARGET", action=dict(actionType="AWS_API_CALL", awsApiCallAction=dict(
                                 api="GetSecretValue", serviceName="secretsmanager.amazonaws.com", callerType="Remote IP",
                                 remoteAccountDetails=dict(accountId=THIEF, affiliated=False),
                                 remoteIpDetails=dict(ipAddressV4="172.31.9.8")))))


def make_case(folder):
    """What a responder has: a copied ledger, the day's CloudTrail, GuardDuty's finding."""
    text = "".join(json.dumps(row) + "\n" for row in sorted(rows(), key=lambda row: row["at_us"]))
    subprocess.run([MAKE_LEDGER, folder / "ledger.db"], input=text, text=True, check=True, timeout=COMMAND_S)
    trail = folder / f"trail/AWSLogs/{HOME}/CloudTrail/{REGION}/2026/10/28"
    trail.mkdir(parents=True)
    name = f"{HOME}_CloudTrail_{REGION}_20261028T0345Z_aBcDeFgHiJkLmNoP.json"
    (trail / name).write_text(json.dumps(dict(Records=list(records()))))
    (folder / "guardduty.json").write_text(json.dumps(guardduty(), indent=1))


# ---- the page

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


def blocks():
    """Of each block: its place in the page, and [(command, output)]."""
    for found in BLOCK.finditer(PAGE.read_text()):
        pairs = []
        for line in found[1].splitlines(keepends=True):
            if line.startswith("$ "):
                pairs.append([line[2:].rstrip("\n"), ""])
            elif line.startswith("> ") and not pairs[-1][1]:
                pairs[-1][0] += "\n" + line[2:].rstrip("\n")
            else:
                pairs[-1][1] += line
        yield found.span(1), pairs


def steady(text):
    """Without what depends on the day of reading."""
    text = re.sub(r"\(\d+ (d|h|min|s) ago\)|\(in \d+ (d|h|min|s)\)|\(now\)", "(AGO)", text)
    text = re.sub(r"\b\d+ (d|h|min|s) ago\b", "AGO", text)
    text = re.sub(r'(aws:TokenIssueTime\\?": ?\\?")[^"\\]+', r"\1NOW", text)
    return re.sub(r"address ranges of [0-9-]+", "address ranges of DATE", text)


def play(folder, command):
    """What a terminal of that width would show of both streams."""
    environment = {"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    done = subprocess.run(["/bin/bash", "-c", f"{command}\n"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment, timeout=COMMAND_S, check=False)
    return done.stdout.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("runbook")
    make_case(made)
    return made


def test_each_command_prints_what_the_page_shows(folder):
    commands = [pair for _, pairs in blocks() for pair in pairs]
    assert len(commands) >= 10
    for command, shown in commands:
        assert steady(play(folder, command).rstrip("\n")) == steady(shown.rstrip("\n")), command


def write(folder):
    make_case(folder)
    text, moved = PAGE.read_text(), 0
    for (start, end), pairs in list(blocks()):
        made = "".join("$ " + command.replace("\n", "\n> ") + "\n" + play(folder, command).rstrip("\n") + "\n" for command, _ in pairs)
        made = re.sub(r"\n\n(?=\$ )", "\n", made)
        text = text[:start + moved] + made + text[end + moved:]
        moved += len(made) - (end - start)
    PAGE.write_text(text)


if __name__ == "__main__":
    import tempfile
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: test_runbook.py --write")
    with tempfile.TemporaryDirectory() as name:
        write(Path(name))
