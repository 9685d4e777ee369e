# SPDX-License-Identifier: Apache-2.0
"""The network namespaces of `world`, for pytest.

A World is made on construction and gone after close(), also when the test fails, pytest is interrupted or
killed: a guard process waits at the end of a pipe and takes the world down when this process has ended.
Programs run in a namespace through nsenter and, as another user, through setpriv; they get SIGKILL when
this process ends.
"""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent
SCRIPT = str(FOLDER / "world")
# As text: users who run it cannot enter a checkout that is root's alone.
THROWAWAY = ["/usr/bin/python3", "-I", "-S", "-c", (FOLDER / "throwaway.py").read_text()]
IMDS_V4 = "169.254.169.254"
IMDS_V6 = "fd00:ec2::254"
ROLES = ("imds", "host", "ctr1", "ctr2")
DEFAULT_TIMEOUT_S = 60
QUICK_S = 10  # "at once": of what waits for nothing and nobody. Alone it takes a hundredth; machines may be busy

# Programs on control groups are seen by every redirect of the machine, in whatever world: who attaches some is alone.
PROGRAMS_LOCK = "/run/keytrail-test-programs.lock"
_attaching = 0

_serial_lock = threading.Lock()
_serial = 0


def _next_prefix():
    global _serial
    with _serial_lock:
        _serial += 1
        return f"kt-{os.getpid()}-{_serial}"


@contextlib.contextmanager
def attaching_programs():
    """While this lasts, no other process's test runs a redirect."""
    global _attaching
    with open(PROGRAMS_LOCK, "w", encoding="ascii") as lock:
        if _attaching == 0:
            fcntl.flock(lock, fcntl.LOCK_EX)
        _attaching += 1
        try:
            yield
        finally:
            _attaching -= 1


@contextlib.contextmanager
def _no_programs_of_others(argv):
    if _attaching or not any("keytrail" in str(word) for word in argv):
        yield
        return
    with open(PROGRAMS_LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


class World:
    """Four namespaces: imds, host, ctr1, ctr2 (see the script `world`)."""

    def __init__(self, prefix=None):
        self.prefix = prefix or _next_prefix()
        self._children = []
        self._guard = None
        subprocess.run([SCRIPT, "up", "--prefix", self.prefix], check=True, timeout=DEFAULT_TIMEOUT_S,
                       stdout=subprocess.DEVNULL)
        self._guard = subprocess.Popen(
            ["/bin/bash", "-c", 'read -r _; exec "$0" down --prefix "$1"', SCRIPT, self.prefix],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, ns):
        """The file to give to nsenter --net=."""
        if ns not in ROLES:
            raise ValueError(f"no namespace {ns!r}: one of {', '.join(ROLES)}")
        return f"/run/netns/{self.prefix}-{ns}"

    def argv(self, ns, argv, user=None):
        """The argument list that runs argv in a namespace, as a user (name or uid) if one is given."""
        enter = ["nsenter", f"--net={self.path(ns)}", "--", "setpriv", "--pdeathsig", "KILL"]
        if user is not None:
            group = ["--init-groups"] if not str(user).isdigit() else ["--clear-groups"]
            enter += ["--reuid", str(user), "--regid", _group_of(user), *group]
        return [*enter, "--", *argv]

    def run(self, ns, argv, user=None, timeout=DEFAULT_TIMEOUT_S, check=False, **kwargs):
        """Runs to the end; text mode, output captured; returns subprocess.CompletedProcess."""
        kwargs.setdefault("text", True)
        if "capture_output" not in kwargs and "stdout" not in kwargs:
            kwargs["capture_output"] = True
        with _no_programs_of_others(argv):
            return subprocess.run(self.argv(ns, argv, user), timeout=timeout, check=check, **kwargs)

    def popen(self, ns, argv, user=None, **kwargs):
        """Starts a process that close() ends."""
        kwargs.setdefault("text", True)
        child = subprocess.Popen(self.argv(ns, argv, user), **kwargs)
        self._children.append(child)
        return child

    def serve(self, ns, what, *arguments, user=None):
        """Starts a throw-away server (throwaway.py WHAT ...) and returns once it listens."""
        child = self.popen(ns, [*THROWAWAY, what, *map(str, arguments)], user=user,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        line = child.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"{what} in {ns} does not listen: {line!r}, status {child.poll()}")
        return child

    def close(self):
        """Ends what popen() started, then removes the namespaces. May be called twice."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
        for child in self._children:
            child.wait(timeout=DEFAULT_TIMEOUT_S)
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        self._children.clear()
        if self._guard is not None:
            self._guard.stdin.close()
            self._guard.wait(timeout=DEFAULT_TIMEOUT_S)
            self._guard = None


def _group_of(user):
    if str(user).isdigit():
        return str(user)
    import pwd
    return str(pwd.getpwnam(user).pw_gid)


def eventually(condition, timeout_s=30.0, pause_s=0.02):
    """Waits until condition() is true; returns its last value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause_s)


@pytest.fixture
def world():
    """One world a test; import it into a conftest.py or a test file."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with World() as made:
        yield made
