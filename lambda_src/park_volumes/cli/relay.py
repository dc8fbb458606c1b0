"""The page of the deployed module on localhost: every request is signed (SigV4) and sent to the Function URL.

Other programs and websites on the same computer must not be able to use the credentials: the relay listens only on the
loopback address, and answers only under a path that contains its secret."""

import secrets
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

LOOPBACK = "127.0.0.1"
PATIENCE = 90
"""Seconds; longer than the start function may hold an answer by default."""
POLL = 0.1
"""Seconds between two checks for the end."""
PASSED_ON = ("Content-Type", "Content-Security-Policy", "Cache-Control", "Referrer-Policy", "X-Content-Type-Options")


class Relay:
    """Use it as a context manager. ``address`` is what a browser opens."""

    def __init__(self, url: str, *, region: str, credentials: Callable[[], Any], port: int = 0) -> None:
        """Listen. Raises OSError if the port is taken."""
        self.url, self._region, self._credentials = url.rstrip("/") + "/", region, credentials
        self.secret = secrets.token_urlsafe(32)
        self._server = ThreadingHTTPServer((LOOPBACK, port), type("Handler", (_Handler,), {"relay": self}))
        self.address = f"http://{LOOPBACK}:{self._server.server_port}/{self.secret}/"

    def serve(self) -> None:
        self._server.serve_forever(POLL)

    def stop(self) -> None:
        """End ``serve``, from another thread."""
        self._server.shutdown()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def forward(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask the Function URL. Returns the status, the headers that matter to a browser, and the body.
        No request of the page has a body."""
        signed = AWSRequest(method=method, url=self.url + path, headers={"Accept": "*/*"})
        SigV4Auth(self._credentials().get_frozen_credentials(), "lambda", self._region).add_auth(signed)
        request = urllib.request.Request(self.url + path, method=method, headers=dict(signed.headers.items()))  # noqa: S310  # the address of the Function URL, which is https
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310  # the same
                return answer.status, _kept(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, _kept(error.headers), error.read()


class _Handler(BaseHTTPRequestHandler):
    relay: "Relay"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        _, given, rest = [*self.path.split("/", 2), "", ""][:3]
        if not secrets.compare_digest(given.encode(), self.relay.secret.encode()):
            self._send(403, {"Content-Type": "text/plain"}, b"Open the complete address that the command printed.")
            return
        try:
            self._send(*self.relay.forward(method, rest))
        except OSError as error:
            self._send(502, {"Content-Type": "text/plain"}, f"The Function URL does not answer: {error}".encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the signature of http.server
        """Log nothing: the path contains the secret."""


def _kept(headers: Any) -> dict[str, str]:
    return {name: str(headers[name]) for name in PASSED_ON if headers[name]}
