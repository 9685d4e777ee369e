# SPDX-License-Identifier: Apache-2.0
"""The deb on a Debian 12 of its own: made by debootstrap, installed, run by hand in the order of its units, upgraded under
load, removed. Needs Debian's debootstrap and a mirror."""

import re
import shutil
import subprocess
import time

import pytest

from instance import IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER
from machine import machine_of, service_manager
from world import eventually

CURL_CLIENT = f"""
while [ -e /tmp/go ]; do
	token=$(curl -sS -m 8 -X PUT -H '{TTL_HEADER}: 60' http://{IMDS_V4}/latest/api/token) || echo "failed token $?"
	curl -sS -m 8 -H "{TOKEN_HEADER}: $token" http://{IMDS_V4}{ROLE_PATH}web-server | grep -q AccessKeyId &&
		echo got || echo "failed keys"
done
"""
BOTO_CLIENT = """
import os
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import InstanceMetadataFetcher
while os.path.exists("/tmp/go"):
    got = InstanceMetadataProvider(InstanceMetadataFetcher(timeout=8, num_attempts=1)).load()
    print("got" if got else "failed", flush=True)
"""


@pytest.fixture(scope="module")
def machine(debian):
    with machine_of(debian) as made:
        yield made


def test_from_installation_to_removal(machine, packages, tmp_path):
    first, second = machine.bring(*packages)
    machine.install(first)
    machine.run("dpkg", "-P", "keytrail")  # what it depends on stays
    before, rules = machine.files(), machine.rules()
    assert not any("keytrail" in name for name in before)
    assert "keytrail" not in (machine.root / "etc/passwd").read_text()

    # Installing starts nothing and switches nothing on.
    machine.run("dpkg", "-i", first)
    assert machine.rules() == rules and "keytraild" not in machine.processes()
    assert not list((machine.root / "etc/systemd").rglob("*keytrail*"))
    assert machine.run("keytrail", "--version").stdout.startswith("keytrail 0.1.0")
    assert machine.run("keytraild", "--check-config").returncode == 0
    state = machine.root / "var/lib/keytrail"
    assert state.stat().st_mode & 0o7777 == 0o750 and not list(state.iterdir())

    # keytrail.socket, keytraild.service and keytrail-redirect.service by hand, in either order.
    with service_manager(machine, tmp_path) as restart:
        machine.run("keytrail-redirect", "up")
        assert eventually(lambda: machine.run("keytrail", "status", check=False).returncode == 0), \
            machine.run("keytrail", "status", check=False).stdout
        (machine.root / "tmp/go").touch()
        clients = [machine.client("sh", "-c", CURL_CLIENT), machine.client("python3", "-c", BOTO_CLIENT)]
        time.sleep(1)

        # An upgrade keeps ledger, keys and running clients.
        keys = {name: (state / name).read_bytes() for name in ("host.key", "token.key")}
        (machine.root / "etc/keytrail/keytrail.conf").open("a").write("\n# the administrator's own line\n")
        machine.run("dpkg", "-i", second)
        restart()
        time.sleep(1)
        (machine.root / "tmp/go").unlink()
        said = [client.communicate(timeout=30)[0].splitlines() for client in clients]
        for lines in said:
            assert len(lines) > 5 and set(lines) == {"got"}
        assert keys == {name: (state / name).read_bytes() for name in keys}
        assert "the administrator's own line" in (machine.root / "etc/keytrail/keytrail.conf").read_text()
        rows = machine.run("keytrail", "deliveries", "-o", "csv").stdout.splitlines()[1:]
        assert len(rows) == sum(len(lines) for lines in said)
        assert machine.run("keytrail", "ledger", "verify").returncode == 0
        assert {"/usr/bin/curl", "/usr/bin/python3.11"} == set(re.findall(r"/usr/bin/(?:curl|python3[.]11)", "\n".join(rows)))

        # Removal: the redirect first, so that nobody is cut off.
        machine.run("dpkg", "-r", "keytrail")
        assert machine.rules() == rules
    assert machine.run("curl", "-sS", "-m", "5", f"http://{IMDS_V4}/", check=False).returncode == 0
    left = set(machine.files()) - set(before)
    assert all(re.match(r"etc/keytrail|var/lib/keytrail", name) for name in left) and "var/lib/keytrail/ledger.db" in left
    said = machine.run("dpkg", "-P", "keytrail").stderr
    assert "ledger stays" in said
    left = set(machine.files()) - set(before)
    assert left and all(name.startswith("var/lib/keytrail") for name in left)
    shutil.rmtree(state)
    after = machine.files()
    changed = {name for name in set(before) | set(after) if before.get(name) != after.get(name)}
    assert changed <= {"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "var/lib", "etc", "usr/share/man", "var/lib/systemd"}


def test_removed_before_it_ever_ran(machine, packages):
    """Nothing is left but the package manager's books, not even the user."""
    machine.run("sh", "-c", "userdel keytrail 2>/dev/null || true")
    before = machine.files()
    machine.run("dpkg", "-i", *machine.bring(packages[0]))
    machine.run("dpkg", "-P", "keytrail")
    assert machine.files().keys() == before.keys()
    assert "keytrail" not in (machine.root / "etc/passwd").read_text()
