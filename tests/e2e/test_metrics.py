# SPDX-License-Identifier: Apache-2.0
"""Metrics in the world: numbers follow what clients do, and the socket answers one question only."""

import json
import pathlib
import re
import socket
import stat
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from imds import binary  # noqa: E402
from instance import QUICK_S, ROOT, Instance, eventually, needs_world  # noqa: E402
from watched import HEAD, LABEL, Watched, samples, split  # noqa: E402

PORT = 9475
CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
LABELS = {"class", "result", "reason", "grade", "method", "le", "version"}


@pytest.fixture(scope="module")
def instance():
    with Watched() as running:
        yield running


# ---- numbers

@needs_world
def test_numbers_follow_requests(instance):
    before = instance.values()
    instance.credentials()  # a token, the list of roles, the document
    assert instance.get("/latest/meta-data/", None)[0] == 401
    assert instance.get("/latest/meta-data/../x", None, headers=["X-Odd: 1"])[0] in (400, 401)
    assert instance.curl("--path-as-is", path="/latest/%2e%2e/x").stdout.startswith("HTTP/1.1 400")

    def grown():
        return {key: value - before[key] for key, value in instance.values().items() if value != before[key]}
    def counted():
        return sum(value for (name, _), value in grown().items() if name == "keytrail_requests_total")
    assert eventually(lambda: counted() == 6)  # each when its answer is out, so perhaps a moment after the client has it
    got = grown()
    assert got["keytrail_requests_total", 'class="token",result="delivered"'] == 1
    assert got["keytrail_requests_total", 'class="credential",result="delivered"'] == 1
    assert got["keytrail_requests_total", 'class="metadata",result="relayed"'] == 1
    assert got["keytrail_tokens_total", ""] == 1
    assert got["keytrail_refusals_total", 'reason="no-token"'] == got["keytrail_requests_without_token_total", ""] >= 1
    assert got["keytrail_refusals_total", 'reason="dot-segment"'] >= 1
    methods = ["sock_diag+proc", "ebpf+sock_diag", "ebpf+sock_diag+proc"]  # as the kernel allows
    assert sum(got.get(("keytrail_attributions_total", f'grade="exact",method="{one}"'), 0) for one in methods) >= 1
    assert got["keytrail_request_seconds_count", 'class="credential"'] == 1
    assert 0 < got["keytrail_request_seconds_sum", 'class="credential"'] < 10
    assert got["keytrail_request_seconds_bucket", 'class="credential",le="+Inf"'] == 1
    assert eventually(lambda: grown()["keytrail_ledger_rows_total", ""] >= 3)


@needs_world
def test_numbers_are_those_of_status(instance):
    instance.credentials()

    def shown():
        done = instance.keytrail("status", "-c", str(instance.config), "-o", "json")
        return json.loads(done.stdout)["daemon"]["counters"]

    def total(values, name, part=""):
        return sum(value for (of, labels), value in values.items() if of == name and part in labels)

    def agree():
        values, counters = instance.values(), shown()
        return values and (
            total(values, "keytrail_requests_total") == counters["requests"] and
            total(values, "keytrail_requests_total", "relayed") == counters["relayed"] and
            total(values, "keytrail_refusals_total") == counters["refused"] and
            total(values, "keytrail_requests_total", 'class="credential",result="delivered"') == counters["delivered"] and
            values["keytrail_tokens_total", ""] == counters["tokens"] and
            values["keytrail_requests_without_token_total", ""] == counters["without_token"])
    assert eventually(agree), (instance.values(), shown())
    assert shown()["delivered"] >= 1


@needs_world
def test_states_are_told(instance):
    instance.credentials()
    values = instance.values()
    assert values["keytrail_upstream_reachable", ""] == values["keytrail_ledger_writable", ""] == 1
    assert values["keytrail_connections_limit", ""] == 512
    assert abs(values["keytrail_start_time_seconds", ""] - time.time()) < 600
    assert [labels for name, labels in values if name == "keytrail_build_info"][0].startswith('version="')


