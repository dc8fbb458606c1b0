"""Function URLs: a real HTTP address per function, requests as payload format 2.0, SigV4 checked.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html and urls-auth.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path
from moto.awslambda.models import LambdaFunction

from tests.local_aws.credentials import Caller, caller_of
from tests.local_aws.dial import MACHINE_TIME
from tests.local_aws.lambdas import Lambdas, Throttled
from tests.local_aws.policies import listed
from tests.local_aws.world import ACCOUNT, World

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,"
    r" *SignedHeaders=([^,]+), *Signature=(\w+)"
)
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
MAX_SKEW_SECONDS = 300
MAX_BODY_BYTES = 6 * 1024 * 1024
THROTTLE_SECONDS = 30.0
UNSIGNED = "UNSIGNED-PAYLOAD"
PREFLIGHT = "access-control-request-method"


class Request:
    """One HTTP request as it came in."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.method = handler.command
        self.target = handler.path
        self.body = body
        self.source_ip = handler.client_address[0]
        self.protocol = handler.request_version
        self.headers: dict[str, str] = {}
        for name, value in handler.headers.items():
            key = name.lower()
            self.headers[key] = f"{self.headers[key]},{value}" if key in self.headers else value

    @property
    def path(self) -> str:
        return urlsplit(self.target).path or "/"

    @property
    def query(self) -> str:
        return urlsplit(self.target).query


