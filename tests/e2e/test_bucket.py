# SPDX-License-Identifier: Apache-2.0
"""keytrail detect s3://..., against the small AWS of tests/support/aws.py, which checks every signature: names, pages,
regions, credentials from everywhere, and what goes wrong on the way."""

import gzip
import json
import os
import subprocess

import pytest

from aws import KEY, SECRET, TOKEN, Aws, Refusal
from test_detect import ACCOUNT, KEY as STOLEN, KEYTRAIL, MAKE_LEDGER, OTRF, delivery

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")

# The eleven uses of the stolen key first.
LINES = sorted(OTRF.read_bytes().splitlines(keepends=True),
               key=lambda line: json.loads(line)["userIdentity"].get("accessKeyId") != STOLEN)
DAY = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2020/09/14/"


@pytest.fixture
def aws():
    with Aws() as aws:
        yield aws


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    subprocess.run([MAKE_LEDGER, path], input=json.dumps(delivery("2020-09-14T00:50:00Z")), text=True, check=True)
    return path


def name_of(number, minute="20200914T0105Z"):
    return f"{DAY}{ACCOUNT}_CloudTrail_us-east-1_{minute}_{number:016d}.json.gz"


def split(count):
    """The records over as many objects."""
    return {name_of(i): gzip.compress(b"".join(LINES[i::count])) for i in range(count)}


def detect(ledger, environment, *arguments):
    result = subprocess.run([KEYTRAIL, "detect", "--ledger", ledger, "--findings", "none", "-o", "jsonl",
                             *map(str, arguments)], env=environment, capture_output=True, timeout=100)
    said = result.stderr.decode()
    for secret in (SECRET, TOKEN):
        assert secret not in said and secret not in result.stdout.decode()
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], said


@pytest.fixture
def wanted(ledger, aws):
    [finding] = detect(ledger, aws.environment(), OTRF)[1]
    return finding


def test_the_fake_refuses(ledger, aws):
    """What the other tests rely on."""
    aws.buckets["trail"] = split(1)
    for change, code in [(dict(AWS_SECRET_ACCESS_KEY="wrong"), "SignatureDoesNotMatch"),
                         (dict(AWS_SESSION_TOKEN="wrong"), "InvalidToken"),
                         (dict(AWS_ACCESS_KEY_ID="ASIAWRONG"), "InvalidAccessKeyId")]:
        status, findings, said = detect(ledger, aws.environment(**change), "s3://trail/AWSLogs")
        assert (status, findings) == (1, []) and code in said and "403" in said


