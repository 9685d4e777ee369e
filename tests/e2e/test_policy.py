# SPDX-License-Identifier: Apache-2.0
"""Policies in the world: who is refused, who would have been, and what the rows say of it."""

import json
import os
import pathlib
import pwd
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import ROLE_PATH, Instance, eventually, needs_world

pytestmark = needs_world
CURL = "/usr/bin/curl"
NOBODY = pwd.getpwnam("nobody")
KEYS = ROLE_PATH + "web-server"


def policy(mode, sections, default="allow", **more):
    return {"policy": {"mode": mode, "default": default}, "imdsv2": {"put_response_hop_limit": 2}, **sections, **more}


def verdict(row):
    body = json.loads(row["body"])["policy"]
    return body and (body["verdict"], body["rule"])


def get_keys(instance, **where):
    """(status, body) of a fetch of credentials, with a token (which no policy refuses)."""
    status, headers, body = instance.get(KEYS, instance.token(**where), **where)
    if status == 403:
        assert (headers["content-length"], headers["server"], body) == ("0", "EC2ws", "")
    return status, body


# What each section refuses of: curl of root, curl of nobody, curl of nobody in a container.
CONDITIONS = [
    ("exe", {"exe": CURL}, (True, True, True)),
    ("another exe", {"exe": "/usr/bin/wget /usr/local/bin/*"}, (False, False, False)),
    ("unit", {"unit": "keytrail-no-such.service"}, (False, False, False)),
    ("container", {"container": "0123*"}, (False, False, False)),
    ("uid", {"uid": f"4294967294 {NOBODY.pw_uid}"}, (False, True, True)),
    ("gid", {"gid": "0"}, (True, False, False)),
    ("path", {"path": ROLE_PATH + "*"}, (True, True, True)),
    ("another path", {"path": "/latest/user-data"}, (False, False, False)),
    ("family", {"family": "imds ecs"}, (True, True, True)),
    ("another family", {"family": "identity none"}, (False, False, False)),
    ("two conditions", {"exe": "/usr/*/cur?", "uid": "0"}, (True, False, False)),
]


@pytest.mark.parametrize("conditions,refuses", [case[1:] for case in CONDITIONS], ids=[case[0] for case in CONDITIONS])
def test_conditions(conditions, refuses):
    with Instance(settings=policy("enforce", {'deny "the rule"': conditions})) as instance:
        for where, is_refused in zip(({}, {"user": "nobody"}, {"ns": "ctr1", "user": "nobody"}), refuses):
            before = len(instance.rows())
            status, body = get_keys(instance, **where)
            assert status == (403 if is_refused else 200)
            eventually(lambda: len(instance.rows(settle=False)) > before)
            row = instance.rows()[-1]
            assert row["access_key_id"] is not None and row["exe"] == CURL
            if is_refused:
                assert (row["outcome"], row["reason"], verdict(row)) == ("refused", "policy", ("deny", "the rule"))
                assert json.loads(row["body"])["status"] == 403
            else:
                assert row["access_key_id"] == json.loads(body)["AccessKeyId"]
                assert (row["outcome"], row["reason"], verdict(row)) == ("delivered", None, ("allow", "default"))


def test_audit_delivers_and_says_who_would_have_been_refused():
    sections = {'deny "no keys"': {"family": "imds", "uid": "0"}, 'deny "no user data"': {"path": "/latest/user-data"}}
    with Instance(settings=policy("audit", sections)) as instance:
        assert get_keys(instance)[0] == 200
        row = instance.row()
        assert (row["outcome"], row["reason"], verdict(row)) == ("delivered", None, ("deny", "no keys"))
        # A request that is not recorded otherwise is, if it would have been refused.
        token = instance.token()
        assert instance.get("/latest/meta-data/instance-id", token)[0] == 200
        assert instance.get("/2021-03-23/user-data", token)[0] == 200
        row = instance.row("access_key_id IS NULL")
        assert (row["path"], row["outcome"], verdict(row)) == ("/2021-03-23/user-data", "delivered",
                                                              ("deny", "no user data"))


def test_without_a_policy_rows_say_so():
    with Instance() as instance:
        instance.credentials()
        assert verdict(instance.row()) is None


def test_first_match_wins_and_the_default_denies():
    sections = {'allow "metadata"': {"path": "/latest/meta-data/*", "family": "none"},
                'deny "nobody"': {"uid": NOBODY.pw_uid},
                'allow "curl"': {"exe": CURL}}
    with Instance(settings=policy("enforce", sections, default="deny")) as instance:
        token = instance.token(user="nobody")
        assert instance.get("/latest/meta-data/instance-id", token, user="nobody")[0] == 200
        assert instance.get("/2009-04-04/meta-data/instance-id/", token, user="nobody")[0] in (200, 404)
        assert instance.get("/latest/dynamic/instance-identity/document", token, user="nobody")[0] == 403
        assert get_keys(instance, user="nobody")[0] == 403
        assert get_keys(instance)[0] == 200
        copy = instance.folder / "curl"
        shutil.copy(CURL, copy)
        renamed = instance.bytes_of("host", [str(copy), "-sS", "-m", "5", "-i", "-H",
                                             f"X-aws-ec2-metadata-token: {token}", f"http://169.254.169.254{KEYS}"])
        assert renamed.stdout.startswith("HTTP/1.1 403 ")
        eventually(lambda: len(instance.rows(settle=False)) == 4)
        rows = [(row["exe"], row["outcome"], verdict(row)) for row in instance.rows()]
        assert rows == [(CURL, "refused", ("deny", "nobody")), (CURL, "refused", ("deny", "nobody")),
                        (CURL, "delivered", ("allow", "curl")), (str(copy), "refused", ("deny", "default"))]


