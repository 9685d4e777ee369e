# SPDX-License-Identifier: Apache-2.0
"""Fills conntrack's table of the network namespace that it runs in, and empties it again: fill_conntrack.py fill|empty bulk|rest.

The table's size is the machine's (net.netfilter.nf_conntrack_max), but each namespace has a count of its own. `bulk` leaves room for
a hundred more, `rest` for none. The entries are UDP's, between addresses kept for benchmarks (198.18.0.0/15), as if both sides had
spoken, so that the kernel makes no room by dropping them; a mark says which part they are. No packet is sent."""

import collections
import contextlib
import errno
import pathlib
import socket
import struct
import sys

NETLINK_NETFILTER, SUBSYSTEM = 12, 1 << 8
NEW, DELETE = SUBSYSTEM | 0, SUBSYSTEM | 2
ERROR = 2
REQUEST, ACK, EXCLUSIVELY, CREATE = 1, 4, 0x200, 0x400
TUPLE_ORIG, TUPLE_REPLY, STATUS, TIMEOUT, MARK, MARK_MASK = 1, 2, 3, 7, 8, 21
NESTED = 0x8000
SEEN_REPLY, ASSURED, CONFIRMED = 2, 4, 8
LIFE_S = 600
PORTS = 60000
BATCH = 250
ENTRIES_MAX = 600000  # of some 300 bytes of the kernel's memory each
Part = collections.namedtuple("Part", "mark first room")
PARTS = {"bulk": Part(0x4b540001, 0, 100), "rest": Part(0x4b540002, ENTRIES_MAX, 0)}
SIZE = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
COUNT = SIZE.with_name("nf_conntrack_count")


def missing():
    """Why the table cannot be filled here; None when it can."""
    try:
        size = int(SIZE.read_text())
    except OSError:
        return "there is no conntrack"
    return None if 0 < size <= ENTRIES_MAX else f"conntrack's table has room for {size}"


def attribute(kind, payload):
    return struct.pack("HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def number_of(kind, number):
    return attribute(kind, struct.pack("!I", number))


def one_way(kind, source, target, ports):
    return attribute(kind | NESTED, attribute(1 | NESTED, attribute(1, source) + attribute(2, target)) + attribute(
        2 | NESTED, attribute(1, b"\x11") + attribute(2, ports[0]) + attribute(3, ports[1])))


def message(kind, flags, attributes):
    payload = struct.pack("BBH", socket.AF_INET, 0, 0) + attributes
    return struct.pack("IHHII", 16 + len(payload), kind, REQUEST | flags, 0, 0) + payload


def entries(first, mark):
    """Messages for BATCH entries; no two numbers have the same."""
    here, there = (socket.inet_aton(f"198.18.{first // PORTS}.{last}") for last in (1, 2))
    messages = []
    for number in range(first, first + BATCH):
        ports = struct.pack("!H", 1024 + number % PORTS), struct.pack("!H", 9)
        messages.append(message(NEW, CREATE | EXCLUSIVELY, one_way(TUPLE_ORIG, here, there, ports) + one_way(
            TUPLE_REPLY, there, here, ports[::-1]) + number_of(STATUS, SEEN_REPLY | ASSURED | CONFIRMED) +
            number_of(TIMEOUT, LIFE_S) + number_of(MARK, mark)))
    return messages


def error_of(answer):
    length, kind = struct.unpack_from("IH", answer)
    assert kind == ERROR and length >= 20
    return -struct.unpack_from("i", answer, 16)[0]


def fill(kernel, part):
    """Until there is room for part.room more, and for none if that is 0: then the kernel says so."""
    for first in range(part.first, part.first + ENTRIES_MAX, BATCH):
        room = int(SIZE.read_text()) - int(COUNT.read_text()) - part.room
        if room <= 0 < part.room:
            return
        batch = entries(first, part.mark)
        kernel.send(b"".join(batch[:room] if part.room else batch))
        with contextlib.suppress(BlockingIOError):
            error = error_of(kernel.recv(65536, socket.MSG_DONTWAIT))
            assert error == errno.ENOMEM, errno.errorcode.get(error)
            return
    raise AssertionError("the table takes more than it has room for")


def empty(kernel, part):
    kernel.send(message(DELETE, ACK, number_of(MARK, part.mark) + number_of(MARK_MASK, 0xffffffff)))
    assert error_of(kernel.recv(65536)) == 0


def main(what, part):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        {"fill": fill, "empty": empty}[what](kernel, PARTS[part])
    print(COUNT.read_text().strip())


if __name__ == "__main__":
    main(*sys.argv[1:])
