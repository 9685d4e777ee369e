# SPDX-License-Identifier: Apache-2.0
"""OpenStack Swift with its S3 interface, on loopback: somebody else's strict opinion on signatures. All that it keeps
is in one folder."""

import os
import shutil
import socket
import subprocess
import time

KEY, SECRET, REGION = "test:tester", "testing", "eu-north-1"
SERVERS = ("account", "container", "object", "proxy")

PIPELINES = dict(
    account="account-server", container="container-server", object="object-server",
    proxy="catch_errors cache listing_formats s3api tempauth proxy-server")
FILTERS = f"""
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{{memcached}}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = {REGION}
allow_multipart_uploads = no
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {SECRET} .admin
"""


def why_not():
    missing = [name for name in (*(f"swift-{server}-server" for server in SERVERS), "memcached", "swift-ring-builder")
               if not shutil.which(name)]
    return "there is no " + ", ".join(missing) if missing else None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(*words, cwd):
    subprocess.run(words, cwd=cwd, check=True, capture_output=True)


class Swift:
    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.ports = {name: free_port() for name in (*SERVERS, "memcached")}
        self.url = f"http://127.0.0.1:{self.ports['proxy']}"

    def __enter__(self):
        devices = self.folder / "devices"
        (devices / "d1").mkdir(parents=True)
        (self.folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
                                                "[storage-policy:0]\nname = p\ndefault = yes\n")
        for server in SERVERS[:3]:
            builder = f"{server}.builder"
            run("swift-ring-builder", builder, "create", "2", "1", "1", cwd=self.folder)
            run("swift-ring-builder", builder, "add", f"r1z1-127.0.0.1:{self.ports[server]}/d1", "1", cwd=self.folder)
            run("swift-ring-builder", builder, "rebalance", cwd=self.folder)
        self.start("memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(self.ports["memcached"]))
        for server in SERVERS:
            path = self.folder / f"{server}.conf"
            path.write_text(f"[DEFAULT]\nswift_dir = {self.folder}\ndevices = {devices}\nmount_check = false\nuser = root\n"
                            f"bind_ip = 127.0.0.1\nbind_port = {self.ports[server]}\nworkers = 0\n"
                            f"[pipeline:main]\npipeline = {PIPELINES[server]}\n"
                            f"[app:{server}-server]\nuse = egg:swift#{server}\n" +
                            ("account_autocreate = true\n" + FILTERS.format(**self.ports) if server == "proxy" else ""))
            self.start(f"swift-{server}-server", str(path), "--verbose")
        deadline = time.monotonic() + 60
        for name, port in self.ports.items():
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                assert time.monotonic() < deadline, f"{name} does not listen"
                time.sleep(0.1)
        return self

    def start(self, *words):
        with open(self.folder / "log", "ab") as log:
            self.processes.append(subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder,
                                                   env=os.environ | dict(PYTHONWARNINGS="ignore")))

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(20)
