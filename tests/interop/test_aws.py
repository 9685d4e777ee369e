# SPDX-License-Identifier: Apache-2.0
"""What the detector asks AWS, held against others' opinion: OpenStack Swift's S3 interface, which is strict about
signatures; moto, where PyPI serves it; botocore, which signs each of our requests anew; and boto3, which has to understand
the small AWS of tests/support/aws.py, or our own tests are worth nothing."""

import gzip
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import swift
from aws import KEY, SECRET, TOKEN, Aws

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["KEYTRAIL_BIN"])
PYPI = ROOT / "build/interop/pypi"
OTRF = ROOT / "tests/data/cloudtrail/otrf/ec2_proxy_s3_exfiltration.jsonl"
STOLEN, ACCOUNT, INSTANCE = "ASIA5FLZVX4OPVKKVBMX", "123456789123", "i-0317f6c6b66ae9c40"
LINES = sorted(OTRF.read_bytes().splitlines(keepends=True),
               key=lambda line: json.loads(line)["userIdentity"].get("accessKeyId") != STOLEN)
BASE = dict(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/nonexistent", AWS_EC2_METADATA_DISABLED="true")

pytestmark = pytest.mark.skipif(not (BIN.parent / "tests/make_ledger").exists(), reason="not built")


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    body = dict(access_key_id=STOLEN, role="web", source="imds", outcome="delivered", expires_at=None, path="/x",
                host=dict(instance_id=INSTANCE, account_id=ACCOUNT, region="us-east-1"))
    row = dict(kind="delivery", at_us=1600044600000000, access_key_id=STOLEN, body=body)
    subprocess.run([BIN.parent / "tests/make_ledger", path], input=json.dumps(row), text=True, check=True)
    return path


def keytrail(*words, environment):
    result = subprocess.run([BIN / "keytrail", *map(str, words)], env=BASE | environment, capture_output=True, timeout=120)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()


def detect(ledger, *words, environment):
    return keytrail("detect", "--ledger", ledger, "--findings", "none", "-o", "jsonl", *words, environment=environment)


def boto3_client(service, url, region="us-east-1", key=KEY, secret=SECRET, token=TOKEN):
    boto3 = pytest.importorskip("boto3")
    config = sys.modules["botocore.config"].Config(signature_version="s3v4", s3=dict(addressing_style="path")) \
        if service == "s3" else None
    return boto3.client(service, endpoint_url=url, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
                        aws_session_token=token, config=config)


# ---- Swift

ODD = ["AWSLogs/a+b=c:d e&f/x.json.gz", "AWSLogs/ü/日本.json", "AWSLogs/tab\t'\"/%2F..%.jsonl", "AWSLogs//double.json",
       "AWSLogs/(a)!*~$,;@.json"]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    why_not = swift.why_not()
    if why_not:
        pytest.skip(why_not)
    with swift.Swift(tmp_path_factory.mktemp("swift")) as server:
        client = boto3_client("s3", server.url, swift.REGION, swift.KEY, swift.SECRET, None)
        client.create_bucket(Bucket="trail", CreateBucketConfiguration=dict(LocationConstraint=swift.REGION))
        objects = {name: LINES[i] for i, name in enumerate(ODD)}
        for i, line in enumerate(LINES[len(ODD):40]):
            objects[f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2020/09/14/{ACCOUNT}_CloudTrail_us-east-1_20200914T0105Z_"
                    f"{i:016d}.json.gz"] = gzip.compress(line)
        for name, data in objects.items():
            client.put_object(Bucket="trail", Key=name, Body=gzip.compress(data) if name in ODD[:1] else data)
        yield server


def swift_environment(server, **more):
    return dict(AWS_ENDPOINT_URL_S3=server.url, AWS_ACCESS_KEY_ID=swift.KEY, AWS_SECRET_ACCESS_KEY=swift.SECRET,
                AWS_REGION=swift.REGION) | more


def test_swift(strict, ledger):
    status, [finding], said = detect(ledger, "s3://trail/AWSLogs", environment=swift_environment(strict))
    assert (status, finding["count"]) == (3, 11), said
    assert "40 files read, 0 unreadable" in said


def test_swift_with_a_filter(strict, ledger):
    status, _, said = detect(ledger, "--since", "2020-09-14", "--account", ACCOUNT, "s3://trail",
                             environment=swift_environment(strict))
    assert status == 3 and "40 files read" in said


def test_swift_in_another_region(strict, ledger):
    status, [finding], said = detect(ledger, "s3://trail/AWSLogs",
                                     environment=swift_environment(strict, AWS_REGION="us-east-1"))
    assert (status, finding["count"]) == (3, 11), said


@pytest.mark.parametrize("change, words", [
    (dict(AWS_SECRET_ACCESS_KEY="wrong"), "SignatureDoesNotMatch"),
    (dict(AWS_ACCESS_KEY_ID="test:nobody"), "status 403"),
])
def test_swift_refuses(strict, ledger, change, words):
    status, _, said = detect(ledger, "s3://trail/AWSLogs", environment=swift_environment(strict, **change))
    assert status == 1 and words in said


def test_swift_has_no_such_object(strict, ledger):
    status, _, said = detect(ledger, "s3://trail/nowhere.json", environment=swift_environment(strict))
    assert status == 1 and "NoSuchKey" in said
    status, _, said = detect(ledger, "s3://nowhere/AWSLogs", environment=swift_environment(strict))
    assert status == 1 and "NoSuchBucket" in said


# ---- botocore signs what we have sent

def sign_again(url, method, target, headers, body):
    """The Authorization that botocore gives a request."""
    auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    given = headers["Authorization"]
    scope = given.partition("Credential=")[2].partition(",")[0].split("/")
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    path, _, query = target.partition("?")
    request = AWSRequest(method, "http://" + headers["Host"] + path, data=body,
                         headers={name: headers[name] for name in headers if name.lower() in names and name.lower() != "host"})
    request.url += "?" + query if query else ""
    request.context.update(timestamp=headers["X-Amz-Date"])
    kind = auth.S3SigV4Auth if scope[3] == "s3" else auth.SigV4Auth
    signer = kind(Credentials(KEY, SECRET, TOKEN), scope[3], scope[2])
    prepared = request.prepare()
    assert prepared.url.endswith(target), "changed on the way"
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return f"AWS4-HMAC-SHA256 Credential={'/'.join(scope)}, SignedHeaders={';'.join(names)}, Signature=" + \
        signer.signature(text, request)


def test_botocore_signs_the_same(ledger, tmp_path):
    with Aws() as aws:
        aws.buckets["trail"] = {name: LINES[i] for i, name in enumerate(ODD)}
        aws.page, aws.events = 1, {"us-east-1": [json.loads(line) for line in LINES[:3]]}
        aws.ec2 = {"us-east-1": {action: "<x/>" for action in (
            "DescribeNatGateways", "DescribeAddresses", "DescribeVpcs", "DescribeVpcEndpoints", "DescribeNetworkInterfaces")}}
        aws.members = [dict(Id=ACCOUNT, Name="a", Status="ACTIVE"), dict(Id="111122223333", Name="b", Status="ACTIVE")]
        aws.send(dict(Event="s3:TestEvent"))
        assert detect(ledger, "--lookup", "--region", "us-east-1", "s3://trail/AWSLogs", environment=aws.environment())[0] == 3
        assert keytrail("watch", "--once", "--ledger", ledger, "sqs://us-east-1/123456789012/q",
                        environment=aws.environment())[0] == 0
        subprocess.run([BIN / "keytrail", "inventory", "--file", tmp_path / "i.json"], env=aws.environment(), check=True)
        services = set()
        for method, target, headers, body in aws.requests:
            assert sign_again(aws.url, method, target, headers, body) == headers["Authorization"], target
            services.add(headers["Authorization"].split("/")[3])
        assert services == {"s3", "cloudtrail", "sqs", "sts", "ec2", "organizations"}


# ---- boto3 understands our small AWS

PYTHON_PART = """
import json, sys
sys.path[:0] = [%(pypi)r]
import boto3
from botocore.config import Config
def client(service):
    return boto3.client(service, endpoint_url=%(url)r, region_name="us-east-1",
                        config=Config(s3=dict(addressing_style="path")))
s3 = client("s3")
names = [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="trail") for entry in page["Contents"]]
bodies = [s3.get_object(Bucket="trail", Key=name)["Body"].read().decode() for name in names]
trail = client("cloudtrail")
events = [event["CloudTrailEvent"] for page in trail.get_paginator("lookup_events").paginate(
    LookupAttributes=[dict(AttributeKey="AccessKeyId", AttributeValue=%(key)r)]) for event in page["Events"]]
keys = trail.list_public_keys(StartTime=5, EndTime=6)["PublicKeyList"]
sqs = client("sqs")
url = "http://sqs/1/q"
messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
for message in messages:
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
vpcs = [vpc["VpcId"] for page in client("ec2").get_paginator("describe_vpcs").paginate(
    PaginationConfig=dict(PageSize=5)) for vpc in page["Vpcs"]]
accounts = [account["Id"] for page in client("organizations").get_paginator("list_accounts").paginate()
            for account in page["Accounts"]]
print(json.dumps(dict(names=names, bodies=bodies, events=len(events), keys=[key["Fingerprint"] for key in keys],
                      messages=[message["Body"] for message in messages], vpcs=vpcs, accounts=accounts,
                      me=client("sts").get_caller_identity()["Account"])))
"""


def test_boto3_understands_the_small_aws():
    if not (PYPI / "boto3").exists():
        pytest.skip("no boto3 of PyPI: Debian's speaks SQS's older protocol")
    with Aws() as aws:
        aws.page = 2
        aws.buckets["trail"] = {name: name.encode() for name in ODD}
        aws.events = {"us-east-1": [json.loads(line) for line in LINES[:5]]}
        aws.public_keys = {"us-east-1": [dict(Value="AAAA", Fingerprint="f", ValidityStartTime=1, ValidityEndTime=9)]}
        aws.send("hello")
        aws.ec2 = {"us-east-1": dict(DescribeVpcs="<vpcSet>%s</vpcSet>" % "".join(
            f"<item><vpcId>vpc-{i}</vpcId></item>" for i in range(5)))}
        aws.account, aws.members = ACCOUNT, [dict(Id=f"{i:012d}", Name="n", Status="ACTIVE") for i in range(5)]
        result = subprocess.run([sys.executable, "-c", PYTHON_PART % dict(pypi=str(PYPI), url=aws.url, key=STOLEN)],
                                env=aws.environment(), capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        seen = json.loads(result.stdout)
        assert seen == dict(names=sorted(ODD), bodies=sorted(ODD), events=5, keys=["f"], messages=["hello"],
                            vpcs=[f"vpc-{i}" for i in range(5)], accounts=[f"{i:012d}" for i in range(5)], me=ACCOUNT)


# ---- moto

@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    if not (PYPI / "moto").exists():
        pytest.skip("PyPI does not serve moto here")
    port, log = swift.free_port(), tmp_path_factory.mktemp("moto") / "log"
    program = f"import sys; sys.path[:0] = [{str(PYPI)!r}]; from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    with open(log, "wb") as out:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=out, stderr=out,
                                   env=dict(os.environ, MOTO_ACCOUNT_ID=ACCOUNT))
    try:
        deadline = time.monotonic() + 60
        while swift.socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < deadline and process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def moto_environment(url):
    return dict(AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID="AKIAMOTO", AWS_SECRET_ACCESS_KEY="moto", AWS_DEFAULT_REGION="us-east-1")


def script(url, text):
    """In a Python that has the boto3 of PyPI, which moto of PyPI goes with."""
    program = f"import sys, json; sys.path[:0] = [{str(PYPI)!r}]\nimport boto3\n" + text
    result = subprocess.run([sys.executable, "-c", program], env=BASE | moto_environment(url), capture_output=True, text=True,
                            timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_inventory_of_moto(moto, tmp_path):
    made = script(moto, """
ec2 = boto3.client("ec2")
vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
address = ec2.allocate_address(Domain="vpc", Address="198.51.100.7")
other = ec2.allocate_address(Domain="vpc", Address="198.51.100.8")
ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"])
endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3")["VpcEndpoint"]["VpcEndpointId"]
organizations = boto3.client("organizations")
organizations.create_organization(FeatureSet="ALL")
member = organizations.create_account(AccountName="hub", Email="a@example.com")["CreateAccountStatus"]["AccountId"]
print(json.dumps(dict(vpc=vpc, egress=address["PublicIp"], other=other["PublicIp"], endpoint=endpoint, member=member)))
""")
    path = tmp_path / "inventory.json"
    result = subprocess.run([BIN / "keytrail", "inventory", "--file", path], env=BASE | moto_environment(moto),
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    inventory = json.loads(path.read_text())
    [own] = inventory["own"]
    assert own["account_id"] == ACCOUNT and made["egress"] in own["egress"] and made["other"] in own["addresses"]
    assert made["egress"] not in own["addresses"] and "10.20.0.0/16" in own["networks"]
    assert made["vpc"] in own["vpcs"] and made["endpoint"] in own["endpoints"]
    assert dict(account_id=made["member"], name="hub") in inventory["affiliated"]


def test_queue_of_moto(moto, ledger, tmp_path):
    (tmp_path / "x.json").write_bytes(OTRF.read_bytes())
    url = script(moto, f"""
sqs, s3 = boto3.client("sqs"), boto3.client("s3")
url = sqs.create_queue(QueueName="q")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
s3.create_bucket(Bucket="trail")
s3.put_bucket_notification_configuration(Bucket="trail", NotificationConfiguration=dict(
    QueueConfigurations=[dict(QueueArn=arn, Events=["s3:ObjectCreated:*"])]))
s3.put_object(Bucket="trail", Key="AWSLogs/a+b c.json", Body=open({str(tmp_path / "x.json")!r}, "rb"))
print(json.dumps(url))
""")
    status, [finding], said = keytrail("watch", "--once", "--ledger", ledger, "-o", "jsonl",
                                       "sqs://us-east-1/" + "/".join(url.split("/")[-2:]), environment=moto_environment(moto))
    assert (status, finding["count"]) == (3, 11), said
    left = script(moto, f"""
sqs = boto3.client("sqs")
print(json.dumps(sqs.receive_message(QueueUrl={url!r}).get("Messages", [])))
""")
    assert left == []


def test_bucket_of_moto(moto, ledger):
    script(moto, f"""
s3 = boto3.client("s3")
s3.create_bucket(Bucket="pages")
for number, line in enumerate(open({str(OTRF)!r}, "rb")):
    s3.put_object(Bucket="pages", Key=f"AWSLogs/{{number}}+/=.json", Body=line)
print("[]")
""")
    status, [finding], said = detect(ledger, "s3://pages/AWSLogs", environment=moto_environment(moto))
    assert (status, finding["count"]) == (3, 11) and "103 files read" in said


def test_role_of_moto(moto, ledger, tmp_path):
    """STS hands out a role's keys, in moto's own words."""
    script(moto, f"""
s3 = boto3.client("s3")
s3.create_bucket(Bucket="of-a-role")
s3.put_object(Bucket="of-a-role", Key="AWSLogs/x.json", Body={b"".join(LINES[:11])!r})
print("[]")
""")
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    credentials.write_text("[base]\naws_access_key_id = AKIAMOTO\naws_secret_access_key = moto\n")
    config.write_text("[profile reader]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\n")
    environment = dict(AWS_ENDPOINT_URL=moto, AWS_DEFAULT_REGION="us-east-1", AWS_CONFIG_FILE=str(config),
                       AWS_SHARED_CREDENTIALS_FILE=str(credentials))
    status, [finding], said = detect(ledger, "--profile", "reader", "s3://of-a-role", environment=environment)
    assert status == 3 and finding["count"] == 11, said
