# SPDX-License-Identifier: Apache-2.0
"""One canonical path for policy and upstream: each trick is refused, or seen as one path by both."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from instance import ROLE_PATH, TOKEN_HEADER, eventually, needs_world  # noqa: E402
from watched import Watched  # noqa: E402
from wire import Wire, request  # noqa: E402

pytestmark = needs_world
ROLE = ROLE_PATH + "web-server"

# name: target, reason of the 400
REFUSED = {
    "encoded-slash": ("/latest/meta-data/iam%2fsecurity-credentials/web-server", "encoded-slash"),
    "encoded-slash-large": ("/latest/meta-data/iam%2Fsecurity-credentials/web-server", "encoded-slash"),
    "encoded-first-slash": ("/%2flatest/meta-data/iam/security-credentials/web-server", "encoded-slash"),
    "encoded-dots": ("/latest/meta-data/%2e%2e/meta-data/iam/security-credentials/web-server", "dot-segment"),
    "half-encoded-dots": ("/latest/meta-data/x/.%2E/iam/security-credentials/web-server", "dot-segment"),
    "dots": ("/latest/meta-data/x/../iam/security-credentials/web-server", "dot-segment"),
    "dots-above-the-root": ("/../latest/meta-data/iam/security-credentials/web-server", "dot-segment"),
    "one-dot": ("/latest/./meta-data/iam/security-credentials/web-server", "dot-segment"),
    "dots-at-the-end": ("/latest/meta-data/iam/security-credentials/web-server/..", "dot-segment"),
    "dots-and-encoded-slash": ("/latest/..%2flatest/meta-data/iam/security-credentials/web-server", "encoded-slash"),
    "double-encoded-slash": ("/latest/meta-data/iam%252fsecurity-credentials/web-server", "encoded-delimiter"),
    "double-encoded-letter": ("/latest/meta-data/%2569am/security-credentials/web-server", "encoded-delimiter"),
    "encoded-question-mark": ("/latest/meta-data/iam/security-credentials/web-server%3fx", "encoded-delimiter"),
    "encoded-hash": ("/latest/meta-data/iam/security-credentials/web-server%23x", "encoded-delimiter"),
    "fragment": ("/latest/meta-data/iam/security-credentials/web-server#x", "bad-query"),
    "nul": ("/latest/meta-data/iam/security-credentials/web-server%00", "control-byte"),
    "nul-and-more": ("/latest/meta-data/iam/security-credentials/web-server%00.txt", "control-byte"),
    "nul-before": ("/latest/meta-data%00/iam/security-credentials/web-server", "control-byte"),
    "line-end": ("/latest/meta-data/iam/security-credentials/web-server%0d%0aX-A:%20b", "control-byte"),
    "tab": ("/latest/meta-data/iam/%09security-credentials/web-server", "control-byte"),
    "delete": ("/latest/meta-data/iam/%7fsecurity-credentials/web-server", "control-byte"),
    "backslash": ("/latest\\meta-data\\iam\\security-credentials\\web-server", "backslash"),
    "encoded-backslash": ("/latest/meta-data/iam%5csecurity-credentials/web-server", "encoded-slash"),
    "overlong-slash": ("/latest/meta-data/iam%c0%afsecurity-credentials/web-server", "control-byte"),
    "overlong-dot": ("/latest/meta-data/%c0%ae%c0%ae/iam/security-credentials/web-server", "control-byte"),
    "overlong-of-three": ("/latest/meta-data/iam%e0%80%afsecurity-credentials/web-server", "control-byte"),
    "full-width-slash": ("/latest/meta-data/iam%ef%bc%8fsecurity-credentials/web-server", "control-byte"),
    "encoded-utf-8": ("/latest/meta-data/%c4%b1am/security-credentials/web-server", "control-byte"),
    "utf-8": ("/latest/meta-data/\xc4\xb1am/security-credentials/web-server", "bad-target"),
    "utf-16-escape": ("/latest/meta-data/%u0069am/security-credentials/web-server", "bad-escape"),
    "cut-escape": ("/latest/meta-data/iam/security-credentials/web-server%2", "bad-escape"),
    "lone-percent": ("/latest/meta-data/iam/security-credentials/web-server%", "bad-escape"),
    "not-hexadecimal": ("/latest/meta-data/iam/%zzsecurity-credentials/web-server", "bad-escape"),
    "too-long": ("/latest/meta-data/iam/security-credentials/" + "a" * 2048, "too-long"),
    "backslash-in-query": ("/latest/meta-data/iam/security-credentials/web-server?\\", "bad-query"),
    "asterisk": ("*", "not-a-path"),
    "relative": ("latest/meta-data/iam/security-credentials/web-server", "not-a-path"),
}

# name: target that is one with the role's own path: closed by the policy, and upstream sees the canonical one
SAME = {
    "plain": ROLE,
    "double-slash": "/latest/meta-data/iam//security-credentials//web-server",
    "double-slash-first": "//latest/meta-data/iam/security-credentials/web-server",
    "many-slashes": "/latest////meta-data/iam/security-credentials/web-server",
    "encoded-letter": "/latest/meta-data/%69am/security-credentials/web-server",
    "encoded-hyphen": "/latest/meta%2Ddata/iam/security%2dcredentials/web%2dserver",
    "encoded-everything": "/" + "/".join("".join(f"%{ord(c):02x}" for c in part) for part in ROLE[1:].split("/")),
    "slash-at-the-end": ROLE + "/",
    "query": ROLE + "?recursive=true",
    "empty-query": ROLE + "?",
    "query-with-path": ROLE + "?/latest/meta-data/mac",
    "absolute-form": "http://169.254.169.254" + ROLE,
    "absolute-form-with-port": "http://169.254.169.254:80" + ROLE,
    "absolute-form-in-large-letters": "HTTP://INSTANCE-DATA" + ROLE,
}

# name: target that is no path of credentials: nothing is delivered, whatever the policy thinks
NOTHING = {
    "case": "/latest/META-DATA/iam/security-credentials/web-server",
    "case-of-version": "/LATEST/meta-data/iam/security-credentials/web-server",
    "semicolon": "/latest/meta-data;x/iam/security-credentials/web-server",
    "semicolon-at-the-end": "/latest/meta-data/iam/security-credentials/web-server;x=y",
    "dots-in-a-name": "/latest/meta-data/iam/security-credentials/..web-server",
    "three-dots": "/latest/meta-data/.../iam/security-credentials/web-server",
    "space": "/latest/meta-data/iam/security-credentials/web-server%20",
    "plus": "/latest/meta-data/iam/security-credentials/+web-server",
    "version-that-is-none": "/latest2/meta-data/iam/security-credentials/web-server",
    "ampersand": "/latest/meta-data/iam/security-credentials/web-server&x",
}


@pytest.fixture(scope="module")
def instance():
    """Whoever asks for role credentials is refused, by the path; all else is allowed."""
    policy = {"policy": {"mode": "enforce", "default": "allow"},
              'deny "roles"': {"path": "/*/meta-data/iam/security-credentials/*"}}
    with Watched(settings=policy) as running:
        running.wire = Wire(running.world)
        running.session = running.wire.token()
        yield running


def ask(instance, target):
    return instance.wire.send(request("GET", target, f"{TOKEN_HEADER}: {instance.session}"))


def targets_seen(instance):
    return [entry["target"] for entry in instance.imds.log()]


@pytest.mark.parametrize("name", REFUSED)
def test_refused(instance, name):
    target, reason = REFUSED[name]
    label = f'reason="{reason}"'
    counted = instance.value("keytrail_refusals_total", label)
    written = len(instance.rows(settle=False)) if instance.ledger.exists() else 0
    instance.imds.reset()
    answer = ask(instance, target)
    assert answer.status == 400 and answer.is_empty_refusal, answer
    assert eventually(lambda: instance.value("keytrail_refusals_total", label) == counted + 1)
    row = eventually(lambda: instance.rows(settle=False)[written:])[0]
    assert (row["outcome"], row["reason"], row["path"]) == ("refused", reason, None)
    assert not [seen for seen in targets_seen(instance) if "web-server" in seen]


@pytest.mark.parametrize("name", SAME)
def test_seen_as_one_path(instance, name):
    written = len(instance.rows(settle=False)) if instance.ledger.exists() else 0
    instance.imds.reset()
    answer = ask(instance, SAME[name])
    assert answer.status == 403 and answer.is_empty_refusal, answer
    row = eventually(lambda: instance.rows(settle=False)[written:])[0]
    assert (row["outcome"], row["reason"]) == ("refused", "policy") and row["path"].rstrip("/") == ROLE
    asked = [seen for seen in targets_seen(instance) if "web-server" in seen]
    assert [seen.partition("?")[0].rstrip("/") for seen in asked] == [ROLE]


@pytest.mark.parametrize("name", NOTHING)
def test_leads_nowhere(instance, name):
    answer = ask(instance, NOTHING[name])
    assert answer.status in (403, 404) and b"AccessKeyId" not in answer.body, answer


def test_other_versions_are_closed_too(instance):
    for version in ("1.0", "2009-04-04", "2021-03-23"):
        assert ask(instance, f"/{version}/meta-data/iam/security-credentials/web-server").status == 403
    assert ask(instance, "/latest/meta-data/mac").status == 200
