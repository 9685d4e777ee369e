# SPDX-License-Identifier: Apache-2.0
"""Findings in the forms of other tools: each against a schema of what that form requires and bounds (tests/data/forms),
with texts that attackers chose, and read back by `who --finding`."""

import json
import subprocess

import jsonschema
import pytest

from test_detect import (ACCOUNT, DATA, INSTANCE, KEY, OTRF, ROOT, THIEF, delivery, ledger, placement, run)  # noqa: F401
from test_detect import pytestmark  # noqa: F401

FORMS = ("asff", "ocsf", "guardduty", "timesketch")
INSIDE = DATA / "synthetic/inside_aws_endpoint.json"
LONG = "/tmp/" + "\u202e\u00e9<script>" * 900


def from_nowhere(folder):
    """The real records with a source that is no address."""
    path = folder / "nowhere.jsonl"
    path.write_text(OTRF.read_text().replace('"1.2.3.4"', '"253.252.51.07"'))
    return path


CASES = {  # name -> deliveries, source, options
    "outside": ([delivery("2020-09-14T00:50:00Z")], OTRF, []),
    "inside": ([delivery("2020-09-14T00:50:00Z")], INSIDE, []),
    "hostile": ([delivery("2020-09-14T00:50:00Z", exe=LONG, role="\u202e <b>", user_agent="\x1b[2J" * 200)], INSIDE, []),
    "no process": ([delivery("2020-09-14T00:50:00Z", process=None, holders=[])], OTRF, []),
    "no ledger": (None, OTRF, []),
    "no address": ([delivery("2020-09-14T00:50:00Z"), placement("198.51.100.10")], from_nowhere, []),
}


def schema(form):
    return json.loads((ROOT / "tests/data/forms" / f"{form}.json").read_text())


