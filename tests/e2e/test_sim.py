# SPDX-License-Identifier: Apache-2.0
"""imds-sim answers as the metadata service does: byte for byte, in both server generations.

Raw sockets throughout, since an HTTP library would hide what is compared here. All traffic stays on loopback or in
network namespaces made for the test."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from imds import Imds, binary  # noqa: E402

TOKEN = "/latest/api/token"
META = "/latest/meta-data/"
ROLES = META + "iam/security-credentials/"
ROLE = ROLES + "web-server"
EXTENDED = META + "iam/security-credentials-extended/"
IDENTITY = META + "identity-credentials/ec2/security-credentials/ec2-instance"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TASKS = META + "iam-ecs-0a1b2c3d4e5f60718/"
PROTOCOL = {"a": "HTTP/1.1", "b": "HTTP/1.0"}
DATE = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

# The error page as it was captured, one list item a line; only its third line differs between generations.
PAGE = ['<?xml version="1.0" encoding="iso-8859-1"?>',
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"',
        'INDENT"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">',
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">',
        " <head>", "  <title>TITLE</title>", " </head>", " <body>", "  <h1>TITLE</h1>", " </body>", "</html>", ""]


def page(variant, title):
    text = "\n".join(PAGE).replace("INDENT", "\t\t " if variant == "a" else "\t")
    return text.replace("TITLE", title).encode()


def connect(imds):
    client = socket.create_connection(imds.address, timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_all(client):
    data = b""
    while chunk := client.recv(65536):
        data += chunk
    return data


def send(imds, raw):
    """One connection: send, then read to the end, which must come without our closing first."""
    with connect(imds) as client:
        client.sendall(raw)
        return read_all(client)


def request(method, path, *headers, version="HTTP/1.1"):
    return "\r\n".join([f"{method} {path} {version}", "Host: 169.254.169.254", *headers, "", ""]).encode()


class Answer:
    def __init__(self, raw):
        head, separator, self.body = raw.partition(b"\r\n\r\n")
        assert separator, raw
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(self.line.split()[1])
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.ttl = self.headers.get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds")


def ask(imds, method, path, *headers):
    return Answer(send(imds, request(method, path, *headers)))


def new_token(imds, ttl=21600):
    answer = ask(imds, "PUT", TOKEN, f"{TTL}: {ttl}")
    assert answer.status == 200, answer.line
    return answer.body.decode()


def with_token(imds, ttl=21600):
    return f"X-aws-ec2-metadata-token: {new_token(imds, ttl)}"


def get(imds, path, *headers):
    return ask(imds, "GET", path, with_token(imds), *headers)


def expected(variant, status, headers, body=b""):
    return "\r\n".join([f"{PROTOCOL[variant]} {status}", *headers, "", ""]).encode() + body


def undated(raw):
    return re.sub((r"\r\n(Date|Last-Modified): " + DATE).encode(), rb"\r\n\1: DATE", raw)


@pytest.fixture(params=["a", "b"], name="variant")
def fixture_variant(request):
    return request.param


@pytest.fixture(name="imds")
def fixture_imds(variant):
    with Imds(variant=variant) as imds:
        yield imds


@pytest.fixture(name="optional")
def fixture_optional(variant):
    with Imds(variant=variant, tokens="optional") as imds:
        yield imds


# ---- exact answers: every byte but dates, tokens and secrets

ERROR_A = ["Content-Length: 0", "Date: DATE", "Server: EC2ws", "Connection: close", "Content-Type: text/plain"]
ERROR_B = ["Content-Length: 0", "Content-Type: text/plain", "Date: DATE", "Connection: close", "Server: EC2ws"]


def page_a(length):
    return ["Content-Type: text/html", f"Content-Length: {length}", "Date: DATE", "Server: EC2ws", "Connection: close"]


def page_b(length):
    return [f"Content-Length: {length}", "Content-Type: text/html", "Date: DATE", "Connection: close", "Server: EC2ws"]


# name: request, (status, headers, page title or None) in a, the same in b
PLAIN = {
    "400 for a PUT without TTL": (
        request("PUT", TOKEN), ("400 Bad Request", ERROR_A, None),
        ("400 Bad Request", page_b(341), "400 - Bad Request")),
    "401 for a GET without token": (
        request("GET", META + "mac"), ("401 Unauthorized", ERROR_A, None),
        ("401 Unauthorized", page_b(343), "401 - Unauthorized")),
    "403 for a PUT that was forwarded": (
        request("PUT", TOKEN, f"{TTL}: 60", "X-Forwarded-For: 1.2.3.4"), ("403 Forbidden", ERROR_A, None),
        ("403 Forbidden", ERROR_B, None)),
    "405 for a GET of the token path": (
        request("GET", TOKEN), ("405 Not Allowed", ["Allow: OPTIONS, PUT", *ERROR_A], None),
        ("405 Method Not Allowed", ["Allow: OPTIONS, PUT", "Content-Length: 0", "Date: DATE", "Connection: close",
                                    "Server: EC2ws"], None)),
    "405 for a PUT elsewhere": (
        request("PUT", META + "mac", f"{TTL}: 60"), ("405 Not Allowed", ["Allow: OPTIONS, GET, HEAD", *ERROR_A], None),
        ("405 Method Not Allowed", ["Allow: OPTIONS, GET, HEAD", "Content-Length: 0", "Date: DATE",
                                    "Connection: close", "Server: EC2ws"], None)),
    "417 for Expect": (
        request("PUT", TOKEN, f"{TTL}: 60", "Expect: 100-continue"),
        ("417 Expectation Failed", page_a(357), "417 - Expectation Failed"),
        ("417 Expectation Failed", page_b(355), "417 - Expectation Failed")),
}


@pytest.mark.parametrize("name", PLAIN)
def test_exact_answer_without_token(imds, variant, name):
    raw, *answers = PLAIN[name]
    status, headers, title = answers["ab".index(variant)]
    body = page(variant, title) if title else b""
    assert undated(send(imds, raw)) == expected(variant, status, headers, body)


def test_exact_token_answer(imds, variant):
    raw = send(imds, request("PUT", TOKEN, f"{TTL}: 21600"))
    token = raw[-56:]
    ttl = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600"
    headers = {"a": [ttl, "Content-Length: 56", *ERROR_A[1:]],
               "b": ["Content-Length: 56", "Content-Type: text/plain", "Date: DATE", ttl, *ERROR_B[3:]]}
    assert undated(raw) == expected(variant, "200 OK", headers[variant], token)
    assert re.fullmatch(rb"AQAEA[A-Za-z0-9_-]{49}==", token)


def value_headers(variant, length, ttl=None, content_type="text/plain"):
    ttl = [f"X-Aws-Ec2-Metadata-Token-Ttl-Seconds: {ttl}"] if ttl else []
    if variant == "a":
        return [*ttl, f"Content-Type: {content_type}", "Accept-Ranges: none", "Last-Modified: DATE",
                f"Content-Length: {length}", "Date: DATE", "Server: EC2ws", "Connection: close"]
    return ["Accept-Ranges: bytes", f"Content-Length: {length}", f"Content-Type: {content_type}", "Date: DATE",
            "Last-Modified: DATE", *ttl, "Connection: close", "Server: EC2ws"]


def test_exact_value_with_token(imds, variant):
    raw = undated(send(imds, request("GET", META + "instance-id", with_token(imds))))
    assert raw == expected(variant, "200 OK", value_headers(variant, 19, 21600), b"i-0123456789abcdef0")


def test_exact_value_without_token(optional, variant):
    raw = undated(send(optional, request("GET", META + "instance-id")))
    assert raw == expected(variant, "200 OK", value_headers(variant, 19), b"i-0123456789abcdef0")


def test_exact_user_data(imds, variant):
    raw = undated(send(imds, request("GET", "/latest/user-data", with_token(imds))))
    body = b"#!/bin/sh\nprintf 'binary: \0\1\2\xff\\n'\n\0tail"
    headers = value_headers(variant, len(body), 21600, "application/octet-stream")
    assert raw == expected(variant, "200 OK", headers, body)


@pytest.mark.parametrize("seen", ["required", "optional"])
def test_exact_not_found(variant, seen):
    with Imds(variant=variant, tokens=seen) as imds:
        header = with_token(imds) if seen == "required" else "Accept: */*"
        ttl = ["X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600"] if seen == "required" else []
        raw = undated(send(imds, request("GET", META + "nope", header)))
    headers = [*ttl, *page_a(339)] if variant == "a" else [*page_b(337)[:3], *ttl, *page_b(337)[3:]]
    body = page(variant, "404 - Not Found")
    assert len(body) == (339 if variant == "a" else 337)
    assert raw == expected(variant, "404 Not Found", headers, body)


def test_exact_redirect(variant):
    with Imds(variant=variant, redirect="on", tokens="optional") as imds:
        raw = undated(send(imds, request("GET", ROLES.rstrip("/"))))
    location = "Location: http://169.254.169.254" + ROLES
    headers = {"a": [location, "Content-Length: 0", "Date: DATE", "Server: EC2ws", "Connection: close"],
               "b": ["Content-Length: 0", "Date: DATE", location, "Connection: close", "Server: EC2ws"]}
    assert raw == expected(variant, "301 Moved Permanently", headers[variant])


def credentials_pattern(extra=""):
    return (r'\{\n  "Code" : "Success",\n  "LastUpdated" : "ISO",\n  "Type" : "AWS-HMAC",\n'
            r'  "AccessKeyId" : "(ASIA[A-Z2-7]{16})",\n  "SecretAccessKey" : "[A-Za-z0-9+/]{40}",\n'
            r'  "Token" : "IQoJb3JpZ2luX2Vj[A-Za-z0-9+/]{1080}",\n  "Expiration" : "ISO"'
            + extra + r"\n\}").replace("ISO", ISO)


def test_date_is_now_and_can_be_moved(imds):
    date = "%a, %d %b %Y %H:%M:%S GMT"

    def offset():
        seen = time.strptime(ask(imds, "GET", "/").headers["Date"], date)
        return time.mktime(seen) - time.mktime(time.gmtime())

    assert abs(offset()) <= 2
    imds.set("date-offset", -3600)
    assert abs(offset() + 3600) <= 2


# ---- the protocol's test vectors, by number


def test_vector_01_token(imds):
    answer = ask(imds, "PUT", TOKEN, f"{TTL}: 21600")
    assert (answer.status, len(answer.body), answer.ttl) == (200, 56, "21600")
    assert not answer.body.endswith(b"\n")


def test_vector_02_token_expires(imds):
    header = with_token(imds, ttl=1)
    assert ask(imds, "GET", META, header).status == 200
    time.sleep(2)
    assert ask(imds, "GET", META, header).status == 401


@pytest.mark.parametrize("header", [None, *(f"{TTL}:{value}" for value in (
    " 0", " 21601", " abc", "", " ", " -1", " +60", " 60s", " 6 0", " 60.0", " 99999999999999999999", " 0x10"))])
def test_vector_03_bad_ttl(imds, header):
    assert ask(imds, "PUT", TOKEN, *([header] if header else [])).status == 400


@pytest.mark.parametrize("header", [f"{TTL}: 1", f"{TTL}: 21600", f"{TTL.lower()}:60", f"{TTL.upper()}:  60  "])
def test_vector_03_good_ttl(imds, header):
    answer = ask(imds, "PUT", TOKEN, header)
    assert (answer.status, answer.ttl) == (200, re.search(r"\d+(?= *$)", header)[0])


@pytest.mark.parametrize("header", ["X-Forwarded-For: 1.2.3.4", "x-forwarded-for: 1.2.3.4", "X-Forwarded-For:"])
def test_vector_04_put_forwarded(imds, header):
    answer = ask(imds, "PUT", TOKEN, f"{TTL}: 60", header)
    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize("path", [TOKEN + "/", "/2021-03-23/api/token", "/1.0/api/token"])
def test_vector_05_put_on_other_token_paths(imds, path):
    answer = ask(imds, "PUT", path, f"{TTL}: 60")
    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_vector_06_token_path_takes_put_only(imds, method):
    answer = ask(imds, method, TOKEN)
    assert (answer.status, answer.headers["Allow"], answer.body) == (405, "OPTIONS, PUT", b"")


def test_vector_07_root_without_token(imds, variant):
    answer = ask(imds, "GET", "/")
    assert (answer.status, answer.headers["Content-Length"]) == (401, "0" if variant == "a" else "343")


def test_vector_08_v1_when_optional(optional):
    answer = ask(optional, "GET", META)
    assert (answer.status, answer.ttl) == (200, None)


def test_vector_09_ttl_falls(imds):
    header = with_token(imds, ttl=100)
    first = int(ask(imds, "GET", META, header).ttl)
    time.sleep(1.1)
    second = int(ask(imds, "GET", META, header).ttl)
    assert 100 >= first > second >= first - 2


@pytest.mark.parametrize("mode", ["required", "optional"])
@pytest.mark.parametrize("token", ["x", "", "AQAEA" + "A" * 49 + "==", "tampered", "longer"])
def test_vector_10_bad_token(variant, mode, token):
    with Imds(variant=variant, tokens=mode) as imds:
        if token == "tampered":
            good = new_token(imds)
            token = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
        elif token == "longer":
            token = new_token(imds) + "A"
        assert ask(imds, "GET", META, f"X-aws-ec2-metadata-token: {token}").status == 401


def test_vector_10_tokens_of_another_instance(imds):
    header = with_token(imds)
    assert ask(imds, "GET", META, header).status == 200
    imds.expire_tokens()
    assert ask(imds, "GET", META, header).status == 401


def test_vector_11_get_with_token_forwarded(imds):
    answer = get(imds, META, "X-Forwarded-For: 1.2.3.4")
    assert (answer.status, answer.body) == (403, b"")


def test_vector_11_v1_get_forwarded(optional):
    assert ask(optional, "GET", META, "X-Forwarded-For: 1.2.3.4").status == 200


@pytest.mark.parametrize("path", [META + "nope", "/nope", "/2099-01-01/meta-data/", META + "iam/security-credentials/x",
                                  META + "spot/instance-action", META + "spot/termination-time", META + "tags",
                                  META + "events/recommendations/rebalance", META + "mac/below"])
def test_vector_12_unknown_path(imds, variant, path):
    answer = get(imds, path)
    assert (answer.status, answer.ttl, answer.headers["Content-Type"]) == (404, "21600", "text/html")
    assert answer.body == page(variant, "404 - Not Found")


@pytest.mark.parametrize("path,status", [(META + "managed-ssh-keys/active-keys/u/", 404), (META + "mac", 200),
                                         ("/", 200)])
def test_vector_13_head(imds, path, status):
    header = with_token(imds)
    head, full = ask(imds, "HEAD", path, header), ask(imds, "GET", path, header)
    assert (head.status, head.body) == (status, b"")
    assert head.headers["Content-Length"] == full.headers["Content-Length"] == str(len(full.body))
    assert list(head.headers) == list(full.headers)


@pytest.mark.parametrize("headers,body", [((), b""), (("Content-Length: 0",), b""), (("Content-Length: 5",), b"hello"),
                                          (("Transfer-Encoding: chunked",), b"0\r\n\r\n")])
def test_vector_14_put_bodies(imds, headers, body):
    raw = request("PUT", TOKEN, f"{TTL}: 60", *headers) + body
    assert Answer(send(imds, raw)).status == 200


def test_vector_14_put_body_in_pieces(imds):
    with connect(imds) as client:
        client.sendall(request("PUT", TOKEN, f"{TTL}: 60", "Transfer-Encoding: chunked"))
        time.sleep(0.1)
        client.sendall(b"0\r\n\r\n")
        assert Answer(read_all(client)).status == 200


def test_vector_14_put_body_too_long(imds):
    raw = request("PUT", TOKEN, f"{TTL}: 60", "Content-Length: 8000") + b"x" * 8000
    assert Answer(send(imds, raw)).status == 400


def test_vector_15_expect(imds):
    chunked = ask(imds, "PUT", TOKEN, f"{TTL}: 60", "Transfer-Encoding: chunked", "Expect: 100-continue")
    assert chunked.line.endswith(" 417 Expectation Failed")


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_vector_16_keep_alive_is_not_kept(imds, variant, version):
    raw = send(imds, request("GET", META, with_token(imds), "Connection: keep-alive", version=version))
    answer = Answer(raw)
    assert answer.headers["Connection"] == "close"
    assert answer.line.split()[0] == PROTOCOL[variant]


def test_vector_17_pipelined(imds):
    one = request("GET", META + "instance-id", with_token(imds))
    raw = send(imds, one + one)
    assert raw.count(b"HTTP/1.") == 1 and raw.endswith(b"i-0123456789abcdef0")
    assert imds.counters()["requests"] == 2


@pytest.mark.parametrize("path", [ROLES.rstrip("/"), "/latest", META.rstrip("/"), META + "network/interfaces/macs"])
def test_vector_18_directory_without_slash(imds, variant, path):
    answer = get(imds, path)
    if variant == "a":
        assert answer.status == 200 and answer.body == get(imds, path + "/").body
    else:
        assert (answer.status, answer.body, answer.ttl) == (301, b"", "21600")
        assert answer.headers["Location"] == f"http://169.254.169.254{path}/"


def test_vector_18_redirect_off(variant):
    with Imds(variant=variant, redirect="off") as imds:
        assert get(imds, ROLES.rstrip("/")).body == b"web-server"


def test_vector_19_role_list(imds):
    answer = get(imds, ROLES)
    assert (answer.body, answer.headers["Content-Length"]) == (b"web-server", "10")


def test_vector_20_role_document(imds):
    answer = get(imds, ROLE)
    assert re.fullmatch(credentials_pattern(), answer.body.decode())
    assert answer.headers["Content-Type"] == "text/plain"
    assert 1310 <= len(answer.body) <= 1582
    document = json.loads(answer.body)
    life = [time.mktime(time.strptime(document[key], "%Y-%m-%dT%H:%M:%SZ")) for key in ("LastUpdated", "Expiration")]
    assert life[1] - life[0] == 22320


def test_vector_20_document_from_a_file(imds, tmp_path):
    document = b'{"Code":"Success",\r\n"AccessKeyId": "ASIAQNZGKIQY56JQ7WML", "x": "\xc3\xa9"}\n'
    (tmp_path / "document").write_bytes(document)
    imds.set("credentials", tmp_path / "document")
    assert get(imds, ROLE).body == document
    assert imds.keys()["role"] == {"v1": "ASIAQNZGKIQY56JQ7WML", "v2": "ASIAQNZGKIQY56JQ7WML"}
    with pytest.raises(ValueError, match="No such file"):
        imds.set("credentials", tmp_path / "none")
    assert get(imds, ROLE).body == document


def test_vector_21_error_document(imds):
    imds.set("role-error", "AssumeRoleUnauthorizedAccess")
    answer = get(imds, ROLE)
    assert answer.status == 200
    assert re.fullmatch(
        r'\{\n  "Code" : "AssumeRoleUnauthorizedAccess",\n  "Message" : "EC2 cannot assume the role web-server\.  '
        r"Please see documentation at https://docs\.aws\.amazon\.com/IAM/latest/UserGuide/troubleshoot_iam-ec2\.html"
        r'#troubleshoot_iam-ec2_errors-info-doc\.",\n  "LastUpdated" : "' + ISO + r'"\n\}', answer.body.decode())
    assert imds.keys()["role"] is None
    assert imds.log()[-1]["access_key_id"] is None


def test_vector_22_rotation(imds):
    before = json.loads(get(imds, ROLE).body)
    assert json.loads(get(imds, ROLE).body) == before
    imds.rotate()
    after = json.loads(get(imds, ROLE).body)
    for name in ("AccessKeyId", "SecretAccessKey", "Token"):
        assert before[name] != after[name]
    recorded = [line["access_key_id"] for line in imds.log() if line["access_key_id"]]
    assert recorded == [before["AccessKeyId"], before["AccessKeyId"], after["AccessKeyId"]]


def test_vector_22_rotation_by_time():
    with Imds(rotate_seconds=1) as imds:
        first = imds.keys()
        time.sleep(1.5)
        assert imds.keys()["role"]["v2"] != first["role"]["v2"]


def test_vector_23_v1_and_v2_differ(optional):
    v1, v2 = ask(optional, "GET", ROLE), get(optional, ROLE)
    ids = [json.loads(answer.body)["AccessKeyId"] for answer in (v1, v2)]
    assert ids[0] != ids[1]
    assert optional.keys()["role"] == {"v1": ids[0], "v2": ids[1]}


def test_vector_24_extended(imds):
    assert get(imds, EXTENDED).status == get(imds, EXTENDED + "web-server").status == 404
    assert get(imds, ROLES).status == 200
    imds.set("extended", True)
    assert get(imds, EXTENDED).body == b"web-server"
    body = get(imds, EXTENDED + "web-server").body.decode()
    assert re.fullmatch(credentials_pattern(r',\n  "AccountId" : "123456789012"'), body)
    assert imds.keys()["extended"] == imds.keys()["role"]


@pytest.mark.parametrize("host", ["fd00:ec2::254", "[fd00:ec2::254]", "[fd00:ec2::254]:80", "169.254.169.254:80",
                                  "instance-data", "instance-data.ec2.internal", "attacker.example"])
def test_vector_25_hosts(optional, host):
    raw = f"GET {META} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert Answer(send(optional, raw)).status == 200


def test_vector_25_no_host(optional):
    assert Answer(send(optional, f"GET {META} HTTP/1.0\r\n\r\n".encode())).status == 200


@pytest.mark.parametrize("raw", [request("GET", "/"), request("PUT", TOKEN, f"{TTL}: 60"), request("HEAD", META),
                                 request("GET", TOKEN), request("PUT", TOKEN, "Expect: 100-continue")])
def test_vector_27_disabled(variant, raw):
    with Imds(variant=variant, disabled=True) as imds:
        answer = Answer(send(imds, raw))
    assert (answer.status, answer.body) == (403, b"")


def test_vector_28_binary_user_data(imds, tmp_path):
    data = bytes(range(256)) * 64
    (tmp_path / "data").write_bytes(data)
    imds.set("user-data", tmp_path / "data")
    answer = get(imds, "/latest/user-data")
    assert (answer.body, answer.headers["Content-Type"]) == (data, "application/octet-stream")


@pytest.mark.parametrize("key,raw,other", [
    ("stall-put-ms", request("PUT", TOKEN, f"{TTL}: 60"), request("GET", META)),
    ("stall-get-ms", request("GET", META), request("PUT", TOKEN, f"{TTL}: 60"))])
def test_vector_29_stall(optional, key, raw, other):
    optional.set(key, 3000)
    start = time.monotonic()
    assert Answer(send(optional, other)).status == 200
    middle = time.monotonic()
    assert Answer(send(optional, raw)).status == 200
    assert middle - start < 2.9 < 3.0 <= time.monotonic() - middle


@pytest.mark.parametrize("path,family", [
    (IDENTITY, "identity"),
    (TASKS + "security-credentials/9781c248-0edd-4cdb-9a93-f63cb662a5d3-TaskApplication", "task_application"),
    (TASKS + "security-credentials/9781c248-0edd-4cdb-9a93-f63cb662a5d3-TaskExecution", "task_execution")])
def test_vector_30_other_families(optional, path, family):
    ids = {"v1": json.loads(ask(optional, "GET", path).body)["AccessKeyId"],
           "v2": json.loads(get(optional, path).body)["AccessKeyId"]}
    assert ids["v1"] != ids["v2"]
    assert optional.keys()[family] == ids
    assert path.rpartition("/")[2] in get(optional, path.rpartition("/")[0] + "/").body.decode()


def test_vector_30_ecs_is_found_in_the_list(imds):
    assert b"iam-ecs-0a1b2c3d4e5f60718/" in get(imds, META).body
    keys = json.loads(get(imds, TASKS + "info").body)["TaskCredentials"]
    assert "\n".join(keys).encode() == get(imds, TASKS + "security-credentials/").body


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_vector_31_botocore(variant, mode, monkeypatch):
    utils = pytest.importorskip("botocore.utils", reason="needs python3-botocore")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Imds(variant=variant, tokens=mode) as imds:
        found = utils.InstanceMetadataFetcher(base_url=imds.url + "/").retrieve_iam_role_credentials()
        assert (found["role_name"], found["access_key"]) == ("web-server", imds.keys()["role"]["v2"])


def test_vector_31_curl(imds):
    def curl(*arguments):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-f", "-m", "5", *arguments], capture_output=True,
                              check=True)
        return done.stdout.decode()

    token = curl("-X", "PUT", "-H", f"{TTL}: 60", imds.url + TOKEN)
    assert curl("-L", "-H", f"X-aws-ec2-metadata-token: {token}", imds.url + ROLES) == "web-server"


# ---- the hop limit, in namespaces of its own


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(name="world")
def fixture_world():
    """A server and a client namespace with a router between, as an instance's uplink and a bridged container."""
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    names = {kind: f"imds-{kind}-{os.getpid()}" for kind in ("server", "router", "client")}
    try:
        for name in names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for near, link, subnet in (("server", "eth0", 1), ("client", "eth1", 2)):
            run("ip", "link", "add", "up0", "netns", names[near], "type", "veth", "peer", "name", link, "netns",
                names["router"])
            for name, device, host in ((names[near], "up0", 2), (names["router"], link, 1)):
                run("ip", "-n", name, "address", "add", f"10.254.{subnet}.{host}/24", "dev", device)
                run("ip", "-n", name, "link", "set", device, "up")
            run("ip", "-n", names[near], "route", "add", "default", "via", f"10.254.{subnet}.1")
        run("ip", "netns", "exec", names["router"], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.parametrize("limit,seen_from", [(1, {"server": True, "router": True, "client": False}),
                                             (2, {"server": True, "router": True, "client": True}),
                                             (0, {"server": True, "router": True, "client": True})])
def test_vector_26_hop_limit(world, limit, seen_from):
    with Imds(netns=world["server"], listen="10.254.1.2:80", hop_limit=limit, tokens="optional") as imds:
        for place, answered in seen_from.items():
            for method, path, arrives in (("GET", META, True), ("PUT", TOKEN, answered)):
                command = ["nsenter", f"--net=/run/netns/{world[place]}", "curl", "-s", "--noproxy", "*", "-m", "1",
                           "-X", method, "-H", f"{TTL}: 60", "-o", "/dev/null", f"http://10.254.1.2{path}"]
                status = subprocess.run(command, check=False).returncode
                assert (status == 0) == arrives, (place, method)
        assert imds.counters()["by_status"] == {"200": 6}


# ---- the tree


@pytest.mark.parametrize("path,body", [
    ("/latest/", "dynamic\nmeta-data\nuser-data"),
    (META + "local-ipv4", "10.9.8.7"),
    (META + "public-ipv4", "203.0.113.9"),
    (META + "local-hostname", "ip-10-9-8-7.us-east-1.compute.internal"),
    (META + "instance-id", "i-0aaaaaaaaaaaaaaaa"),
    (META + "placement/region", "us-east-1"),
    (META + "placement/availability-zone", "us-east-1a"),
    (META + "placement/availability-zone/", "us-east-1a"),
    (META + "services/domain", "amazonaws.com"),
    (META + "public-keys/", "0=my-public-key"),
    (META + "public-keys/0/", "openssh-key"),
    (META + "events/maintenance/scheduled", "[]"),
    (META + "tags/instance", ""),
    (META + "network/interfaces/macs/", "02:29:96:8f:6a:2d/"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/owner-id", "999999999999"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/vpc-id", "vpc-1"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/vpc-ipv4-cidr-block", "10.8.0.0/14"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/vpc-ipv4-cidr-blocks", "10.8.0.0/14"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/local-ipv4s", "10.9.8.7"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/public-ipv4s", "203.0.113.9"),
    (META + "network/interfaces/macs/02:29:96:8f:6a:2d/ipv4-associations/", "203.0.113.9"),
    ("/2021-03-23/meta-data/local-ipv4", "10.9.8.7"),
    ("/1.0/meta-data/local-ipv4", "10.9.8.7"),
    ("/latest/dynamic/instance-identity/", "rsa2048\npkcs7\ndocument\nsignature\ndsa2048"),
])
def test_tree_values(path, body):
    with Imds(private_ip="10.9.8.7", public_ip="203.0.113.9", region="us-east-1", account="999999999999",
              instance_id="i-0aaaaaaaaaaaaaaaa", vpc_id="vpc-1", vpc_cidr="10.8.0.0/14", redirect="off") as imds:
        assert get(imds, path).body.decode() == body


def test_identity_document():
    with Imds(account="000000000001", region="us-west-2", private_ip="10.9.8.7") as imds:
        body = get(imds, "/latest/dynamic/instance-identity/document").body.decode()
    assert re.fullmatch(
        r'\{\n  "accountId" : "000000000001",\n  "architecture" : "x86_64",\n  "availabilityZone" : "us-west-2a",\n'
        r'  "billingProducts" : null,\n  "devpayProductCodes" : null,\n  "marketplaceProductCodes" : null,\n'
        r'  "imageId" : "ami-0a1b2c3d4e5f60718",\n  "instanceId" : "i-0123456789abcdef0",\n'
        r'  "instanceType" : "m5\.large",\n  "kernelId" : null,\n  "pendingTime" : "' + ISO + r'",\n'
        r'  "privateIp" : "10\.9\.8\.7",\n  "ramdiskId" : null,\n  "region" : "us-west-2",\n'
        r'  "version" : "2017-09-30"\n\}', body)


def crawl(imds, header, path):
    for name in ask(imds, "GET", path, header).body.decode().split("\n"):
        name = re.sub(r"^(\d+)=.*", r"\1/", name)
        if name.endswith("/"):
            yield from crawl(imds, header, path + name)
        elif name:
            yield path + name


def test_every_listed_path_answers(imds):
    header = with_token(imds)
    paths = [*crawl(imds, header, META), *crawl(imds, header, "/latest/dynamic/")]
    assert len(paths) > 50 and ROLE in paths and IDENTITY in paths
    assert {ask(imds, "GET", path, header).status for path in paths} == {200}


def test_version_list(imds):
    body = get(imds, "/").body.decode()
    versions = body.split("\n")
    assert versions[0] == "1.0" and versions[-1] == "latest" and len(versions) == 29
    assert {get(imds, f"/{version}/meta-data/mac").status for version in versions} == {200}


def test_no_role(imds):
    imds.set("role", "")
    assert get(imds, META + "iam/info").status == get(imds, ROLES).status == 404
    assert "iam/" not in get(imds, META).body.decode().split("\n")
    assert imds.keys()["role"] is None and imds.keys()["identity"] is not None


def test_no_role_on_the_command_line(variant):
    with Imds(variant=variant, no_role=True) as imds:
        assert get(imds, ROLES).status == 404


def test_tags_and_spot(imds):
    imds.set("tags", True)
    imds.set("spot", "terminate")
    assert get(imds, META + "tags/instance/").body == b"Name\nTest"
    assert re.fullmatch(rb'\{"action": "terminate", "time": "' + ISO.encode() + rb'"\}',
                        get(imds, META + "spot/instance-action").body)


def decode_account(key_id):
    bits = 0
    for character in key_id[4:]:
        bits = bits << 5 | "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".index(character)
    return f"{bits >> 39 & (1 << 40) - 1:012}" if bits >> 79 else None


@pytest.mark.parametrize("key_id,account", [("ASIAY34FZKBOKMUTVV7A", "609629065308"),
                                            ("ASIAQNZGKIQY56JQ7WML", "029608264753"),
                                            ("AKIAIOSFODNN7EXAMPLE", None)])
def test_the_decoder_below(key_id, account):
    assert decode_account(key_id) == account


@pytest.mark.parametrize("account", ["000000000000", "000000000001", "123456789012", "999999999999"])
def test_key_ids_encode_the_account(account):
    with Imds(extended=True) as imds:
        imds.set("account", account)
        ids = [key_id for family in imds.keys().values() for key_id in family.values()]
        assert {decode_account(key_id) for key_id in ids} == {account}
        assert len(set(ids)) == 8


# ---- targets


@pytest.mark.parametrize("path", ["//latest//meta-data///mac", "/latest/meta-data/mac/", "/latest/meta-data/mac?x=1",
                                  "/latest/./meta-data/mac", "/latest/x/../meta-data/mac", "/latest/meta%2Ddata/mac",
                                  "/latest%2Fmeta-data/mac", "http://169.254.169.254/latest/meta-data/mac"])
def test_target_spellings(imds, path):
    assert get(imds, path).body == b"02:29:96:8f:6a:2d"


@pytest.mark.parametrize("path", ["/latest/meta-data/%00mac", "/latest/%zz", "/latest/%4", "/" + "x" * 2000])
def test_bad_targets(imds, path):
    assert get(imds, path).status == 400


# ---- faults


@pytest.mark.parametrize("fault", ["cut", "reset", "short", "long"])
def test_body_faults(imds, fault):
    token = with_token(imds)
    whole = ask(imds, "GET", ROLE, token)
    length = len(whole.body)
    imds.set("body-fault", fault)
    with connect(imds) as client:
        client.sendall(request("GET", ROLE, token))
        if fault == "reset":
            with pytest.raises(ConnectionResetError):
                time.sleep(0.2)
                read_all(client)
            return
        answer = Answer(read_all(client))
    claimed = {"cut": length, "short": length // 2, "long": length * 2}[fault]
    sent = length // 2 if fault == "cut" else length
    assert (int(answer.headers["Content-Length"]), len(answer.body)) == (claimed, sent)


def test_body_fault_stall(imds):
    header = with_token(imds)
    imds.set("body-fault", "stall")
    with connect(imds) as client:
        client.settimeout(0.5)
        client.sendall(request("GET", META + "mac", header))
        with pytest.raises(TimeoutError):
            read_all(client)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 429, 500, 503])
