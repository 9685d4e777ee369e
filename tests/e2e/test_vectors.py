# SPDX-License-Identifier: Apache-2.0
"""The protocol as clients see it through the proxy: 21 rules and 31 test vectors, each against both generations of the
service, on IPv4 and IPv6. What upstream received and what the ledger says is looked at where the rule is about it."""

import json
import pathlib
import re
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import (IMDS_V4, IMDS_V6, QUICK_S, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, eventually,   # noqa: E402
                      needs_world)
from wire import Wire, request  # noqa: E402

pytestmark = needs_world
META = "/latest/meta-data/"
ROLE = ROLE_PATH + "web-server"
TOKEN_PATH = "/latest/api/token"
IDENTITY = META + "identity-credentials/ec2/security-credentials/ec2-instance"
TASKS = META + "iam-ecs-0a1b2c3d4e5f60718/"
SIMULATED_TTL = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
UPSTREAM_TIMEOUT_MS = 2500


class Talk:
    """A client on the host (and one in a container) of a running instance, on one family of addresses."""

    def __init__(self, place, address):
        self.place, self.address, self.variant = place, address, place.variant
        self.imds = place.imds

    def send(self, *pieces, where="host", **how):
        return self.place.wires[where].send(*pieces, address=self.address, **how)

    def ask(self, method, path, *headers, where="host", then="read", **form):
        return self.send(request(method, path, *headers, **form), where=where, then=then)

    def put(self, ttl, *headers, path=TOKEN_PATH, **how):
        lines = headers if ttl is None else (f"{TTL_HEADER}: {ttl}", *headers)
        return self.ask("PUT", path, *lines, **how)

    def get(self, path, *headers, token="good", method="GET", **how):
        lines = headers if token is None else (f"{TOKEN_HEADER}: {self.token if token == 'good' else token}", *headers)
        return self.ask(method, path, *lines, **how)

    @property
    def token(self):
        return self.token_in("host")

    def token_in(self, where):
        tokens = self.place.tokens
        if where not in tokens:
            tokens[where] = self.put(21600, where=where).body.decode()
        return tokens[where]

    def rows(self, where="access_key_id IS NOT NULL"):
        return self.place.rows(where, settle=False) if self.place.ledger.exists() else []

    def keys_delivered(self, action, count):
        """The AccessKeyIds of the rows that an action leaves, of which there must be `count`."""
        before = len(self.rows())
        result = action()
        eventually(lambda: len(self.rows()) >= before + count)
        return result, [row["access_key_id"] for row in self.rows()[before:]]

    def set(self, **settings):
        """Changes the simulator until the test ends."""
        for key, value in settings.items():
            name = key.replace("_", "-")
            self.place.undo.setdefault(name, self.imds.control("settings")[name])
            self.imds.set(name, value)


class Place(Instance):
    """One instance for all cases of a variant and a mode. In mode `required` clients behind a bridge may have tokens; in
    mode `audit` upstream serves IMDSv1, too, and the hop limit is the default of 1."""

    def __init__(self, variant, mode):
        required = mode == "required"
        imdsv2 = {"put_response_hop_limit": 2} if required else {"mode": "audit"}
        super().__init__(settings={"imdsv2": imdsv2, "upstream": {"timeout_ms": UPSTREAM_TIMEOUT_MS}}, variant=variant,
                         tokens="required" if required else "optional")
        self.variant, self.tokens, self.undo, self.wires = variant, {}, {}, {}

    def start(self, **how):
        super().start(**how)
        self.wires = {ns: Wire(self.world, ns) for ns in ("host", "ctr1")}

    def restore(self):
        for name, value in self.undo.items():
            self.imds.set(name, value)
        self.undo.clear()


@pytest.fixture(scope="module")
def places():
    made = {}

    def place(variant, mode="required"):
        if (variant, mode) not in made:
            made[variant, mode] = Place(variant, mode).__enter__()
        return made[variant, mode]
    yield place
    for running in made.values():
        running.close()


@pytest.fixture(params=["a-v4", "a-v6", "b-v4", "b-v6"])
def talk(request, places):
    variant, family = request.param.split("-")
    address = IMDS_V4 if family == "v4" else IMDS_V6
    made = Talk(places(variant), address)
    made.audit = lambda: Talk(places(variant, "audit"), address)
    yield made
    for mode in ("required", "audit"):
        places(variant, mode).restore()


CASES = {}


