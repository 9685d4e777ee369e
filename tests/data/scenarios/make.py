#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the labelled scenarios, one file each, by transforming real CloudTrail records (../cloudtrail): the fields named
here are changed, all others are as AWS wrote them. What is expected of each was worked out from the rules of
docs/findings.md, not from what the program says; so it is written here by hand, case by case.

    tests/data/scenarios/make.py [FOLDER]     (default: beside this file)
"""

import copy
import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REAL = HERE.parent / "cloudtrail"

HOME, THIEF, FRIEND, HUB, SECOND = "123456789123", "210987654321", "444455556666", "777788889999", "112233445566"
KEY, OTHER_KEY, THIRD_KEY = "ASIA5FLZVX4OPVKKVBMX", "ASIA5FLZVX4OLY6BJN4L", "ASIA5FLZVX4OWAQT7U3K"
INSTANCE, OTHER_INSTANCE = "i-0317f6c6b66ae9c40", "i-044b1baf4c96e1b62"
ROLE_ID = "AROA5FLZVX4OAMSW6BCRH"
SESSION = f"{ROLE_ID}:{INSTANCE}"
OWN, OWN_V6, PRIVATE = "198.51.100.10", "2600:1f18::10", "10.0.1.5"
OUTSIDE, OUTSIDE_2, OUTSIDE_V6 = "203.0.113.77", "203.0.113.78", "2a01:4f8:c0c:1::1"
EC2, EC2_2, EC2_V6 = "18.236.253.47", "35.169.66.138", "2600:1f18:1234::5"
CLOUDFRONT = "13.32.1.1"
HOME_VPCE, THIEF_VPCE, FRIEND_VPCE = "vpce-0aaaaaaaaaaaaaaaa", "vpce-0bbbbbbbbbbbbbbbb", "vpce-0cccccccccccccccc"

INSIDE = "InstanceCredentialExfiltration.InsideAWS"
OUTSIDE_AWS = "InstanceCredentialExfiltration.OutsideAWS"
OTHER = "InstanceCredentialExfiltration.OtherInstance"
NEVER = "InstanceCredentialUse.NeverRelayed"
EXPIRED = "InstanceCredentialUse.AfterExpiry"


# ---- real records

def read(path):
    text = (REAL / path).read_text()
    return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]


def first(path, name, **members):
    for record in read(path):
        if record["eventName"] == name and all(record.get(k) == v for k, v in members.items()):
            return record
    raise LookupError(f"{path}: no {name}")


OTRF = "otrf/ec2_proxy_s3_exfiltration.jsonl"
USE = first(OTRF, "ListObjects")
ISSUE = first(OTRF, "AssumeRole")
ASSUME = first("stratus/aws.credential-access.ec2-get-password-data.json", "AssumeRole")
FEDERATE = first("stratus/aws.persistence.sts-federation-token.json", "GetFederationToken")
CREATE_KEY = first("stratus/aws.persistence.iam-create-admin-user.json", "CreateAccessKey")
CREATE_USER = first("stratus/aws.persistence.iam-create-admin-user.json", "CreateUser")
CREATE_LOGIN = first("stratus/aws.persistence.iam-create-user-login-profile.json", "CreateLoginProfile")
UPDATE_LOGIN = first("stratus/aws.privilege-escalation.iam-update-user-login-profile.json", "UpdateLoginProfile")
SIGN_IN = first("stratus/aws.initial-access.console-login-without-mfa.json", "ConsoleLogin")
EC2_CALL = first("stratus/aws.execution.ec2-user-data.json", "StartInstances")
JUNK = read("stratus/aws.credential-access.ec2-steal-instance-credentials.json")


# ---- transformations

made = {}


def when(text):
    return f"2020-09-14T{text}:00Z" if len(text) == 5 else text


def change(record, **fields):
    """A copy with members set (dots as __, None removes), with ids of its own, which follow from what it says."""
    record = copy.deepcopy(record)
    for name in ("@timestamp", "@version", "sharedEventID"):
        record.pop(name, None)
    digest = hashlib.sha256(json.dumps([record, fields], sort_keys=True).encode()).hexdigest()[:12]
    made[digest] = made.get(digest, 0) + 1
    record["eventID"] = f"00000000-0000-4000-8000-{digest}" if made[digest] == 1 else f"00000000-0000-4000-{made[digest]:04d}-{digest}"
    record["requestID"] = f"request-{digest}-{made[digest]}"
    for name, value in fields.items():
        where = record
        *path, last = name.split("__")
        for step in path:
            where[step] = where.get(step) or {}
            where = where[step]
        if value is None:
            where.pop(last, None)
        else:
            where[last] = value
    return record


def use(source, at="01:10", key=KEY, instance=INSTANCE, **fields):
    fields = {"userIdentity__accessKeyId": key, "userIdentity__principalId": f"{ROLE_ID}:{instance}", **fields}
    return change(USE, eventTime=when(at), sourceIPAddress=source, **fields)


def delivered_by(version, issued="00:48"):
    """Members of a session: which version of IMDS gave it out, and when it was issued."""
    return {"userIdentity__sessionContext__ec2RoleDelivery": version,
            "userIdentity__sessionContext__attributes__creationDate": when(issued)}


def through(endpoint, owner=None, source=PRIVATE, **fields):
    version = "1.11" if owner else "1.08"
    fields = {"eventVersion": version, **fields}
    return use(source, vpcEndpointId=endpoint, vpcEndpointAccountId=owner, **fields)


def issue(key, at="00:48", instance=INSTANCE):
    return change(ISSUE, eventTime=when(at), requestParameters__roleSessionName=instance,
                  responseElements__credentials__accessKeyId=key)


def identity(key, principal, account=HOME):
    value = {"type": "AssumedRole", "principalId": principal, "accountId": account, "accessKeyId": key,
             "arn": f"arn:aws:sts::{account}:assumed-role/x/{principal.split(':')[-1]}"}
    return value if key else {k: v for k, v in value.items() if k != "accessKeyId"} | {"type": "AWSAccount"}


def assume(parent, principal, child, to, at="01:00", account=HOME, recipient=None, source=OWN, name="AssumeRole",
           expires="Sep 14, 2020, 2:00:00 AM", **fields):
    fields = {"userIdentity": identity(parent, principal, account), "recipientAccountId": recipient or account, **fields}
    return change(ASSUME, eventTime=when(at), eventName=name, sourceIPAddress=source, awsRegion="us-east-1",
                  responseElements__credentials__accessKeyId=child, responseElements__credentials__expiration=expires,
                  responseElements__assumedRoleUser__assumedRoleId=to, **fields)


def derived_use(source, key, principal="AROAB:step", at="01:20", account=HOME, **fields):
    return change(USE, eventTime=when(at), sourceIPAddress=source,
                  **{"userIdentity": identity(key, principal, account), "recipientAccountId": account, **fields})


def ec2(name, at, account, request=None, response=None, **fields):
    return change(EC2_CALL, eventName=name, eventTime=when(at), requestParameters=request or {}, awsRegion="us-west-2",
                  responseElements=response or {}, recipientAccountId=account,
                  userIdentity__accountId=account, userIdentity__accessKeyId="AKIAADMINISTRATOR000", **fields)


def allocate(at, account, address=EC2):
    return ec2("AllocateAddress", at, account, {"domain": "vpc"},
               {"publicIp": address, "domain": "vpc", "allocationId": f"eipalloc-{account}{address}"})


def associate(at, account, instance, address=EC2):
    return ec2("AssociateAddress", at, account, {"allocationId": f"eipalloc-{account}{address}", "instanceId": instance},
               {"associationId": f"eipassoc-{at}", "_return": True})


def release(at, account, address=EC2):
    return ec2("ReleaseAddress", at, account, {"allocationId": f"eipalloc-{account}{address}"}, {"_return": True})


def gateway(at, account, address=EC2):
    return ec2("CreateNatGateway", at, account,
               {"CreateNatGatewayRequest": {"AllocationId": f"eipalloc-{account}{address}", "SubnetId": "subnet-1"}},
               {"CreateNatGatewayResponse": {"natGateway": {
                   "natGatewayId": f"nat-{account}", "state": "pending",
                   "natGatewayAddressSet": {"item": {"allocationId": f"eipalloc-{account}{address}"}}}}})


def make_endpoint(at, account, endpoint):
    return ec2("CreateVpcEndpoint", at, account, {"CreateVpcEndpointRequest": {"VpcId": "vpc-1"}},
               {"CreateVpcEndpointResponse": {"vpcEndpoint": {"vpcEndpointId": endpoint, "state": "pending"}}})


def run(at, account, instance, v6=None, address=None):
    interface = {"networkInterfaceId": f"eni-{instance}"}
    if v6:
        interface["ipv6AddressesSet"] = {"items": [{"ipv6Address": v6}]}
    if address:
        interface["association"] = {"publicIp": address}
    return ec2("RunInstances", at, account, {},
               {"instancesSet": {"items": [{"instanceId": instance, "networkInterfaceSet": {"items": [interface]}}]}})


def activity(call, owner, endpoint=THIEF_VPCE, join="request", principal=SESSION, caller=HOME, **fields):
    """The endpoint's owner's record of a call: stripped, as for a caller of another account."""
    joined = {"requestID": call["requestID"]} if join == "request" else {"sharedEventID": call.get("sharedEventID")}
    stripped = {k: v for k, v in call.items() if k not in ("requestParameters", "responseElements", "userAgent")}
    return change(stripped, eventCategory="NetworkActivity", eventType="AwsVpceEvents", eventVersion="1.09",
                  userIdentity={"type": "AWSAccount", "principalId": principal, "accountId": caller},
                  recipientAccountId=owner, vpcEndpointId=endpoint, sourceIPAddress=PRIVATE, **{**joined, **fields})


# ---- ledgers

def delivery(key=KEY, at="00:50", instance=INSTANCE, expires="2020-09-14T07:10:27.000000Z", account=HOME):
    return {"at": when(at), "key": key, "instance": instance, "account": account, "expires": expires}


def place(*addresses, at="00:45", instance=INSTANCE, owners=(HOME,), account=HOME, offset=0):
    return {"at": when(at), "instance": instance, "account": account, "addresses": list(addresses), "owners": list(owners),
            "clock_offset_ms": offset}


def covered(since="00:40", until="03:00", **fields):
    return {"since": when(since), "until": when(until), "whole": True, **fields}


PLACE = place(OWN, "10.0.0.0/16")
KNOWN = {"deliveries": [delivery()], "placements": [PLACE], "coverage": []}
NO_PLACE = {**KNOWN, "placements": []}


def ledger(deliveries=None, placements=None, coverage=None):
    return {"deliveries": [delivery()] if deliveries is None else deliveries,
            "placements": [PLACE] if placements is None else placements, "coverage": coverage or []}


# ---- expectations

def finding(kind, severity, rung, remote=None, subject=KEY, count=1, relation=None, lineage=None, suppressed=False,
            address=None, endpoint=None):
    if relation is None:
        relation = "unaffiliated" if remote else "unknown"
    return {"type": kind, "severity": severity, "rung": rung, "subject": subject, "count": count,
            "account": remote, "relation": relation, "address": address, "endpoint": endpoint,
            "lineage": lineage or [], "suppressed": suppressed}


def outside(address=OUTSIDE, rung=6, **fields):
    return finding(OUTSIDE_AWS, "HIGH", rung, address=address, **fields)


def inside(rung, remote, endpoint=None, severity="HIGH", **fields):
    return finding(INSIDE, severity, rung, remote, endpoint=endpoint, **fields)


def elsewhere(rung, address, **fields):
    fields = {"remote": HOME if rung == 4 else None, "relation": "affiliated" if rung == 4 else "unknown", **fields}
    return finding(OTHER, "MEDIUM", rung, address=address, **fields)


def never(address=OWN, rung=0, subject=THIRD_KEY, **fields):
    return finding(NEVER, "HIGH", rung, subject=subject, address=address, **fields)


def expired(address=OWN, rung=0, **fields):
    return finding(EXPIRED, "LOW", rung, address=address, **fields)


cases = {}


def case(name, why, records, *expect, ledgers=(KNOWN,), inventory=None):
    """ledgers () means `--ledger none`."""
    if name in cases:
        raise ValueError(name)
    cases[name] = {"why": why, "ledgers": list(ledgers), "inventory": inventory, "records": records,
                   "expect": list(expect)}


def own(account=HOME, **lists):
    return {"own": [{"account_id": account, **lists}]}


def friend(account=FRIEND, **lists):
    return {"affiliated": [{"account_id": account, **lists}]}


# ---- rung 0: at home

case("home-own-address", "the instance's own public address", [use(OWN)])
case("home-own-address-mapped", "IPv4-mapped IPv6 is the same address", [use(f"::ffff:{OWN}")])
case("home-own-ipv6", "the instance's own IPv6 address, dual stack", [use(OWN_V6), use(OWN)],
     ledgers=[ledger(placements=[place(OWN, OWN_V6)])])
case("home-own-network", "a private address within the VPC's range", [use(PRIVATE)])
case("home-network-outside-rfc1918", "a VPC of 172.61.0.0/16, which looks public", [use("172.61.3.4")],
     ledgers=[ledger(placements=[place("172.61.3.4", "172.61.0.0/16")])])
case("home-endpoint-owner", "an endpoint that CloudTrail says is the home account's", [through(HOME_VPCE, HOME)])
case("home-endpoint-inventory", "an old record through an endpoint of the inventory", [through(HOME_VPCE)],
     inventory=own(endpoints=[HOME_VPCE]))
case("home-endpoint-shared-vpc", "the endpoint of the account that owns the shared VPC", [through(HOME_VPCE, HUB)],
     ledgers=[ledger(placements=[place(OWN, owners=[HOME, HUB])])])
case("home-endpoint-made-at-home", "an old record; the endpoint's making is in the home account's log",
     [through(HOME_VPCE), make_endpoint("00:10", HOME, HOME_VPCE)])
case("home-endpoint-made-later-in-the-input", "ids of endpoints are never used twice: the order does not matter",
     [through(HOME_VPCE, at="01:10"), make_endpoint("00:10", HOME, HOME_VPCE), through(HOME_VPCE, at="01:30")])
case("home-nat-inventory", "a NAT gateway of the inventory", [use(EC2)], inventory=own(egress=[EC2]))
case("home-network-inventory", "a range of the inventory", [use(OUTSIDE)], inventory=own(networks=["203.0.113.0/25"]))
case("home-trusted-hub", "a hub's egress that the inventory trusts", [use(EC2)], inventory={"trusted_egress": [EC2]})
case("home-trusted-premises", "premises behind Direct Connect", [use(OUTSIDE), use(OUTSIDE_2)],
     inventory={"trusted_egress": ["203.0.113.64/26"]})
case("home-nat-learned", "a NAT gateway that the logs say the home account made",
     [allocate("00:05", HOME), gateway("00:06", HOME), use(EC2)])
case("home-address-learned", "an elastic address that the logs say the instance had",
     [allocate("00:05", HOME), associate("00:06", HOME, INSTANCE), use(EC2)])
case("home-address-learned-unattached", "the home account's elastic address, at no machine that is known",
     [allocate("00:05", HOME), use(EC2)])
case("home-address-moved-just-now", "moved to another machine five minutes before: may still have been this one's",
     [allocate("00:05", HOME), associate("00:06", HOME, INSTANCE), associate("01:05", HOME, OTHER_INSTANCE), use(EC2)])
case("home-address-moved-later", "moved to another machine an hour after the use",
     [allocate("00:05", HOME), associate("00:06", HOME, INSTANCE), associate("02:10", HOME, OTHER_INSTANCE), use(EC2)])
case("home-address-passed-on-just-now", "released and allocated by a stranger within the slack: the innocent reading",
     [allocate("00:05", HOME), release("01:08", HOME), allocate("01:09", THIEF), use(EC2)])
case("home-ipv6-learned", "an IPv6 address of the instance, by RunInstances",
     [run("00:05", HOME, INSTANCE, v6=EC2_V6), use(EC2_V6)])
case("home-before-the-first-look", "a use before the daemon first looked where it is", [use(OWN, at="00:30")])
case("home-address-of-then", "the address that the instance had then, not the one of now",
     [use(OWN, at="01:10"), use("198.51.100.99", at="03:00")],
     ledgers=[ledger(placements=[PLACE, place("198.51.100.99", at="02:00")])])
case("home-resource-of-another-account", "another account's bucket is no other account's machine",
     [use(OWN, recipientAccountId=THIEF, resources=[{"accountId": THIEF, "type": "AWS::S3::Bucket"}],
          sharedEventID="shared-1")])
case("home-addresses-without-a-place", "a machine's address of the home account; where the instance was is not known",
     [use(EC2)], ledgers=[NO_PLACE], inventory=own(addresses=[EC2]))
case("home-nat-of-old", "the gateway is gone, its address still the home account's",
     [allocate("00:05", HOME), gateway("00:06", HOME),
      ec2("DeleteNatGateway", "00:30", HOME, {"DeleteNatGatewayRequest": {"NatGatewayId": f"nat-{HOME}"}}), use(EC2)])

# ---- AWS acting for us

case("aws-service", "the source is a service", [use("athena.amazonaws.com")])
case("aws-internal", "AWS Internal", [use("AWS Internal")])
case("aws-internal-number", "AWS Internal with a number", [use("AWS Internal/7")])
case("aws-service-china", "a service's name in China", [use("athena.amazonaws.com.cn")])
case("aws-forward-access", "a service calls on with the key's session (FAS)",
     [use("cloudformation.amazonaws.com", userIdentity__invokedBy="cloudformation.amazonaws.com",
          userAgent="cloudformation.amazonaws.com")])
case("aws-invoked-by", "invokedBy, whatever the source says", [use(OUTSIDE, userIdentity__invokedBy="AWS Internal")])
case("aws-infrastructure-role", "EC2's own role decrypts a volume",
     [use("AWS Internal", userIdentity__sessionContext__sessionIssuer__arn=f"arn:aws:iam::{HOME}:role/aws:ec2-infrastructure",
          userIdentity__principalId=f"{HOME}:aws:ec2-infrastructure:{INSTANCE}", userIdentity__accessKeyId=THIRD_KEY)])
case("aws-s3-console", "the S3 console's endpoint of AWS's own",
     [use(OUTSIDE, vpcEndpointId="vpce-f40dc59d", userAgent="[S3Console/0.4, aws-internal/3]")])
case("aws-log-delivery", "log delivery through an endpoint of AWS's own",
     [use("delivery.logs.amazonaws.com", vpcEndpointId="vpce-ceb942a7")])
case("aws-network", "AWS's own network in place of an endpoint", [use(OUTSIDE, vpcEndpointId="AWS Internal")])
case("aws-network-swapped", "owner and endpoint are names of AWS's",
     [use(PRIVATE, vpcEndpointId="AWS Internal", vpcEndpointAccountId="AWS Internal", eventVersion="1.09")])
case("aws-console-proxied", "the console on behalf of a session of the instance",
     [use("AWS Internal", userAgent="AWS Internal", sessionCredentialFromConsole="true")])

# ---- rung 1: the endpoint's owner

case("inside-endpoint", "another account's endpoint, by CloudTrail's word",
     [through(THIEF_VPCE, THIEF)], inside(1, THIEF, THIEF_VPCE))
case("inside-endpoint-affiliated", "an affiliated account's endpoint",
     [through(FRIEND_VPCE, FRIEND)], inside(1, FRIEND, FRIEND_VPCE, "MEDIUM", relation="affiliated"), inventory=friend())
case("inside-endpoint-own", "an endpoint of another account of ours", [through(FRIEND_VPCE, SECOND)],
     inside(1, SECOND, FRIEND_VPCE, "MEDIUM", relation="affiliated"), inventory=own(SECOND))
case("inside-endpoint-spoofed-public", "behind the thief's endpoint with the victim's public address",
     [through(THIEF_VPCE, THIEF, source=OWN)], inside(1, THIEF, THIEF_VPCE))
case("inside-endpoint-spoofed-private", "behind the thief's endpoint with the victim's private address",
     [through(THIEF_VPCE, THIEF, source="10.0.0.1")], inside(1, THIEF, THIEF_VPCE))
case("inside-endpoint-spoofed-trusted", "behind the thief's endpoint with an address that the inventory trusts",
     [through(THIEF_VPCE, THIEF, source=OUTSIDE)], inside(1, THIEF, THIEF_VPCE),
     inventory={"trusted_egress": [OUTSIDE]})
case("inside-two-endpoints", "two endpoints of one account are one finding",
     [through(THIEF_VPCE, THIEF, at="01:10"), through("vpce-0bbbbbbbbbbbbbbb0", THIEF, at="01:20")],
     inside(1, THIEF, THIEF_VPCE, count=2))
case("inside-two-accounts", "two accounts are two findings", [through(THIEF_VPCE, THIEF), through(FRIEND_VPCE, FRIEND)],
     inside(1, THIEF, THIEF_VPCE), inside(1, FRIEND, FRIEND_VPCE))
case("inside-short-endpoint-with-owner", "a short id is AWS's own only where nobody owns it",
     [through("vpce-f40dc59d", THIEF, source=OUTSIDE)], inside(1, THIEF, "vpce-f40dc59d"))
case("inside-and-home", "one theft among uses at home", [use(OWN), through(THIEF_VPCE, THIEF), use(PRIVATE)],
     inside(1, THIEF, THIEF_VPCE))
case("inside-errors", "denied calls are uses too",
     [through(THIEF_VPCE, THIEF, errorCode="AccessDenied"), through(THIEF_VPCE, THIEF, errorCode="Client.UnauthorizedOperation")],
     inside(1, THIEF, THIEF_VPCE, count=2))

# ---- rung 2: the endpoint itself

case("inside-endpoint-unknown", "an old record through an endpoint that nobody knows", [through(THIEF_VPCE)],
     inside(2, None, THIEF_VPCE))
case("inside-endpoint-odd-owner", "an owner that is no account is none",
     [through(THIEF_VPCE, "2109876543210")], inside(2, None, THIEF_VPCE))
case("inside-endpoint-inventory", "an affiliated account's endpoint, by the inventory", [through(FRIEND_VPCE)],
     inside(2, FRIEND, FRIEND_VPCE, "MEDIUM", relation="affiliated"), inventory=friend(endpoints=[FRIEND_VPCE]))
case("inside-endpoint-made-elsewhere", "the endpoint's making is in a stranger's log",
     [make_endpoint("00:10", THIEF, THIEF_VPCE), through(THIEF_VPCE)], inside(2, THIEF, THIEF_VPCE))
case("inside-endpoint-made-by-a-friend", "the endpoint's making is in an affiliated account's log",
     [through(FRIEND_VPCE), make_endpoint("00:10", FRIEND, FRIEND_VPCE)],
     inside(2, FRIEND, FRIEND_VPCE, "MEDIUM", relation="affiliated"), inventory=friend())
case("inside-endpoint-making-refused", "a refused making makes nothing",
     [through(THIEF_VPCE), ec2("CreateVpcEndpoint", "00:10", HOME, {}, {"CreateVpcEndpointResponse": {"vpcEndpoint": {
         "vpcEndpointId": THIEF_VPCE}}}, errorCode="Client.UnauthorizedOperation")], inside(2, None, THIEF_VPCE))
case("inside-short-endpoint-private", "a short id with a private source is nobody's of AWS",
     [through("vpce-f40dc59d")], inside(2, None, "vpce-f40dc59d"))
case("unknown-endpoint-unreadable", "an endpoint that is no id: nothing is guessed", [use(OWN, vpcEndpointId="vpce-XYZ")])

# ---- rung 3: network activity

CALL = through(THIEF_VPCE)
case("inside-activity-request", "the owner's record of the same request", [CALL, activity(CALL, THIEF)],
     inside(3, THIEF, THIEF_VPCE))
CALL = through(THIEF_VPCE, sharedEventID="shared-2")
case("inside-activity-shared", "the owner's record of the same event", [activity(CALL, THIEF, join="shared"), CALL],
     inside(3, THIEF, THIEF_VPCE))
CALL = through(FRIEND_VPCE)
case("inside-activity-affiliated", "the owner is affiliated", [CALL, activity(CALL, FRIEND, FRIEND_VPCE)],
     inside(3, FRIEND, FRIEND_VPCE, "MEDIUM", relation="affiliated"), inventory=friend())
CALL = through(HOME_VPCE)
case("home-activity-shared-vpc", "the owner is the account that shares its VPC", [CALL, activity(CALL, HUB, HOME_VPCE)],
     ledgers=[ledger(placements=[place(OWN, owners=[HOME, HUB])])])
CALL = through(THIEF_VPCE)
case("inside-activity-two-owners", "two owners claim one call: neither is believed",
     [CALL, activity(CALL, THIEF), activity(CALL, FRIEND)], inside(2, None, THIEF_VPCE))
CALL = through(THIEF_VPCE)
case("inside-activity-of-somebody-else", "the same request id with another principal is another call",
     [CALL, activity(CALL, THIEF, principal="AROAELSE:somebody")], inside(2, None, THIEF_VPCE))
CALL = through(THIEF_VPCE)
case("inside-activity-too-late", "the same request id half an hour later is another call; it is a use of its own",
     [CALL, activity(CALL, THIEF, eventTime=when("01:45"), requestID="another")],
     inside(2, None, THIEF_VPCE), inside(3, THIEF, THIEF_VPCE, subject=SESSION))
CALL = through(THIEF_VPCE)
case("inside-activity-alone", "a call that the endpoint's policy denied: the owner's record is all there is",
     [activity(CALL, THIEF, errorCode="VpceAccessDenied")], inside(3, THIEF, THIEF_VPCE, subject=SESSION))
case("inside-activity-alone-owner", "the same with the owner named in the record",
     [activity(CALL, THIEF, errorCode="VpceAccessDenied", vpcEndpointAccountId=THIEF)],
     inside(1, THIEF, THIEF_VPCE, subject=SESSION))
case("home-activity-own", "the home account's own record of its instance's call through its endpoint",
     [use(PRIVATE, eventCategory="NetworkActivity", eventType="AwsVpceEvents", vpcEndpointId=HOME_VPCE,
          vpcEndpointAccountId=HOME, eventVersion="1.11")])
CALL = use(EC2)
case("inside-activity-without-endpoint", "the call's own record names no endpoint, the owner's does",
     [CALL, activity(CALL, THIEF)], inside(3, THIEF, THIEF_VPCE))

# ---- rung 4: whose the address is

case("inside-address-inventory", "an affiliated account's address", [use(EC2)],
     inside(4, FRIEND, severity="MEDIUM", relation="affiliated", address=EC2), inventory=friend(egress=[EC2]))
case("inside-address-learned", "a stranger allocated it, by the logs", [allocate("00:05", THIEF), use(EC2)],
     inside(4, THIEF, address=EC2))
case("inside-address-learned-later", "allocated after the use: whose it was before is not known",
     [allocate("02:05", THIEF), use(EC2)], inside(5, None, severity="MEDIUM", address=EC2))
case("inside-address-released", "released before the use: nobody's that is known",
     [allocate("00:05", THIEF), release("00:30", THIEF), use(EC2)], inside(5, None, severity="MEDIUM", address=EC2))
case("inside-address-passed-on", "the home account's once, a stranger's since",
     [allocate("00:05", HOME), associate("00:06", HOME, INSTANCE), release("00:20", HOME), allocate("00:30", THIEF), use(EC2)],
     inside(4, THIEF, address=EC2))
case("inside-address-of-a-runaway", "an address that a stranger's instance was started with",
     [run("00:05", THIEF, OTHER_INSTANCE, address=EC2), use(EC2)], inside(4, THIEF, address=EC2))
case("inside-hub-nat-learned", "a hub's NAT gateway that the inventory does not know",
     [allocate("00:05", HUB), gateway("00:06", HUB), use(EC2)], inside(4, HUB, address=EC2))
case("inside-hub-nat-affiliated", "a hub's NAT gateway; the hub is affiliated",
     [allocate("00:05", HUB), gateway("00:06", HUB), use(EC2)],
     inside(4, HUB, severity="MEDIUM", relation="affiliated", address=EC2), inventory=friend(HUB))
case("home-hub-nat-trusted", "a hub's NAT gateway that the inventory trusts",
     [allocate("00:05", HUB), gateway("00:06", HUB), use(EC2)], inventory={**friend(HUB), "trusted_egress": [EC2]})
case("other-instance-inventory", "another machine's address in the inventory", [use(EC2)], elsewhere(4, EC2),
     inventory=own(addresses=[EC2]))
case("other-instance-reassociated", "the instance's address moved to another machine half an hour before",
     [allocate("00:05", HOME), associate("00:06", HOME, INSTANCE), associate("00:40", HOME, OTHER_INSTANCE), use(EC2)],
     elsewhere(4, EC2))
case("other-instance-ipv6", "another machine's IPv6 address, by RunInstances",
     [run("00:05", HOME, OTHER_INSTANCE, v6=EC2_V6), use(EC2_V6)], elsewhere(4, EC2_V6))
case("other-instance-by-interface", "an address at an interface of another machine",
     [allocate("00:05", HOME),
      ec2("AttachNetworkInterface", "00:06", HOME, {"networkInterfaceId": "eni-7", "instanceId": OTHER_INSTANCE}),
      ec2("AssociateAddress", "00:07", HOME, {"allocationId": f"eipalloc-{HOME}{EC2}", "networkInterfaceId": "eni-7"},
          {"associationId": "eipassoc-7"}), use(EC2)], elsewhere(4, EC2))
case("home-address-of-an-ended-machine", "the other machine is gone: the address is the home account's, at nobody",
     [allocate("00:05", HOME), associate("00:06", HOME, OTHER_INSTANCE),
      ec2("TerminateInstances", "00:20", HOME, {"instancesSet": {"items": [{"instanceId": OTHER_INSTANCE}]}}), use(EC2)])
case("other-instance-ledger", "the address of another machine that a ledger knows", [use("198.51.100.20")],
     elsewhere(4, "198.51.100.20"),
     ledgers=[KNOWN, ledger([delivery(OTHER_KEY, instance=OTHER_INSTANCE)], [place("198.51.100.20", instance=OTHER_INSTANCE)])])
case("inside-ledger-of-another-account", "the address of a machine of another account that a ledger knows",
     [use("198.51.100.20")], inside(4, SECOND, address="198.51.100.20", severity="MEDIUM", relation="affiliated"),
     ledgers=[KNOWN, ledger([delivery(OTHER_KEY, instance=OTHER_INSTANCE, account=SECOND)],
                            [place("198.51.100.20", instance=OTHER_INSTANCE, account=SECOND)])],
     inventory=own(SECOND))

# ---- rung 5: EC2, nobody's

case("inside-ec2", "an address of EC2's that nobody knows", [use(EC2)], inside(5, None, severity="MEDIUM", address=EC2))
case("inside-ec2-ipv6", "the same in IPv6", [use(EC2_V6)], inside(5, None, severity="MEDIUM", address=EC2_V6))
case("inside-ec2-two", "without an inventory, one finding an address", [use(EC2), use(EC2_2), use(EC2)],
     inside(5, None, severity="MEDIUM", address=EC2, count=2), inside(5, None, severity="MEDIUM", address=EC2_2))

# ---- rung 6: outside

case("outside", "an address outside of AWS", [use(OUTSIDE), use(OUTSIDE, at="01:20")], outside(count=2))
case("outside-ipv6", "the same in IPv6", [use(OUTSIDE_V6)], outside(OUTSIDE_V6))
case("outside-cloudfront", "CloudFront's addresses are not where instances call from", [use(CLOUDFRONT)],
     outside(CLOUDFRONT))
case("outside-no-place", "where the instance was is not known", [use(OUTSIDE)], outside(), ledgers=[NO_PLACE])
case("outside-two-addresses", "two addresses are two findings", [use(OUTSIDE), use(OUTSIDE_2)],
     outside(), outside(OUTSIDE_2))
case("outside-two-keys", "two keys of one machine, one thief: a finding a key", [use(OUTSIDE), use(OUTSIDE, key=OTHER_KEY)],
     outside(), outside(subject=OTHER_KEY), ledgers=[ledger([delivery(), delivery(OTHER_KEY)])])
case("outside-rotated", "the old key is stolen, the new one is not",
     [use(OUTSIDE), use(OWN, key=OTHER_KEY, at="03:00")], outside(),
     ledgers=[ledger([delivery(), delivery(OTHER_KEY, at="02:00")])])
case("home-rotated", "rotated keys, both at home", [use(OWN), use(OWN, key=OTHER_KEY, at="03:00")],
     ledgers=[ledger([delivery(), delivery(OTHER_KEY, at="02:00")])])
case("outside-presigned", "a presigned URL that somebody opens elsewhere",
     [use(OUTSIDE, eventName="GetObject", additionalEventData={"AuthenticationMethod": "QueryString",
                                                               "SignatureVersion": "SigV4"})], outside())
case("outside-old-generation", "a key id of the older generation, which encodes no account",
     [use(OUTSIDE, key="ASIAI3HLUW3QQTLCLRPQ")], outside(subject="ASIAI3HLUW3QQTLCLRPQ"),
     ledgers=[ledger([delivery("ASIAI3HLUW3QQTLCLRPQ")])])
case("outside-before-delivery", "used before the ledger says it was handed out: matched by key, not by time",
     [use(OUTSIDE, at="00:20")], outside())
case("outside-console", "the console shows the browser's address",
     [use(OUTSIDE, sessionCredentialFromConsole="true")], outside())
case("outside-identity-role", "the instance identity role's key, from Kali",
     [use(OUTSIDE, eventName="GetCallerIdentity", userIdentity__principalId=f"{HOME}:aws:ec2-instance:{INSTANCE}",
          userIdentity__sessionContext__sessionIssuer__arn=f"arn:aws:iam::{HOME}:role/aws:ec2-instance")], outside())
case("outside-odd-key", "a key whose id is of an odd form", [use(OUTSIDE, key="my_odd_key_0123456789")],
     outside(subject="my_odd_key_0123456789"), ledgers=[ledger([delivery("my_odd_key_0123456789")])])
case("outside-unknown-key-of-a-known-machine", "the machine is known, the key is not; no coverage, so no more than that",
     [use(OUTSIDE, key=THIRD_KEY)], outside(subject=THIRD_KEY))
case("outside-scope", "the session names no instance, inScopeOf does",
     [use(OUTSIDE, key=THIRD_KEY, instance="batch",
          userIdentity__inScopeOf={"issuerType": "AWS::EC2::Instance", "sourceAccount": HOME,
                                   "credentialsIssuedTo": f"arn:aws:ec2:us-east-1:{HOME}:instance/{INSTANCE}"})],
     outside(subject=THIRD_KEY))

# ---- rung 7: cannot be told

case("other-instance-private", "a private address that is none of the instance's", [use("192.168.9.9")],
     elsewhere(7, "192.168.9.9"))
case("other-instance-shared-range", "an address of 100.64.0.0/10", [use("100.64.1.1")], elsewhere(7, "100.64.1.1"))
case("other-instance-unreadable", "a source that is no address", [use("253.252.51.07")], elsewhere(7, "253.252.51.07"))
case("unknown-private", "a private address, and nobody knows where the instance was", [use("192.168.9.9")],
     ledgers=[NO_PLACE])
case("unknown-unreadable", "a source that is no address, and nobody knows", [use("253.252.51.07")], ledgers=[NO_PLACE])
case("unknown-no-source", "no source at all", [use(None)])

# ---- not ours

case("not-ours-unauthenticated", "an anonymous call",
     [change(USE, eventTime=when("01:10"), sourceIPAddress=OUTSIDE,
             userIdentity={"type": "AWSAccount", "principalId": "", "accountId": "anonymous"})])
case("not-ours-named", "the key is named in the request, not used",
     [change(CREATE_KEY, eventName="DeleteAccessKey", eventTime=when("01:10"), requestParameters={"accessKeyId": KEY},
             responseElements=None, sourceIPAddress=OUTSIDE)])
case("not-ours-user-agent", "the key's id and the session in a user agent",
     [change(CREATE_KEY, eventTime=when("01:10"), userAgent=f"{KEY} :{INSTANCE}", sourceIPAddress=OUTSIDE)])
case("not-ours-other-key", "another account's key", [use(OUTSIDE, key="ASIAP5CT9NN8EYVU1FXV", instance="i-0123456789abcdef0")])
case("not-ours-junk", "real records, anonymised with impossible addresses and regions", JUNK)
case("not-ours-user", "a person who administers", [change(r) if "eventTime" in r else change(r, eventTime=r["@timestamp"])
                                                   for r in read(OTRF)[:6]])
case("not-ours-identity-absent", "a service's event without an identity",
     [change(USE, eventTime=when("01:10"), eventType="AwsServiceEvent", userIdentity=None)])

# ---- after expiry

case("expired-at-home", "used an hour after it expired", [use(OWN, at="08:10")], expired())
case("expired-just-now", "used four minutes after it expired: two clocks", [use(OWN, at="07:14")])
case("expired-outside", "stolen, and used after it expired", [use(OUTSIDE, at="08:10")], outside(), expired(OUTSIDE, 6))
case("expired-refused", "AWS refuses it: somebody still tries", [use(OWN, at="08:10", errorCode="ExpiredToken")], expired())
case("expired-by-aws", "a service goes on with its session", [use("athena.amazonaws.com", at="08:10")])
case("expired-unknown", "when it expires is not known", [use(OWN, at="23:10")],
     ledgers=[ledger([delivery(expires=None)])])

# ---- derived keys

CHILD, GRANDCHILD, THIRD = "ASIADERIVEDONE000001", "ASIADERIVEDTWO000002", "ASIADERIVEDTHREE0003"
ONE = assume(KEY, SESSION, CHILD, "AROAB:step", at="01:00")
TWO = assume(CHILD, "AROAB:step", GRANDCHILD, "AROAC:step", at="01:05")
THREE = assume(GRANDCHILD, "AROAC:step", THIRD, "AROAD:step", at="01:10")
case("derived-outside", "a role that the key assumed, used elsewhere", [ONE, derived_use(OUTSIDE, CHILD)],
     outside(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-outside-use-first", "its use is read before its making", [derived_use(OUTSIDE, CHILD), ONE],
     outside(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-home", "a role that the key assumed, used by the instance", [ONE, derived_use(OWN, CHILD)])
case("derived-home-private", "the same from the VPC", [ONE, derived_use(PRIVATE, CHILD)])
case("derived-by-aws", "a service uses it", [ONE, derived_use("athena.amazonaws.com", CHILD)])
case("derived-three-deep", "roles assumed by roles, deepest first in the input",
     [derived_use(OUTSIDE, THIRD), THREE, TWO, ONE], outside(subject=THIRD, lineage=[KEY, CHILD, GRANDCHILD, THIRD]))
case("derived-each-stolen", "every key of the chain is used elsewhere",
     [ONE, TWO, THREE, use(OUTSIDE), derived_use(OUTSIDE, CHILD), derived_use(OUTSIDE, GRANDCHILD), derived_use(OUTSIDE, THIRD)],
     outside(), outside(subject=CHILD, lineage=[KEY, CHILD]), outside(subject=GRANDCHILD, lineage=[KEY, CHILD, GRANDCHILD]),
     outside(subject=THIRD, lineage=[KEY, CHILD, GRANDCHILD, THIRD]))
case("derived-refused", "a refused AssumeRole gives nothing",
     [change(ONE, errorCode="AccessDenied"), derived_use(OUTSIDE, CHILD)])
case("derived-from-somebody-else", "somebody else's key assumed it",
     [assume("ASIASOMEBODYELSE0000", "AROAELSE:x", CHILD, "AROAB:step"), derived_use(OUTSIDE, CHILD)])
case("derived-by-the-thief", "the thief assumes it elsewhere: both are found",
     [assume(KEY, SESSION, CHILD, "AROAB:step", source=OUTSIDE), derived_use(OUTSIDE, CHILD)],
     outside(), outside(subject=CHILD, lineage=[KEY, CHILD]))
FAR = {"sharedEventID": "shared-3"}
CALLERS = assume(KEY, SESSION, CHILD, "AROAB:step", **FAR)
CALLERS["responseElements"] = None
TARGETS = assume(None, SESSION, CHILD, "AROAB:step", recipient=SECOND, **FAR)
case("derived-across-accounts", "the parent's key in one record, the child's in the other",
     [TARGETS, CALLERS, derived_use(OUTSIDE, CHILD, account=SECOND)], outside(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-across-accounts-home", "the same, used by the instance",
     [TARGETS, CALLERS, derived_use(OWN, CHILD, account=SECOND)])
case("derived-across-accounts-target-only", "the caller's record is missing: by the session",
     [assume(None, SESSION, CHILD, "AROAB:step", recipient=SECOND), derived_use(OUTSIDE, CHILD, account=SECOND)],
     outside(subject=CHILD, lineage=[SESSION, CHILD]))
case("derived-across-accounts-three-deep", "across two accounts more, by what each knows",
     [TARGETS, CALLERS, assume(CHILD, "AROAB:step", GRANDCHILD, "AROAC:step", at="01:05", account=SECOND, sharedEventID="s4"),
      assume(None, "AROAC:step", THIRD, "AROAD:step", at="01:10", account=SECOND, recipient=FRIEND, sharedEventID="s5"),
      derived_use(OUTSIDE, THIRD, account=FRIEND)], outside(subject=THIRD, lineage=[KEY, CHILD, GRANDCHILD, THIRD]))
case("derived-same-session-name", "somebody else's session of the same role and name went on: no child of ours",
     [ONE, assume("ASIASOMEBODYELSE0000", "AROAB:step", GRANDCHILD, "AROAC:step", sharedEventID="s6"),
      assume(None, "AROAB:step", GRANDCHILD, "AROAC:step", recipient=SECOND, sharedEventID="s6"),
      derived_use(OUTSIDE, GRANDCHILD, account=SECOND)])
case("derived-same-session-name-used", "somebody else's session of the same role and name, in the log of a bucket's account",
     [ONE, derived_use(OUTSIDE, None, account=HOME, recipientAccountId=SECOND, sharedEventID="s8")])
case("derived-inside", "used through the thief's endpoint", [ONE, derived_use(PRIVATE, CHILD, vpcEndpointId=THIEF_VPCE,
                                                                               vpcEndpointAccountId=THIEF, eventVersion="1.11")],
     inside(1, THIEF, THIEF_VPCE, subject=CHILD, lineage=[KEY, CHILD]))
case("derived-in-the-roles-account", "a role of an affiliated account, used from that account's own endpoint",
     [CALLERS, TARGETS, derived_use(PRIVATE, CHILD, account=SECOND, vpcEndpointId=FRIEND_VPCE, vpcEndpointAccountId=SECOND,
                                    eventVersion="1.11")],
     inside(1, SECOND, FRIEND_VPCE, "MEDIUM", relation="affiliated", subject=CHILD, lineage=[KEY, CHILD]),
     inventory=friend(SECOND))
case("derived-home-of-the-parent", "a role of another account, used through the endpoint of the instance's account",
     [CALLERS, TARGETS, derived_use(PRIVATE, CHILD, account=SECOND, vpcEndpointId=HOME_VPCE, vpcEndpointAccountId=HOME,
                                    eventVersion="1.11")])
case("derived-expired", "a derived key after it expired", [ONE, derived_use(OWN, CHILD, at="03:00")],
     expired(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-federation", "GetFederationToken",
     [change(FEDERATE, eventTime=when("01:00"), sourceIPAddress=OWN, userIdentity=identity(KEY, SESSION),
             recipientAccountId=HOME, responseElements__credentials__accessKeyId=CHILD,
             responseElements__credentials__expiration="Sep 14, 2020, 12:43:17 PM"), derived_use(OUTSIDE, CHILD)],
     outside(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-root", "AssumeRoot", [assume(KEY, SESSION, CHILD, "", name="AssumeRoot"), derived_use(OUTSIDE, CHILD)],
     outside(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-web-identity", "AssumeRoleWithWebIdentity needs no key: nobody's child",
     [assume(None, "web", CHILD, "AROAB:step", name="AssumeRoleWithWebIdentity"), derived_use(OUTSIDE, CHILD)])
case("derived-cognito", "GetCredentialsForIdentity",
     [assume(KEY, SESSION, CHILD, "", name="GetCredentialsForIdentity", eventSource="cognito-identity.amazonaws.com"),
      derived_use(OUTSIDE, CHILD)], outside(subject=CHILD, lineage=[KEY, CHILD]))
NEW_KEY = change(CREATE_KEY, eventTime=when("01:00"), sourceIPAddress=OWN, userIdentity=identity(KEY, SESSION),
                 recipientAccountId=HOME, responseElements__accessKey__accessKeyId="AKIABACKDOOR00000001")


def person(key, principal="AIDANEWUSER0000000001", name="malicious-iam-user"):
    value = {"type": "IAMUser", "principalId": principal, "accountId": HOME, "userName": name, "accessKeyId": key}
    return {k: v for k, v in value.items() if v}


case("derived-access-key", "CreateAccessKey, used elsewhere",
     [NEW_KEY, change(USE, eventTime=when("01:20"), sourceIPAddress=OUTSIDE, userIdentity=person("AKIABACKDOOR00000001"))],
     outside(subject="AKIABACKDOOR00000001", lineage=[KEY, "AKIABACKDOOR00000001"]))
case("derived-access-key-home", "CreateAccessKey, used by the instance",
     [NEW_KEY, change(USE, eventTime=when("01:20"), sourceIPAddress=OWN, userIdentity=person("AKIABACKDOOR00000001"))])
NEW_USER = change(CREATE_USER, eventTime=when("01:00"), sourceIPAddress=OWN, userIdentity=identity(KEY, SESSION),
                  recipientAccountId=HOME, responseElements__user__userId="AIDANEWUSER0000000001")
case("derived-user", "CreateUser; whatever that user does follows from it",
     [change(USE, eventTime=when("01:20"), sourceIPAddress=OUTSIDE, userIdentity=person("AKIAMADEBYTHEUSER001")), NEW_USER],
     outside(subject="AKIAMADEBYTHEUSER001", lineage=[KEY, "AIDANEWUSER0000000001"]))
case("derived-user-key-of-user", "the new user makes a key, and that one is used",
     [NEW_USER, change(NEW_KEY, userIdentity=person("ASIACONSOLEOFUSER001"), sourceIPAddress=OWN),
      change(USE, eventTime=when("01:20"), sourceIPAddress=OUTSIDE, userIdentity=person("AKIABACKDOOR00000001", "AIDAELSE"))],
     outside(subject="AKIABACKDOOR00000001", lineage=[KEY, "AIDANEWUSER0000000001", "AKIABACKDOOR00000001"]))


def login(record, at="01:00"):
    return change(record, eventTime=when(at), sourceIPAddress=OWN, userIdentity=identity(KEY, SESSION), recipientAccountId=HOME,
                  requestParameters__userName="eve")


def sign_in(at="01:20", source=OUTSIDE, who=None):
    return change(SIGN_IN, eventTime=when(at), sourceIPAddress=source, recipientAccountId=HOME,
                  userIdentity=who or person(None, "AIDAEVE00000000000001", "eve"))


case("derived-password", "CreateLoginProfile, then a sign-in",
     [sign_in(), change(login(CREATE_LOGIN), responseElements__loginProfile__userName="eve")],
     outside(subject="AIDAEVE00000000000001", lineage=[KEY, f"{HOME}/eve"]))
case("derived-password-changed", "UpdateLoginProfile, then a sign-in", [login(UPDATE_LOGIN), sign_in()],
     outside(subject="AIDAEVE00000000000001", lineage=[KEY, f"{HOME}/eve"]))
case("derived-password-before", "a sign-in an hour before the password was changed is not by it",
     [login(UPDATE_LOGIN), sign_in(at="00:00")])
case("derived-password-other-user", "another user's sign-in",
     [login(CREATE_LOGIN), sign_in(who=person(None, "AIDABOB00000000000001", "bob"))])
case("derived-password-is-no-key", "the user's own access key is not by the password",
     [login(UPDATE_LOGIN), change(USE, eventTime=when("01:20"), sourceIPAddress=OUTSIDE,
                                  userIdentity=person("AKIAOFEVE00000000001", "AIDAEVE00000000000001", "eve"))])
PIVOT = assume(KEY, SESSION, "", "", name="GetSigninToken", eventSource="signin.amazonaws.com", source=OUTSIDE,
               responseElements={"GetSigninToken": "Success"})
for form, name in (("true", "text"), (True, "boolean")):
    case(f"derived-console-{name}", f"GetSigninToken, then a console session (marked by a {name})",
         [PIVOT, use(OUTSIDE, key="ASIACONSOLE000000001", sessionCredentialFromConsole=form)],
         outside(), outside(subject="ASIACONSOLE000000001", lineage=[KEY, SESSION]))
case("derived-console-sign-in", "GetSigninToken, then ConsoleLogin of that session",
     [PIVOT, sign_in(who={"type": "AssumedRole", "principalId": SESSION, "accountId": HOME})],
     outside(), outside(subject=SESSION, lineage=[KEY, SESSION]))
HOST = assume(KEY, SESSION, "", "", name="RequestManagedInstanceRoleToken", eventSource="ssm.amazonaws.com",
              responseElements={"accessKeyId": CHILD, "tokenExpirationDate": "Sep 14, 2020, 2:00:00 AM"})
case("derived-host-management", "Systems Manager's default host management: a key that no proxy saw, at home",
     [HOST, use(OWN, key=CHILD)], ledgers=[ledger(coverage=[covered()])])
case("derived-host-management-stolen", "the same, used elsewhere", [use(OUTSIDE, key=CHILD), HOST],
     outside(subject=CHILD, lineage=[KEY, CHILD]), ledgers=[ledger(coverage=[covered()])])
ONCE = {"sharedEventID": "s7"}
case("home-seen-twice", "a call across accounts, in both logs, one without the key: one use, at home",
     [use(OWN, **ONCE), use(OWN, recipientAccountId=SECOND, userIdentity=identity(None, SESSION), **ONCE)])
case("outside-seen-twice", "the same, stolen: one use",
     [use(OUTSIDE, recipientAccountId=SECOND, userIdentity=identity(None, SESSION), **ONCE), use(OUTSIDE, **ONCE)], outside())
case("outside-seen-by-the-other-only", "only the resource's account logged it: by the session",
     [use(OUTSIDE, recipientAccountId=SECOND, userIdentity=identity(None, SESSION), **ONCE)], outside(subject=SESSION))

# ---- never relayed

COVERED = ledger(coverage=[covered()])
case("bypass-home", "issued and used under coverage, never handed out", [issue(THIRD_KEY), use(OWN, key=THIRD_KEY)],
     never(), ledgers=[COVERED])
case("bypass-use-first", "the use is read first", [use(OWN, key=THIRD_KEY), issue(THIRD_KEY)], never(), ledgers=[COVERED])
case("bypass-outside", "the same, and stolen", [issue(THIRD_KEY), use(OUTSIDE, key=THIRD_KEY)],
     never(OUTSIDE, 6), outside(subject=THIRD_KEY), ledgers=[COVERED])
case("bypass-endpoint", "used at home through an endpoint",
     [issue(THIRD_KEY), through(HOME_VPCE, HOME, key=THIRD_KEY)], never(None, endpoint=HOME_VPCE), ledgers=[COVERED])
case("bypass-version-1", "no record of the issue, but delivered by IMDSv1, which the proxy never uses",
     [use(OWN, key=THIRD_KEY, **delivered_by("1.0", "00:50"))], never(), ledgers=[COVERED])
case("bypass-version-2", "no record of the issue, delivered by IMDSv2: no evidence",
     [use(OWN, key=THIRD_KEY, **delivered_by("2.0", "00:50"))], ledgers=[COVERED])
case("bypass-version-1-before-the-ledger", "delivered by IMDSv1 before the ledger began",
     [use(OWN, key=THIRD_KEY, **delivered_by("1.0", "00:30"))], ledgers=[COVERED])
case("bypass-relayed", "issued and handed out", [issue(KEY), use(OWN)], ledgers=[COVERED])
case("bypass-several-issued", "three issued at once, one handed out, the others unused",
     [issue(KEY), issue(OTHER_KEY), issue(THIRD_KEY), use(OWN)], ledgers=[COVERED])
case("bypass-several-used", "three issued at once, two handed out, all used",
     [issue(KEY), issue(OTHER_KEY), issue(THIRD_KEY), use(OWN), use(OWN, key=OTHER_KEY), use(OWN, key=THIRD_KEY)],
     never(), ledgers=[ledger([delivery(), delivery(OTHER_KEY)], coverage=[covered()])])
case("bypass-no-coverage", "no coverage at all", [issue(THIRD_KEY), use(OWN, key=THIRD_KEY)])
case("bypass-gap", "a gap between issue and use", [issue(THIRD_KEY), use(OWN, key=THIRD_KEY)],
     ledgers=[ledger(coverage=[covered(until="00:55"), covered(since="01:00")])])
case("bypass-gap-after", "a gap after the use", [issue(THIRD_KEY), use(OWN, key=THIRD_KEY)], never(),
     ledgers=[ledger(coverage=[covered(until="01:30"), covered(since="02:00")])])
case("bypass-before-the-ledger", "issued before the ledger began", [issue(THIRD_KEY, at="00:30"), use(OWN, key=THIRD_KEY)],
     ledgers=[COVERED])
case("bypass-behind-the-ledger", "used after its newest row", [issue(THIRD_KEY), use(OWN, key=THIRD_KEY, at="03:30")],
     ledgers=[COVERED])
case("bypass-redirect-down", "the redirect was not whole", [issue(THIRD_KEY), use(OWN, key=THIRD_KEY)],
     ledgers=[ledger(coverage=[covered(whole=False)])])
case("bypass-key-of-another-instance", "issued for another instance than the session says",
     [issue(THIRD_KEY, instance=OTHER_INSTANCE), use(OWN, key=THIRD_KEY, **delivered_by("2.0"))], ledgers=[COVERED])
case("bypass-unknown-instance", "an instance that no ledger knows",
     [issue(THIRD_KEY, instance=OTHER_INSTANCE), use(OWN, key=THIRD_KEY, instance=OTHER_INSTANCE)], ledgers=[COVERED])
case("bypass-not-issued", "Systems Manager's key, not issued by EC2, its own record missing",
     [use(OWN, key=THIRD_KEY, **delivered_by(None))], ledgers=[COVERED])
case("bypass-by-aws", "EC2's own role", [issue(THIRD_KEY), use("AWS Internal", key=THIRD_KEY)], ledgers=[COVERED])
case("bypass-clock", "the machine's clock is an hour behind, its ledger covers its own time",
     [issue(THIRD_KEY, at="01:50"), use(OWN, key=THIRD_KEY, at="02:10")], never(),
     ledgers=[ledger(placements=[place(OWN, offset=3600000)], coverage=[covered(since="00:40", until="01:20")])])
case("bypass-clock-not-covered", "the same, where only AWS's time would be covered",
     [issue(THIRD_KEY, at="01:50"), use(OWN, key=THIRD_KEY, at="02:10")],
     ledgers=[ledger(placements=[place(OWN, offset=3600000)], coverage=[covered(since="01:45", until="02:30")])])
case("bypass-coverage-of-another-ledger", "another machine's ledger covers that time, this one's does not",
     [issue(THIRD_KEY), use(OWN, key=THIRD_KEY)],
     ledgers=[KNOWN, ledger([delivery(OTHER_KEY, instance=OTHER_INSTANCE)],
                            [place("198.51.100.20", instance=OTHER_INSTANCE)], [covered()])])

# ---- without a ledger, several ledgers

case("no-ledger-outside", "any instance's session, from outside", [use(OUTSIDE)], outside(), ledgers=[])
case("no-ledger-inside", "through another account's endpoint", [through(THIEF_VPCE, THIEF)], inside(1, THIEF, THIEF_VPCE),
     ledgers=[])
case("no-ledger-home-endpoint", "through the home account's endpoint", [through(HOME_VPCE, HOME)], ledgers=[])
case("no-ledger-home-inventory", "by a NAT gateway of the inventory", [use(EC2)], ledgers=[], inventory=own(egress=[EC2]))
case("no-ledger-home-learned", "by an elastic address that the instance had", [allocate("00:05", HOME),
     associate("00:06", HOME, INSTANCE), use(EC2)], ledgers=[])
case("no-ledger-other-instance", "by an elastic address that another machine had", [allocate("00:05", HOME),
     associate("00:06", HOME, OTHER_INSTANCE), use(EC2)], elsewhere(4, EC2), ledgers=[])
case("no-ledger-private", "a private address says nothing", [use("192.168.9.9")], ledgers=[])
case("no-ledger-other-session", "no instance's session", [use(OUTSIDE, instance="deploy")], ledgers=[])
case("no-ledger-odd-instance", "an anonymised instance is none", [use(OUTSIDE, instance="i-DDd6c7B0e18F0E35f")], ledgers=[])
case("no-ledger-scope", "inScopeOf names account and instance",
     [use(OUTSIDE, instance="batch", userIdentity__inScopeOf={
         "issuerType": "AWS::EC2::Instance", "sourceAccount": HOME,
         "credentialsIssuedTo": f"arn:aws:ec2:us-east-1:{HOME}:instance/{INSTANCE}"})], outside(), ledgers=[])
case("no-ledger-scope-lambda", "inScopeOf of something else", [use(OUTSIDE, instance="batch", userIdentity__inScopeOf={
    "issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": f"arn:aws:lambda:us-east-1:{HOME}:function:f"})], ledgers=[])
case("no-ledger-derived", "a role that an instance's session assumed", [ONE, derived_use(OUTSIDE, CHILD)],
     outside(subject=CHILD, lineage=[SESSION, CHILD]), ledgers=[], inventory=own(egress=[OWN]))
case("two-ledgers", "a key of each is stolen", [use(OUTSIDE), use(OUTSIDE, key=OTHER_KEY, instance=OTHER_INSTANCE)],
     outside(), outside(subject=OTHER_KEY),
     ledgers=[KNOWN, ledger([delivery(OTHER_KEY, instance=OTHER_INSTANCE)], [place("198.51.100.20", instance=OTHER_INSTANCE)])])
case("one-ledger-of-two-machines", "a merged ledger: each key is at home at its own machine",
     [use(OWN), use("198.51.100.20", key=OTHER_KEY, instance=OTHER_INSTANCE)],
     ledgers=[ledger([delivery(), delivery(OTHER_KEY, instance=OTHER_INSTANCE)],
                     [PLACE, place("198.51.100.20", instance=OTHER_INSTANCE)])])
case("one-ledger-of-two-machines-swapped", "a merged ledger: each key is used at the other machine",
     [use("198.51.100.20"), use(OWN, key=OTHER_KEY, instance=OTHER_INSTANCE)],
     elsewhere(4, "198.51.100.20"), elsewhere(4, OWN, subject=OTHER_KEY),
     ledgers=[ledger([delivery(), delivery(OTHER_KEY, instance=OTHER_INSTANCE)],
                     [PLACE, place("198.51.100.20", instance=OTHER_INSTANCE)])])

# ---- forms, duplicates, addenda

TWICE = use(OUTSIDE)
case("duplicate", "one event, delivered three times", [TWICE, TWICE, TWICE], outside())
FIRST = use(OUTSIDE)
case("addendum", "an addendum stands for the event that it updates",
     [FIRST, use(OUTSIDE_2, addendum={"reason": "UPDATED_DATA", "originalEventID": FIRST["eventID"]})], outside(OUTSIDE_2))
LATE = use(OUTSIDE)
case("addendum-explains", "an addendum that says it was at home",
     [use(OWN, addendum={"reason": "UPDATED_DATA", "originalEventID": LATE["eventID"]}), LATE])
EVENT = use(OUTSIDE)
case("form-lookup-events", "as LookupEvents prints it",
     [{"EventId": EVENT["eventID"], "EventName": EVENT["eventName"], "CloudTrailEvent": json.dumps(EVENT)}], outside())
case("form-lookup-events-derived", "AssumeRole as LookupEvents prints it",
     [{"EventId": "x", "EventName": "AssumeRole", "CloudTrailEvent": json.dumps(ONE)}, derived_use(OUTSIDE, CHILD)],
     outside(subject=CHILD, lineage=[KEY, CHILD]))
case("form-event-bridge", "as EventBridge passes it on",
     [{"version": "0", "id": "e", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": use(OUTSIDE)}],
     outside())
ODD = use(OUTSIDE)
ODD["@timestamp"] = ODD.pop("eventTime")
case("form-logstash", "as Logstash keeps it", [ODD], outside())

# ---- suppressions

HIDES = {"type": OUTSIDE_AWS, "remote": "203.0.113.0/24", "reason": "the office"}
case("suppressed", "known, by address", [use(OUTSIDE)], outside(suppressed=True), inventory={"suppressions": [HIDES]})
case("suppressed-over", "the suppression is over", [use(OUTSIDE)], outside(),
     inventory={"suppressions": [{**HIDES, "expires": "2024-01-01"}]})
case("suppressed-account", "known, by account", [through(THIEF_VPCE, THIEF)],
     inside(1, THIEF, THIEF_VPCE, suppressed=True),
     inventory={"suppressions": [{"type": INSIDE, "remote": THIEF, "reason": "a partner, NET-7", "expires": "2999-01-01"}]})
case("suppressed-spoofed", "an address behind an endpoint is not what was meant", [through(THIEF_VPCE, THIEF, source=OUTSIDE)],
     inside(1, THIEF, THIEF_VPCE), inventory={"suppressions": [{**HIDES, "type": "*"}]})


# ---- found by looking for what could be judged wrongly

case("aws-service-long-endpoint", "a service calls on through an endpoint of its own with an id of today's length",
     [use("athena.amazonaws.com", vpcEndpointId="vpce-0dddddddddddddddd", userAgent="athena.amazonaws.com")])
case("inside-service-behind-an-endpoint", "a service's name as the source does not excuse a stranger's endpoint",
     [through(THIEF_VPCE, THIEF, source="appstream.amazonaws.com")], inside(1, THIEF, THIEF_VPCE))
case("inside-service-behind-an-endpoint-of-the-inventory", "the same, with the owner known by the inventory alone",
     [through(FRIEND_VPCE, source="appstream.amazonaws.com")],
     inside(2, FRIEND, FRIEND_VPCE, "MEDIUM", relation="affiliated"), inventory=friend(endpoints=[FRIEND_VPCE]))
case("aws-service-europe", "a service's name in the European partition", [use("athena.amazonaws.eu")])
case("aws-service-isolated", "a service's name in an isolated partition", [use("athena.c2s.ic.gov")])
case("other-instance-lookalike", "a name that only begins like a service's", [use("athena.amazonaws.com.example.org")],
     elsewhere(7, "athena.amazonaws.com.example.org"))
case("inside-codebuild", "CodeBuild runs anybody's code: inside AWS, account unknown, though its range is none of EC2's",
     [use("52.43.76.89")], inside(5, None, severity="MEDIUM", address="52.43.76.89"))
case("outside-api-gateway", "a range within EC2's that no instance has: the longest prefix counts",
     [use("44.234.28.9")], outside("44.234.28.9"))
case("home-nat-further-address", "a second address of a NAT gateway",
     [ec2("AssociateNatGatewayAddress", "00:30", HOME, {"AssociateNatGatewayAddressRequest": {"NatGatewayId": "nat-1"}},
          {"AssociateNatGatewayAddressResponse": {"natGatewayId": "nat-1", "natGatewayAddressSet": {"item": [
              {"allocationId": "eipalloc-1", "publicIp": EC2_2}, {"allocationId": "eipalloc-2", "publicIp": EC2}]}}}),
      use(EC2)])
case("home-nat-address-of-another-gateway-account", "the further address of an affiliated hub's gateway",
     [ec2("AssociateNatGatewayAddress", "00:30", HUB, {}, {"AssociateNatGatewayAddressResponse": {
         "natGatewayId": "nat-2", "natGatewayAddressSet": {"item": {"allocationId": "eipalloc-3", "publicIp": EC2}}}}), use(EC2)],
     inside(4, HUB, severity="MEDIUM", relation="affiliated", address=EC2), inventory=friend(HUB))


def accept(at, account, address=EC2):
    return ec2("AcceptAddressTransfer", at, account, {"AcceptAddressTransferRequest": {"Address": address}},
               {"AcceptAddressTransferResponse": {"addressTransfer": {
                   "publicIp": address, "allocationId": f"eipalloc-{account}{address}", "transferAccountId": account}}})


case("inside-address-transferred", "an elastic address that the home account handed to another one",
     [allocate("00:05", HOME), accept("00:30", THIEF), use(EC2)], inside(4, THIEF, address=EC2))
case("home-address-transferred", "an elastic address that the home account took over",
     [allocate("00:05", THIEF), accept("00:30", HOME), use(EC2)])
case("home-address-transferred-later", "handed over an hour after the use",
     [allocate("00:05", HOME), accept("02:10", THIEF), use(EC2)])
case("inside-address-passed-on-unsaid", "the release is missing: whoever allocated last has it",
     [allocate("00:05", HOME), allocate("00:40", THIEF), use(EC2)], inside(4, THIEF, address=EC2))
case("inside-address-allocated-after", "whose it was before it was allocated is not known",
     [allocate("02:00", THIEF), use(EC2)], inside(5, None, severity="MEDIUM", address=EC2))
case("home-endpoint-of-another-vpc", "another machine of the home account behind an endpoint of the home account's: not seen, "
     "since behind an endpoint an address says nothing", [through(HOME_VPCE, HOME, source="10.99.0.7")])
case("home-ipv6-of-the-vpc", "IPv6 egress from the VPC's range", [use("2600:1f18:0:99::7")],
     ledgers=[ledger(placements=[place(OWN, "2600:1f18::/48")])])
case("other-instance-ipv6-out-of-the-vpc", "an IPv6 address that EC2 says another machine of the account had",
     [run("00:05", HOME, OTHER_INSTANCE, v6="2600:1f18:2::9"), use("2600:1f18:2::9")],
     elsewhere(4, "2600:1f18:2::9"), ledgers=[ledger(placements=[place(OWN, "2600:1f18::/48")])])
case("outside-delivered-late", "delivered a day late, as the record says", [use(OUTSIDE, addendum={"reason": "DELIVERY_DELAY"})],
     outside())
ONCE = use(OUTSIDE)
case("duplicate-two-regions", "one event in the files of two regions' trails", [ONCE, ONCE, use(OUTSIDE, at="01:20")],
     outside(count=2))
case("home-global-service", "a global service's record, in us-east-1",
     [use(OWN, awsRegion="us-east-1", eventSource="iam.amazonaws.com", eventName="GetRole")])
case("outside-cloudshell", "CloudShell of a console session that a stolen session made: a place in EC2 that nobody knows",
     [use(EC2, key=THIRD_KEY, userAgent="aws-cli/2.15 exec-env/CloudShell", sessionCredentialFromConsole="true")],
     inside(5, None, severity="MEDIUM", subject=THIRD_KEY, address=EC2))
TASK = f"{ROLE_ID}:0123456789abcdef0123456789abcdef"
case("home-task-key", "a container task's key, whose session is no instance's, at home",
     [use(PRIVATE, userIdentity__principalId=TASK), use(OWN, userIdentity__principalId=TASK)])
case("outside-task-key", "the same from elsewhere", [use(OUTSIDE, userIdentity__principalId=TASK)], outside())
case("home-presigned", "a presigned URL that the machine itself opened",
     [use(OWN, eventName="GetObject", additionalEventData={"AuthenticationMethod": "QueryString"})])
POD = assume(KEY, SESSION, CHILD, "", name="AssumeRoleForPodIdentity", eventSource="eks-auth.amazonaws.com",
             responseElements__assumedRoleUser={"assumeRoleId": "AROAB:eks-cluster-pod", "arn": "x"})
case("derived-pod-identity", "a pod's key, which the node's key got for it, used elsewhere",
     [POD, derived_use(OUTSIDE, CHILD, "AROAB:eks-cluster-pod")], outside(subject=CHILD, lineage=[KEY, CHILD]))
case("derived-pod-identity-home", "the pod's key in the node's VPC",
     [POD, derived_use(PRIVATE, CHILD, "AROAB:eks-cluster-pod")])
case("derived-by-a-service", "a service goes on with a derived session, and names itself as the source",
     [ONE, derived_use("glue.amazonaws.com", CHILD, userAgent="glue.amazonaws.com")])
case("expired-clock", "four minutes after its end, by AWS's clock", [use(OWN, at="2020-09-14T07:14:20Z")])
case("expired-hours", "hours after its end, refused",
     [use(OWN, at="2020-09-14T11:00:00Z", errorCode="ExpiredToken")], expired())


# ---- parties with several endpoints

case("suppressed-endpoint", "known, by endpoint", [through(THIEF_VPCE, THIEF)], inside(1, THIEF, THIEF_VPCE, suppressed=True),
     inventory={"suppressions": [{**HIDES, "type": "*", "remote": THIEF_VPCE}]})
case("suppressed-endpoint-of-two", "the account has another endpoint, of which nobody said that it is known",
     [through(THIEF_VPCE, THIEF, at="01:10"), through("vpce-0bbbbbbbbbbbbbbb0", THIEF, at="01:20")],
     inside(1, THIEF, THIEF_VPCE, count=2), inventory={"suppressions": [{**HIDES, "type": "*", "remote": THIEF_VPCE}]})
case("suppressed-endpoint-and-address", "the account has an address, too",
     [allocate("00:05", THIEF), through(THIEF_VPCE, THIEF), use(EC2)], inside(1, THIEF, THIEF_VPCE, count=2),
     inventory={"suppressions": [{**HIDES, "type": "*", "remote": THIEF_VPCE}]})
case("home-hub-endpoint-trusted", "the hub's endpoint, through which every account of ours goes, by the inventory",
     [through(FRIEND_VPCE, HUB)], inventory={**friend(HUB), "trusted_egress": [FRIEND_VPCE]})
case("home-hub-endpoint-trusted-old", "the same in a record that does not name the owner", [through(FRIEND_VPCE)],
     inventory={**friend(HUB, endpoints=[FRIEND_VPCE]), "trusted_egress": [FRIEND_VPCE]})
CALL = use(EC2)
case("home-hub-endpoint-trusted-activity", "the call's own record names no endpoint, the hub's record of it does",
     [CALL, activity(CALL, HUB, FRIEND_VPCE)], inventory={**friend(HUB), "trusted_egress": [FRIEND_VPCE]})
case("inside-hub-endpoint-beside-a-trusted-one", "another endpoint of the hub's", [through(THIEF_VPCE, HUB)],
     inside(1, HUB, THIEF_VPCE, "MEDIUM", relation="affiliated"), inventory={**friend(HUB), "trusted_egress": [FRIEND_VPCE]})

# ---- endpoints of AWS's own, by their owner

case("aws-endpoint-owner", "an endpoint in a network of AWS's own, which CloudTrail names in place of an account",
     [through(THIEF_VPCE, "AWS Internal")])
case("aws-endpoint-owner-service", "the same with the name of a service", [through(THIEF_VPCE, "redshift.amazonaws.com")])

# ---- addresses that are called otherwise

case("home-address-of-a-carrier", "in a Wavelength zone: the carrier's address that the home account was given",
     [ec2("AllocateAddress", "00:05", HOME, {"domain": "vpc", "networkBorderGroup": "us-east-1-wl1-bos-wlz-1"},
          {"carrierIp": EC2, "domain": "vpc", "allocationId": f"eipalloc-{HOME}{EC2}"}),
      associate("00:06", HOME, INSTANCE), use(EC2)])
case("home-address-of-the-customer", "on an Outpost: an address of the customer's own pool",
     [ec2("AllocateAddress", "00:05", HOME, {"domain": "vpc", "customerOwnedIpv4Pool": "ipv4pool-coip-1"},
          {"customerOwnedIp": OUTSIDE, "domain": "vpc", "allocationId": "eipalloc-coip"}), use(OUTSIDE)])


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, content in cases.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"{len(cases)} scenarios")


if __name__ == "__main__":
    main()
