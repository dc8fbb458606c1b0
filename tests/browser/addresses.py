"""Https addresses on this machine, for deployments and for what only pretends to be one: one server, many names.

Chromium is told to look for every name below ``peers.test`` here. So the page, the preflights and the checks of the
browser are those of the internet, and nothing leaves the machine.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DOMAIN = "peers.test"


class Asked(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class Given(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


Answer = Callable[[Asked], Given]


class Addresses:
    """The names that there are, and what each was asked. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.named: dict[str, Answer] = {}
        self.asked: list[tuple[str, Asked]] = []
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"addresses": self}))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(folder))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def for_chromium(self) -> tuple[str, ...]:
        rule = f"MAP *.{DOMAIN}:443 127.0.0.1:{self._server.server_address[1]}"
        return f"--host-resolver-rules={rule}", "--ignore-certificate-errors"

    def __enter__(self) -> Addresses:
        threading.Thread(target=self._server.serve_forever, name="addresses", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def clear(self) -> None:
        self.named.clear()
        self.asked.clear()

    def of(self, name: str) -> list[Asked]:
        return [asked for host, asked in self.asked if host == f"{name}.{DOMAIN}"]

    def hang(self, _: Asked) -> Given:
        """Nothing is answered before the end."""
        self.ended.wait()
        return Given()


class _Handler(BaseHTTPRequestHandler):
    addresses: Addresses
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers)
        host = headers.get("host", "")
        self.addresses.asked.append((host, asked))
        answer = self.addresses.named.get(host.removesuffix(f".{DOMAIN}"))
        status, body, given = answer(asked) if answer else Given(404)
        self.send_response(status)
        for name, value in given:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            """The browser has heard enough."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the signature of http.server
        """Nothing: ``asked`` says it."""


def behind(url: str) -> Answer:
    """The Function URL that is there, as if it had this name."""
    address = urlsplit(url)

    def answer(asked: Asked) -> Given:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        found = connection.getresponse()
        body = found.read()
        connection.close()
        return Given(found.status, body, tuple(h for h in found.getheaders() if h[0].lower() not in HOPS))

    return answer


HOPS = {"content-length", "connection", "transfer-encoding", "server", "date"}


@dataclass(kw_only=True)
class LetsIn:
    """What Lambda does for a Function URL whose ``cors`` names this origin, in front of an answer."""

    origin: str
    answer: Answer
    also: tuple[tuple[str, str], ...] = field(default=())

    def __call__(self, asked: Asked) -> Given:
        allowed = (("access-control-allow-origin", self.origin), *self.also)
        if asked.method == "OPTIONS":
            methods = (("access-control-allow-methods", "GET,POST"), ("access-control-allow-headers", "authorization"))
            return Given(200, b"", (*allowed, *methods, ("access-control-max-age", "7200")))
        given = self.answer(asked)
        return given._replace(headers=(*given.headers, *allowed))


def _certificate(folder: Path) -> Path:
    """A file with a key and a certificate for all names below the domain, which nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"*.{DOMAIN}")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    unencrypted = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
