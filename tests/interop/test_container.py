# SPDX-License-Identifier: Apache-2.0
"""The image under Debian's Docker: for a host, and in the network namespace of one container, as a pod's sidecar."""

import json
import pathlib
import re
import subprocess

import pytest

import engine as docker
from imds import Imds
from instance import IMDS_V4, IMDS_V6, TTL_HEADER
from world import World, eventually

pytestmark = pytest.mark.skipif(docker.missing() is not None, reason=str(docker.missing()))

CONTAINER = pathlib.Path(__file__).resolve().parents[2] / "packaging/container"
IMAGE, BUILD_S = "keytrail:0.1.0", 300


def capabilities(example):
    """What an example adds, as options of `docker run`."""
    text = re.search(r"add: \[(.*?)\]|cap_add: \[(.*?)\]", (CONTAINER / example).read_text(), re.S)
    return ["--cap-drop=ALL", *(f"--cap-add={name}" for name in re.findall(r"\w+", text[1] or text[2]))]


@pytest.fixture(scope="module")
def engine(debian, packages, tmp_path_factory):
    archive = tmp_path_factory.mktemp("image") / "keytrail.tar"
    subprocess.run([str(CONTAINER / "build"), "--base", str(debian), "--deb", str(packages[0]), str(archive)], check=True,
                   timeout=BUILD_S, capture_output=True)
    print(f"image: {archive.stat().st_size >> 20} MiB")
    with World() as world:
        imds = Imds(netns=f"{world.prefix}-imds", listen=[f"{IMDS_V4}:80", f"[{IMDS_V6}]:80"])
        try:
            with docker.Engine(world) as made:
                made.call("import", "--change", 'ENTRYPOINT ["/usr/sbin/keytrail-container"]', str(archive), IMAGE)
                archive.unlink()
                yield made
        finally:
            imds.stop()


@pytest.fixture
def folders(tmp_path):
    """State and settings on the host."""
    tmp_path.chmod(0o755)
    (tmp_path / "state").mkdir()
    (tmp_path / "settings").mkdir()
    return ["-v", f"{tmp_path}/state:/var/lib/keytrail", "-v", f"{tmp_path}/settings:/etc/keytrail:ro"]


@pytest.fixture
def started(engine):
    """Starts containers, and removes them."""
    names = []

    def start(name, *options, image=IMAGE, command=()):
        names.append(name)
        return engine.call("run", "-d", "--name", name, *options, image, *command).stdout.strip()

    yield start
    engine.call("rm", "-f", *names, check=False)


def keytrail(engine, *words):
    return engine.call("exec", "keytrail", "keytrail", *words, check=False)


def whole(engine):
    done = eventually(lambda: keytrail(engine, "status").returncode == 0 or None, pause_s=0.2)
    assert done, keytrail(engine, "status").stdout + engine.call("logs", "keytrail", check=False).stderr


def deliveries(engine, count):
    def rows():
        lines = keytrail(engine, "deliveries", "-o", "jsonl").stdout.splitlines()
        return [row for row in map(json.loads, lines) if row["outcome"] == "delivered" and row["access_key_id"]]
    return eventually(lambda: rows() if len(rows()) == count else None) or rows()


def test_host_form_sees_the_host_and_its_containers(engine, folders, started, tmp_path):
    (tmp_path / "settings/keytrail.conf").write_text("[imdsv2]\nput_response_hop_limit = 2\n")
    started("keytrail", "--network=host", "--pid=host", "--cgroupns=host", "--security-opt=apparmor=unconfined",
            "-v", "/sys/fs/cgroup:/sys/fs/cgroup:ro", *capabilities("compose.yaml"), *folders)
    whole(engine)
    bridged = started("bridged", image=docker.IMAGE, command=["/bin/sh", "-c", docker.ASK_AT_START])
    eventually(lambda: "AccessKeyId" in engine.output("bridged"))
    own = json.loads(subprocess.run(engine.inside(["nsenter", f"--net={engine.world.path('host')}", "setpriv", "--reuid=65534", "--clear-groups",
                                                   "/bin/sh", "-c", docker.ASK.replace("$1", IMDS_V4)]),
                                    capture_output=True, text=True, check=True, timeout=20).stdout)
    rows = deliveries(engine, 2)
    assert [(row["process"]["container_id"], row["attribution"]["grade"]) for row in reversed(rows)] == [(bridged, "exact"), (None, "exact")]
    assert own["AccessKeyId"] == rows[0]["access_key_id"]
    assert [row["process"]["exe_foreign_mount"] for row in reversed(rows)] == [True, False]
    assert rows[0]["process"]["user"] == "nobody" and rows[0]["process"]["exe"] == "/usr/bin/curl"
    assert rows[1]["process"]["user"] is None
    assert keytrail(engine, "ledger", "verify").returncode == 0
    # Whoever stops it gets the machine as it was, at once.
    engine.call("stop", "-t", "15", "keytrail")
    assert "KEYTRAIL" not in engine.world.run("host", ["iptables-save"]).stdout
    assert engine.call("inspect", "-f", "{{.State.ExitCode}}", "keytrail").stdout == "0\n"
    assert (tmp_path / "state/ledger.db").stat().st_uid == 8775