def case(name):
    def keep(function):
        assert name not in CASES
        CASES[name] = function
        return function
    return keep


def served(talk, path, body=None):
    """A value of upstream's: status, form, and (if told) body."""
    answer = talk.get(path)
    assert answer.status == 200 and answer.end == "eof", answer
    assert answer["content-length"] == str(len(answer.body))
    assert body is None or answer.body == body, answer
    return answer


# ---- the 21 rules

@case("rule-01-no-forwarding-headers-upstream")
def _(talk):
    talk.imds.reset()
    served(talk, META + "instance-id")
    names = {name.lower() for entry in talk.imds.log() for name in entry["header_names"]}
    assert names and names <= {"host", "accept", TOKEN_HEADER.lower(), TTL_HEADER.lower()}, names


@case("rule-02-clients-forwarded-for-refused-not-stripped")
def _(talk):
    talk.imds.reset()
    for headers in (["X-Forwarded-For: 1.2.3.4"], ["x-forwarded-for: 1.2.3.4"], ["X-FORWARDED-FOR:"]):
        assert talk.put(60, *headers).status == 403
        answer = talk.get(META + "mac", *headers)
        assert answer.status == 403 and answer.is_empty_refusal, answer
    assert not [entry for entry in talk.imds.log() if entry["target"].endswith("/mac")]


@case("rule-03-one-request-a-connection")
def _(talk):
    for answer in (talk.put(60, "Connection: keep-alive"), talk.get(META + "mac", "Connection: keep-alive"),
                   talk.get(META + "none", "Connection: keep-alive"), talk.get(META, token=None)):
        assert answer["connection"] == "close" and answer.end == "eof", answer


@case("rule-04-server-is-ec2ws")
def _(talk):
    for answer in (talk.put(60), talk.get(META + "mac"), talk.get(META + "none"), talk.get(META, token=None),
                   talk.put(None), talk.get(TOKEN_PATH), talk.put(60, "X-Forwarded-For: a")):
        assert ("Server", "EC2ws") in answer.headers, answer


@case("rule-05-ttl-header-on-put-and-get")
def _(talk):
    assert talk.put(77)[SIMULATED_TTL] == "77"
    token = talk.put(77).body.decode()
    for path in ("mac", "none"):
        assert 70 <= int(talk.get(META + path, token=token)[SIMULATED_TTL]) <= 77


@case("rule-06-no-newline-at-the-end")
def _(talk):
    assert re.fullmatch(rb"[A-Za-z0-9_=-]{56}", talk.put(60).body)
    assert served(talk, ROLE_PATH).body == b"web-server"
    for path in ("placement/region", "placement/availability-zone"):
        assert re.fullmatch(rb"[a-z0-9-]+", served(talk, META + path).body)
    assert served(talk, ROLE).body.endswith(b"}")


@case("rule-07-text-plain-and-404-html")
def _(talk):
    for path in (ROLE_PATH, ROLE, META + "iam/info", "/latest/dynamic/instance-identity/document"):
        assert served(talk, path)["content-type"] == "text/plain"
    assert talk.get(META + "none")["content-type"] == "text/html"


@case("rule-08-tokens-good-for-every-version-and-any-number")
def _(talk):
    tokens = {talk.put(60).body.decode() for _ in range(20)}
    assert len(tokens) == 20
    for token in tokens:
        assert talk.get("/2021-03-23/meta-data/mac", token=token).status == 200
    assert talk.get("/1.0/meta-data/mac", token=tokens.pop()).status == 200


@case("rule-09-put-body-forms-and-expect")
def _(talk):
    lines = [f"{TTL_HEADER}: 60"]
    for more, body in (([], b""), (["Content-Length: 0"], b""), (["Transfer-Encoding: chunked"], b"0\r\n\r\n")):
        assert talk.ask("PUT", TOKEN_PATH, *lines, *more, body=body).status == 200
    answer = talk.ask("PUT", TOKEN_PATH, *lines, "Expect: 100-continue")
    assert answer.line == "HTTP/1.1 417 Expectation Failed" and answer.is_empty_refusal, answer


@case("rule-10-header-names-in-any-case")
def _(talk):
    for name in (TTL_HEADER, TTL_HEADER.lower(), TTL_HEADER.upper(), "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"):
        token = talk.ask("PUT", TOKEN_PATH, f"{name}: 60").body.decode()
        assert len(token) == 56
        name = name[:-len("-ttl-seconds")]
        assert talk.ask("GET", META + "mac", f"{name}: {token}").status == 200


