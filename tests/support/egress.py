# SPDX-License-Identifier: Apache-2.0
"""A control group with an eBPF program on what its processes send, or on where they connect, made of a few instructions.

    with Group() as group:
        group.attach(egress_drops("169.254.169.254"))
        subprocess.Popen(argv, preexec_fn=group.enter)
"""

import ctypes
import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "world"))

from world import attaching_programs

PROG_LOAD, PROG_ATTACH, PROG_DETACH = 5, 8, 9
CGROUP_SKB, CGROUP_SOCK_ADDR = 8, 18
EGRESS, CONNECT4 = 1, 10
ALLOW_MULTI = 2
SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    result = _libc.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _step(code, target=0, source=0, offset=0, number=0):
    return struct.pack("<BBhi", code, source << 4 | target, offset, number)


def _returns(number):
    return _step(0xb7, 0, number=number) + _step(0x95)


def _as_loaded(address):
    """An IPv4 address as a program of this machine reads it from memory, sign extended as an immediate is."""
    return struct.unpack("=i", socket.inet_aton(address))[0]


def egress_drops(address=None):
    """Drops what goes to an IPv4 address; all, without one."""
    if address is None:
        return CGROUP_SKB, EGRESS, _returns(0)
    return CGROUP_SKB, EGRESS, b"".join([
        _step(0x61, 2, 1, 76), _step(0x61, 3, 1, 80),  # r2, r3 = data, data_end
        _step(0xbf, 4, 2), _step(0x07, 4, number=20),  # r4 = r2 + 20
        _step(0x2d, 4, 3, 4),                          # if r4 > r3: pass
        _step(0x61, 5, 2, 16),                         # r5 = destination
        _step(0x56, 5, 0, 2, _as_loaded(address)),     # if w5 != address: pass
        _returns(0), _returns(1)])


def egress_passes():
    return CGROUP_SKB, EGRESS, _returns(1)


def connect_refuses(address):
    """Refuses connect() to an IPv4 address."""
    return CGROUP_SOCK_ADDR, CONNECT4, b"".join([
        _step(0x61, 2, 1, 4),                          # r2 = user_ip4
        _step(0x56, 2, 0, 2, _as_loaded(address)),
        _returns(0), _returns(1)])


def connect_passes():
    return CGROUP_SOCK_ADDR, CONNECT4, _returns(1)


def root():
    """Where control groups of version 2 are mounted; None: nowhere."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return next((pathlib.Path(line.split()[1]) for line in mounts if line.split()[2] == "cgroup2"), None)


class Group:
    _serial = 0

    def __init__(self, name=None):
        Group._serial += 1
        self.path = root() / (name or f"keytrail-test-{os.getpid()}-{Group._serial}")
        self.alone = attaching_programs()

    def __enter__(self):
        self.alone.__enter__()
        self.path.mkdir()
        return self

    def __exit__(self, *_):
        try:
            self.remove()
        finally:
            self.alone.__exit__(None, None, None)

    def remove(self):
        for line in (self.path / "cgroup.procs").read_text().split():
            (root() / "cgroup.procs").write_text(line)
        self.path.rmdir()  # what is attached ends with it

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def attach(self, program, name="test_program"):
        kind, where, steps = program
        code = ctypes.create_string_buffer(steps, len(steps))
        licence = ctypes.create_string_buffer(b"GPL")
        loaded = _bpf(PROG_LOAD, struct.pack("<IIQQIIQII16sII", kind, len(steps) // 8, ctypes.addressof(code),
                                             ctypes.addressof(licence), 0, 0, 0, 0, 0, name.encode(), 0, where))
        group = os.open(self.path, os.O_RDONLY)
        try:
            _bpf(PROG_ATTACH, struct.pack("<IIII", group, loaded, where, ALLOW_MULTI))
            self.attached(loaded, where)
        finally:
            os.close(group)
            os.close(loaded)

    def attached(self, loaded, where):
        """What is attached to a group ends with it."""


class Root(Group):
    """The root itself: what is attached there is detached at the end."""

    def __init__(self):
        self.path, self.programs = root(), []

    def __enter__(self):
        return self

    def attached(self, loaded, where):
        self.programs.append((os.dup(loaded), where))

    def __exit__(self, *_):
        group = os.open(self.path, os.O_RDONLY)
        for loaded, where in self.programs:
            _bpf(PROG_DETACH, struct.pack("<III", group, loaded, where))
            os.close(loaded)
        os.close(group)


def missing():
    """Why programs cannot be attached here; None when they can."""
    if os.geteuid() != 0:
        return "needs root"
    if SYS_BPF is None or root() is None:
        return "no control groups of version 2, or a machine whose bpf(2) is not known"
    try:
        with Group() as group:
            group.attach(egress_passes())
    except OSError as problem:
        return f"the kernel takes no egress program: {problem}"
    return None
