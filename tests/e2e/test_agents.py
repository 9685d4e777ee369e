# SPDX-License-Identifier: Apache-2.0
"""The credential endpoints of the ECS agent and the EKS Pod Identity agent, behind the agents' own rules."""

import base64
import json
import os
import pathlib
import time

import pytest

from agents import ECS_PORT, ECS_V4, EKS_V4, EKS_V6, prepare
from imds import Imds
from instance import IMDS_V4, ROLE_PATH, Instance, needs_world, parse

pytestmark = needs_world

TASKS = ("5f1d3b7c-0d2e-4c53-9a1b-7e6a4c2f8b10", "c0a8e9d4-61f7-4b2a-8f35-2d9b7e1a3c64")
PYTHON = "/usr/bin/python3"
EKS_PATH = "/v1/credentials"
both = pytest.mark.parametrize("ns", ["host", "ctr1"])
either_eks = pytest.mark.parametrize("address", [EKS_V4, EKS_V6], ids=["v4", "v6"])
NEWEST = [os.environ["KEYTRAIL_BOTO3"]] if "KEYTRAIL_BOTO3" in os.environ else []
ON = {"endpoints": {"ecs": "on", "eks": "on"}}


def jwt(subject, lives_s=3600):
    """As a projected service account token: three parts, of which the agent reads the second."""
    parts = [{"alg": "RS256"}, {"sub": subject, "exp": int(time.time()) + lives_s}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=").decode()
                    for part in parts) + ".c2lnbmF0dXJl"


