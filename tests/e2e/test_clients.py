# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients with their default endpoint, through the redirect: each gets credentials, each is in the ledger."""

import json
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import IMDS_V4, ROLE_PATH, TOKEN_HEADER, TTL_HEADER, Instance, needs_world

pytestmark = needs_world

PATH = "/usr/bin:/bin"  # Debian's own: other users cannot enter what root may have put first
PYTHON = "/usr/bin/python3"
CURL = f"""
set -eu
token=$(curl -sf -X PUT http://{IMDS_V4}/latest/api/token -H '{TTL_HEADER}: 21600')
role=$(curl -sf -H "{TOKEN_HEADER}: $token" http://{IMDS_V4}{ROLE_PATH})
curl -sf -H "{TOKEN_HEADER}: $token" http://{IMDS_V4}{ROLE_PATH}$role
"""
WGET = CURL.replace("curl -sf -X PUT", "wget -qO- --method=PUT").replace("curl -sf -H", "wget -qO- --header").replace(
    "-H '", "--header '")
BOTO3 = """
import boto3, json
found = boto3.Session().get_credentials().get_frozen_credentials()
print(json.dumps({"AccessKeyId": found.access_key, "Token": found.token}))
"""

# name, program that must be there, command, executable that the ledger must name, what the user agent begins with
CLIENTS = [
    ("curl", "curl", ["/bin/sh", "-c", CURL], "/usr/bin/curl", "curl/"),
    ("wget", "wget", ["/bin/sh", "-c", WGET], "/usr/bin/wget", "Wget/"),
    ("boto3", PYTHON, [PYTHON, "-I", "-c", BOTO3], "/usr/bin/python3.", "Boto3/"),
    ("awscli", "aws", ["aws", "configure", "list"], "/usr/bin/python3.", "aws-cli/"),
    ("rclone", "rclone", ["rclone", "--config", "/dev/null", "--retries", "1", "--low-level-retries", "1", "--contimeout",
                          "1s", "--timeout", "1s", "lsd", ":s3,provider=AWS,env_auth=true,region=eu-central-1,"
                          "endpoint='http://127.0.0.1:9':bucket"], "/usr/bin/rclone", "rclone/"),
]


def why_not(program):
    if shutil.which(program, path=PATH) is None:
        return f"{program} is not installed"
    if program == PYTHON and not list(pathlib.Path("/usr/lib/python3/dist-packages").glob("boto3")):
        return "python3-boto3 is not installed"
    return None


@pytest.fixture(scope="module")
def instance():
    with Instance() as running:
        yield running


@pytest.mark.parametrize("program,command,exe,agent", [case[1:] for case in CLIENTS], ids=[case[0] for case in CLIENTS])
def test_client_gets_credentials_and_is_named(instance, program, command, exe, agent):
    if why_not(program) is not None:
        pytest.skip(why_not(program))
    key = instance.imds.rotate() and instance.imds.keys()
    home = instance.folder / "home"
    home.mkdir(exist_ok=True)
    home.chmod(0o777)
    environment = {"PATH": PATH, "HOME": str(home), "LC_ALL": "C.UTF-8"}
    child = instance.world.popen("host", command, user="nobody", env=environment, stdout=-1, stderr=-1)
    output, errors = child.communicate(timeout=60)

    rows = instance.rows("access_key_id IS NOT NULL")
    mine = [row for row in rows if row["access_key_id"] in json.dumps(key)]
    assert mine, (output, errors)
    for row in mine:
        assert row["outcome"] == "delivered" and row["grade"] == "exact"
        assert row["exe"].startswith(exe) and row["user"] == "nobody"
        assert row["user_agent"].startswith(agent)
        body = json.loads(row["body"])
        assert body["delivery_version"] == "2.0" and body["attribution"]["evidence"]
    if program not in ("rclone",):
        assert child.returncode == 0, errors
        assert mine[-1]["access_key_id"][-4:] in output, output
    if program in (PYTHON, "aws", "rclone"):
        assert mine[-1]["pid"] == child.pid  # setpriv execs: the child is the client itself
