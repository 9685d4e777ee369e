# SPDX-License-Identifier: Apache-2.0
"""Debian's Docker inside a world's host namespace, with an image made of this machine's curl.

The engine lives in a PID and a mount namespace of its own below the host's network namespace: its rules, bridges and
mounts are the world's, and all its processes end with the first of them, however the test ends."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from world import eventually

DOCKER, DOCKERD = "/usr/bin/docker", "/usr/sbin/dockerd"
IMAGE = "kt"
READY_S, CALL_S, STOP_S = 30, 60, 20
# One fetch as AWS documents it, on one line: the status of the PUT, or the credential document.
ASK = """#!/bin/sh
base=http://$1/latest
token=$(curl -s -m 10 -w ' %{http_code}' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' $base/api/token)
case $token in *' 200') ;; *) echo "PUT$token"; exit 1 ;; esac
exec curl -s -m 10 -w '\\n' -H "X-aws-ec2-metadata-token: ${token% 200}" $base/meta-data/iam/security-credentials/web-server
"""
ASK_AT_START = "/bin/ask 169.254.169.254; exec sleep 600"


def missing():
    """Why Docker cannot be had here; None when it can."""
    for program in (DOCKER, DOCKERD, "/usr/bin/containerd", "/usr/sbin/runc"):
        if not os.access(program, os.X_OK):
            return f"no {program}: Debian's docker.io is not installed"
    return None


def needed_by(program):
    """A program and the libraries that it is linked with."""
    words = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
    return [program, *(word for word in words if word.startswith("/"))]


def fill_image(folder):
    for program in ("/usr/bin/curl", "/usr/bin/dash", "/usr/bin/sleep"):
        for path in needed_by(program):
            target = folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (folder / "bin").mkdir(exist_ok=True)
    shutil.copy("/usr/bin/dash", folder / "bin/sh")
    (folder / "bin/ask").write_text(ASK)
    (folder / "bin/ask").chmod(0o755)


class Engine:
    """Use as a context manager."""

    def __init__(self, world):
        self.world = world
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-docker-"))
        self.socket = f"unix://{self.folder}/docker.sock"
        self.log = self.folder / "dockerd.log"
        self.init = self.daemon = None
        self.groups, self.nested = [], []

    def __enter__(self):
        try:
            self.make_namespaces()
            self.start()
            self.make_image()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def make_namespaces(self):
        self.groups = [root / "docker" for root in groups_roots() if not (root / "docker").exists()]
        holder = self.world.popen("host", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sleep",
                                           "infinity"], stderr=subprocess.DEVNULL)
        children = pathlib.Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        self.init = int(eventually(children.read_text).split()[0])
        comm = pathlib.Path(f"/proc/{self.init}/comm")
        assert eventually(lambda: comm.read_text() == "sleep\n")

    def inside(self, argv):
        return ["nsenter", "-t", str(self.init), "--pid", "--mount", "--", *map(str, argv)]

    def start(self):
        options = ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile",
                   self.folder / "pid", "-H", self.socket, "--iptables=true", "--ip6tables=true", "--experimental",
                   "--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs", "--bip", "172.31.0.1/24",
                   "--live-restore"]
        with self.log.open("ab") as log:
            self.daemon = self.world.popen("host", self.inside([DOCKERD, *options]), stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log)
        ready = eventually(lambda: self.daemon.poll() is not None or self.call("version", check=False).returncode == 0,
                           READY_S, pause_s=0.1)
        assert ready and self.daemon.poll() is None, self.log.read_text()[-4000:]

    def stop(self):
        """Only the engine: with --live-restore its containers run on."""
        number = (self.folder / "pid").read_text().strip()
        self.world.run("host", self.inside(["/bin/kill", "-TERM", number]), check=True)
        self.daemon.wait(timeout=STOP_S)

    def close(self):
        if self.daemon is not None and self.daemon.poll() is None:
            for nested in self.nested:
                nested.close()
            names = self.call("ps", "-aq", check=False).stdout.split()
            if names:
                self.call("rm", "-f", *names, check=False)
            self.stop()
        if self.init is not None:
            subprocess.run(["kill", "-KILL", str(self.init)], check=False)
            eventually(lambda: not pathlib.Path(f"/proc/{self.init}").exists())
        for group in self.groups:
            if group.exists():
                group.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, *words, check=True, **more):
        """The docker client; text in and out."""
        done = subprocess.run([DOCKER, "-H", self.socket, *words], capture_output=True, timeout=CALL_S,
                              text=more.pop("text", True), **more)
        assert not check or done.returncode == 0, (words, done.stderr, self.log.read_text()[-2000:])
        return done

    def make_image(self):
        root = self.folder / "root"
        fill_image(root)
        self.import_folder(root, IMAGE)

    def import_folder(self, folder, image):
        tar = subprocess.run(["tar", "-C", str(folder), "-c", "."], capture_output=True, check=True).stdout
        self.call("import", "-", image, input=tar, text=False)

    def run(self, name, *options, command=ASK_AT_START):
        """Starts a container in the background; its full id."""
        return self.call("run", "-d", "--name", name, *options, IMAGE, "/bin/sh", "-c", command).stdout.strip()

    def output(self, name):
        return self.call("logs", name).stdout

    def ask(self, name, address="169.254.169.254"):
        """A whole fetch by a new process of the container: the credential document, or what came instead."""
        text = self.call("exec", name, "/bin/ask", address, check=False).stdout
        return json.loads(text) if text.startswith("{") else text.strip()

    def curl(self, name, *words):
        return self.call("exec", name, "/usr/bin/curl", "-s", "-m", "10", *words, check=False).stdout


# What a container needs for an engine of its own; --privileged wants all capabilities, which not every machine has to give.
CAPABILITIES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN NET_RAW "
                "IPC_LOCK SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE MKNOD AUDIT_WRITE SETFCAP").split()
UNCONFINED = [word for what in ("seccomp", "apparmor", "systempaths") for word in ("--security-opt", f"{what}=unconfined")]
INNER_SOCKET = "unix:///run/docker.sock"
INNER_DOCKERD = (f"mkdir /var/lib/docker/d; exec {DOCKERD} --data-root /var/lib/docker/d --exec-root /run/exec --pidfile /run/pid "
                 f"-H {INNER_SOCKET} --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs --bip {{bip}} >/tmp/log 2>&1")


class Nested:
    """Docker in Docker: an engine in a container of another, with this machine's programs. `bip`: address of its bridge."""

    def __init__(self, engine, name="outer", bip="172.32.0.1/24"):
        self.engine, self.name = engine, name
        engine.nested.append(self)
        root = engine.folder / "outer"
        for folder in ("proc", "sys", "dev", "run", "tmp", "var/lib", "etc", "usr"):
            (root / folder).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (root / link).symlink_to(f"usr/{link}")
        engine.import_folder(root, "kt-outer")
        (engine.folder / "shared").mkdir()
        options = [word for capability in CAPABILITIES for word in ("--cap-add", capability)] + UNCONFINED
        options += ["--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup", "--device-cgroup-rule", "a *:* rwm"]
        options += ["-v", "/usr:/usr:ro", "-v", "/etc:/etc:ro", "-v", f"{engine.folder}/shared:/shared:ro"]
        options += ["--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/var/lib/docker:exec"]
        self.id = engine.call("run", "-d", "--name", name, *options, "kt-outer", "/bin/sh", "-c",
                              INNER_DOCKERD.format(bip=bip)).stdout.strip()
        ready = eventually(lambda: self.call("version", check=False).returncode == 0, READY_S, pause_s=0.1)
        assert ready, engine.call("exec", name, "/bin/cat", "/tmp/log", check=False).stdout
        subprocess.run(["tar", "-C", str(engine.folder / "root"), "-cf", str(engine.folder / "shared" / "image.tar"), "."],
                       check=True)
        self.call("import", "/shared/image.tar", IMAGE)

    def call(self, *words, check=True):
        """The inner engine's client."""
        return self.engine.call("exec", self.name, DOCKER, "-H", INNER_SOCKET, *words, check=check)

    def close(self):
        """Its containers first: their control groups are beside those of the outer engine's."""
        names = self.call("ps", "-aq", check=False).stdout.split()
        if names:
            self.call("rm", "-f", *names, check=False)

    def run(self, name, command=ASK_AT_START):
        """Starts a container of the inner engine in the background; its full id."""
        return self.call("run", "-d", "--name", name, IMAGE, "/bin/sh", "-c", command).stdout.strip()


def pid_of(container_id):
    """A process of that container, by its number on this machine."""
    def find():
        for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
            try:
                lines = path.read_text().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if any(line.endswith(container_id) for line in lines):
                return int(path.parent.name)
        return None
    pid = eventually(find)
    assert pid, container_id
    return pid


def groups_roots():
    """Where the engine makes a group `docker`: each hierarchy of version 1, and version 2."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return [pathlib.Path(line.split()[1]) for line in mounts if line.split()[2] in ("cgroup", "cgroup2")]
