# SPDX-License-Identifier: Apache-2.0
"""Execs a program under a filter with which the kernel refuses what is named: refuse.py WHAT[,WHAT...] PROGRAM ARGUMENT...

bpf         bpf(2)
sock_diag   netlink sockets by which sockets are found
conntrack   netlink sockets by which connections are found"""

import ctypes
import os
import pathlib
import struct
import sys

CALLS = {"x86_64": {"bpf": 321, "socket": 41}, "aarch64": {"bpf": 280, "socket": 198}}
PROTOCOLS = {"sock_diag": 4, "conntrack": 12}
AF_NETLINK, EPERM = 16, 1
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
REFUSE, ALLOW = 0x00050000 | EPERM, 0x7FFF0000
NUMBER_AT, FIRST_AT, THIRD_AT = 0, 16, 32  # in struct seccomp_data
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


def missing():
    """Why there is no filter for this machine; None when there is."""
    machine = os.uname().machine
    return None if machine in CALLS else f"the filter has no system call numbers of {machine}"


def under(*what):
    """The words that go in front of a program's own."""
    return ["/usr/bin/python3", "-I", "-S", str(pathlib.Path(__file__).resolve()), ",".join(what)] if what else []


def steps(what, calls):
    """(code, jump if equal, jump if not, value): one block each, which falls through to the next."""
    if what == "bpf":
        return [(LOAD, 0, 0, NUMBER_AT), (IF_EQUAL, 0, 1, calls["bpf"]), (RETURN, 0, 0, REFUSE)]
    return [(LOAD, 0, 0, NUMBER_AT), (IF_EQUAL, 0, 5, calls["socket"]), (LOAD, 0, 0, FIRST_AT),
            (IF_EQUAL, 0, 3, AF_NETLINK), (LOAD, 0, 0, THIRD_AT), (IF_EQUAL, 0, 1, PROTOCOLS[what]),
            (RETURN, 0, 0, REFUSE)]


def main(names, *argv):
    calls = CALLS[os.uname().machine]
    program = [step for what in names.split(",") for step in steps(what, calls)] + [(RETURN, 0, 0, ALLOW)]
    packed = b"".join(struct.pack("HBBI", *step) for step in program)
    code = ctypes.create_string_buffer(packed, len(packed))
    loaded = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(loaded, len(loaded)), 0, 0) != 0:
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
