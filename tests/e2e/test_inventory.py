# SPDX-License-Identifier: Apache-2.0
"""keytrail inventory, against the small AWS of tests/support/aws.py, and that the detector takes what comes out."""

import json
import subprocess

import pytest

from aws import KEY, SECRET, TOKEN, Aws, Refusal
from test_detect import DATA, KEYTRAIL, MAKE_LEDGER, OTRF, delivery

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")

OWN, HUB, OTHER = "123456789123", "111122223333", "444455556666"
VPC, ENDPOINT = "vpc-0123456789abcdef0", "vpce-0123456789abcdef0"


def ec2(**more):
    return dict(
        DescribeNatGateways="<natGatewaySet><item><state>available</state><natGatewayAddressSet><item><publicIp>1.2.3.4"
        "</publicIp><privateIp>10.0.0.9</privateIp></item></natGatewayAddressSet></item><item><state>deleted</state>"
        "<natGatewayAddressSet><item><publicIp>198.51.100.99</publicIp></item></natGatewayAddressSet></item></natGatewaySet>",
        DescribeAddresses="<addressesSet><item><publicIp>1.2.3.4</publicIp></item><item><publicIp>198.51.100.7</publicIp>"
        "</item></addressesSet>",
        DescribeVpcs=f"<vpcSet><item><vpcId>{VPC}</vpcId><ownerId>{OWN}</ownerId><cidrBlock>10.0.0.0/16</cidrBlock>"
        "<cidrBlockAssociationSet><item><cidrBlock>10.0.0.0/16</cidrBlock></item><item><cidrBlock>10.1.0.0/16</cidrBlock></item>"
        "</cidrBlockAssociationSet><ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2001:db8:1::/56</ipv6CidrBlock></item>"
        f"</ipv6CidrBlockAssociationSet></item><item><vpcId>vpc-0fffffffffffffff0</vpcId><ownerId>{OTHER}</ownerId>"
        "<cidrBlock>10.9.0.0/16</cidrBlock></item></vpcSet>",
        DescribeVpcEndpoints=f"<vpcEndpointSet><item><vpcEndpointId>{ENDPOINT}</vpcEndpointId><ownerId>{OWN}</ownerId></item>"
        "</vpcEndpointSet>",
        DescribeNetworkInterfaces="<networkInterfaceSet><item><interfaceType>nat_gateway</interfaceType>"
        f"<ownerId>{OWN}</ownerId><association><publicIp>1.2.3.4</publicIp></association></item><item><ownerId>{OWN}</ownerId>"
        "<association><publicIp>203.0.113.5</publicIp></association><ipv6AddressesSet><item><ipv6Address>2001:db8:1::5"
        f"</ipv6Address></item></ipv6AddressesSet></item><item><ownerId>{OTHER}</ownerId><association><publicIp>203.0.113.6"
        "</publicIp></association></item></networkInterfaceSet>") | more


@pytest.fixture
def aws():
    with Aws() as aws:
        aws.account, aws.ec2 = OWN, {"us-east-1": ec2()}
        aws.members = [dict(Id=OWN, Name="production", Status="ACTIVE"), dict(Id=HUB, Name="hub", Status="ACTIVE"),
                       dict(Id=OTHER, Name="gone", Status="SUSPENDED")]
        yield aws


def inventory(environment, *arguments):
    result = subprocess.run([KEYTRAIL, "inventory", *map(str, arguments)], env=environment, capture_output=True, timeout=100)
    said = result.stderr.decode()
    assert SECRET not in said and TOKEN not in said
    return result.returncode, json.loads(result.stdout) if result.stdout else None, said


WANTED = dict(own=[dict(account_id=OWN, name="production", egress=["1.2.3.4"], addresses=["198.51.100.7", "2001:db8:1::5", "203.0.113.5"],
                        networks=["10.0.0.0/16", "10.1.0.0/16", "2001:db8:1::/56"], vpcs=[VPC], endpoints=[ENDPOINT])],
              affiliated=[dict(account_id=HUB, name="hub")])


def test_all_of_it(aws, tmp_path):
    assert inventory(aws.environment()) == (0, WANTED, "")
    path = tmp_path / "inventory.json"
    assert inventory(aws.environment(), "--file", path) == (0, None, "")
    assert json.loads(path.read_text()) == WANTED
    ledger = tmp_path / "ledger.db"
    subprocess.run([MAKE_LEDGER, ledger], input=json.dumps(delivery("2020-09-14T00:50:00Z")), text=True, check=True)
    for options, code in [(["--inventory", path], 0), ([], 3)]:
        assert subprocess.run([KEYTRAIL, "detect", "--ledger", ledger, "--findings", "none", *options, OTRF],
                              capture_output=True).returncode == code


