# SPDX-License-Identifier: Apache-2.0
"""keytrail-redirect and the credential endpoints of ECS and EKS, behind the rules of the agents themselves."""

import pathlib

import pytest

from agents import ECS_PORT, ECS_V4, EKS_V4, EKS_V6, SWITCH_ON, prepare
from instance import needs_world
from test_redirect import (LOOPBACK, MARK, PORT, USER, ask, assert_reset, get, hold,
                           host)  # noqa: F401: host is a fixture
from world import IMDS_V4, IMDS_V6

# The rules are loaded alike by both back ends; test_redirect.py compares these throughout.
pytestmark = [needs_world, pytest.mark.parametrize("host", ["nft", pytest.param("legacy", marks=pytest.mark.long)],
                                                   indirect=True)]

ADDRESSES = {ECS_V4: IMDS_V4, EKS_V4: IMDS_V4, EKS_V6: IMDS_V6}  # and the metadata address of the same family
each_address = pytest.mark.parametrize("address", ADDRESSES, ids=["ecs", "eks-v4", "eks-v6"])


@pytest.fixture
def agents(host):  # noqa: F811
    """A host with both agents and their rules, the proxy's stand-in, and both endpoints switched on."""
    prepare(host.world, f"iptables-{host.backend}")
    host.world.serve("host", "agent", "127.0.0.1", ECS_PORT)
    host.world.serve("host", "agent", EKS_V4, 80)
    host.world.serve("host", "agent", EKS_V6, 80)
    host.serve()
    host.settings.write_text(SWITCH_ON)
    return host


@each_address
def test_host_and_containers_are_redirected(agents, address):
    assert get(agents, "host", address)["who"] == "agent"
    assert get(agents, "ctr1", address)["who"] == "agent"
    agents.up()
    answer = get(agents, "host", address)
    assert answer["who"] == "proxy" and answer["original"] == [address, 80]
    assert answer["local"] == [LOOPBACK[ADDRESSES[address]], PORT]
    answer = get(agents, "ctr1", address)
    assert answer["who"] == "proxy" and answer["original"] == [address, 80]
    assert agents.check() == []


@each_address
def test_only_mark_and_user_together_reach_the_agent(agents, address):
    agents.up()
    assert get(agents, "host", address, mark=MARK, user=USER)["who"] == "agent"
    assert get(agents, "host", address, user=USER)["who"] == "proxy"
    assert get(agents, "host", address, mark=MARK)["who"] == "proxy"
    assert get(agents, "host", address, mark=MARK, user="nobody")["who"] == "proxy"


def test_the_ecs_agents_own_port_is_no_way_round(agents):
    assert get(agents, "host", "127.0.0.1", ECS_PORT)["who"] == "agent"
    agents.up()
    assert_reset(get(agents, "host", "127.0.0.1", ECS_PORT))
    assert_reset(get(agents, "host", "127.0.0.1", ECS_PORT, user=USER))
    assert_reset(get(agents, "host", "127.0.0.1", ECS_PORT, mark=MARK))
    assert get(agents, "host", "127.0.0.1", ECS_PORT, mark=MARK, user=USER)["who"] == "agent"


def assert_shut(ns, address, answer):
    """A reset; but br_netfilter, where it is loaded, sends resets of bridged connections that the agent's NAT sent to
    another address past that NAT, and the client does not know them for its own."""
    if ns == "ctr1" and address == ECS_V4 and pathlib.Path("/proc/sys/net/bridge").exists():
        assert "error" in answer, answer
    else:
        assert_reset(answer)


@each_address
def test_connections_made_before_end(agents, address):
    held = {ns: hold(agents, ns, address) for ns in ("host", "ctr1")}
    for one in held.values():
        assert ask(one)["who"] == "agent"
    agents.up()
    for ns, one in held.items():
        assert_shut(ns, address, ask(one))


@each_address
def test_containers_that_are_not_redirected_get_nothing(agents, address):
    agents.settings.write_text(SWITCH_ON + "[listen]\ncontainer_interfaces = none\n")
    agents.up()
    assert_shut("ctr1", address, get(agents, "ctr1", address))
    assert get(agents, "host", address)["who"] == "proxy"


@each_address
def test_drop_policies(agents, address):
    agents.policies("DROP")
    agents.up()
    assert get(agents, "host", address)["who"] == "proxy"
    assert get(agents, "ctr1", address)["who"] == "proxy"
    assert get(agents, "host", address, mark=MARK, user=USER)["who"] == "agent"


@each_address
def test_other_ports_are_left_alone(agents, address):
    if address == ECS_V4:
        pytest.skip("nothing else is behind this address")
    agents.world.serve("host", "agent", address, 2703)
    agents.up()
    for ns in ("host", "ctr1"):
        assert get(agents, ns, address, 2703)["who"] == "agent"


@pytest.mark.parametrize("text, redirected", [
    ("", set()), ("[endpoints]\necs = off\neks = off\n", set()), ("[endpoints]\necs = on\n", {ECS_V4}),
    ("[endpoints]\neks = on\n", {EKS_V4, EKS_V6})], ids=["default", "off", "ecs", "eks"])
def test_off_means_not_touched(agents, text, redirected):
    agents.settings.write_text(text)
    agents.up()
    rules = " ".join(line for line in agents.saved() if "KEYTRAIL" in line)
    for address in ADDRESSES:
        assert (f"{address}/" in rules) == (address in redirected)
        for ns in ("host", "ctr1"):
            assert get(agents, ns, address)["who"] == ("proxy" if address in redirected else "agent")
    assert (str(ECS_PORT) in rules) == (ECS_V4 in redirected)
    assert agents.check() == []


def test_down_leaves_the_agents_rules(agents):
    agents.have_legacy_tables()
    before = agents.saved()
    agents.up()
    assert agents.redirect("down").returncode == 0
    assert agents.saved() == before
    assert get(agents, "ctr1", ECS_V4)["who"] == "agent"


def test_check_finds_and_repair_mends(agents):
    agents.settings.write_text("")
    agents.up()
    agents.settings.write_text(SWITCH_ON)
    faults = agents.check()
    for address in ADDRESSES:
        assert any("rule missing" in fault and address in fault for fault in faults), faults
    assert agents.redirect("repair").returncode == 0
    assert agents.check() == []
    # An agent that starts again and puts its rules first:
    agents.tables(f"-t nat -I PREROUTING -p tcp -d {ECS_V4} --dport 80 -j DNAT --to-destination 127.0.0.1:{ECS_PORT}")
    assert any("jump to KEYTRAIL-PRE is late" in fault for fault in agents.check())
    assert_shut("ctr1", ECS_V4, get(agents, "ctr1", ECS_V4))
    assert agents.redirect("repair").returncode == 0
    assert get(agents, "ctr1", ECS_V4)["who"] == "proxy"
    agents.settings.write_text("")
    assert any("changed or foreign" in fault for fault in agents.check())
    assert agents.redirect("repair").returncode == 0
    assert agents.check() == [] and get(agents, "ctr1", ECS_V4)["who"] == "agent"
