# SPDX-License-Identifier: Apache-2.0
"""A service manager's part, as a program of its own."""

# Holds the listening sockets as a service manager does, starts the daemon with them, and again whenever it has ended;
# a line on standard input restarts it.
MANAGER = """
import os, signal, socket, subprocess, sys
program, config, log = sys.argv[1:4]
sockets = []
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "169.254.77.77"), (socket.AF_INET6, "::1")):
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET:
        listening.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
    listening.bind((address, 8775))
    listening.listen(4096)
    sockets.append(listening)

def become_daemon():
    for number, listening in enumerate(sockets):
        os.dup2(listening.fileno(), 100 + number)
    for number in range(len(sockets)):
        os.dup2(100 + number, 3 + number)
        os.close(100 + number)
    os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
    os.execv(program, [program, "-c", config])

def start():
    child = os.fork()
    if child == 0:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        become_daemon()
    return child

child = start()
print("started", flush=True)
for line in sys.stdin:
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    child = start() if line != "end\\n" else 0
    print(status, flush=True)
    if child == 0:
        break
"""
