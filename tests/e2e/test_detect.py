# SPDX-License-Identifier: Apache-2.0
"""keytrail detect and keytrail findings from outside, on real CloudTrail records and on ledgers that the daemon's own
writer has filled.

$KEYTRAIL_BIN names the folder of the programs (default: the release build's); make_ledger lies in ../tests of it.
"""

import calendar
import gzip
import json
import os
import random
import sqlite3
import stat
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KEYTRAIL_BIN", ROOT / "build/release/bin"))
KEYTRAIL = BIN / "keytrail"
MAKE_LEDGER = BIN.parent / "tests" / "make_ledger"
DATA = ROOT / "tests/data/cloudtrail"
OTRF = DATA / "otrf/ec2_proxy_s3_exfiltration.jsonl"

KEY = "ASIA5FLZVX4OPVKKVBMX"
INSTANCE = "i-0317f6c6b66ae9c40"
ACCOUNT = "123456789123"
THIEF = "210987654321"

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")


def at_us(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) * 1000000


def delivery(when, pid=7, exe="/usr/sbin/nginx", **fields):
    process = dict(pid=pid, started_at="2020-09-14T00:00:00.000000Z", uid=33, user="www-data", exe=exe,
                   exe_sha256=None, exe_foreign_mount=False, cmdline=[exe], unit="nginx.service", container_id=None,
                   pod_uid=None, ancestors=[])
    body = dict(access_key_id=KEY, account_id="904882667292", role="web", source="imds",
                path="/latest/meta-data/iam/security-credentials/web", expires_at="2020-09-14T07:10:27.000000Z",
                updated_at="2020-09-14T00:48:30.000000Z", outcome="delivered", reason=None,
                client=dict(address="127.0.0.1", port=50000, netns=1), user_agent="curl/7.68.0",
                attribution=dict(grade="exact", method="sock_diag", evidence=[]), process=process, holders=[process],
                host=dict(instance_id=INSTANCE, account_id=ACCOUNT, region="us-east-1"))
    body.update(fields)
    return dict(kind="delivery", at_us=at_us(when), access_key_id=KEY, body=body)


def placement(*addresses):
    return dict(kind="placement", at_us=at_us("2020-09-14T00:45:00Z"), access_key_id=None,
                body=dict(account_id=ACCOUNT, region="us-east-1", instance_id=INSTANCE, addresses=list(addresses),
                          vpc_ids=["vpc-1"], owner_ids=[ACCOUNT], clock_offset_ms=0))


@pytest.fixture
def ledger(tmp_path):
    def make(*rows, name="ledger.db"):
        path = tmp_path / name
        text = "".join(json.dumps(row) + "\n" for row in rows)
        subprocess.run([MAKE_LEDGER, path], input=text, text=True, check=True)
        return path
    return make


@pytest.fixture
def known(ledger):
    return ledger(delivery("2020-09-14T00:50:00Z"), delivery("2020-09-14T03:00:00Z", pid=8, exe="/usr/bin/late"))


def run(*arguments, stdin=None):
    return subprocess.run([KEYTRAIL, *map(str, arguments)], input=stdin, capture_output=True, timeout=120)


def detect(ledger, *arguments, stdin=None):
    result = run("detect", "--ledger", ledger, "-o", "jsonl", *arguments, stdin=stdin)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()


def test_no_such_file(known, tmp_path):
    code, findings, complaint = detect(known, tmp_path / "nowhere.json")
    assert (code, findings) == (1, [])
    assert "nowhere.json" in complaint


def test_nothing_of_ours(known):
    code, findings, _ = detect(known, DATA / "stratus/aws.defense-evasion.cloudtrail-stop.json")
    assert (code, findings) == (0, [])


@pytest.mark.parametrize("explained", [
    dict(trusted_egress=["1.2.3.4"]),
    dict(own=[dict(account_id=ACCOUNT, egress=["1.2.3.0/24"])]),
    dict(own=[dict(account_id=ACCOUNT, networks=["1.2.3.4/32"])]),
])
def test_explained_by_the_inventory(known, tmp_path, explained):
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps(explained))
    code, findings, summary = detect(known, "--inventory", inventory, OTRF)
    assert (code, findings) == (0, [])
    assert "11 at home" in summary