def test_an_executable_is_the_file_that_the_machine_has_at_that_path():
    """A hardened unit has a mount namespace of its own and the machine's files; whoever mounts another file over an allowed
    one has not become it."""
    with Instance(settings=policy("enforce", {'allow "curl"': {"exe": CURL}}, default="deny")) as instance:
        words = ["-sS", "-m", "5", "-i", "-H", f"X-aws-ec2-metadata-token: {instance.token()}", f"http://169.254.169.254{KEYS}"]
        done = instance.bytes_of("host", ["unshare", "-m", CURL, *words])
        assert done.stdout.startswith("HTTP/1.1 200 "), done.stdout + done.stderr
        other = shutil.copy(CURL, instance.folder / "other")
        done = instance.bytes_of("host", ["unshare", "-m", "sh", "-c", f'mount --bind {other} {CURL}; exec "$@"', "sh",
                                          CURL, *words])
        assert done.stdout.startswith("HTTP/1.1 403 "), done.stdout + done.stderr
        assert eventually(lambda: len(instance.rows(settle=False)) == 2)  # nobody waits for a refusal's row
        processes = [one["process"] for one in map(json.loads, instance.keytrail("deliveries", "--path", KEYS).stdout.splitlines())]
        assert [(one["exe"], one["exe_foreign_mount"]) for one in processes] == [(CURL, True), (CURL, False)]


SHARED = """
import os, socket, sys, time
path, token, shell = sys.argv[1:]
client = socket.create_connection(("169.254.169.254", 80))
if os.fork() == 0:
    os.close(1)
    time.sleep(3)
    os._exit(0)
client.sendall(f"GET {path} HTTP/1.1\\r\\nX-aws-ec2-metadata-token: {token}\\r\\n\\r\\n".encode())
os.dup2(client.fileno(), 0)
os.execv(shell, [shell, "-c", 'IFS= read -r line; echo "$line"'])
"""


def test_whoever_shares_a_socket_must_be_allowed_too():
    """A process that keeps its socket in a child and becomes an allowed program gets nothing."""
    shell = os.path.realpath("/bin/sh")
    with Instance(settings=policy("enforce", {'allow "shell"': {"exe": shell}}, default="deny")) as instance:
        words = [sys.executable, "-I", "-S", "-c", SHARED, KEYS, instance.token(), shell]
        assert instance.world.run("host", words).stdout.startswith("HTTP/1.1 403 ")
        row = instance.row()
        assert (row["outcome"], row["reason"], row["grade"]) == ("refused", "policy", "shared")


def simulate(instance, text, *words):
    """(exit status, {(rule, path, family, executable, user): requests}, standard error)"""
    file = instance.folder / "new.conf"
    file.write_text(text)
    done = instance.keytrail("policy", "simulate", str(file), *words, "-o", "json")
    groups = json.loads(done.stdout)
    found = {(group["rule"], group["path"], group["family"], group["process"]["exe"], group["process"]["user"]):
             group["requests"] for group in groups}
    assert len(found) == len(groups)
    return done.returncode, found, done.stderr


def test_simulate_judges_as_the_daemon_would():
    sections = {'deny "root"': {"uid": "0", "family": "imds"}}
    with Instance(settings=policy("enforce", sections, ledger={"record": "all"})) as instance:
        for _ in range(2):
            assert get_keys(instance, user="nobody")[0] == 200
        assert get_keys(instance)[0] == 403
        assert instance.get("/latest/meta-data/instance-id", instance.token())[0] == 200
        assert instance.get("/latest/meta-data/")[0] == 401
        eventually(lambda: len(instance.rows(settle=False)) == 9)
        instance.rows()
        status, found, said = simulate(instance, "[deny \"keys\"]\nfamily = imds\n")
        assert (status, found) == (3, {("keys", KEYS, "imds", CURL, "nobody"): 2, ("keys", KEYS, "imds", CURL, "root"): 1})
        assert said == ("keytrail: 4 requests replayed, 3 would have been refused; others than those that were recorded "
                        "([ledger] record) cannot be replayed\n")
        status, found, _ = simulate(instance, "[deny \"keys\"]\nfamily = imds\n", "--user", "nobody")
        assert (status, found) == (3, {("keys", KEYS, "imds", CURL, "nobody"): 2})
        status, found, _ = simulate(instance, f"[policy]\ndefault = deny\n[allow \"keys\"]\npath = {ROLE_PATH}*\n")
        assert (status, found) == (3, {("default", "/latest/meta-data/instance-id", "none", CURL, "root"): 1})
        status, found, _ = simulate(instance, f"[policy]\ndefault = deny\n[allow \"curl\"]\nexe = {CURL}\n")
        assert (status, found) == (0, {})
        status, found, said = simulate(instance, "[policy]\nmode = enforce\n")
        assert (status, found) == (0, {}) and "there is no policy in it" in said


def test_refused_before_is_not_judged():
    with Instance(settings=policy("enforce", {}, default="deny")) as instance:
        assert instance.get("/latest/meta-data/")[0] == 401
        row = instance.row()
        assert (row["reason"], verdict(row)) == ("no-token", None)
