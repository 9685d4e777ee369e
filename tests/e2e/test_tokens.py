# SPDX-License-Identifier: Apache-2.0
"""Session tokens: whom each scope lets use one, and how long a token outlives restarts and a change of the key."""

import os
import pathlib
import stat
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, TOKEN_HEADER, TTL_HEADER, Instance, binary, eventually, needs_world

pytestmark = needs_world
AMI = "/latest/meta-data/ami-id"
GROUPS = pathlib.Path("/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup")

# Gets a token and says it; then uses it once for each line that it reads, in the same process.
CLIENT = f"""
import http.client, sys
def ask(method, path, **headers):
    connection = http.client.HTTPConnection("{IMDS_V4}", timeout=8)
    connection.request(method, path, headers={{name.replace("_", "-"): value for name, value in headers.items()}})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
token = ask("PUT", "/latest/api/token", **{{"{TTL_HEADER}": "60"}})[1]
print(token, flush=True)
for line in sys.stdin:
    print(ask("GET", "{AMI}", **{{"{TOKEN_HEADER}": token}})[0], flush=True)
"""


class Group:
    """A control group of this test's own."""

    def __enter__(self):
        self.path = GROUPS / f"keytrail-test-{uuid.uuid4().hex[:12]}"
        self.path.mkdir()
        return self

    def __exit__(self, *_):
        self.path.rmdir()

    def argv(self, argv):
        return ["/bin/sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh", *argv]


def use(instance, token, ns="host", group=None):
    """The status that another process gets with this token."""
    argv = ["curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"{TOKEN_HEADER}: {token}",
            f"http://{IMDS_V4}{AMI}"]
    return int(instance.world.run(ns, group.argv(argv) if group else argv).stdout)


# Who may use a token that a process of this namespace got, by scope: the process itself, another one, one of another
# control group, one in the first container, one in the second.
MAY = {
    ("instance", "host"): (True, True, True, True, True),
    ("netns", "host"): (True, True, True, False, False),
    ("cgroup", "host"): (True, True, False, True, True),  # the world's containers have no groups of their own
    ("process", "host"): (True, False, False, False, False),
    ("instance", "ctr1"): (True, True, True, True, True),
    ("netns", "ctr1"): (True, False, False, True, False),
    ("cgroup", "ctr1"): (True, True, False, True, True),
    ("process", "ctr1"): (True, False, False, False, False),
}


@pytest.mark.parametrize("scope,ns", MAY)
def test_scope(scope, ns):
    settings = {"imdsv2": {"token_scope": scope, "put_response_hop_limit": 2}}
    with Instance(settings=settings) as instance, Group() as group:
        client = instance.world.popen(ns, [sys.executable, "-I", "-S", "-c", CLIENT], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        token = client.stdout.readline().strip()
        client.stdin.write("use\n")
        client.stdin.flush()
        got = (int(client.stdout.readline()), use(instance, token), use(instance, token, group=group),
               use(instance, token, ns="ctr1"), use(instance, token, ns="ctr2"))
        assert got == tuple(200 if may else 401 for may in MAY[scope, ns])
        wanted = [("token-out-of-scope", "/usr/bin/curl")] * got.count(401)
        assert eventually(lambda: [(row["reason"], row["exe"]) for row in instance.rows()] == wanted or not wanted)


def test_containers_have_groups_of_their_own():
    """What a container engine makes: a network namespace and a control group for each container."""
    settings = {"imdsv2": {"token_scope": "cgroup", "put_response_hop_limit": 2}}
    with Instance(settings=settings) as instance, Group() as one, Group() as two:
        get = ["curl", "-sS", "-m", "5", "-X", "PUT", "-H", f"{TTL_HEADER}: 60", f"http://{IMDS_V4}/latest/api/token"]
        token = instance.world.run("ctr1", one.argv(get)).stdout
        assert use(instance, token, "ctr1", one) == 200
        assert use(instance, token, "ctr2", two) == 401
        assert use(instance, token) == 401


def test_others_that_a_rule_brings_to_a_loopback_address():
    """They are not the machine's own for that."""
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as instance:
        rule = ["-i", "br0", "-d", IMDS_V4, "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", "127.0.0.1:8775"]
        instance.world.run("host", ["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"], check=True)
        instance.world.run("host", ["iptables", "-t", "nat", "-I", "PREROUTING", "1", *rule], check=True)
        tokens = {ns: instance.token(ns=ns) for ns in ("host", "ctr1")}
        got = {(of, by): use(instance, token, by) for of, token in tokens.items() for by in ("host", "ctr1", "ctr2")}
        assert {pair for pair, status in got.items() if status == 200} == {("host", "host"), ("ctr1", "ctr1")}, got


def rotate(instance):
    return subprocess.run([str(binary("keytraild")), "-c", str(instance.config), "--rotate-token-key"],
                          capture_output=True, text=True, timeout=60)


def test_change_of_the_key_ends_no_token():
    with Instance() as instance:
        old = instance.token()
        assert (done := rotate(instance)).returncode == 0, done.stderr
        assert use(instance, old) == 200
        before_reload = instance.token()
        assert instance.reload({})["refused"] is False
        new = instance.token()
        assert [use(instance, token) for token in (old, before_reload, new)] == [200, 200, 200]
        assert instance.stop() == 0
        instance.start()
        assert [use(instance, token) for token in (old, before_reload, new)] == [200, 200, 200]
        for name in ("token.key", "token.key.previous"):
            status = (instance.state / name).stat()
            assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, instance.state.stat().st_uid)


def test_tokens_of_a_forgotten_key_end():
    with Instance() as instance:
        old = instance.token()
        assert rotate(instance).returncode == 0
        (instance.state / "token.key.previous").unlink()
        instance.reload({})
        assert use(instance, old) == 401
        assert instance.row("outcome = 'refused'")["reason"] == "token-out-of-scope"
        assert use(instance, instance.token()) == 200


def test_cut_key_is_refused_and_the_old_one_stays():
    with Instance() as instance:
        old = instance.token()
        (instance.state / "token.key").write_bytes(b"short")
        answer = instance.reload({"imdsv2": {"mode": "audit"}})
        assert answer["refused"] is True and "token.key: expected a key of 32 bytes" in answer["reason"]
        assert use(instance, old) == 200
        assert instance.get(AMI)[0] == 401


def test_no_key_to_change():
    with Instance() as instance:
        instance.stop()
        (instance.state / "token.key").unlink()
        done = rotate(instance)
        assert done.returncode == 1 and "token.key" in done.stderr
        instance.start()
