# SPDX-License-Identifier: Apache-2.0
"""The network namespaces that other tests stand on: what they reach, and that nothing of them is left."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "world"))

from world import IMDS_V4, IMDS_V6, QUICK_S, ROLES, SCRIPT, THROWAWAY, World, eventually, world  # noqa: E402,F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def left(prefix):
    return [path.name for path in pathlib.Path("/run/netns").glob(f"{prefix}-*")]


def get(world, ns, address):  # noqa: F811
    return json.loads(world.run(ns, [*THROWAWAY, "get", address, "80"]).stdout)


@pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6])
def test_the_host_reaches_the_metadata_service_at_once(world, address):  # noqa: F811
    world.serve("imds", "imds")
    answer = get(world, "host", address)
    assert answer["who"] == "imds"
    assert answer["seconds"] < QUICK_S


def test_nothing_leads_out(world):  # noqa: F811
    for ns in ROLES:
        links = json.loads(world.run(ns, ["ip", "-j", "link"]).stdout)
        peers = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, timeout=10, check=True).stdout)
        machine = {link["address"] for link in peers if "address" in link and link["ifname"] != "lo"}
        assert {link["address"] for link in links}.isdisjoint(machine)
        assert {link["ifname"] for link in links} <= {"lo", "eth0", "br0", "ctr1", "ctr2"}
        assert all("link_netnsid" in link or link["ifname"] in ("lo", "br0") for link in links)
    routes = world.run("imds", ["ip", "route", "show", "default"]).stdout
    assert routes == ""
    assert "error" in get(world, "host", "192.0.2.1")


def test_containers_reach_each_other_and_the_bridge(world):  # noqa: F811
    for address in ("172.30.0.12", "fd30::12", "172.30.0.1", "fd30::1"):
        answer = get(world, "ctr1", address)
        assert answer["error"] == "ECONNREFUSED"  # it is there, and nothing listens


def test_programs_run_as_another_user(world):  # noqa: F811
    assert world.run("host", ["id", "-un"], user="nobody").stdout.strip() == "nobody"
    assert world.run("ctr1", ["id", "-u"], user=12345).stdout.strip() == "12345"
    assert world.run("ctr1", ["id", "-u"]).stdout.strip() == "0"


def test_sys_still_shows_the_cgroups(world):  # noqa: F811
    assert world.run("host", ["ls", "/sys/fs/cgroup"]).stdout.split() == sorted(os.listdir("/sys/fs/cgroup"))


def test_close_ends_programs_and_may_be_called_twice():
    made = World()
    child = made.popen("ctr1", ["sleep", "60"])
    assert len(left(made.prefix)) == len(ROLES)
    made.close()
    made.close()
    assert left(made.prefix) == []
    assert child.returncode == -signal.SIGKILL


def test_worlds_do_not_collide():
    with World() as one, World() as two:
        assert one.prefix != two.prefix
        one.serve("imds", "imds")
        assert get(one, "host", IMDS_V4)["who"] == "imds"
        assert get(two, "host", IMDS_V4)["error"] == "ECONNREFUSED"
        one.close()
        assert len(left(two.prefix)) == len(ROLES)


def test_an_exception_leaves_nothing():
    with pytest.raises(ZeroDivisionError):
        with World() as made:
            made.popen("host", ["sleep", "60"])
            raise ZeroDivisionError
    assert left(made.prefix) == []


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_test_run_leaves_nothing(by):
    program = (f"import sys, time; sys.path.insert(0, {str(ROOT / 'tests' / 'world')!r}); from world import World; w = World();"
               "w.popen('host', ['sleep', '61']); print(w.prefix, flush=True); time.sleep(60)")
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    prefix = run.stdout.readline().strip()
    assert len(left(prefix)) == len(ROLES)
    run.send_signal(by)
    run.wait(timeout=60)
    run.stdout.close()
    assert eventually(lambda: not left(prefix))


def test_a_name_in_use_is_refused_and_left_alone():
    with World() as made:
        again = subprocess.run([SCRIPT, "up", "--prefix", made.prefix], capture_output=True, text=True, timeout=60)
        assert again.returncode == 1
        assert "exists already" in again.stderr
        assert len(left(made.prefix)) == len(ROLES)


def test_a_failed_up_leaves_nothing(tmp_path):
    (tmp_path / "ip").write_text('#!/bin/sh\ncase "$*" in *ctr2*type*) exit 1;; esac\nexec /usr/sbin/ip "$@"\n')
    (tmp_path / "ip").chmod(0o755)
    if not os.path.exists("/usr/sbin/ip"):
        pytest.skip("ip is elsewhere")
    prefix = f"kt-{os.getpid()}-broken"
    done = subprocess.run([SCRIPT, "up", "--prefix", prefix], capture_output=True, text=True, timeout=20,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode != 0
    assert left(prefix) == []


def test_down_is_idempotent_and_keeps_to_its_prefix():
    with World() as made:
        for prefix in (made.prefix + "0", made.prefix[:-1]):
            done = subprocess.run([SCRIPT, "down", "--prefix", prefix], timeout=60)
            assert done.returncode == 0
        assert len(left(made.prefix)) == len(ROLES)


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["up", "--prefix"], ["up", "--prefix", "../x"], ["up", "x"]])
def test_usage(arguments):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(("usage:", "world:"))
