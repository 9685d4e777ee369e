# SPDX-License-Identifier: Apache-2.0
"""The same requests whatever the witness can use: eBPF switched off or refused, sock_diag refused, conntrack refused, nothing
left. Clients see no difference; the ledger says how well it knows."""

import collections
import json
import os
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import refuse
from instance import IMDS_V4, IMDS_V6, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, eventually, needs_world, parse

pytestmark = [needs_world, pytest.mark.skipif(refuse.missing() is not None, reason=str(refuse.missing()))]
families = pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6], ids=["v4", "v6"])
ALL = ("bpf", "sock_diag", "conntrack")
# bpf(2) asks for one of these. Without CAP_SYS_ADMIN no other namespace is entered either.
INCAPABLE = ["setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin", "--"]

# settings of [witness]; words in front of the daemon; grade of a client of the host, of one in a container; method of the first.
Backend = collections.namedtuple("Backend", "settings under host container method ebpf")
BACKENDS = {
    "ebpf off": Backend({"ebpf": "off"}, [], "exact", "exact", "sock_diag+proc", "off: [witness] ebpf = off"),
    "bpf refused": Backend({}, refuse.under("bpf"), "exact", "exact", "sock_diag+proc", "off: the kernel does not load"),
    "no capability": Backend({}, INCAPABLE, "exact", "netns", "sock_diag+proc", "off: the kernel does not load"),
    "ebpf and proc off": Backend({"ebpf": "off", "proc_scan": "off"}, [], ("cgroup", "uid"), ("cgroup", "uid"), "sock_diag",
                                 "off: [witness] ebpf = off"),
    "sock_diag refused": Backend({}, refuse.under("sock_diag"), "none", "netns", "conntrack", "off: "),
    "ebpf, sock_diag and proc off": Backend({"ebpf": "off", "proc_scan": "off"}, refuse.under("sock_diag"), "none", "netns",
                                            "conntrack", "off: [witness] ebpf = off"),
    "conntrack refused": Backend({}, refuse.under("conntrack"), "none", "none", "none", "off: "),
    "all refused": Backend({}, refuse.under(*ALL), "none", "none", "none", "off: the kernel does not load"),
}


def grades(expected):
    return expected if isinstance(expected, tuple) else (expected,)


class Case:
    def __init__(self, name, instance):
        self.backend, self.instance = BACKENDS[name], instance
        self.count = 0

    def row(self):
        """The one row that came since the last."""
        assert eventually(lambda: len(self.instance.rows(settle=False)) > self.count)
        rows = self.instance.rows()
        assert len(rows) == self.count + 1, rows[self.count:]
        self.count += 1
        return rows[-1]

    def after(self, ask):
        """(what asking gives, its row). Asks again where the machine was too busy for a look at all processes in the time there
        is: that is said, and graded so."""
        for _ in range(10):
            answer, row = ask(), self.row()
            if not any(said.startswith("proc: ") and "not all" in said for said in json.loads(row["body"])["attribution"]["evidence"]):
                break
            assert row["grade"] in ("cgroup", "uid", "shared", "relay")
        return answer, row

    def check(self, row, expected):
        attribution = json.loads(row["body"])["attribution"]
        assert row["grade"] in grades(expected), attribution
        assert (row["pid"] is not None) == (row["grade"] == "exact"), attribution
        assert row["exe"] in ("/usr/bin/curl", None)


@pytest.fixture(scope="module", params=BACKENDS)
def case(request):
    backend = BACKENDS[request.param]
    with Instance({"witness": dict(backend.settings), "imdsv2": {"put_response_hop_limit": 2}}, under=backend.under) as instance:
        yield Case(request.param, instance)


def test_status_says_why(case):
    def ebpf():
        return case.instance.status()["witness"]["ebpf"]
    assert eventually(lambda: ebpf().startswith(case.backend.ebpf)), ebpf()


@families
def test_credentials_are_delivered_and_graded(case, address):
    document, row = case.after(lambda: case.instance.credentials(address=address, user="nobody"))
    case.check(row, case.backend.host)
    assert (row["access_key_id"], row["outcome"], row["method"]) == (document["AccessKeyId"], "delivered", case.backend.method)
    assert row["user"] == ("nobody" if row["grade"] == "exact" else None)