def test_pages(aws):
    aws.page = 1
    assert inventory(aws.environment())[:2] == (0, WANTED)
    assert aws.asked("Action=DescribeVpcs") == 2 and aws.asked("ListAccounts") == 3
    assert aws.asked("NextToken=%2B%2F%3D") >= 3


def test_several_regions_and_profiles(aws, tmp_path):
    aws.ec2["eu-west-1"] = {action: "<x/>" for action in ec2()} | dict(
        DescribeAddresses="<addressesSet><item><publicIp>198.51.100.8</publicIp></item></addressesSet>")
    _, made, _ = inventory(aws.environment(), "--region", "us-east-1", "--region", "eu-west-1")
    assert made["own"][0]["addresses"] == sorted(WANTED["own"][0]["addresses"] + ["198.51.100.8"])
    aws.keys["AKIAHUB"], aws.accounts["AKIAHUB"] = ("hub", None), HUB
    (tmp_path / "credentials").write_text(f"[prod]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n"
                                          f"aws_session_token={TOKEN}\n[hub]\naws_access_key_id=AKIAHUB\n"
                                          "aws_secret_access_key=hub\n")
    (tmp_path / "config").write_text("[profile prod]\nregion=us-east-1\n[profile hub]\nregion=eu-west-1\n")
    files = dict(AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"), AWS_CONFIG_FILE=str(tmp_path / "config"))
    status, made, said = inventory(aws.environment(**files), "--profile", "prod", "--profile", "hub")
    assert status == 0, said
    assert made == dict(own=[dict(account_id=HUB, name="hub", addresses=["198.51.100.8"]), *WANTED["own"]])


def test_merging(aws, tmp_path):
    trusted = ["192.0.2.128/28", "vpce-0fedcba9876543210"]
    by_hand = dict(own=[dict(account_id=OWN, name="by hand", egress=["192.0.2.1"])],
                   affiliated=[dict(account_id="999988887777", name="partner")], trusted_egress=trusted)
    path = tmp_path / "by-hand.json"
    path.write_text(json.dumps(by_hand))
    status, made, _ = inventory(aws.environment(), "--merge", path)
    assert status == 0 and made["trusted_egress"] == trusted
    assert made["own"][0]["name"] == "by hand" and made["own"][0]["egress"] == ["1.2.3.4", "192.0.2.1"]
    assert [account["account_id"] for account in made["affiliated"]] == [HUB, "999988887777"]
    # Doing it again to what came out changes nothing.
    path.write_text(json.dumps(made))
    assert inventory(aws.environment(), "--merge", path)[1] == made


@pytest.mark.parametrize("by_hand, words", [
    ("{", "by-hand.json"), ('{"mine": []}', "mine: unknown member"),
    (json.dumps(dict(affiliated=[dict(account_id=HUB, egress=["198.51.100.7"])])), "does not fit together: overlapping owners"),
])
def test_what_does_not_fit(aws, tmp_path, by_hand, words):
    path = tmp_path / "by-hand.json"
    path.write_text(by_hand)
    status, made, said = inventory(aws.environment(), "--merge", path)
    assert (status, made) == (1, None) and words in said


def test_what_cannot_be_asked(aws, tmp_path):
    aws.fail("Action=DescribeVpcs", Refusal(403, "UnauthorizedOperation"))
    aws.fail("ListAccounts", Refusal(400, "AccessDeniedException"))
    status, made, said = inventory(aws.environment())
    assert status == 4 and "vpcs" not in made["own"][0] and made["own"][0]["egress"] == ["1.2.3.4"]
    assert "DescribeVpcs in us-east-1: status 403, UnauthorizedOperation" in said and "AccessDeniedException" in said
    aws.fail("ListAccounts", Refusal(400, "AWSOrganizationsNotInUseException"))
    assert inventory(aws.environment())[0] == 0
    aws.fail("Action=GetCallerIdentity", Refusal(403, "InvalidClientTokenId"))
    path = tmp_path / "inventory.json"
    status, _, said = inventory(aws.environment(), "--file", path)
    assert status == 1 and "GetCallerIdentity: status 403" in said and not path.exists()


def test_throttling(aws):
    aws.fail("Action=DescribeAddresses", *[Refusal(503, "RequestLimitExceeded")] * 2)
    assert inventory(aws.environment())[:2] == (0, WANTED)


def test_usage(aws):
    for arguments, words in [(["extra"], "too much"), (["--region", "nowhere"], "no region"),
                             (["--account", OWN], "no option of `inventory`")]:
        status, _, said = inventory(aws.environment(), *arguments)
        assert status == 2 and words in said
    environment = aws.environment()
    environment.pop("AWS_REGION")
    status, _, said = inventory(environment)
    assert status == 2 and "no region" in said
