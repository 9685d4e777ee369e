# SPDX-License-Identifier: Apache-2.0
"""keytrail-redirect with real packets, in network namespaces, with both back ends of iptables."""

import fcntl
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("world", "support")]

import egress  # noqa: E402
from imds import binary  # noqa: E402
from world import IMDS_V4, IMDS_V6, QUICK_S, THROWAWAY, World  # noqa: E402

SCRIPT = ROOT / "iptables" / "keytrail-redirect"
USER = "keytrail"
MARK = "0x4b54"
PORT = 8775
LISTENER = {IMDS_V4: "169.254.77.77", IMDS_V6: "fd6b:6579:7472:6c::77"}
LOOPBACK = {IMDS_V4: "127.0.0.1", IMDS_V6: "::1"}
BRIDGE = {IMDS_V4: "172.30.0.1", IMDS_V6: "fd30::1"}
UP_SECONDS = 30
RESET = ("ECONNRESET", "ECONNREFUSED")
both_families = pytest.mark.parametrize("address", [IMDS_V4, IMDS_V6], ids=["v4", "v6"])

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def has_user():
    try:
        pwd.getpwnam(USER)
        return True
    except KeyError:
        return False


def backend_works(backend):
    """Whether this kernel and this iptables have the back end: tried in a namespace of its own."""
    tool = f"iptables-{backend}"
    if shutil.which(tool) is None:
        return f"{tool} is not installed"
    tried = subprocess.run(["unshare", "-n", tool, "-t", "nat", "-A", "OUTPUT", "-j", "RETURN"],
                           capture_output=True, text=True, timeout=60)
    return None if tried.returncode == 0 else f"{tool} does not work here: {tried.stderr.strip()}"


class Host:
    """The instance of a world, and keytrail-redirect in it."""

    def __init__(self, world, backend, folder):
        self.world = world
        self.backend = backend
        self.units = folder / "units"
        self.units.mkdir()
        self.settings = folder / "keytrail.conf"
        self.settings.write_text("")
        self.environment = {**os.environ, "KEYTRAIL_IPTABLES": backend, "SYSTEMD_UNIT_PATH": str(self.units),
                            "KEYTRAIL_PROGRAM": "/bin/true"}  # control groups are the whole machine's: others may test, too

    def redirect(self, *arguments, script=SCRIPT):
        return self.world.run("host", [str(script), "-c", str(self.settings), *arguments], timeout=UP_SECONDS,
                              env=self.environment)

    def up(self, *arguments):
        done = self.redirect(*arguments, "up")
        assert done.returncode == 0, done.stderr
        return done

    def check(self):
        done = self.redirect("check")
        assert done.returncode in (0, 3), done.stderr
        assert (done.returncode == 3) == bool(done.stdout), done.stdout
        return done.stdout.splitlines()

    def tables(self, command, family=4, backend=None):
        """Runs iptables or ip6tables with a command line."""
        tool = f"{'ip' if family == 4 else 'ip6'}tables-{backend or self.backend}"
        done = self.world.run("host", [tool, *command.split()])
        assert done.returncode == 0, f"{tool} {command}: {done.stderr}"

    def sh(self, command):
        done = self.world.run("host", ["sh", "-ec", command])
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def saved(self):
        """All rules, without dates and counters."""
        text = ""
        for family in ("ip", "ip6"):
            text += self.world.run("host", [f"{family}tables-{self.backend}-save"]).stdout
        return [re.sub(r"\[\d+:\d+\]", "", line) for line in text.splitlines() if not line.startswith("#")]

    def have_legacy_tables(self):
        """Tables of the legacy back end cannot be unloaded again: has them there before, empty."""
        for family in (4, 6) if self.backend == "legacy" else ():
            self.tables("-t nat -L -n", family)
            self.tables("-t filter -L -n", family)

    def masquerade(self):
        """What Docker does for its bridges: without it the answers would not find back to a container."""
        self.tables("-t nat -A POSTROUTING -s 172.30.0.0/24 -o eth0 -j MASQUERADE")
        self.tables("-t nat -A POSTROUTING -s fd30::/64 -o eth0 -j MASQUERADE", family=6)

    def policies(self, policy):
        for family in (4, 6):
            for chain in ("INPUT", "OUTPUT", "FORWARD"):
                self.tables(f"-P {chain} {policy}", family)
        # Without neighbour discovery there is no IPv6 at all.
        for chain in ("INPUT", "OUTPUT"):
            self.tables(f"-A {chain} -p ipv6-icmp -j ACCEPT", 6)

    def serve(self):
        self.world.serve("imds", "imds")
        self.world.serve("host", "proxy", PORT)


@pytest.fixture(params=["nft", "legacy"])
def host(request, tmp_path):
    problem = backend_works(request.param)
    if problem:
        pytest.skip(problem)
    if not has_user():
        pytest.skip(f"no user {USER}: useradd --system --no-create-home --shell /usr/sbin/nologin {USER}")
    with World() as world:
        yield Host(world, request.param, tmp_path)


def client(world, ns, what, address, port, *, mark=None, user=None):
    """Runs a throw-away client; as USER it keeps CAP_NET_ADMIN if it is to set a mark."""
    argv = [*THROWAWAY, what, address, str(port), *(["--mark", mark] if mark else [])]
    if user is not None:
        argv = ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups",
                "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin", "--", *argv]
    done = world.run(ns, argv)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def get(host, ns, address, port=80, **kwargs):
    return client(host.world, ns, "get", address, port, **kwargs)


def assert_reset(answer):
    assert answer.get("error") in RESET, answer
    assert answer["seconds"] < QUICK_S, answer


