# SPDX-License-Identifier: Apache-2.0
"""The command line, from outside: the built program on ledgers that the daemon's own writer has filled.

$KEYTRAIL_BIN names the folder of the programs (default: the release build's); make_ledger lies in ../tests of it.
"""

import csv
import fcntl
import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest

from world import eventually

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KEYTRAIL_BIN", ROOT / "build/release/bin"))
KEYTRAIL = BIN / "keytrail"
MAKE_LEDGER = BIN.parent / "tests" / "make_ledger"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

FIRST_US = 1767323045678901  # 2026-01-02T03:04:05.678901Z
SECOND_US = 1000000
HOSTILE = "/tmp/\x1b[2J\u202eevil\n=cmd"
KEYS = ["ASIAIOSFODNN7EXAMPL%d" % n for n in range(3)]

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")


def process(**fields):
    values = dict(
        pid=100, started_at="2026-01-02T03:00:00.000000Z", uid=33, user="www-data", exe="/usr/bin/python3.11",
        exe_sha256="ab" * 32, exe_foreign_mount=False, cmdline=["python3", "/srv/app.py"], unit="web.service",
        container_id=None, pod_uid=None,
        ancestors=[dict(pid=1, uid=0, user="root", exe="/usr/lib/systemd/systemd", cmdline=["/sbin/init"])])
    values.update(fields)
    return values


def row(second, key, who, **fields):
    body = dict(
        access_key_id=key, account_id="123456789012", role="web", source="imds",
        path="/latest/meta-data/iam/security-credentials/web", expires_at="2026-01-02T09:04:05.000000Z",
        updated_at="2026-01-02T03:00:00.000000Z", outcome="delivered", reason=None,
        client=dict(address="127.0.0.1", port=50000, netns=4026531840),
        attribution=dict(grade="exact", method="sock_diag", evidence=["cookie"]), process=who,
        holders=[who] if who else [], user_agent="Boto3/1.34",
        host=dict(instance_id="i-0123456789abcdef0", account_id="123456789012", region="eu-west-1"))
    body.update(fields)
    return dict(kind="delivery", at_us=FIRST_US + second * SECOND_US, access_key_id=key, body=body)


# Row by row, so that each filter below chooses some and not others.
ROWS = [
    row(0, KEYS[0], process()),
    row(1, KEYS[0], process(pid=200, uid=0, user="root", exe="/usr/bin/curl", unit=None,
                            container_id="3f2a9b", cmdline=["curl", "it's", "\x1b]0;x\x07"])),
    row(2, KEYS[1], process(pid=300), role="batch", attribution=dict(grade="shared", method="m", evidence=[])),
    row(3, KEYS[1], process(pid=300), role="batch", outcome="aborted"),
    row(4, KEYS[2], process(pid=400, exe=HOSTILE, user="=evil"), source="ecs", path="/v2/credentials",
        user_agent="\x1b[31mred", host=dict(instance_id="i-1", account_id="210987654321", region="us-east-1")),
    row(5, None, None, outcome="refused", reason="no token", role=None, expires_at=None, account_id=None,
        attribution=dict(grade="none", method="none", evidence=[])),
]


def make_ledger(path, rows=ROWS):
    text = "".join(json.dumps(one) + "\n" for one in rows)
    subprocess.run([MAKE_LEDGER, path], input=text, text=True, check=True)


def run(*words, stdin=None, env=None, program=KEYTRAIL, **options):
    return subprocess.run([program, *map(str, words)], input=stdin, text=True, capture_output=True, timeout=30,
                          env={**os.environ, "LC_ALL": "C", **(env or {})}, **options)


def lines(result):
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def run_on_terminal(*words, columns=80, env=None, stderr=False):
    """The exit status and all that was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([KEYTRAIL, *map(str, words)], stdout=theirs, stderr=theirs if stderr else subprocess.PIPE,
                             env={**os.environ, "LC_ALL": "C", "TERM": "xterm", **(env or {})})
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    if child.stderr:
        child.stderr.close()
    return child.wait(timeout=30), shown.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    make_ledger(path)
    return path


@pytest.fixture
def open_folder():
    """A folder that other users may look into, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="keytrail-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


# ---- usage, help, exit statuses

@pytest.mark.parametrize("words, status, says", [
    ([], 2, "Usage: keytrail COMMAND"),
    (["frobnicate"], 2, "frobnicate: unknown command"),
    (["--frobnicate"], 2, "--frobnicate: unknown command"),
    (["help", "frobnicate"], 2, "unknown command"),
    (["deliveries", "--frobnicate"], 2, "--frobnicate: no option of `deliveries`"),
    (["deliveries", "more"], 2, "more: too much"),
    (["deliveries", "--grade", "good"], 2, "expected one of none, gone, uid"),
    (["deliveries", "--outcome", "good"], 2, "expected one of recorded, delivered, refused, aborted"),
    (["deliveries", "--source", "good"], 2, "expected one of imds, identity, ecs, eks, self"),
    (["deliveries", "--since", "noon"], 2, "--since noon: no time"),
    (["deliveries", "-o", "yaml"], 2, "expected one of table, json, jsonl, csv"),
    (["findings", "--severity", "BAD"], 2, "expected one of LOW, MEDIUM, HIGH"),
    (["who"], 2, "expected `keytrail who [OPTION...] KEY`"),
    (["who", "ASIA"], 2, "who ASIA: no key, expected an access key id"),
    (["who", "ASIAIOSFODNN7EXAMPLE'--"], 2, "no key"),
    (["detect"], 2, "expected `keytrail detect [OPTION...] SOURCE...`"),
    (["deliveries", "-o", "ocsf"], 2, "expected one of table, json, jsonl, csv"),
    (["policy"], 2, "expected `keytrail policy [OPTION...] simulate FILE`"),
    (["policy", "simulate"], 2, "expected `keytrail policy [OPTION...] simulate FILE`"),
    (["policy", "enforce", "x"], 2, "policy enforce: unknown, expected simulate"),
    (["policy", "simulate", "/nonexistent.conf"], 1, "policy: /nonexistent.conf"),
    (["policy", "simulate", "/etc/passwd"], 1, "policy: /etc/passwd:1: "),
    (["redirect"], 2, "up|down|check|repair|carry-over|programs"),
    (["redirect", "sideways"], 2, "redirect sideways: unknown, expected up, down, check, repair, carry-over or programs"),
    (["deliveries", "--ledger", "/nonexistent/ledger.db"], 1, "there is none"),
    (["deliveries", "--ledger", "/etc/passwd"], 1, "/etc/passwd"),
    (["deliveries", "-c", "/nonexistent/keytrail.conf"], 1, "/nonexistent/keytrail.conf"),
    (["findings", "--ledger", "/nonexistent/ledger.db"], 1, "there is none"),
    (["who", "--finding", "/nonexistent.json"], 1, "/nonexistent.json"),
])
def test_bad_usage_and_errors(words, status, says):
    result = run(*words)
    assert result.returncode == status
    assert says in result.stderr
    assert result.stdout == ""
    if words:
        assert result.stderr.startswith("keytrail: ") and result.stderr.count("\n") == 1


