# SPDX-License-Identifier: Apache-2.0
"""Upstream sockets are the proxy's own, and marked by the kernel on their way: nobody else's are, and no client notices when
that ends."""

import json
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import bpf_links  # noqa: E402
from instance import DEADLINE_S, IMDS_V4, IMDS_V6, Instance, eventually, needs_world  # noqa: E402

pytestmark = needs_world
PATH = "/latest/meta-data/instance-id"
IN_HAND = 8  # sockets of the witness's that a worker may have

PYTHON = ["/usr/bin/python3", "-I", "-S", "-c"]

# The mark of a socket that has connected, and the first line of the answer to a request on it.
CONNECT = """
import json, socket, sys
address = sys.argv[1]
one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
one.settimeout(20)
one.connect((address, 80))
mark = one.getsockopt(socket.SOL_SOCKET, 36)
one.sendall(b"GET /latest/meta-data/instance-id HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
print(json.dumps([mark, one.recv(4096).decode("latin-1").split("\\r\\n")[0]]))
"""

# The mark of one that has begun to connect, if this process has a certain number.
MARK_OF = """
import os, socket, sys
if os.getpid() == int(sys.argv[2]):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((sys.argv[1], 80))
    print(one.getsockopt(socket.SOL_SOCKET, 36))
"""


def marks(instance):
    return instance.status()["witness"]["marks"]


def settle(instance):
    """Until the proxy's workers make their own: a few requests use up what the witness made before."""
    if not eventually(lambda: marks(instance) == "connect", DEADLINE_S):
        pytest.skip(instance.status()["witness"]["ebpf"])
    use(instance, 4 * IN_HAND)


def use(instance, count):
    """Each gets its answer, over a connection of its own."""
    token = instance.token(ttl=600)
    before = instance.imds.counters()["connections"]
    for _ in range(count):
        assert instance.get(PATH, token)[0] == 200
    assert instance.imds.counters()["connections"] == before + count
    assert "loop" not in instance.log.read_text()


@pytest.fixture
def instance():
    with Instance() as made:
        settle(made)
        yield made


@pytest.fixture(scope="module")
def shared():
    with Instance() as made:
        settle(made)
        yield made


def test_requests_go_on_while_the_witness_makes_none(instance):
    """It stands still: whatever is used then, it has not made."""
    witness = instance.witness_pid()
    os.kill(witness, signal.SIGSTOP)
    try:
        use(instance, 9 * IN_HAND)  # more than all workers have in hand
    finally:
        os.kill(witness, signal.SIGCONT)


@pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6])
@pytest.mark.parametrize("user", ["keytrail", "nobody", "root"])
def test_nobody_elses_are_marked(shared, user, address):
    """Not even those of other processes of the proxy's user: they are brought to the proxy, as everybody's."""
    before = shared.imds.counters()["connections"]
    done = shared.world.run("host", [*PYTHON, CONNECT, address], user=user)
    assert done.returncode == 0, done.stderr
    mark, answer = json.loads(done.stdout)
    assert mark == 0
    assert answer.split()[1] == "403"  # of the proxy: a foreign Host
    assert shared.imds.counters()["connections"] == before


def test_the_number_of_a_proxy_that_was_killed_is_worth_nothing(instance):
    """Another process of its user gets it: the witness, and with it the programs, have gone by then."""
    pid, witness = instance.pid(), instance.witness_pid()
    instance.stop(signal.SIGKILL)
    assert eventually(lambda: not pathlib.Path(f"/proc/{witness}").exists(), DEADLINE_S)

    def again():
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))  # others start processes, too
        return instance.world.run("host", [*PYTHON, MARK_OF, IMDS_V4, str(pid)], user="keytrail").stdout.strip()
    said = eventually(again, DEADLINE_S)
    if not said:
        pytest.skip("the number was not to be had again")
    assert said == "0"


def test_no_client_notices_when_the_programs_are_taken_away(instance):
    held = bpf_links.links_of(instance.witness_pid())
    assert {"note_connect4", "note_connect6"} <= set(held)
    token = instance.token(ttl=600)
    for link in held["note_connect4"] + held["note_connect6"]:
        bpf_links.detach(link)
    for _ in range(3 * IN_HAND):
        assert instance.get(PATH, token)[0] == 200
    assert "loop" not in instance.log.read_text()
    assert instance.credentials()["AccessKeyId"]
    assert [row["outcome"] for row in instance.rows("access_key_id IS NOT NULL")] == ["delivered"]


def test_the_witness_makes_them_where_there_is_no_ebpf():
    with Instance(settings={"witness": {"ebpf": "off"}}) as made:
        assert marks(made) == "socket"
        use(made, 2 * IN_HAND)
        assert marks(made) == "socket"