def objects(form, text):
    return json.loads(text) if form == "asff" else [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def shown(ledger, tmp_path):  # noqa: F811
    def show(case, form):
        rows, source, options = CASES[case]
        source = source(tmp_path) if callable(source) else source
        path = tmp_path / f"{case.replace(' ', '-')}.db" if rows else "none"
        if rows and not path.exists():
            ledger(*rows, name=path.name)
        result = run("detect", "--ledger", path, "--findings", "none" if not rows else tmp_path / f"{case}.findings",
                     "-o", form, *options, source)
        assert result.returncode == 3, result.stderr
        assert result.stdout.isascii()
        return result.stdout
    return show


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_schema(shown, case, form):
    found = objects(form, shown(case, form))
    assert found
    check = jsonschema.Draft202012Validator(schema(form), format_checker=jsonschema.FormatChecker())
    faults = [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
              for one in found for fault in check.iter_errors(one)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("form", FORMS)
def test_schema_can_fail(shown, form):
    """Each thing that a form requires is missed when it is not there."""
    [one, *_] = objects(form, shown("inside", form))
    check = jsonschema.Draft202012Validator(schema(form))
    for name in schema(form)["required"]:
        assert not check.is_valid({key: value for key, value in one.items() if key != name}), name


def test_asff_says(shown):
    [finding] = objects("asff", shown("inside", "asff"))
    assert finding["AwsAccountId"] == ACCOUNT and finding["Region"] == "us-east-1"
    assert finding["Types"] == ["Effects/Data Exfiltration/"
                                "UnauthorizedAccess:IAMUser-InstanceCredentialExfiltration.InsideAWS"]
    assert finding["Severity"]["Label"] == "HIGH" and 70 <= finding["Severity"]["Normalized"] <= 89
    assert [resource["Id"] for resource in finding["Resources"]] == [
        f"AWS::IAM::AccessKey:{KEY}", f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{INSTANCE}"]
    path = "aws/guardduty/service/action/awsApiCallAction/remoteAccountDetails/"
    assert finding["ProductFields"][path + "accountId"] == THIEF
    assert finding["ProductFields"][path + "affiliated"] == "false"
    assert finding["Process"]["Path"] == "/usr/sbin/nginx" and finding["Process"]["Pid"] == 7
    assert THIEF in finding["Title"] and "certain" in finding["Description"]


def test_guardduty_says(shown):
    [finding] = objects("guardduty", shown("inside", "guardduty"))
    call = finding["service"]["action"]["awsApiCallAction"]
    assert finding["type"] == "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS"
    assert call["remoteAccountDetails"] == dict(accountId=THIEF, affiliated=False)
    assert finding["resource"]["accessKeyDetails"]["accessKeyId"] == KEY
    assert finding["service"]["runtimeDetails"]["process"]["executablePath"] == "/usr/sbin/nginx"
    assert json.loads(finding["service"]["additionalInfo"]["value"])["rung"] == 1
    [finding] = objects("guardduty", shown("outside", "guardduty"))
    call = finding["service"]["action"]["awsApiCallAction"]
    assert call["remoteIpDetails"] == dict(ipAddressV4="1.2.3.4") and "remoteAccountDetails" not in call


def test_ocsf_says(shown):
    [finding] = objects("ocsf", shown("inside", "ocsf"))
    calls = [evidence for evidence in finding["evidences"] if "api" in evidence]
    [receiver] = [evidence["process"] for evidence in finding["evidences"] if "process" in evidence]
    assert finding["finding_info"]["first_seen_time"] == finding["time"]
    assert {call["actor"]["user"]["credential_uid"] for call in calls} == {KEY}
    assert {call["src_endpoint"]["owner"]["account"]["uid"] for call in calls} == {THIEF}
    assert receiver["file"]["path"] == "/usr/sbin/nginx" and receiver["pid"] == 7
    assert finding["is_alert"] is True and (finding["activity_id"], finding["status_id"]) == (1, 1)


def test_source_that_is_no_address(shown):
    """It stands where names do: what reads these forms refuses it as an address."""
    [asff] = objects("asff", shown("no address", "asff"))
    call = asff["Action"]["AwsApiCallAction"]
    assert call["DomainDetails"] == dict(Domain="253.252.51.07") and "RemoteIpDetails" not in call
    [guardduty] = objects("guardduty", shown("no address", "guardduty"))
    call = guardduty["service"]["action"]["awsApiCallAction"]
    assert call["domainDetails"] == dict(domain="253.252.51.07") and "remoteIpDetails" not in call
    [ocsf] = objects("ocsf", shown("no address", "ocsf"))
    sources = [evidence["src_endpoint"] for evidence in ocsf["evidences"] if "api" in evidence]
    assert sources and all(source["domain"] == "253.252.51.07" and "ip" not in source for source in sources)


def test_timesketch_says(shown):
    lines = objects("timesketch", shown("inside", "timesketch"))
    assert [line["timestamp_desc"] for line in lines] == ["Key Delivered", "First Use Seen", "Last Use Seen"]
    assert lines == sorted(lines, key=lambda line: line["timestamp"])
    assert lines[0]["process_path"] == "/usr/sbin/nginx" and lines[1]["remote_account_id"] == THIEF


@pytest.mark.parametrize("form, name", [("guardduty", "guardduty"), ("asff", "securityhub")])
def test_read_back(shown, tmp_path, form, name):
    """What we write as another tool's finding, `who --finding` reads as one."""
    text = shown("inside", form)
    [native] = [json.loads(line) for line in shown("inside", "jsonl").splitlines()]
    result = subprocess.run([run.__globals__["KEYTRAIL"], "who", "--finding", "-", "--ledger", tmp_path / "inside.db",
                             "-o", "json"], input=text, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    [report] = told["reported"]
    assert (report["format"], report["access_key_id"], report["instance_id"]) == (name, KEY, INSTANCE)
    assert report["account_id"] == ACCOUNT and report["remote"]["account_id"] == THIEF
    assert (report["first_seen"], report["last_seen"]) == (native["first_seen"], native["last_seen"])
    assert int(report["count"]) == native["count"] and report["title"]
    assert [one["process"]["pid"] for one in told["deliveries"]] == [7]


def test_state_shows(shown, tmp_path):
    shown("inside", "jsonl")
    place = ["--ledger", tmp_path / "inside.db", "--findings", tmp_path / "inside.findings"]
    [finding] = [json.loads(line) for line in run("findings", *place, "-o", "jsonl").stdout.splitlines()]
    run("findings", "close", finding["id"], "--note", "done", *place)
    [asff] = objects("asff", run("findings", *place, "-o", "asff").stdout)
    assert asff["Workflow"]["Status"] == "RESOLVED" and asff["Note"]["Text"] == "done"
    assert asff["RecordState"] == "ARCHIVED" and asff["UpdatedAt"] > asff["LastObservedAt"]
    jsonschema.validate(asff, schema("asff"))
    [ocsf] = objects("ocsf", run("findings", *place, "-o", "ocsf").stdout)
    assert (ocsf["activity_id"], ocsf["type_uid"], ocsf["status_id"]) == (3, 200403, 4)
    assert ocsf["is_alert"] is False
    [guardduty] = objects("guardduty", run("findings", *place, "-o", "guardduty").stdout)
    assert guardduty["service"]["archived"] is True


def test_nothing_found(ledger):  # noqa: F811
    place = ["--ledger", ledger(delivery("2020-09-14T00:50:00Z"))]
    source = DATA / "stratus/aws.defense-evasion.cloudtrail-stop.json"
    for form, text in (("asff", b"[]\n"), ("ocsf", b""), ("guardduty", b""), ("timesketch", b"")):
        result = run("detect", *place, "-o", form, source)
        assert (result.returncode, result.stdout) == (0, text)


@pytest.mark.parametrize("words", [["keys", "-o", "asff"], ["deliveries", "-o", "ocsf"], ["detect", "--rules", "-o", "asff"],
                                   ["detect", "-o", "splunk", "x"]])
def test_where_they_are_not(words):
    result = run(*words)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"expected" in result.stderr
