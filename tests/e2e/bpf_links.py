# SPDX-License-Identifier: Apache-2.0
"""Taking eBPF programs away from where they are attached, as root may do at any time."""

import ctypes
import os
import platform
import struct

NUMBER = {"x86_64": 321, "aarch64": 280}[platform.machine()]
LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID, LINK_DETACH = 30, 31, 34
OBJ_GET_INFO_BY_FD, PROG_GET_FD_BY_ID = 15, 13
LIBC = ctypes.CDLL(None, use_errno=True)


def call(command, attributes):
    """-1, or what bpf(2) gives; the attributes are filled in."""
    return LIBC.syscall(NUMBER, command, attributes, len(attributes))


def info_of(fd, size):
    info = ctypes.create_string_buffer(size)
    assert call(OBJ_GET_INFO_BY_FD, ctypes.create_string_buffer(struct.pack("=IIQ", fd, size, ctypes.addressof(info)))) == 0
    return info.raw


def links_of(pid):
    """{program's name: [link ids]} of the links that a process holds."""
    held = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            lines = dict(line.split(":", 1) for line in open(f"/proc/{pid}/fdinfo/{fd}").read().splitlines())
        except FileNotFoundError:
            continue
        if "link_id" not in lines or "prog_id" not in lines:
            continue
        program = call(PROG_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("=III", int(lines["prog_id"]), 0, 0)))
        assert program >= 0
        name = info_of(program, 80)[64:80].split(b"\0")[0].decode()  # struct bpf_prog_info
        os.close(program)
        held.setdefault(name, []).append(int(lines["link_id"]))
    return held


def detach(link_id):
    fd = call(LINK_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("=III", link_id, 0, 0)))
    assert fd >= 0, os.strerror(ctypes.get_errno())
    assert call(LINK_DETACH, ctypes.create_string_buffer(struct.pack("=I", fd))) == 0, os.strerror(ctypes.get_errno())
    os.close(fd)