@needs_world
def test_connections_being_served_are_counted(instance):
    waiting = instance.world.popen("host", ["/usr/bin/python3", "-c", "import socket, sys\n"
                                            "s = socket.create_connection(('169.254.169.254', 80)); s.send(b'GET')\n"
                                            "print('there', flush=True); sys.stdin.read()"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert waiting.stdout.readline() == "there\n"
    assert eventually(lambda: instance.value("keytrail_connections") == 1)
    waiting.stdin.close()
    assert eventually(lambda: instance.value("keytrail_connections") == 0)


@needs_world
def test_upstream_out_of_reach_is_told():
    with Watched() as instance:
        token = instance.token()
        instance.imds.stop()
        assert instance.get("/latest/meta-data/", token)[0] == 503
        assert eventually(lambda: instance.value("keytrail_upstream_failures_total") == 1)
        assert eventually(lambda: instance.value("keytrail_refusals_total", 'reason="upstream"') == 1)
        values = instance.values()
        assert values["keytrail_upstream_reachable", ""] == 0
        assert values["keytrail_requests_total", 'class="metadata",result="failed"'] == 1
        assert values["keytrail_refusals_total", 'reason="upstream"'] == 1


# ---- what it says to whom

@needs_world
def test_no_label_says_who_or_what(instance):
    key = instance.credentials()["AccessKeyId"]
    instance.curl("-H", "User-Agent: strange-agent", path="/latest/strange-path", ns="ctr1")
    _, _, body = instance.ask()
    for name, labels, _ in samples(body):
        assert {match[1] for match in LABEL.finditer(labels)} <= LABELS, (name, labels)
    for text in (key, "strange", "security-credentials", "web-server", "172.30.", "169.254", "127.0.0.1", "/usr/",
                 str(instance.folder), "nobody", str(instance.pid())):
        assert text not in "".join(labels for _, labels, _ in samples(body)), text


@needs_world
def test_answer_has_the_form_of_openmetrics(instance):
    status, headers, body = instance.ask()
    assert (status, headers["content-type"], headers["connection"]) == (200, CONTENT_TYPE, "close")
    assert int(headers["content-length"]) == len(body)
    assert instance.ask("GET /metrics?name[]=x HTTP/1.0\r\n\r\n")[0] == 200


@needs_world
@pytest.mark.parametrize("head, status", [
    ("GET / HTTP/1.1\r\n\r\n", 404),
    ("GET /metrics/ HTTP/1.1\r\n\r\n", 404),
    ("GET /metric HTTP/1.1\r\n\r\n", 404),
    ("GET /latest/meta-data/ HTTP/1.1\r\n\r\n", 404),
    ("POST / HTTP/1.1\r\n\r\n", 404),
    ("POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 405),
    ("HEAD /metrics HTTP/1.1\r\n\r\n", 405),
    ("GETS /metrics HTTP/1.1\r\n\r\n", 405),
    ("GET /metrics\r\n\r\n", 400),
    ("GET /metrics HTTP/2.0\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\nHost: x\n\n", 400),
    ("GET /metrics HTTP/1.1\r\nX: " + "a" * 9000 + "\r\n\r\n", 400),
    ("\0\r\n\r\n", 400),
])
def test_anything_else_is_refused(instance, head, status):
    got, headers, body = instance.ask(head)
    assert (got, body) == (status, "")
    assert ("allow" in headers) == (status == 405)


@needs_world
def test_only_the_first_request_of_a_connection_is_answered(instance):
    _, headers, body = instance.ask(HEAD + HEAD)
    assert int(headers["content-length"]) == len(body)


@needs_world
def test_slow_clients_do_not_stop_it(instance):
    slow = [instance.connect() for _ in range(2)]
    slow[0].sendall(b"GET /metrics HT")
    started = time.monotonic()
    assert instance.ask()[0] == 200
    assert time.monotonic() - started < 6 + QUICK_S  # two seconds for each of those before
    for client in slow:
        assert client.recv(1) == b""
        client.close()


@needs_world
def test_slow_clients_do_not_hold_up_the_end():
    with Watched() as instance:
        slow = [instance.connect() for _ in range(8)]
        started = time.monotonic()
        assert instance.stop() == 0
        assert time.monotonic() - started < 5 + QUICK_S  # two seconds for the one being answered
        for client in slow:
            client.close()


@needs_world
def test_clients_that_leave_do_not_stop_it(instance):
    for head in (b"", b"GET /metrics HT", HEAD.encode()):
        with instance.connect() as client:
            client.sendall(head)
    assert instance.ask()[0] == 200


# ---- where it listens

@needs_world
def test_stale_socket_is_replaced_and_removed_in_the_end():
    with Watched() as instance:
        assert stat.S_IMODE(instance.socket.stat().st_mode) == 0o660
        assert instance.socket.owner() == instance.socket.group() == "keytrail"
        instance.stop(9)
        assert instance.socket.exists()
        instance.start()
        assert instance.ask()[0] == 200
        assert instance.stop() == 0
        assert not instance.socket.exists()
        instance.socket.write_text("precious")
        instance.start(wait=False)
        assert instance.daemon.wait(timeout=60) == 2
        assert f"{instance.socket}: is there, and is no socket" in instance.log.read_text()
        assert instance.socket.read_text() == "precious"


@needs_world
@pytest.mark.parametrize("place, url", [(f"127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT}/metrics"),
                                        (f"[::1]:{PORT}", f"http://[::1]:{PORT}/metrics")], ids=["v4", "v6"])
def test_tcp_is_for_the_machine_alone(place, url):
    with Watched(settings={"metrics": {"listen": place}}) as instance:
        status, headers, body = split(instance.curl(url).stdout)
        assert (status, headers["content-type"]) == (200, CONTENT_TYPE)
        assert list(samples(body))
        listening = instance.world.run("host", ["ss", "-Hltn", f"sport = :{PORT}"]).stdout.split("\n")
        assert [line.split()[3] for line in listening if line] == [place]
        assert instance.curl(url, ns="ctr1").returncode != 0
        assert instance.stop() == 0


@needs_world
def test_place_that_is_taken_stops_the_start():
    with Watched(settings={"metrics": {"listen": f"127.0.0.1:{PORT}"}}) as instance:
        instance.stop()
        taker = instance.world.popen("host", ["/usr/bin/python3", "-c", "import socket, sys\n"
                                              f"s = socket.create_server(('127.0.0.1', {PORT}))\n"
                                              "print('there', flush=True); sys.stdin.read()"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert taker.stdout.readline() == "there\n"
        instance.start(wait=False)
        assert instance.daemon.wait(timeout=60) == 1
        assert f"[metrics] listen = 127.0.0.1:{PORT}: cannot listen: Address already in use" in instance.log.read_text()


@needs_world
def test_off_by_default():
    with Instance() as instance:
        listening = instance.world.run("host", ["ss", "-Hltn"]).stdout
        assert all(":8775 " in line for line in listening.splitlines()), listening
        assert sorted(path.name for path in (instance.folder / "run").iterdir()) == ["control.sock"]


# ---- without a world

@pytest.mark.parametrize("place", ["0.0.0.0:9475", "[::]:9475", "10.0.0.1:9475", "metrics.sock"])
def test_other_places_are_settings_errors(tmp_path, place):
    config = tmp_path / "keytrail.conf"
    config.write_text(f"# metrics\n[metrics]\nlisten = {place}\n")
    done = subprocess.run([str(binary("keytraild")), "-c", str(config), "--check-config"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 2
    assert f"{config}:3: [metrics] listen = {place}: expected unix:/PATH" in done.stderr


def test_every_reason_has_a_row_of_its_own():
    """Reasons are words in four files; those that the table does not know would all count as `other`."""
    table = (ROOT / "proxy/counts.c").read_text()
    table = table[table.index("reason_names[REASON_COUNT]"):]
    known = set(re.findall(r'^\t"([a-z-]+)",$', table[:table.index("};")], re.MULTILINE))
    used = set()
    for name, pattern in [("exchange.c", r'refuse\([^;]*?"([a-z-]+)"\)'), ("listener.c", r'\.malformed = "([a-z-]+)"'),
                          ("screen.c", r'(?:return|bad\(|reason =) ?"([a-z-]+)"'), ("route.c", r'return "([a-z-]+)"')]:
        found = set(re.findall(pattern, (ROOT / "proxy" / name).read_text()))
        assert found, name
        used |= found
    assert used - known == set()
