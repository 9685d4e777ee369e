# SPDX-License-Identifier: Apache-2.0
"""A small AWS on loopback: as much of S3, SQS, CloudTrail, STS, EC2, Organizations and of the credential endpoints as
Keytrail asks, with faults on demand. It checks every signature, by Signature Version 4 as AWS documents it, against the
bytes that came over the wire; nothing of Keytrail's own code is in it.

    with Aws() as aws:
        aws.buckets["trail"] = {"AWSLogs/x.json": b"..."}
        subprocess.run([...], env=aws.environment())
"""

import base64
import hashlib
import hmac
import http.server
import json
import re
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

KEY, SECRET, TOKEN = "ASIAQAAAAAAAOPERATOR", "operator/secret+key=", "operator+session/token=="
TARGETS = {"AmazonSQS": "sqs", "com.amazonaws.cloudtrail": "cloudtrail", "AWSOrganizationsV20161128": "organizations"}


class Refusal(Exception):
    def __init__(self, status, code, message="as the test wants it", **headers):
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def hmac_sha256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def quote(text):
    return urllib.parse.quote(text, safe="-._~", errors="surrogateescape")


def canonical_query(query):
    """As AWS sorts it; what was sent must have been encoded in AWS's way already."""
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        for text in (name, value):
            if quote(urllib.parse.unquote(text, errors="surrogateescape")) != text:
                raise Refusal(400, "InvalidURI", text)
        pairs.append((name, value))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def check_signature(aws, method, target, headers, body):
    """The service that the request was signed for, and its region."""
    form = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
                        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", headers.get("Authorization", ""))
    if not form:
        raise Refusal(403, "MissingAuthenticationToken")
    key, day, region, service, names, signature = form.groups()
    if key not in aws.keys:
        raise Refusal(403, "InvalidAccessKeyId")
    secret, token = aws.keys[key]
    if headers.get("X-Amz-Security-Token") != token:
        raise Refusal(403, "InvalidToken")
    if key in aws.expired:
        raise Refusal(400, "ExpiredToken", "The provided token has expired.")
    signed = names.split(";")
    must = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
    must |= {"x-amz-content-sha256"} if service == "s3" else set()
    if signed != sorted(signed) or not must <= set(signed):
        raise Refusal(403, "AccessDenied", "headers that are not signed")
    digest = hashlib.sha256(body).hexdigest()
    if headers.get("x-amz-content-sha256", digest) != digest:
        raise Refusal(400, "XAmzContentSHA256Mismatch")
    stamp = headers["X-Amz-Date"]
    if abs(time.mktime(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.timezone - time.time()) > 900:
        raise Refusal(403, "RequestTimeTooSkewed")
    path, _, query = target.partition("?")
    values = "".join("%s:%s\n" % (name, " ".join(headers[name].split())) for name in signed)
    request = "\n".join([method, path, canonical_query(query), values, names, digest])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    mac = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        mac = hmac_sha256(mac, part)
    if not hmac.compare_digest(hmac_sha256(mac, text).hex(), signature) or stamp[:8] != day:
        raise Refusal(403, "SignatureDoesNotMatch")
    return service, region


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # an answer in one piece: else each waits for a delayed acknowledgement

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", cut=None, **headers):
        """`cut`: as many bytes as are sent before the connection ends."""
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None

    def handle_any(self):
        aws = self.server.aws
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with aws.lock:
            aws.requests.append((self.command, self.path, dict(self.headers), body))
        cut = None
        try:
            for fault in aws.take_faults(self.path, self.headers, body):
                if fault == "close":
                    self.close_connection = True
                    return
                if isinstance(fault, Refusal):
                    raise fault
                cut = fault
            self.route(aws, body, cut)
        except Refusal as refusal:
            self.refuse(refusal)

    do_GET = do_POST = do_PUT = handle_any

    def refuse(self, refusal):
        target = self.headers.get("X-Amz-Target")
        if target:
            text = json.dumps({"__type": refusal.code, "message": refusal.message})
        else:
            text = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
            if self.headers.get("Content-Type", "").startswith("application/x-www-form"):
                text = f"<ErrorResponse><Error>{text}</Error></ErrorResponse>"
            else:
                text = f"<?xml version='1.0'?><Error>{text}</Error>"
        self.answer(refusal.status, text, **refusal.headers)

    def route(self, aws, body, cut):
        if self.path.startswith("/latest/") or self.path.startswith("/container"):
            return self.credentials(aws)
        service, region = check_signature(aws, self.command, self.path, self.headers, body)
        if service == "s3":
            return self.s3(aws, region, cut)
        aws.caller = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        target = self.headers.get("X-Amz-Target")
        if target:
            if TARGETS[next(name for name in TARGETS if target.startswith(name))] != service:
                raise Refusal(403, "SignatureDoesNotMatch", "signed for another service")
            request = json.loads(body)
            return self.answer(200, json.dumps(getattr(aws, target.rpartition(".")[2])(request, region)))
        request = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        return self.answer(200, getattr(aws, request["Action"])(request, region))

    # ---- S3

    def s3(self, aws, region, cut):
        path, _, query = self.path.partition("?")
        bucket, _, key = path[1:].partition("/")
        bucket, key = urllib.parse.unquote(bucket), urllib.parse.unquote(key, errors="surrogateescape")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
        if bucket not in aws.buckets:
            raise Refusal(404, "NoSuchBucket")
        home = aws.bucket_regions.get(bucket, region)
        if home != region:
            raise Refusal(301, "PermanentRedirect", **{"x-amz-bucket-region": home, "Location": "http://127.0.0.1:1/"})
        if query.get("list-type") == "2":
            return self.answer(200, aws.list_objects(bucket, query))
        if key not in aws.buckets[bucket]:
            raise Refusal(404, "NoSuchKey")
        data = aws.buckets[bucket][key]
        metadata = aws.metadata.get((bucket, key), {})
        self.answer(200, data() if callable(data) else data, cut, ETag=aws.tag(bucket, key), **metadata)

    # ---- credentials

    def credentials(self, aws):
        document = dict(Code="Success", AccessKeyId=KEY, SecretAccessKey=SECRET, Token=TOKEN,
                        Expiration=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + aws.lifetime)))
        if self.path == "/container" and self.headers.get("Authorization") == "Bearer container":
            return self.answer(200, json.dumps(document))
        if self.command == "PUT" and self.path == "/latest/api/token":
            return self.answer(200, "imds-token")
        if self.headers.get("X-aws-ec2-metadata-token") != "imds-token":
            return self.answer(401)
        role = "/latest/meta-data/iam/security-credentials/"
        texts = {role: "watcher", role + "watcher": json.dumps(document),
                 "/latest/meta-data/placement/region": "eu-west-1"}
        return self.answer(200, texts[self.path]) if self.path in texts else self.answer(404)


