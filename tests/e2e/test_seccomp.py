# SPDX-License-Identifier: Apache-2.0
"""A process of the daemon that does what it has no need for is ended, and the other one with it: a debugger makes each do so."""

import ctypes
import os
import pathlib
import platform
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import DEADLINE_S, Instance, binary, eventually, needs_world

pytestmark = [needs_world, pytest.mark.skipif(platform.machine() != "x86_64", reason="registers of x86_64")]

PTRACE_DETACH, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH = 17, 12, 13, 16
RAX, ORIG_RAX, RIP = 10, 15, 16  # in struct user_regs_struct
CALLS = {"getpid": 39, "fork": 57, "execve": 59, "unshare": 272}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def have_it_call(pid, call):
    """The main thread of a process, which waits in a system call, makes another one instead."""
    registers = (ctypes.c_ulonglong * 27)()
    ptrace(PTRACE_ATTACH, pid)
    os.waitpid(pid, 0x40000000)  # __WALL
    ptrace(PTRACE_GETREGS, pid, registers)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(registers[RIP] - 2)
        assert memory.read(2) == b"\x0f\x05"  # the syscall instruction that it waits in
    registers[RIP] -= 2
    registers[RAX] = CALLS[call]
    registers[ORIG_RAX] = 2**64 - 1  # nothing to be restarted
    ptrace(PTRACE_SETREGS, pid, registers)
    ptrace(PTRACE_DETACH, pid)


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def filter_of(pid):
    return [line.split()[1] for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("Seccomp:")] == ["2"]


def test_every_thread_of_both_is_filtered():
    with Instance() as instance:
        instance.credentials()
        for pid in (instance.pid(), instance.witness_pid()):
            threads = os.listdir(f"/proc/{pid}/task")
            assert len(threads) > 1 and all(filter_of(thread) for thread in threads)


@pytest.mark.parametrize("call", ["fork", "execve", "unshare"])
def test_the_proxy_is_ended_and_the_witness_with_it(call):
    with Instance() as instance:
        proxy, witness = instance.pid(), instance.witness_pid()
        have_it_call(proxy, call)
        assert instance.daemon.wait(timeout=DEADLINE_S) == -signal.SIGSYS
        assert eventually(lambda: not is_there(witness), DEADLINE_S)
        instance.start()  # as a service manager would
        assert instance.credentials()["Code"] == "Success"


@pytest.mark.parametrize("call", ["fork", "execve", "unshare"])
def test_the_witness_is_ended_and_the_proxy_with_it(call):
    with Instance() as instance:
        witness = instance.witness_pid()
        have_it_call(witness, call)
        assert instance.daemon.wait(timeout=DEADLINE_S) == 1
        assert not is_there(witness) and "witness_ended" in instance.log.read_text()


# What `Restart=always` does, with the socket kept meanwhile as a socket unit does.
SUPERVISOR = """
import os, signal, socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 8775), backlog=64)
os.dup2(listener.fileno(), 3, inheritable=True)
child, ends = None, []
def end(*_):
    ends.append(True)
    child.terminate()
signal.signal(signal.SIGTERM, end)
while not ends:
    child = subprocess.Popen(["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", *sys.argv[1:]], pass_fds=[3])
    child.wait()
"""


class Supervised(Instance):
    def __init__(self):
        super().__init__(under=["/usr/bin/python3", "-I", "-S", "-c", SUPERVISOR])

    def pid(self):
        """Of the daemon that runs now; 0: none does."""
        children = pathlib.Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text().split()
        return int(children[0]) if children else 0


@pytest.mark.parametrize("which", ["proxy", "witness"])
def test_a_supervisor_starts_both_again(which):
    with Supervised() as instance:
        instance.credentials()
        proxy, witness = instance.pid(), instance.witness_pid()
        have_it_call({"proxy": proxy, "witness": witness}[which], "execve")
        assert eventually(lambda: not is_there(proxy) and not is_there(witness), DEADLINE_S)
        assert instance.credentials()["Code"] == "Success"  # waits in the socket, if need be
        assert instance.pid() not in (0, proxy) and instance.witness_pid() != witness


class Sanitized(Instance):
    def command(self):
        return [str(binary().parents[2] / "asan" / "bin" / "keytraild"), "-c", str(self.config)]


def test_a_build_with_sanitizers_ends_in_order():
    """Their check for leaks traces the process, which the filter forbids."""
    instance = Sanitized()
    if not os.access(instance.command()[0], os.X_OK):
        pytest.skip("no build with sanitizers beside this one")
    with instance:
        instance.credentials()
        assert instance.stop() == 0
        assert "ERROR" not in instance.log.read_text()


def test_what_is_needed_is_not_ended():
    """The other half of the above: it is the call that ends a process, not the debugger."""
    with Instance() as instance:
        have_it_call(instance.witness_pid(), "getpid")
        # Its main thread now takes that number for a message without a descriptor, and waits again.
        assert instance.credentials()["Code"] == "Success"
        assert is_there(instance.witness_pid())
