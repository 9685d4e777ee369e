# SPDX-License-Identifier: Apache-2.0
"""Answers with and without the proxy in between, byte for byte, for every path that the simulated service has. Where we
differ on purpose, the form is held to the table in docs/architecture.md."""

import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, IMDS_V6, ROLE_PATH, ROOT, TOKEN_HEADER, TTL_HEADER, Instance, needs_world  # noqa: E402
from wire import Wire, request, steady  # noqa: E402

pytestmark = needs_world
PATHS_AT_LEAST = 80
OTHER_VERSION = "/2021-03-23/"


class Both:
    """The same request through the proxy and straight to the service, each with its own token."""

    def __init__(self, instance, address):
        self.address = address
        self.wires = instance.both
        self.tokens = [wire.token(address=address) for wire in self.wires]

    def ask(self, method, path, *headers, with_token=True, **form):
        """(through, straight)"""
        pending = [
            wire.start(request(method, path, *([f"{TOKEN_HEADER}: {token}"] if with_token else []), *headers, **form),
                       address=self.address)
            for wire, token in zip(self.wires, self.tokens)]
        return [answer.result() for answer in pending]

    def assert_same(self, method, path, *headers, **how):
        through, straight = self.ask(method, path, *headers, **how)
        is_token = method == "PUT"
        assert straight.end == through.end == "eof", (method, path, straight, through)
        assert steady(through.raw, is_token) == steady(straight.raw, is_token), (method, path)
        return straight


def start(variant, **more):
    running = Instance(variant=variant, tags=True, spot="terminate", ecs=True, extended=True, **more).__enter__()
    running.both = [Wire(running.world, "host"), Wire(running.world, "imds")]
    return running


@pytest.fixture(scope="module", params=["a", "b"])
def instance(request):
    running = start(request.param)
    yield running
    running.close()


@pytest.fixture(scope="module", params=["a", "b"])
def audited(request):
    running = start(request.param, settings={"imdsv2": {"mode": "audit"}}, tokens="optional")
    yield running
    running.close()


@pytest.fixture(params=[IMDS_V4, IMDS_V6], ids=["v4", "v6"])
def both(instance, request):
    return Both(instance, request.param)


def entries(path, body):
    """What a list leads to."""
    for line in body.decode("latin-1").split("\n"):
        name = line.partition("=")[0] + "/" if path.endswith("/public-keys/") else line
        if re.fullmatch(r"[A-Za-z0-9._:-]+/?", name):
            yield path + name


def crawl(both):
    """Every path, found by what the lists straight from the service say. The uppermost names no directories as such."""
    seen, waiting = ["/latest/"], ["/latest/dynamic/", "/latest/meta-data/", "/latest/user-data"]
    while waiting:
        path = waiting.pop()
        seen.append(path)
        answer = both.ask("GET", path)[1]
        if path.endswith("/") and answer.status == 200:
            waiting += [entry for entry in entries(path, answer.body) if entry not in seen]
    return seen


def test_every_path(both):
    """GET and HEAD, as listed, with a slash more or less, and a name that is not there."""
    paths = crawl(both)
    assert len(paths) >= PATHS_AT_LEAST and ROLE_PATH + "web-server" in paths, sorted(paths)
    statuses = set()
    for path in paths:
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        for spelling in (path, other, path + "no-such-thing"):
            for method in ("GET", "HEAD"):
                statuses.add(both.assert_same(method, spelling).status)
    assert statuses >= {200, 404}


def test_every_version(both):
    versions = both.ask("GET", "/")[1].body.decode().split("\n")
    assert len(versions) > 20
    both.assert_same("GET", "/")
    for version in versions:
        for rest in ("", "meta-data/", "meta-data/instance-id", "dynamic/", "user-data", "no-such-thing"):
            both.assert_same("GET", f"/{version}/{rest}")
        both.assert_same("HEAD", f"/{version}/meta-data/instance-id")


@pytest.mark.parametrize("ttl", ["1", "60", "21600"])
def test_token(both, ttl):
    both.assert_same("PUT", "/latest/api/token", f"{TTL_HEADER}: {ttl}", with_token=False)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS", "PATCH"])