def test_bad_inventory(known, tmp_path):
    inventory = tmp_path / "inventory.json"
    inventory.write_text('{"own": [{"account_id": "%s", "ips": []}]}' % ACCOUNT)
    code, findings, complaint = detect(known, "--inventory", inventory, OTRF)
    assert (code, findings) == (1, [])
    assert "ips" in complaint and "inventory.json" in complaint


def test_explained_by_the_ledger(ledger):
    path = ledger(delivery("2020-09-14T00:50:00Z"), placement("1.2.3.4", "10.0.0.0/16"))
    code, findings, _ = detect(path, OTRF)
    assert (code, findings) == (0, [])


def test_legitimate(ledger):
    path = ledger(delivery("2020-09-14T00:50:00Z"), placement("198.51.100.10", "10.0.0.0/16"))
    code, findings, _ = detect(path, DATA / "synthetic/legitimate.json")
    assert (code, findings) == (0, [])


def test_real_theft(known):
    code, findings, _ = detect(known, OTRF)
    assert code == 3
    [finding] = findings
    assert finding["type"] == "InstanceCredentialExfiltration.OutsideAWS"
    assert finding["severity"] == "HIGH" and finding["score"] == 8.0
    assert finding["access_key_id"] == KEY
    assert finding["count"] == 11 and len(finding["event_ids"]) == 11
    assert finding["owner"] == dict(account_id=ACCOUNT, instance_id=INSTANCE, role="web")
    assert [suspect["process"]["exe"] for suspect in finding["suspects"]] == ["/usr/sbin/nginx", "/usr/bin/late"]
    assert "recorded after first use" in finding["suspects"][1]["reasons"]
    assert {call["name"] for call in finding["calls"]} == {"ListObjects", "GetObject", "ListBuckets"}


def test_inside_aws(known, tmp_path):
    source = DATA / "synthetic/inside_aws_endpoint.json"
    code, [finding], _ = detect(known, source)
    assert (code, finding["severity"]) == (3, "HIGH")
    assert finding["type"] == "InstanceCredentialExfiltration.InsideAWS"
    assert finding["remote"]["account_id"] == THIEF and finding["remote"]["relation"] == "unaffiliated"
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps(dict(affiliated=[dict(account_id=THIEF)])))
    code, [again], _ = detect(known, "--inventory", inventory, source)
    assert (code, again["severity"], again["id"]) == (3, "MEDIUM", finding["id"])
    code, [_], _ = detect(known, "--inventory", inventory, "--fail-on", "HIGH", source)
    assert code == 0


def test_standard_input(known):
    plain = OTRF.read_bytes()
    wanted = detect(known, OTRF)[1]
    assert detect(known, "-", stdin=plain)[:2] == (3, wanted)
    assert detect(known, "-", stdin=gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]))[:2] == (3, wanted)
    assert detect(known, "-", stdin=b"")[:2] == (0, [])


def test_order_repetition_and_portions(known, tmp_path):
    lines = OTRF.read_bytes().splitlines(keepends=True)
    [wanted] = detect(known, "--findings", tmp_path / "wanted.db", OTRF)[1]
    random.seed(1)
    for turn in range(3):
        shuffled = lines + random.choices(lines, k=40)
        random.shuffle(shuffled)
        first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl.gz"
        first.write_bytes(b"".join(shuffled[:70]))
        second.write_bytes(gzip.compress(b"".join(shuffled[70:])))
        kept = tmp_path / ("findings%d.db" % turn)
        detect(known, "--findings", kept, second)
        detect(known, "--findings", kept, first)
        assert detect(known, "--findings", kept, second, first)[1] == [wanted]


def test_kept_beside_the_ledger(known):
    detect(known, OTRF)
    kept = known.parent / "findings.db"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    result = run("findings", "--ledger", known, "-o", "jsonl")
    assert [json.loads(line)["access_key_id"] for line in result.stdout.splitlines()] == [KEY]
    result = run("who", KEY, "--ledger", known, "-o", "jsonl")
    assert b'"finding"' in result.stdout


