# SPDX-License-Identifier: Apache-2.0
"""Requests that somebody else has a program make: through forwarding proxies, from a browser by a rebound name, by an
injected header. And what a policy by executable can and cannot stop."""

import contextlib
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from instance import IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, eventually, needs_world  # noqa: E402
from wire import Wire, request  # noqa: E402

pytestmark = needs_world
META = "/latest/meta-data/"
PORT = 9380
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")

NGINX_CONF = """
daemon off; master_process off; error_log stderr; pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_timeout 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://{address}; {headers} }}
  }}
}}
"""
FORWARDED = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
OPEN = "proxy_set_header Host $http_host;"


@pytest.fixture(scope="module")
def instance():
    with Instance() as running:
        running.wire = Wire(running.world)
        running.session = running.wire.token()
        yield running


def last_reason(instance, reason, written):
    return eventually(lambda: len(instance.rows(f"reason='{reason}'", settle=False)) > written)


def count(instance, reason):
    return len(instance.rows(f"reason='{reason}'", settle=False)) if instance.ledger.exists() else 0


# ---- forwarding proxies

@contextlib.contextmanager
def forwarder(instance, headers):
    """nginx on the host, as a program that anybody may send anywhere. Gives a function that asks it."""
    folder = instance.folder / "nginx"
    folder.mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONF.format(folder=folder, port=PORT, address=IMDS_V4, headers=headers))
    child = instance.world.popen("host", [NGINX, "-c", str(config), "-p", str(folder)], stdin=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: instance.wire.send(then="close", address="127.0.0.1", port=PORT).end == "closed")
        yield lambda raw: instance.wire.send(raw, address="127.0.0.1", port=PORT)
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("raw,status", [
    (request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "Content-Length: 0"), 403),
    (request("GET", ROLE_PATH), 403),
    (request("GET", ROLE_PATH, f"{TOKEN_HEADER}: {{token}}"), 403),
    (request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "X-Forwarded-For: 169.254.169.254", "Content-Length: 0"), 403),
], ids=["put", "get", "get-with-a-token", "put-with-a-made-up-origin"])
def test_ssrf_through_nginx(instance, raw, status):
    with forwarder(instance, FORWARDED) as ask:
        written = count(instance, "forwarded-for")
        raw = raw.replace(b"{token}", instance.session.encode())
        answer = ask(raw)
        assert answer.status == status and b"ASIA" not in answer.raw, answer
        assert last_reason(instance, "forwarded-for", written)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_ssrf_through_nginx_that_keeps_the_outer_name(instance):
    """It adds no X-Forwarded-For, but passes on the name by which it was asked: that is not the service's."""
    with forwarder(instance, OPEN) as ask:
        written = count(instance, "foreign-host")
        raw = request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "Content-Length: 0", host="shop.example")
        assert ask(raw).status == 403
        assert last_reason(instance, "foreign-host", written)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_ssrf_through_nginx_that_hides_itself_is_recorded(instance):
    """A proxy that passes on method and headers and names nobody cannot be told from a client, by the service nor by us: but
    the ledger says that nginx was handed the key."""
    with forwarder(instance, f"proxy_set_header Host {IMDS_V4};") as ask:
        token = ask(request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", "Content-Length: 0")).body.decode()
        answer = ask(request("GET", ROLE_PATH + "web-server", f"{TOKEN_HEADER}: {token}"))
        assert answer.status == 200
        row = eventually(lambda: instance.rows("access_key_id IS NOT NULL AND exe LIKE '%nginx'", settle=False))[-1]
        assert row["outcome"] in ("recorded", "delivered") and row["access_key_id"].encode() in answer.body


# ---- names that a browser was made to believe in

REBOUND = ["evil.example", "evil.example:80", "169.254.169.254.nip.io", "169.254.169.254.evil.example", "localhost", "127.0.0.1",
           "instance-data.evil.example", "xinstance-data", "169.254.169.253", "169.254.170.2", "[::1]", "[fd00:ec2::23]",
           "evil.example#169.254.169.254", "169.254.169.254@evil.example", "0xa9fea9fe", "2852039166",
           "[::ffff:169.254.169.254]", "169.254.169.254:80:80", "169.254.169.254,evil.example", "null"]


@pytest.mark.parametrize("host", REBOUND)
def test_rebound_name(instance, host):
    written = count(instance, "foreign-host")
    for raw in (request("GET", META, f"{TOKEN_HEADER}: {instance.session}", host=host),
                request("PUT", "/latest/api/token", f"{TTL_HEADER}: 60", f"Origin: http://{host}", host=host)):
        answer = instance.wire.send(raw)
        assert answer.status == 403 and answer.is_empty_refusal, answer
    assert last_reason(instance, "foreign-host", written + 1)


def test_authority_of_the_service_with_a_rebound_name(instance):
    """In absolute form the target names the service, and Host somebody else: two readers, two answers."""
    raw = request("GET", f"http://{IMDS_V4}{META}", f"{TOKEN_HEADER}: {instance.session}", host="evil.example")
    assert instance.wire.send(raw).status == 403


def test_preflight_of_a_browser(instance):
    answer = instance.wire.send(request("OPTIONS", "/latest/api/token", "Origin: http://evil.example",
                                        "Access-Control-Request-Method: PUT",
                                        f"Access-Control-Request-Headers: {TTL_HEADER}"))
    assert answer.status == 405 and answer["access-control-allow-origin"] is None, answer


# ---- header injection into a client that builds requests from what it is told

INJECTED = {
    "put-behind-a-get": b"GET /?a=b HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\nPUT /latest/api/token HTTP/1.1\r\n"
                        b"Host: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
    "gopher": b"_PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
    "behind-another-protocol": b"HELO a\r\nPUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
    "method-by-header": b"POST /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nX-HTTP-Method-Override: PUT\r\n"
                        b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
    "ttl-in-the-query": b"PUT /latest/api/token?X-aws-ec2-metadata-token-ttl-seconds=60 HTTP/1.1\r\n"
                        b"Host: 169.254.169.254\r\n\r\n",
    "ttl-in-the-body": b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 42\r\n\r\n"
                       b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n",
}


@pytest.mark.parametrize("name", INJECTED)
def test_injected(instance, name):
    answer = instance.wire.send(INJECTED[name])
    assert answer.status in (400, 401, 403, 405) and answer.raw.count(b"HTTP/1.") == 1 and b"AQAEA" not in answer.raw


# ---- executables under other names

def start_policy(rules, default="allow"):
    sections = {"policy": {"mode": "enforce", "default": default}, **rules}
    return Instance(settings=sections)


def fetch(instance, program, user="nobody"):
    """The status that a copy of curl gets for the credentials; a token is not judged."""
    token = instance.wire.token()
    done = instance.world.run("host", [str(program), "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                                       f"{TOKEN_HEADER}: {token}", f"http://{IMDS_V4}{ROLE_PATH}web-server"], user=user)
    return int(done.stdout)


def test_allowed_executable_cannot_be_pretended():
    """With `default = deny`: a copy, a link to another program, and a bind mount in a namespace of one's own are not it."""
    with start_policy({'allow "curl"': {"exe": "/usr/bin/curl"}}, default="deny") as instance:
        instance.wire = Wire(instance.world)
        assert fetch(instance, "/usr/bin/curl") == 200
        copy = instance.folder / "curl"
        shutil.copy("/usr/bin/curl", copy)
        copy.chmod(0o755)
        assert fetch(instance, copy) == 403
        link = instance.folder / "link"
        link.symlink_to("/usr/bin/curl")
        assert fetch(instance, link) == 200  # it is the same file
        token = instance.wire.token()
        mounted = (f"mount --bind {copy} /usr/bin/curl && exec setpriv --reuid nobody --clear-groups /usr/bin/curl -s -o "
                   f"/dev/null -w '%{{http_code}}' -H '{TOKEN_HEADER}: {token}' http://{IMDS_V4}{ROLE_PATH}web-server")
        done = instance.world.run("host", ["unshare", "--mount", "/bin/sh", "-c", mounted])
        assert done.stdout == "403", done.stderr


def test_denied_executable_under_another_name_gets_through_and_is_recorded():
    """What docs/threat-model.md says a [deny] by executable does not stop. The ledger names the file that ran."""
    with start_policy({'deny "curl"': {"exe": "/usr/bin/curl"}}) as instance:
        instance.wire = Wire(instance.world)
        assert fetch(instance, "/usr/bin/curl") == 403
        copy = instance.folder / "innocent"
        shutil.copy("/usr/bin/curl", copy)
        copy.chmod(0o755)
        assert fetch(instance, copy) == 200
        row = eventually(lambda: instance.rows("access_key_id IS NOT NULL AND outcome <> 'refused'", settle=False))[-1]
        assert row["exe"] == str(copy)
