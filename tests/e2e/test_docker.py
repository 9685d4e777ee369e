# SPDX-License-Identifier: Apache-2.0
"""A container host: Debian's Docker for real, two bridges and the host's network, each container asking by itself."""

import json
import time

import pytest

import engine as docker
from instance import IMDS_V4, IMDS_V6, QUICK_S, REDIRECT, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, eventually, needs_world

pytestmark = [needs_world, pytest.mark.skipif(docker.missing() is not None, reason=str(docker.missing()))]

# On docker0 with a published port, on a second bridge that has IPv6 too, on the host's network.
CONTAINERS = {"one": ("-p", "8080:80"), "two": ("--network", "second"), "wide": ("--network", "host")}
BRIDGED = {"one": "172.31.0.", "two": "172.32.0."}
LIMITED = [("one", IMDS_V4), ("two", IMDS_V4), ("two", f"[{IMDS_V6}]"), ("wide", IMDS_V4), ("wide", f"[{IMDS_V6}]")]
LIMITED_IDS = ["one-v4", "two-v4", "two-v6", "wide-v4", "wide-v6"]


class Host:
    """An instance with Docker on it."""

    def __init__(self, instance, engine):
        self.instance, self.engine = instance, engine
        engine.call("network", "create", "second", "--subnet", "172.32.0.0/24", "--ipv6", "--subnet", "fd32::/64",
                    "-o", "com.docker.network.bridge.name=second0")
        self.repair()  # Docker has put its own jumps ahead
        self.ids = {name: engine.run(name, *options) for name, options in CONTAINERS.items()}

    def redirect(self, verb):
        return self.instance.world.run("host", [str(REDIRECT), "-c", str(self.instance.config), verb], timeout=30)

    def repair(self):
        done = self.redirect("repair")
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr

    def settings(self, **imdsv2):
        self.instance.stop()
        self.instance.settings["imdsv2"] = imdsv2
        self.instance.write_config()
        self.instance.start()

    def rows(self, name, where="1", count=1):
        """The rows of one container, by its whole id."""
        where = f"container_id = '{self.ids[name]}' AND {where}"
        eventually(lambda: len(self.instance.rows(where, settle=False)) >= count)
        return self.instance.rows(where)

    def newest(self):
        rows = self.instance.rows()
        return rows[-1]["seq"] if rows else 0


@pytest.fixture(scope="module")
def host():
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as instance, \
            docker.Engine(instance.world) as engine:
        yield Host(instance, engine)


@pytest.mark.parametrize("name", CONTAINERS)
def test_each_container_is_recorded_under_its_own_id(host, name):
    """The first process of each asked when it started. Docker's own DNAT and MASQUERADE rules are in force."""
    assert len(host.ids[name]) == 64
    answer = json.loads(eventually(lambda: host.engine.output(name)))
    row = host.rows(name, "access_key_id IS NOT NULL")[0]
    assert (row["access_key_id"], row["outcome"], row["grade"]) == (answer["AccessKeyId"], "delivered", "exact")
    shown = host.instance.keytrail("deliveries", "--container", host.ids[name], "-o", "jsonl")
    process = json.loads(shown.stdout.splitlines()[-1])["process"]
    assert process["container_id"] == host.ids[name] and process["exe_foreign_mount"]
    assert (row["uid"], row["user"]) == (0, None)
    assert row["exe"] == "/usr/bin/curl" and "X-aws-ec2-metadata-token: [redacted]" in row["cmdline"]
    others = {row["client_netns"] for other in CONTAINERS if other != name for row in host.rows(other)}
    assert row["client_netns"] not in others
    if name in BRIDGED:
        assert row["client_address"].startswith(BRIDGED[name])


def test_ipv6_of_a_user_defined_network(host):
    start = host.newest()
    assert "AccessKeyId" in host.engine.ask("two", f"[{IMDS_V6}]")
    row = host.rows("two", f"seq > {start} AND access_key_id IS NOT NULL")[0]
    assert row["client_address"].startswith("fd32::") and row["grade"] == "exact"


@pytest.mark.parametrize("limit", [1, 2])
def test_hop_limit_reaches_the_same_containers_as_on_ec2(host, limit):
    """1 ends at a bridge, 2 gets over one; who shares the host's network is no hop away."""
    host.settings(put_response_hop_limit=limit)
    for name, address in LIMITED:
        start, began = host.newest(), time.monotonic()
        answer = host.engine.ask(name, address)
        if limit == 2 or name == "wide":
            assert "AccessKeyId" in answer, (name, address, answer)
            continue
        assert answer == "PUT 403" and time.monotonic() - began < QUICK_S, (name, address, answer)
        row = host.rows(name, f"seq > {start}")[0]
        assert (row["outcome"], row["reason"]) == ("refused", "hop-limit")


def test_a_token_of_one_container_is_worth_nothing_in_another(host):
    host.settings(put_response_hop_limit=2)
    token = host.engine.curl("one", "-X", "PUT", "-H", f"{TTL_HEADER}: 60", f"http://{IMDS_V4}/latest/api/token")
    use = ["-o", "/dev/null", "-w", "%{http_code}", "-H", f"{TOKEN_HEADER}: {token}", f"http://{IMDS_V4}{ROLE_PATH}"]
    assert host.engine.curl("one", *use) == "200"
    for thief in ("two", "wide"):
        start = host.newest()
        assert host.engine.curl(thief, *use) == "401"
        row = host.rows(thief, f"seq > {start}")[0]
        assert (row["outcome"], row["reason"]) == ("refused", "token-out-of-scope")


def test_a_container_that_is_restarted_asks_as_itself_again(host):
    before = host.rows("one", "access_key_id IS NOT NULL")[0]
    start = host.newest()
    host.engine.call("restart", "-t", "0", "one")
    row = host.rows("one", f"seq > {start} AND access_key_id IS NOT NULL")[0]
    assert row["grade"] == "exact" and row["pid"] != before["pid"]


def test_a_restart_of_docker_fails_no_request_and_repair_mends(host):
    """Docker puts its rules ahead of ours anew. A container on each bridge and one on the host's network ask all the
    time; Docker lives on without its engine (--live-restore)."""
    networks = {"docker0": (), "second0": ("--network", "second"), "host": ("--network", "host")}
    asking = "until [ -e /stop ]; do /bin/ask 169.254.169.254; done; echo ended"
    for name, options in networks.items():
        host.engine.run(name, *options, command=asking)
    assert eventually(lambda: all("AccessKeyId" in host.engine.output(name) for name in networks))
    host.engine.stop()
    host.engine.start()
    late = host.redirect("check").stdout.splitlines()
    assert any("KEYTRAIL-FWD is late" in line for line in late), late
    host.repair()
    before = {name: len(host.engine.output(name)) for name in networks}
    assert eventually(lambda: all(len(host.engine.output(name)) > before[name] + 5000 for name in networks))
    for name in networks:
        host.engine.call("exec", name, "/bin/sh", "-c", ": >/stop")
    for name in networks:
        assert eventually(lambda: host.engine.output(name).endswith("ended\n"))
        answers = host.engine.output(name).split("}\n")
        assert len(answers) > 5 and answers[-1] == "ended\n"
        assert all('"AccessKeyId"' in answer for answer in answers[:-1]), answers
