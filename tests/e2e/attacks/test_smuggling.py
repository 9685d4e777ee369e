# SPDX-License-Identifier: Apache-2.0
"""Requests that two readers could understand differently, and headers that a client would like to send upstream."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from instance import IMDS_V4, IMDS_V6, TOKEN_HEADER, TTL_HEADER, eventually, needs_world  # noqa: E402
from recorder import TOKEN, Recorder  # noqa: E402
from watched import Watched  # noqa: E402
from wire import Wire, request  # noqa: E402

pytestmark = needs_world
families = pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6], ids=["v4", "v6"])
HOST = b"Host: 169.254.169.254\r\n"
GET = b"GET /latest/meta-data/ HTTP/1.1\r\n" + HOST
PUT = b"PUT /latest/api/token HTTP/1.1\r\n" + HOST + f"{TTL_HEADER}: 60\r\n".encode()
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n"
BEHIND = b"GET /latest/smuggled HTTP/1.1\r\n" + HOST + b"\r\n"  # what must never be read as a request

# name: bytes, reason in the ledger and in the metrics
REFUSED = {
    # line ends and bytes
    "lf-only": (GET.replace(b"\r\n", b"\n") + b"\n", "bare-lf"),
    "lf-behind-request-line": (b"GET / HTTP/1.1\n" + HOST + b"\r\n", "bare-lf"),
    "lf-before-empty-line": (GET + b"\n", "bare-lf"),
    "lf-in-value-hides-header": (GET + b"A: b\nX-Forwarded-For: c\r\n\r\n", "bare-lf"),
    "cr-in-value": (GET + b"A: b\rc\r\n\r\n", "bare-cr"),
    "cr-cr-lf": (GET + b"A: b\r\r\n\r\n", "bare-cr"),
    "cr-hides-header": (GET + b"A: b\rX-Forwarded-For: c\r\n\r\n", "bare-cr"),
    "nul-in-value": (GET + b"A: b\0c\r\n\r\n", "nul-byte"),
    "nul-in-target": (b"GET /latest/meta-data\0/ HTTP/1.1\r\n\r\n", "nul-byte"),
    "control-byte-in-value": (GET + b"A: b\x0bc\r\n\r\n", "control-byte"),
    "form-feed-in-value": (GET + b"A: \x0cb\r\n\r\n", "control-byte"),
    # header lines
    "folded-with-space": (GET + TOKEN_HEADER.encode() + b":\r\n abc\r\n\r\n", "folded-line"),
    "folded-with-tab": (GET + b"A: b\r\n\tX-Forwarded-For: c\r\n\r\n", "folded-line"),
    "first-header-folded": (b"GET / HTTP/1.1\r\n X: y\r\n\r\n", "folded-line"),
    "space-before-colon": (GET + b"X-Forwarded-For : a\r\n\r\n", "space-before-colon"),
    "tab-before-colon": (GET + b"Content-Length\t: 5\r\n\r\n", "space-before-colon"),
    "space-in-name": (GET + b"Content Length: 5\r\n\r\n", "space-before-colon"),
    "empty-name": (GET + b": a\r\n\r\n", "bad-header-name"),
    "no-colon": (GET + b"Transfer-Encoding\r\n\r\n", "bad-header-name"),
    "name-beyond-ascii": (GET + b"Conten\xc5\xa3-Length: 5\r\n\r\n", "bad-header-name"),
    "quote-in-name": (GET + b'"Host": a\r\n\r\n', "bad-header-name"),
    "two-tokens": (GET + f"{TOKEN_HEADER}: a\r\n{TOKEN_HEADER.upper()}: b\r\n\r\n".encode(), "repeated-header"),
    "two-ttls": (PUT + f"{TTL_HEADER}: 21600\r\n\r\n".encode(), "repeated-header"),
    "two-hosts": (GET + b"host: evil.example\r\n\r\n", "repeated-header"),
    "two-equal-hosts": (GET + HOST + b"\r\n", "repeated-header"),
    "65-headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", "too-many-headers"),
    "head-of-9000-bytes": (GET + b"A: " + b"b" * 9000 + b"\r\n\r\n", "head-too-long"),
    "target-of-9000-bytes": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", "head-too-long"),
    "head-of-9000-bytes-without-end": (GET + b"A: " + b"b" * 9000, "head-too-long"),
    "upgrade": (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", "upgrade"),
    # request lines
    "two-spaces": (b"GET  / HTTP/1.1\r\n\r\n", "bad-request-line"),
    "space-behind-version": (b"GET / HTTP/1.1 \r\n\r\n", "bad-version"),
    "space-in-target": (b"GET /latest /x HTTP/1.1\r\n\r\n", "bad-version"),
    "version-0.9": (b"GET /\r\n\r\n", "bad-request-line"),
    "version-1.2": (b"GET / HTTP/1.2\r\n\r\n", "bad-version"),
    "version-2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad-version"),
    "version-in-small-letters": (b"GET / http/1.1\r\n\r\n", "bad-version"),
    "empty-line-first": (b"\r\n" + GET + b"\r\n", "bad-method"),
    "tls-greeting": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "nul-byte"),
    "method-connect": (b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n", "method"),
    "method-trace": (b"TRACE / HTTP/1.1\r\n\r\n", "method"),
    "method-in-small-letters": (b"get / HTTP/1.1\r\n\r\n", "method"),
    # how long is the body
    "length-and-encoding": (PUT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + BEHIND,
                            "length-and-encoding"),
    "encoding-and-length": (PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + BEHIND,
                            "length-and-encoding"),
    "two-lengths": (PUT + b"Content-Length: 0\r\nContent-Length: 53\r\n\r\n" + BEHIND, "repeated-header"),
    "two-equal-lengths": (PUT + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", "repeated-header"),
    "list-of-lengths": (PUT + b"Content-Length: 0, 0\r\n\r\n", "bad-content-length"),
    "length-with-sign": (PUT + b"Content-Length: +0\r\n\r\n", "bad-content-length"),
    "length-negative": (PUT + b"Content-Length: -1\r\n\r\n", "bad-content-length"),
    "length-hexadecimal": (PUT + b"Content-Length: 0x0\r\n\r\n", "bad-content-length"),
    "length-empty": (PUT + b"Content-Length: \r\n\r\n", "bad-content-length"),
    "length-beyond-64-bits": (PUT + b"Content-Length: 18446744073709551616\r\n\r\n", "bad-content-length"),
    "length-beyond-the-bound": (PUT + b"Content-Length: 4097\r\n\r\n", "body-too-long"),
    "encoding-gzip": (PUT + b"Transfer-Encoding: gzip\r\n\r\n", "bad-transfer-encoding"),
    "encoding-gzip-chunked": (PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "bad-transfer-encoding"),
    "encoding-identity": (PUT + b"Transfer-Encoding: identity\r\n\r\n" + BEHIND, "bad-transfer-encoding"),
    "encoding-xchunked": (PUT + b"Transfer-Encoding: xchunked\r\n\r\n", "bad-transfer-encoding"),
    "encoding-quoted": (PUT + b'Transfer-Encoding: "chunked"\r\n\r\n', "bad-transfer-encoding"),
    "encoding-twice": (PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
                       "repeated-header"),
    "encoding-in-1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n", "bad-transfer-encoding"),
    # chunks
    "chunk-of-a-word": (CHUNKED + b"zz\r\n\r\n", "bad-chunk"),
    "chunk-negative": (CHUNKED + b"-1\r\n\r\n", "bad-chunk"),
    "chunk-with-0x": (CHUNKED + b"0x0\r\n\r\n", "bad-chunk"),
    "chunk-beyond-64-bits": (CHUNKED + b"10000000000000000\r\n" + BEHIND, "bad-chunk"),
    "chunk-extension": (CHUNKED + b"0;a=b\r\n\r\n", "bad-chunk"),
    "chunk-extension-with-lf": (CHUNKED + b"0;\n\r\n\r\n" + BEHIND, "bad-chunk"),
    "chunk-line-ends-with-lf": (CHUNKED + b"0\n\r\n", "bad-chunk"),
    "chunk-blank-behind-size": (CHUNKED + b"0 \r\n\r\n", "bad-chunk"),
    "chunk-longer-than-said": (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", "bad-chunk"),
    "chunk-trailer": (CHUNKED + b"0\r\nX-Forwarded-For: a\r\n\r\n", "bad-chunk"),
    "chunks-beyond-the-bound": (CHUNKED + b"800\r\n" + b"a" * 2048 + b"\r\n" + b"800\r\n" + b"a" * 2048 + b"\r\n",
                                "body-too-long"),
    # somebody else's name
    "foreign-authority": (b"GET http://evil.example/latest/ HTTP/1.1\r\n" + HOST + b"\r\n", "foreign-authority"),
    "user-in-authority": (b"GET http://169.254.169.254@evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
                          "foreign-authority"),
    "authority-form": (b"GET 169.254.169.254:80 HTTP/1.1\r\n\r\n", "not-a-path"),
    "https-target": (b"GET https://169.254.169.254/latest/ HTTP/1.1\r\n\r\n", "not-a-path"),
}

# name: bytes, status, whether there were more bytes than one request has. One answer, and no second request.
ONE_ANSWER = {
    "pipelined-gets": (GET + b"\r\n" + BEHIND, 401, True),
    "behind-a-put": (PUT + b"\r\n" + BEHIND, 200, True),
    "behind-length-0": (PUT + b"Content-Length: 0\r\n\r\n" + BEHIND, 200, True),
    "behind-a-body": (PUT + b"Content-Length: 3\r\n\r\nabc" + BEHIND, 200, True),
    "behind-chunks": (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + BEHIND, 200, True),
    "as-a-body": (PUT + f"Content-Length: {len(BEHIND)}\r\n\r\n".encode() + BEHIND, 200, False),
    "as-the-body-of-a-get": (GET + f"Content-Length: {len(BEHIND)}\r\n\r\n".encode() + BEHIND, 401, False),
    "as-a-chunk": (CHUNKED + f"{len(BEHIND):x}\r\n".encode() + BEHIND + b"\r\n0\r\n\r\n", 200, False),
    "behind-expect": (PUT + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n" + BEHIND, 417, False),
}


@pytest.fixture(scope="module")
def instance():
    with Watched() as running:
        yield running


@pytest.fixture(scope="module")
def wire(instance):
    made = Wire(instance.world)
    made.token()  # so that the daemon has its own
    return made


def smuggled(instance):
    return [entry["target"] for entry in instance.imds.log() if "smuggled" in entry["target"]]


@families
@pytest.mark.parametrize("name", REFUSED)
def test_smuggling(instance, wire, name, address):
    raw, reason = REFUSED[name]
    label, mine = f'reason="{reason}"', f"reason='{reason}'"
    counted = instance.value("keytrail_refusals_total", label)
    written = len(instance.rows(mine, settle=False)) if instance.ledger.exists() else 0
    answer = wire.send(raw, address=address)
    assert answer.status == 400 and answer.is_empty_refusal, answer
    assert eventually(lambda: instance.value("keytrail_refusals_total", label) == counted + 1)
    rows = eventually(lambda: instance.rows(mine, settle=False)[written:])
    assert [(row["outcome"], row["exe"]) for row in rows] == [("refused", "/usr/bin/python3.11")]
    assert not smuggled(instance)


@families
@pytest.mark.parametrize("name", ONE_ANSWER)
def test_second_request(instance, wire, name, address):
    raw, status, has_extra = ONE_ANSWER[name]
    before = instance.value("keytrail_requests_with_extra_total")
    answer = wire.send(raw, address=address)
    assert answer.status == status and answer.raw.count(b"HTTP/1.1 ") == 1 and answer.end == "eof", answer
    assert eventually(lambda: instance.value("keytrail_requests_with_extra_total") == before + has_extra)
    assert not smuggled(instance)


def test_answers_to_refused_requests_outlive_what_is_still_sent(wire):
    """A reset would take the answer away from a client that still writes."""
    for rest in (b"a" * 100, b"a" * 200000):
        answer = wire.send(GET + b"X-Forwarded-For : a\r\n\r\n", rest)
        assert answer.status == 400 and answer.end == "eof", answer


# ---- what goes upstream

UPSTREAM_HOSTS = {IMDS_V4: "169.254.169.254", IMDS_V6: "[fd00:ec2::254]"}

# name: (method, target, further lines, body) of a client, (method, target) upstream
REBUILT = {
    "plain": ("GET", "/latest/probe-1", [], b"", "GET", "/latest/probe-1"),
    "every-header-stays-here": ("GET", "/latest/probe-2", [
        "User-Agent: x", "Accept: application/json", "Accept-Encoding: gzip", "Cookie: a=b", "Authorization: Basic YQ==",
        "Connection: keep-alive, X-aws-ec2-metadata-token", "Via: 1.1 a", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4",
        "X_Forwarded_For: 1.2.3.4", "Range: bytes=0-1", "If-None-Match: *", "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
        "TE: trailers", "Trailer: X", "Max-Forwards: 0", "X-HTTP-Method-Override: PUT", "Proxy-Connection: keep-alive",
        "Keep-Alive: timeout=5", "X-Original-URL: /latest/other", f"{TTL_HEADER}: 60"], b"", "GET", "/latest/probe-2"),
    "values-beyond-ascii": ("GET", "/latest/probe-3", ["X: \xff\xfe"], b"", "GET", "/latest/probe-3"),
    "body-stays-here": ("GET", "/latest/probe-4", ["Content-Length: 3"], b"abc", "GET", "/latest/probe-4"),
    "head": ("HEAD", "/latest/probe-5", [], b"", "HEAD", "/latest/probe-5"),
    "post": ("POST", "/latest/probe-6", ["Content-Length: 3"], b"abc", "POST", "/latest/probe-6"),
    "delete": ("DELETE", "/latest/probe-7", [], b"", "DELETE", "/latest/probe-7"),
    "patch": ("PATCH", "/latest/probe-8", ["Transfer-Encoding: chunked"], b"0\r\n\r\n", "PATCH", "/latest/probe-8"),
    "options": ("OPTIONS", "/latest/probe-9", [], b"", "OPTIONS", "/latest/probe-9"),
    "absolute-form": ("GET", "http://instance-data:80/latest/probe-10?a=b", [], b"", "GET", "/latest/probe-10?a=b"),
    "escapes-of-plain-characters": ("GET", "/latest/pro%62e%2D11", [], b"", "GET", "/latest/probe-11"),
    "characters-that-need-escapes": ("GET", '/latest/probe-12%20%22"<', [], b"", "GET", "/latest/probe-12%20%22%22%3C"),
    "double-slashes": ("GET", "//latest///probe-13", [], b"", "GET", "/latest/probe-13"),
    "slash-at-the-end": ("GET", "/latest/probe-14//", [], b"", "GET", "/latest/probe-14/"),
    "query": ("GET", "/latest/probe-15?a=%0d%0aX-Forwarded-For:%20b&c=//../", [], b"", "GET",
              "/latest/probe-15?a=%0d%0aX-Forwarded-For:%20b&c=//../"),
    "semicolon": ("GET", "/latest/probe-16;a=b", [], b"", "GET", "/latest/probe-16;a=b"),
    "put-elsewhere": ("PUT", "/latest/probe-17", ["Content-Length: 3"], b"abc", "PUT", "/latest/probe-17"),
}


class Recorded(Watched):
    """The daemon asks a recorder instead of the simulator, which stays where the redirect leads."""

    def __init__(self):
        super().__init__(settings={"upstream": Recorder.settings})
        self.recorder = None

    def start(self, **how):
        self.recorder = Recorder(self.world)
        super().start(**how)


@pytest.fixture(scope="module")
def recorded():
    with Recorded() as running:
        running.wire = Wire(running.world)
        running.tokens = {address: running.wire.token(address=address) for address in UPSTREAM_HOSTS}
        yield running


@families
@pytest.mark.parametrize("name", REBUILT)
def test_upstream_receives(recorded, name, address):
    """The exact bytes: nothing that a client wrote goes upstream but the method and the canonical target."""
    method, target, lines, body, expected_method, expected_target = REBUILT[name]
    if address == IMDS_V6:  # each target once, so that a request can be told from those of other tests
        target, expected_target = (text.replace("/latest/", "/2021-03-23/") for text in (target, expected_target))
    raw = request(method, target, f"{TOKEN_HEADER}: {recorded.tokens[address]}", *lines, body=body)
    answer = recorded.wire.send(raw, address=address)
    assert answer.status == 200, answer
    assert recorded.recorder.received(expected_target) == (
        f"{expected_method} {expected_target} HTTP/1.1\r\nHost: {UPSTREAM_HOSTS[address]}\r\nAccept: */*\r\n"
        f"X-aws-ec2-metadata-token: {TOKEN}\r\n\r\n").encode()


def test_upstream_receives_the_token_request():
    """Ours, once for all clients: theirs never go upstream."""
    with Recorded() as fresh:
        Wire(fresh.world).put(77, "X-Evil: 1")
        assert fresh.recorder.received("/latest/api/token") == (
            b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nAccept: */*\r\n"
            b"X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n")
