# SPDX-License-Identifier: Apache-2.0
"""What is given to those who bake images: the component's commands, the Ansible role, the check at first boot."""

import pathlib
import shutil
import subprocess

import pytest

from instance import IMDS_V4
from machine import machine_of, service_manager

yaml = pytest.importorskip("yaml")

AMI = pathlib.Path(__file__).resolve().parents[2] / "packaging/ami"
UNITS = {"sockets.target.wants/keytrail.socket", "timers.target.wants/keytrail-check.timer",
         *(f"multi-user.target.wants/{name}.service" for name in ("keytraild", "keytrail-redirect", "keytrail-first-boot"))}
ANSIBLE_S = 200
POINTS = 10  # where systemd does not run


@pytest.fixture(scope="module")
def machine(debian):
    with machine_of(debian) as made:
        yield made


@pytest.fixture(scope="module")
def package(machine, packages):
    """With all that it depends on, and then removed again."""
    name, = machine.bring(packages[0])
    machine.install(name)
    machine.run("dpkg", "-P", "keytrail")
    return name


def is_baked(machine):
    enabled = {str(path.relative_to(machine.root / "etc/systemd/system"))
               for path in (machine.root / "etc/systemd/system").rglob("*keytrail*")}
    assert enabled == UNITS
    settings = (machine.root / "etc/keytrail/keytrail.conf").read_text()
    assert "on_unattributed = refuse" in settings and "on_failure = refuse" in settings
    assert list((machine.root / "var/lib/keytrail").iterdir()) == []
    machine.run("keytraild", "--check-config")


def unbake(machine):
    machine.run("dpkg", "-P", "keytrail")
    shutil.rmtree(machine.root / "etc/keytrail", ignore_errors=True)
    for path in (machine.root / "etc/systemd/system").rglob("*keytrail*"):
        path.unlink()


def test_component_for_image_builder(machine, package):
    """Each command of its build phase, as Image Builder runs them. A rule of the machine's own is carried over."""
    component = yaml.safe_load((AMI / "component.yaml").read_text())
    assert component["schemaVersion"] == 1.0 and {phase["name"] for phase in component["phases"]} == {"build", "test"}
    machine.run("iptables", "-A", "OUTPUT", "-d", IMDS_V4, "-m", "owner", "--uid-owner", "4321", "-j", "REJECT")
    try:
        for step in component["phases"][0]["steps"]:
            assert step["action"] == "ExecuteBash"
            for command in step["inputs"]["commands"]:
                machine.run("bash", "-c", command.replace("{{ Package }}", package))
    finally:
        machine.run("iptables", "-D", "OUTPUT", "-d", IMDS_V4, "-m", "owner", "--uid-owner", "4321", "-j", "REJECT")
    is_baked(machine)
    assert "uid = 4321" in (machine.root / "etc/keytrail/keytrail.conf").read_text()
    unbake(machine)


@pytest.mark.skipif(shutil.which("ansible-playbook") is None, reason="ansible is not installed")
def test_ansible_role(machine, packages, tmp_path):
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": True, "roles": [{"role": str(AMI / "ansible")}],
                                     "vars": {"keytrail_package": str(packages[0]), "keytrail_seal": True}}]))
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
                   "ANSIBLE_REMOTE_TEMP": "/tmp/ansible", "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")}
    command = ["ansible-playbook", "-i", f"{machine.root},", "-c", "community.general.chroot", str(play)]
    for _ in range(2):  # a second time, it changes nothing that matters
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ANSIBLE_S)
        assert done.returncode == 0, done.stdout + done.stderr
        is_baked(machine)
    unbake(machine)


def check(machine):
    done = machine.run("/usr/share/keytrail/first-boot", check=False)
    lines = done.stdout.splitlines()
    return done.returncode, [line for line in lines if line.startswith("pass: ")], [line for line in lines if line.startswith("mend: ")]


def test_first_boot_says_what_to_mend(machine, package, tmp_path):
    machine.run("dpkg", "-i", package)
    settings = machine.root / "etc/keytrail/keytrail.conf"
    shutil.copy(machine.root / "usr/share/keytrail/hardened.conf", settings)
    hardened = settings.read_text()
    machine.run("sh", "-c", "cp /usr/share/keytrail/first-boot /root/ && sed -i 's/READY_SECONDS:-20/READY_SECONDS:-3/' /usr/share/keytrail/first-boot")

    # Nothing runs yet. (The simulated service itself insists on tokens.)
    code, passed, faults = check(machine)
    assert code == 3 and len(passed) + len(faults) == POINTS
    for word in ("daemon answers", "redirect is whole", "ledger can be written"):
        assert any(word in line for line in faults), (word, faults)

    with service_manager(machine, tmp_path):
        machine.run("keytrail-redirect", "up")
        code, passed, faults = check(machine)
        # In a process namespace that is not the machine's first, eBPF is not used.
        assert [line.split(":")[1].strip() for line in faults] in ([], ["processes are named by eBPF"]), faults
        assert code == (3 if faults else 0) and len(passed) + len(faults) == POINTS

        usual = set(faults)
        for break_it, mend_it, word in (
                ("iptables -t nat -D OUTPUT -j KEYTRAIL-OUT", "keytrail-redirect repair", "redirect is whole"),
                ("useradd -o -u $(id -u keytrail) twin", "userdel -f twin", "number of its own"),
                ("echo '[daemon]\nprot = 1' >>/etc/keytrail/keytrail.conf", "true", "settings")):
            machine.run("sh", "-c", break_it)
            code, _, faults = check(machine)
            machine.run("sh", "-c", mend_it, check=False)
            assert code == 3 and any(word in line for line in set(faults) - usual), (word, faults)
            settings.write_text(hardened)
        machine.run("keytrail-redirect", "down")
    unbake(machine)
