# SPDX-License-Identifier: Apache-2.0
"""keytraild in the world: what clients see and what the ledger says afterwards."""

import json
import os
import pathlib
import signal
import socket
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, IMDS_V6, QUICK_S, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, eventually, needs_world, parse

pytestmark = needs_world
families = pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6], ids=["v4", "v6"])


@pytest.fixture(scope="module")
def instance():
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as running:
        yield running


def last_row(instance, before, where="1"):
    """The one row that came since there were `before` of them."""
    eventually(lambda: len(instance.rows(where, settle=False)) > before)
    rows = instance.rows(where)
    assert len(rows) == before + 1, rows[before:]
    return rows[-1]


def count(instance, where="1"):
    return len(instance.rows(where, settle=False)) if instance.ledger.exists() else 0


# ---- deliveries

@families
def test_credentials_are_delivered_and_recorded(instance, address):
    before = count(instance)
    document = instance.credentials(address=address, user="nobody")
    row = last_row(instance, before)
    assert row["access_key_id"] == document["AccessKeyId"]
    assert (row["outcome"], row["grade"], row["exe"], row["user"]) == ("delivered", "exact", "/usr/bin/curl", "nobody")
    assert row["role"] == "web-server" and row["source"] == "imds"
    assert row["instance_id"].startswith("i-") and row["host_account_id"] == "123456789012"
    assert document["SecretAccessKey"] not in json.dumps(row) and document["Token"] not in json.dumps(row)
    command = json.loads(row["cmdline"])
    assert command[0] == "curl" and any("[redacted]" in word for word in command)


def test_identity_credentials_have_their_own_source(instance):
    before = count(instance)
    token = instance.token()
    path = "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance"
    status, _, body = instance.get(path, token)
    assert status == 200
    row = last_row(instance, before)
    assert (row["source"], row["access_key_id"]) == ("identity", json.loads(body)["AccessKeyId"])


