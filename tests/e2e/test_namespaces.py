# SPDX-License-Identifier: Apache-2.0
"""`status` lists the network namespaces that the redirect cannot reach: those with a device of their own."""

import json
import os
import subprocess

import pytest

from imds import binary
from instance import Instance, needs_world

pytestmark = needs_world


@pytest.fixture(scope="module")
def instance():
    with Instance() as made:
        yield made


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=60)


def out_of_reach(instance, form="json"):
    done = instance.world.run("host", [str(binary("keytrail")), "status", "-c", str(instance.config), "-o", form])
    assert done.returncode in (0, 3, 4), done.stderr
    return json.loads(done.stdout)["out_of_reach"] if form == "json" else done.stdout


def named(listed, pid):
    return [one for one in listed if one["pid"] == pid]


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan"])
def test_a_namespace_with_a_device_of_its_own_is_listed(instance, kind):
    prefix = instance.world.prefix
    name = f"{prefix}-{kind}"
    ip("netns", "add", name)
    try:
        made = subprocess.run(["ip", "-n", f"{prefix}-host", "link", "add", "own0", "link", "eth0", "netns", name, "type",
                               kind], capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"no {kind} here: {made.stderr.strip()}")
        ip("-n", name, "address", "add", "10.77.0.9/24", "dev", "own0")
        ip("-n", name, "link", "set", "own0", "up")
        ip("-n", name, "route", "add", "default", "via", "10.77.0.1")
        sleeper = subprocess.Popen(["nsenter", f"--net=/run/netns/{name}", "sleep", "60"])
        try:
            listed = named(out_of_reach(instance), sleeper.pid)
            assert len(listed) == 1, listed
            assert listed[0]["device"] == "own0" and listed[0]["driver"] == kind
            assert listed[0]["netns"] == os.stat(f"/run/netns/{name}").st_ino
            assert listed[0]["exe"]
            assert "own0" in out_of_reach(instance, "table")
        finally:
            sleeper.kill()
            sleeper.wait()
    finally:
        ip("netns", "del", name)


def test_containers_behind_a_bridge_are_not_listed(instance):
    sleeper = instance.world.popen("ctr1", ["sleep", "60"])
    try:
        assert named(out_of_reach(instance), sleeper.pid) == []
    finally:
        sleeper.kill()
        sleeper.wait()


def test_who_is_not_root_is_told_that_it_was_not_looked(instance):
    done = instance.world.run("host", [str(binary("keytrail")), "status", "-c", str(instance.config), "-o", "json"],
                              user="nobody")
    assert json.loads(done.stdout)["out_of_reach"] is None
