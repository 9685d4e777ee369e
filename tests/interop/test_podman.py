# SPDX-License-Identifier: Apache-2.0
"""Containers of Debian's Podman, run by root with cgroupfs and runc: the host's Keytrail names each by its id."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import engine as docker
from instance import IMDS_V4, Instance, eventually, needs_world

PODMAN, RUNC = "/usr/bin/podman", "/usr/sbin/runc"  # crun refuses machines that have both kinds of control groups
CALL_S = 120

pytestmark = [needs_world, pytest.mark.skipif(not all(os.access(one, os.X_OK) for one in (PODMAN, RUNC, "/usr/bin/conmon")),
                                              reason="no podman, runc or conmon")]


class Podman:
    """Podman has no daemon: each call is a process in the instance's network namespace, with a store of its own."""

    def __init__(self, world):
        self.world = world
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-podman-"))
        self.groups = [root / "libpod_parent" for root in docker.groups_roots() if not (root / "libpod_parent").exists()]

    def call(self, *words, check=True, **more):
        options = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp", "--storage-driver",
                   "vfs", "--cgroup-manager", "cgroupfs", "--runtime", RUNC, "--events-backend", "file"]
        argv = ["nsenter", f"--net=/run/netns/{self.world.prefix}-host", "--", PODMAN, *options, *words]
        done = subprocess.run([str(word) for word in argv], capture_output=True, timeout=CALL_S, text=more.pop("text", True), **more)
        assert not check or done.returncode == 0, (words, done.stderr)
        return done

    def __enter__(self):
        image = self.folder / "image"
        docker.fill_image(image)
        tar = subprocess.run(["tar", "-C", str(image), "-c", "."], capture_output=True, check=True).stdout
        self.call("import", "-", "kt", input=tar, text=False)
        return self

    def __exit__(self, *_):
        self.call("rm", "-a", "-f", "-t", "1", check=False)
        eventually(self.remove_groups, 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_groups(self):
        """Whether all that Podman made is gone: its monitors end a moment after their containers."""
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        return not any(group.exists() for group in self.groups)


@pytest.fixture(scope="module")
def host():
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as instance, Podman(instance.world) as podman:
        yield instance, podman


@pytest.mark.parametrize("options", [["--pid=private"], ["--pid=host"]], ids=["own-pids", "host-pids"])
def test_a_container_on_the_hosts_network_is_named(host, options):
    instance, podman = host
    limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]  # Podman's own are higher than some machines allow
    identity = podman.call("run", "-d", "--network=host", *limits, *options, "kt", "/bin/sh", "-c", "exec sleep 600").stdout.strip()
    document = json.loads(podman.call("exec", identity, "/bin/ask", IMDS_V4).stdout)
    key = document["AccessKeyId"]
    where = f"container_id = '{identity}' AND access_key_id = '{key}'"
    assert eventually(lambda: instance.rows(where, settle=False), 10), instance.rows()
    [row] = instance.rows(where)
    assert row["grade"] == "exact" and row["outcome"] == "delivered"
    assert row["exe"] == "/usr/bin/curl" and row["container_id"] == identity
    podman.call("rm", "-f", "-t", "1", identity)
