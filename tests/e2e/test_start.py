# SPDX-License-Identifier: Apache-2.0
"""What a start meets: another daemon, folders and files that were there before, few descriptors."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import subprocess

import pytest

from imds import Imds
from instance import DEADLINE_S, ROLE_PATH, TOKEN_HEADER, Instance, binary, eventually, needs_world
from wire import Wire, request

pytestmark = needs_world
START_S = 15


@pytest.fixture
def instance():
    made = Instance()
    yield made
    made.close()


def ours():
    user = pwd.getpwnam("keytrail")
    return user.pw_uid, user.pw_gid


def refusal(instance, **more):
    """What a daemon says that does not start."""
    done = instance.world.run("host", [*instance.under, *instance.command()], timeout=START_S, **more)
    assert done.returncode in (1, 2), done.stderr
    lines = [line for line in done.stderr.splitlines() if "cannot_start" in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def refused_at_first(instance):
    instance.start = lambda: None  # nobody asks it whether it listens while it ends
    with instance:
        return refusal(instance)


# ---- another daemon

@pytest.fixture
def running(instance):
    with instance:
        instance.credentials()
        yield instance


def other_settings(running, **replaced):
    running.settings = {"listen": {"port": 8999}, **replaced}
    own, running.config = running.config, running.folder / "other.conf"
    running.write_config()
    return own


def still_serves(running, own):
    running.config = own
    assert running.listens() and running.credentials()
    verified = running.keytrail("ledger", "verify")
    assert verified.returncode == 0, verified.stdout


def test_another_daemon_of_the_same_state_is_refused(running):
    own = other_settings(running, daemon={"runtime": str(running.folder / "other-run")})
    assert f"{running.state}: another keytraild is using it" in refusal(running)
    still_serves(running, own)


def test_another_daemon_does_not_take_the_sockets(running):
    own = other_settings(running, ledger={"path": str(running.folder / "other-state/ledger.db")})
    assert f"{running.folder}/run/control.sock: another keytraild answers there" in refusal(running)
    still_serves(running, own)


def test_seal_leaves_alone_what_a_daemon_uses(running):
    """Though nobody answers where the settings say."""
    elsewhere = running.folder / "elsewhere.conf"
    elsewhere.write_text(f"[daemon]\nruntime = {running.folder}/nobody\n[ledger]\npath = {running.ledger}\n")
    done = subprocess.run([str(binary("keytrail")), "seal", "--yes", "-c", str(elsewhere)], capture_output=True, text=True,
                          timeout=START_S, check=False)
    assert done.returncode == 1 and "another keytraild is using it" in done.stderr, done.stderr
    assert running.ledger.exists() and running.credentials()


def test_what_a_killed_daemon_left_is_no_hindrance(running):
    running.daemon.kill()
    running.daemon.wait()
    assert (running.folder / "run/control.sock").exists()
    running.start()
    assert running.listens() and running.credentials()


# ---- folders and files that were there before

def test_unused_folders_of_roots_are_taken_over(instance):
    for folder in (instance.state, instance.folder / "run"):
        folder.mkdir(mode=0o755)
    (instance.folder / "run/redirect.json").write_text("{}")  # by a check before the daemon's first start
    with instance:
        assert instance.credentials()
        for folder in (instance.state, instance.folder / "run"):
            status = folder.stat()
            assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (*ours(), 0o750)


@pytest.mark.parametrize("name", ["state", "run"])
def test_a_folder_that_others_use_keeps_its_owner(instance, name):
    folder = instance.folder / name
    folder.mkdir(mode=0o755)
    (folder / "notes").write_text("")
    assert f"{folder}: user keytrail may not write there: it is uid 0's, mode 0755" in refused_at_first(instance)


@pytest.mark.parametrize("name", ["state", "run"])
def test_a_file_in_a_folders_place_is_named(instance, name):
    (instance.folder / name).write_text("")
    assert f"{instance.folder / name}: expected a folder" in refused_at_first(instance)


def test_an_empty_folder_of_another_user_keeps_its_owner(instance):
    instance.state.mkdir(mode=0o755)
    os.chown(instance.state, 1, 1)
    assert f"{instance.state}: user keytrail may not write there: it is uid 1's" in refused_at_first(instance)


def test_a_folder_above_that_is_closed_is_said(instance):
    instance.folder.chmod(0o700)
    assert f"{instance.state}: user keytrail may not enter a folder above it" in refused_at_first(instance)


def test_a_link_in_the_ledgers_place_is_named(instance):
    instance.state.mkdir()
    os.chown(instance.state, *ours())
    instance.ledger.symlink_to(instance.folder / "elsewhere.db")
    assert f"{instance.ledger}: is a symbolic link: expected the file itself" in refused_at_first(instance)


def test_a_link_that_the_proxy_may_have_made_is_not_given_away(instance):
    """To a folder of root's that happens to be empty."""
    elsewhere = instance.folder / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    instance.state.symlink_to(elsewhere)
    os.chown(instance.state, *ours(), follow_symlinks=False)
    assert f"{instance.state}: user keytrail may not write there: it is uid 0's, mode 0755" in refused_at_first(instance)


def test_a_state_folder_behind_a_link_is_served(instance):
    elsewhere = instance.folder / "elsewhere"
    elsewhere.mkdir()
    instance.state.symlink_to(elsewhere)
    with instance:
        assert instance.credentials() and (elsewhere / "ledger.db").exists()


