# SPDX-License-Identifier: Apache-2.0
"""A machine of its own: a Debian 12 in process, mount and network namespaces, and a part of its service manager."""

import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import supervisor
from imds import Imds
from instance import IMDS_V4, IMDS_V6
from world import World, eventually

CALL_S, APT_S = 60, 300
# Where a package manager keeps its own books.
BOOKS = re.compile(r"^(var/(lib/(dpkg|apt|systemd/catalog)|cache|log)|etc/(passwd|group|g?shadow)-|etc/.*[.]lock|proc|sys|dev|run|tmp"
                   r"|root|var/tmp)(/|$)|^etc/ld[.]so[.]cache$")


class Machine:
    """A root of its own, in process, mount and network namespaces of its own; its network is a world's host."""

    def __init__(self, folder):
        self.folder, self.root = folder, folder / "root"
        self.world = World()
        self.imds = Imds(netns=f"{self.world.prefix}-imds", listen=[f"{IMDS_V4}:80", f"[{IMDS_V6}]:80"])
        self.begin()

    def begin(self):
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

    def bring(self, *files):
        """Copies files to its /root; their names there."""
        for file in files:
            shutil.copy(file, self.root / "root" / file.name)
        return [f"/root/{file.name}" for file in files]

    def install(self, package):
        """With all that it depends on, from a mirror."""
        self.run("apt-get", "install", "-y", "-q", "--no-install-recommends", package, network=False, timeout=APT_S)

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


@contextlib.contextmanager
def machine_of(debian, kind=Machine):
    """A machine made of a copy of that folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-debian-"))
    folder.chmod(0o755)
    subprocess.run(["cp", "-a", str(debian), str(folder / "root")], check=True)
    made = kind(folder)
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
    child = subprocess.Popen(["nsenter", "-t", str(machine.init), "--pid", "--net", "--", sys.executable, "-I", "-S", supervisor.__file__,
                              str(start), "/etc/keytrail/keytrail.conf", str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
    assert child.stdout.readline().startswith("started ")

    def restart():
        assert supervisor.restart(child) == 0, log.read_text()

    try:
        yield restart
        assert supervisor.end(child) == 0, log.read_text()
    finally:
        child.kill()
        child.wait()