HOSTS = ["169.254.169.254", "169.254.169.254:80", "[fd00:ec2::254]", "[fd00:ec2::254]:80", "fd00:ec2::254",
         "fd00:ec2::254:80", "[fd00:ec2:0:0:0:0:0:254]", "instance-data", "instance-data:80", "INSTANCE-DATA",
         "instance-data.ec2.internal", "instance-data.ec2.internal:80", "", None]


@case("rule-11-hosts")
def _(talk):
    for host in HOSTS:
        for version in ("HTTP/1.1", "HTTP/1.0"):
            assert talk.get(META + "mac", host=host, version=version).status == 200, (host, version)
    for host in ("evil.example", "169.254.169.254.evil.example", "127.0.0.1", "localhost", "169.254.170.2"):
        answer = talk.get(META + "mac", host=host)
        assert answer.status == 403 and answer.is_empty_refusal, (host, answer)


@case("rule-12-put-within-500-ms")
def _(talk):
    assert min(talk.put(60).seconds for _ in range(20)) < 0.5


@case("rule-13-silent-upstream-does-not-hang")
def _(talk):
    token = talk.token
    talk.set(stall_get_ms=20000)
    answer = talk.get(META + "mac", token=token)
    assert answer.status == 503 and answer.is_empty_refusal
    assert UPSTREAM_TIMEOUT_MS / 1000 - 0.1 < answer.seconds < UPSTREAM_TIMEOUT_MS / 1000 + QUICK_S


@case("rule-14-codes-of-denials")
def _(talk):
    for answer, status in ((talk.put(None), 400), (talk.put(60, "X-Forwarded-For: a"), 403),
                           (talk.get(TOKEN_PATH), 405), (talk.get(META, token=None), 401),
                           (talk.get(META, token="garbage"), 401)):
        assert answer.status == status and answer.is_empty_refusal, answer


@case("rule-15-upstreams-status-line")
def _(talk):
    version = {"a": "HTTP/1.1", "b": "HTTP/1.0"}[talk.variant]
    for answer in (talk.put(60), talk.get(META + "mac"), talk.get(META + "none")):
        assert answer.line.startswith(version + " "), answer


@case("rule-16-credentials-by-content")
def _(talk):
    key = "ASIAQ6PLUZW2JVWPNZUU"
    document = talk.place.folder / "document"
    document.write_text(json.dumps({"Deep": {"AccessKeyId": key, "SecretAccessKey": "s" * 40, "Token": "t" * 100}}))
    talk.set(user_data=str(document))
    answer, keys = talk.keys_delivered(lambda: served(talk, "/latest/user-data"), 1)
    assert answer.body == document.read_bytes() and keys == [key]


@case("rule-17-version-1-and-2-have-keys-of-their-own")
def _(talk):
    audit = talk.audit()
    one, two = (json.loads(audit.get(ROLE, token=token).body)["AccessKeyId"] for token in (None, "good"))
    assert one != two and [one, two] == [audit.imds.keys()["role"][version] for version in ("v1", "v2")]


@case("rule-18-directory-without-slash")
def _(talk):
    talk.set(redirect="on")
    answer = talk.get(ROLE_PATH.rstrip("/"))
    assert answer.status == 301 and answer["location"] == f"http://169.254.169.254{ROLE_PATH}", answer
    assert answer.body == b"" and answer["content-length"] == "0"
    talk.set(redirect="off")
    assert served(talk, ROLE_PATH.rstrip("/")).body == b"web-server"


@case("rule-19-documents-keep-their-spacing")
def _(talk):
    body = served(talk, ROLE).body.decode()
    assert re.fullmatch(r'\{\n  "Code" : "Success",\n  "LastUpdated" : "[^"]+",\n  "Type" : "AWS-HMAC",\n'
                        r'  "AccessKeyId" : "ASIA\w{16}",\n  "SecretAccessKey" : "[^"]+",\n  "Token" : "[^"]+",\n'
                        r'  "Expiration" : "[^"]+"\n\}', body)


@case("rule-20-times-to-live-of-answers")
def _(talk):
    """The limit is 2: less one behind a bridge; answers to GET are not limited."""
    for where, hops in (("host", 2), ("ctr1", 1)):
        answer = talk.put(60, where=where, then="hops")
        assert answer.status == 200 and set(answer.hops) == {hops}, (where, answer.hops)
        answer = talk.get(META, token=talk.token_in(where), where=where, then="hops")
        assert answer.status == 200 and set(answer.hops) == {64}, (where, answer.hops)


