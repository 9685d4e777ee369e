# SPDX-License-Identifier: Apache-2.0
"""From a process that is served a key to the finding that names it: real CloudTrail records of a real theft."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import ROOT, Instance, needs_world

pytestmark = needs_world

DATA = ROOT / "tests" / "data" / "cloudtrail"
STOLEN = "ASIA5FLZVX4OPVKKVBMX"  # of otrf/ec2_proxy_s3_exfiltration.jsonl, which names its source
HOME = "123456789123"            # the account that the records were rewritten to
DOCUMENT = f"""{{
  "Code" : "Success",
  "LastUpdated" : "2020-09-14T00:40:00Z",
  "Type" : "AWS-HMAC",
  "AccessKeyId" : "{STOLEN}",
  "SecretAccessKey" : "notasecretnotasecretnotasecretnotasecret",
  "Token" : "STRIPPED",
  "Expiration" : "2020-09-14T07:10:27Z"
}}"""


def serve_stolen_document(instance):
    """Gives the stolen key to a process in the world, through the proxy."""
    document = instance.folder / "document.json"
    document.write_text(DOCUMENT)
    instance.imds.set("credentials", str(document))
    assert instance.credentials(user="nobody")["AccessKeyId"] == STOLEN
    return instance.row(f"access_key_id = '{STOLEN}'")


@pytest.fixture(scope="module")
def instance():
    with Instance(account=HOME, public_ip="198.51.100.23") as running:
        running.stolen = serve_stolen_document(running)
        yield running


def detect(instance, *words):
    done = instance.keytrail("detect", "--findings", "none", "-o", "jsonl", *words)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_real_theft_is_one_finding_with_its_process(instance):
    status, findings = detect(instance, str(DATA / "otrf"))
    assert status == 3 and len(findings) == 1
    finding = findings[0]
    assert finding["type"] == "InstanceCredentialExfiltration.OutsideAWS" and finding["severity"] == "HIGH"
    assert (finding["access_key_id"], finding["count"]) == (STOLEN, 11)
    assert len(set(finding["event_ids"])) == 11 and finding["remote"]["address"] == "1.2.3.4"
    assert finding["owner"]["account_id"] == HOME
    suspects = finding["suspects"]
    assert [suspect["process"]["pid"] for suspect in suspects] == [instance.stolen["pid"]]
    assert suspects[0]["process"]["exe"] == "/usr/bin/curl" and suspects[0]["reasons"]


def test_own_egress_is_no_theft(instance):
    inventory = instance.folder / "inventory.json"
    inventory.write_text(json.dumps({"own": [{"account_id": HOME, "egress": ["1.2.3.4"]}]}))
    assert detect(instance, str(DATA / "otrf"), "--inventory", str(inventory)) == (0, [])


def test_own_public_address_needs_no_inventory():
    with Instance(account=HOME, public_ip="1.2.3.4") as instance:
        serve_stolen_document(instance)
        assert detect(instance, str(DATA / "otrf")) == (0, [])


def test_all_real_records_are_read(instance):
    status, findings = detect(instance, str(DATA / "stratus"))
    assert (status, findings) == (0, [])
    done = instance.keytrail("detect", "--findings", "none", str(DATA / "stratus"))
    assert "35 files read" in done.stderr and "310 records" in done.stderr