def test_modes_do_not_depend_on_the_umask(instance):
    instance.under = ["/bin/sh", "-c", 'umask 0777; exec "$@"', "sh"]
    with instance:
        instance.credentials()
        modes = {path.name: path.stat().st_mode & 0o7777 for path in instance.state.iterdir()}
        keys = {"host.key", "token.key"}
        assert {modes[name] for name in keys} == {0o600} and {modes[name] for name in modes.keys() - keys} == {0o640}
        assert instance.state.stat().st_mode & 0o7777 == 0o750


# ---- another user

def test_another_user_names_nobody_and_says_so(instance):
    instance.folder.chmod(0o777)
    instance.settings = {"daemon": {"user": "games"}, "upstream": {"ipv4": "127.0.0.1:1338"}}
    instance.start = lambda: None  # not as root
    with instance:
        imds = Imds(netns=f"{instance.world.prefix}-host", listen=["127.0.0.1:1338"])
        instance.daemon = instance.world.popen("host", instance.command(), user="games", stderr=instance.log.open("ab"))
        assert eventually(instance.listens), instance.log.read_text()
        assert instance.credentials(user="nobody")
        row = instance.row()
        assert (row["outcome"], row["grade"], row["exe"]) == ("delivered", "none", None)
        status = instance.status()
        assert (status["user"], status["witness"]["backends"]) == ("games", [])
        told = json.loads(instance.keytrail("status", "-c", str(instance.config), "-o", "json").stdout)
        assert "no-attribution" in [fault["id"] for fault in told["faults"]]
        assert 'not_root effect="no process can be named"' in instance.log.read_text()
        imds.stop()


def test_no_capability_is_kept_that_a_user_was_given(instance):
    instance.folder.chmod(0o777)
    instance.under = ["setpriv", "--reuid", "games", "--clear-groups", "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"]
    with instance:
        status = pathlib.Path(f"/proc/{instance.pid()}/status").read_text()
        assert re.findall(r"Cap(?:Inh|Prm|Eff|Amb):\t(\w+)", status) == ["0" * 16] * 4
        assert instance.status()["user"] == "games"


# ---- descriptors

def test_too_few_descriptors_are_named(instance):
    instance.under = ["prlimit", "--nofile=64:64"]
    said = refused_at_first(instance)
    assert "at most 64 open files: expected 164 or more" in said


def test_few_descriptors_serve_fewer_at_once_and_run_never_out(instance):
    """As many workers as would use up all would leave none for upstream, for good."""
    instance.under = ["prlimit", "--nofile=256:256"]
    with instance:
        assert 'few_descriptors limit=256 max_connections=512 effect="5 connections at once"' in instance.log.read_text()
        wire = Wire(instance.world)
        fetch = request("GET", ROLE_PATH + "web-server", f"{TOKEN_HEADER}: {wire.token()}")
        for pending in [wire.start(b"GET / HT", then="hold") for _ in range(60)]:
            pending.result()
        for pending in [wire.start(fetch) for _ in range(200)]:
            assert pending.result().status in (200, 503, None)  # None: late with its request, it made room for another
        wire.release()
        assert instance.credentials(user="nobody")
        assert "accept_failed" not in instance.log.read_text()
        assert "no upstream socket" not in instance.log.read_text()


# ---- threads

@contextlib.contextmanager
def few_threads(most):
    """The words in front of a program that put it into a control group, and that one's bound."""
    folder = pathlib.Path("/sys/fs/cgroup/pids")
    unified = pathlib.Path("/sys/fs/cgroup/cgroup.subtree_control")
    if not folder.exists() and unified.exists() and "pids" in unified.read_text().split():
        folder = unified.parent
    if not os.access(folder / "cgroup.procs", os.W_OK):
        pytest.skip("no control groups that bound threads")
    group = folder / f"keytrail-test-{os.getpid()}-{most}"
    group.mkdir()
    try:
        (group / "pids.max").write_text(str(most))
        yield ["/bin/sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"], group / "pids.max"
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


@pytest.mark.parametrize("most", [26, 60])
def test_few_threads_are_shared_all_the_same(most):
    """Fewer than there are seats: slow clients of one user must not keep them all, nor meet a witness that has none."""
    with few_threads(most) as (words, _), Instance(under=words) as instance:
        instance.credentials()
        slow = Wire(instance.world, user="games")
        for pending in [slow.start(b"GET / HT", then="hold") for _ in range(100)]:
            pending.result()
        assert instance.credentials(user="nobody") and instance.credentials(user="nobody")
        log = instance.log.read_text()
        assert "few_threads" in log and log.count("worker_failed") < 10 and "client_lost" not in log
        slow.release()


def test_threads_that_are_there_again_are_used():
    """Also while there are clients all the time, and never a quiet moment."""
    with few_threads(26) as (words, bound), Instance(under=words) as instance:
        threads = lambda: len(os.listdir(f"/proc/{instance.daemon.pid}/task"))
        slow = Wire(instance.world, user="games")
        hold = lambda count: [slow.start(b"GET / HT", then="hold") for _ in range(count)]
        held = hold(60)
        assert eventually(lambda: "few_threads" in instance.log.read_text(), DEADLINE_S)
        few = threads()
        bound.write_text("max")
        assert eventually(lambda: held.extend(hold(20)) or threads() > few + 10, DEADLINE_S), (few, threads())
        for pending in held:
            pending.result()
        assert instance.credentials(user="nobody")
        slow.release()