@case("rule-21-denials-have-no-body")
def _(talk):
    for answer in (talk.put(None), talk.put(0), talk.put(60, "X-Forwarded-For: a"), talk.put(60, path="/1.0/api/token"),
                   talk.get(META, token=None), talk.get(META, token="x"), talk.get(TOKEN_PATH),
                   talk.put(60, "Expect: 100-continue"), talk.get("/latest/%2e%2e/"), talk.get(META, host="a.example"),
                   talk.ask("BREW", META)):
        assert answer.status >= 400 and answer.is_empty_refusal, answer


# ---- the 31 vectors

@case("vector-01-put-gives-a-token")
def _(talk):
    answer = talk.put(21600)
    assert answer.status == 200 and answer[SIMULATED_TTL] == "21600" and answer["content-length"] == "56"
    assert re.fullmatch(rb"AQAEA[A-Za-z0-9_-]{49}==", answer.body)


@case("vector-02-token-ends")
def _(talk):
    token = talk.put(1).body.decode()
    assert talk.get(META, token=token).status == 200
    time.sleep(2.1)
    assert talk.get(META, token=token).status == 401


@case("vector-03-ttls-that-are-none")
def _(talk):
    for ttl in (None, "0", "21601", "abc", "", "-1", "+1", "1 0", "0x10", "1.0", "60,60", "99999999999999999999", "000060",
                "6\xb2"):
        answer = talk.put(ttl)
        assert answer.line == "HTTP/1.1 400 Bad Request" and answer.is_empty_refusal, (ttl, answer)
    for ttl in ("1", "21600", " 60\t", "00060"):
        assert talk.put(ttl)[SIMULATED_TTL] == str(int(ttl))


@case("vector-04-put-that-was-forwarded")
def _(talk):
    for header in ("X-Forwarded-For: 1.2.3.4", "x-forwarded-for: 1.2.3.4", "X-Forwarded-For:", "X-FORWARDED-FOR: ,"):
        answer = talk.put(60, header)
        assert answer.line == "HTTP/1.1 403 Forbidden" and answer.is_empty_refusal, answer


@case("vector-05-token-paths-that-are-none")
def _(talk):
    for path in ("/latest/api/token/", "/2021-03-23/api/token", "/1.0/api/token"):
        answer = talk.put(60, path=path)
        assert answer.status == 403 and answer.is_empty_refusal, answer


@case("vector-06-get-of-the-token-path")
def _(talk):
    for method in ("GET", "HEAD", "POST", "DELETE"):
        for token in (None, "good"):
            answer = talk.get(TOKEN_PATH, method=method, token=token)
            assert answer.line == "HTTP/1.1 405 Not Allowed" and answer["allow"] == "OPTIONS, PUT"
            assert answer.is_empty_refusal


@case("vector-07-root-without-token")
def _(talk):
    answer = talk.get("/", token=None)
    assert answer.line == "HTTP/1.1 401 Unauthorized" and answer.is_empty_refusal
    assert answer["content-type"] == "text/plain"


@case("vector-08-optional-without-token")
def _(talk):
    answer = talk.audit().get(META + "instance-id", token=None)
    assert answer.status == 200 and answer.body == b"i-0123456789abcdef0" and answer[SIMULATED_TTL] is None


@case("vector-09-remaining-seconds-fall")
def _(talk):
    token = talk.put(60).body.decode()
    first = int(talk.get(META, token=token)[SIMULATED_TTL])
    assert 50 <= first <= 60
    time.sleep(1.1)
    assert int(talk.get(META, token=token)[SIMULATED_TTL]) < first


@case("vector-10-garbage-token")
def _(talk):
    good = talk.token
    for mode in (talk, talk.audit()):
        for token in ("garbage", "", "a" * 56, good[:-1], good + "=", good[:-3] + ("A" if good[-3] != "A" else "B") + "==",
                      good[:10] + ("A" if good[10] != "A" else "B") + good[11:], "AQAEA" + "\xff" * 51):
            answer = mode.get(META, token=token)
            assert answer.status == 401 and answer.is_empty_refusal, (token, answer)


@case("vector-11-get-that-was-forwarded")
def _(talk):
    answer = talk.get(META, "X-Forwarded-For: 1.2.3.4")
    assert answer.status == 403 and answer.is_empty_refusal