def test_host_form_keeps_the_redirect_where_another_takes_over(engine, folders, started):
    started("keytrail", "--network=host", "--pid=host", "--cgroupns=host", "-e", "KEYTRAIL_ON_STOP=keep", "-e", "KEYTRAIL_CHECK_SECONDS=1",
            "-v", "/sys/fs/cgroup:/sys/fs/cgroup:ro", *capabilities("compose.yaml"), *folders)
    whole(engine)
    engine.world.run("host", ["iptables", "-t", "nat", "-D", "OUTPUT", "-j", "KEYTRAIL-OUT"])
    assert eventually(lambda: "-j KEYTRAIL-OUT" in engine.world.run("host", ["iptables", "-t", "nat", "-S", "OUTPUT"]).stdout, 15)
    engine.call("stop", "-t", "15", "keytrail")
    assert "KEYTRAIL" in engine.world.run("host", ["iptables-save"]).stdout
    engine.call("start", "keytrail")
    whole(engine)
    engine.call("exec", "keytrail", "keytrail-redirect", "down")


@pytest.mark.parametrize("shared", [True, False], ids=["shared-processes", "own-processes"])
def test_sidecar_serves_its_pod_alone(engine, folders, started, tmp_path, shared):
    (tmp_path / "settings/keytrail.conf").write_text("[listen]\ncontainer_interfaces = none\n")
    pod = started("pod", image=docker.IMAGE, command=["/bin/sh", "-c", "exec sleep 600"])
    started("keytrail", "--network=container:pod", *(["--pid=container:pod"] if shared else []),
            "--security-opt=apparmor=unconfined", *capabilities("sidecar.yaml"), *folders)
    whole(engine)
    answer = engine.ask("pod")
    row = deliveries(engine, 1)[0]
    assert row["access_key_id"] == answer["AccessKeyId"]
    if shared:
        assert row["attribution"]["grade"] == "exact" and row["process"]["exe"] == "/usr/bin/curl"
        assert row["process"]["container_id"] in (pod, None)
    else:
        assert row["process"] is None and row["attribution"]["grade"] in ("uid", "cgroup", "netns")
    # The host and other containers are not its business.
    assert "KEYTRAIL" not in engine.world.run("host", ["iptables-save"]).stdout
    assert engine.world.run("host", ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "-H", f"{TTL_HEADER}: 60",
                                     f"http://{IMDS_V4}/latest/api/token"]).stdout == "200"
    assert keytrail(engine, "status", "-o", "json").stdout.count('"tokens":1') == 1
    engine.call("stop", "-t", "15", "keytrail")
    assert "AccessKeyId" in engine.ask("pod")


def test_bad_settings_end_it_and_say_so(engine, folders, started, tmp_path):
    (tmp_path / "settings/keytrail.conf").write_text("[daemon]\non_dead = open\n[listen]\nport = 8775\nprot = 1\n")
    started("keytrail", "--network=host", "--pid=host", "--cgroupns=host", *capabilities("compose.yaml"), *folders)
    code = engine.call("wait", "keytrail").stdout
    assert code in ("1\n", "2\n") and "prot" in engine.call("logs", "keytrail").stderr
    assert "KEYTRAIL" not in engine.world.run("host", ["iptables-save"]).stdout
