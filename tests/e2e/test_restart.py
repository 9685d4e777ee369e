# SPDX-License-Identifier: Apache-2.0
"""Sockets that a service manager holds: the daemon restarts under load, and no client notices."""

import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, binary, eventually, needs_world

pytestmark = needs_world

RESTARTS = 10

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

# Fetches credentials over and over until it is told to stop; prints how many times that went well, and each failure.
CLIENT = f"""
import re, socket, sys, threading
def ask(text):
    answer = b""
    with socket.create_connection(("{IMDS_V4}", 80), timeout=8) as client:
        client.sendall(text.encode())
        while more := client.recv(65536):
            answer += more
    return answer
stop, good = threading.Event(), []
def work():
    while not stop.is_set():
        try:
            token = ask("PUT /latest/api/token HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TTL_HEADER}: 60\\r\\n\\r\\n").partition(b"\\r\\n\\r\\n")[2]
            answer = ask(f"GET {ROLE_PATH}web-server HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TOKEN_HEADER}: {{token.decode()}}\\r\\n\\r\\n")
            if b"AccessKeyId" not in answer:
                raise ValueError(answer[:40])
            good.append(1)
        except Exception as problem:
            print("failed", repr(problem), flush=True)
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
sys.stdin.readline()
stop.set()
[thread.join() for thread in threads]
print("good", len(good), flush=True)
"""


def test_restarts_under_load_refuse_nobody():
    with Instance() as instance:
        instance.stop()
        manager = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", MANAGER, str(binary("keytraild")),
                                                str(instance.config), str(instance.log)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        assert manager.stdout.readline() == "started\n"
        client = instance.world.popen("host", [sys.executable, "-I", "-S", "-c", CLIENT], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, user="nobody")
        for _ in range(RESTARTS):
            time.sleep(0.2)
            manager.stdin.write("restart\n")
            manager.stdin.flush()
            assert manager.stdout.readline() == "0\n"  # it ended as it should
        output, _ = client.communicate("stop\n", timeout=60)
        assert "failed" not in output, output
        served = int(output.split()[-1])
        assert served > RESTARTS
        manager.stdin.write("end\n")
        manager.stdin.flush()
        assert manager.stdout.readline() == "0\n"
        instance.start()
        assert len(instance.rows("access_key_id IS NOT NULL AND outcome = 'delivered'")) == served


def test_descriptor_that_is_no_listener_is_named():
    with Instance() as instance:
        instance.stop()
        done = instance.world.run("host", ["/bin/bash", "-c", (
            f"exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec {binary('keytraild')} -c {instance.config}")])
        assert done.returncode in (1, 2) and "inherited descriptor 3" in done.stderr
        instance.start()


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate is not installed")
def test_systemd_socket_activate_starts_it():
    with Instance() as instance:
        instance.stop()
        manager = instance.world.popen("host", ["systemd-socket-activate", "-l", "127.0.0.1:8775", "--",
                                                str(binary("keytraild")), "-c", str(instance.config)],
                                       stderr=subprocess.DEVNULL)
        eventually(lambda: instance.world.run("host", ["ss", "-Hltn", "sport = :8775"]).stdout)
        assert instance.credentials()["AccessKeyId"]
        manager.send_signal(signal.SIGTERM)
        assert manager.wait(timeout=10) == 0