@case("vector-12-unknown-path")
def _(talk):
    answer = talk.get(META + "no-such-thing")
    length = {"a": 339, "b": 337}[talk.variant]
    assert answer.status == 404 and len(answer.body) == length and answer["content-type"] == "text/html"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="iso-8859-1"?>\n') and answer[SIMULATED_TTL]
    # A version that does not exist is one, too.
    assert talk.get("/2099-01-01/meta-data/").status == 404


@case("vector-13-head-of-pushed-keys")
def _(talk):
    answer = talk.get(META + "managed-ssh-keys/active-keys/u/", method="HEAD")
    assert answer.status in (200, 404) and answer.body == b"" and answer.end == "eof"
    assert int(answer["content-length"]) > 0
    for path in ("instance-id", "iam/security-credentials/web-server"):
        head, whole = (talk.get(META + path, method=method) for method in ("HEAD", "GET"))
        assert head.status == 200 and head.body == b"" and head["content-length"] == str(len(whole.body))


@case("vector-14-put-chunked-and-without-length")
def _(talk):
    for lines, body in (([], b""), (["Transfer-Encoding: chunked"], b"0\r\n\r\n"), (["Content-Length: 0"], b""),
                        (["Content-Length: 3"], b"abc"), (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n")):
        answer = talk.ask("PUT", TOKEN_PATH, f"{TTL_HEADER}: 60", *lines, body=body)
        assert answer.status == 200 and len(answer.body) == 56, (lines, answer)
    answer = talk.ask("PUT", TOKEN_PATH, f"{TTL_HEADER}: 60", version="HTTP/1.0", host=None)
    assert answer.status == 200


@case("vector-15-expect")
def _(talk):
    """Answered at once: the client waits for a word before it sends its body, and does not send it then."""
    for lines in (["Expect: 100-continue"], ["Expect: 100-continue", "Content-Length: 3"], ["expect:100-Continue"],
                  ["Expect: 100-continue", "Transfer-Encoding: chunked"]):
        answer = talk.ask("PUT", TOKEN_PATH, f"{TTL_HEADER}: 60", *lines)
        assert answer.line == "HTTP/1.1 417 Expectation Failed" and answer.is_empty_refusal, answer


@case("vector-16-keep-alive")
def _(talk):
    answer = talk.get(META + "mac", "Connection: keep-alive", "Keep-Alive: timeout=5")
    assert answer.status == 200 and answer["connection"] == "close" and answer.end == "eof"


@case("vector-17-pipelined")
def _(talk):
    one = request("GET", META + "mac", f"{TOKEN_HEADER}: {talk.token}")
    answer = talk.send(one + one)
    assert answer.status == 200 and answer.raw.count(b"HTTP/1.") == 1 and answer.end == "eof"
    answer = talk.send((one, 0.1), one)  # the second comes while the first is served, or after
    assert answer.raw.count(b"HTTP/1.") == 1


@case("vector-18-list-without-slash")
def _(talk):
    answer = talk.get(ROLE_PATH.rstrip("/"))
    assert answer.status == {"a": 200, "b": 301}[talk.variant]


@case("vector-19-role-list")
def _(talk):
    assert served(talk, ROLE_PATH).body == b"web-server"


@case("vector-20-role-document")
def _(talk):
    answer, keys = talk.keys_delivered(lambda: served(talk, ROLE), 1)
    assert answer["content-type"] == "text/plain" and not answer.body.endswith(b"\n")
    assert answer.body.startswith(b'{\n  "Code" : "Success",\n') and keys == [talk.imds.keys()["role"]["v2"]]


@case("vector-21-error-document")
def _(talk):
    talk.set(role_error="AssumeRoleUnauthorizedAccess")
    answer, keys = talk.keys_delivered(lambda: served(talk, ROLE), 0)
    assert b"AssumeRoleUnauthorizedAccess" in answer.body and keys == []


@case("vector-22-rotation")
def _(talk):
    def twice():
        served(talk, ROLE)
        talk.imds.rotate()
        served(talk, ROLE)
    _, keys = talk.keys_delivered(twice, 2)
    assert len(set(keys)) == 2
    pid = talk.place.wires["host"].pid
    assert {row["pid"] for row in talk.rows()[-2:]} == {pid}


@case("vector-23-version-1-and-2")
def _(talk):
    audit = talk.audit()
    (one, two), keys = audit.keys_delivered(
        lambda: [json.loads(audit.get(ROLE, token=token).body)["AccessKeyId"] for token in (None, "good")], 2)
    assert one != two and keys == [one, two]
    bodies = [json.loads(row["body"])["delivery_version"] for row in audit.rows()[-2:]]
    assert bodies == ["1.0", "2.0"]


@case("vector-24-extended-then-classic")
def _(talk):
    extended = META + "iam/security-credentials-extended/"
    assert talk.get(extended).status == 404
    assert served(talk, ROLE_PATH).body == b"web-server"
    talk.set(extended=True)
    assert served(talk, extended).body == b"web-server"
    answer, keys = talk.keys_delivered(lambda: served(talk, extended + "web-server"), 1)
    document = json.loads(answer.body)
    assert keys == [document["AccessKeyId"]] and document["AccountId"] == "123456789012"


@case("vector-25-host-without-brackets")
def _(talk):
    assert talk.get(META + "mac", host="fd00:ec2::254").status == 200


@case("vector-26-hop-limit")
def _(talk):
    for where in ("host", "ctr1"):  # limit 2
        assert talk.put(60, where=where).status == 200
        assert talk.get(META, token=talk.token_in(where), where=where).status == 200
    audit = talk.audit()  # limit 1
    assert audit.put(60).status == 200
    answer = audit.put(60, where="ctr1")
    assert answer.status == 403 and answer.is_empty_refusal and answer.seconds < QUICK_S
    assert audit.get(META, token=None, where="ctr1").status == 200  # a GET always arrives


@case("vector-27-imds-disabled")
def _(talk):
    talk.set(disabled=True)
    answer = talk.get(META)
    assert answer.status == 403 and answer.body == b""
    for answer in (talk.put(60), talk.get("/"), talk.get(ROLE), talk.put(60)):
        assert answer.status == 403 and answer.body == b"", answer


@case("vector-28-user-data-with-nul-bytes")
def _(talk):
    data = bytes(range(256)) * 40
    source = talk.place.folder / "user-data"
    source.write_bytes(data)
    talk.set(user_data=str(source))
    assert served(talk, "/latest/user-data", data)["content-type"] == "application/octet-stream"


@case("vector-29-upstream-stalls")
def _(talk):
    token = talk.token
    for settings in ({"body_fault": "stall", "fault_path": META + "mac"}, {"stall_get_ms": 20000}):
        talk.set(**settings)
        answer = talk.get(META + "mac", token=token)
        assert answer.status == 503 and answer.is_empty_refusal and answer.seconds < UPSTREAM_TIMEOUT_MS / 1000 + QUICK_S
        talk.place.restore()
    for fault in ("cut", "reset", "long"):
        talk.set(body_fault=fault, fault_path=META + "mac")
        answer = talk.get(META + "mac", token=token)
        assert answer.status == 503 and answer.is_empty_refusal, (fault, answer)


@case("vector-30-other-families")
def _(talk):
    talk.set(ecs=True)
    tasks = talk.get(TASKS + "security-credentials/").body.decode().split("\n")
    paths = [IDENTITY, *(TASKS + "security-credentials/" + task for task in tasks)]
    answers, keys = talk.keys_delivered(lambda: [served(talk, path) for path in paths], len(paths))
    assert len(paths) == 3 and keys == [json.loads(answer.body)["AccessKeyId"] for answer in answers]
    assert [row["source"] for row in talk.rows()[-3:]] == ["identity", "ecs", "ecs"]


CLIENT = """
import boto3
print(boto3.Session().get_credentials().access_key)
"""


@case("vector-31-a-real-client-by-its-endpoint-variable")
def _(talk):
    pytest.importorskip("boto3")
    host = f"[{talk.address}]" if talk.address == IMDS_V6 else talk.address
    environment = {"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{host}/"}
    done = talk.place.world.run("host", ["/usr/bin/python3", "-I", "-c", CLIENT], env=environment, timeout=60)
    assert done.stdout.strip() == talk.imds.keys()["role"]["v2"], done.stderr


@pytest.mark.parametrize("name", CASES)
def test_protocol(talk, name):
    CASES[name](talk)


def test_no_case_is_missing():
    numbers = {kind: sorted(int(name.split("-")[1]) for name in CASES if name.startswith(kind + "-"))
               for kind in ("rule", "vector")}
    assert numbers == {"rule": list(range(1, 22)), "vector": list(range(1, 32))}
