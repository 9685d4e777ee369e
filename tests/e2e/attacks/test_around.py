# SPDX-License-Identifier: Apache-2.0
"""Ways round the redirect, ways to the port without it, and what others had closed before."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import egress  # noqa: E402
from instance import (IMDS_V4, IMDS_V6, QUICK_S, REDIRECT, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance,   # noqa: E402
                      needs_world)

pytestmark = needs_world
families = pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6], ids=["v4", "v6"])
ENFORCED = {"imdsv2": {"put_response_hop_limit": 2}, "policy": {"mode": "enforce"}}

# One connection with options, and one request for a token on it: prints the answer's first line, or the error.
CONNECTS = f"""
import json, socket, sys, time
wish = json.loads(sys.argv[1])
client = socket.socket(socket.AF_INET6 if ":" in wish["address"] else socket.AF_INET, wish.get("type", socket.SOCK_STREAM))
client.settimeout(wish.get("timeout", 5))
for level, name, value in wish.get("options", []):
    client.setsockopt(level, name, value.encode() if isinstance(value, str) else value)
if "bind" in wish:
    client.bind(tuple(wish["bind"]))
began = time.monotonic()
try:
    client.connect((wish["address"], wish.get("port", 80)))
    if wish.get("waits"):
        print("connected", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
    client.sendall(b"PUT /latest/api/token HTTP/1.1\\r\\nHost: {IMDS_V4}\\r\\n{TTL_HEADER}: 60\\r\\n\\r\\n")
    answer = client.recv(65536).decode()
    came = answer.splitlines()[-1] if answer.startswith("HTTP/1.1 200") else answer.split("\\r\\n")[0]
except OSError as problem:
    came = type(problem).__name__
print(json.dumps([came, time.monotonic() - began]))
"""
NOT_REACHED = ("ConnectionResetError", "ConnectionRefusedError", "PermissionError", "TimeoutError", "OSError", "BrokenPipeError", "")
SO_MARK, SO_BINDTODEVICE, SO_PRIORITY = 36, 25, 12


@pytest.fixture(scope="module")
def instance():
    with Instance(settings={"imdsv2": {"put_response_hop_limit": 2}}) as running:
        running.credentials()  # the proxy has asked for what it needs itself
        yield running


def argv(**wish):
    return ["/usr/bin/python3", "-I", "-S", "-c", CONNECTS, json.dumps(wish)]


def connect(instance, ns="host", user=None, keep=(), **wish):
    """What came, and after how long. `keep`: capabilities that the user keeps."""
    words = argv(**wish)
    if user is not None and keep:
        words = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps", ",".join(keep), "--ambient-caps",
                 ",".join(keep), "--", *words]
        user = None
    done = instance.world.run(ns, words, user=user)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def assert_through_the_proxy(instance, came):
    """The token is the proxy's: it is good there."""
    assert instance.get("/latest/meta-data/", came)[0] == 200, came


# ---- round the redirect

AROUND = {
    "the proxy's mark, another user": dict(options=[(1, SO_MARK, 0x4B54)]),
    "another mark": dict(options=[(1, SO_MARK, 0x1)]),
    "the mark with more bits, the proxy's user": dict(options=[(1, SO_MARK, 0x14B54)], user="keytrail", keep=("+net_admin",)),
    "the proxy's user, no mark": dict(user="keytrail"),
    "another user": dict(user="nobody"),
    "a priority": dict(options=[(1, SO_PRIORITY, 6)]),
    "its own source address": dict(bind=["10.77.0.2", 0]),
    "the listener's address as source": dict(bind=["169.254.77.77", 0]),
    "the proxy's port as source": dict(bind=["10.77.0.2", 8775]),
}


@pytest.mark.parametrize("name", AROUND)
def test_a_host_process_comes_to_the_proxy_with(instance, name):
    came, took = connect(instance, address=IMDS_V4, **AROUND[name])
    if came in NOT_REACHED:
        assert name in ("the listener's address as source", "the proxy's port as source"), came
    else:
        assert_through_the_proxy(instance, came)
    assert took < QUICK_S


@families
@pytest.mark.parametrize("device", ["eth0", "lo"])
def test_a_socket_bound_to_a_device_does_not_go_round(instance, address, device):
    """NAT changes the address, not the device: such a connection comes to the proxy, or to nobody (and waits in vain)."""
    before = instance.imds.counters()["connections"]
    came, _ = connect(instance, address=address, timeout=1, options=[(1, SO_BINDTODEVICE, device + "\0")])
    if came in NOT_REACHED:
        assert instance.imds.counters()["connections"] == before
    else:
        assert_through_the_proxy(instance, came)


@pytest.mark.parametrize("ns", ["host", "ctr1"])
def test_ipv4_mapped_into_ipv6_comes_to_the_proxy(instance, ns):
    came, _ = connect(instance, ns=ns, address=f"::ffff:{IMDS_V4}")
    status, _, _ = instance.get("/latest/meta-data/", came, ns=ns)
    assert status == 200, came


@families
@pytest.mark.parametrize("ns", ["host", "ctr1"])
@pytest.mark.parametrize("port", [81, 443, 8080])
def test_other_ports_of_the_service_are_closed(instance, address, ns, port):
    came, took = connect(instance, ns=ns, address=address, port=port)
    assert came in ("ConnectionResetError", "ConnectionRefusedError") and took < QUICK_S


@families
def test_a_container_with_the_mark_is_redirected(instance, address):
    """A mark that root sets in a container ends at its namespace."""
    came, _ = connect(instance, ns="ctr1", address=address, options=[(1, SO_MARK, 0x4B54)])
    assert instance.get("/latest/meta-data/", came, ns="ctr1")[0] == 200


@families
def test_a_container_as_the_proxys_user_is_redirected(instance, address):
    came, _ = connect(instance, ns="ctr1", address=address, options=[(1, SO_MARK, 0x4B54)], user="keytrail", keep=("+net_admin",))
    assert instance.get("/latest/meta-data/", came, ns="ctr1")[0] == 200


def test_untracked_packets_reach_nobody():
    """NAT sees only what is tracked: what root exempts from tracking meets the filter, and ends there."""
    with Instance() as instance:
        instance.world.run("host", ["iptables", "-t", "raw", "-A", "OUTPUT", "-d", IMDS_V4, "-p", "tcp", "-m", "owner", "--uid-owner",
                                    "nobody", "-j", "CT", "--notrack"], check=True)
        instance.stop()  # it asks the service itself now and then
        before = instance.imds.counters()["connections"]
        came, took = connect(instance, address=IMDS_V4, user="nobody")
        assert came in ("ConnectionResetError", "ConnectionRefusedError") and took < QUICK_S
        assert instance.imds.counters()["connections"] == before


@families
@pytest.mark.parametrize("ns", ["host", "ctr1"])
def test_a_connection_made_before_up_gets_nothing(address, ns):
    with Instance(redirect=False) as instance:
        if ns != "host":
            for tool, net in (("iptables", "172.30.0.0/24"), ("ip6tables", "fd30::/64")):
                instance.world.run("host", [tool, "-t", "nat", "-A", "POSTROUTING", "-s", net, "-j", "MASQUERADE"], check=True)
        held = instance.world.popen(ns, argv(address=address, waits=True), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert held.stdout.readline() == "connected\n"
        instance.redirect("up")
        came, took = json.loads(held.communicate("\n", timeout=60)[0])
        assert came in ("ConnectionResetError", "BrokenPipeError", "") and took < QUICK_S


# ---- the port, without the redirect

@pytest.mark.parametrize("ns, address", [
    ("host", "127.0.0.1"), ("host", "::1"), ("host", "127.0.0.2"), ("host", "169.254.77.77"), ("host", "fd6b:6579:7472:6c::77"),
    ("host", "10.77.0.2"), ("host", "172.30.0.1"), ("ctr1", "172.30.0.1"), ("ctr1", "fd30::1"), ("ctr1", "169.254.77.77"),
    ("ctr1", "fd6b:6579:7472:6c::77"), ("ctr1", "10.77.0.2"), ("imds", "10.77.0.2"), ("imds", "fd77::2")])
def test_the_port_is_closed_to(instance, ns, address):
    """`imds` stands for any other machine of the network."""
    came, took = connect(instance, ns=ns, address=address, port=8775)
    assert came in ("ConnectionResetError", "ConnectionRefusedError", "OSError") and took < QUICK_S


@pytest.mark.parametrize("user, keep", [("keytrail", ()), ("keytrail", ("+net_admin",))])
def test_the_port_is_closed_to_the_proxys_own_user(instance, user, keep):
    options = [(1, SO_MARK, 0x4B54)] if keep else []
    came, _ = connect(instance, address="127.0.0.1", port=8775, user=user, keep=keep, options=options)
    assert came in ("ConnectionResetError", "ConnectionRefusedError")


def test_a_redirect_of_a_containers_own_leads_to_a_closed_port(instance):
    """DNAT in a namespace of one's own does not make a connection one that was on its way to the service."""
    instance.world.run("ctr2", ["iptables", "-t", "nat", "-A", "OUTPUT", "-d", IMDS_V4, "-p", "tcp", "--dport", "80", "-j", "DNAT",
                                "--to-destination", "172.30.0.1:8775"], check=True)
    came, _ = connect(instance, ns="ctr2", address=IMDS_V4)
    assert came in ("ConnectionResetError", "ConnectionRefusedError")


# ---- what others had closed

KINDS = {
    "iptables-nft": [f"iptables-nft -A OUTPUT -d {IMDS_V4} -m owner --uid-owner nobody -j REJECT"],
    "iptables-legacy": [f"iptables-legacy -A OUTPUT -d {IMDS_V4} -m owner --uid-owner nobody -j REJECT"],
    "ip6tables": [f"ip6tables -A OUTPUT -d {IMDS_V6} -m owner --uid-owner nobody -j REJECT"],
    "nftables": ["nft add table inet guard", "nft add chain inet guard out { type filter hook output priority 0 ; }",
                 "nft add rule inet guard out ip daddr 169.254.169.254 meta skuid 65534 reject"],
    "everybody but root": [f"iptables -A OUTPUT -d {IMDS_V4} -m owner ! --uid-owner root -j REJECT"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_closed_stays_closed(kind):
    """`up` refuses; carried over it goes ahead, and who was kept out gets 403 and a row, everybody else what they ask for."""
    if any(shutil.which(command.split()[0]) is None for command in KINDS[kind]):
        pytest.skip(f"{kind} is not installed")
    with Instance(settings=ENFORCED, redirect=False) as instance:
        address = IMDS_V6 if kind == "ip6tables" else IMDS_V4
        for command in KINDS[kind]:
            done = instance.world.run("host", command.split())
            if done.returncode != 0 and kind == "iptables-legacy":
                pytest.skip(f"{kind} does not work here: {done.stderr.strip()}")
            assert done.returncode == 0, done.stderr
        assert instance.curl("-X", "PUT", "-H", f"{TTL_HEADER}: 60", path="/latest/api/token", address=address,
                             user="nobody").returncode == 7
        redirect = [str(REDIRECT), "-c", str(instance.config)]
        refused = instance.world.run("host", [*redirect, "up"], timeout=60)
        assert refused.returncode == 1 and "closed already: " in refused.stderr
        carried = instance.world.run("host", [*redirect, "carry-over"], timeout=60)
        assert carried.returncode == 0 and '[deny "existing ' in carried.stdout
        instance.stop()
        instance.config.write_text(instance.config.read_text() + carried.stdout)
        instance.start()
        done = instance.world.run("host", [*redirect, "up"], timeout=60)
        assert done.returncode == 0, done.stderr
        assert instance.world.run("host", [*redirect, "check"], timeout=60).stdout == ""
        assert instance.credentials(address=address)["AccessKeyId"]
        token = instance.token(address=address, user="nobody")
        status, _, body = instance.get(ROLE_PATH + "web-server", token, address=address, user="nobody")
        assert (status, body) == (403, "")
        row = instance.row("outcome = 'refused'")
        assert row["reason"] == "policy" and row["uid"] == 65534


@pytest.mark.skipif(egress.missing() is not None, reason=str(egress.missing()))
@pytest.mark.parametrize("program, refuses", [(egress.connect_refuses(IMDS_V4), False), (egress.egress_drops(IMDS_V4), True)],
                         ids=["connect", "egress"])
def test_programs_on_control_groups_keep_whom_they_kept(program, refuses):
    """One on connect() is asked before NAT and goes on refusing; one on what is sent would not, so `up` does not go ahead."""
    with Instance(redirect=False) as instance, egress.Group() as group:
        group.attach(program)
        inside = ["sh", "-c", f"echo $$ >{group.path}/cgroup.procs; exec \"$0\" \"$@\""]
        def reaches():
            return instance.world.run("host", [*inside, "curl", "-s", "-m", "1", "-o", "/dev/null", "-X", "PUT", "-H",
                                               f"{TTL_HEADER}: 60", f"http://{IMDS_V4}/latest/api/token"]).returncode == 0
        assert not reaches()
        done = instance.world.run("host", [str(REDIRECT), "-c", str(instance.config), "up"], timeout=60)
        assert done.returncode == refuses, done.stderr
        if refuses:
            assert group.path.name in done.stderr
            done = instance.world.run("host", [str(REDIRECT), "-c", str(instance.config), "--accept-existing", "up"], timeout=60)
            assert done.returncode == 0 and reaches()  # which is why
        else:
            assert not reaches()
