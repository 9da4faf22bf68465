"""Stands between the functions and the account, passes every call on, and writes down who made it; the judge of the policies
(.ci/judges/policies) decides what is written here.

One JSON object a line, as tests/examples/record.rs writes the simulator's calls: kind, role, service, action, request."""

import json
import re
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

# Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=..., Signature=...
# (IAM user guide, reference_sigv-create-signed-request). The emulator gives each function its own name as the key (engine.py).
CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
# They are of one connection, not of the message (RFC 9110, 7.6.1); the body's length is written anew.
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def call(headers, body):
    """Who calls what, of a request in one of the two protocols that the functions' services speak."""
    signed = CREDENTIAL.search(headers.get("Authorization", ""))
    key, service = signed.groups() if signed else ("nobody", "unknown")
    target = headers.get("X-Amz-Target")
    if target:
        # AWS JSON: the header is SERVICE.ACTION (Smithy, aws-json-1_0-protocol).
        action, request = target.split(".")[-1], json.loads(body or b"{}")
    else:
        # AWS query: a form with the action in it (Smithy, aws-query-protocol); names stay as they are on the wire.
        request = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = request.pop("Action", "unknown")
        request.pop("Version", None)
    role = key.removeprefix("gpu-recovery-")
    return {"kind": "call", "role": role, "service": service, "action": action, "request": request}


class Recorder:
    """What is signed for a service in `elsewhere` goes to its own endpoint, all else to `endpoint`."""

    def __init__(self, path, endpoint, elsewhere):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                made = call(self.headers, body)
                with lock:
                    recorder.file.write(json.dumps(made) + "\n")
                to = elsewhere.get(made["service"], endpoint)
                connection = HTTPConnection(to.removeprefix("http://"), timeout=60)
                headers = {n: v for n, v in self.headers.items() if n.lower() not in OF_THE_CONNECTION}
                connection.request("POST", self.path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in OF_THE_CONNECTION:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                connection.close()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.file.close()
