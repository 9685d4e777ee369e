# SPDX-License-Identifier: Apache-2.0
"""What the agents of ECS and EKS make of a host: their addresses and rules, in a world's namespace `host`."""

ECS_V4 = "169.254.170.2"
EKS_V4 = "169.254.170.23"
EKS_V6 = "fd00:ec2::23"
ECS_PORT = 51679
SWITCH_ON = "[endpoints]\necs = on\neks = on\n"

# As ecs-init sets them. Its route_localnet is what lets bridged packets reach an agent on 127.0.0.1; ours need none.
ECS_RULES = [
    f"-t nat -A PREROUTING -p tcp -d {ECS_V4} --dport 80 -j DNAT --to-destination 127.0.0.1:{ECS_PORT}",
    f"-t nat -A OUTPUT -p tcp -d {ECS_V4} --dport 80 -j REDIRECT --to-ports {ECS_PORT}",
    "-I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
]


def prepare(world, tables="iptables"):
    """The rules and the interface; the agents themselves are the test's."""
    script = "sysctl -qw net.ipv4.conf.all.route_localnet=1\n"
    script += "".join(f"{tables} -w {rule}\n" for rule in ECS_RULES)
    # The agent makes a dummy interface; a bridge without ports is the same, and every kernel has it.
    script += "ip link add pod-id-link0 type bridge\nip link set pod-id-link0 up\n"
    script += f"ip address add {EKS_V4}/32 dev pod-id-link0\nip address add {EKS_V6}/128 dev pod-id-link0 nodad\n"
    world.run("host", ["sh", "-ec", script], check=True)