class Aws:
    def __init__(self):
        self.keys, self.expired, self.lifetime = {KEY: (SECRET, TOKEN)}, set(), 3600
        self.buckets, self.bucket_regions, self.metadata = {}, {}, {}
        self.events, self.public_keys = {}, {}
        self.roles, self.assumed = {}, []
        self.account, self.accounts, self.caller, self.ec2, self.members = "123456789012", {}, None, {}, []
        self.page, self.faults, self.requests = 1000, [], []
        self.queue, self.hidden, self.sent, self.visibility, self.queue_urls = {}, {}, 0, 2, set()
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.aws, self.server.daemon_threads = self, True
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs=dict(poll_interval=0.05), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def environment(self, **more):
        """Credentials in the environment, and no way to any other AWS."""
        return dict(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/nonexistent", AWS_ENDPOINT_URL=self.url,
                    AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_SESSION_TOKEN=TOKEN,
                    AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true") | more

    def fail(self, part, *faults):
        """What the next requests with `part` in their target, body or X-Amz-Target meet, one after the other: a Refusal,
        "close", or the number of bytes after which the answer is cut."""
        with self.lock:
            self.faults.append((part, list(faults)))

    def take_faults(self, path, headers, body):
        taken = []
        with self.lock:
            for part, faults in self.faults:
                if faults and (part in path or part in headers.get("X-Amz-Target", "") or part.encode() in body):
                    taken.append(faults.pop(0))
        return taken

    def asked(self, part):
        with self.lock:
            return sum(part in path or part in headers.get("X-Amz-Target", "") or part.encode() in body
                       for _, path, headers, body in self.requests)

    def tag(self, bucket, key):
        data = self.buckets[bucket][key]
        return '"%s"' % hashlib.md5(data() if callable(data) else data).hexdigest()

    # ---- CloudTrail

    def page_of(self, things, token, field):
        """One page, and a token that libraries have sent on wrongly."""
        first = int(token[3:]) if token else 0
        after = {field: f"+/={first + self.page}"} if first + self.page < len(things) else {}
        return things[first:first + self.page], after

    def LookupEvents(self, request, region):
        [attribute] = request["LookupAttributes"]
        key, value = attribute["AttributeKey"], attribute["AttributeValue"]
        found = [event for event in self.events.get(region, []) if value == (
            event["userIdentity"].get("accessKeyId") if key == "AccessKeyId" else
            event["userIdentity"].get("userName") or event["userIdentity"].get("principalId", "").rpartition(":")[2])]
        page, after = self.page_of(found, request.get("NextToken"), "NextToken")
        return dict(Events=[dict(EventId=event["eventID"], EventName=event["eventName"],
                                 CloudTrailEvent=json.dumps(event)) for event in page]) | after

    def ListPublicKeys(self, request, region):
        return dict(PublicKeyList=[key for key in self.public_keys.get(region, [])
                                   if key["ValidityStartTime"] <= request["EndTime"] and
                                   key["ValidityEndTime"] >= request["StartTime"]])

    # ---- STS, EC2, Organizations

    def GetCallerIdentity(self, request, region):
        return ("<GetCallerIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><GetCallerIdentityResult>"
                f"<Arn>a</Arn><Account>{self.accounts.get(self.caller, self.account)}</Account></GetCallerIdentityResult>"
                "</GetCallerIdentityResponse>")

    def AssumeRole(self, request, region):
        """Of a role in `roles`: the key that may ask for it, and its external id or None."""
        may, external = self.roles.get(request["RoleArn"], (None, None))
        if self.caller != may or request.get("ExternalId") != external:
            raise Refusal(403, "AccessDenied", f"{self.caller} is not authorized to perform: sts:AssumeRole")
        key = f"ASIAQAAAAAAASSUMED{len(self.assumed):02}"
        self.assumed.append((request["RoleArn"], request["RoleSessionName"], request.get("DurationSeconds"), region))
        self.keys[key] = (f"secret/of+{key}=", f"token+of/{key}==")
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))
        return ("<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><Credentials>"
                f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{self.keys[key][0]}</SecretAccessKey>"
                f"<SessionToken>{self.keys[key][1]}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
                f"<AssumedRoleUser><Arn>{request['RoleArn']}</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>")

    def describe(self, request, region):
        """Items of the list at the top, page by page."""
        text = self.ec2[region][request["Action"]]
        form = re.fullmatch(r"<(\w+)>(.*)</\1>", text, re.S)
        items, depth, start = [], 0, 0
        for tag in re.finditer(r"<(/?)item>", form[2] if form else ""):
            start = tag.start() if not tag[1] and depth == 0 else start
            depth += -1 if tag[1] else 1
            if depth == 0:
                items.append(form[2][start:tag.end()])
        after = {}
        if "MaxResults" in request:
            items, after = self.page_of(items, request.get("NextToken"), "nextToken")
        name = form[1] if form else "empty"
        return (f"<{request['Action']}Response xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><{name}>{''.join(items)}</{name}>"
                f"<nextToken>{after.get('nextToken', '')}</nextToken></{request['Action']}Response>")

    DescribeNatGateways = DescribeAddresses = DescribeVpcs = describe
    DescribeVpcEndpoints = DescribeNetworkInterfaces = describe

    def ListAccounts(self, request, region):
        page, after = self.page_of(self.members, request.get("NextToken"), "NextToken")
        return dict(Accounts=page) | after

    # ---- SQS

    def send(self, body):
        with self.lock:
            self.sent += 1
            self.queue[f"receipt+/={self.sent}"] = body if isinstance(body, str) else json.dumps(body)

    def ReceiveMessage(self, request, region):
        deadline = time.time() + min(request["WaitTimeSeconds"], 20)
        while True:
            with self.lock:
                free = [receipt for receipt in self.queue if self.hidden.get(receipt, 0) <= time.time()]
                chosen = free[:request["MaxNumberOfMessages"]]
                self.hidden.update({receipt: time.time() + self.visibility for receipt in chosen})
                messages = [dict(MessageId="id-" + receipt, ReceiptHandle=receipt, Body=self.queue[receipt])
                            for receipt in chosen]
            if messages or time.time() >= deadline:
                return dict(Messages=messages) if messages else {}
            time.sleep(0.05)

    def DeleteMessage(self, request, region):
        with self.lock:
            self.queue.pop(request["ReceiptHandle"])
            self.queue_urls.add(request["QueueUrl"])
        return {}

    def list_objects(self, bucket, query):
        prefix, delimiter, limit = query.get("prefix", ""), query.get("delimiter"), int(query.get("max-keys", 1000))
        token, contents, folders, last = query.get("continuation-token"), [], [], ""
        after = base64.b64decode(token[4:]).decode(errors="surrogateescape") if token else ""
        is_cut = False
        with self.lock:
            keys = sorted(self.buckets[bucket])
        for key in keys:
            if not key.startswith(prefix) or key <= after or (after.endswith("/") and key.startswith(after)):
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key[:cut + 1] if cut >= 0 else key
            if name == last:
                continue
            if len(contents) + len(folders) == min(limit, self.page):
                is_cut = True
                break
            last = name
            if cut >= 0:
                folders.append(name)
            else:
                data = self.buckets[bucket][key]
                contents.append((key, len(data() if callable(data) else data), self.tag(bucket, key)))
        code = (lambda text: urllib.parse.quote_plus(text, safe="/", errors="surrogateescape")) \
            if query.get("encoding-type") == "url" else escape
        parts = ["<?xml version='1.0' encoding='UTF-8'?>\n<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>",
                 "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else "",
                 "<IsTruncated>%s</IsTruncated>" % str(is_cut).lower()]
        parts += ["<Contents><Key>%s</Key><Size>%d</Size><ETag>%s</ETag></Contents>" % (code(key), size, escape(tag))
                  for key, size, tag in contents]
        parts += ["<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" % code(name) for name in folders]
        if is_cut:
            # A token that libraries have sent on wrongly: with a plus, a slash and an equals sign.
            parts.append("<NextContinuationToken>+/=%%%s</NextContinuationToken>" % base64.b64encode(
                last.encode(errors="surrogateescape")).decode())
        return "".join(parts) + "</ListBucketResult>"