def test_damage_costs_what_is_damaged(known, tmp_path):
    folder = tmp_path / "logs"
    (folder / "CloudTrail-Digest").mkdir(parents=True)
    (folder / "CloudTrail-Digest" / "d.json.gz").write_bytes(b"no digest")
    (folder / "notes.txt").write_text("no log")
    packed = gzip.compress(OTRF.read_bytes())
    (folder / "a.json.gz").write_bytes(packed[: len(packed) // 3])
    (folder / "b.json").write_text("hello")
    (folder / "c.jsonl").write_bytes(OTRF.read_bytes())
    (folder / "d.json").write_text('{"Records":[{"eventTime":"2020')
    code, findings, complaint = detect(known, folder)
    assert (code, len(findings), findings[0]["count"]) == (3, 1, 11)
    for name in ("a.json.gz", "b.json", "d.json"):
        assert name in complaint
    assert "2 skipped" in complaint and "2 unreadable" in complaint


def test_left_out_by_name(known, tmp_path):
    def write(account, region, minute):
        day = minute[:4], minute[4:6], minute[6:8]
        folder = tmp_path.joinpath("logs/AWSLogs/o-exampleorgid", account, "CloudTrail", region, *day)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{account}_CloudTrail_{region}_{minute}_Abcdefghijklmnop.json.gz"
        (folder / name).write_bytes(gzip.compress(OTRF.read_bytes()))
    write(ACCOUNT, "us-east-1", "20200914T0105Z")
    write(ACCOUNT, "eu-west-1", "20200916T0000Z")
    write(THIEF, "us-east-1", "20200914T0105Z")
    for options, read in [
            ((), 3), (("--account", ACCOUNT), 2), (("--account", ACCOUNT, "--account", THIEF), 3),
            (("--region", "eu-west-1"), 1), (("--since", "2020-09-15"), 1), (("--until", "2020-09-14T12:00:00Z"), 2),
            (("--until", "2020-09-14T12:00:00Z", "--slack", "2d"), 3), (("--since", "2020-09-20"), 0)]:
        code, findings, summary = detect(known, "--findings", "none", *options, tmp_path / "logs")
        assert f"{read} files read" in summary, options
        assert (code, len(findings)) == ((3, 1) if read else (0, 0)), options
        assert ("left out, by time, account or region" in summary) == (read < 3), options


def test_all_of_the_odd_records(known):
    code, findings, summary = detect(known, DATA / "stratus")
    assert (code, findings) == (0, [])
    assert "310 records" in summary and "0 malformed" in summary


def test_without_a_ledger():
    code, [finding], summary = detect("none", OTRF)
    assert (code, finding["suspects"]) == (3, [])
    assert any("without a ledger" in line for line in finding["evidence"])
    assert "not stored" in summary


def test_several_ledgers(ledger):
    first = ledger(delivery("2020-09-14T00:50:00Z"), name="a.db")
    second = ledger(delivery("2020-09-14T00:51:00Z", pid=9, exe="/usr/bin/other"), name="b.db")
    code, [finding], _ = detect(first, "--ledger", second, OTRF)
    assert code == 3
    assert {suspect["process"]["exe"] for suspect in finding["suspects"]} == {"/usr/sbin/nginx", "/usr/bin/other"}


def test_ranges_of_ones_own(known, tmp_path):
    ranges = tmp_path / "ip-ranges.json"
    ranges.write_text(json.dumps(dict(
        syncToken="1", createDate="2031-01-02-03-04-05", ipv6_prefixes=[],
        prefixes=[dict(ip_prefix="1.2.3.0/24", region="us-east-1", service="EC2", network_border_group="us-east-1")])))
    code, [finding], summary = detect(known, "--ip-ranges", ranges, OTRF)
    assert (code, finding["severity"], finding["rung"]) == (3, "MEDIUM", 5)
    assert finding["remote"]["account_id"] is None and finding["remote"]["network"] == "AWS EC2 us-east-1"
    assert "2031-01-02" in summary


# ---- state and notes


def stored(ledger, *arguments):
    result = run("findings", "--ledger", ledger, "-o", "jsonl", *arguments)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()


@pytest.mark.parametrize("words, code, says", [
    (["shut", "00000000"], 2, "expected ack, close, reopen or note"),
    (["close"], 2, "keytrail findings close ID"),
    (["close", "ASIA5FLZVX4OPVKKVBMX"], 2, "first 8"),
    (["note", "00000000"], 2, "--note TEXT"),
    (["close", "00000000"], 1, "there is none"),
    (["--note", "x"], 2, "of which finding"),
    (["--state", "open"], 2, "new, acknowledged, closed"),
    (["close", "00000000", "--note", ""], 2, "empty"),
])
def test_state_refused(known, words, code, says):
    detect(known, OTRF)
    result = run("findings", "--ledger", known, *words)
    assert (result.returncode, result.stdout) == (code, b"")
    assert says in result.stderr.decode()


def test_state_where_nothing_is_stored(known):
    code, _, complaint = stored(known, "close", "00000000")
    assert code == 1 and "none are stored" in complaint
    assert not (known.parent / "findings.db").exists()


def test_state_outlives_runs(known, tmp_path):
    lines = OTRF.read_bytes().splitlines(keepends=True)
    ours = [line for line in lines if KEY.encode() in line]
    first, rest = tmp_path / "first.jsonl", tmp_path / "rest.jsonl"
    first.write_bytes(b"".join(ours[:5]))
    rest.write_bytes(b"".join(ours[5:]))
    [finding] = detect(known, first)[1]
    assert (finding["state"], finding["state_at"], finding["new_uses"], finding["notes"]) == ("new", None, None, [])

    code, [closed], _ = stored(known, "close", finding["id"][:8], "--note", "ours, \u202eticket 1")
    assert (code, closed["state"], closed["new_uses"]) == (0, "closed", 0)
    [again] = detect(known, first)[1]
    assert again == closed
    assert stored(known, "--state", "new")[1] == []

    [more] = detect(known, rest)[1]
    assert (more["state"], more["count"], more["new_uses"]) == ("closed", 11, 11 - finding["count"])
    _, [listed], complaint = stored(known)
    assert listed == more and "1 closed finding has new uses" in complaint
    [note] = more["notes"]
    assert (note["text"], note["state"]) == ("ours, \u202eticket 1", "closed") and note["by"]

    _, [opened], _ = stored(known, "reopen", finding["id"])
    assert (opened["state"], opened["new_uses"], len(opened["notes"])) == ("new", None, 1)
    _, [acknowledged], _ = stored(known, "ack", finding["id"], "--note", "looking")
    assert acknowledged["state"] == "acknowledged" and len(acknowledged["notes"]) == 2


# ---- one trail over several runs; tests/e2e/test_scenarios.py has all scenarios so

CHILD = "ASIADERIVEDONE000001"


def chained():
    """The making of a key out of a stolen one, and the use of what was made."""
    lines = [json.loads(line) for line in OTRF.read_bytes().splitlines()]
    made = next(record for record in lines if record["userIdentity"].get("accessKeyId") == KEY)
    made.update(eventID="made", eventName="AssumeRole", eventSource="sts.amazonaws.com", eventTime="2020-09-14T01:00:00Z",
                sourceIPAddress="s3.amazonaws.com", responseElements=dict(
                    credentials=dict(accessKeyId=CHILD, expiration="Sep 14, 2020, 2:00:00 AM"),
                    assumedRoleUser=dict(assumedRoleId="AROAB:step")))
    used = json.loads(json.dumps(made))
    used.update(eventID="used", eventName="ListBuckets", eventSource="s3.amazonaws.com", eventTime="2020-09-14T01:10:00Z",
                sourceIPAddress="203.0.113.77", responseElements=None)
    used["userIdentity"].update(accessKeyId=CHILD, principalId="AROAB:step")
    return json.dumps(made).encode(), json.dumps(used).encode()


def test_a_later_run_shows_what_is_its_own(known, tmp_path):
    """What waits for more is looked at again in each run, and shown only when something has become of it."""
    made, used = chained()
    (tmp_path / "made.json").write_bytes(made)
    (tmp_path / "used.json").write_bytes(used)
    assert detect(known, OTRF)[0] == 3
    code, findings, summary = detect(known, DATA / "stratus/aws.defense-evasion.cloudtrail-stop.json")
    assert (code, findings) == (0, []) and "0 uses of known keys" in summary
    assert detect(known, tmp_path / "used.json")[:2] == (0, [])
    code, [finding], summary = detect(known, tmp_path / "made.json")
    assert code == 3 and finding["access_key_id"] == CHILD and "1 uses of known keys: 0 at home, 1 by AWS" in summary
    assert "1 files read" in summary and "cannot be read again" not in summary
    assert detect(known, OTRF)[1][0]["count"] == 11


@pytest.mark.parametrize("lost", ("file", "stdin"))
def test_files_of_earlier_runs_may_be_gone(known, tmp_path, lost):
    made, used = chained()
    source = tmp_path / "used.json"
    source.write_bytes(used)
    code, _, _ = detect(known, "-", stdin=used) if lost == "stdin" else detect(known, source)
    source.unlink()
    code, findings, said = detect(known, "-", stdin=made)
    assert (code, findings) == (0, [])
    assert "1 files that earlier runs have read cannot be read again" in said
    source.write_bytes(used)  # reading it now is as good
    assert detect(known, source)[1][0]["access_key_id"] == CHILD


def test_uses_that_wait_are_bounded(known, tmp_path):
    record = next(record for record in map(json.loads, OTRF.read_bytes().splitlines())
                  if record["userIdentity"].get("accessKeyId") == KEY)
    many = tmp_path / "many.jsonl"
    with many.open("w") as file:
        for number in range(25000):
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_us("2020-09-14T01:00:00Z") // 1000000 + number))
            file.write(json.dumps(record | dict(eventID=f"e{number}", eventTime=when)) + "\n")
    assert detect(known, many)[1][0]["count"] == 25000
    with sqlite3.connect(known.parent / "findings.db") as db:
        kept = [body for body, in db.execute("SELECT body FROM lesson WHERE kind = 'held'")]
    assert {json.loads(body)["eventID"] for body in kept} == {f"e{number}" for number in range(15000, 25000)}
    assert len(kept) == 10000 and max(map(len, kept)) < 4096
    # What is looked at again and is the same is not made anew.
    start = time.monotonic()
    assert detect(known, DATA / "stratus/aws.defense-evasion.cloudtrail-stop.json")[:2] == (0, [])
    assert time.monotonic() - start < 20


def test_damage_where_nothing_decides(ledger, tmp_path):
    """Such a record is a use, first or last, whether it is parsed or familiar; and a theft is one."""
    known = ledger(delivery("2020-09-14T00:50:00Z"), placement("198.51.100.10/32"))
    record = next(record for record in map(json.loads, OTRF.read_bytes().splitlines())
                  if record["userIdentity"].get("accessKeyId") == KEY)
    for name in ("@timestamp", "@version", "sharedEventID"):
        record.pop(name, None)

    def line(number, source, is_damaged):
        text = json.dumps(record | dict(eventID=f"e{number}", sourceIPAddress=source, eventTime="2020-09-14T01:00:00Z",
                                        eventType="AwsApiCall", requestParameters=dict(a=is_damaged)), separators=(",", ":"))
        return text.replace('"a":true', '"a":tru').replace('"a":false', '"a":true').encode()

    home, stolen = "198.51.100.10", "203.0.113.77"
    for damaged in range(3):
        lines = [line(number, home, number == damaged) for number in range(3)] + [line(3, stolen, True), line(4, stolen, False)]
        path = tmp_path / f"{damaged}.jsonl"
        path.write_bytes(b'{"Records":[' + b",".join(lines) + b"]}")
        code, [finding], summary = detect(known, "--findings", "none", path)
        assert code == 3 and finding["count"] == 2 and finding["calls"][0]["service"] == "s3.amazonaws.com"
        assert "5 uses of known keys: 3 at home" in summary and "0 malformed" in summary
