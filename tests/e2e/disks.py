# SPDX-License-Identifier: Apache-2.0
"""Small disks for the state folder of an instance, that fail as disks do: full, turned read-only by the kernel, with errors."""

import contextlib
import pathlib
import shutil
import subprocess

from world import eventually


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def fill(path):
    """Whatever room there is."""
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4k"], stderr=subprocess.DEVNULL)


class Memory:
    """A tmpfs, mounted at `folder`."""

    def __init__(self, folder, megabytes):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=750,uid=keytrail,gid=keytrail", "none", str(folder))

    def full(self):
        fill(self.folder / "filler")

    def mended(self):
        (self.folder / "filler").unlink()

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


class Block:
    """ext4 on a loop device, whose file lies in a small tmpfs: there the device runs out of room, or errors are made up."""

    def __init__(self, folder, backing):
        self.folder, self.backing = pathlib.Path(folder), pathlib.Path(backing)
        self.folder.mkdir(exist_ok=True)
        self.backing.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=24m", "none", str(self.backing))
        self.image = self.backing / "image"
        with self.image.open("wb") as image:
            image.truncate(64 << 20)  # more than there is room for
        # Without a journal of its own, which would end for good with its first error.
        run("mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", str(self.image))
        self.devices = []
        self.mount()
        shutil.chown(self.folder, "keytrail", "keytrail")
        self.folder.chmod(0o750)

    @property
    def device(self):
        return self.devices[-1]

    def mount(self):
        """On a device of its own each time: what the kernel knows of the one before lasts as long as it is mounted anywhere, and
        a mount namespace that somebody else made meanwhile has it still."""
        self.devices.append(run("losetup", "--find", "--show", str(self.image)))
        run("mount", "-o", "errors=remount-ro", self.device, str(self.folder))

    def unmount(self):
        """Once nobody has a file open there: the witness ends a moment after the proxy."""
        assert eventually(lambda: subprocess.run(["umount", str(self.folder)], capture_output=True).returncode == 0, 10)
        run("blockdev", "--flushbufs", self.device)

    def read_only(self):
        """What the kernel does when it finds the file system damaged."""
        (pathlib.Path("/sys/fs/ext4") / pathlib.Path(self.device).name / "trigger_fs_error").write_text("1")

    def with_errors(self):
        """The device takes no block that it has not had before."""
        fill(self.backing / "filler")

    def without_errors(self):
        (self.backing / "filler").unlink()

    def close(self):
        for command in (["umount", "-l", str(self.folder)], ["losetup", "-d", *self.devices], ["umount", "-l", str(self.backing)]):
            subprocess.run(command, capture_output=True)


@contextlib.contextmanager
def lent(disk):
    try:
        yield disk
    finally:
        disk.close()