def hold(host, ns, address):
    """A connection that stays; ask() sends a request on it."""
    held = host.world.popen(ns, [*THROWAWAY, "hold", address, "80"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            bufsize=1)
    assert held.stdout.readline() == "ready\n"
    return held


def ask(held):
    held.stdin.write("\n")
    return json.loads(held.stdout.readline())


# ---- What is redirected, and what is not ---------------------------------------------------------


@both_families
def test_host_is_redirected(host, address):
    host.serve()
    assert get(host, "host", address)["who"] == "imds"
    host.up()
    answer = get(host, "host", address)
    assert answer["who"] == "proxy"
    assert answer["original"] == [address, 80]
    assert answer["local"] == [LOOPBACK[address], PORT]


@both_families
@pytest.mark.parametrize("container", ["ctr1", "ctr2"])
def test_container_lands_on_the_listener_address(host, address, container):
    host.serve()
    host.up()
    answer = get(host, container, address)
    assert answer["who"] == "proxy"
    assert answer["original"] == [address, 80]
    assert answer["local"] == [LISTENER[address], PORT]
    assert answer["peer"].endswith(f"1{container[-1]}")


@both_families
def test_only_mark_and_user_together_pass(host, address):
    host.serve()
    host.up()
    assert get(host, "host", address, mark=MARK, user=USER)["who"] == "imds"
    assert get(host, "host", address, user=USER)["who"] == "proxy"
    assert get(host, "host", address, mark=MARK)["who"] == "proxy"
    assert get(host, "host", address, mark=MARK, user="nobody")["who"] == "proxy"
    assert get(host, "host", address, mark="0x14b54", user=USER)["who"] == "proxy"


@both_families
def test_nothing_goes_straight_to_the_metadata_service(host, address):
    host.serve()
    host.up()
    assert_reset(get(host, "host", address, 81))
    assert_reset(get(host, "host", address, 81, user=USER))
    assert_reset(get(host, "host", address, 81, mark=MARK))
    answer = client(host.world, "host", "datagram", address, 80)
    assert answer["error"] in ("ECONNREFUSED", "EPERM")
    assert answer["seconds"] < QUICK_S
    assert_reset(get(host, "ctr1", address, 81))


@both_families
def test_a_closed_upstream_connection_ends_cleanly(host, address):
    """Its last packets have no owner any more: were they rejected, the other end would have to repeat itself."""
    host.serve()
    host.up()
    assert get(host, "host", address, mark=MARK, user=USER)["who"] == "imds"
    time.sleep(0.5)
    names, values = host.world.run("imds", ["grep", "^Tcp:", "/proc/net/snmp"]).stdout.splitlines()
    assert dict(zip(names.split(), values.split()))["RetransSegs"] == "0"


@both_families
def test_the_port_is_worth_nothing_by_itself(host, address):
    host.serve()
    host.up()
    for target in (LOOPBACK[address], LISTENER[address], BRIDGE[address]):
        assert_reset(get(host, "host", target, PORT))
    for target in (LISTENER[address], BRIDGE[address]):
        assert_reset(get(host, "ctr1", target, PORT))


def test_another_connection_may_use_the_same_port_number(host):
    host.serve()
    host.up()
    bound = ("import socket; s = socket.create_connection(('10.77.0.1', 80), 2, ('10.77.0.2', 8775));"
             "s.sendall(b'x'); print(s.recv(10).decode())")
    host.world.popen("imds", [sys.executable, "-c",
                              "import socket; l = socket.create_server(('10.77.0.1', 80)); print('ready', flush=True);"
                              "c, _ = l.accept(); c.recv(1); c.sendall(b'fine'); c.recv(1)"],
                     stdout=subprocess.PIPE).stdout.readline()
    assert host.world.run("host", [sys.executable, "-c", bound]).stdout.strip() == "fine"


@both_families
def test_connections_made_before_end_quickly(host, address):
    host.serve()
    host.masquerade()
    held = [hold(host, ns, address) for ns in ("host", "ctr1")]
    for one in held:
        assert ask(one)["who"] == "imds"
    host.up()
    for one in held:
        assert_reset(ask(one))


@both_families
@pytest.mark.parametrize("interfaces, lands", [
    ("auto", True), ("br0", True), ("nosuch0 br0", True), ("br*", True), ("b?0", True), ("*", True),
    ("none", False), ("docker*", False), ("eth0", False)])
def test_container_interfaces(host, address, interfaces, lands):
    host.serve()
    host.masquerade()
    host.settings.write_text(f"[listen]\ncontainer_interfaces = {interfaces}\n")
    assert get(host, "ctr1", address)["who"] == "imds"
    host.up()
    answer = get(host, "ctr1", address)
    if lands:
        assert answer["who"] == "proxy"
    else:
        assert_reset(answer)
    assert get(host, "host", address)["who"] == "proxy"
    assert host.check() == []


def test_auto_covers_a_bridge_made_later_and_passes_over_uplinks(host):
    host.serve()
    host.up()
    host.sh("ip link set ctr2 nomaster; ip address add 172.31.0.1/24 dev ctr2; ip link set ctr2 name later0")
    host.world.run("ctr2", ["sh", "-ec", "ip address flush dev eth0; ip address add 172.31.0.2/24 dev eth0;"
                                         "ip route add default via 172.31.0.1"], check=True)
    assert get(host, "ctr2", IMDS_V4)["who"] == "proxy"
    assert "-A KEYTRAIL-PRE -i eth0 -j RETURN" in host.saved()
    assert host.check() == []
    host.sh("ip route add default dev later0 metric 9")
    assert any("-i later0 -j RETURN" in fault for fault in host.check())


@both_families
def test_drop_policies(host, address):
    host.serve()
    host.policies("DROP")
    done = host.up()
    assert "policy of filter OUTPUT is DROP" in done.stderr
    assert get(host, "host", address)["who"] == "proxy"
    assert get(host, "ctr1", address)["who"] == "proxy"
    assert get(host, "host", address, mark=MARK, user=USER)["who"] == "imds"
    assert_reset(get(host, "host", address, 81))
    assert_reset(get(host, "ctr1", address, 81))
    assert_reset(get(host, "host", LOOPBACK[address], PORT))
    assert_reset(get(host, "ctr1", BRIDGE[address], PORT))
    assert_reset(get(host, "ctr1", LISTENER[address], PORT))


def test_another_port(host):
    host.settings.write_text("[listen]\nport = 9001 # not ours\n")
    host.world.serve("host", "proxy", 9001)
    host.up()
    assert get(host, "host", IMDS_V4)["local"] == ["127.0.0.1", 9001]
    assert get(host, "ctr1", IMDS_V6)["local"] == [LISTENER[IMDS_V6], 9001]


# ---- up, down, check, repair ---------------------------------------------------------------------


def test_up_twice_changes_nothing(host):
    host.up()
    first = host.saved()
    host.up()
    assert host.saved() == first
    assert host.check() == []


def test_up_concurrently_while_others_write_rules(host):
    argv = host.world.argv("host", [str(SCRIPT), "-c", str(host.settings), "up"])
    writer = host.world.popen("host", ["sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9 10; do iptables-{host.backend} -w 5 -I OUTPUT 1 "
                                                   "-d 10.9.9.$i -j ACCEPT; sleep 0.05; done"])
    runs = [subprocess.Popen(argv, env=host.environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for run in runs:
        _, complaint = run.communicate(timeout=UP_SECONDS)
        assert run.returncode == 0, complaint
    assert writer.wait(timeout=60) == 0
    assert all("is late, behind a foreign rule" in fault for fault in host.check())
    assert host.redirect("repair").returncode == 0
    assert host.check() == []


def test_runs_wait_for_those_in_their_own_namespace_only(host):
    def lock(ns):
        return open(f"/run/keytrail-redirect-{os.stat(host.world.path(ns)).st_ino}.lock", "a", encoding="ascii")
    with lock("ctr1") as others:
        fcntl.flock(others, fcntl.LOCK_EX)
        host.up()
    with lock("host") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        waiting = host.world.popen("host", [str(SCRIPT), "-c", str(host.settings), "down"], env=host.environment)
        time.sleep(1)
        assert waiting.poll() is None
        assert host.saved(), "taken down by somebody who had to wait"
    assert waiting.wait(timeout=60) == 0


def test_down_restores_a_used_machine(host):
    for family, own in ((4, "10.1.0.0/16"), (6, "fd99::/64")):
        host.tables("-N DOCKER-USER", family)
        host.tables("-A DOCKER-USER -j RETURN", family)
        host.tables("-A FORWARD -j DOCKER-USER", family)
        host.tables(f"-A OUTPUT -d {own} -j REJECT", family)
        host.tables("-P FORWARD DROP", family)
        host.tables(f"-t nat -A POSTROUTING -s {own} -o eth0 -j MASQUERADE", family)
        host.tables("-t nat -N KEEP-ME", family)
    before, addresses, routes = host.saved(), host.sh("ip address show dev lo"), host.sh("ip route show table all")
    host.up()
    assert host.saved() != before
    done = host.redirect("down")
    assert done.returncode == 0, done.stderr
    assert host.saved() == before
    assert host.sh("ip address show dev lo") == addresses
    assert host.sh("ip route show table all") == routes
    assert host.redirect("down").returncode == 0


def test_down_restores_a_fresh_machine(host):
    host.have_legacy_tables()
    before = host.saved()
    host.up()
    host.up()
    host.redirect("repair")
    assert host.redirect("down").returncode == 0
    assert host.saved() == before


def test_down_works_with_broken_settings(host):
    host.up()
    host.settings.write_text("[listen]\nport = many\n")
    assert host.redirect("down").returncode == 0
    assert not any("KEYTRAIL" in line for line in host.saved())


def test_dry_run_changes_nothing(host):
    before, addresses = host.saved(), host.sh("ip address show dev lo")
    done = host.redirect("-n", "up")
    assert done.returncode == 0
    assert "-A KEYTRAIL-OUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8775" in done.stdout
    assert host.saved() == before
    assert host.sh("ip address show dev lo") == addresses
    host.up()
    after = host.saved()
    assert "-X KEYTRAIL-OUT" in host.redirect("-n", "down").stdout
    assert host.redirect("-n", "repair").returncode == 0
    assert host.saved() == after


def test_check_before_up(host):
    assert host.check() == ["the redirect is not up: none of its rules is loaded"]
    quiet = host.redirect("-q", "check")
    assert (quiet.returncode, quiet.stdout) == (3, "")


DAMAGE = {
    "jump missing": ("-t nat -D OUTPUT -j KEYTRAIL-OUT", "nat OUTPUT: jump to KEYTRAIL-OUT missing"),
    "jump twice": ("-t nat -A PREROUTING -j KEYTRAIL-PRE", "nat PREROUTING: jump to KEYTRAIL-PRE is there 2 times"),
    "rule ahead": ("-I FORWARD 1 -s 10.0.0.0/8 -j ACCEPT",
                   "filter FORWARD: jump to KEYTRAIL-FWD is late, behind a foreign rule: -s 10.0.0.0/8 -j ACCEPT"),
    "chain empty": ("-F KEYTRAIL-LOC", "filter KEYTRAIL-LOC: rule missing: "),
    "rule gone": ("-D KEYTRAIL-IN 1", "filter KEYTRAIL-IN: rule missing: -p tcp"),
    "rule changed": ("-t nat -R KEYTRAIL-OUT 2 -p tcp --dport 80 -j REDIRECT --to-ports 8776",
                     "nat KEYTRAIL-OUT: rule changed or foreign: -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8776"),
    "rule added": ("-I KEYTRAIL-FWD 1 -j ACCEPT", "filter KEYTRAIL-FWD: rule changed or foreign: -j ACCEPT"),
    "nat flushed": ("-t nat -F", "nat OUTPUT: jump to KEYTRAIL-OUT missing"),
    "filter flushed": ("-F", "filter INPUT: jump to KEYTRAIL-IN missing"),
    "stray jump": ("-A INPUT -p udp -j KEYTRAIL-FWD", "filter INPUT: stray jump: -p udp -j KEYTRAIL-FWD"),
    "stray chain": ("-N KEYTRAIL-OLD", "filter KEYTRAIL-OLD: stray chain"),
}


@pytest.mark.parametrize("family", [4, 6], ids=["v4", "v6"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_check_finds_and_repair_mends(host, damage, family):
    command, fault = DAMAGE[damage]
    if family == 6:
        command, fault = command.replace("10.0.0.0/8", "fd10::/16"), fault.replace("10.0.0.0/8", "fd10::/16")
    host.up()
    whole = host.saved()
    host.tables(command, family)
    assert any(line.startswith(f"IPv{family} {fault}") for line in host.check()), host.check()
    done = host.redirect("repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.check() == []
    kept = [line for line in host.saved() if "10.0.0.0/8" not in line and "fd10::/16" not in line]
    assert [line for line in kept if "made" not in line] == [line for line in whole if "made" not in line]


def test_check_finds_more_damage(host):
    host.up()
    host.sh("ip address del 169.254.77.77/32 dev lo; ip address del fd6b:6579:7472:6c::77/128 dev lo")
    assert host.check() == ["address 169.254.77.77/32 is missing on lo",
                            "address fd6b:6579:7472:6c::77/128 is missing on lo"]
    host.tables("-t nat -D OUTPUT -j KEYTRAIL-OUT")
    host.tables("-t nat -F KEYTRAIL-OUT")
    host.tables("-t nat -X KEYTRAIL-OUT")
    assert any("nat KEYTRAIL-OUT: chain missing" in line for line in host.check())
    assert host.redirect("repair").returncode == 0
    first = "-d 169.254.169.254/32 -p tcp -m tcp --tcp-flags RST RST -j RETURN"
    host.tables(f"-D KEYTRAIL-FWD {first}")
    host.tables(f"-A KEYTRAIL-FWD {first}")
    assert host.check() == ["IPv4 filter KEYTRAIL-FWD: rules in another order"]
    assert host.redirect("repair").returncode == 0
    host.settings.write_text("[listen]\nport = 8776\n")
    assert any("--to-ports 8776" in line for line in host.check())


def test_repair_fails_no_request(host):
    host.serve()
    host.up()
    held = [hold(host, ns, address) for ns in ("host", "ctr1") for address in (IMDS_V4, IMDS_V6)]
    loops = [host.world.popen(ns, [*THROWAWAY, "loop", address, "80", "--for", "4"], stdout=subprocess.PIPE)
             for ns, address in (("host", IMDS_V4), ("ctr1", IMDS_V6))]
    for command in ("-I OUTPUT 1 -d 10.9.9.9 -j ACCEPT", "-t nat -A OUTPUT -j KEYTRAIL-OUT", "-D KEYTRAIL-FWD 1"):
        host.tables(command)
        host.tables(command.replace("10.9.9.9", "fd10::9"), 6)
        assert host.redirect("repair").returncode == 0
    for one in held:
        assert ask(one)["who"] == "proxy"
    for one in loops:
        result = json.loads(one.communicate(timeout=60)[0])
        assert result["errors"] == []
        assert result["answers"] > 50


def test_never_route_localnet(host):
    host.up()
    assert set(host.sh("cat /proc/sys/net/ipv4/conf/*/route_localnet").split()) == {"0"}


# ---- Refusals --------------------------------------------------------------------------------------

IPTABLES = {
    "owner": (4, ["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner nobody -j REJECT"], "table filter, chain OUTPUT"),
    "owner, any address": (4, ["-A OUTPUT -m owner --uid-owner nobody -j DROP"], "table filter, chain OUTPUT"),
    "prefix": (4, ["-A OUTPUT -d 169.254.0.0/16 -j DROP"], "-d 169.254.0.0/16 -j DROP"),
    "odd prefix": (4, ["-A FORWARD -d 169.254.168.0/22 -p tcp -j REJECT"], "169.254.168.0/22"),
    "forward": (4, ["-A FORWARD -i br0 -d 169.254.169.254 -p tcp --dport 80 -j DROP"], "chain FORWARD"),
    "ports": (4, ["-A OUTPUT -p tcp -d 169.254.169.254 -m multiport --dports 22,70:90 -j REJECT"], "--dports 22,70:90"),
    "own chain": (4, ["-N DOCKER-USER", "-A DOCKER-USER -d 169.254.169.254 -j DROP", "-A FORWARD -j DOCKER-USER"],
                  "chain DOCKER-USER"),
    "chain by address": (4, ["-N SHUT", "-A SHUT -m owner ! --uid-owner root -j REJECT", "-A OUTPUT -d 169.254.169.254 -j SHUT"],
                         "chain SHUT"),
    "negation": (4, ["-A OUTPUT ! -d 10.0.0.0/8 -j DROP"], "! -d 10.0.0.0/8 -j DROP"),
    "range": (4, ["-A OUTPUT -m iprange --dst-range 169.254.169.1-169.254.170.5 -j DROP"], "--dst-range"),
    "mangle": (4, ["-t mangle -A FORWARD -d 169.254.169.254 -j DROP"], "table mangle, chain FORWARD"),
    "allowed for root only": (4, ["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner root -j ACCEPT",
                                  "-A OUTPUT -d 169.254.169.254 -j DROP"], "-d 169.254.169.254/32 -j DROP"),
    "v6": (6, ["-A OUTPUT -d fd00:ec2::254 -j REJECT"], "ip6tables-"),
    "v6 prefix": (6, ["-A FORWARD -d fd00:ec2::/32 -j DROP"], "chain FORWARD"),
}


@pytest.mark.parametrize("name", IPTABLES)
def test_existing_rules_of_iptables_are_refused(host, name):
    family, commands, named = IPTABLES[name]
    for command in commands:
        host.tables(command, family)
    assert_refused(host, named)


def assert_refused(host, named):
    host.have_legacy_tables()
    before = host.saved()
    done = host.redirect("up")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "closed already" in line]
    assert len(lines) == 1 and named in lines[0], done.stderr
    assert "--accept-existing" in done.stderr
    assert host.saved() == before
    host.up("--accept-existing")
    assert host.check() == []
    assert host.redirect("repair").returncode == 0
    assert host.redirect("up").returncode == 0
    assert host.redirect("down").returncode == 0
    assert host.saved() == before


def test_a_closing_rule_that_comes_later_is_reported(host):
    host.tables("-A OUTPUT -d 169.254.0.0/16 -j DROP")
    host.up("--accept-existing")
    host.tables("-A FORWARD -d 169.254.169.254 -j DROP")
    faults = host.check()
    assert len(faults) == 1 and faults[0].startswith("closed before, open through the redirect: ")
    assert "chain FORWARD" in faults[0]
    assert host.redirect("repair").returncode == 3
    assert host.redirect("--accept-existing", "repair").returncode == 0
    assert host.check() == []


HARMLESS = {
    "policy": ["-P OUTPUT DROP", "-P FORWARD DROP"],
    "catch-all": ["-A FORWARD -j REJECT", "-A INPUT -j DROP"],
    "invalid": ["-A OUTPUT -m conntrack --ctstate INVALID -j DROP"],
    "udp": ["-A OUTPUT -d 169.254.0.0/16 -p udp -j DROP"],
    "another port": ["-A OUTPUT -d 169.254.0.0/16 -p tcp --dport 445 -j DROP"],
    "another address": ["-A OUTPUT -d 169.254.170.2 -j DROP", "-A FORWARD -d 169.254.169.253/32 -j DROP"],
    "input": ["-A INPUT -d 169.254.169.254 -j DROP"],
    "accepted earlier": ["-A OUTPUT -d 169.254.169.254 -p tcp --dport 80 -j ACCEPT", "-A OUTPUT -d 169.254.0.0/16 -j DROP"],
    "unreachable chain": ["-N LONELY", "-A LONELY -d 169.254.169.254 -j DROP"],
    "raw still matches": ["-t raw -A OUTPUT -d 169.254.169.254 -m owner --uid-owner nobody -j DROP"],
    "Docker": ["-N DOCKER", "-A DOCKER ! -d 172.17.0.0/16 -j DROP", "-A FORWARD -o docker0 -j DOCKER"],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_rules_are_no_reason_to_refuse(host, name):
    for command in HARMLESS[name]:
        host.tables(command)
    host.up()
    assert host.check() == []


NFT = {
    "address": "table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.169.254 meta skuid 65534 reject; }; }",
    "prefix": "table ip guard { chain f { type filter hook forward priority 0; iifname \"br0\" ip daddr 169.254.0.0/16 counter drop; }; }",
    "anonymous set": "table inet guard { chain out { type filter hook output priority 0; ip daddr { 10.0.0.1, 169.254.169.254 } tcp dport { 80, 443 } drop; }; }",
    "range": "table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.169.1-169.254.169.255 drop; }; }",
    "named set": "table inet guard { set shut { type ipv4_addr; flags interval; elements = { 10.1.0.0/16, 10.3.0.0/16, 10.5.0.0/16, 169.254.169.254, 10.7.0.0/16 } ; }; chain out { type filter hook output priority 0; ip daddr @shut drop; }; }",
    "verdict map": "table inet guard { chain out { type filter hook output priority 0; ip daddr vmap { 10.0.0.1 : accept, 169.254.169.254 : drop }; }; }",
    "jump": "table inet guard { chain shut { meta skuid != 0 reject with tcp reset; }; chain out { type filter hook output priority 0; ip daddr 169.254.169.254 tcp dport 80 jump shut; }; }",
    "user, any address": "table inet guard { chain out { type filter hook output priority 0; meta skuid 65534 log prefix \"no net\" drop; }; }",
    "negation": "table inet guard { chain out { type filter hook output priority 0; ip daddr != 10.0.0.0/8 drop; }; }",
    "verdict map with a jump": "table inet guard { map m { type ipv4_addr : verdict; elements = { 10.0.0.1 : accept, 169.254.169.254 : jump shut }; }; chain shut { reject; }; chain out { type filter hook output priority filter + 10; ip daddr vmap @m; }; }",
    "concatenation": "table inet guard { chain out { type filter hook output priority 0; ip daddr . tcp dport { 10.0.0.1 . 80, 169.254.169.254 . 80 } drop; }; }",
    "ports and users": "table inet guard { set ports { type inet_service; flags interval; elements = { 79-81 }; }; chain out { type filter hook output priority 0; ip daddr 169.254.169.254 tcp dport @ports meta skuid 1000-2000 goto shut; }; chain shut { log prefix \"x\" level warn; drop; }; }",
    "comment": "table inet guard { chain out { type filter hook output priority 0; ct state vmap { established : accept, invalid : drop }; ip protocol tcp ip daddr 169.254.169.254 counter limit rate 5/second reject with tcp reset comment \"accept { this\"; }; }",
    "v6": "table inet guard { chain out { type filter hook output priority 0; ip6 daddr fd00:ec2::254 drop; }; }",
}


@pytest.mark.parametrize("name", NFT)
def test_existing_rules_of_nftables_are_refused(host, name):
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    host.world.run("host", ["nft", "-f", "-"], input=NFT[name], check=True)
    done = host.redirect("up")
    assert done.returncode == 1
    assert "closed already: nftables: table i" in done.stderr and "guard, chain " in done.stderr, done.stderr
    host.up("--accept-existing")
    assert host.check() == []
    assert host.redirect("down").returncode == 0
    assert "guard" in host.sh("nft list tables")


NFT_HARMLESS = {
    "policy": "table inet guard { chain out { type filter hook output priority 0; policy drop; accept; }; }",
    "before NAT": "table inet guard { chain out { type filter hook output priority -300; ip daddr 169.254.169.254 meta skuid 65534 drop; }; }",
    "udp": "table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.0.0/16 udp dport 53 drop; }; }",
    "another port": "table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.0.0/16 tcp dport { 22, 443 } drop; }; }",
    "another address": "table inet guard { chain out { type filter hook output priority 0; ip daddr { 10.0.0.0/8, 169.254.170.0/24 } drop; }; }",
    "accepted earlier": "table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.169.254 accept; ip daddr 169.254.0.0/16 drop; }; }",
    "input": "table inet guard { chain i { type filter hook input priority 0; ip daddr 169.254.0.0/16 drop; ct state invalid drop; }; }",
    "concatenation": "table inet guard { chain out { type filter hook output priority 0; ip daddr . tcp dport { 10.0.0.1 . 80, 169.254.170.2 . 80 } drop; }; }",
    "invalid": "table inet guard { chain out { type filter hook output priority 0; ct state invalid drop; oifname \"lo\" accept; }; }",
}


@pytest.mark.parametrize("name", NFT_HARMLESS)
def test_harmless_rules_of_nftables(host, name):
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    host.world.run("host", ["nft", "-f", "-"], input=NFT_HARMLESS[name], check=True)
    host.up()
    assert host.check() == []


def test_rules_of_the_other_back_end_are_refused(host):
    other = {"nft": "legacy", "legacy": "nft"}[host.backend]
    if backend_works(other):
        pytest.skip(backend_works(other))
    host.tables("-A OUTPUT -d 169.254.169.254 -j DROP", backend=other)
    done = host.redirect("up")
    assert done.returncode == 1
    assert f"closed already: iptables-{other}: table filter" in done.stderr


UNITS = {
    "deny": ("[Service]\nIPAddressDeny=169.254.169.254\n", True),
    "deny link-local": ("[Service]\nIPAddressDeny=link-local multicast\n", True),
    "allow it alone": ("[Service]\nIPAddressDeny=any\nIPAddressAllow=169.254.169.254\n", True),
    "loopback alone": ("[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n", True),
    "deny everything": ("[Service]\nIPAddressDeny=any\n", False),
    "deny something else": ("[Service]\nIPAddressDeny=10.0.0.0/8 169.254.170.0/24\n", False),
    "denied, then cleared": ("[Service]\nIPAddressDeny=169.254.0.0/16\nIPAddressDeny=\n", False),
    "both allowed": ("[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost 169.254.0.0/16 fd00:ec2::254\n", False),
}


@pytest.mark.parametrize("name", UNITS)
def test_units_with_address_lists(host, name):
    text, refused = UNITS[name]
    (host.units / "shop.service").write_text(text)
    done = host.redirect("up")
    assert done.returncode == (1 if refused else 0), done.stderr
    assert ("systemd: unit shop.service: IPAddressDeny=" in done.stderr) == refused


def test_drop_ins_of_units_count(host):
    (host.units / "shop.service").write_text("[Service]\nIPAddressDeny=any\n")
    (host.units / "shop.service.d").mkdir()
    (host.units / "shop.service.d" / "10-open.conf").write_text("[Service]\nIPAddressAllow=169.254.169.254\n")
    done = host.redirect("up")
    assert done.returncode == 1
    assert "unit shop.service: IPAddressDeny=any IPAddressAllow=169.254.169.254" in done.stderr


SYSTEMCTL = """printf '%s\\n' \\
Id=plain.service IPAddressAllow= IPAddressDeny= '' \\
Id=shut.service IPAddressAllow= IPAddressDeny=169.254.0.0/16 '' \\
Id=confined.service IPAddressAllow= 'IPAddressDeny=::/0 0.0.0.0/0' '' \\
'IPAddressAllow=127.0.0.0/8 ::1/128' 'IPAddressDeny=::/0 0.0.0.0/0' Id=local.service"""


def test_a_running_systemd_is_asked(host, tmp_path):
    if not os.path.isdir("/run/systemd"):
        pytest.skip("no /run/systemd to stand a systemd in for")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\n" + SYSTEMCTL + "\n")
    (tmp_path / "bin" / "systemctl").chmod(0o755)
    environment = {**host.environment, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    del environment["SYSTEMD_UNIT_PATH"]
    script = f"mount -t tmpfs none /run/systemd; mkdir /run/systemd/system; exec {SCRIPT} up"
    done = host.world.run("host", ["unshare", "--mount", "sh", "-ec", script], env=environment)
    assert done.returncode == 1
    assert re.findall(r"unit (\S+):", done.stderr) == ["local.service", "shut.service"]


FORBIDDING = {
    "prohibit": ("ip route {} prohibit 169.254.169.254/32", IMDS_V4),
    "blackhole": ("ip route {} blackhole 169.254.169.254/32", IMDS_V4),
    "unreachable": ("ip route {} unreachable 169.254.169.254/32", IMDS_V4),
    "prohibit, v6": ("ip -6 route {} prohibit fd00:ec2::254/128", IMDS_V6),
    "rule": ("ip rule {} pref 100 prohibit to 169.254.169.254", IMDS_V4),
    "rule, but for a mark": ("ip rule {} pref 100 not fwmark 0x7fff0815 prohibit to 169.254.169.254", IMDS_V4),
    "rule, v6": ("ip -6 rule {} pref 100 prohibit to fd00:ec2::/64", IMDS_V6),
}


@pytest.mark.parametrize("kind", FORBIDDING)
def test_forbidding_routes_are_refused(host, kind):
    command, address = FORBIDDING[kind]
    host.sh(command.format("add"))
    done = host.redirect("up")
    assert done.returncode == 1
    assert address in done.stderr and "remove it" in done.stderr
    assert not any("KEYTRAIL" in line for line in host.saved())
    host.sh(command.format("del"))
    host.up()
    host.sh(command.format("add"))
    assert len(host.check()) == 1


def test_no_ipv6(host):
    host.serve()
    host.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    done = host.up()
    assert "IPv6 is switched off" in done.stderr
    assert get(host, "host", IMDS_V4)["who"] == "proxy"
    assert get(host, "ctr1", IMDS_V4)["who"] == "proxy"
    assert host.check() == []
    host.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0")
    assert host.check() == ["address fd6b:6579:7472:6c::77/128 is missing on lo"]
    assert host.redirect("repair").returncode == 0
    assert host.redirect("down").returncode == 0


def shim(host, folder, name, body):
    """Puts a program ahead of the machine's own."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\nreal={shutil.which(name)}\n{body}\n")
    path.chmod(0o755)
    host.environment["PATH"] = f"{folder}:{os.environ['PATH']}"


def test_no_ipv6_tables(host, tmp_path):
    host.serve()
    shim(host, tmp_path / "bin", f"ip6tables-{host.backend}-restore", "exit 3")
    done = host.up()
    assert "only IPv4 is redirected" in done.stderr
    assert get(host, "host", IMDS_V4)["who"] == "proxy"
    assert host.check() == []
    assert host.redirect("down").returncode == 0


def test_no_ipv6_nat_closes_ipv6(host, tmp_path):
    host.serve()
    shim(host, tmp_path / "bin", f"ip6tables-{host.backend}-restore",
         'rules=$(cat); [[ $rules != *"*nat"* ]] || exit 1; exec "$real" "$@" <<<"$rules"')
    done = host.up()
    assert "no IPv6 nat table" in done.stderr
    assert get(host, "host", IMDS_V4)["who"] == "proxy"
    assert_reset(get(host, "host", IMDS_V6))
    assert host.check() == []
    assert host.redirect("repair").returncode == 0
    assert host.redirect("down").returncode == 0


@pytest.mark.parametrize("extension, named", [("libxt_owner.so", "owner match"), ("libxt_conntrack.so", "conntrack match"),
                                              ("libipt_REJECT.so", "REJECT target"), ("libxt_mark.so", "mark match")])
def test_a_missing_match_is_named(host, tmp_path, extension, named):
    found = [path for path in pathlib.Path("/usr").glob("lib*/**/xtables/") if (path / extension).exists()]
    if not found:
        pytest.skip(f"no {extension} of its own here")
    for path in found[0].iterdir():
        if path.name != extension:
            (tmp_path / path.name).symlink_to(path)
    before = host.saved()
    host.environment["XTABLES_LIBDIR"] = str(tmp_path)
    done = host.redirect("up")
    assert done.returncode == 1
    assert "lacks for IPv4: " in done.stderr and named in done.stderr
    del host.environment["XTABLES_LIBDIR"]
    assert [line for line in host.saved() if "KEYTRAIL" in line] == []
    if host.backend == "nft":
        assert host.saved() == before


# ---- Carrying over ---------------------------------------------------------------------------------

CARRIED = {
    "uid": (["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 65534 -j REJECT"], ["deny: uid = 65534"]),
    "uid, any address": (["-A OUTPUT -m owner --uid-owner 65534 -j DROP"], ["deny: uid = 65534"]),
    "uids": (["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 1000-1002 -j DROP"], ["deny: uid = 1000 1001 1002"]),
    "uid and gid": (["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 5 --gid-owner 6 -j DROP"],
                    ["deny: uid = 5, gid = 6"]),
    "everybody": (["-A OUTPUT -d 169.254.0.0/16 -j DROP"], ["deny: path = *"]),
    "everybody but root": (["-A OUTPUT -d 169.254.169.254 -m owner ! --uid-owner 0 -j REJECT"],
                           ["allow: uid = 0", "deny: path = *"]),
    "root was let by": (["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 0 -j ACCEPT",
                         "-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 7 -j ACCEPT",
                         "-A OUTPUT -d 169.254.169.254 -j DROP"], ["allow: uid = 0", "allow: uid = 7", "deny: path = *"]),
    "a chain of its own": (["-N SHUT", "-A SHUT -m owner --uid-owner 0 -j RETURN", "-A SHUT -m owner --gid-owner 100 -j DROP",
                            "-A OUTPUT -d 169.254.169.254 -p tcp --dport 80 -j SHUT"], ["allow: uid = 0", "deny: gid = 100"]),
    "a return ends a chain only": (["-N SHUT", "-A SHUT -m owner --uid-owner 0 -j RETURN", "-A SHUT -m owner --gid-owner 100 -j DROP",
                                    "-A OUTPUT -d 169.254.169.254 -j SHUT", "-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 0 -j DROP"],
                                   ["deny: uid = 0", "allow: uid = 0", "deny: gid = 100"]),
    "conditions on the way": (["-N SHUT", "-A SHUT -m owner --gid-owner 100 -j DROP",
                               "-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 33 -j SHUT"], ["deny: uid = 33, gid = 100"]),
    "plain ones come first": (["-A OUTPUT -d 169.254.169.254 -m owner ! --uid-owner 0 -j DROP",
                               "-t security -A OUTPUT -d 169.254.169.254 -m owner --uid-owner 0 --gid-owner 4 -j DROP"],
                              ["deny: uid = 0, gid = 4", "allow: uid = 0", "deny: path = *"]),
    "by the uplink": (["-A OUTPUT -o lo -j ACCEPT", "-A OUTPUT -o eth0 -d 169.254.169.254 -m owner --uid-owner 9 -j DROP"],
                      ["deny: uid = 9"]),
    "forwarded": (["-A FORWARD -d 169.254.169.254 -j DROP"], ["left: container_interfaces to none"]),
    "forwarded from a bridge": (["-A FORWARD -i br0 -d 169.254.169.254 -j DROP"],
                                ["left: container_interfaces to a list without br0"]),
    "by source address": (["-A OUTPUT -s 10.77.0.2 -d 169.254.169.254 -j DROP"], ["left: more than a policy can: -s 10.77.0.2/32"]),
    "too many uids": (["-A OUTPUT -d 169.254.169.254 -m owner --uid-owner 1000-60000 -j DROP"], ["left: too many numbers"]),
    "two exceptions": (["-A OUTPUT -d 169.254.169.254 -m owner ! --uid-owner 0 -j DROP",
                        "-t security -A OUTPUT -d 169.254.169.254 -m owner ! --uid-owner 1 -j DROP"],
                       ["allow: uid = 0", "deny: path = *", "left: another one that lets some pass"]),
    "let by for another reason": (["-A OUTPUT -d 169.254.169.254 -m mark --mark 0x7 -j ACCEPT", "-A OUTPUT -d 169.254.169.254 -j DROP"],
                                  ["left: an earlier rule lets some pass"]),
    "nft uid": ("table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.169.254 meta skuid 65534 reject; }; }",
                ["deny: uid = 65534"]),
    "nft everybody but": ("table inet guard { chain shut { meta skuid != 0 reject with tcp reset; }; chain out { type filter hook output priority 0; "
                          "ip daddr 169.254.169.254 tcp dport 80 jump shut; }; }", ["allow: uid = 0", "deny: path = *"]),
    "nft uids": ("table inet guard { chain out { type filter hook output priority 0; meta skuid { 33, 1000-1002 } ip daddr 169.254.169.254 counter drop; }; }",
                 ["deny: uid = 33 1000 1001 1002"]),
    "nft let by": ("table inet guard { chain out { type filter hook output priority 0; meta skgid 5 accept; ip daddr 169.254.169.254 drop; }; }",
                   ["allow: gid = 5", "deny: path = *"]),
    "nft forwarded": ("table inet guard { chain f { type filter hook forward priority 0; ip daddr 169.254.0.0/16 drop; }; }",
                      ["left: container_interfaces to none"]),
    "nft more": ("table inet guard { chain out { type filter hook output priority 0; ip daddr 169.254.169.254 oifname \"eth0\" drop; }; }",
                 ["left: more than a policy can: oifname"]),
}


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """One world for all; rules() starts anew."""
    if backend_works("nft") or shutil.which("nft") is None:
        pytest.skip(backend_works("nft") or "nft is not installed")
    with World() as world:
        yield Host(world, "nft", tmp_path_factory.mktemp("once"))


def rules(host, commands):
    host.sh("nft flush ruleset")
    host.settings.write_text("")
    if isinstance(commands, str):
        host.world.run("host", ["nft", "-f", "-"], input=commands, check=True)
    else:
        for command in commands:
            host.tables(command)


def sections(text):
    """[allow] and [deny] as "deny: uid = 1, gid = 2"; what was left as it is said."""
    found = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append(line[1:].split()[0] + ": ")
        elif line.startswith("#   cannot be carried over: "):
            found.append("left: " + line)
        elif line and not line.startswith("#"):
            found[-1] += ("" if found[-1].endswith(": ") else ", ") + line
    return found


@pytest.mark.parametrize("name", CARRIED)
def test_existing_blocks_become_sections(once, name):
    commands, expected = CARRIED[name]
    rules(once, commands)
    done = once.redirect("carry-over")
    found = sections(done.stdout)
    assert len(found) == len(expected), done.stdout + done.stderr
    for got, wanted in zip(found, expected):
        assert got == wanted or wanted.startswith("left: ") and got.startswith("left: ") and wanted[6:] in got, done.stdout
    is_whole = not any(line.startswith("left: ") for line in expected)
    assert done.returncode == (0 if is_whole else 3), done.stderr
    assert "mode = audit refuses nobody" in done.stderr
    # In the settings, and in force, they are a reason to go ahead; `audit` is not.
    once.settings.write_text(done.stdout)
    assert once.redirect("-n", "up").stderr.count("closed already")
    once.settings.write_text("[policy]\nmode = enforce\n" + done.stdout)
    checked = subprocess.run([str(binary("keytraild")), "-c", str(once.settings), "--check-config"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    done = once.redirect("-n", "up")
    assert ("closed already" in done.stderr) == (not is_whole), done.stderr
    assert "refuses nobody" not in once.redirect("carry-over").stderr


@pytest.mark.parametrize("text, expected", [
    ("IPAddressDeny=169.254.169.254", "deny: unit = shop.service"),
    ("IPAddressDeny=any\nIPAddressAllow=169.254.169.254", "left: it may reach the metadata service and not the machine itself")])
def test_units_become_sections(once, text, expected):
    rules(once, [])
    (once.units / "shop.service").write_text(f"[Service]\n{text}\n")
    done = once.redirect("carry-over")
    (once.units / "shop.service").unlink()
    found, = sections(done.stdout)
    assert found == expected or expected.startswith("left") and expected[6:] in found
    (once.units / "shop.slice").write_text("[Slice]\nIPAddressDeny=169.254.169.254\n")
    done = once.redirect("carry-over")
    (once.units / "shop.slice").unlink()
    assert "a slice stands for all units below it" in done.stdout and done.returncode == 3


def test_blocks_of_the_eks_agent_matter_where_its_endpoint_is_redirected(once):
    rules(once, ["-A OUTPUT -d 169.254.170.23 -m owner ! --uid-owner 0 -j DROP", "-A OUTPUT -d 169.254.0.0/16 -m owner --uid-owner 7 -j DROP"])
    assert sections(once.redirect("carry-over").stdout) == ["deny: uid = 7"]
    once.settings.write_text("[endpoints]\neks = on\n")
    assert sections(once.redirect("carry-over").stdout) == ["deny: uid = 7", "allow: family = eks, uid = 0", "deny: family = eks"]


def test_nothing_to_carry_over(once):
    rules(once, ["-A OUTPUT -d 10.0.0.0/8 -j DROP"])
    done = once.redirect("carry-over")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("interfaces, rule, refused", [
    ("auto", "-d 169.254.169.254", True), ("none", "-d 169.254.169.254", False), ("nosuch0", "-d 169.254.169.254", True),
    ("auto", "-i br0 -d 169.254.169.254", True), ("br*", "-i br0 -d 169.254.169.254", True),
    ("br1", "-i br0 -d 169.254.169.254", False), ("auto", "-i eth0 -d 169.254.169.254", False),
    ("br1", "-i br+ -d 169.254.169.254", True), ("br1", "! -i eth0 -d 169.254.169.254", True)])
def test_forward_rules_matter_where_something_is_redirected(once, interfaces, rule, refused):
    rules(once, [f"-A FORWARD {rule} -j DROP"])
    once.settings.write_text(f"[listen]\ncontainer_interfaces = {interfaces}\n")
    assert ("closed already" in once.redirect("-n", "up").stderr) == refused


# ---- Programs on control groups --------------------------------------------------------------------

needs_programs = pytest.mark.skipif(egress.missing() is not None, reason=str(egress.missing()))


@pytest.fixture
def looking(once, monkeypatch):
    """The host, and what is on the machine's control groups."""
    monkeypatch.setitem(once.environment, "KEYTRAIL_PROGRAM", str(binary("keytrail")))
    return once


@needs_programs
@pytest.mark.parametrize("program, refused", [
    (egress.egress_drops(IMDS_V4), True), (egress.egress_drops("169.254.170.2"), False), (egress.egress_drops(), False),
    (egress.egress_passes(), False), (egress.connect_refuses(IMDS_V4), False)],
    ids=["drops it", "drops another", "drops all", "drops nothing", "refuses connect"])
def test_programs_on_control_groups(looking, program, refused):
    """One that drops what goes to the address would not see it any more. One on connect() is asked before NAT, as before."""
    rules(looking, [])
    with egress.Group() as group:
        group.attach(program, "guard")
        done = looking.redirect("-n", "up")
        mine = [line for line in done.stderr.splitlines() if group.path.name in line]
        assert len(mine) == refused, done.stderr
        if refused:
            assert "egress program guard (eBPF, tag " in mine[0]
            assert looking.redirect("up").returncode == 1
            carried = looking.redirect("carry-over")
            assert "a control group that is no unit and no container" in carried.stdout and carried.returncode == 3
            looking.up("--accept-existing")
            assert looking.check() == []
    assert looking.redirect("down").returncode == 0


@needs_programs
def test_a_program_that_comes_later_is_reported(looking):
    rules(looking, [])
    looking.up()
    with egress.Group() as group:
        group.attach(egress.egress_drops(IMDS_V4), "guard")
        assert [group.path.name in fault and fault.startswith("closed before, open through the redirect: control group")
                for fault in looking.check()] == [True]
    assert looking.check() == []
    assert looking.redirect("down").returncode == 0


@needs_programs
@pytest.mark.parametrize("path, section", [("system.slice/kt-shop.service", "unit = kt-shop.service"),
                                           ("docker/" + "ab" * 32, "container = " + "ab" * 32)])
def test_programs_of_units_and_containers_become_sections(looking, path, section):
    rules(looking, [])
    parent = egress.root() / path.split("/")[0]
    made = not parent.exists()
    parent.mkdir(exist_ok=True)
    try:
        with egress.Group(path) as group:
            group.attach(egress.egress_drops(IMDS_V4))
            assert sections(looking.redirect("carry-over").stdout) == [f"deny: {section}"]
    finally:
        if made:
            parent.rmdir()


@pytest.mark.skipif(egress.root() is None, reason="no control groups of version 2")
@pytest.mark.parametrize("path, expected", [("system.slice/kt-shop.service", "deny: unit = kt-shop.service"),
                                            ("kt-shop", "left: a control group that is no unit and no container")])
def test_rules_on_control_groups_become_sections(once, path, expected):
    parent = (egress.root() / path).parent
    made = not parent.exists()
    parent.mkdir(exist_ok=True)
    try:
        with egress.Group(path):
            rules(once, [f"-A OUTPUT -d 169.254.169.254 -m cgroup --path {path} -j DROP"])
            found, = sections(once.redirect("carry-over").stdout)
            assert found == expected or expected.startswith("left") and expected[6:] in found
            rules(once, [])
    finally:
        if made:
            parent.rmdir()


def test_without_keytrail_programs_are_not_looked_at_and_it_is_said(once, tmp_path, monkeypatch):
    monkeypatch.delitem(once.environment, "KEYTRAIL_PROGRAM")
    rules(once, [])
    for name in ("keytrail-redirect", "existing.sh", "rules.v4.in", "rules.v6.in"):
        shutil.copy(SCRIPT.parent / name, tmp_path / name)
    done = once.redirect("-n", "up", script=tmp_path / "keytrail-redirect")
    assert "programs on control groups (eBPF) are not looked at" in done.stderr
    assert "programs on control groups" not in once.redirect("-n", "up").stderr


# ---- Settings and arguments ----------------------------------------------------------------------

BAD_SETTINGS = {
    "[listen]\nport = many": ":2: [listen] port = many: expected a number from 1 to 65535",
    "[listen]\nport = 65536": ":2: [listen] port = 65536: expected a number from 1 to 65535",
    "[listen]\n\nport = 1\nport = 2": ":4: [listen] port: given twice",
    "[listen]\ncontainer_interfaces = auto br0": ":2: [listen] container_interfaces = auto br0: expected auto or none alone",
    "[listen]\ncontainer_interfaces =": ":2: [listen] container_interfaces = : expected auto, none, or names and patterns",
    "[listen]\ncontainer_interfaces = br/0": ":2: [listen] container_interfaces = br/0: expected",
    "[listen]\ncontainer_interfaces = averylonginterface0": ":2: [listen] container_interfaces = averylonginterface0: expected",
    "[upstream]\nipv4 = 169.254.169:80": ":2: [upstream] ipv4 = 169.254.169:80: expected ADDRESS:PORT",
    "[upstream]\nipv4 = 169.254.169.254": ":2: [upstream] ipv4 = 169.254.169.254: expected ADDRESS:PORT",
    "[upstream]\nipv6 = fd00:ec2::254:80": ":2: [upstream] ipv6 = fd00:ec2::254:80: expected [ADDRESS]:PORT",
    "[upstream]\nipv6 = [fd00::ec2::254]:80": ":2: [upstream] ipv6 = [fd00::ec2::254]:80: expected [ADDRESS]:PORT",
    "[daemon]\nuser = root": ":2: [daemon] user = root: expected the name of an unprivileged user",
    "[endpoints]\necs = yes": ":2: [endpoints] ecs = yes: expected on or off",
    "[endpoints]\neks =": ":2: [endpoints] eks = : expected on or off",
    "[daemon]\nuser = a b": ":2: [daemon] user = a b: expected the name of an unprivileged user",
}


@pytest.fixture
def plain(tmp_path):
    """Any back end: what is tested here comes before the first rule."""
    with World() as world:
        yield Host(world, "nft", tmp_path)


@pytest.mark.parametrize("text", BAD_SETTINGS)
def test_bad_settings(plain, text):
    plain.settings.write_text(text + "\n")
    done = plain.redirect("up")
    assert done.returncode == 2
    assert f"{plain.settings}{BAD_SETTINGS[text]}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_settings_are_left_to_the_daemon(plain):
    plain.settings.write_text("\ufeff; all of it\r\n[daemon]\r\n user = keytrail # here\r\n[policy]\nmode = $(x) \"\n"
                              "[allow \"a b\"]\npath = /x[y]\nnonsense\n[upstream]\nipv4 = 127.0.0.1:8080\n"
                              "ipv6 = [::1]:8080\n[listen]\nmax_connections = lots\nport: 8775\n")
    done = plain.redirect("-n", "up")
    assert done.returncode == 0, done.stderr


def test_a_user_that_does_not_exist(plain):
    plain.settings.write_text("[daemon]\nuser = nobody-of-this-name\n")
    done = plain.redirect("up")
    assert done.returncode == 1
    assert "user nobody-of-this-name ([daemon] user) does not exist" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["up", "down"], ["-c"], ["--force", "up"]])
def test_usage(plain, arguments):
    done = plain.world.run("host", [str(SCRIPT), *arguments])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_settings_file_that_is_named_must_exist(plain):
    plain.settings.unlink()
    for verb in ("up", "down", "check", "repair"):
        done = plain.redirect(verb)
        assert done.returncode == 1
        assert "no such file" in done.stderr


def test_an_unknown_back_end(plain):
    plain.environment["KEYTRAIL_IPTABLES"] = "ebpf"
    assert plain.redirect("check").returncode == 2


def test_installed_elsewhere(host, tmp_path):
    """A link to the script finds its parts beside the script; a copy needs its own."""
    (tmp_path / "link").symlink_to(SCRIPT)
    assert host.redirect("-n", "up", script=tmp_path / "link").returncode == 0
    shutil.copy(SCRIPT, tmp_path / "copy")
    for name in ("rules.v4.in", "rules.v6.in", "existing.sh"):
        shutil.copy(SCRIPT.parent / name, tmp_path / name)
    assert host.redirect("up", script=tmp_path / "copy").returncode == 0
    assert host.check() == []
    for name in ("rules.v4.in", "rules.v6.in", "existing.sh"):
        (tmp_path / name).unlink()
    if not pathlib.Path("/usr/share/keytrail/iptables").exists():
        done = host.redirect("check", script=tmp_path / "copy")
        assert done.returncode == 1 and "neither beside this script nor in" in done.stderr
    assert host.redirect("down", script=tmp_path / "copy").returncode == 0
    assert not any("KEYTRAIL" in line for line in host.saved())


def test_shellcheck():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "-x", str(SCRIPT), str(SCRIPT.parent / "existing.sh"), str(ROOT / "tests/world/world")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