def test_other_methods(both, method):
    through, straight = both.ask(method, "/latest/meta-data/instance-id")
    assert steady(through.raw) == steady(straight.raw)


def test_http_1_0(both):
    for path in ("/latest/meta-data/", "/latest/meta-data/no-such-thing"):
        both.assert_same("GET", path, version="HTTP/1.0", host=None)


def test_queries_and_spellings(both):
    for path in ("/latest/meta-data/instance-id?a=b", "//latest//meta-data///instance-id", "/latest/meta%2Ddata/mac"):
        assert both.assert_same("GET", path).status == 200


def test_without_token_where_upstream_allows_it(audited):
    for address in (IMDS_V4, IMDS_V6):
        both = Both(audited, address)
        for path in ("/", "/latest/", "/latest/meta-data/", "/latest/meta-data/instance-id", ROLE_PATH,
                     ROLE_PATH + "web-server", "/latest/meta-data/no-such-thing", "/latest/dynamic/instance-identity/document",
                     ROLE_PATH.rstrip("/")):
            for method in ("GET", "HEAD"):
                both.assert_same(method, path, with_token=False)


# ---- where we differ on purpose

REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 405: "Not Allowed", 417: "Expectation Failed"}
PUT_TOKEN = ("PUT", "/latest/api/token")

# name: (method, path), headers, status of ours, status of the service's
OURS = {
    "no token": (("GET", "/latest/meta-data/"), [], 401, 401),
    "garbage token": (("GET", "/latest/meta-data/"), [f"{TOKEN_HEADER}: garbage"], 401, 401),
    "no TTL": (PUT_TOKEN, [], 400, 400),
    "forwarded": (PUT_TOKEN, [f"{TTL_HEADER}: 60", "X-Forwarded-For: 1.2.3.4"], 403, 403),
    "dated token path": (("PUT", "/2021-03-23/api/token"), [f"{TTL_HEADER}: 60"], 403, 403),
    "token path with a slash": (("PUT", "/latest/api/token/"), [f"{TTL_HEADER}: 60"], 403, 403),
    "GET of the token path": (("GET", "/latest/api/token"), [], 405, 405),
    "Expect": (PUT_TOKEN, [f"{TTL_HEADER}: 60", "Expect: 100-continue"], 417, 417),
    "foreign Host": (PUT_TOKEN, [f"{TTL_HEADER}: 60", "Host: evil.example"], 403, 200),
    "dot segments": (("GET", "/latest/../latest/meta-data/"), [], 400, None),
    "encoded slash": (("GET", "/latest%2fmeta-data/"), [], 400, None),
    "options of the token path": (("OPTIONS", "/latest/api/token"), [], 405, None),
}
SAME_IN_A = {"no token", "garbage token", "no TTL", "forwarded", "dated token path", "token path with a slash",
             "GET of the token path"}


@pytest.mark.parametrize("name", OURS)
def test_refusals(instance, both, name):
    """Ours have one form, that of variant A without a body. There those that the service gives, too, are its own bytes."""
    (method, path), headers, status, service = OURS[name]
    host = None if any(line.startswith("Host:") for line in headers) else "169.254.169.254"
    through, straight = both.ask(method, path, *headers, with_token=False, host=host)
    allow = "Allow: OPTIONS, PUT\r\n" if status == 405 else ""
    form = (f"HTTP/1.1 {status} {REASONS[status]}\r\n{allow}Content-Length: 0\r\nDate: DATE\r\nServer: EC2ws\r\n"
            "Connection: close\r\nContent-Type: text/plain\r\n\r\n")
    assert steady(through.raw) == form.encode()
    assert service is None or straight.status == service
    if instance.imds_options["variant"] == "a":
        assert (steady(straight.raw) == steady(through.raw)) == (name in SAME_IN_A), straight


def test_differences_are_written_down():
    """Each refusal above that is not the service's own has a line in the table."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("## What a client could tell"):]
    for name in set(OURS) - SAME_IN_A:
        assert name.lower() in table.lower(), name
