# SPDX-License-Identifier: Apache-2.0
"""THE TABLE of clients: one row each, with what it is expected to ask and to be recorded as.

A client is run unmodified, with its default endpoint, by an unprivileged user without settings of AWS's. Its words may
contain {programs} (this folder's programs/), {built} (what `install` fetched and built), {home} (its own folder,
which is also $HOME), {plain} and {tls} (the stand-in for AWS, endpoint.py)."""

import dataclasses

PATH = "/usr/bin:/bin"  # Debian's own: other users cannot enter what root may have put first
PYTHON = "/usr/bin/python3"
PYTHON_EXE = "/usr/bin/python3.*"

TOKEN = "PUT /latest/api/token"
LIST = "GET /latest/meta-data/iam/security-credentials/"
ROLE = LIST + "web-server"
DOCUMENT = "GET /latest/dynamic/instance-identity/document"
INSTANCE_ID = "GET /latest/meta-data/instance-id"
ZONE = "GET /latest/meta-data/placement/availability-zone"
USUAL = (TOKEN, LIST, ROLE)


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    command: tuple
    needs: str                  # a Debian package, or a folder of {built}
    exe: str                    # pattern of the executable that the ledger must name
    requests: tuple = USUAL     # method, path, and the status where that is not 200; in this order, and no others
    crawls: str = ""            # and then only GETs below this path...
    at_least: int = 0           # ...this many
    agent: str = "(none)"       # what its user agent begins with
    ttl: str = "21600"          # what it asks for
    keys: tuple = ("role",)     # of these families it is handed a key in each run
    source: str = "Debian"
    forks: bool = False         # a child of what was started asks
    session: bool = False       # prints a key, waits for a line, prints the next: one process for both fetches
    tells: bool = False         # prints the key
    signs: bool = False         # uses it at the stand-in for AWS
    status: object = 0          # expected exit status; None: it fails for want of AWS, and how is its own affair
    tokens: bool = True         # False: knows IMDSv1 only
    files: tuple = ()           # (name, text) to put into {home}
    environment: tuple = ()     # (name, value)
    seconds: int = 60
    note: str = ""


def python(program, *words):
    return (PYTHON, "-B", "{programs}/" + program, *words)


DEBIAN = (
    Client("curl", ("/bin/sh", "{programs}/curl.sh"), "curl", "/usr/bin/curl", agent="curl/", ttl="60", forks=True,
           tells=True),
    Client("wget", ("/bin/sh", "{programs}/wget.sh"), "wget", "/usr/bin/wget", agent="Wget/", ttl="60", forks=True,
           tells=True),
    Client("HTTPie", ("/bin/sh", "{programs}/httpie.sh"), "httpie", PYTHON_EXE, agent="HTTPie/", ttl="60", forks=True,
           tells=True),
    Client("python-requests", python("with_requests.py"), "python3-requests", PYTHON_EXE, agent="python-requests/",
           ttl="60", tells=True),
    Client("PHP streams", ("/usr/bin/php", "{programs}/streams.php"), "php-cli", "/usr/bin/php8.*", ttl="60",
           tells=True),
    Client("boto3", python("with_boto3.py"), "python3-boto3", PYTHON_EXE, agent="Boto3/", session=True, tells=True,
           requests=USUAL * 2),
    Client("AWS CLI", ("/usr/bin/aws", "s3", "ls", "--region", "eu-central-1", "--endpoint-url", "{plain}"), "awscli",
           PYTHON_EXE, agent="aws-cli/", signs=True, status=None),
    Client("rclone (SDK for Go v1)", ("/usr/bin/rclone", "--config", "/dev/null", "--retries", "1",
           "--low-level-retries", "1", "lsd", ":s3,provider=AWS,env_auth=true,region=eu-central-1,"
           "endpoint='{plain}':"), "rclone", "/usr/bin/rclone", agent="rclone/", signs=True, status=None),
    Client("restic (minio-go)", ("/usr/bin/restic", "-r", "s3:{plain}/bucket", "--password-command", "/bin/echo word",
           "--no-cache", "init"), "restic", "/usr/bin/restic", agent="Go-http-client/1.1", signs=True, status=None),
    Client("s3cmd", ("/usr/bin/s3cmd", "--no-ssl", "--host={plain_host}", "--host-bucket={plain_host}", "ls"), "s3cmd",
           PYTHON_EXE, ttl="60", signs=True, status=None),
)

CLIENTS = DEBIAN
