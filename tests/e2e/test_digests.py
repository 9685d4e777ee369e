# SPDX-License-Identifier: Apache-2.0
"""keytrail detect --verify-digests: logs and digests as CloudTrail lays them out, signed with keys of the test's own by
the form that CloudTrail documents; then each thing that may be wrong with them."""

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import time

import pytest

from aws import Aws
from test_bucket import LINES
from test_detect import ACCOUNT, KEYTRAIL, MAKE_LEDGER, delivery

pytestmark = [pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built"),
              pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")]

BUCKET, REGION, HOURS = "trail-logs", "us-east-1", 6
START = 1600041600  # 2020-09-14T00:00:00Z
ENVIRONMENT = dict(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/nonexistent", AWS_EC2_METADATA_DISABLED="true")


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True).stdout


class Key:
    def __init__(self, folder, name):
        self.path = folder / name
        openssl("genrsa", "-out", self.path, "2048")
        der = openssl("rsa", "-in", self.path, "-RSAPublicKey_out", "-outform", "DER")
        self.fingerprint = hashlib.md5(der).hexdigest()
        self.entry = dict(Value=base64.b64encode(der).decode(), Fingerprint=self.fingerprint,
                          ValidityStartTime=START - 86400, ValidityEndTime=START + 86400)

    def sign(self, text):
        return openssl("dgst", "-sha256", "-sign", self.path, stdin=text.encode()).hex()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return Key(folder, "trail"), Key(folder, "other")


def stamp(form, seconds):
    return time.strftime(form, time.gmtime(seconds))


def log_name(hour, number):
    at = START + hour * 3600 + 600 + number * 60
    return stamp(f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/%Y/%m/%d/{ACCOUNT}_CloudTrail_{REGION}_%Y%m%dT%H%MZ_", at) + \
        f"{number:016d}.json.gz"


def digest_name(hour):
    end = START + hour * 3600
    return stamp(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/%Y/%m/%d/{ACCOUNT}_CloudTrail-Digest_{REGION}_trail_"
                 f"{REGION}_%Y%m%dT%H%M%SZ.json.gz", end)


class Trail:
    """The objects of HOURS hours, the second of them without any event, and their metadata."""

    def __init__(self, key):
        self.objects, self.signatures, self.key = {}, {}, key
        before = {}
        for hour in range(1, HOURS + 1):
            before = self.add_hour(hour, before)

    def add_hour(self, hour, before):
        files = []
        for number, line in enumerate(LINES[hour - 1::HOURS] if hour != 2 else []):
            self.objects[log_name(hour - 1, number)] = gzip.compress(line)
            files.append(dict(s3Bucket=BUCKET, s3Object=log_name(hour - 1, number), hashAlgorithm="SHA-256",
                              hashValue=hashlib.sha256(line).hexdigest()))
        name = digest_name(hour)
        document = dict(awsAccountId=ACCOUNT, digestStartTime=stamp("%Y-%m-%dT%H:%M:%SZ", START + (hour - 1) * 3600),
                        digestEndTime=stamp("%Y-%m-%dT%H:%M:%SZ", START + hour * 3600), digestS3Bucket=BUCKET,
                        digestS3Object=name, digestPublicKeyFingerprint=self.key.fingerprint,
                        digestSignatureAlgorithm="SHA256withRSA", previousDigestS3Bucket=BUCKET if before else None,
                        previousDigestS3Object=before.get("name"), previousDigestHashValue=before.get("hash"),
                        previousDigestHashAlgorithm="SHA-256" if before else None,
                        previousDigestSignature=before.get("signature"), logFiles=files)
        return self.put(name, document)

    def put(self, name, document):
        text = json.dumps(document).encode()
        digest = hashlib.sha256(text).hexdigest()
        signature = self.key.sign("\n".join([document["digestEndTime"], f"{BUCKET}/{name}", digest,
                                             document["previousDigestSignature"] or "null"]))
        self.objects[name], self.signatures[name] = gzip.compress(text), signature
        return dict(name=name, hash=digest, signature=signature)

    def write(self, folder):
        for name, data in self.objects.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        # Of the last one nobody else repeats the signature.
        (folder / (digest_name(HOURS) + ".sig")).write_text(self.signatures[digest_name(HOURS)] + "\n")
        return folder


@pytest.fixture
def trail(keys):
    return Trail(keys[0])


@pytest.fixture
def known(keys, tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([dict(PublicKeyList=[keys[1].entry]), dict(PublicKeyList=[keys[0].entry])]))
    return path


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    subprocess.run([MAKE_LEDGER, path], input=json.dumps(delivery("2020-09-14T00:50:00Z")), text=True, check=True)
    return path


def detect(ledger, *arguments, environment=ENVIRONMENT):
    result = subprocess.run([KEYTRAIL, "detect", "--ledger", ledger, "--findings", "none", "-o", "jsonl",
                             "--verify-digests", *map(str, arguments)], env=environment, capture_output=True, timeout=100)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()


def test_refusals(ledger, known, tmp_path, trail):
    folder = trail.write(tmp_path / "logs")
    (tmp_path / "none.json").write_text("{}")
    (tmp_path / "bad.json").write_text(json.dumps(dict(PublicKeyList=[dict(Value="AAAA", Fingerprint="f")])))
    for arguments, code, words in [
            ([folder], 2, "no public keys"), (["--public-keys", tmp_path / "nowhere", folder], 1, "nowhere"),
            (["--public-keys", tmp_path / "none.json", folder], 1, "expected a PublicKeyList"),
            (["--public-keys", tmp_path / "bad.json", folder], 1, "expected an RSA public key"),
            (["--public-keys", known, "-"], 2, "standard input has no digests")]:
        status, findings, said = detect(ledger, *arguments)
        assert (status, findings) == (code, []) and words in said, said


def test_complete(ledger, known, tmp_path, trail):
    folder = trail.write(tmp_path / "logs")
    status, [finding], said = detect(ledger, "--public-keys", known, folder)
    assert status == 3 and finding["count"] == sum(i % HOURS != 1 for i in range(11)), said
    logs = sum("/CloudTrail/" in name for name in trail.objects)
    assert f"{HOURS} digests hold" in said and f"{logs} log files as they were delivered" in said
    assert "complete from 2020-09-14T00:00:00.000000Z to 2020-09-14T06:00:00.000000Z" in said
    # A part of the layout will do, and times are held against what was asked for.
    for options, words in [(["--since", "2020-09-14T00:00:00Z", "--until", "2020-09-14T06:00:00Z"], "; complete"),
                           (["--since", "2020-09-13T00:00:00Z"], "INCOMPLETE"),
                           (["--until", "2020-09-14T07:00:00Z"], "INCOMPLETE")]:
        assert words in detect(ledger, "--public-keys", known, *options, folder)[2], options


def drop(name):
    return lambda trail, folder, keys: os.unlink(folder / name)


def write(name, data):
    return lambda trail, folder, keys: (folder / name).write_bytes(data)


def edit(hour, change):
    """A digest that somebody has written anew, without CloudTrail's key."""
    def apply(trail, folder, keys):
        path = folder / digest_name(hour)
        document = json.loads(gzip.decompress(path.read_bytes()))
        change(document)
        path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return apply


def forge(trail, folder, keys):
    """All of it made anew, with a key of the forger's."""
    shutil.rmtree(folder)
    Trail(Key(folder.parent, "forger")).write(folder)


def move(trail, folder, keys):
    os.rename(folder / digest_name(3), folder / digest_name(3).replace("T0300", "T0330"))


@pytest.mark.parametrize("change, words", [
    (write(log_name(3, 1), gzip.compress(b'{"Records":[]}')), [log_name(3, 1), "changed since CloudTrail delivered it"]),
    (write(log_name(3, 1), gzip.compress(LINES[0])[:40]), ["gzip data"]),
    (drop(log_name(3, 1)), ["delivered by CloudTrail, and not there"]),
    (write(log_name(3, 99), gzip.compress(LINES[0])), ["no digest names it"]),
    (drop(digest_name(2)), ["no digest speaks of the time from 2020-09-14T01:00:00.000000Z to 2020-09-14T02:00:00"]),
    (drop(digest_name(HOURS) + ".sig"), ["its signature is not known"]),
    (write(digest_name(HOURS) + ".sig", b"00" * 256), ["its signature does not hold"]),
    (write(digest_name(HOURS) + ".sig", b"no signature"), ["its signature does not hold"]),
    (write(digest_name(3), b"{}"), ["no digest of CloudTrail's"]),
    (write(digest_name(3), b"hello"), ["expected near 'hello'", digest_name(3)]),
    (edit(4, lambda document: document["logFiles"].pop()), ["changed since the next digest was made", "no digest names it"]),
    (edit(HOURS, lambda document: document["logFiles"].pop()), ["its signature does not hold"]),
    (edit(4, lambda document: document.update(digestSignatureAlgorithm="none")), ["expected SHA256withRSA"]),
    (edit(4, lambda document: document.update(previousDigestS3Object="x")), ["does not follow the digest before it"]),
    (forge, ["not among CloudTrail's public keys"]),
    (move, ["is the digest of another time or place"]),
])
def test_what_may_be_wrong(ledger, known, tmp_path, trail, keys, change, words):
    folder = trail.write(tmp_path / "logs")
    change(trail, folder, keys)
    status, _, said = detect(ledger, "--public-keys", known, folder)
    assert "INCOMPLETE" in said and all(word in said for word in words), said
    # Nothing found is not "nothing happened".
    other = tmp_path / "other.db"
    subprocess.run([MAKE_LEDGER, other], input=json.dumps(delivery("2020-09-14T00:50:00Z") | dict(
        access_key_id="ASIAQAAAAAAAGMKEM7X5", body=dict(access_key_id="ASIAQAAAAAAAGMKEM7X5"))), text=True, check=True)
    assert detect(other, "--public-keys", known, folder)[:2] == (4, [])


def test_newer_than_the_last_digest(ledger, known, tmp_path, trail):
    folder = trail.write(tmp_path / "logs")
    name = log_name(HOURS, 1)
    (folder / name).write_bytes(gzip.compress(LINES[0]))
    status, _, said = detect(ledger, "--public-keys", known, folder)
    assert "1 newer than the last digest" in said and "; complete" in said


def test_no_digests(ledger, known, tmp_path, trail):
    folder = trail.write(tmp_path / "logs")
    shutil.rmtree(folder / f"AWSLogs/{ACCOUNT}/CloudTrail-Digest")
    assert "INCOMPLETE" in detect(ledger, "--public-keys", known, folder)[2]


def test_in_a_bucket(ledger, trail, keys):
    """With the signatures in the objects' metadata, and CloudTrail asked for its keys."""
    with Aws() as aws:
        aws.buckets[BUCKET] = dict(trail.objects)
        aws.metadata = {(BUCKET, name): {"x-amz-meta-signature": signature, "x-amz-meta-signature-algorithm": "SHA256withRSA"}
                        for name, signature in trail.signatures.items()}
        aws.public_keys = {REGION: [keys[0].entry]}
        status, _, said = detect(ledger, f"s3://{BUCKET}/AWSLogs", environment=aws.environment())
        assert status == 3 and "; complete" in said, said
        assert aws.asked("ListPublicKeys") == 1
        aws.metadata[(BUCKET, digest_name(3))] = {"x-amz-meta-signature": keys[1].sign("another text")}
        assert "its signature does not hold" in detect(ledger, f"s3://{BUCKET}/AWSLogs", environment=aws.environment())[2]
        aws.public_keys = {REGION: [keys[1].entry]}
        status, _, said = detect(ledger, f"s3://{BUCKET}/AWSLogs", environment=aws.environment())
        assert "not among CloudTrail's public keys" in said and "INCOMPLETE" in said
