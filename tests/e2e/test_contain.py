# SPDX-License-Identifier: Apache-2.0
"""keytrail contain from outside: for each kind of key, whose account the other side is, the policies and commands that
stop it, and the draft of a report; nothing that others chose gets into a shell or a policy unquoted."""

import json
import shlex

import pytest

from test_detect import (ACCOUNT, DATA, INSTANCE, KEY, OTRF, THIEF, at_us, delivery, ledger, run)  # noqa: F401
from test_detect import pytestmark  # noqa: F401

INSIDE = DATA / "synthetic/inside_aws_endpoint.json"
PRINCIPAL = f"AROA5FLZVX4OAMSW6BCRH:{INSTANCE}"
CHILD, USER_KEY = "ASIAQAAAAAAAGMKEM7X5", "AKIARZPUZDIKGB2VALC4"
OUTSIDE_ADDRESS = "198.51.100.99"


def record(number, when, service, name, key, principal, **fields):
    return dict(dict(
        eventVersion="1.08", eventID=f"00000000-0000-0000-0000-{number:012}", eventTime=when, eventSource=service,
        eventName=name, awsRegion="us-east-1", sourceIPAddress=OUTSIDE_ADDRESS, userAgent="aws-cli/2",
        recipientAccountId=ACCOUNT, eventType="AwsApiCall", eventCategory="Management",
        userIdentity=dict(type="AssumedRole", principalId=principal, accountId=ACCOUNT, accessKeyId=key,
                          arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/web/{INSTANCE}",
                          sessionContext=dict(sessionIssuer=dict(type="Role", userName="web", accountId=ACCOUNT,
                                                                 principalId=principal.partition(":")[0])))), **fields)


@pytest.fixture
def found(ledger, tmp_path):  # noqa: F811
    """Runs `detect` on records or a file, and then `contain`."""
    def find(source, *deliveries):
        path = ledger(*(deliveries or [delivery("2020-09-14T00:50:00Z")]))
        if not hasattr(source, "exists"):
            text, source = json.dumps(dict(Records=source)), tmp_path / "trail.json"
            source.write_text(text)
        result = run("detect", "--ledger", path, "-o", "jsonl", source)
        assert result.returncode == 3, result.stderr
        return path, [json.loads(line) for line in result.stdout.splitlines()]
    return find


def contain(path, what, *options):
    result = run("contain", what, "--ledger", path, "-o", "json", *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.isascii()
    return json.loads(result.stdout)


def step(plan, name):
    [one] = [one for one in plan["steps"] if one["id"] == name]
    return one


def policy_in(command):
    words = shlex.split(command)
    return json.loads(words[words.index("--policy-document") + 1])


def test_whose_account_comes_first(found):
    path, [finding] = found(INSIDE)
    plan = contain(path, finding["id"])
    assert plan["kind"] == "containment" and plan["key_kind"] == "session"
    side = plan["other_side"]
    assert (side["account_id"], side["certainty"], side["relation"]) == (THIEF, "certain", "unaffiliated")
    shown = run("contain", finding["id"][:8], "--ledger", path, "-o", "table").stdout.decode()
    assert shown.startswith("Other side    It is account " + THIEF)
    assert shown.index(THIEF) < shown.index("put-role-policy")
    assert shown.isascii() and "\x1b" not in shown


STRANGERS = dict(vpcEndpointId="vpce-0bbbbbbbbbbbbbbbb", vpcEndpointAccountId=THIEF, eventVersion="1.11")


def test_account_that_is_named_comes_before_an_address(found):
    """A key with several findings: whom to report is what the plan begins with, though it was used elsewhere before."""
    path, findings = found([record(1, "2020-09-14T01:00:00Z", "s3.amazonaws.com", "ListBuckets", KEY, PRINCIPAL),
                            record(2, "2020-09-14T01:30:00Z", "s3.amazonaws.com", "ListBuckets", KEY, PRINCIPAL, **STRANGERS)])
    assert [finding["remote"]["account_id"] for finding in findings] == [None, THIEF]
    plan = contain(path, KEY)
    assert plan["other_side"]["account_id"] == THIEF and THIEF in plan["report"]["text"]
    assert [one["id"] for one in plan["findings"]] == [findings[1]["id"], findings[0]["id"]]
    assert contain(path, findings[0]["id"])["other_side"]["address"] == OUTSIDE_ADDRESS


def test_known_one_does_not_come_first(found, tmp_path):
    """What the inventory hides is not what the plan begins with."""
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps(dict(suppressions=[dict(type="*", remote=THIEF, reason="our own scanner")])))
    path, _ = found([record(1, "2020-09-14T01:00:00Z", "s3.amazonaws.com", "ListBuckets", KEY, PRINCIPAL, **STRANGERS),
                     record(2, "2020-09-14T01:30:00Z", "s3.amazonaws.com", "ListBuckets", KEY, PRINCIPAL)])
    run("detect", "--ledger", path, "--inventory", inventory, tmp_path / "trail.json")
    plan = contain(path, KEY)
    assert plan["other_side"]["address"] == OUTSIDE_ADDRESS
    assert [one["suppressed_because"] for one in plan["findings"]] == [None, "our own scanner"]


