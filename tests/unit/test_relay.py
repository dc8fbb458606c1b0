"""The page on localhost: signed for whoever has the address, and closed to everybody else."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.credentials import Credentials

from park_volumes.cli.relay import LOOPBACK, Relay


@dataclass
class Behind:
    """Something at the Function URL that notes what it is asked."""

    port: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    status: int = 200


@pytest.fixture
def behind() -> Iterator[Behind]:
    noted = Behind()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            noted.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(noted.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Security-Policy", "default-src 'none'")
            self.send_header("Set-Cookie", "a=b")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = answer  # noqa: N815  # the names that http.server calls

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its signature
            """Say nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        noted.port = server.server_port
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield noted
        server.shutdown()


@pytest.fixture
def relay(behind: Behind) -> Iterator[Relay]:
    keys = Credentials("AKIAEXAMPLE", "secret", "session")
    with Relay(f"http://{LOOPBACK}:{behind.port}/", region="eu-west-1", credentials=lambda: keys) as one:
        Thread(target=one.serve, daemon=True).start()
        yield one
        one.stop()


def ask(relay: Relay, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(relay.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, dict(answer.headers.items()), answer.read()


def below(relay: Relay, path: str) -> str:
    return urlsplit(relay.address).path + path


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "instances"), ("GET", "savings?format=csv"), ("POST", "instances/my%20db%2F1/start")],
)
def test_what_the_page_asks_is_signed_and_handed_on(relay: Relay, behind: Behind, method: str, path: str) -> None:
    status, headers, body = ask(relay, below(relay, path), method)

    ((asked_method, asked_path, sent),) = behind.asked
    assert (status, body) == (200, b"{}")
    assert (asked_method, asked_path) == (method, f"/{path}")
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-west-1/lambda/aws4_request" in sent["authorization"]
    assert sent["x-amz-security-token"] == "session"
    assert headers["Content-Security-Policy"] == "default-src 'none'"
    assert "Set-Cookie" not in headers


def test_an_error_is_an_answer_like_any_other(relay: Relay, behind: Behind) -> None:
    behind.status = 409

    assert ask(relay, below(relay, "instances"))[0] == 409


@pytest.mark.parametrize("path", ["/", "/instances", "//", "/guess/instances", "/{secret}x/instances"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_whoever_does_not_have_the_address_gets_nothing(relay: Relay, behind: Behind, method: str, path: str) -> None:
    status, _, body = ask(relay, path.replace("{secret}", relay.secret), method)

    assert status == 403
    assert body == b"Open the complete address that the command printed."
    assert behind.asked == []


def test_it_listens_on_the_loopback_address_only(relay: Relay) -> None:
    assert urlsplit(relay.address).hostname == "127.0.0.1"
    assert len(relay.secret) >= 40


def test_a_function_url_that_does_not_answer_is_told(relay: Relay, behind: Behind) -> None:
    relay.url = f"http://{LOOPBACK}:9/"
    status, _, body = ask(relay, below(relay, "instances"))

    assert status == 502
    assert b"does not answer" in body
    assert behind.asked == []


def test_a_port_that_is_taken_is_an_error(relay: Relay) -> None:
    port = urlsplit(relay.address).port

    with pytest.raises(OSError, match="in use"):
        Relay("https://example.com/", region="eu-west-1", credentials=lambda: None, port=port or 0)
