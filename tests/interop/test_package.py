# SPDX-License-Identifier: Apache-2.0
"""The deb on a Debian 12 of its own: made by debootstrap, installed, run by hand in the order of its units, upgraded under
load, removed. Needs Debian's debootstrap and a mirror."""

import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from imds import Imds
from instance import IMDS_V4, IMDS_V6, ROLE_PATH, TOKEN_HEADER, TTL_HEADER
from service_manager import MANAGER
from world import World, eventually

APT_S, CALL_S = 300, 60
# Where a package manager keeps its own books.
BOOKS = re.compile(r"^(var/(lib/(dpkg|apt|systemd/catalog)|cache|log)|etc/(passwd|group|g?shadow)-|etc/.*[.]lock|proc|sys|dev|run|tmp"
                   r"|root|var/tmp)(/|$)|^etc/ld[.]so[.]cache$")

CURL_CLIENT = f"""
while [ -e /tmp/go ]; do
	token=$(curl -sS -m 8 -X PUT -H '{TTL_HEADER}: 60' http://{IMDS_V4}/latest/api/token) || echo "failed token $?"
	curl -sS -m 8 -H "{TOKEN_HEADER}: $token" http://{IMDS_V4}{ROLE_PATH}web-server | grep -q AccessKeyId &&
		echo got || echo "failed keys"
done
"""
BOTO_CLIENT = """
import os
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import InstanceMetadataFetcher
while os.path.exists("/tmp/go"):
    got = InstanceMetadataProvider(InstanceMetadataFetcher(timeout=8, num_attempts=1)).load()
    print("got" if got else "failed", flush=True)
"""