def signer(request: Request, region: str) -> Caller | None:
    """Who signed the request, or None if the signature is absent, expired, forged or by an unknown key. Whoever signs
    goes by the machine's clock, or lives by ours.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    found = AUTHORIZATION.fullmatch(request.headers.get("authorization", "").strip())
    stamp = request.headers.get("x-amz-date", "")
    if not found or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
        return None
    key, day, signed_region, service, names, signature = found.groups()
    caller = caller_of(key)
    signed = {name: request.headers.get(name, "") for name in names.split(";")}
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    hashed = request.headers.get("x-amz-content-sha256", UNSIGNED)
    if (
        caller is None
        or (signed_region, service, day) != (region, "lambda", stamp[:8])
        or min(abs(now - moment.timestamp()) for now in (MACHINE_TIME(), time.time())) > MAX_SKEW_SECONDS
        or "host" not in signed
        or request.headers.get("x-amz-security-token") != caller.session_token
        or hashed not in {UNSIGNED, hashlib.sha256(request.body).hexdigest()}
    ):
        return None
    expected = signature_of(request, caller, signed, stamp, region)
    return caller if hmac.compare_digest(signature, expected) else None


def signature_of(request: Request, caller: Caller, signed: dict[str, str], stamp: str, region: str) -> str:
    """The signature that the caller's secret gives for exactly the headers that were signed.

    As AWS documents, the path is percent-encoded once more and the query is sorted. curl before 8 does neither: it is
    refused for paths with a percent sign and for parameters out of order, here as there.
    """
    auth = SigV4Auth(Credentials(caller.access_key, caller.secret), "lambda", region)
    aws_request = AWSRequest(method=request.method, url=f"http://{request.headers.get('host', '')}{request.target}")
    aws_request.context["timestamp"] = stamp
    canonical = "\n".join(
        [
            request.method,
            quote(normalize_url_path(request.path), safe="/~"),
            canonical_query(request.query),
            "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed)),
            ";".join(sorted(signed)),
            payload_hash(request),
        ]
    )
    return str(auth.signature(auth.string_to_sign(aws_request, canonical), aws_request))


def payload_hash(request: Request) -> str:
    """What the client says the payload's hash is (checked before), or the hash itself."""
    return request.headers.get("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()


def canonical_query(query: str) -> str:
    """The query's parameters, sorted, each with an equals sign."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


def is_public(function: LambdaFunction) -> bool:
    """Auth type NONE still needs a statement in the function's policy that lets everybody call the URL."""
    return any(
        statement.get("Effect") == "Allow"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and any(action in ("lambda:InvokeFunctionUrl", "lambda:*") for action in listed(statement.get("Action", [])))
        for statement in function.policy.statements
    )


def event_of(request: Request, url_id: str, caller: Caller | None, decode_path: bool) -> dict[str, Any]:
    """Payload format version 2.0."""
    now = datetime.now(UTC)
    path = unquote(request.path) if decode_path else request.path
    headers = {name: value for name, value in request.headers.items() if name not in {"cookie", "connection"}}
    headers |= {"x-forwarded-for": request.source_ip, "x-forwarded-proto": "https", "x-forwarded-port": "443"}
    context: dict[str, Any] = {
        "accountId": ACCOUNT if caller else "anonymous",
        "apiId": url_id,
        "domainName": request.headers.get("host", ""),
        "domainPrefix": url_id,
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": "$default",
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(1000 * now.timestamp()),
    }
    if caller:
        context["authorizer"] = {
            "iam": {
                "accessKey": caller.access_key,
                "accountId": ACCOUNT,
                "callerId": caller.user_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": caller.arn,
                "userId": caller.user_id,
            }
        }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if request.headers.get("cookie"):
        event["cookies"] = [part.strip() for part in request.headers["cookie"].split(";")]
    if request.query:
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(request.query, keep_blank_values=True):
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
        event["queryStringParameters"] = parameters
    if request.body:
        event |= body_of(request)
    return event


def body_of(request: Request) -> dict[str, Any]:
    """Text as it is, anything else in base64."""
    if request.headers.get("content-type", "").startswith(TEXT_TYPES):
        try:
            return {"body": request.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}


class Response:
    """Status, headers (repeated ones for cookies) and body."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @classmethod
    def message(cls, status: int, text: str) -> Response:
        body = json.dumps({"Message": text}).encode()
        return cls(status, [("content-type", "application/json")], body)

    @classmethod
    def of(cls, payload: str) -> Response:
        """Unpacks what the function returned; without a statusCode all of it is the body, as JSON."""
        value = json.loads(payload)
        if not isinstance(value, dict) or "statusCode" not in value:
            return cls(200, [("content-type", "application/json")], payload.encode())
        body = value.get("body") or ""
        raw = base64.b64decode(body) if value.get("isBase64Encoded") else str(body).encode()
        headers = {str(k).lower(): str(v) for k, v in (value.get("headers") or {}).items()}
        headers.setdefault("content-type", "application/json")
        cookies = [("set-cookie", str(cookie)) for cookie in value.get("cookies") or []]
        return cls(int(value["statusCode"]), [*headers.items(), *cookies], raw)


def cors_headers(request: Request, cors: dict[str, Any]) -> list[tuple[str, str]]:
    """What Lambda adds for browsers: in a preflight everything that is allowed, else who may read the answer. Pages of
    other origins get nothing.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors
    """
    origin, allowed = request.headers.get("origin"), cors.get("AllowOrigins") or []
    if origin is None or not {"*", origin} & set(allowed):
        return []
    found = {"allow-origin": origin, "expose-headers": ",".join(cors.get("ExposeHeaders") or [])}
    if cors.get("AllowCredentials"):
        found["allow-credentials"] = "true"
    if request.method == "OPTIONS" and PREFLIGHT in request.headers:
        found["allow-methods"] = ",".join(cors.get("AllowMethods") or [])
        found["allow-headers"] = ",".join(cors.get("AllowHeaders") or [])
        found["max-age"] = str(cors.get("MaxAge") or 0)
    return [("vary", "Origin"), *((f"access-control-{name}", value) for name, value in found.items() if value)]


class FunctionUrls:
    """The open addresses, one port each."""

    def __init__(self, world: World, lambdas: Lambdas) -> None:
        self._world = world
        self._lambdas = lambdas
        self._servers: dict[str, ThreadingHTTPServer] = {}

    def open(self, function_arn: str) -> str:
        """Begins to listen for a function and returns its address, ``http://127.0.0.1:PORT/``."""
        self.close(function_arn)
        server = Server(("127.0.0.1", 0), handler_class(self, function_arn))
        threading.Thread(target=server.serve_forever, name="function-url", daemon=True).start()
        self._servers[function_arn] = server
        return f"http://127.0.0.1:{server.server_address[1]}/"

    def close(self, function_arn: str) -> None:
        server = self._servers.pop(function_arn, None)
        if server:
            server.shutdown()
            server.server_close()

    def addresses(self) -> dict[str, str]:
        """Function ARN to address."""
        return {arn: f"http://127.0.0.1:{server.server_address[1]}/" for arn, server in self._servers.items()}

    def answer(self, function_arn: str, request: Request) -> Response:
        """A preflight is answered here, as the URL's ``Cors`` says. To any other answer the headers are added that it
        asks for, beside those of the function: what both have, a browser gets twice, and refuses."""
        function = self._lambdas.function(function_arn)
        if function is None or function.url_config is None:
            return Response.message(404, "Not Found")
        auth_type = str(function.url_config.config.get("AuthType"))
        cors = function.url_config.config.get("Cors")
        if not cors:
            return self._invoke(function, auth_type, request)
        added = cors_headers(request, cors)
        if request.method == "OPTIONS" and "origin" in request.headers and PREFLIGHT in request.headers:
            return Response(200, added, b"")
        answer = self._invoke(function, auth_type, request)
        return Response(answer.status, [*answer.headers, *added], answer.body)

    def _invoke(self, function: LambdaFunction, auth_type: str, request: Request) -> Response:
        """Checks who calls, invokes the function and unpacks its answer."""
        caller = None
        if auth_type == "AWS_IAM":
            caller = signer(request, function.region)
            if caller is None:
                return Response.message(403, "Forbidden")
        elif not is_public(function):
            return Response.message(403, "Forbidden")
        if len(request.body) > MAX_BODY_BYTES:
            return Response.message(413, "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
        url_id = hashlib.sha256(function.function_arn.encode()).hexdigest()[:32]
        event = event_of(request, url_id, caller, self._world.settings.decode_raw_path)
        try:
            with self._world.clock.work() as turn:
                result = self._lambdas.invoke(
                    function, json.dumps(event), turn, trigger="url", wait_seconds=THROTTLE_SECONDS
                )
        except Throttled:
            return Response.message(429, "Rate Exceeded.")
        if result.error:
            return Response(502, [("content-type", "text/plain")], b"Internal Server Error")
        try:
            return Response.of(result.payload)
        except (ValueError, TypeError, AttributeError):
            return Response(502, [("content-type", "text/plain")], b"Internal Server Error")


class Server(ThreadingHTTPServer):
    """A threading server that takes bursts; 50 people may press Start at once."""

    daemon_threads = True
    request_queue_size = 128


def handler_class(urls: FunctionUrls, function_arn: str) -> type[BaseHTTPRequestHandler]:
    """The request handler of one address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "local-aws"
        sys_version = ""

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            response = urls.answer(function_arn, Request(self, self.rfile.read(length)))
            self.send_response(response.status)
            for name, value in response.headers:
                if name not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value.replace("\r", "").replace("\n", " "))
            self.send_header("content-length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is http.server's
            """Access logs are no use here; the invocations are in the log of the control API."""

    return Handler