class Agents(Instance):
    """An instance that runs both agents."""

    def __init__(self, settings=ON, **more):
        super().__init__(settings, **more)
        self.agents = None

    def redirect(self, *words):
        if self.agents is None:
            prepare(self.world)
            self.agents = Imds(netns=f"{self.world.prefix}-host", ecs_listen=f"127.0.0.1:{ECS_PORT}",
                               eks_listen=[f"{EKS_V4}:80", f"[{EKS_V6}]:80"], listen=[])
        return super().redirect(*words)

    def close(self):
        if self.agents is not None:
            self.agents.stop()
        super().close()

    def boto3(self, ns, address=None, **environment):
        """The newest one of the folder KEYTRAIL_BOTO3, else the system's."""
        script = "import sys; sys.path[:0] = sys.argv[1:2]; import boto3, json, botocore.utils\n"
        if address is not None and not NEWEST:
            # Debian 12's is older than the EKS agent, and does not allow its address.
            script += f"botocore.utils.ContainerMetadataFetcher._ALLOWED_HOSTS.append({address!r})\n"
            environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = pathlib.Path(
                environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text()
        script += ("c = boto3.Session().get_credentials(); f = c.get_frozen_credentials()\n"
                   "print(json.dumps({'id': f.access_key, 'token': f.token, 'method': c.method}))")
        environment |= {"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
        child = self.world.popen(ns, [PYTHON, "-I", "-c", script, *NEWEST], user="nobody", env=environment, stdout=-1,
                                 stderr=-1)
        output, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
        return json.loads(output) | {"pid": child.pid}

    def deliveries(self):
        """As `keytrail deliveries -o json` has them."""
        done = self.keytrail("deliveries", "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def of(self, key):
        return [row for row in self.deliveries() if row["access_key_id"] == key]


@pytest.fixture(scope="module")
def instance():
    with Agents() as running:
        yield running


def needs_boto3():
    if not NEWEST and not pathlib.Path("/usr/lib/python3/dist-packages/boto3").is_dir():
        pytest.skip("python3-boto3 is not installed")


@both
def test_boto3_in_a_task(instance, ns):
    needs_boto3()
    got = instance.boto3(ns, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=f"/v2/credentials/{TASKS[0]}")
    assert got["method"] == "container-role"
    [row] = [row for row in instance.of(got["id"]) if row["process"] and row["process"]["pid"] == got["pid"]]
    assert row["source"] == "ecs" and row["outcome"] == "delivered" and row["attribution"]["grade"] == "exact"
    assert row["role"] == "task-5f1d3b7c" and row["account_id"] == "123456789012"
    assert row["expires_at"].endswith(".000000Z") and row["path"] == "/v2/credentials/[redacted]"


@both
@either_eks
def test_boto3_in_a_pod(instance, ns, address):
    needs_boto3()
    file = instance.folder / "eks-token"
    file.write_text(jwt(f"system:serviceaccount:shop:{ns}"))
    file.chmod(0o644)
    host = f"[{address}]" if ":" in address else address
    got = instance.boto3(ns, address, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{host}{EKS_PATH}",
                         AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file))
    assert got["method"] == "container-role"
    [row] = [row for row in instance.of(got["id"]) if row["process"] and row["process"]["pid"] == got["pid"]]
    assert row["source"] == "eks" and row["outcome"] == "delivered" and row["attribution"]["grade"] == "exact"
    assert row["role"] is None and row["account_id"] == "123456789012" and row["path"] == EKS_PATH
    assert row["expires_at"].endswith(".123456Z")


def ask(instance, address, path, *headers, ns="host", **more):
    return instance.get(path, headers=headers, address=address, ns=ns, **more)


def from_agents(instance):
    """The requests that the agents saw last."""
    return instance.agents.log()


@both
def test_pods_get_their_own_keys(instance, ns):
    """Never joined and never cached over different Authorizations, and the agent sees each as it came."""
    keys, tokens = {}, [jwt(f"pod-{number}") for number in range(3)]
    for token in tokens * 2:
        status, headers, body = ask(instance, EKS_V4, EKS_PATH, f"Authorization: {token}", ns=ns)
        assert status == 200 and headers["content-type"] == "application/json"
        keys.setdefault(token, set()).add(json.loads(body)["AccessKeyId"])
    assert [len(found) for found in keys.values()] == [1, 1, 1] and len(set.union(*keys.values())) == 3
    for found in keys.values():
        assert [row["source"] for row in instance.of(*found)].count("eks") >= 2  # one row a delivery


def test_what_goes_upstream(instance):
    instance.agents.reset()
    ask(instance, EKS_V4, EKS_PATH + "?a=b", f"Authorization: {jwt('a')}", "Accept: application/json", "X-Secret: 1",
        "Cookie: c", "X-aws-ec2-metadata-token: t", "Host: 169.254.170.23:80")
    ask(instance, ECS_V4, "/v1/credentials?id=" + TASKS[1])
    [pod, task] = from_agents(instance)
    assert pod["service"] == "eks" and pod["target"] == EKS_PATH + "?a=b" and pod["status"] == 200
    assert pod["header_names"] == ["Host", "Accept", "Authorization"] and pod["headers"]["host"] == "169.254.170.23:80"
    assert task["header_names"] == ["Host", "Accept"] and task["headers"]["host"] == ECS_V4
    assert task["service"] == "ecs" and task["access_key_id"] and task["peer"] != IMDS_V4


def test_no_tokens_there(instance):
    instance.imds.reset()
    assert ask(instance, ECS_V4, f"/v2/credentials/{TASKS[0]}")[0] == 200
    assert instance.imds.counters()["by_method"]["PUT"] == 0  # nor does the proxy need one for itself
    status, headers, _ = parse_put(instance, ECS_V4, "/latest/api/token")
    assert status == 405 and headers["allow"] == "GET, HEAD"
    # The metadata service's rules are as they were, in a container too: the hop limit is not the agents' business.
    assert instance.get(ROLE_PATH)[0] == 401
    assert ask(instance, ECS_V4, f"/v2/credentials/{TASKS[0]}", ns="ctr1")[0] == 200


def parse_put(instance, address, path, ns="host"):
    return parse(instance.curl("-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60", address=address, path=path,
                               ns=ns))


def test_bytes_are_the_agents_own(instance):
    """Head and body, but for the connection's end."""
    where = dict(path=f"/v2/credentials/{TASKS[0]}", address=ECS_V4)
    through = instance.curl(**where).stdout
    straight = instance.bytes_of("host", ["setpriv", "--reuid", "keytrail", "--regid", "keytrail", "--clear-groups",
                                          "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin", "--", PYTHON, "-I",
                                          "-c", STRAIGHT, ECS_V4, where["path"]]).stdout
    dateless = [line for line in straight.split("\r\n") if not line.startswith("Date:")]
    expected = "\r\n".join(dateless).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
    assert "\r\n".join(line for line in through.split("\r\n") if not line.startswith("Date:")) == expected


STRAIGHT = """
import socket, sys
s = socket.socket(); s.setsockopt(1, 36, 0x4b54); s.settimeout(3); s.connect((sys.argv[1], 80))
s.sendall(f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n".encode())
data = b""
while chunk := s.recv(65536): data += chunk
sys.stdout.buffer.write(data)
"""

# name: address, path, headers; status and what the body begins with
ERRORS = {
    "no id": (ECS_V4, "/v2/credentials/", (), 400, '{"code":"NoIdInRequest"'),
    "unknown id": (ECS_V4, "/v2/credentials/x", (), 400, '{"code":"InvalidIdInRequest"'),
    "no such page": (ECS_V4, "/latest/meta-data/", (), 404, "404 page not found"),
    "no token": (EKS_V4, EKS_PATH, (), 400, "Service account token cannot be empty"),
    "no jwt": (EKS_V4, EKS_PATH, ("Authorization: Bearer x",), 400, "Service account token cannot be parsed"),
    "expired": (EKS_V6, EKS_PATH, (f"Authorization: {jwt('late', -60)}",), 400, "Service account token failed"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_of_the_agents_are_passed_on(instance, name):
    address, path, headers, status, body = ERRORS[name]
    got = ask(instance, address, path, *headers)
    assert got[0] == status and got[2].startswith(body), got


@pytest.mark.parametrize("status, body", [(429, "Too Many Requests"), (503, '{"code":"CredentialsUninitialized"'),
                                          (500, '{"code":"InternalServerError"')])
def test_an_agent_in_trouble(instance, status, body):
    instance.agents.set("get-status", status)
    try:
        got = ask(instance, ECS_V4, f"/v2/credentials/{TASKS[0]}")
        assert got[0] == status and got[2].startswith(body), got
    finally:
        instance.agents.set("get-status", 0)


def test_task_metadata_passes(instance):
    status, _, body = ask(instance, ECS_V4, "/v4/0123456789abcdef-1/task", ns="ctr1")
    assert status == 200 and json.loads(body)["KnownStatus"] == "RUNNING"


# name: address, request; status
REFUSED = {
    "host of the metadata service": (ECS_V4, "GET /v2/credentials/x HTTP/1.1|Host: 169.254.169.254", 403),
    "rebound name": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: evil.example|Authorization: a.b.c", 403),
    "host of the other agent": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.2", 403),
    "host with a user": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: a@169.254.170.23", 403),
    "no host": (EKS_V4, "GET /v1/credentials HTTP/1.0|Authorization: a.b.c", 403),
    "two hosts": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Host: evil", 400),
    "two authorizations": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Authorization: a.b.c|"
                                   "authorization: d.e.f", 400),
    "folded authorization": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Authorization: a| b", 400),
    "control byte in authorization": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Authorization: a\x01b", 400),
    "bare line feed": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Authorization: a\nX: b", 400),
    "space before colon": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Authorization : a.b.c", 400),
    "forwarded": (ECS_V4, "GET /v2/credentials/x HTTP/1.1|Host: 169.254.170.2|X-Forwarded-For: 1.2.3.4", 403),
    "forwarded, empty": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|x-forwarded-for:", 403),
    "foreign authority": (ECS_V4, "GET http://169.254.169.254/latest/ HTTP/1.1|Host: 169.254.170.2", 400),
    "authority of a stranger": (EKS_V4, "GET http://evil/v1/credentials HTTP/1.1|Host: 169.254.170.23", 400),
    "dots": (ECS_V4, "GET /v4/x/../../v2/credentials/x HTTP/1.1|Host: 169.254.170.2", 400),
    "encoded slash": (ECS_V4, "GET /v2/credentials%2fx HTTP/1.1|Host: 169.254.170.2", 400),
    "put": (ECS_V4, "PUT /api/x/task-protection/v1/state HTTP/1.1|Host: 169.254.170.2|Content-Length: 0", 405),
    "post": (EKS_V4, "POST /v1/credentials HTTP/1.1|Host: 169.254.170.23|Content-Length: 2||{}", 405),
    "length and chunks": (EKS_V4, "GET /v1/credentials HTTP/1.1|Host: 169.254.170.23|Content-Length: 0|"
                                  "Transfer-Encoding: chunked", 400),
}
RAW = """
import socket, sys
s = socket.create_connection((sys.argv[1], 80), 5)
s.sendall(sys.stdin.buffer.read())
data = b""
while chunk := s.recv(65536): data += chunk
sys.stdout.buffer.write(data)
"""


def raw(instance, address, text, ns="host"):
    done = instance.world.run(ns, [PYTHON, "-I", "-c", RAW, address], text=False, input=text.encode("latin-1"))
    return done.stdout.decode("latin-1")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(instance, name):
    address, text, status = REFUSED[name]
    instance.agents.reset()
    lines, _, body = text.partition("||")
    answer = raw(instance, address, lines.replace("|", "\r\n") + "\r\n\r\n" + body)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.split()[1:2] == [str(status)] and body == "" and "EC2ws" not in head, answer
    assert from_agents(instance) == []


def test_a_second_request_is_not_served(instance):
    """One Authorization, one request: what is smuggled behind it goes nowhere."""
    instance.agents.reset()
    first, second = (f"GET {EKS_PATH} HTTP/1.1\r\nHost: {EKS_V4}\r\nAuthorization: {jwt(name)}\r\n\r\n"
                     for name in ("first", "second"))
    assert raw(instance, EKS_V4, first + second).count("HTTP/1.1 ") == 1
    assert len(from_agents(instance)) == 1


def test_head(instance):
    done = instance.curl("-I", address=ECS_V4, path=f"/v2/credentials/{TASKS[0]}")
    assert " 200 " in done.stdout and done.stdout.endswith("\r\n\r\n"), done.stdout


def test_metadata_and_agents_are_apart(instance):
    """The destination says who is asked, not the path."""
    assert instance.get("/v1/credentials", instance.token())[0] == 404
    assert instance.credentials()["AccessKeyId"]
    assert instance.rows("source = 'imds'")[-1]["outcome"] == "delivered"


@pytest.mark.parametrize("family, address", [("ecs", ECS_V4), ("eks", EKS_V4)])
def test_policy(instance, family, address):
    settings = instance.config.read_text()
    path = EKS_PATH if family == "eks" else f"/v2/credentials/{TASKS[0]}"
    instance.config.write_text(settings + f'[policy]\nmode = enforce\n[deny "these"]\nfamily = {family}\n')
    try:
        instance.stop()
        instance.start()
        assert ask(instance, address, path, f"Authorization: {jwt('denied')}")[::2] == (403, "")
        other = ask(instance, *((EKS_V4, EKS_PATH) if family == "ecs" else (ECS_V4, f"/v2/credentials/{TASKS[0]}")),
                    f"Authorization: {jwt('allowed')}")
        assert other[0] == 200
    finally:
        instance.config.write_text(settings)
        instance.stop()
        instance.start()
    refused = [row for row in instance.deliveries() if row["outcome"] == "refused" and row["reason"] == "policy"]
    assert family in {row["source"] for row in refused} and all(row["access_key_id"] for row in refused)


def test_an_agent_that_does_not_answer(instance):
    instance.agents.set("stall-get-ms", 60000)
    try:
        assert ask(instance, ECS_V4, f"/v2/credentials/{TASKS[0]}")[::2] == (503, "")
    finally:
        instance.agents.set("stall-get-ms", 0)


def test_secrets_are_nowhere(instance):
    """Not in the ledger, its journal and WAL, nor in the log: neither what was handed out nor what it was asked with."""
    token = jwt("very-secret-pod")
    secrets = [token, TASKS[0], TASKS[1]]
    for address, path in ((EKS_V4, EKS_PATH), (ECS_V4, f"/v2/credentials/{TASKS[0]}"), (EKS_V4, "/v1/credentials/x"),
                          (ECS_V4, f"/v1/credentials?id={TASKS[1]}")):
        for headers in ([f"Authorization: {token}"], [f"Authorization: {token}", "Host: evil"]):
            _, _, body = parse_file(instance, address, path, headers)
            if body.startswith("{") and "SecretAccessKey" in body:
                document = json.loads(body)
                secrets += [document["SecretAccessKey"], document["Token"]]
    assert len(secrets) > 6
    instance.rows()  # until all is written
    found = [file for file in [*instance.state.iterdir(), instance.log] for secret in secrets
             if secret.encode() in file.read_bytes()]
    assert found == []


def parse_file(instance, address, path, headers):
    """Asks from a file, so that no command line has the secrets."""
    host = [] if any(header.startswith("Host") for header in headers) else [f"Host: {address}"]
    text = f"GET {path} HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in [*host, *headers]) + "\r\n"

    class Done:
        stdout = raw(instance, address, text)
    return parse(Done)


@pytest.mark.parametrize("ns", ["host", "ctr1"])
def test_off_by_default(ns):
    with Agents({}) as plain:
        assert ask(plain, ECS_V4, f"/v2/credentials/{TASKS[0]}", ns=ns)[0] == 200
        assert ask(plain, EKS_V4, EKS_PATH, f"Authorization: {jwt('a')}", ns=ns)[0] == 200
        assert plain.rows() == []
        rules = plain.bytes_of("host", ["iptables-save"]).stdout
        assert not any(ECS_V4 in line for line in rules.splitlines() if "KEYTRAIL" in line)


def test_redirected_and_not_served_is_closed():
    """A redirect that knows more than the daemon (settings changed in between) opens nothing."""
    with Agents() as running:
        running.config.write_text(running.config.read_text().replace("= on", "= off"))
        running.stop()
        running.start()
        assert ask(running, ECS_V4, f"/v2/credentials/{TASKS[0]}")[0] is None
        row = running.row()
        assert row["outcome"] == "refused" and row["reason"] == "not-redirected" and row["access_key_id"] is None
