# SPDX-License-Identifier: Apache-2.0
"""keytrail verify: credentials that were really handed out, in the forms in which they leak."""

import json
import subprocess

import pytest

from instance import Instance, needs_world
from imds import binary

pytestmark = needs_world


@pytest.fixture(scope="module")
def leak():
    """An instance whose role credentials two processes have received, and the document."""
    with Instance() as instance:
        document = instance.credentials()
        instance.credentials(user="nobody")
        instance.rows()
        yield instance, document


def verify(ledger, text, *words):
    return subprocess.run([str(binary("keytrail")), "verify", "--ledger", str(ledger), "-o", "json", *words], input=text,
                          capture_output=True, text=True, timeout=30)


def forms(document):
    key, secret, token = document["AccessKeyId"], document["SecretAccessKey"], document["Token"]
    other = "A" * len(secret)
    return {
        "imds": (json.dumps(document), "all"),
        "cli": (json.dumps({"Credentials": {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token}}), "all"),
        "ini": (f"[x]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\naws_session_token = {token}\n", "all"),
        "exports": (f"export AWS_ACCESS_KEY_ID={key}\nexport AWS_SECRET_ACCESS_KEY={secret}\n", "secret"),
        "lone secret": (secret, "secret"),
        "lone token": (token, "token"),
        "lone key id": (key, "key-id"),
        "secret and token under no key id": (f"SecretAccessKey: {secret}\nSessionToken: {token}\n", "secret+token"),
        "another secret": (f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={other}\n", "key-id"),
    }


@pytest.mark.parametrize("form", ["imds", "cli", "ini", "exports", "lone secret", "lone token", "lone key id",
                                  "secret and token under no key id", "another secret"])
def test_a_leaked_credential_leads_to_who_had_it(leak, form):
    instance, document = leak
    text, how = forms(document)[form]
    done = verify(instance.ledger, text)
    assert done.returncode == 3, done.stderr
    for secret in (document["SecretAccessKey"], document["Token"]):
        assert secret not in done.stdout + done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 2 and {row["match"] for row in rows} == {how}
    assert {row["process"]["user"] for row in rows} == {"root", "nobody"}
    assert {row["access_key_id"] for row in rows} == {document["AccessKeyId"]}


@pytest.mark.parametrize("text", ["AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                  '{"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"x","Token":"y"}'])
def test_what_was_never_handed_out_matches_nothing(leak, text):
    done = verify(leak[0].ledger, text)
    assert done.returncode == 0 and json.loads(done.stdout) == []


def test_what_is_no_credential_is_an_error(leak):
    done = verify(leak[0].ledger, "hello there\n")
    assert done.returncode == 1 and "no credential" in done.stderr


def test_without_the_host_key_only_key_ids_are_compared(leak, tmp_path):
    instance, document = leak
    copy = tmp_path / "copy.db"
    subprocess.run(["sqlite3", str(instance.ledger), f"VACUUM INTO '{copy}'"], check=True)
    done = verify(copy, json.dumps(document))
    assert done.returncode == 3 and "host.key" in done.stderr
    assert {row["match"] for row in json.loads(done.stdout)} == {"key-id"}
    done = verify(copy, json.dumps(document), "--host-key", str(instance.state / "host.key"))
    assert {row["match"] for row in json.loads(done.stdout)} == {"all"}
    assert verify(copy, "x", "--host-key", str(tmp_path / "none")).returncode == 1
