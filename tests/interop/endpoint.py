# SPDX-License-Identifier: Apache-2.0
"""Stands in for AWS on loopback: notes with which key a request was signed, and says that access is denied.

    endpoint.py PORT [TLS_PORT CERTIFICATE]

One line of JSON a request. A client that signs with a key has really taken it; a denial makes it stop."""

import http.server
import json
import re
import ssl
import sys
import threading
import urllib.parse

KEY = re.compile(r"(?:Credential=|AWS |AWSAccessKeyId=|X-Amz-Credential=)([A-Z0-9]{16,128})")
DENIAL = (b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
          b"<RequestId>0000000000000000</RequestId></Error>")


class Denial(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed = KEY.search(self.headers.get("Authorization") or "") or KEY.search(urllib.parse.unquote(self.path))
        print(json.dumps({"key": signed and signed[1], "method": self.command, "path": self.path}), flush=True)
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(DENIAL)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(DENIAL)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


def serve(port, certificate=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Denial)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def main(port, tls_port=None, certificate=None):
    servers = [serve(int(port))] + ([serve(int(tls_port), certificate)] if tls_port else [])
    print("ready", flush=True)
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