# What each method rests on: the evidence has a sentence that begins so for each.
EVIDENCE = {
    "none": ["conntrack: "],
    "conntrack": ["conntrack: accepted port ", "sock_diag: "],
    "sock_diag": ["conntrack: accepted port ", "sock_diag: inode ", "sock_diag: the same socket is there before the answer"],
    "sock_diag+proc": ["conntrack: accepted port ", "sock_diag: inode ", "sock_diag: the same socket is there before the answer",
                       "proc: pid ", "proc: looked at "],
}


def test_evidence_behind_each_grade_can_be_asked_for(case):
    """By `keytrail deliveries -o json`."""
    document, _ = case.after(lambda: case.instance.credentials(user="nobody"))
    done = case.instance.keytrail("deliveries", "-o", "json", "--key", document["AccessKeyId"])
    attribution = json.loads(done.stdout)[0]["attribution"]
    assert attribution["grade"] in grades(case.backend.host)
    assert attribution["method"] in EVIDENCE, attribution
    for begin in EVIDENCE[attribution["method"]]:
        assert [one for one in attribution["evidence"] if one.startswith(begin)], (begin, attribution["evidence"])
    if attribution["grade"] == "exact":
        assert attribution["complete"] and "all there are" in attribution["evidence"][-1]


def test_container_is_delivered_to_and_graded(case):
    document, row = case.after(lambda: case.instance.credentials(ns="ctr1", user="nobody"))
    case.check(row, case.backend.container)
    assert (row["access_key_id"], row["outcome"]) == (document["AccessKeyId"], "delivered")
    in_container = os.stat(f"/run/netns/{case.instance.world.prefix}-ctr1").st_ino
    assert row["client_netns"] == (None if row["grade"] in ("none", "netns") else in_container)


def test_token_of_a_container_is_worth_nothing_elsewhere(case):
    """By its address where its namespace is not known."""
    token = case.instance.token(ns="ctr1")
    assert case.instance.get("/latest/meta-data/", token, ns="ctr1")[0] == 200
    for ns in ("ctr2", "host"):
        assert case.instance.get("/latest/meta-data/", token, ns=ns)[0] == 401
        assert case.row()["reason"] == "token-out-of-scope"


REFUSALS = {
    "no token": ([], "/latest/meta-data/", 401, "no-token"),
    "garbage token": (["-H", f"{TOKEN_HEADER}: garbage"], "/latest/meta-data/", 401, "token-malformed"),
    "forwarded PUT": (["-X", "PUT", "-H", f"{TTL_HEADER}: 60", "-H", "X-Forwarded-For: 1.2.3.4"], "/latest/api/token", 403,
                      "forwarded-for"),
    "no TTL": (["-X", "PUT"], "/latest/api/token", 400, "ttl"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(case, name):
    words, path, status, reason = REFUSALS[name]
    (got, headers, body), row = case.after(lambda: parse(case.instance.curl(*words, path=path)))
    assert (got, headers["content-length"], body) == (status, "0", "")
    assert (row["outcome"], row["reason"]) == ("refused", reason)
    case.check(row, case.backend.host)


def test_other_paths_leave_no_row(case):
    assert case.instance.get("/latest/meta-data/instance-id", case.instance.token())[2] == "i-0123456789abcdef0"
    time.sleep(0.1)
    assert len(case.instance.rows(settle=False)) == case.count


def test_unattributed_are_refused_where_that_is_asked_for(case):
    """The last one: it changes the settings."""
    instance, backend = case.instance, case.backend
    said = instance.reload({**instance.settings, "witness": {**backend.settings, "on_unattributed": "refuse"}})
    assert said["problem"] is None if "problem" in said else True, said
    token = instance.token()
    assert instance.get("/latest/meta-data/instance-id", token)[0] == 200  # holds no credential
    (status, _, body), row = case.after(lambda: instance.get(ROLE_PATH + "web-server", token))
    case.check(row, backend.host)
    if row["grade"] == "exact":
        assert (status, row["outcome"]) == (200, "delivered")
    else:
        assert (status, body, row["outcome"], row["reason"]) == (403, "", "refused", "unattributed")