def test_help_and_version():
    everything = run("help")
    assert everything.returncode == 0
    names = re.findall(r"^  ([a-z]+) ", everything.stdout, re.M)
    assert names == ["status", "deliveries", "who", "keys", "processes", "findings", "detect", "watch", "inventory", "policy", "verify",
                     "ledger", "contain", "report", "sql", "redirect", "seal", "dead", "completion", "help"]
    for name in names[:-1]:
        result = run(name, "--help")
        assert result.returncode == 0 and result.stderr == ""
        assert result.stdout.startswith(f"Usage: keytrail {name} ")
        assert "Examples:\n  " in result.stdout
        assert run("help", name).stdout == result.stdout
    assert re.fullmatch(r"keytrail \d+\.\d+\.\d+\n", run("--version").stdout)
    assert run("who", "--version").stdout == run("--version").stdout


@pytest.mark.parametrize("words", [["--version"], ["help"], ["keys", "--help"], ["deliveries"], ["status"]])
def test_full_disk_and_closed_output_are_errors(ledger, words):
    if words[0] in ("deliveries", "status"):
        words = [*words, "--ledger", ledger]
    with open("/dev/full", "w") as full:
        result = subprocess.run([KEYTRAIL, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "No space left" in result.stderr
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", KEYTRAIL, *words], stderr=subprocess.PIPE, text=True)
    assert closed.returncode == 1 and "Bad file descriptor" in closed.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    make_ledger(tmp_path / "l.db", [row(n, KEYS[0], process(pid=n)) for n in range(400)])
    for form in ("jsonl", "json", "csv", "table"):
        child = subprocess.Popen([KEYTRAIL, "deliveries", "-o", form, "--ledger", tmp_path / "l.db"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdout.read(10)
        child.stdout.close()
        assert child.stderr.read() == b""
        child.stderr.close()
        assert child.wait(timeout=30) == 0


@pytest.mark.parametrize("words", [["report", KEYS[0]], ["contain", KEYS[0], "-o", "table"], ["who", KEYS[0], "-o", "table"],
                                   ["completion", "bash"], ["sql", "--engine", "athena"]])
def test_nor_is_one_that_was_never_there(tmp_path, words):
    """Of texts, too, that are longer than what is written at once."""
    make_ledger(tmp_path / "l.db", [row(n, KEYS[0], process(pid=n)) for n in range(100)])
    if words[0] in ("report", "contain", "who"):
        words = [*words, "--ledger", str(tmp_path / "l.db")]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        result = subprocess.run([KEYTRAIL, *words], stdout=gone, stderr=subprocess.PIPE, timeout=30)
    assert (result.returncode, result.stderr) == (0, b"")


def test_policy_simulate_in_every_form(ledger, tmp_path):
    file = tmp_path / "new.conf"
    file.write_text('[deny "it"]\nfamily = imds\n')
    words = ["policy", "simulate", file, "--ledger", ledger, "-o"]
    results = {form: run(*words, form) for form in ("json", "jsonl", "csv", "table")}
    assert {result.returncode for result in results.values()} == {3}
    objects = json.loads(results["json"].stdout)
    assert objects == [json.loads(line) for line in results["jsonl"].stdout.splitlines()]
    assert [(one["process"]["pid"], one["requests"]) for one in objects] == [(300, 3), (200, 1)]
    assert (objects[0]["first_at"], objects[0]["last_at"]) == ("2026-01-02T03:04:05.678901Z",
                                                              "2026-01-02T03:04:08.678901Z")
    assert [one["process.pid"] for one in csv.DictReader(io.StringIO(results["csv"].stdout))] == ["300", "200"]
    assert results["table"].stdout.startswith("REFUSED BY ")
    assert run("policy", "simulate", file, "--ledger", ledger, "--source", "ecs").returncode == 0


# ---- lists

@pytest.mark.parametrize("filters, expected", [
    ([], [5, 4, 3, 2, 1, 0]),
    (["--since", "2026-01-02T03:04:08.678901Z"], [5, 4, 3]),
    (["--until", "2026-01-02T03:04:08.678901Z"], [2, 1, 0]),
    (["--since", "2026-01-02T04:04:07.678901+01:00", "--until", "2026-01-02T03:04:09Z"], [3, 2]),
    (["--since", "1s"], []),
    (["--role", "batch"], [3, 2]),
    (["--role", "?at*"], [3, 2]),
    (["--exe", "/usr/bin/curl"], [1]),
    (["--exe", "/usr/bin/*"], [3, 2, 1, 0]),
    (["--exe", HOSTILE], [4]),
    (["--unit", "web.service"], [4, 3, 2, 0]),
    (["--container", "3f2*"], [1]),
    (["--uid", "0"], [1]),
    (["--user", "root"], [1]),
    (["--user", "' OR 1=1 --"], []),
    (["--pid", "300"], [3, 2]),
    (["--grade", "shared"], [2]),
    (["--grade", "none"], [5]),
    (["--outcome", "refused"], [5]),
    (["--outcome", "aborted"], [3]),
    (["--source", "ecs"], [4]),
    (["--path", "/v2/*"], [4]),
    (["--key", KEYS[0]], [1, 0]),
    (["--key", "ASIA*1"], [3, 2]),
    (["--instance", "i-1"], [4]),
    (["--role", "batch", "--outcome", "delivered"], [2]),
])
def test_filters(ledger, filters, expected):
    seconds = [int(one["delivered_at"][17:19]) - 5 for one in lines(run("deliveries", "--ledger", ledger, *filters))]
    assert seconds == expected


def test_a_delivery_has_every_field(ledger):
    one = lines(run("deliveries", "--ledger", ledger, "--pid", "400"))[0]
    assert one["kind"] == "delivery" and one["delivered_at"] == "2026-01-02T03:04:09.678901Z"
    for name in ("access_key_id", "account_id", "role", "source", "path", "expires_at", "outcome", "reason", "client",
                 "attribution", "process", "holders", "user_agent", "host"):
        assert name in one
    assert one["process"]["exe"] == HOSTILE and one["reason"] is None


def test_keys_and_processes(ledger):
    keys = lines(run("keys", "--ledger", ledger))
    assert [one["access_key_id"] for one in keys] == [KEYS[2], KEYS[1], KEYS[0]]
    assert [(one["deliveries"], one["processes"]) for one in keys] == [(1, 1), (2, 1), (2, 2)]
    assert [one["access_key_id"] for one in lines(run("keys", "--ledger", ledger, "--user", "root"))] == [KEYS[0]]
    found = lines(run("processes", "--ledger", ledger))
    assert [one["pid"] for one in found] == [400, 300, 200, 100]
    assert found[1]["deliveries"] == 2 and found[1]["grade"] == "exact" and found[1]["keys"] == [KEYS[1]]


@pytest.mark.parametrize("words, pids", [
    (["200"], [200]),
    (["/usr/bin/curl"], [200]),
    (["curl"], [200]),
    (["python3.11"], [300, 100]),
    (["/usr/bin/*"], [300, 200, 100]),
    (["*python*", "--role", "web"], [100]),
    (["300", "--exe", "/usr/bin/python3.11"], [300]),
    (["300", "--exe", "/usr/bin/curl"], []),
    (["bin"], []),
    (["201"], []),
])
def test_processes_by_pid_or_executable(ledger, words, pids):
    assert [one["pid"] for one in lines(run("processes", "--ledger", ledger, *words))] == pids


@pytest.mark.parametrize("words, text", [
    (["200", "--pid", "200"], "200: expected it or --pid, not both"),
    (["curl", "--exe", "/usr/bin/curl"], "curl: expected it or --exe, not both"),
    ([""], "an empty name, expected PID or EXE"),
    (["x" * 5000], "too long for a path"),
    (["1", "2"], "2: too much"),
])
def test_processes_refuses_what_it_does_not_take(ledger, words, text):
    done = run("processes", "--ledger", ledger, *words)
    assert done.returncode == 2 and text in done.stderr and done.stdout == ""


LATE = "cd" * 32


def test_digests_of_executables(tmp_path):
    """Whether a digest stands in the process or came in a row of its own makes no difference to who reads."""
    path = tmp_path / "ledger.db"
    file = "8:1:77:1000:1700000000000000001:1700000000000000002"
    unknown = process(pid=500, exe_sha256=None, exe_file=file)
    make_ledger(path, [*ROWS, row(6, KEYS[0], unknown), row(7, KEYS[0], process(pid=600, exe_sha256=None, exe_file="8:1:1:1:1:1")),
                       dict(kind="executable", at_us=FIRST_US,
                            body=dict(exe="/usr/bin/python3.11", exe_file=file, exe_sha256=LATE))])

    def pids(*words, command="deliveries"):
        return [one["process"]["pid"] if command == "deliveries" else one["pid"]
                for one in lines(run(command, "--ledger", path, *words))]
    assert pids("--sha256", LATE) == [500] == pids("--sha256", LATE, command="processes")
    assert pids("--sha256", "abab*") == [400, 300, 300, 200, 100]
    assert pids("--sha256", "00" * 32) == []
    shown = {one["process"]["pid"]: one["process"]["exe_sha256"]
             for one in lines(run("deliveries", "--ledger", path)) if one["process"]}
    assert shown[500] == LATE and shown[600] is None and shown[100] == "ab" * 32
    assert LATE in run("who", KEYS[0], "--ledger", path, "-o", "table").stdout
    assert LATE in run("deliveries", "--ledger", path, "-o", "csv").stdout


@pytest.mark.parametrize("digest", ["", "abc", "AB" * 32, "ab" * 33, "xyz*"])
def test_digest_filter_takes_digests_only(ledger, digest):
    done = run("deliveries", "--ledger", ledger, "--sha256", digest)
    assert done.returncode == 2 and "--sha256" in done.stderr


def test_forms(ledger):
    words = ["deliveries", "--ledger", ledger]
    array = json.loads(run(*words, "-o", "json").stdout)
    assert array == lines(run(*words, "-o", "jsonl")) and len(array) == len(ROWS)
    assert json.loads(run(*words, "-o", "json", "--role", "none").stdout) == []
    assert run(*words, "--role", "none").stdout == ""
    table = run(*words, "-o", "table").stdout
    assert table.startswith("DELIVERED AT") and table.count("\n") == len(ROWS) + 1
    assert run(*words, "-o", "table", "--role", "none").stdout == ""


def test_csv(ledger):
    text = subprocess.run([KEYTRAIL, "deliveries", "--ledger", ledger, "-o", "csv"], capture_output=True).stdout.decode()
    assert text.count("\r\n") == len(ROWS) + 1
    parsed = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [one["process.pid"] for one in parsed] == ["", "400", "300", "300", "200", "100"]
    assert parsed[1]["process.user"] == "'=evil"
    assert parsed[1]["process.exe"] == HOSTILE.replace("\x1b", "\\x1b")
    assert json.loads(parsed[4]["process.cmdline"]) == ["curl", "it's", "\x1b]0;x\x07"]
    assert parsed[0]["access_key_id"] == "" and parsed[0]["outcome"] == "refused"
    assert "\x1b" not in text


# ---- on a terminal

@pytest.mark.parametrize("columns", [80, 100, 132, 200])
@pytest.mark.parametrize("command", ["deliveries", "keys", "processes"])
def test_tables_fit_the_terminal(ledger, command, columns):
    status, shown = run_on_terminal(command, "--ledger", ledger, columns=columns, env={"NO_COLOR": "1"})
    assert status == 0
    assert max(map(len, shown.split("\n"))) <= columns
    for key in KEYS:
        assert command == "processes" or key in shown


@pytest.mark.parametrize("words", [["deliveries"], ["processes"], ["keys"], ["who", KEYS[2]], ["who", KEYS[0]]])
def test_hostile_texts_do_not_reach_the_terminal(ledger, words):
    status, shown = run_on_terminal(*words, "--ledger", ledger, columns=200, env={"NO_COLOR": "1"})
    assert status == 0
    assert all(c == "\n" or " " <= c <= "~" for c in shown)
    if words[0] != "keys" and words[-1] != KEYS[0]:
        assert r"\x1b[2J" in shown


def test_colours_can_be_refused(ledger):
    assert "\x1b[" in run_on_terminal("deliveries", "--ledger", ledger)[1]
    assert "\x1b" not in run_on_terminal("deliveries", "--ledger", ledger, env={"NO_COLOR": "1"})[1]
    assert "\x1b" not in run_on_terminal("deliveries", "--ledger", ledger, env={"TERM": "dumb"})[1]
    assert "\x1b[" in run_on_terminal("deliveries", "--ledger", ledger, env={"NO_COLOR": ""})[1]


# ---- who

def test_who_for_people(ledger):
    text = run("who", KEYS[0], "--ledger", ledger, "-o", "table").stdout
    for part in (KEYS[0], "123456789012", "2026-01-02T09:04:05.000000Z", "2026-01-02T03:04:05.678901Z", "/usr/bin/curl",
                 "www-data", "3f2a9b", "web.service", "exact", r"curl 'it'\''s' '\x1b]0;x\x07'",
                 "/usr/lib/systemd/systemd"):
        assert part in text
    assert text.index("Delivered     2026-01-02T03:04:06") < text.index(
        "Delivered     2026-01-02T03:04:05")


def test_who_for_programs(ledger):
    *rows, coverage = lines(run("who", KEYS[1], "--ledger", ledger))
    assert coverage["kind"] == "coverage" and coverage["access_key_id"] == KEYS[1]
    assert [(one["kind"], one["outcome"]) for one in rows] == [("delivery", "aborted"), ("delivery", "delivered")]
    whole = json.loads(run("who", KEYS[1], "--ledger", ledger, "-o", "json").stdout)
    assert whole["key"] == KEYS[1] and whole["deliveries"] == rows and whole["findings"] == [] and whole["coverage"] == [coverage]
    table = list(csv.DictReader(io.StringIO(run("who", KEYS[1], "--ledger", ledger, "-o", "csv").stdout)))
    assert [one["kind"] for one in table] == ["delivery", "delivery", "coverage"]


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_who_of_an_unknown_key(ledger, form):
    result = run("who", "ASIAIOSFODNN7NOTHERE", "--ledger", ledger, "-o", form)
    assert result.returncode == 0
    assert re.fullmatch(r"keytrail: ASIAIOSFODNN7NOTHERE: nothing was delivered under this key by this ledger, which has rows from "
                        r"2026-01-02T\S+Z to \S+Z; `--since TIME` says what of that time it did not see\n", result.stderr)


def test_who_of_another_time_does_not_say_never(ledger):
    result = run("who", KEYS[0], "--ledger", ledger, "--since", "2027-01-01", "-o", "json")
    assert (result.returncode, json.loads(result.stdout)["deliveries"]) == (0, [])
    assert result.stderr == f"keytrail: {KEYS[0]}: nothing was delivered under this key in that time by this ledger\n"


def test_a_folder_is_no_ledger(tmp_path):
    result = run("deliveries", "--ledger", tmp_path)
    assert result.returncode == 1 and f"{tmp_path}: a folder, expected a file, such as ledger.db in it" in result.stderr


def test_no_end_of_what_is_waited_for(tmp_path):
    make_ledger(tmp_path / "empty.db", [])
    result = run("deliveries", "--follow", "--until", "2026-01-01", "--ledger", tmp_path / "empty.db")
    assert result.returncode == 2 and "expected no end, or no --follow" in result.stderr


def test_no_page_on_a_terminal(tmp_path):
    make_ledger(tmp_path / "empty.db", [])
    said = run_on_terminal("report", KEYS[0], "--ledger", tmp_path / "empty.db", stderr=True)
    assert "expected --file FILE" in str(said) and "<!DOCTYPE" not in str(said)


def test_who_of_an_empty_ledger(tmp_path):
    make_ledger(tmp_path / "empty.db", [])
    result = run("who", KEYS[0], "--ledger", tmp_path / "empty.db")
    assert result.stderr == f"keytrail: {KEYS[0]}: nothing was delivered under this key by this ledger, which is empty\n"


def test_a_ledger_comes_through_a_pipe(ledger):
    """As of `--ledger <(zcat rows.jsonl.gz)`: it can be read once only."""
    lines_of = run("ledger", "export", "--ledger", ledger).stdout
    assert run("deliveries", "--ledger", "/dev/stdin", stdin=lines_of).stdout.count("\n") == \
        run("deliveries", "--ledger", ledger).stdout.count("\n") > 0


def test_a_shared_socket_accuses_nobody_alone(tmp_path):
    """Each that held the socket is found; no table names one as if it were the only one."""
    web, odd = process(pid=11, exe="/usr/sbin/web"), process(pid=66, exe="/tmp/odd")
    shared = row(1, KEYS[0], web)
    shared["body"].update(holders=[web, odd], attribution=dict(shared["body"]["attribution"], grade="shared"))
    path = tmp_path / "shared.db"
    make_ledger(path, [shared])
    assert sorted(found["pid"] for found in lines(run("processes", "--ledger", path))) == [11, 66]
    assert len(lines(run("deliveries", "--exe", "/tmp/odd", "--ledger", path))) == 1
    assert "11+1" in run("deliveries", "--ledger", path, "-o", "table", env={"COLUMNS": "80"}).stdout
    [table] = csv.DictReader(io.StringIO(run("deliveries", "--ledger", path, "-o", "csv").stdout))
    assert [holder["pid"] for holder in json.loads(table["holders"])] == [11, 66]
    assert "/tmp/odd" in run("report", KEYS[0], "--ledger", path).stdout


def guardduty(key):
    return {
        "AccountId": "123456789012", "Id": "f1", "SchemaVersion": "2.0", "Severity": 8.0,
        "Type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        "Resource": {"ResourceType": "AccessKey", "AccessKeyDetails": {"AccessKeyId": key}},
        "Service": {"EventFirstSeen": "2026-01-02T04:00:00Z", "EventLastSeen": "2026-01-02T05:00:00Z", "Count": 2,
                    "Action": {"AwsApiCallAction": {"RemoteIpDetails": {"IpAddressV4": "198.51.100.7"},
                                                    "RemoteAccountDetails": {"AccountId": "444455556666"}}}},
    }


def test_who_starts_from_a_finding(ledger, tmp_path):
    text = json.dumps({"Findings": [guardduty(KEYS[0])]})
    words = ["who", "--ledger", ledger, "--finding"]
    rows = lines(run(*words, "-", stdin=text))
    assert [one["kind"] for one in rows] == ["reported", "delivery", "delivery", "coverage"]
    assert rows[0]["remote"] == {"account_id": "444455556666", "address": "198.51.100.7"}
    (tmp_path / "f.json").write_text(text)
    shown = run(*words, tmp_path / "f.json", "-o", "table").stdout
    for part in ("OutsideAWS", "444455556666", "198.51.100.7", "2026-01-02T04:00:00Z", "2026-01-02T05:00:00Z",
                 "/usr/bin/curl"):
        assert part in shown
    exported = "".join(json.dumps(guardduty(key)) + "\n" for key in (KEYS[0], KEYS[1], KEYS[0]))
    whole = json.loads(run(*words, "-", "-o", "json", stdin=exported).stdout)
    assert whole["key"] is None and whole["keys"] == KEYS[:2]
    assert len(whole["reported"]) == 3 and len(whole["deliveries"]) == 4


@pytest.mark.parametrize("text, says", [
    ("", "empty"),
    ("not JSON", "line 1"),
    ("{}", "no finding in it"),
    (json.dumps(guardduty(None)), "no access key in it"),
    (json.dumps(guardduty("../../etc")), "no access key in it"),
])
def test_findings_without_a_key(ledger, text, says):
    result = run("who", "--ledger", ledger, "--finding", "-", stdin=text)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("keytrail: --finding -: ") and says in result.stderr


# ---- following

def is_waiting(child):
    """Has it shown what there was? From then on it catches signals, and sleeps between two looks."""
    fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines() if ":\t" in line)
    return fields["State"].startswith("S") and int(fields["SigCgt"], 16) >> (signal.SIGINT - 1) & 1


def follow(path, *words):
    return subprocess.Popen([KEYTRAIL, "deliveries", "-f", "--ledger", path, *words], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follow_shows_new_rows_once(tmp_path, number):
    path = tmp_path / "l.db"
    make_ledger(path, ROWS[:2])
    child = follow(path, "--role", "web")
    assert eventually(lambda: is_waiting(child))
    make_ledger(path, [row(10, KEYS[0], process(pid=1010)), row(11, KEYS[0], process(pid=1011), role="batch"),
                       row(12, KEYS[0], process(pid=1012))])
    assert [json.loads(child.stdout.readline())["process"]["pid"] for _ in range(2)] == [1010, 1012]
    make_ledger(path, [row(13, KEYS[0], process(pid=1013))])
    assert json.loads(child.stdout.readline())["process"]["pid"] == 1013
    child.send_signal(number)
    rest, complaints = child.communicate(timeout=60)
    assert (child.returncode, rest, complaints) == (0, "", "")


def test_follow_with_since_starts_earlier(tmp_path):
    path = tmp_path / "l.db"
    make_ledger(path, ROWS[:3])
    child = follow(path, "--since", "2026-01-02T03:04:06.678901Z", "-o", "json")
    assert eventually(lambda: is_waiting(child))
    child.send_signal(signal.SIGINT)
    text, _ = child.communicate(timeout=60)
    assert [one["process"]["pid"] for one in json.loads(text)] == [200, 300]
    assert child.returncode == 0


def test_follow_ends_with_its_reader(tmp_path):
    path = tmp_path / "l.db"
    make_ledger(path, ROWS[:1])
    child = follow(path)
    assert eventually(lambda: is_waiting(child))
    child.stdout.close()
    assert child.wait(timeout=60) == 0
    assert child.stderr.read() == ""
    child.stderr.close()


# ---- where the ledger is

def test_settings_name_the_ledger(ledger, tmp_path):
    settings = tmp_path / "keytrail.conf"
    settings.write_text(f"[ledger]\npath = {ledger}\n")
    assert len(lines(run("keys", "-c", settings))) == 3
    settings.write_text("[ledger]\npth = x\n")
    result = run("keys", "-c", settings)
    assert result.returncode == 1 and "keytrail.conf:2" in result.stderr
    assert run("keys", "-c", settings, "--ledger", ledger).returncode == 1


@needs_root
def test_a_ledger_that_may_not_be_read(open_folder):
    path, program = open_folder / "l.db", open_folder / "keytrail"
    make_ledger(path)
    path.chmod(0o600)
    shutil.copy(KEYTRAIL, program)
    result = run("keys", "--ledger", path, program=program, user=65534, group=65534, extra_groups=[])
    assert result.returncode == 1 and "group keytrail, or root" in result.stderr


def test_no_findings_yet(ledger):
    result = run("findings", "--ledger", ledger)
    assert result.returncode == 0 and result.stdout == ""
    assert "keytrail detect" in result.stderr
    assert not (ledger.parent / "findings.db").exists()
    assert run("findings", "--ledger", ledger, "--findings", "/nonexistent/f.db").returncode == 1


# ---- detect and findings

def use(number, key, address, **fields):
    """One CloudTrail record: the role's session on i-0123456789abcdef0 lists buckets."""
    role = "arn:aws:iam::123456789012:role/web"
    values = dict(
        eventVersion="1.11", eventTime="2026-01-02T04:00:%02dZ" % number, eventSource="s3.amazonaws.com",
        eventName="ListBuckets", awsRegion="eu-west-1", sourceIPAddress=address, userAgent="aws-cli/2", readOnly=True,
        eventID="00000000-0000-0000-0000-%012d" % number, eventType="AwsApiCall", managementEvent=True,
        recipientAccountId="123456789012", eventCategory="Management",
        userIdentity=dict(
            type="AssumedRole", principalId="AROAIOSFODNN7EXAMPLE:i-0123456789abcdef0", accountId="123456789012",
            arn="arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0", accessKeyId=key,
            sessionContext=dict(ec2RoleDelivery="2.0", attributes=dict(creationDate="2026-01-02T03:00:00Z"),
                                sessionIssuer=dict(type="Role", accountId="123456789012", userName="web", arn=role,
                                                   principalId="AROAIOSFODNN7EXAMPLE"))))
    values.update(fields)
    return values


@pytest.fixture
def stolen(tmp_path):
    """A folder with a ledger and a trail in which its first key is used from outside of AWS."""
    make_ledger(tmp_path / "ledger.db")
    records = [use(1, KEYS[0], "198.51.100.7"), use(2, KEYS[0], "198.51.100.7")]
    (tmp_path / "trail").mkdir()
    (tmp_path / "trail/one.json").write_text(json.dumps({"Records": records}))
    return tmp_path


def detect(folder, *words, **options):
    return run("detect", "--ledger", folder / "ledger.db", *words, **options)


def test_detect_finds_and_keeps(stolen):
    result = detect(stolen, stolen / "trail")
    assert result.returncode == 3
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["kind"], one["type"], one["access_key_id"], one["count"]) for one in found] == [
        ("finding", "InstanceCredentialExfiltration.OutsideAWS", KEYS[0], 2)]
    assert all(line.startswith("keytrail: ") for line in result.stderr.splitlines())
    assert "findings: 1 HIGH, 0 MEDIUM, 0 LOW" in result.stderr and "\r" not in result.stderr
    words = ["findings", "--ledger", stolen / "ledger.db"]
    assert lines(run(*words)) == found
    for filters in (["--severity", "high"], ["--account", "123456789012"], ["--key", KEYS[0]], ["--id", found[0]["id"]],
                    ["--since", "2026-01-03"], ["--type", found[0]["type"]], ["--role", "web"], ["--role", "other"]):
        expected = 0 if filters[-1] in ("123456789012", "2026-01-03", "other") else 1
        assert len(lines(run(*words, *filters))) == expected, filters


def test_who_tells_of_findings(stolen):
    detect(stolen, stolen / "trail")
    words = ["who", KEYS[0], "--ledger", stolen / "ledger.db"]
    assert [one["kind"] for one in lines(run(*words))] == ["delivery", "delivery", "finding", "coverage"]
    whole = json.loads(run(*words, "-o", "json").stdout)
    assert len(whole["deliveries"]) == 2 and len(whole["findings"]) == 1
    text = run(*words, "-o", "table").stdout
    assert "Finding       HIGH" in text and "198.51.100.7" in text and "ListBuckets" in text
    rows = list(csv.DictReader(io.StringIO(run(*words, "-o", "csv").stdout)))
    assert rows[2]["kind"] == "finding" and rows[2]["remote.address"] == "198.51.100.7"


@pytest.mark.parametrize("words, status", [
    (["--fail-on", "LOW"], 3), (["--fail-on", "HIGH"], 3), (["--fail-on", "NONE"], 0), (["--fail-on", "medium"], 3)])
def test_fail_on(stolen, words, status):
    assert detect(stolen, *words, stolen / "trail").returncode == status


def test_detect_and_input_that_cannot_be_read(stolen):
    bad, good, quiet = stolen / "bad.json", stolen / "trail/one.json", stolen / "quiet.json"
    bad.write_text('{"Records":[{"eventID":')
    quiet.write_text('{"Records":[]}')
    assert detect(stolen, quiet).returncode == 0
    both = detect(stolen, bad, good)
    assert both.returncode == 3 and "bad.json" in both.stderr and "1 unreadable" in both.stderr
    assert detect(stolen, bad, quiet).returncode == 4
    assert detect(stolen, bad).returncode == 1
    assert detect(stolen, stolen / "nothing.json").returncode == 1
    assert detect(stolen, "--fail-on", "NONE", bad, good).returncode == 4


def test_detect_reads_standard_input_and_stores_nothing(stolen):
    text = (stolen / "trail/one.json").read_text()
    result = detect(stolen, "--findings", "none", "-", stdin=text)
    assert result.returncode == 3 and len(result.stdout.splitlines()) == 1
    assert "(not stored)" in result.stderr
    assert not (stolen / "findings.db").exists()


def test_detect_without_a_reader_still_judges_and_stores(stolen):
    child = subprocess.Popen([KEYTRAIL, "detect", "--ledger", stolen / "ledger.db", stolen / "trail"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.close()
    complaints = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=30) == 3, complaints
    assert "writing the output" not in complaints
    assert len(lines(run("findings", "--ledger", stolen / "ledger.db"))) == 1


def test_detect_takes_its_ledger_from_the_settings(stolen):
    settings = stolen / "keytrail.conf"
    settings.write_text(f"[ledger]\npath = {stolen}/ledger.db\n")
    assert run("detect", "-c", settings, stolen / "trail").returncode == 3
    assert run("detect", "--ledger", "/nonexistent.db", stolen / "trail").returncode == 1


def test_detect_lists_its_rules():
    rules = lines(run("detect", "--rules"))
    assert "InstanceCredentialExfiltration.OutsideAWS" in [one["type"] for one in rules]


@pytest.mark.parametrize("columns", [80, 100, 132, 200])
def test_tables_of_findings_fit(stolen, columns):
    status, shown = run_on_terminal("detect", "--ledger", stolen / "ledger.db", stolen / "trail", columns=columns)
    assert status == 3 and KEYS[0] in shown and "198.51.100.7" in shown
    assert max(len(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in shown.split("\n")) <= columns


@pytest.mark.parametrize("columns, type_shown", [(80, " OutsideAWS "), (119, " OutsideAWS "), (120, " InstanceCredentialExfiltration.OutsideAWS ")])
def test_tables_of_findings_name_them(stolen, columns, type_shown):
    """By digits that other commands take, and a type that is never cut in two."""
    words = ["--ledger", stolen / "ledger.db"]
    run("detect", *words, stolen / "trail")
    [finding] = [one for one in lines(run("findings", *words)) if one["type"].endswith(".OutsideAWS")][:1]
    status, shown = run_on_terminal("findings", *words, columns=columns)
    assert status == 0 and finding["id"][:8] in shown and type_shown in shown
    assert finding["id"] not in shown
    acked = run("findings", "note", finding["id"][:8], "--note", "x", *words)
    assert acked.returncode == 0
    assert "id" in next(csv.DictReader(io.StringIO(run("findings", *words, "-o", "csv").stdout)))


def test_a_finding_alone_is_shown_the_way(stolen):
    words = ["--ledger", stolen / "ledger.db"]
    result = run("findings", "3f2a9b00", *words)
    assert result.returncode == 2 and "`keytrail report 3f2a9b00` makes a page" in result.stderr
    assert "`keytrail report ID`" in run("findings", "frobnicate", *words).stderr


def test_a_page_is_not_written_to_a_terminal(stolen):
    status, shown = run_on_terminal("report", KEYS[0], "--ledger", stolen / "ledger.db")
    assert status == 2 and "<html" not in shown
    status, shown = run_on_terminal("report", KEYS[0], "--ledger", stolen / "ledger.db", "--file", "-")
    assert status == 0 and "<html" in shown


def test_detect_says_where_to_go_on_a_terminal_only(stolen):
    words = ["detect", "--ledger", stolen / "ledger.db", stolen / "trail"]
    assert "next:" not in run(*words).stderr
    assert "next: `keytrail who KEY`" in run_on_terminal(*words, stderr=True)[1]


# ---- status and redirect

class Daemon:
    """Something that answers on a control socket."""

    def __init__(self, runtime, answer, delay_s=0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(runtime / "control.sock"))
        (runtime / "control.sock").chmod(0o666)
        self.socket.listen(4)
        self.answer, self.delay_s = answer, delay_s
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                time.sleep(self.delay_s)
                try:
                    client.sendall(self.answer.encode())
                except OSError:
                    pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(timeout=10)


GOOD_ANSWER = json.dumps({
    "version": "0.1.0", "pid": 10, "witness_pid": 11, "started_at": "2026-01-02T03:00:00.000000Z", "port": 8775,
    "user": "keytrail", "mode": "required", "token_scope": "netns", "hop_limit": 1,
    "witness": {"backends": ["sock_diag", "proc_scan"], "ebpf": "not built in"},
    "ledger": {"path": "/x", "writable": True, "rows_written": 7, "last_error": None, "waiting": 0},
    "instance": {"instance_id": "i-1", "account_id": "123456789012", "region": "eu-west-1"},
    "upstream": {"reachable": True, "last_error": None}, "counters": {"requests": 9, "delivered": 6, "refused": 3}})


@pytest.fixture
def machine(open_folder, ledger):
    """A source tree with a redirect script of ours, settings, and a folder for sockets."""
    class Machine:
        root = open_folder
        program = open_folder / "build/release/bin/keytrail"
        script = open_folder / "iptables/keytrail-redirect"
        settings = open_folder / "keytrail.conf"

        def redirect(self, text):
            self.script.write_text("#!/bin/sh\n" + text)
            self.script.chmod(0o755)

        def status(self, *words, **options):
            return run("status", "-c", self.settings, *words, program=self.program, **options)

    here = Machine()
    here.program.parent.mkdir(parents=True)
    here.script.parent.mkdir()
    shutil.copy(KEYTRAIL, here.program)
    here.settings.write_text(f"[daemon]\nruntime = {open_folder}\n[ledger]\npath = {ledger}\n")
    here.redirect("exit 0\n")
    return here


@pytest.fixture
def daemon(machine):
    running = Daemon(machine.root, GOOD_ANSWER)
    yield running
    running.close()


@needs_root
def test_status_when_all_is_whole(machine, daemon):
    result = machine.status("-o", "json")
    status = json.loads(result.stdout)
    assert result.returncode == 0, status
    assert status["kind"] == "status" and status["whole"] is True
    assert status["daemon"]["pid"] == 10 and status["ledger"]["rows"] == len(ROWS)
    assert status["redirect"] == {"checked": True, "whole": True, "faults": []}
    assert status["bypasses"] == [] and status["faults"] == []
    text = machine.status("-o", "table").stdout
    assert text.startswith("whole:") and "i-1" in text and "sock_diag, proc_scan" in text
    assert len(list(csv.DictReader(io.StringIO(machine.status("-o", "csv").stdout)))) == 1


@needs_root
def test_status_when_the_redirect_is_not_whole(machine, daemon):
    machine.redirect('[ "$*" = "-c %s check" ] || exit 9\n'
                     'echo "IPv6 nat KEYTRAIL-OUTPUT: chain missing"; exit 3\n' % machine.settings)
    result = machine.status("-o", "json")
    status = json.loads(result.stdout)
    assert result.returncode == 3 and status["whole"] is False
    assert status["redirect"]["faults"] == ["IPv6 nat KEYTRAIL-OUTPUT: chain missing"]
    assert [one["id"] for one in status["bypasses"]] == ["redirect-not-whole", "ipv6-not-redirected"]
    text = machine.status("-o", "table")
    assert text.returncode == 3 and text.stdout.startswith("NOT WHOLE\nBYPASS")


@needs_root
def test_status_when_the_redirect_cannot_be_checked(machine, daemon):
    machine.redirect("exit 1\n")
    result = machine.status()
    assert result.returncode == 4
    assert json.loads(result.stdout)["redirect"] == {"checked": False, "whole": None, "faults": []}


def test_status_when_the_daemon_is_down(machine):
    result = machine.status("-o", "json")
    assert result.returncode == 3
    status = json.loads(result.stdout)
    assert status["daemon"] is None
    assert status["bypasses"][0]["id"] == "daemon-down" and status["bypasses"][0]["known"] is True


@pytest.mark.parametrize("answer", ["", "hello", "[]", '{"a":', "{}{}", "7", "x" * (2 << 20)],
                         ids=["nothing", "a word", "a list", "half", "two", "a number", "too much"])
def test_status_when_the_answer_is_unclear(machine, answer):
    daemon = Daemon(machine.root, answer)
    result = machine.status()
    daemon.close()
    assert result.returncode == 3
    assert json.loads(result.stdout)["faults"][0]["id"] == "daemon-unclear"


def test_status_does_not_wait_for_ever(machine):
    daemon = Daemon(machine.root, GOOD_ANSWER, delay_s=20)
    began = time.monotonic()
    result = machine.status()
    assert time.monotonic() - began < 15
    daemon.close()
    assert result.returncode == 3 and "no answer within" in result.stdout


@needs_root
def test_status_of_somebody_else(machine, daemon):
    """Not root: the redirect is not checked. Not in the group: the ledger is not either, and nothing is known bad."""
    result = machine.status(user=65534, group=65534, extra_groups=[])
    status = json.loads(result.stdout)
    assert result.returncode == 4 and status["whole"] is None
    assert "redirect-unchecked" in [one["id"] for one in status["bypasses"]]
    assert [one["id"] for one in status["faults"]] == ["ledger-unchecked"]


def test_status_without_a_ledger(machine, daemon):
    machine.settings.write_text(f"[daemon]\nruntime = {machine.root}\n[ledger]\npath = {machine.root}/none.db\n")
    result = machine.status()
    assert result.returncode == 3
    assert "ledger-missing" in [one["id"] for one in json.loads(result.stdout)["faults"]]


def test_redirect_becomes_the_script(machine):
    machine.redirect('echo "$@"; exit 3\n')
    result = run("redirect", "-c", "some.conf", "-n", "--accept-existing", "up", program=machine.program)
    assert (result.returncode, result.stdout) == (3, "-c some.conf -n --accept-existing up\n")
    assert run("redirect", "check", "-q", program=machine.program).stdout == "-q check\n"
    machine.script.unlink()
    missing = run("redirect", "check", program=machine.program)
    if not any(Path(place).exists() for place in ("/usr/sbin/keytrail-redirect", "/usr/libexec/keytrail")):
        assert missing.returncode == 1 and "keytrail-redirect: not found" in missing.stderr


def test_times_say_how_long_ago_too(ledger):
    """In tables with room for it, and in `who`; never in CSV, whose bytes do not depend on when it is read."""
    for command in ("deliveries", "keys", "processes"):
        assert "AGO" not in run_on_terminal(command, "--ledger", ledger, columns=80)[1]
        shown = run_on_terminal(command, "--ledger", ledger, columns=120)[1]
        assert " AGO" in shown and re.search(r" \d+ d ago", shown)
        heading = run(command, "--ledger", ledger, "-o", "csv").stdout.splitlines()[0].split(",")
        assert len(heading) == len(set(heading))
    assert re.search(r"Delivered +2026-\S+Z \(\d+ d ago\)", run_on_terminal("who", KEYS[0], "--ledger", ledger)[1])
