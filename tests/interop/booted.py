# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 that has booted, with systemd as its first process; its network is a world's host."""

import contextlib
import pathlib
import re
import subprocess

from machine import APT_S, Machine
from world import eventually

BOOT_S, END_S = 90, 60
# All that a virtual machine's own system could do, in its own namespaces.
NSPAWN = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe", "--capability=all",
          "--system-call-filter=bpf perf_event_open", "--resolv-conf=off"]
# Of what nspawn puts in the way, the boot's id of its own is seen by some units and not by others. And a machine has no
# routes until something configures its network: NETWORK_UP.
INIT = """#!/bin/sh
umount /proc/sys/kernel/random/boot_id
for family in -4 -6; do
	ip $family route save table main >/root/routes$family
	ip $family route flush table main
done
exec /lib/systemd/systemd
"""
NETWORK_UP = """#!/bin/sh
for family in -4 -6; do ip $family route restore </root/routes$family; done
"""
ENVIRONMENT = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class Booted(Machine):
    """Made without its system running: boot() starts that, power_off() ends it, in any order and again."""

    def begin(self):
        self.console = self.folder / "console"
        self.manager = self.init = None

    def install(self, *packages):
        """While it is not running. With all that they depend on, from a mirror."""
        subprocess.run(["chroot", str(self.root), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                        "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages],
                       check=True, capture_output=True, timeout=APT_S)

    def enable(self, *units):
        subprocess.run(["chroot", str(self.root), "systemctl", "enable", *units], check=True, capture_output=True, timeout=APT_S)

    def boot(self):
        self.place("/root/init", INIT, 0o755)
        self.place("/root/network-up", NETWORK_UP, 0o755)
        with self.console.open("ab") as console:
            self.manager = subprocess.Popen([*NSPAWN, f"--machine={self.world.prefix}", f"--directory={self.root}",
                                             f"--network-namespace-path={self.world.path('host')}", "/root/init"],
                                            env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        assert eventually(lambda: self.manager.poll() is not None or self.first_process(), BOOT_S)
        assert self.manager.poll() is None, self.console.read_text()
        self.init = self.first_process()
        assert eventually(lambda: self.state() in ("running", "degraded"), BOOT_S), self.state() + self.console.read_text()

    def first_process(self):
        """Of the new process namespace, seen from here; None while there is none that runs systemd."""
        for pid in pathlib.Path(f"/proc/{self.manager.pid}/task/{self.manager.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                process = pathlib.Path("/proc") / pid
                if (process / "comm").read_text() == "systemd\n" and re.search(r"^NSpid:.*\t1$", (process / "status").read_text(), re.M):
                    return int(pid)
        return None

    def power_off(self):
        self.run("systemctl", "poweroff", "--no-block")
        self.manager.wait(END_S)
        self.manager = self.init = None

    def close(self):
        if self.manager is not None:
            self.manager.kill()  # its first process goes with it
            self.manager.wait()
        super().close()

    def state(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def systemctl(self, *words, check=True):
        return self.run("systemctl", *words, check=check).stdout.strip()

    def is_active(self, unit):
        return self.systemctl("is-active", unit, check=False)

    def journal(self, *words):
        return self.run("journalctl", "--no-pager", "-o", "cat", *words).stdout

    def place(self, path, text, mode=0o644):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
