# SPDX-License-Identifier: Apache-2.0
"""keytrail watch: on a folder, a bucket and a queue, also when it is killed at any moment."""

import gzip
import json
import os
import random
import signal
import subprocess
import time

import pytest

from aws import Aws, Refusal
from test_bucket import DAY, LINES, name_of, split
from test_detect import ACCOUNT, KEY, KEYTRAIL, MAKE_LEDGER, OTRF, delivery

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")

ENVIRONMENT = dict(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/nonexistent", AWS_EC2_METADATA_DISABLED="true")


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    subprocess.run([MAKE_LEDGER, path], input=json.dumps(delivery("2020-09-14T00:50:00Z")), text=True, check=True)
    return path


@pytest.fixture
def aws():
    with Aws() as aws:
        yield aws


def command(ledger, *arguments):
    return [KEYTRAIL, "watch", "--ledger", ledger, "-o", "jsonl", *map(str, arguments)]


def watch(ledger, *arguments, environment=ENVIRONMENT):
    result = subprocess.run(command(ledger, *arguments), env=environment, capture_output=True, timeout=100)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()


def stored(ledger):
    result = subprocess.run([KEYTRAIL, "findings", "--ledger", ledger, "-o", "jsonl"], env=ENVIRONMENT, check=True,
                            capture_output=True)
    return sorted(result.stdout.splitlines())


@pytest.fixture
def wanted(ledger, tmp_path):
    """What one run over all of it finds, as it is stored."""
    def find(*sources):
        findings = tmp_path / "wanted.db"
        subprocess.run([KEYTRAIL, "detect", "--ledger", ledger, "--findings", findings, *map(str, sources)],
                       env=ENVIRONMENT, capture_output=True, check=False)
        result = subprocess.run([KEYTRAIL, "findings", "--ledger", ledger, "--findings", findings, "-o", "jsonl"],
                                env=ENVIRONMENT, check=True, capture_output=True)
        return sorted(result.stdout.splitlines())
    return find


def wait_until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


class Watcher:
    """Runs until the block ends; `lines` are what it has said so far."""

    def __init__(self, ledger, *arguments, environment=ENVIRONMENT, output):
        self.output, self.log = output, output.with_suffix(".log")
        with open(output, "ab") as out, open(self.log, "ab") as log:
            self.process = subprocess.Popen(command(ledger, *arguments), env=environment, stdout=out, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def lines(self):
        return [json.loads(line) for line in self.output.read_bytes().splitlines()]


def test_refusals(ledger, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    for arguments, code, words in [
            (["-"], 2, "standard input cannot be watched"), ([tmp_path / "nowhere"], 1, "nowhere"),
            (["--findings", "none", folder], 2, "findings must be kept in a file"),
            (["--interval", "0s", folder], 2, "no time at all"), (["--rules", folder], 2, "--rules: no option of"),
            (["sqs://queue"], 2, "expected sqs://REGION/ACCOUNT/NAME")]:
        status, findings, said = watch(ledger, "--once", *arguments)
        assert (status, findings) == (code, []) and words in said, said
    status, _, said = watch("none", folder)
    assert status == 2 and "findings must be kept in a file" in said


def test_once(ledger, tmp_path, wanted):
    folder = tmp_path / "logs"
    folder.mkdir()
    for i, line in enumerate(LINES):
        (folder / f"{i}.json").write_bytes(line)
    status, findings, said = watch(ledger, "--once", folder)
    assert status == 3 and len(findings) == 1 and findings[0]["count"] == 11 and said == ""
    assert stored(ledger) == wanted(folder)
    # Nothing new; then a finding that grows is said again.
    assert watch(ledger, "--once", folder) == (0, [], "")
    (folder / "more.json").write_bytes(LINES[0].replace(b'"eventID":"', b'"eventID":"again-', 1))
    status, findings, _ = watch(ledger, "--once", folder)
    assert status == 3 and findings[0]["count"] == 12
    assert watch(ledger, "--once", "--fail-on", "NONE", folder)[0] == 0


@pytest.mark.parametrize("form", ["json", "csv", "asff", "ocsf", "guardduty", "timesketch"])
def test_forms(ledger, tmp_path, form):
    """What `detect` says of the same files, in each of its forms."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "all.json").write_bytes(OTRF.read_bytes())
    said = [subprocess.run([KEYTRAIL, *words, "--ledger", ledger, "--findings", tmp_path / f"found-{words[0]}.db", "-o", form,
                            folder], env=ENVIRONMENT, capture_output=True, timeout=100)
            for words in (["detect"], ["watch", "--once"])]
    assert [one.returncode for one in said] == [3, 3], said
    assert said[0].stdout and said[0].stdout == said[1].stdout


def test_only_one(ledger, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "one.json").write_bytes(LINES[0])
    with Watcher(ledger, folder, output=tmp_path / "out") as watcher:
        wait_until(lambda: watcher.lines)  # it speaks when it has the checkpoint
        status, _, said = watch(ledger, "--once", folder)
        assert status == 2 and "another watcher has it" in said
        assert watch(ledger, "--once", "--checkpoint", tmp_path / "other.db", folder)[0] in (0, 3)  # whichever is first to find


def test_as_files_come(ledger, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    with Watcher(ledger, "--interval", "1s", folder, output=tmp_path / "out") as watcher:
        for number in range(3):
            (folder / f"{number}.json").write_bytes(LINES[number])
            wait_until(lambda: [line["count"] for line in watcher.lines] == list(range(1, number + 2)))
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(60) == 0
        assert watcher.log.read_text() == ""


def test_a_file_that_is_being_written(ledger, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    packed = gzip.compress(OTRF.read_bytes())
    with Watcher(ledger, "--interval", "1s", folder, output=tmp_path / "out") as watcher:
        (folder / "cut.json.gz").write_bytes(packed[:500])
        (folder / "grows.json.gz").write_bytes(packed[:900])
        wait_until(lambda: "cut.json.gz" in watcher.log.read_text())
        (folder / "grows.json.gz").write_bytes(packed)
        wait_until(lambda: watcher.lines and watcher.lines[-1]["count"] == 11)
        (folder / "cut.json.gz").write_bytes(gzip.compress(LINES[0].replace(b'"eventID":"', b'"eventID":"again-', 1)))
        wait_until(lambda: watcher.lines[-1]["count"] == 12)
        assert watcher.log.read_text().count("cut.json.gz") == 1


@pytest.mark.parametrize("before, after", [
    (b"", b""), (b'{"a":1}\n', b'{"a":1}\n'), (b'{"a":1}\n{"access_key_id":"ASIA', b'{"a":1}\n'),
    (b'{"access_key_id":"ASIA', b""), (b'{"a":1}\n{"acc', b'{"a":1}\n'), (b"notes of mine", b"notes of mine"),
    (b'{"access_key_id":"ASIA"}\nmine', b'{"access_key_id":"ASIA"}\nmine'),
])
def test_a_line_that_was_cut(ledger, tmp_path, before, after):
    folder, output = tmp_path / "logs", tmp_path / "out"
    folder.mkdir()
    (folder / "a.json").write_bytes(LINES[0])
    output.write_bytes(before)
    with open(output, "ab") as out:
        assert subprocess.run(command(ledger, "--once", folder), env=ENVIRONMENT, stdout=out, timeout=100).returncode == 3
    said = output.read_bytes()
    assert said.startswith(after) and json.loads(said[len(after):])["count"] == 1


def test_a_line_that_was_not_noted(ledger, tmp_path):
    """Said, and killed before it was noted: as if the checkpoint were an older one."""
    folder, output = tmp_path / "logs", tmp_path / "out"
    folder.mkdir()
    (folder / "a.json").write_bytes(LINES[0])
    for _ in range(2):
        with open(output, "ab") as out:
            assert subprocess.run(command(ledger, "--once", folder), env=ENVIRONMENT, stdout=out, timeout=100).returncode == 3
        for path in tmp_path.glob("watch.db*"):
            path.unlink()
    assert len(output.read_bytes().splitlines()) == 1


def arrive(path, data):
    """As CloudTrail's files do: whole."""
    temporary = path.with_name("." + path.name + ".part")
    temporary.write_bytes(data)
    os.rename(temporary, path)


def killed_every_second(ledger, tmp_path, seconds, wanted):
    folder, output = tmp_path / "logs", tmp_path / "out"
    folder.mkdir()
    random.seed(seconds)
    records = LINES + [LINES[i].replace(b'"eventID":"', b'"eventID":"%d-' % n, 1) for n in range(30) for i in range(11)]
    random.shuffle(records)
    files, kills = [records[i:i + 4] for i in range(0, len(records), 4)], 0
    start, written = time.monotonic(), 0
    while time.monotonic() < start + seconds:
        with Watcher(ledger, "--interval", "1s", folder, output=output):
            end = time.monotonic() + random.uniform(0.1, 1.0)
            while time.monotonic() < end:
                if written < len(files):
                    data = b"".join(files[written])
                    arrive(folder / f"{random.random()}.json.gz", gzip.compress(data))
                    written += 1
                time.sleep(random.uniform(0.005, 0.03))
        kills += 1
    for data in files[written:]:
        arrive(folder / f"{random.random()}.json.gz", gzip.compress(b"".join(data)))
    with open(output, "ab") as out:
        last = subprocess.run(command(ledger, "--once", folder), env=ENVIRONMENT, stdout=out, stderr=subprocess.PIPE, timeout=100)
    assert last.returncode in (0, 3) and last.stderr == b"", last.stderr
    said_lines = output.read_bytes().splitlines()
    assert stored(ledger) == wanted(folder)
    assert kills > seconds
    # Nothing was said twice, and the last word on each finding is what is stored.
    lines = [json.loads(line) for line in said_lines]
    counts = [line["count"] for line in lines]
    assert counts == sorted(set(counts)), counts
    assert counts[-1] == json.loads(stored(ledger)[0])["count"] == 11 + 330
    return kills, len(lines)


def test_killed_every_second(ledger, tmp_path, wanted):
    killed_every_second(ledger, tmp_path, 8, wanted)


@pytest.mark.long
def test_killed_every_second_for_long(ledger, tmp_path, wanted):
    killed_every_second(ledger, tmp_path, 120, wanted)


def test_bucket(ledger, aws, tmp_path, wanted):
    aws.buckets["trail"] = split(60)
    aws.fail(name_of(7), *[Refusal(403, "AccessDenied")] * 2)
    aws.page = 7
    environment = aws.environment(AWS_MAX_ATTEMPTS="2")
    with Watcher(ledger, "--interval", "1s", "s3://trail/AWSLogs", environment=environment,
                 output=tmp_path / "out") as watcher:
        # The second time it cannot be had is told, the third time it can be.
        wait_until(lambda: watcher.lines and watcher.lines[-1]["count"] == 11)
        assert watcher.log.read_text().count("AccessDenied") == 1
        aws.fail("list-type", Refusal(500, "InternalError"), "close", Refusal(500, "InternalError"))
        name = f"{DAY}{ACCOUNT}_CloudTrail_us-east-1_20200914T0205Z_late.json"
        with aws.lock:
            aws.buckets["trail"][name] = LINES[0].replace(b'"eventID":"', b'"eventID":"again-', 1)
        time.sleep(2)
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(60) == 0
    # A day of 2020 is not looked at again before an hour is over; a new watcher looks at everything.
    status, [finding], _ = watch(ledger, "--once", "s3://trail/AWSLogs", environment=aws.environment())
    assert (status, finding["count"]) == (3, 12)
    assert aws.asked("/" + name_of(8)) == 2  # as it came, and once more together with the others


def notification(bucket, *keys, event="ObjectCreated:Put"):
    from urllib.parse import quote_plus
    return dict(Records=[dict(eventSource="aws:s3", eventName=event, s3=dict(
        bucket=dict(name=bucket), object=dict(key=quote_plus(key, safe="/"), eTag=str(i)))) for i, key in enumerate(keys)])


def test_queue(ledger, aws, tmp_path):
    objects = split(11)
    names = list(objects)
    objects["AWSLogs/odd + name=.json"] = LINES[0].replace(b'"eventID":"', b'"eventID":"again-', 1)
    aws.buckets["trail"] = objects
    aws.send(dict(Service="Amazon S3", Event="s3:TestEvent", Bucket="trail"))
    aws.send(notification("trail", *names[:3]))
    aws.send(dict(Type="Notification", Message=json.dumps(notification("trail", *names[3:6]))))
    aws.send(dict(Type="Notification", Message=json.dumps(dict(s3Bucket="trail", s3ObjectKey=names[6:8]))))
    aws.send({"detail-type": "Object Created", "detail": dict(bucket=dict(name="trail"), object=dict(key=names[8]))})
    aws.send(notification("trail", names[9], names[10], "AWSLogs/odd + name=.json"))
    aws.send(notification("trail", names[9]))  # twice
    aws.send(notification("trail", names[9], event="ObjectRemoved:Delete"))
    aws.send(notification("trail", f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/us-east-1/2020/09/14/d.json.gz"))
    aws.send("hello")
    aws.fail("/trail/" + names[4], *[Refusal(403, "AccessDenied")] * 2)
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/new-objects"
    with Watcher(ledger, "--interval", "1s", url, environment=aws.environment(), output=tmp_path / "out") as watcher:
        wait_until(lambda: watcher.lines and watcher.lines[-1]["count"] == 12)
        wait_until(lambda: list(aws.queue.values()) == ["hello"])
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(60) == 0
    assert "no notification of an object: left in the queue" in watcher.log.read_text()
    assert aws.queue_urls == {url}
    status, findings, said = watch(ledger, "--once", "sqs://us-east-1/123456789012/new-objects",
                                   environment=aws.environment())
    assert (status, findings) == (0, [])


CHILD = "ASIA5FLZVX4OCHILDAAA"


def derived():
    """The stolen key makes another, and that one is used."""
    record = json.loads(LINES[0])
    made = record | dict(eventID="made", eventSource="sts.amazonaws.com", eventName="AssumeRole", requestParameters={
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/other", "roleSessionName": "s"}, responseElements={
        "credentials": dict(accessKeyId=CHILD, expiration="Sep 14, 2020, 7:10:27 AM"), "assumedRoleUser": dict(
            assumedRoleId="AROAAAAAAAAAAAAAAAAAA:s", arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/other/s")})
    used = record | dict(eventID="used", userIdentity=dict(
        type="AssumedRole", accessKeyId=CHILD, accountId=ACCOUNT, principalId="AROAAAAAAAAAAAAAAAAAA:s",
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/other/s"))
    return json.dumps(made).encode(), json.dumps(used).encode()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_file_teaches_about_another(ledger, tmp_path, wanted, order):
    folder = tmp_path / "logs"
    folder.mkdir()
    records = derived()
    for at in order:
        (folder / f"{at}.json").write_bytes(records[at])
        watch(ledger, "--once", folder)
    findings = {json.loads(line)["access_key_id"] for line in stored(ledger)}
    assert findings == {KEY, CHILD} and stored(ledger) == wanted(folder)
    # Once together, they are left alone.
    assert watch(ledger, "--once", folder) == (0, [], "")