def test_forced_status(imds, variant, status):
    header = with_token(imds)
    imds.set("get-status", status)
    answer = ask(imds, "GET", ROLE, header)
    assert answer.status == status and answer.line.startswith(PROTOCOL[variant])
    assert ask(imds, "PUT", TOKEN, f"{TTL}: 60").status == 200
    imds.set("get-status", 0)
    imds.set("put-status", status)
    assert ask(imds, "GET", ROLE, header).status == 200
    assert ask(imds, "PUT", TOKEN, f"{TTL}: 60").status == status


def test_fault_path(imds):
    imds.set("fault-path", META + "iam/")
    imds.set("get-status", 503)
    assert get(imds, ROLE).status == 503
    assert get(imds, META + "mac").status == 200


def test_throttle(imds):
    header = with_token(imds)
    imds.set("throttle", 3)
    time.sleep(1.1)
    statuses = [ask(imds, "GET", META, header).status for _ in range(20)]
    assert 3 <= statuses.count(200) <= 6 and statuses.count(503) == 20 - statuses.count(200)


def test_throttle_by_silence(imds):
    imds.set("throttle-mode", "silence")
    imds.set("throttle", 1)
    answers = []
    for _ in range(4):
        with connect(imds) as client:
            client.settimeout(0.1)
            client.sendall(request("GET", "/"))
            try:
                answers.append(client.recv(100))
            except TimeoutError:
                answers.append(None)
    assert None in answers and any(answers)


