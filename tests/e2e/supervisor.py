# SPDX-License-Identifier: Apache-2.0
"""What a service manager does for keytraild: it holds the listening sockets, starts the daemon with them, and starts it
again whenever it has ended. A program of its own, to be run in the instance's namespace:

    supervisor.py PROGRAM CONFIG LOG

Prints `started PID` and `ended STATUS` (a wait status). A line on its standard input ends the daemon, so that it is started
again; the end of its standard input ends both."""

import os
import select
import signal
import socket
import sys

PORT = 8775
IP_FREEBIND = 15
LISTENERS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "169.254.77.77"), (socket.AF_INET6, "::1"))


def listen():
    sockets = []
    for family, address in LISTENERS:
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET:
            listening.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        listening.bind((address, PORT))
        listening.listen(4096)
        sockets.append(listening)
    return sockets


def become_daemon(sockets, program, config, log):
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for number, listening in enumerate(sockets):
        os.dup2(listening.fileno(), 100 + number)
    for number in range(len(sockets)):
        os.dup2(100 + number, 3 + number)
        os.close(100 + number)
    os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
    os.execv(program, [program, "-c", config])


def restart(supervisor):
    """For whoever has started one: the daemon's wait status; the next one is there."""
    supervisor.stdin.write("again\n")
    supervisor.stdin.flush()
    word, status = supervisor.stdout.readline().split()
    assert word == "ended" and supervisor.stdout.readline().startswith("started ")
    return int(status)


def end(supervisor):
    """The same, for good."""
    supervisor.stdin.close()
    word, status = supervisor.stdout.readline().split()
    assert word == "ended"
    supervisor.stdin = None  # communicate() and close() have nothing to do with it any more
    return int(status)


def main(program, config, log):
    sockets = listen()
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        child = os.fork()
        if child == 0:
            become_daemon(sockets, program, config, log)
        print("started", child, flush=True)
        ended = 0
        while ended == 0:
            ready, _, _ = select.select([wake, sys.stdin], [], [])
            if sys.stdin in ready:
                os.kill(child, signal.SIGTERM)
                if not os.read(sys.stdin.fileno(), 4096):
                    print("ended", os.waitpid(child, 0)[1], flush=True)
                    return
            if wake in ready:
                os.read(wake, 4096)
                ended, status = os.waitpid(child, os.WNOHANG)
        print("ended", status, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