def test_other_paths_leave_no_row(instance):
    token = instance.token()
    before = count(instance)
    status, headers, body = instance.get("/latest/meta-data/instance-id", token)
    assert (status, body) == (200, "i-0123456789abcdef0")
    assert 50 <= int(headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 60
    assert count(instance) == before


def test_container_is_attributed_in_its_own_namespace(instance):
    before = count(instance)
    instance.credentials(ns="ctr1", user="nobody")
    row = last_row(instance, before)
    assert (row["grade"], row["exe"], row["client_address"]) == ("exact", "/usr/bin/curl", "172.30.0.11")
    assert row["client_netns"] == os.stat(f"/run/netns/{instance.world.prefix}-ctr1").st_ino


def test_token_of_a_container_is_worth_nothing_in_another(instance):
    token = instance.token(ns="ctr1")
    assert instance.get("/latest/meta-data/", token, ns="ctr1")[0] == 200
    before = count(instance)
    assert instance.get("/latest/meta-data/", token, ns="ctr2")[0] == 401
    assert last_row(instance, before)["reason"] == "token-out-of-scope"
    assert instance.get("/latest/meta-data/", token)[0] == 401


def test_rotation_gives_two_keys(instance):
    first = instance.credentials()["AccessKeyId"]
    instance.imds.rotate()
    second = instance.credentials()["AccessKeyId"]
    assert first != second
    assert {row["access_key_id"] for row in instance.rows("access_key_id IS NOT NULL")} >= {first, second}


def test_error_document_is_no_delivery(instance):
    before = count(instance)
    token = instance.token()
    instance.imds.set("role-error", "AssumeRoleUnauthorizedAccess")
    try:
        status, _, body = instance.get(ROLE_PATH + "web-server", token)
    finally:
        instance.imds.reset()
    assert status == 200 and "AssumeRoleUnauthorizedAccess" in body
    assert count(instance) == before


# ---- refusals

REFUSALS = [
    # name, curl's words, path, status, reason in the ledger
    ("no token", [], "/latest/meta-data/", 401, "no-token"),
    ("garbage token", ["-H", f"{TOKEN_HEADER}: garbage"], "/latest/meta-data/", 401, "token-malformed"),
    ("well-formed foreign token", ["-H", f"{TOKEN_HEADER}: AQAEA" + "A" * 49 + "=="], "/latest/meta-data/", 401,
     "token-out-of-scope"),
    ("forwarded PUT", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60", "-H", "X-Forwarded-For: 1.2.3.4"],
     "/latest/api/token", 403, "forwarded-for"),
    ("forwarded PUT, lower case", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60", "-H", "x-forwarded-for: a"],
     "/latest/api/token", 403, "forwarded-for"),
    ("forwarded PUT, empty value", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60", "-H", "X-Forwarded-For;"],
     "/latest/api/token", 403, "forwarded-for"),
    ("rebound name", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60", "-H", "Host: evil.example"], "/latest/api/token", 403,
     "foreign-host"),
    ("no TTL", ["-X", "PUT"], "/latest/api/token", 400, "ttl"),
    ("TTL 0", ["-X", "PUT", "-H", f"{TTL_HEADER}: 0"], "/latest/api/token", 400, "ttl"),
    ("TTL too long", ["-X", "PUT", "-H", f"{TTL_HEADER}: 21601"], "/latest/api/token", 400, "ttl"),
    ("TTL negative", ["-X", "PUT", "-H", f"{TTL_HEADER}: -1"], "/latest/api/token", 400, "ttl"),
    ("dated token path", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60"], "/2021-03-23/api/token", 403, "token-path"),
    ("token path with slash", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60"], "/latest/api/token/", 403, "token-path"),
    ("GET on the token path", [], "/latest/api/token", 405, "token-path"),
    ("Expect", ["-X", "PUT", "-H", f"{TTL_HEADER}: 60", "-H", "Expect: 100-continue"], "/latest/api/token", 417,
     "expect"),
    ("encoded slash", ["--path-as-is"], "/latest%2fmeta-data/", 400, "encoded-slash"),
    ("dot segment", ["--path-as-is"], "/latest/../latest/meta-data/", 400, "dot-segment"),
    ("unknown method", ["-X", "BREW"], "/latest/meta-data/", 400, "method"),
]


@pytest.mark.parametrize("words,path,status,reason", [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
@families
def test_refusal(instance, words, path, status, reason, address):
    before = count(instance)
    got, headers, body = parse(instance.curl(*words, address=address, path=path))
    assert (got, headers["content-length"], body) == (status, "0", "")
    assert headers["server"] == "EC2ws" and headers["connection"] == "close"
    row = last_row(instance, before)
    assert (row["outcome"], row["reason"], row["access_key_id"]) == ("refused", reason, None)
    assert (row["grade"], row["exe"]) == ("exact", "/usr/bin/curl")


def test_direct_connection_gets_nothing(instance):
    for address, ns in (("127.0.0.1", "host"), ("[::1]", "host"), ("169.254.77.77", "host"), ("172.30.0.1", "ctr1"),
                        ("169.254.77.77", "ctr1")):
        done = instance.world.run(ns, ["curl", "-s", "-m", "3", "-i", f"http://{address}:8775/latest/meta-data/"])
        assert done.returncode in (7, 56) and done.stdout == "", (address, done)


# ---- what differs with settings and with upstream

def test_hop_limit_1_keeps_bridged_containers_out():
    with Instance() as instance:
        assert instance.get("/latest/meta-data/", instance.token())[0] == 200
        started = time.monotonic()
        got, headers, body = parse(instance.curl("-X", "PUT", "-H", f"{TTL_HEADER}: 60", path="/latest/api/token",
                                                 ns="ctr1"))
        assert (got, headers["content-length"], body) == (403, "0", "")
        assert time.monotonic() - started < QUICK_S
        assert instance.row("reason='hop-limit'")["client_address"] == "172.30.0.11"


def test_audit_mode_passes_version_1_and_says_so():
    with Instance(settings={"imdsv2": {"mode": "audit"}}, tokens="optional") as instance:
        status, headers, body = instance.get(ROLE_PATH + "web-server")
        assert status == 200 and "x-aws-ec2-metadata-token-ttl-seconds" not in headers
        row = instance.row("access_key_id IS NOT NULL")
        assert row["access_key_id"] == json.loads(body)["AccessKeyId"]
        assert json.loads(row["body"])["delivery_version"] == "1.0"
        assert instance.credentials()["AccessKeyId"] != row["access_key_id"]
        assert instance.get("/latest/meta-data/", "garbage")[0] == 401


@pytest.mark.parametrize("scope", ["instance", "process"])
def test_token_scope(scope):
    with Instance(settings={"imdsv2": {"token_scope": scope, "put_response_hop_limit": 2}}) as instance:
        token = instance.token()
        expected = 200 if scope == "instance" else 401
        assert instance.get("/latest/meta-data/", token)[0] == expected  # another curl
        assert instance.get("/latest/meta-data/", token, ns="ctr1")[0] == expected


def test_tokens_survive_a_restart():
    with Instance() as instance:
        token = instance.token()
        assert instance.stop() == 0
        instance.start()
        assert instance.get("/latest/meta-data/", token)[0] == 200


def test_token_ends_with_its_time():
    with Instance() as instance:
        token = instance.token(ttl=1)
        time.sleep(2.1)
        assert instance.get("/latest/meta-data/", token)[0] == 401
        assert instance.row("outcome='refused'")["reason"] == "token-expired"


def test_upstream_silent_is_a_quick_503():
    with Instance(settings={"upstream": {"timeout_ms": 1500}}) as instance:
        token = instance.token()
        instance.imds.set("stall-get-ms", 60000)
        started = time.monotonic()
        status, headers, body = instance.get("/latest/meta-data/", token)
        assert (status, headers["content-length"], body) == (503, "0", "")
        assert time.monotonic() - started < QUICK_S


def test_imds_disabled_is_passed_on():
    with Instance(disabled=True) as instance:
        got, _, body = parse(instance.curl("-X", "PUT", "-H", f"{TTL_HEADER}: 60", path="/latest/api/token"))
        assert (got, body) == (403, "")


def test_upstream_token_that_ended_is_renewed_once():
    with Instance() as instance:
        token = instance.token()
        assert instance.get("/latest/meta-data/", token)[0] == 200
        instance.imds.expire_tokens()
        assert instance.get("/latest/meta-data/", token)[0] == 200


def test_user_data_with_nul_bytes_is_exact():
    data = bytes(range(256)) * 40
    with Instance() as instance:
        source = instance.folder / "user-data"
        source.write_bytes(data)
        instance.imds.stop()
        instance.imds.options["user-data"] = str(source)
        instance.imds.start()
        token = instance.token()
        target = instance.folder / "got"
        instance.world.run("host", ["curl", "-s", "-o", str(target), "-H", f"{TOKEN_HEADER}: {token}",
                                    f"http://{IMDS_V4}/latest/user-data"])
        assert target.read_bytes() == data


def test_key_where_none_is_expected_is_recorded_before_it_leaves():
    """Of user data the witness is not asked who wants it, until it is seen what they hold."""
    document = {"Code": "Success", "AccessKeyId": "ASIAEXAMPLEELSEWHERE", "SecretAccessKey": "x" * 40, "Token": "y" * 100}
    with Instance() as instance:
        source = instance.folder / "user-data"
        source.write_text(json.dumps(document))
        instance.imds.stop()
        instance.imds.options["user-data"] = str(source)
        instance.imds.start()
        status, *_, body = instance.get("/latest/user-data", instance.token(), user="nobody")
        assert (status, json.loads(body)) == (200, document)
        row = instance.row()
        assert (row["access_key_id"], row["path"], row["outcome"]) == (document["AccessKeyId"], "/latest/user-data", "delivered")
        assert (row["grade"], row["user"]) == ("exact", "nobody") and row["exe"].endswith("/curl")


def test_whom_nothing_depends_on_the_witness_is_not_asked():
    """While it stands still tokens are given out. (On a busy machine a request may come too late for that, after more than
    two milliseconds: then it is asked, and the client is lost.)"""
    with Instance() as instance:
        instance.token()
        witness = instance.witness_pid()
        os.kill(witness, signal.SIGSTOP)
        try:
            given = [instance.curl("-m", "2", "-X", "PUT", "-H", f"{TTL_HEADER}: 60",
                                   path="/latest/api/token").stdout for _ in range(5)]
        finally:
            os.kill(witness, signal.SIGCONT)
        assert any(" 200 " in one.partition("\r\n")[0] for one in given), given
        assert instance.get("/latest/meta-data/", instance.token())[0] == 200


def test_daemon_and_witness_end_together():
    with Instance() as instance:
        witness = instance.witness_pid()
        os.kill(witness, 9)
        assert instance.daemon.wait(timeout=60) == 1
        instance.start()
        witness = instance.witness_pid()
        os.kill(instance.pid(), 9)
        instance.daemon.wait(timeout=60)
        eventually(lambda: not pathlib.Path(f"/proc/{witness}").exists())
        instance.start()
        assert instance.get("/latest/meta-data/", instance.token())[0] == 200


def test_proxy_runs_without_privileges():
    with Instance() as instance:
        status = pathlib.Path(f"/proc/{instance.pid()}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert set(fields["Uid"].split()) != {"0"} and "0" not in fields["Uid"].split()
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0 and fields["NoNewPrivs"] == "1"
        witness = pathlib.Path(f"/proc/{instance.witness_pid()}/status").read_text()
        effective = int(next(line for line in witness.splitlines() if line.startswith("CapEff")).split()[1], 16)
        assert effective == 1 << 12 | 1 << 19 | 1 << 2 | 1 << 21  # NET_ADMIN, SYS_PTRACE, DAC_READ_SEARCH, SYS_ADMIN


def test_slow_sender_holds_up_nobody():
    with Instance() as instance:
        slow = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", (
            "import socket,time\n"
            f"c=socket.create_connection(('{IMDS_V4}',80))\n"
            "for b in b'GET / HTTP/1.1': c.send(bytes([b])); time.sleep(0.5)\n")])
        time.sleep(0.3)
        started = time.monotonic()
        assert instance.get("/latest/meta-data/", instance.token())[0] == 200
        assert time.monotonic() - started < 4  # it would be let go after five
        slow.kill()
        slow.wait()


def test_unreadable_settings_are_named():
    with Instance() as instance:
        for line, expected in (("[listen]\nport = 0\n", ":2: [listen] port = 0: expected a whole number"),
                               ("[listen]\nport = 1\nport = 2\n", ":3: [listen] port: given twice"),
                               ("[nonsense]\n", ":1: [nonsense]: unknown section"),
                               ("[daemon]\non_dead = maybe\n", ":2: [daemon] on_dead = maybe: expected")):
            bad = instance.folder / "bad.conf"
            bad.write_text(line)
            done = instance.world.run("host", [str(pathlib.Path(os.readlink(f"/proc/{instance.pid()}/exe"))), "-c",
                                               str(bad), "--check-config"])
            assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1, done.stderr