def test_stops_at_once_while_holding_connections():
    with Imds(stall_get_ms=60000) as imds:
        with connect(imds) as client:
            client.sendall(request("GET", META))
            time.sleep(0.2)
            start = time.monotonic()
            assert imds.stop() == 0
            assert time.monotonic() - start < 20


# ---- records, control, command line


def test_log_line(optional):
    token = new_token(optional)
    with connect(optional) as client:
        port = client.getsockname()[1]
        client.sendall(request("GET", ROLE + '?"\\', f"X-AWS-EC2-Metadata-Token: {token}", "Via: x", "Cookie: hidden"))
        body = json.loads(Answer(read_all(client)).body)
    text = optional.log_path.read_text()
    line = json.loads(text.splitlines()[-1])
    assert line == optional.log()[-1]
    assert (line["peer"], line["port"], line["method"], line["status"]) == ("127.0.0.1", port, "GET", 200)
    assert (line["target"], line["version"]) == (ROLE + '?"\\', "HTTP/1.1")
    assert line["access_key_id"] == body["AccessKeyId"]
    assert line["headers"]["via"] == "x" and line["headers"]["x-aws-ec2-metadata-token"].startswith("sha256:")
    assert line["header_names"] == ["Host", "X-AWS-EC2-Metadata-Token", "Via", "Cookie"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
    for secret in (token, body["SecretAccessKey"], body["Token"], "hidden"):
        assert secret not in text


def test_counters(imds):
    with connect(imds):
        pass
    get(imds, META)
    ask(imds, "HEAD", "/")
    ask(imds, "POST", "/")
    deadline = time.monotonic() + 2
    while imds.counters()["connections"] < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    counters = imds.counters()
    assert (counters["connections"], counters["requests"]) == (5, 4)
    assert counters["by_method_and_status"] == {"GET 200": 1, "HEAD 401": 1, "PUT 200": 1, "other 405": 1}
    imds.reset()
    assert (imds.counters()["requests"], imds.log()) == (0, [])


@pytest.mark.parametrize("command", ["", "nonsense", "set", "set nope 1", "set variant c", "set throttle -1",
                                     "set throttle 1x", "set account 12", "set role a/b", "set disabled maybe"])
def test_bad_commands(imds, command):
    before = imds.control("settings")
    with pytest.raises(ValueError):
        imds.control(command)
    assert imds.control("settings") == before


@pytest.mark.parametrize("options", [["--nonsense"], ["--variant=c"], ["--listen=nowhere"], ["--listen=1.2.3.4.5:80"],
                                     ["--account=1"], ["--credentials=/nonexistent"], ["--hop-limit=65"]])
def test_bad_options(options):
    done = subprocess.run([str(binary()), *options], capture_output=True, timeout=10, check=False)
    assert done.returncode != 0 and done.stderr and not done.stdout


def test_several_listeners():
    if not Path("/proc/net/if_inet6").exists() or "lo" not in Path("/proc/net/if_inet6").read_text():
        pytest.skip("no IPv6 on loopback")
    with Imds(listen=["127.0.0.1:0", "[::1]:0"], tokens="optional") as imds:
        assert [host for host, _ in imds.addresses] == ["127.0.0.1", "::1"]
        imds.addresses.reverse()
        assert get(imds, META + "mac").status == 200
        assert imds.log()[-1]["peer"] == "::1"


def test_ready_on_another_descriptor():
    reader, writer = os.pipe()
    command = [str(binary()), "--listen=127.0.0.1:0", f"--ready-fd={writer}"]
    with subprocess.Popen(command, pass_fds=[writer], stdout=subprocess.PIPE) as process:
        os.close(writer)
        assert re.fullmatch(rb"ready 127\.0\.0\.1:\d+\n", os.read(reader, 100))
        os.close(reader)
        process.terminate()
        assert process.stdout.read() == b""


def test_port_in_use_is_an_error(imds):
    host, port = imds.address
    done = subprocess.run([str(binary()), f"--listen={host}:{port}"], capture_output=True, timeout=10, check=False)
    assert done.returncode == 1 and b"Address already in use" in done.stderr