class Machine:
    """A root of its own, in process, mount and network namespaces of its own; its network is a world's host."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.world = World()
        self.imds = Imds(netns=f"{self.world.prefix}-imds", listen=[f"{IMDS_V4}:80", f"[{IMDS_V6}]:80"])
        script = ('mount --make-rprivate / && mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /sys "$1/sys" && '
                  'mount --rbind /dev "$1/dev" && mount -t tmpfs run "$1/run" && exec chroot "$1" sleep infinity')
        self.holder = self.world.popen("host", ["unshare", "--pid", "--mount", "--fork", "--kill-child", "sh", "-c", script, "sh",
                                                str(self.root)])
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        assert eventually(children.read_text)
        self.init = int(children.read_text().split()[0])
        assert eventually(lambda: pathlib.Path(f"/proc/{self.init}/comm").read_text() == "sleep\n")

    def close(self):
        self.imds.stop()
        self.world.close()

    def argv(self, *words, network=True):
        """In its namespaces; without network: in the network namespace that we are in, which reaches mirrors."""
        net = ["--net"] if network else []
        return ["nsenter", "-t", str(self.init), "--mount", "--pid", "--root", "--wd=/", *net, "--", "env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *words]

    def run(self, *words, network=True, check=True, timeout=CALL_S):
        done = subprocess.run(self.argv(*words, network=network), capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, (words, done.stdout[-1000:], done.stderr[-2000:])
        return done

    def client(self, *words):
        return subprocess.Popen(self.argv("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words),
                                stdout=subprocess.PIPE, text=True)

    def files(self):
        """{path: what it is}, of all that a package could leave behind."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if BOOKS.search(name):
                continue
            status = path.lstat()
            found[name] = (status.st_mode, status.st_uid, status.st_gid,
                           status.st_size if path.is_file() and not path.is_symlink() else 0)
        return found

    def rules(self):
        return [self.run(tool, "-t", table, "-S").stdout for tool in ("iptables", "ip6tables") for table in ("nat", "filter")]

    def processes(self):
        return self.run("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()


@pytest.fixture(scope="module")
def machine(debian):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-debian-"))
    folder.chmod(0o755)
    subprocess.run(["cp", "-a", str(debian), str(folder / "root")], check=True)
    made = Machine(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def service_manager(machine, folder):
    """Holds the sockets and runs the daemon, as keytrail.socket and keytraild.service do."""
    start = folder / "start"
    start.write_text(f"#!/bin/sh\nexec nsenter --mount=/proc/{machine.init}/ns/mnt --root=/proc/{machine.init}/root --wd=/proc/{machine.init}/root "
                     "-- /usr/sbin/keytraild\n")
    start.chmod(0o755)
    log = folder / "keytraild.log"
    child = subprocess.Popen(["nsenter", "-t", str(machine.init), "--pid", "--net", "--", sys.executable, "-I", "-S", "-c", MANAGER,
                              str(start), "/etc/keytrail/keytrail.conf", str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
    assert child.stdout.readline() == "started\n"

    def restart(word="again"):
        child.stdin.write(word + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "0\n", log.read_text()

    try:
        yield restart
        restart("end")
    finally:
        child.kill()
        child.wait()


def test_from_installation_to_removal(machine, packages, tmp_path):
    for package in packages:
        shutil.copy(package, machine.root / "root" / package.name)
    first, second = (f"/root/{package.name}" for package in packages)
    machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", first, network=False, timeout=APT_S)
    machine.run("dpkg", "-P", "keytrail")  # what it depends on stays
    before, rules = machine.files(), machine.rules()
    assert not any("keytrail" in name for name in before)
    assert "keytrail" not in (machine.root / "etc/passwd").read_text()

    # Installing starts nothing and switches nothing on.
    machine.run("dpkg", "-i", first)
    assert machine.rules() == rules and "keytraild" not in machine.processes()
    assert not list((machine.root / "etc/systemd").rglob("*keytrail*"))
    assert machine.run("keytrail", "--version").stdout.startswith("keytrail 0.1.0")
    assert machine.run("keytraild", "--check-config").returncode == 0
    state = machine.root / "var/lib/keytrail"
    assert state.stat().st_mode & 0o7777 == 0o750 and not list(state.iterdir())

    # keytrail.socket, keytraild.service and keytrail-redirect.service by hand, in either order.
    with service_manager(machine, tmp_path) as restart:
        machine.run("keytrail-redirect", "up")
        assert eventually(lambda: machine.run("keytrail", "status", check=False).returncode == 0, 10), \
            machine.run("keytrail", "status", check=False).stdout
        (machine.root / "tmp/go").touch()
        clients = [machine.client("sh", "-c", CURL_CLIENT), machine.client("python3", "-c", BOTO_CLIENT)]
        time.sleep(1)

        # An upgrade keeps ledger, keys and running clients.
        keys = {name: (state / name).read_bytes() for name in ("host.key", "token.key")}
        (machine.root / "etc/keytrail/keytrail.conf").open("a").write("\n# the administrator's own line\n")
        machine.run("dpkg", "-i", second)
        restart()
        time.sleep(1)
        (machine.root / "tmp/go").unlink()
        said = [client.communicate(timeout=30)[0].splitlines() for client in clients]
        for lines in said:
            assert len(lines) > 5 and set(lines) == {"got"}
        assert keys == {name: (state / name).read_bytes() for name in keys}
        assert "the administrator's own line" in (machine.root / "etc/keytrail/keytrail.conf").read_text()
        rows = machine.run("keytrail", "deliveries", "-o", "csv").stdout.splitlines()[1:]
        assert len(rows) == sum(len(lines) for lines in said)
        assert machine.run("keytrail", "ledger", "verify").returncode == 0
        assert {"/usr/bin/curl", "/usr/bin/python3.11"} == set(re.findall(r"/usr/bin/(?:curl|python3[.]11)", "\n".join(rows)))

        # Removal: the redirect first, so that nobody is cut off.
        machine.run("dpkg", "-r", "keytrail")
        assert machine.rules() == rules
    assert machine.run("curl", "-sS", "-m", "5", f"http://{IMDS_V4}/", check=False).returncode == 0
    left = set(machine.files()) - set(before)
    assert all(re.match(r"etc/keytrail|var/lib/keytrail", name) for name in left) and "var/lib/keytrail/ledger.db" in left
    said = machine.run("dpkg", "-P", "keytrail").stderr
    assert "ledger stays" in said
    left = set(machine.files()) - set(before)
    assert left and all(name.startswith("var/lib/keytrail") for name in left)
    shutil.rmtree(state)
    after = machine.files()
    changed = {name for name in set(before) | set(after) if before.get(name) != after.get(name)}
    assert changed <= {"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "var/lib", "etc", "usr/share/man", "var/lib/systemd"}


def test_removed_before_it_ever_ran(machine, packages):
    """Nothing is left but the package manager's books, not even the user."""
    machine.run("sh", "-c", "userdel keytrail 2>/dev/null || true")
    before = machine.files()
    shutil.copy(packages[0], machine.root / "root" / packages[0].name)
    machine.run("dpkg", "-i", f"/root/{packages[0].name}")
    machine.run("dpkg", "-P", "keytrail")
    assert machine.files().keys() == before.keys()
    assert "keytrail" not in (machine.root / "etc/passwd").read_text()
