# SPDX-License-Identifier: Apache-2.0
"""What real clients send, byte for byte, is answered as the service itself answers it. tests/data/clients.jsonl was recorded
from their runs (tests/interop/record.py); the requests of a few more were written down after their descriptions."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, IMDS_V6, ROLE_PATH, ROOT, TOKEN_HEADER, TTL_HEADER, Instance, needs_world  # noqa: E402
from wire import Wire, request, steady  # noqa: E402

pytestmark = needs_world
RECORDED = {row["client"]: row["requests"]
            for row in map(json.loads, (ROOT / "tests/data/clients.jsonl").read_text().splitlines())}
QUIRKS = ("user-agent:", "Expect: 100-continue", "Transfer-Encoding: chunked", "TE: deflate", "{token}", "content-length:0")


def put(ttl, *lines, name=TTL_HEADER.lower()):
    return request("PUT", "/latest/api/token", *lines, f"{name}: {ttl}").decode()


def get(path, *lines, name=TOKEN_HEADER.lower()):
    return request("GET", path, *lines, f"{name}: {{token}}").decode()


NODE = ["Connection: keep-alive"]
DESCRIBED = {
    "JS v3": [put(21600, *NODE, "Content-Length: 0"), get(ROLE_PATH, *NODE), get(ROLE_PATH + "web-server", *NODE)],
    "JS v2": [put(21600, "Content-Length: 0", "Connection: close"), get(ROLE_PATH, "Connection: close"),
              get(ROLE_PATH + "web-server", "Connection: close")],
    "@aws-sdk/ec2-metadata-service, two slashes": [put(21600, *NODE), get("//latest/meta-data/instance-id", *NODE),
                                                   get("//latest/dynamic/instance-identity/document", *NODE)],
    "minio-js, two slashes": [put(21600, *NODE, name=TTL_HEADER), get(ROLE_PATH, name=TOKEN_HEADER),
                              get(ROLE_PATH + "/web-server", name=TOKEN_HEADER)],
    "CRT over IPv6, without brackets": [put(21600, "Connection: keep-alive").replace("169.254.169.254", "fd00:ec2::254"),
                                        get(ROLE_PATH).replace("169.254.169.254", "fd00:ec2::254")],
    ".NET, list without slash": [put(21600, "Content-Length: 0"), get(ROLE_PATH.rstrip("/"))],
    "EC2 Instance Connect": [put(5, name="X-aws-ec2-metadata-token-ttl-seconds"),
                             get("/latest/meta-data/managed-ssh-keys/active-keys/ec2-user/").replace("GET", "HEAD"),
                             get("/latest/meta-data/placement/availability-zone/")],
    "Azure probe": [request("GET", "/metadata/instance?api-version=2021-02-01", "Metadata: true").decode()],
    "Google probe": [request("GET", "/", "Metadata-Flavor: Google").decode()],
}
CLIENTS = {**RECORDED, **DESCRIBED}


@pytest.fixture(scope="module")
def both():
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as running:
        yield Wire(running.world, "host"), Wire(running.world, "imds")


def replay(wire, requests, address):
    """Answers to a client's requests; each gets the token that the one before was given."""
    token = "none"
    for text in requests:
        answer = wire.send(text.replace("{token}", token).encode("latin-1"), address=address)
        if text.startswith("PUT ") and answer.status == 200:
            token = answer.body.decode()
        yield answer


@pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6], ids=["v4", "v6"])
@pytest.mark.parametrize("name", CLIENTS)
def test_client_is_answered_as_by_the_service(both, name, address):
    through, straight = (list(replay(wire, CLIENTS[name], address)) for wire in both)
    for text, ours, service in zip(CLIENTS[name], through, straight):
        assert (ours.status, ours.end) == (service.status, "eof"), (text, service, ours)
        is_token = text.startswith("PUT ")
        if service.status != 417:  # the service's has a page for a body
            assert steady(ours.raw, is_token) == steady(service.raw, is_token), text


def test_the_table_has_the_quirks_that_it_is_for():
    everything = "".join(text for requests in RECORDED.values() for text in requests)
    assert len(RECORDED) >= 29 and all(quirk in everything for quirk in QUIRKS)
