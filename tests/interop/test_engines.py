# SPDX-License-Identifier: Apache-2.0
"""`keytrail sql` on ClickHouse and DuckDB, in process and without a network, against the detector itself: the same
findings, row for row, on real records and on made-up ones that go up every rung. Athena cannot be had here: what it
shares with the others (the question itself, what follows from the tables) is the same text, and all of it is parsed by
somebody else's parser of Athena's language (sqlglot)."""

import ipaddress
import json
import random
import re
import subprocess
import sys

import pytest

import kits
from place import BUILT
from test_detect import DATA, KEYTRAIL, MAKE_LEDGER, OTRF, at_us, delivery, run

ENGINES = ("clickhouse", "duckdb")
HOME, FRIEND, OTHER, STRANGER = "111122223333", "222233334444", "333344445555", "999988887777"
INSTANCES = ["i-0000000000000000%d" % n for n in range(4)]
KEYS = ["ASIAQAAAAAAAGMKEM7X%d" % n for n in range(8)]  # the last one is no ledger's
DAY = "2026-03-01T"
EVENTS = 4000


def key_of(number):
    """Keys 0 to 5 of instances 0 to 2 are issued to the home account; 6 is of an instance whose place is not known."""
    return dict(access_key_id=KEYS[number], account_id=HOME, role="web", updated_at=DAY + "00:00:00.000000Z",
                expires_at=DAY + ("06:00:00.000000Z" if number % 2 else "20:00:00.000000Z"),
                host=dict(instance_id=INSTANCES[number // 2], account_id=HOME, region="eu-west-1"))


def rows():
    yield from ([dict(delivery("2026-03-01T00:00:00Z", **key_of(n)), access_key_id=KEYS[n]) for n in range(7)])
    for instance, when, addresses, owners in (
            (0, "00:01:00", ["10.1.0.0/16", "198.51.100.10", "2001:db8:1::/64"], [HOME, OTHER]),
            (1, "00:01:00", ["172.31.5.0/24"], [HOME]), (2, "02:00:00", ["100.64.0.0/10"], [HOME]),
            (1, "08:00:00", ["198.51.100.11/32", "172.31.6.7"], [HOME]), (1, "16:00:00", ["172.31.7.0/25"], [HOME])):
        yield dict(kind="placement", at_us=at_us(f"2026-03-01T{when}Z"), access_key_id=None,
                   body=dict(account_id=HOME, region="eu-west-1", instance_id=INSTANCES[instance], addresses=addresses,
                             vpc_ids=["vpc-1"], owner_ids=owners, clock_offset_ms=0))


INVENTORY = dict(
    own=[dict(account_id=HOME, egress=["198.51.100.40"], networks=["203.0.113.0/25"], addresses=["203.0.113.64/27"],
              endpoints=["vpce-0aaaaaaaaaaaaaaa1"])],
    affiliated=[dict(account_id=FRIEND, egress=["198.51.100.80/29"], addresses=["2001:db8:f::1"],
                     endpoints=["vpce-0bbbbbbbbbbbbbbb1"])],
    trusted_egress=["192.0.2.128/28", "2001:db8:7::/48", "vpce-0eeeeeeeeeeeeeeee"])
RANGES = dict(
    syncToken="1", createDate="2026-02-01-00-00-00",
    prefixes=[dict(ip_prefix=net, service=service, region="eu-west-1", network_border_group="eu-west-1") for net, service
              in (("3.8.0.0/14", "AMAZON"), ("3.8.0.0/14", "EC2"), ("3.9.0.0/16", "CLOUDFRONT"), ("52.0.0.0/8", "AMAZON"),
                  ("198.51.100.80/28", "EC2"))],
    ipv6_prefixes=[dict(ipv6_prefix=net, service=service, region="eu-west-1", network_border_group="eu-west-1")
                   for net, service in (("2600:1f00::/24", "AMAZON"), ("2600:1f18::/33", "EC2"))])
SOURCES = ["10.1.2.3", "198.51.100.10", "2001:db8:1::5", "172.31.5.9", "172.31.6.7", "172.31.7.100", "198.51.100.11",
           "100.64.9.9", "198.51.100.40", "203.0.113.5", "203.0.113.70", "203.0.113.200", "198.51.100.81", "198.51.100.95",
           "192.0.2.129", "192.0.2.200", "2001:db8:7:1::1", "2001:db8:f::1", "3.8.1.1", "3.9.1.1", "52.1.2.3",
           "2600:1f18::1", "2600:1f20::1", "10.9.9.9", "169.254.1.1", "fe80::1", "::1", "AWS Internal",
           "ec2.amazonaws.com", "some host", "", "8.8.8.8", "2001:4860:4860::8888"]
ENDPOINTS = ["vpce-0aaaaaaaaaaaaaaa1", "vpce-0bbbbbbbbbbbbbbb1", "vpce-0cccccccccccccccc", "vpce-0123abcd", "AWS Internal",
             "vpce-nothing", "s3.amazonaws.com", "vpce-0eeeeeeeeeeeeeeee"]
ENDPOINT_OWNERS = ["", HOME, FRIEND, OTHER, STRANGER, "AWS Internal"]


def record(number, chance):
    through_endpoint = chance.random() < 0.4
    identity = dict(type="AssumedRole", principalId="AROAX:session", accountId=HOME, accessKeyId=chance.choice(KEYS),
                    sessionContext=dict(sessionIssuer=dict(arn=f"arn:aws:iam::{HOME}:role/" + (
                        "aws:ec2-infrastructure" if chance.random() < 0.02 else "web"))))
    if chance.random() < 0.05:
        identity["invokedBy"] = chance.choice(["athena.amazonaws.com", "AWS Internal", "somebody"])
    one = dict(eventVersion="1.11", eventID=f"{number:08x}-0000-0000-0000-000000000000", userIdentity=identity,
               eventTime=f"2026-03-01T{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}Z",
               eventSource="s3.amazonaws.com", eventName=chance.choice(["GetObject", "ListBuckets"]),
               awsRegion="eu-west-1", sourceIPAddress=chance.choice(SOURCES), userAgent="x", recipientAccountId=HOME)
    if not one["sourceIPAddress"]:
        del one["sourceIPAddress"]
    if chance.random() < 0.2:
        one["errorCode"] = "AccessDenied"
    if through_endpoint:
        one["vpcEndpointId"] = chance.choice(ENDPOINTS)
        owner = chance.choice(ENDPOINT_OWNERS)
        one.update(dict(vpcEndpointAccountId=owner) if owner else {})
    return one


def write_trail(folder):
    """Some records stand in several files, and some twice in one."""
    chance = random.Random(7)
    records = [record(number, chance) for number in range(EVENTS)]
    trail = folder / "trail"
    trail.mkdir()
    for number in range(4):
        some = records[number * 900:number * 900 + 1300]
        (trail / f"{number}.json").write_text(json.dumps(dict(Records=some + some[:50])))


def lines_of(folder, all_rows):
    """The ledger's lines: by `ledger export` where there is one, else as [ledger] jsonl writes them."""
    path = folder / "ledger.db"
    subprocess.run([MAKE_LEDGER, path], input="".join(json.dumps(row) + "\n" for row in all_rows), text=True, check=True)
    exported = run("ledger", "export", "--ledger", path)
    if exported.returncode == 0:
        (folder / "rows.jsonl").write_bytes(exported.stdout)
        return
    deliveries = run("deliveries", "--ledger", path, "-o", "jsonl").stdout.decode()
    others = [json.dumps(dict(row["body"], kind=row["kind"], id=f"{number:016x}", at=time_of(row["at_us"]))) + "\n"
              for number, row in enumerate(all_rows) if row["kind"] == "placement"]
    (folder / "rows.jsonl").write_text(deliveries + "".join(others))


def time_of(us):
    import datetime
    return datetime.datetime.fromtimestamp(us / 1e6, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def by_the_detector(folder):
    result = run("detect", "--ledger", folder / "ledger.db", "--findings", "none", "--inventory", folder / "inventory.json",
                 "--ip-ranges", folder / "ranges.json", "-o", "jsonl", *sorted((folder / "trail").iterdir()))
    assert result.returncode == 3, result.stderr
    for line in result.stdout.splitlines():
        finding = json.loads(line)
        remote = finding["remote"]
        yield (finding["type"], finding["severity"], finding["access_key_id"],
               remote["account_id"] or remote["vpc_endpoint_id"] or remote["address"] or "", remote["account_id"] or "",
               finding["rung"], finding["count"], sum(call["errors"] for call in finding["calls"]),
               finding["first_seen"][:19], finding["last_seen"][:19])


def by_engine(engine, folder, pattern):
    text = folder / f"{engine}.sql"
    result = run("sql", "--engine", engine, "--inventory", folder / "inventory.json", "--trail", folder / pattern,
                 "--rows", folder / "rows.jsonl", "--ip-ranges", folder / "ranges.json")
    assert result.returncode == 0, result.stderr
    text.write_bytes(result.stdout)
    asked = kits.node("engines", "ask.mjs", engine, text)
    for row in json.loads(asked):
        yield (row["type"], row["severity"], row["access_key_id"], shortest(row["party"]), row["remote_account_id"],
               int(row["rung"]), int(row["uses"]), int(row["errors"]), row["first_seen"][:19], row["last_seen"][:19])


def shortest(text):
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made-up")
    (folder / "inventory.json").write_text(json.dumps(INVENTORY))
    (folder / "ranges.json").write_text(json.dumps(RANGES))
    lines_of(folder, list(rows()))
    write_trail(folder)
    return folder


def real_case(folder, source):
    (folder / "inventory.json").write_text("{}")
    (folder / "ranges.json").write_text(json.dumps(RANGES))
    lines_of(folder, [delivery("2020-09-14T00:50:00Z")])
    (folder / "trail").mkdir()
    (folder / "trail/records.json").write_bytes(source.read_bytes())
    return folder


@pytest.fixture(scope="module")
def otrf(tmp_path_factory):
    return real_case(tmp_path_factory.mktemp("otrf"), OTRF)


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    return real_case(tmp_path_factory.mktemp("inside"), DATA / "synthetic/inside_aws_endpoint.json")


@pytest.mark.skipif(not kits.has("engines"), reason=kits.why_not("engines"))
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ["made_up", "otrf", "inside"])
def test_row_for_row(request, case, engine):
    folder = request.getfixturevalue(case)
    wanted = sorted(by_the_detector(folder))
    got = sorted(by_engine(engine, folder, "trail/*.json"))
    assert got == wanted
    if case == "made_up":
        assert {row[5] for row in wanted} == {0, 1, 2, 4, 5, 6, 7} and len({row[0] for row in wanted}) == 4
        assert sum(row[6] for row in wanted) > EVENTS / 3


@pytest.mark.skipif(not kits.has("engines"), reason=kits.why_not("engines"))
def test_can_differ(made_up, tmp_path):
    """Without the placements the engines find other things: the comparison above sees such a difference."""
    for name in ("ledger.db", "inventory.json", "ranges.json"):
        (tmp_path / name).write_bytes((made_up / name).read_bytes())
    (tmp_path / "trail").symlink_to(made_up / "trail")
    lines = (made_up / "rows.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "rows.jsonl").write_text("".join(line for line in lines if json.loads(line)["kind"] == "delivery"))
    assert sorted(by_engine("duckdb", tmp_path, "trail/*.json")) != sorted(by_the_detector(made_up))


PYPI = BUILT / "pypi"


@pytest.mark.skipif(not (PYPI / "sqlglot").is_dir(), reason=kits.why_not("pypi"))
def test_athena_is_well_formed(made_up, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(PYPI)])
    import sqlglot
    text = run("sql", "--engine", "athena", "--inventory", made_up / "inventory.json").stdout.decode()
    parts = [part for part in re.split(r";\s*$", text, flags=re.M) if re.sub(r"^--.*$", "", part, flags=re.M).strip()]
    assert len(parts) > 15
    assert {type(sqlglot.parse_one(part, read="athena")).__name__ for part in parts} == {"Create", "Select"}
    with pytest.raises(sqlglot.errors.ParseError):
        sqlglot.parse_one(parts[-1].replace("GROUP BY", "GROUP", 1), read="athena")