def test_pages_and_names(ledger, aws, wanted):
    odd = ["AWSLogs/a+b=c:d e&f/x.json.gz", "AWSLogs/ü/日本.json", "AWSLogs/tab\t'\"<>/%2F..%.jsonl", "AWSLogs//double.json",
           "AWSLogs/x\x01y.json", "AWSLogs/./../dots.json"]
    aws.buckets["trail"] = {name: LINES[i] for i, name in enumerate(odd)}
    aws.buckets["trail"].update({name_of(i): gzip.compress(line) for i, line in enumerate(LINES[len(odd):])})
    aws.buckets["trail"].update({"AWSLogs/manifest.txt": b"no log", "AWSLogs/folder/": b"",
                                 f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/d.json.gz": b"no log", "elsewhere.json": b"no log"})
    aws.page = 2
    status, findings, said = detect(ledger, aws.environment(), "s3://trail/AWSLogs")
    assert (status, findings) == (3, [wanted])
    assert "103 files read, 0 unreadable, 2 skipped" in said
    assert aws.asked("continuation-token=%2B%2F%3D%25") >= 6
    assert detect(ledger, aws.environment(), "s3://trail/" + odd[2])[1][0]["count"] == 1
    assert detect(ledger, aws.environment(), "s3://trail/AWSLogs/ü/")[1][0]["count"] == 1


def test_nothing_there(ledger, aws):
    aws.buckets["trail"] = {}
    for source, words in [("s3://trail/AWSLogs", "nothing of this name"), ("s3://other/AWSLogs", "NoSuchBucket"),
                          ("s3://", "expected s3://BUCKET/PREFIX"), ("s3://tr@il/x", "expected the name of a bucket")]:
        status, findings, said = detect(ledger, aws.environment(), source)
        assert status in (1, 2) and not findings and words in said, said
    status, findings, said = detect(ledger, aws.environment(), "s3://trail/a.json")
    assert (status, findings) == (1, []) and "NoSuchKey" in said


def test_an_object_of_any_name(ledger, aws, wanted):
    aws.buckets["trail"] = {"dump": OTRF.read_bytes(), "dump-of-others/x.json": b"no log"}
    assert detect(ledger, aws.environment(), "s3://trail/dump")[:2] == (3, [wanted])


def test_only_a_part_is_listed(ledger, aws):
    aws.buckets["trail"] = split(2)
    for i in range(40):
        aws.buckets["trail"][f"AWSLogs/111122223333/CloudTrail/us-east-1/2020/09/{i % 30 + 1:02d}/x{i}.json"] = b"{}"
    status, findings, said = detect(ledger, aws.environment(), "--account", ACCOUNT, "--since", "2020-09-14", "--until",
                                    "2020-09-15", "s3://trail")
    assert status == 3 and findings[0]["count"] == 11 and "2 files read" in said
    assert aws.asked("111122223333") == 0


def test_another_region(ledger, aws, wanted):
    aws.buckets["trail"], aws.bucket_regions["trail"] = split(3), "ap-southeast-7"
    assert detect(ledger, aws.environment(), "s3://trail/AWSLogs")[:2] == (3, [wanted])
    regions = [headers["Authorization"].split("/")[2] for _, _, headers, _ in aws.requests]
    assert regions.count("us-east-1") == 1 and regions.count("ap-southeast-7") == 5


def test_passing_trouble(ledger, aws, wanted):
    aws.buckets["trail"] = split(4)
    aws.fail("list-type", Refusal(503, "SlowDown"), "close", Refusal(500, "InternalError"))
    aws.fail(quoted(name_of(0)), 10, "close", 200)
    aws.fail(quoted(name_of(1)), Refusal(503, "SlowDown"), Refusal(429, "TooManyRequestsException"))
    assert detect(ledger, aws.environment(), "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert aws.asked(quoted(name_of(0))) == 4 and aws.asked(quoted(name_of(1))) == 3


def quoted(name):
    return name.replace(":", "%3A")


def test_lasting_trouble_costs_one_object(ledger, aws):
    aws.buckets["trail"] = split(11)
    aws.fail(name_of(3), *[100] * 9)
    aws.fail(name_of(4), *[Refusal(503, "SlowDown")] * 9)
    aws.fail(name_of(5), Refusal(403, "AccessDenied"))
    status, findings, said = detect(ledger, aws.environment(AWS_MAX_ATTEMPTS="3"), "s3://trail/AWSLogs")
    assert status == 3 and findings[0]["count"] == 8 and "3 unreadable" in said
    for number, words in [(3, ""), (4, "SlowDown"), (5, "AccessDenied")]:
        [line] = [line for line in said.splitlines() if name_of(number) in line]
        assert words in line
    assert [aws.asked(name_of(number)) for number in (3, 4, 5)] == [3, 3, 1]


def test_a_cut_and_a_growing_object(ledger, aws):
    packed = [gzip.compress(OTRF.read_bytes())]
    sizes = iter([300, 600])

    def grows():
        return packed[0][:next(sizes, len(packed[0]))]
    aws.buckets["trail"] = {name_of(1): packed[0][:900]}
    status, _, said = detect(ledger, aws.environment(), "s3://trail/AWSLogs")
    assert "1 unreadable" in said and "expected more gzip data" in said and status in (1, 3)
    # Its list says fewer bytes than there are when it is fetched: what is there counts.
    aws.buckets["trail"] = {name_of(2): grows}
    status, findings, said = detect(ledger, aws.environment(), "s3://trail/AWSLogs")
    assert status == 3 and findings[0]["count"] == 11 and "0 unreadable" in said


def test_expired_credentials(ledger, aws):
    aws.buckets["trail"] = split(1)
    aws.expired.add(KEY)
    status, _, said = detect(ledger, aws.environment(), "s3://trail/AWSLogs")
    assert status == 1 and "credentials from the environment have expired" in said and "renew them" in said
    assert aws.asked("list-type") == 2


def test_clock(ledger, aws):
    aws.buckets["trail"] = split(1)
    aws.fail("list-type", Refusal(403, "RequestTimeTooSkewed"))
    status, _, said = detect(ledger, aws.environment(), "s3://trail/AWSLogs")
    assert status == 1 and "clock is" in said


def without_environment(aws, **more):
    environment = aws.environment(**more)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        environment.pop(name)
    return environment


def test_credentials_of_a_profile(ledger, aws, wanted, tmp_path):
    aws.buckets["trail"] = split(2)
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = wrong\n[audit]\naws_access_key_id = {KEY}\n"
                                          f"aws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n")
    (tmp_path / "config").write_text("[profile sso]\nsso_session = s\n[profile audit]\nregion = eu-north-1\n")
    files = dict(AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"), AWS_CONFIG_FILE=str(tmp_path / "config"))
    for environment, options in [(without_environment(aws, AWS_PROFILE="audit", **files), ()),
                                 (aws.environment(AWS_SECRET_ACCESS_KEY="wrong", **files), ("--profile", "audit"))]:
        assert detect(ledger, environment, *options, "s3://trail/AWSLogs")[:2] == (3, [wanted])
    for profile, words in [("nobody", "profile nobody: in neither"), ("sso", "run `aws sso login --profile sso`, then put its credentials into the environment, with eval \"$(aws "
                            "configure export-credentials --profile sso --format env)\""),
                           ("default", "aws_secret_access_key is missing")]:
        status, _, said = detect(ledger, aws.environment(**files), "--profile", profile, "s3://trail/AWSLogs")
        assert status in (1, 2) and words in said, said


ROLE, FURTHER = "arn:aws:iam::123456789012:role/reader", "arn:aws:iam::210987654321:role/team/further"
BASE = f"[base]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
NAMED = f"[profile reader]\nrole_arn = {ROLE}\nsource_profile = base\n"


def profile(aws, folder, config, credentials=BASE, **more):
    """An environment without credentials, but for AWS's shared files."""
    (folder / "config").write_text(config)
    (folder / "credentials").write_text(credentials)
    return without_environment(aws, AWS_CONFIG_FILE=str(folder / "config"), **more,
                               AWS_SHARED_CREDENTIALS_FILE=str(folder / "credentials"))


def test_role_of_a_profile(ledger, aws, wanted, tmp_path):
    """One role with another profile's keys; a second one with the first; then with keys of its own, and with others'."""
    aws.buckets["trail"], aws.roles = split(2), {ROLE: (KEY, None)}
    environment = profile(aws, tmp_path, NAMED)
    assert detect(ledger, environment, "--profile", "reader", "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert detect(ledger, environment | dict(AWS_PROFILE="reader"), "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert set(aws.assumed) == {(ROLE, "keytrail", None, "us-east-1")}
    # Whoever is asked for the bucket is the role, not whose keys those are.
    assert {headers["Authorization"].split("=")[1].split("/")[0] for _, path, headers, _ in aws.requests if "list-type" in path} \
        == {"ASIAQAAAAAAASSUMED00", "ASIAQAAAAAAASSUMED01"}
    aws.assumed.clear()
    aws.roles[FURTHER] = ("ASIAQAAAAAAASSUMED00", "x/y+z")
    environment = profile(aws, tmp_path, f"[profile reader]\nregion = eu-north-1\nrole_arn = {ROLE}\nsource_profile = base\n"
                          f"[profile further]\nrole_arn = {FURTHER}\nsource_profile = reader\nexternal_id = x/y+z\n"
                          "role_session_name = night=watch\nduration_seconds = 900\nregion = eu-west-1\n")
    assert detect(ledger, environment, "--profile", "further", "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert aws.assumed == [(ROLE, "keytrail", None, "eu-west-1"), (FURTHER, "night=watch", "900", "eu-west-1")]
    environment = profile(aws, tmp_path, f"[profile base]\nrole_arn = {ROLE}\nsource_profile = base\n")
    assert detect(ledger, environment, "--profile", "base", "s3://trail/AWSLogs")[:2] == (3, [wanted])
    environment = profile(aws, tmp_path, f"[profile here]\nrole_arn = {ROLE}\ncredential_source = Environment\n",
                          AWS_PROFILE="here") | dict(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_SESSION_TOKEN=TOKEN)
    assert detect(ledger, environment, "--profile", "here", "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert len(aws.assumed) == 4


def test_role_is_asked_for_again(ledger, aws, wanted, tmp_path):
    """Throttled, and before it ends."""
    aws.buckets["trail"], aws.roles, aws.lifetime = split(2), {ROLE: (KEY, None)}, 60
    aws.fail("Action=AssumeRole", Refusal(503, "ServiceUnavailable"), "close")
    assert detect(ledger, profile(aws, tmp_path, NAMED), "--profile", "reader", "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert len(aws.assumed) > 1


@pytest.mark.parametrize("config, says", [
    (NAMED, "profile reader: AssumeRole arn:aws:iam::123456789012:role/reader: status 403, AccessDenied"),
    (f"[profile reader]\nrole_arn = {ROLE}\n", "expected either source_profile or credential_source"),
    (NAMED + "credential_source = Environment\n", "expected either source_profile or credential_source"),
    (f"[profile reader]\nrole_arn = {ROLE}\ncredential_source = Moon\n", "expected Environment, EcsContainer or Ec2"),
    (f"[profile reader]\nrole_arn = {ROLE}\ncredential_source = EcsContainer\n", "no credentials in its credential_source EcsContainer"),
    (f"[profile reader]\nrole_arn = {ROLE}\nsource_profile = reader\n", "no credentials in its source_profile reader"),
    (f"[profile reader]\nrole_arn = {ROLE}\nsource_profile = nobody\n", "source_profile of profile reader: profile nobody: in neither"),
    (f"[profile reader]\nrole_arn = {ROLE}\nsource_profile = other\n[profile other]\nrole_arn = {ROLE}\nsource_profile = reader\n",
     "more than 5 profiles that are each other's source_profile"),
    (NAMED + "mfa_serial = arn:aws:iam::1:mfa/me\n", "needs a code of its MFA device"),
    (f"[profile reader]\nrole_arn = {ROLE}\nsource_profile = s\n[profile s]\nsso_start_url = u\n", "run `aws sso login --profile s`"),
    (f"[profile reader]\nrole_arn = {ROLE}\nweb_identity_token_file = /x\n", "web_identity_token_file, which is not served"),
])
def test_role_that_cannot_be_had(ledger, aws, tmp_path, config, says):
    aws.roles = {ROLE: ("somebody else", None)}
    status, _, said = detect(ledger, profile(aws, tmp_path, config), "--profile", "reader", "s3://trail/AWSLogs")
    assert status in (1, 2) and says in said, said
    assert aws.asked("list-type") == 0


def process(folder, text):
    program = folder / "a program"
    program.write_text("#!/bin/sh\n" + text)
    program.chmod(0o755)
    return f"[profile made]\ncredential_process = \"{program}\" 'one two' three\\ four \"\" # all\n"


def test_credentials_of_a_process(ledger, aws, wanted, tmp_path):
    aws.buckets["trail"] = split(2)
    printed = json.dumps(dict(Version=1, AccessKeyId=KEY, SecretAccessKey=SECRET, SessionToken=TOKEN,
                              Expiration="2099-01-01T00:00:00Z"))
    config = process(tmp_path, f"printf '%s\\n' \"$#\" \"$@\" >{tmp_path}/words\necho for the operator >&2\necho '{printed}'\n")
    status, found, said = detect(ledger, profile(aws, tmp_path, config), "--profile", "made", "s3://trail/AWSLogs")
    assert (status, found) == (3, [wanted]) and "for the operator" in said
    assert (tmp_path / "words").read_text() == "3\none two\nthree four\n\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("owner, mode", [(65534, 0o644), (0, 0o646)])
def test_process_of_somebody_else(ledger, aws, tmp_path, owner, mode):
    environment = profile(aws, tmp_path, process(tmp_path, f"touch {tmp_path}/ran\n"))
    os.chown(tmp_path / "config", owner, owner)
    (tmp_path / "config").chmod(mode)
    status, _, said = detect(ledger, environment, "--profile", "made", "s3://trail/AWSLogs")
    assert status == 2 and "it is not run" in said and not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("foreign, runs", [("credentials", False), ("config", True)])
def test_process_of_two_files(ledger, aws, tmp_path, foreign, runs):
    """The later file's command counts, and whoever wrote that one."""
    environment = profile(aws, tmp_path, "[profile made]\ncredential_process = /bin/false\n")
    later = tmp_path / "credentials"
    later.write_text(process(tmp_path, f"touch {tmp_path}/ran\n").replace("[profile made]", "[made]"))
    os.chown(tmp_path / foreign, 65534, 65534)
    _, _, said = detect(ledger, {**environment, "AWS_SHARED_CREDENTIALS_FILE": str(later)}, "--profile", "made", "s3://trail/AWSLogs")
    assert ((tmp_path / "ran").exists(), "it is not run" not in said) == (runs, runs), said


@pytest.mark.parametrize("text, says", [
    ("exit 3\n", "credential_process: it ended with status 3"),
    ("kill -9 $$\n", "credential_process: it was ended by signal 9"),
    ("echo no\n", "credential_process: no JSON"),
    ("echo '{}'\n", "expected AccessKeyId and SecretAccessKey"),
    ("echo '{\"Version\":2,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}'\n", "expected Version 1"),
    ("exec head -c 100000 /dev/zero\n", "credential_process: "),
])
def test_process_that_has_none(ledger, aws, tmp_path, text, says):
    config = process(tmp_path, text)
    status, _, said = detect(ledger, profile(aws, tmp_path, config), "--profile", "made", "s3://trail/AWSLogs")
    assert status == 1 and says in said, said
    assert detect(ledger, profile(aws, tmp_path, "[profile made]\ncredential_process = 'x\n"), "--profile", "made",
                  "s3://trail/AWSLogs")[2].count("a quote that nothing ends") == 1
    assert "/no/such/program: No such file" in detect(
        ledger, profile(aws, tmp_path, "[profile made]\ncredential_process = /no/such/program\n"), "--profile", "made",
        "s3://trail/AWSLogs")[2]


def test_credentials_of_a_container(ledger, aws, wanted, tmp_path):
    aws.buckets["trail"] = split(2)
    token = tmp_path / "token"
    token.write_text("Bearer container\n")
    full = dict(AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/container")
    for more in [dict(AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer container"),
                 dict(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token))]:
        environment = without_environment(aws, **full, **more)
        assert detect(ledger, environment, "s3://trail/AWSLogs")[:2] == (3, [wanted])
    status, _, said = detect(ledger, without_environment(aws, **full), "s3://trail/AWSLogs")
    assert status == 1 and "the container's credentials: status 401" in said


def test_credentials_of_the_instance(ledger, aws, wanted):
    aws.buckets["trail"] = split(2)
    environment = without_environment(aws, AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=aws.url)
    assert detect(ledger, environment, "s3://trail/AWSLogs")[:2] == (3, [wanted])
    aws.lifetime = 60  # ends so soon that each request finds new ones
    before = aws.asked("/latest/api/token")
    assert detect(ledger, environment, "s3://trail/AWSLogs")[:2] == (3, [wanted])
    assert aws.asked("/latest/api/token") - before == aws.asked("/trail/") // 2
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1"
    status, _, said = detect(ledger, environment, "s3://trail/AWSLogs")
    assert status == 1 and "no AWS credentials" in said


def test_temporary_files(ledger, aws, tmp_path):
    aws.buckets["trail"] = split(2)
    folder = tmp_path / "tmp"
    folder.mkdir()
    assert detect(ledger, aws.environment(TMPDIR=str(folder)), "s3://trail/AWSLogs")[0] == 3
    assert os.listdir(folder) == []
    status, _, said = detect(ledger, aws.environment(TMPDIR=str(tmp_path / "nowhere")), "s3://trail/AWSLogs")
    assert status == 1 and "nowhere" in said
