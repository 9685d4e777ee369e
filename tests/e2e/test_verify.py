# SPDX-License-Identifier: Apache-2.0
"""keytrail verify: credentials that were really handed out, in the forms in which they leak."""

import json
import pathlib
import shutil
import subprocess
import tempfile

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


# ---- keys of fingerprints that change, or are a fleet's

def rotate(instance):
    return subprocess.run([str(binary("keytraild")), "-c", str(instance.config), "--rotate-host-key"], capture_output=True,
                          text=True, timeout=60)


def how(done):
    return {row["match"] for row in json.loads(done.stdout)}


def test_old_fingerprints_still_match_when_the_key_was_changed(tmp_path):
    with Instance() as instance:
        documents = [instance.credentials()]
        assert (done := rotate(instance)).returncode == 0, done.stderr
        instance.imds.rotate()
        documents.append(instance.credentials())  # still under the first key
        assert instance.reload({})["refused"] is False
        again = instance.credentials()  # the same access key under both
        instance.imds.rotate()
        documents.append(instance.credentials())
        assert again == documents[1]
        keys = [row["body"] for row in instance.rows("access_key_id IS NOT NULL")]
        names = [json.loads(body)["fingerprint"]["key"] for body in keys]
        assert len(names) == 4 and len(set(names)) == 2 and names[0] == names[1] != names[2] == names[3]
        for document in documents:
            done = verify(instance.ledger, document["SecretAccessKey"])
            assert (done.returncode, how(done)) == (3, {"secret"}), done.stderr
        assert {path.name[:14] for path in instance.state.glob("host.key*")} == {"host.key", "host.key.kept-"}
        assert all(path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == instance.state.stat().st_uid
                   for path in instance.state.glob("host.key*"))

        # With one of the keys alone, what could not be compared is said, and an empty answer is no answer.
        now = str(instance.state / "host.key")
        assert verify(instance.ledger, documents[2]["Token"], "--host-key", now).returncode == 3
        assert verify(instance.ledger, documents[1]["Token"], "--host-key", now).returncode == 3  # by its newest row
        done = verify(instance.ledger, documents[0]["Token"], "--host-key", now)
        assert done.returncode == 4 and json.loads(done.stdout) == [] and "1 key(s) of this ledger" in done.stderr
        # A folder of keys, from wherever.
        for number, path in enumerate(instance.state.glob("host.key*")):
            (tmp_path / f"web-{number}").write_bytes(path.read_bytes())
        assert verify(instance.ledger, documents[0]["Token"], "--host-key", str(tmp_path)).returncode == 3


@pytest.fixture
def folder_for_all():
    """One that every user may enter, unlike tmp_path."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_one_key_for_a_fleet(folder_for_all):
    """Two machines with the operator's key: whoever has it can compare with both ledgers, and host.key is not needed."""
    fleet = folder_for_all / "fleet.key"
    fleet.write_bytes(bytes(range(32)))
    fleet.chmod(0o644)
    found = []
    for _ in range(2):
        with Instance({"ledger": {"fleet_key": str(fleet)}}) as instance:
            document = instance.credentials()
            instance.rows()
            copy = folder_for_all / f"copy-{len(found)}.db"
            subprocess.run(["sqlite3", str(instance.ledger), f"VACUUM INTO '{copy}'"], check=True)
            assert not (instance.state / "host.key").exists()
            assert verify(instance.ledger, document["Token"], "-c", str(instance.config)).returncode == 3
            found.append((document, copy))
    for document, copy in found:
        done = verify(copy, json.dumps(document), "--host-key", str(fleet))
        assert (done.returncode, how(done)) == (3, {"all"})
        assert verify(copy, document["Token"]).returncode == 4  # no key, no comparison


def test_a_fleets_key_must_be_there():
    with Instance() as instance:
        answer = instance.reload({"ledger": {"fleet_key": "/nonexistent/fleet.key"}})
        assert answer["refused"] is True and "[ledger] fleet_key: /nonexistent/fleet.key" in answer["reason"]
        instance.stop()
        instance.start(wait=False)
        assert instance.daemon.wait(60) == 1
        assert "fleet_key" in instance.log.read_text()
        instance.daemon = None