def test_policies(found):
    path, [finding] = found(INSIDE)
    plan = contain(path, KEY)
    deny, revoke = step(plan, "deny-session"), step(plan, "revoke-older-sessions")
    [statement] = deny["policy"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"] == {"StringEquals": {"aws:userId": PRINCIPAL}}
    [statement] = revoke["policy"]["Statement"]
    assert list(statement["Condition"]["DateLessThan"]) == ["aws:TokenIssueTime"]
    assert at_us(statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"]) > at_us("2026-01-01T00:00:00Z")
    for one in (deny, revoke):
        assert policy_in(one["commands"][-1]) == one["policy"]
        assert shlex.split(one["commands"][-1])[:5] == ["aws", "iam", "put-role-policy", "--role-name", "web"]
    for one in plan["steps"]:
        assert one["why"] and one["breaks"] and one["undo"] and one["commands"], one["id"]
    assert "touches no other session" in deny["why"] and "everywhere" in revoke["breaks"]
    assert plan["collect"] and all(one["what"] and one["command"] for one in plan["collect"])
    assert any(f"InstanceId={INSTANCE}" in one["command"] for one in plan["collect"])
    assert plan["expired"]


def test_draft(found):
    path, [finding] = found(INSIDE)
    report = contain(path, KEY)["report"]
    assert "Trust & Safety" in report["to"] and THIEF in report["subject"]
    text = report["text"]
    assert f"Suspected AWS account: {THIEF}" in text
    lines = [line for line in text.splitlines() if "event_id=" in line]
    assert len(lines) == finding["count"] == 3
    assert [line.split()[0] for line in lines][::2] == [finding["first_seen"], finding["last_seen"]]
    assert all(line.split()[1:3] == ["s3.amazonaws.com", "ListObjects"] for line in lines)
    assert all(finding["event_ids"][i] in line and KEY in line for i, line in enumerate(lines))


def test_affiliated(found, tmp_path):
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps(dict(affiliated=[dict(account_id=THIEF)])))
    path, _ = found(INSIDE)
    run("detect", "--ledger", path, "--inventory", inventory, INSIDE)
    side = contain(path, KEY)["other_side"]
    assert side["relation"] == "affiliated" and "ask its owner" in side["advice"]


def test_outside_of_aws(found):
    path, _ = found(OTRF)
    plan = contain(path, KEY)
    assert plan["other_side"]["account_id"] is None and "no AWS account" in plan["other_side"]["text"]
    assert "not known to us" in plan["report"]["text"] and "1.2.3.4" in plan["report"]["text"]


def test_derived_session(found):
    made = record(1, "2020-09-14T02:00:00Z", "sts.amazonaws.com", "AssumeRole", KEY, PRINCIPAL,
                  responseElements=dict(credentials=dict(accessKeyId=CHILD, expiration="Sep 14, 2020 3:00:00 AM"),
                                        assumedRoleUser=dict(assumedRoleId="AROACHILD:deploy",
                                                             arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/deploy")))
    used = record(2, "2020-09-14T02:05:00Z", "s3.amazonaws.com", "ListBuckets", CHILD, "AROACHILD:deploy")
    path, findings = found([made, used])
    [finding] = [one for one in findings if one["access_key_id"] == CHILD]
    plan = contain(path, CHILD)
    assert plan["key_kind"] == "session" and [one["access_key_id"] for one in plan["lineage"]] == [KEY, CHILD]
    denied = [one["policy"]["Statement"][0]["Condition"]["StringEquals"]["aws:userId"]
              for one in plan["steps"] if one["id"] == "deny-session"]
    assert denied == ["AROACHILD:deploy", PRINCIPAL]
    commands = [one["commands"] for one in plan["steps"] if one["id"] == "deny-session"]
    assert "Roles[?RoleId=='AROACHILD']" in shlex.split(commands[0][0])[4]
    assert shlex.split(commands[0][1])[4] == "REPLACE_WITH_ROLE_NAME" and shlex.split(commands[1][0])[4] == "web"
    # From the delivered key the way leads to what came of it, too.
    assert finding["id"] in [one["id"] for one in contain(path, KEY)["findings"]]


def test_key_and_what_came_of_it(found):
    """Both the delivered key and two sessions made with it are in use: all three have to end."""
    records = [record(9, "2020-09-14T01:30:00Z", "s3.amazonaws.com", "ListBuckets", KEY, PRINCIPAL)]
    for number, child in enumerate((CHILD, CHILD[:-1] + "6")):
        records.append(record(
            number * 2, f"2020-09-14T02:0{number}:00Z", "sts.amazonaws.com", "AssumeRole", KEY, PRINCIPAL,
            responseElements=dict(credentials=dict(accessKeyId=child, expiration="Sep 14, 2020 3:00:00 AM"),
                                  assumedRoleUser=dict(assumedRoleId=f"AROACHILD{number}:deploy"))))
        records.append(record(number * 2 + 1, f"2020-09-14T02:1{number}:00Z", "s3.amazonaws.com", "GetObject", child,
                              f"AROACHILD{number}:deploy"))
    path, findings = found(records)
    assert {one["access_key_id"] for one in findings} == {KEY, CHILD, CHILD[:-1] + "6"}
    plan = contain(path, KEY)
    denied = [one["policy"]["Statement"][0]["Condition"]["StringEquals"]["aws:userId"]
              for one in plan["steps"] if one["id"] == "deny-session"]
    assert denied[0] == PRINCIPAL and sorted(denied[1:]) == ["AROACHILD0:deploy", "AROACHILD1:deploy"]


def test_derived_user_key(found):
    made = record(1, "2020-09-14T02:00:00Z", "iam.amazonaws.com", "CreateAccessKey", KEY, PRINCIPAL,
                  responseElements=dict(accessKey=dict(accessKeyId=USER_KEY, status="Active", userName="backup")))
    used = record(2, "2020-09-14T02:05:00Z", "s3.amazonaws.com", "ListBuckets", USER_KEY, "AIDAUSER")
    used["userIdentity"] = dict(type="IAMUser", principalId="AIDAUSER", accountId=ACCOUNT, accessKeyId=USER_KEY,
                                userName="backup", arn=f"arn:aws:iam::{ACCOUNT}:user/backup")
    path, _ = found([made, used])
    plan = contain(path, USER_KEY)
    assert plan["key_kind"] == "user"
    off = step(plan, "deactivate-key")
    assert off["target"].startswith(USER_KEY) and off["policy"] is None
    words = shlex.split(off["commands"][-1])
    assert words[2] == "update-access-key" and words[-2:] == ["--status", "Inactive"] and USER_KEY in words
    assert "Sessions that were made with it" in off["breaks"]
    assert step(plan, "deny-user")["policy"]["Statement"][0]["Effect"] == "Deny"
    assert step(plan, "deny-session")["target"].startswith(KEY)


def test_kind_is_that_of_the_key(found):
    """The delivered key is in use at home only; what was made with it is not."""
    made = record(1, "2020-09-14T02:00:00Z", "iam.amazonaws.com", "CreateAccessKey", KEY, PRINCIPAL,
                  sourceIPAddress="AWS Internal", responseElements=dict(accessKey=dict(accessKeyId=USER_KEY)))
    path, [finding] = found([made, record(2, "2020-09-14T02:05:00Z", "s3.amazonaws.com", "ListBuckets", USER_KEY, "AIDAU")])
    assert finding["access_key_id"] == USER_KEY
    assert contain(path, KEY)["key_kind"] == "session" and contain(path, USER_KEY)["key_kind"] == "user"


def test_derived_password(found):
    made = record(1, "2020-09-14T02:00:00Z", "iam.amazonaws.com", "CreateLoginProfile", KEY, PRINCIPAL,
                  requestParameters=dict(userName="backup"),
                  responseElements=dict(loginProfile=dict(userName="backup")))
    used = record(2, "2020-09-14T02:05:00Z", "s3.amazonaws.com", "ListBuckets", CHILD, "AIDAUSER")
    used["userIdentity"] = dict(type="IAMUser", principalId="AIDAUSER", accountId=ACCOUNT, accessKeyId=CHILD,
                                userName="backup", arn=f"arn:aws:iam::{ACCOUNT}:user/backup")
    used["sessionCredentialFromConsole"] = "true"
    path, findings = found([made, used])
    [finding] = [one for one in findings if one["access_key_id"] == CHILD]
    plan = contain(path, finding["id"])
    assert shlex.split(step(plan, "delete-login")["commands"][0])[-2:] == ["--user-name", "backup"]


def test_no_finding(ledger):  # noqa: F811
    path = ledger(delivery("2020-09-14T00:50:00Z"))
    plan = contain(path, KEY)
    assert plan["report"] is None and plan["findings"] == [] and plan["other_side"]["certainty"] == "unknown"
    deny = step(plan, "deny-session")
    assert deny["policy"]["Statement"][0]["Condition"]["StringEquals"]["aws:userId"] == \
        f"REPLACE_WITH_ROLE_ID:{INSTANCE}"
    assert shlex.split(deny["commands"][0])[:5] == ["aws", "iam", "get-role", "--role-name", "web"]


@pytest.mark.parametrize("source, has_isolation", [("identity", True), ("ecs", False)])
def test_other_sources(ledger, source, has_isolation):  # noqa: F811
    path = ledger(delivery("2020-09-14T00:50:00Z", source=source))
    plan = contain(path, KEY)
    names = [one["id"] for one in plan["steps"]]
    assert ("isolate-instance" in names) == has_isolation
    assert plan["key_kind"] == ("identity" if source == "identity" else "session")
    assert ("deny-session" in names) == (source == "ecs")
    if source == "ecs":
        assert "REPLACE_WITH_SESSION_NAME" in step(plan, "deny-session")["commands"][-1]


def test_unknown_key(ledger):  # noqa: F811
    path = ledger(delivery("2020-09-14T00:50:00Z"))
    result = run("contain", "ASIAY34FZKBOKMUTVV7A", "--ledger", path, "-o", "json")
    plan = json.loads(result.stdout)
    assert result.returncode == 0 and b"neither the ledger nor a finding" in result.stderr
    assert (plan["key_kind"], plan["account_id"], plan["encoded_account_id"]) == ("unknown", None, "609629065308")
    assert [one["id"] for one in plan["steps"]] == ["find-principal"]
    plan = contain(path, USER_KEY)
    assert plan["key_kind"] == "user" and "get-access-key-last-used" in step(plan, "deactivate-key")["commands"][0]


def test_hostile_names(found):
    role, agent = "w'; rm -rf $HOME\n\x1b[2J", "x\" \u202e\x1b]0;\x07`id`"
    used = record(1, "2020-09-14T02:00:00Z", "s3.amazonaws.com", "ListBuckets\n\x1b", KEY, "AROA${aws:x}*:i-1\n",
                  userAgent=agent)
    path, _ = found([used], delivery("2020-09-14T00:50:00Z", role=role))
    plan = contain(path, KEY)
    user_id = step(plan, "deny-session")["policy"]["Statement"][0]["Condition"]["StringEquals"]["aws:userId"]
    assert user_id == f"REPLACE_WITH_ROLE_ID:{INSTANCE}"
    for command in step(plan, "deny-session")["commands"]:
        words = shlex.split(command)
        assert words[4] == "w'; rm -rf $HOME\\x0a\\x1b[2J" and "\n" not in command and "\x1b" not in command
    text = plan["report"]["text"]
    assert "\x1b" not in text and "\u202e" not in text and "\\x1b" in text
    shown = run("contain", KEY, "--ledger", path, "-o", "table").stdout
    assert shown.isascii() and b"\x1b" not in shown


def test_ledger_is_gone(found, tmp_path):
    path, [finding] = found(INSIDE)
    path.unlink()
    result = run("contain", finding["id"], "--ledger", path, "-o", "json")
    assert result.returncode == 0 and b"there is none" in result.stderr
    assert step(json.loads(result.stdout), "deny-session")["commands"]


@pytest.mark.parametrize("words, code, says", [
    ([], 2, "KEY|FINDING"),
    (["x"], 2, "no finding's id, and no key"),
    (["00000000"], 1, "no findings are stored"),
    (["ASIAIOSFODNN7EXAMPLE", "more"], 2, "too much"),
    (["ASIAIOSFODNN7EXAMPLE", "-o", "asff"], 2, "expected one of table"),
])
def test_refused(ledger, words, code, says):  # noqa: F811
    result = run("contain", *words, "--ledger", ledger(delivery("2020-09-14T00:50:00Z")))
    assert (result.returncode, result.stdout) == (code, b"")
    assert says in result.stderr.decode()


def test_csv(found):
    path, _ = found(INSIDE)
    lines = run("contain", KEY, "--ledger", path, "-o", "csv").stdout.decode().split("\r\n")
    assert lines[0].startswith("id,target,title") and lines[1].startswith("deny-session,")
